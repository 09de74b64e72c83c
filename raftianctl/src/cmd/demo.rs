//! `raftianctl demo`: the main job in one command, on a lab of its own.
//!
//! Invariant: however it ends, nothing of the lab is left: no process, no folder. Its results stay, in `--out`.

use std::fs::DirBuilder;
use std::io::Write as _;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use raftian_bench::cancel::cancel_pair;
use raftian_bench::demo::{self, DemoOptions, DemoReport};
use raftian_bench::lab::Lab;
use raftian_bench::load::Progress;
use raftian_rpc::folder::LabFolder;
use rustix::process::{Pid, Signal, kill_process};

use crate::cli::Context;
use crate::cmd::{load, stop};
use crate::connect::{is_held, read_daemon_file};
use crate::failure::{Failure, Kind};
use crate::interrupt::Interrupt;
use crate::launch::{Found, Life};
use crate::{launch, progress, units};

const EXAMPLES: &str = "\
Examples:
  raftianctl demo
  raftianctl demo --seed 7 --out my-demo

Five nodes under load lose their leader to kill -9, one to a pause, and the next leader to a partition; then all is
mended and judged: every acknowledged command applied exactly once, all logs and states equal. Takes about 30 s, on a
lab of its own. The exit code tells the verdict: 0 valid, 1 violated, 3 unknown.";

/// How long the lab may take to stop.
const STOP_TIMEOUT: Duration = Duration::from_secs(15);

/// Watch five nodes lose two leaders under load and agree at last
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Where the chart, the history, the logs and the verdict go; those of a former demo are removed first
    #[arg(long, value_name = "FOLDER", default_value = "raftian-demo")]
    out: PathBuf,
    /// The seed of the lab and of the load
    #[arg(long, value_name = "NUMBER", default_value_t = 1, value_parser = units::seed)]
    seed: u64,
}

/// Runs the demo. The exit code is the verdict's.
pub(crate) async fn run(context: &Context, args: Args, mut interrupt: Interrupt) -> Result<u8, Failure> {
    let stage = Stage::set()?;
    let (canceller, cancel) = cancel_pair();
    let spinner = progress::spinner(context.output);
    let options = DemoOptions { seed: args.seed, ..DemoOptions::new(args.out) };
    let tell = |line: &str| {
        spinner.suspend(|| match context.output.is_json() {
            true => context.output.note(line),
            // A reader that has gone does not change what the demo is about: its verdict.
            false => drop(context.output.text(line)),
        });
    };
    let show = |progress: Progress| spinner.set_message(load::standing(&progress));
    let play = async {
        // Held to the end: should we be killed, the lab goes with us.
        let Found { daemon, lifeline: _lifeline, .. } =
            launch::find_or_start(&stage.lab, &stage.folder, Life::WithUs).await?;
        let lab = Lab::at(daemon.address, daemon.secret.clone())?;
        let played = demo::run(&lab, &options, &tell, &show, &cancel).await;
        spinner.set_message("stopping the lab");
        let stopped = stop::whole(context, &daemon, true, STOP_TIMEOUT).await;
        // What went wrong first is what matters.
        let report = played?;
        stopped.map(|_| report)
    };
    let report = interrupt.heed(&canceller, play).await;
    spinner.finish_and_clear();
    drop(stage);
    match report {
        Ok(report) => {
            let told = context.output.data(&report, results);
            told.or_else(|failure| if failure.kind() == Kind::BrokenPipe { Ok(()) } else { Err(failure) })?;
            Ok(report.verdict.exit_code())
        }
        Err(_) if cancel.is_cancelled() => {
            Err(Failure::new(Kind::Interrupted, "the demo was interrupted; its lab is stopped and removed"))
        }
        Err(failure) => Err(failure),
    }
}

fn results(report: &DemoReport) -> String {
    format!(
        "\nverdict  {}, after {:.1} s\nchart    {}\n         {}\nmore     {}\n",
        report.verdict,
        report.wall_s,
        report.chart_svg.display(),
        report.chart_png.display(),
        report.folder.join("report.json").display()
    )
}

/// Where the demo plays: a lab that nobody else has. Dropping it takes down what is left of it.
struct Stage {
    lab: String,
    folder: LabFolder,
}

impl Stage {
    fn set() -> Result<Stage, Failure> {
        let lab = format!("demo-{:08x}", fastrand::u32(..));
        let path = std::env::temp_dir().join(format!("raftian-{lab}"));
        // Whoever else may write to the folder for temporary files must not have made ours.
        match DirBuilder::new().mode(0o700).create(&path) {
            Ok(()) => Ok(Stage { lab, folder: LabFolder::at(path) }),
            Err(error) => Err(Failure::failed(format!(
                "a folder for the demo's lab cannot be made at {}: {error}; set TMPDIR to a folder of yours",
                path.display()
            ))),
        }
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        let path = self.folder.path();
        if !path.exists() {
            return;
        }
        if let Ok(Some(daemon)) = read_daemon_file(&self.folder) {
            end(daemon.pid, &self.folder);
        }
        if let Err(error) = std::fs::remove_dir_all(path) {
            let _ = writeln!(std::io::stderr(), "raftianctl: {} could not be removed: {error}", path.display());
        }
    }
}

/// Has a daemon stop its lab, and waits for that: this is where an error or a panic ends up, so nothing may be awaited.
fn end(pid: u32, folder: &LabFolder) {
    let Some(process) = i32::try_from(pid).ok().and_then(Pid::from_raw) else { return };
    let deadline = Instant::now() + STOP_TIMEOUT;
    for signal in [Signal::TERM, Signal::KILL] {
        // A process that is gone already needs no signal, and one that cannot be signalled is not ours.
        if !is_held(folder) || kill_process(process, signal).is_err() {
            return;
        }
        while is_held(folder) && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}
