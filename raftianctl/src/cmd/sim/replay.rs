//! `raftianctl sim replay`: what happened in the run of a seed.

use raftian_check::Verdict;
use raftian_script::Scenario;
use raftian_sim::{DRAWS, Happening, RunReport, What, draw, watch};
use serde_json::json;

use crate::cli::Context;
use crate::cmd::sim::chart::{self, Drawing};
use crate::cmd::sim::{hush, settings};
use crate::failure::Failure;
use crate::units;
use raftian_view::story;

const EXAMPLES: &str = "\
Examples:
  raftianctl sim replay 7
  raftianctl sim replay 7 --chart text --steps 1..200
  raftianctl sim replay 7 --chart svg --steps 1..200 --to seed7.svg
  raftianctl sim replay 7 --script > seed7.scenario

Without a chart, shows the turning points; with -o json a chart is one field. The same seed gives the same run, to \
the last bit of its hash; but what a seed draws changes with the version of the draws, which is told with the seed: of \
another version it is another run. `--script` keeps a run for later. Exit code 1 if an invariant was broken; 3 if \
none was, but the history of the clients was too hard to judge.";

/// Run one seed again, and show what happened
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The seed
    #[arg(value_name = "SEED", value_parser = units::seed)]
    seed: u64,
    /// Print what the seed draws, as a scenario, instead of running it
    #[arg(long, conflicts_with = "chart")]
    script: bool,
    /// Plant this bug (see `raftianctl sim zoo`)
    #[arg(long, value_name = "NAME")]
    mutant: Option<String>,
    #[command(flatten)]
    chart: Drawing,
}

/// Runs it, and shows what is wanted.
pub(crate) fn run(context: &Context, args: &Args) -> Result<u8, Failure> {
    let settings = settings(args.mutant.as_deref())?;
    let schedule = draw(args.seed);
    if args.script {
        return context.output.document(&Scenario::of(&schedule, settings.mutant_name()).to_string()).map(|()| 0);
    }
    hush(&settings);
    let (report, journal) = watch(&schedule, &settings);
    let points: Vec<(&Happening, String)> =
        journal.iter().filter_map(|happening| Some((happening, turning_point(&happening.what)?))).collect();
    let drawn = args.chart.draw(context, &journal)?;
    let words = if drawn.is_some() { report.to_string() } else { tell(&report, &points) };
    chart::tell(context, drawn, as_json(&report, &points), &words)?;
    Ok(verdict(&report).exit_code())
}

fn verdict(report: &RunReport) -> Verdict {
    match (&report.violation, report.undecided) {
        (Some(_), _) => Verdict::Violated,
        (None, true) => Verdict::Unknown,
        (None, false) => Verdict::Valid,
    }
}

fn as_json(report: &RunReport, points: &[(&Happening, String)]) -> serde_json::Value {
    let violation = report.violation.as_ref().map(|violation| {
        json!({
            "invariant": violation.invariant.name(),
            "step": violation.step,
            "at_us": violation.at_us,
            "text": violation.text,
        })
    });
    let points = points
        .iter()
        .map(|(happening, text)| json!({ "at_us": happening.at_us, "step": happening.step, "text": text }));
    json!({
        "seed": report.seed,
        "draws": DRAWS,
        "hash": format!("{:016x}", report.hash),
        "events": report.events,
        "virtual_us": report.virtual_us,
        "committed": report.committed,
        "led_terms": report.led_terms,
        "operations": report.operations,
        "acknowledged": report.acknowledged,
        "verdict": verdict(report),
        "undecided": report.undecided,
        "violation": violation,
        "turning_points": points.collect::<Vec<_>>(),
    })
}

fn tell(report: &RunReport, points: &[(&Happening, String)]) -> String {
    let mut text = format!("{:>8} {:>11}\n", "STEP", "MS");
    for (Happening { at_us, step, .. }, point) in points {
        text.push_str(&format!("{step:>8} {:>7}.{:03}  {point}\n", at_us / 1_000, at_us % 1_000));
    }
    text.push_str(&format!("\n{report}\n"));
    text
}

/// A sentence about what is no message; nothing for what happens all the time.
fn turning_point(what: &What) -> Option<String> {
    Some(match what {
        What::Event(id, event) => format!("{id} {}", story::raft(event)),
        What::Crashed(id) => format!("{id} crashes"),
        What::Started(id) => format!("{id} starts"),
        What::Damaged(id, part) => format!("a bit flips on the disk of {id}: {part}"),
        What::Wiped(id) => format!("the disk of {id} is emptied"),
        What::Refused(id, part) => format!("{id} does not start, its disk is damaged: {part}"),
        What::Paused(id) => format!("{id} pauses"),
        What::Resumed(id) => format!("{id} goes on"),
        What::Link { from, to, is_cut: true } => format!("the link from {from} to {to} is cut"),
        What::Link { from, to, is_cut: false } => format!("the link from {from} to {to} heals"),
        What::Broken(violation) => format!("{} is broken: {}", violation.invariant, violation.text),
        _ => return None,
    })
}
