//! `raftianctl demo`: the main job in one command, on a lab of its own.
//!
//! Invariant: however it ends, nothing of the lab is left: no process, no folder. What it was is kept as a run.

use std::path::PathBuf;

use raftian_bench::cancel::cancel_pair;
use raftian_bench::demo::{self, DemoOptions, DemoReport};
use raftian_bench::load::Progress;
use raftian_bench::run::{Began, Engine, Maker, Offered};

use crate::cli::Context;
use crate::cmd::load;
use crate::failure::{Failure, Kind};
use crate::interrupt::Interrupt;
use crate::keep::{self, Recorded};
use crate::stage::with_lab;
use crate::{progress, units};

const EXAMPLES: &str = "\
Examples:
  raftianctl demo
  raftianctl demo --seed 7 --out my-demo

Five nodes under load lose their leader to kill -9, one to a pause, and the next leader to a partition; then all is
mended and judged: every acknowledged command applied exactly once, all logs and states equal. Takes about 30 s, on a
lab of its own. It is kept as a run (`raftianctl runs`), with a chart of it. The exit code tells the verdict: 0 valid, 1
violated, 3 unknown.";

/// Watch five nodes lose two leaders under load and agree at last
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Keep the run in this folder, which must be empty if it is there [default: with the other runs]
    #[arg(long, value_name = "FOLDER")]
    out: Option<PathBuf>,
    /// The seed of the lab and of the load
    #[arg(long, value_name = "NUMBER", default_value_t = 1, value_parser = units::seed)]
    seed: u64,
    /// Keep this, too: messages, which `timeline --to trace.json` shows
    #[arg(long, value_name = "WHAT", value_enum, hide_possible_values = true)]
    record: Option<Recorded>,
}

/// Runs the demo. The exit code is the verdict's.
pub(crate) async fn run(context: &Context, args: Args, mut interrupt: Interrupt) -> Result<u8, Failure> {
    let (canceller, cancel) = cancel_pair();
    let spinner = progress::spinner(context.output);
    let options = DemoOptions { seed: args.seed, ..DemoOptions::default() };
    let kept = keep::begin(args.out.as_deref(), began(&options, args.record))?;
    let tell = |line: &str| {
        spinner.suspend(|| match context.output.is_json() {
            true => context.output.note(line),
            // A reader that has gone does not change what the demo is about: its verdict.
            false => drop(context.output.text(line)),
        });
    };
    let show = |progress: Progress| spinner.set_message(load::standing(&progress));
    let play = with_lab(context, "demo", &spinner, async |lab| {
        Ok(demo::run(&lab, &options, kept, &tell, &show, &cancel).await?)
    });
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

fn began(options: &DemoOptions, record: Option<Recorded>) -> Began {
    Began {
        maker: Maker::Demo,
        command: std::env::args().collect(),
        engine: Engine::Processes,
        lab: None,
        scenario: None,
        seed: options.seed,
        load: Some(Offered { rate_per_s: Some(options.rate_per_s), clients: options.clients }),
        records_messages: record.is_some(),
    }
}

fn results(report: &DemoReport) -> String {
    format!(
        "\nverdict  {}, after {:.1} s\nchart    {}\n         {}\nrun      {}\n",
        report.verdict,
        report.wall_s,
        report.chart_svg.display(),
        report.chart_png.display(),
        report.folder.display()
    )
}
