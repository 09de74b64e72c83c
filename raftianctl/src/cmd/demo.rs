//! `raftianctl demo`: the main job in one command, on a lab of its own.
//!
//! Invariant: however it ends, nothing of the lab is left: no process, no folder. Its results stay, in `--out`.

use std::path::PathBuf;

use raftian_bench::cancel::cancel_pair;
use raftian_bench::demo::{self, DemoOptions, DemoReport};
use raftian_bench::load::Progress;

use crate::cli::Context;
use crate::cmd::load;
use crate::failure::{Failure, Kind};
use crate::interrupt::Interrupt;
use crate::stage::with_lab;
use crate::{progress, units};

const EXAMPLES: &str = "\
Examples:
  raftianctl demo
  raftianctl demo --seed 7 --out my-demo

Five nodes under load lose their leader to kill -9, one to a pause, and the next leader to a partition; then all is
mended and judged: every acknowledged command applied exactly once, all logs and states equal. Takes about 30 s, on a
lab of its own. The exit code tells the verdict: 0 valid, 1 violated, 3 unknown.";

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
    let play =
        with_lab(context, "demo", &spinner, async |lab| Ok(demo::run(&lab, &options, &tell, &show, &cancel).await?));
    let report = interrupt.heed(&canceller, play).await;
    spinner.finish_and_clear();
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
