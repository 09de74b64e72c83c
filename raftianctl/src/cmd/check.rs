//! `raftianctl check`: a run is judged from its files, as often as one likes.

use std::fmt::Write as _;
use std::path::Path;

use raftian_bench::run::{Engine, Judgement, Manifest, Played, Run, Unpacked, spelt};
use raftian_bench::summary::thousands;
use raftian_check::{Invariant, Report, Verdict};
use raftian_script::Scenario;
use raftian_sim::Stopped;
use serde::Serialize;

use crate::cli::Context;
use crate::cmd::run::verdict_of;
use crate::cmd::sim;
use crate::failure::{Failure, Kind};
use crate::keep::store;
use crate::progress;

const EXAMPLES: &str = "\
Examples:
  raftianctl check last
  raftianctl check 3fa2 -o json
  raftianctl check found.run || echo 'look at it'

The run is judged from its files alone: its history against the logs of its nodes. A run that was cut off, and one whose \
files were changed, is judged as far as it goes; it can be violated, but not valid. A run of the simulator is played \
again. What tells of a change are hashes that are kept with the run: they do not stop who changes these as well. Exit code \
0 valid, or nothing to judge; 1 violated, or a scenario that does not hold; 3 unknown.";

/// Judge a run again, from its files
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The run: its name, the beginning of it, `last`, a folder, or a file that was exported
    #[arg(value_name = "RUN")]
    run: String,
}

/// What is said of it.
#[derive(Debug, Serialize)]
struct Checked {
    /// Its name.
    run: raftian_bench::run::RunId,
    #[serde(flatten)]
    judgement: Judgement,
    /// What was said when it ended, if it was judged then.
    verdict_then: Option<Verdict>,
    #[serde(skip)]
    began_ns: u64,
}

/// Judges it. The exit code is the verdict's.
pub(crate) fn run(context: &Context, args: &Args) -> Result<u8, Failure> {
    let file = Path::new(&args.run);
    let unpacked = if file.is_file() { Some(Unpacked::of(file)?) } else { None };
    let run = match &unpacked {
        Some(unpacked) => unpacked.run().clone(),
        None => Run::open(&store()?.find(&args.run)?)?,
    };
    let spinner = progress::spinner(context.output);
    spinner.set_message("judging");
    let engine = run.manifest().began.engine;
    let judgement = match engine {
        Engine::Processes => run.check().map_err(Failure::from),
        Engine::Sim => again(&run),
    };
    spinner.finish_and_clear();
    let judgement = judgement?;
    let verdict = judgement.verdict;
    // What processes did cannot be played again: whether a scenario held there is what was seen then.
    let failed = judgement.played.as_ref().is_some_and(|played| !played.holds);
    let Manifest { id, began_ns, .. } = run.manifest().clone();
    let verdict_then = run.judged().and_then(|judged| judged.verdict);
    let checked = Checked { run: id, judgement, verdict_then, began_ns };
    context.output.report(&checked, words)?;
    Ok(match failed {
        true => Verdict::Violated.exit_code(),
        false => verdict.map_or(0, Verdict::exit_code),
    })
}

/// Plays a run of the simulator again. That it comes to the same shows that nothing is missing.
fn again(run: &Run) -> Result<Judgement, Failure> {
    let not_one = |why: String| Failure::new(Kind::Usage, format!("run {}: {why}", run.manifest().id));
    let text = run.scenario().ok_or_else(|| not_one("its scenario is gone".to_owned()))?;
    let scenario: Scenario = text.parse().map_err(|why| not_one(format!("its scenario, {why}")))?;
    sim::hush(&sim::settings(scenario.mutant.as_deref())?);
    let played = raftian_sim::play(&scenario);
    let verdict = verdict_of(&scenario, &played);
    let hash = format!("{:016x}", played.hash);
    let then = run.judged().and_then(|judged| judged.played).and_then(|played| played.hash);
    let mut limits = run.limits()?;
    match then {
        Some(then) if then == hash => {}
        Some(then) => {
            limits.push(format!("this raftian plays it in another way: hash {hash}, and {then} when it was kept"));
        }
        None => limits.push("what came of it then is not told, so it may have been another one".to_owned()),
    }
    let played = Played {
        holds: played.stopped.is_none(),
        line: played.stopped.as_ref().map(Stopped::line).filter(|line| *line > 0),
        why: played.stopped.as_ref().map(Stopped::to_string),
        took_ms: played.virtual_us as f64 / 1e3,
        hash: Some(hash),
    };
    let verdict = match verdict {
        Some(Verdict::Violated) => verdict,
        _ if !limits.is_empty() => Some(Verdict::Unknown),
        verdict => verdict,
    };
    Ok(Judgement { verdict, limits, played: Some(played), ..Judgement::default() })
}

fn words(checked: &Checked) -> String {
    let Checked { judgement, verdict_then, .. } = checked;
    let mut text = String::new();
    let verdict = judgement.verdict.map_or_else(|| "none".to_owned(), |verdict| verdict.to_string());
    let _ = write!(text, "verdict   {verdict}");
    if let Some(then) = verdict_then.filter(|then| Some(*then) != judgement.verdict) {
        let _ = write!(text, " (when it ended: {then})");
    }
    text.push('\n');
    if let Some(report) = &judgement.report {
        text.push_str(&rests_on(judgement, report));
    }
    if let Some(played) = &judgement.played {
        let _ = match &played.why {
            Some(why) => writeln!(text, "scenario  does not hold: {why}"),
            None => writeln!(text, "scenario  holds, in {:.1} s", played.took_ms / 1e3),
        };
        played.hash.iter().for_each(|hash| text.push_str(&format!("rests on  playing it again: hash {hash}\n")));
    }
    for limit in &judgement.limits {
        let _ = writeln!(text, "limit     {}", spelt(limit));
    }
    for (node, why) in &judgement.silent {
        let _ = writeln!(text, "limit     no log of {node}: {why}");
    }
    if let Some(report) = &judgement.report {
        text.push_str(&findings(report, checked.began_ns));
    }
    text
}

fn rests_on(judgement: &Judgement, report: &Report) -> String {
    let counts = &report.counts;
    let [all, acknowledged, failed, unknown, applied, committed] = [
        counts.operations,
        counts.acknowledged,
        counts.failed,
        counts.unknown,
        counts.unknown_applied,
        counts.committed,
    ]
    .map(thousands);
    let operations = if counts.operations == 1 { "operation" } else { "operations" };
    let logs = match judgement.logs.as_slice() {
        [] => "no logs".to_owned(),
        [one] => format!("the log of {one}"),
        several => format!("the logs of {}", raftian_rpc::selector::names(several)),
    };
    format!(
        "rests on  {all} {operations}: {acknowledged} acknowledged, {failed} failed, {unknown} unknown ({applied} of these \
         applied)\n          {logs}: {committed} committed entries\n"
    )
}

/// What was found; for an order that cannot be, the window of the history that shows it.
fn findings(report: &Report, began_ns: u64) -> String {
    let mut text = String::new();
    let since = |ns: u64| ns.saturating_sub(began_ns) as f64 / 1e9;
    for violation in report.linearizability.iter().flat_map(|found| &found.violations) {
        let operations = if violation.operations == 1 { "operation" } else { "operations" };
        let _ = writeln!(
            text,
            "violated  no order explains the {} {operations} on {} from {:.6} s to {:.6} s of the run{}:",
            violation.operations,
            violation.object,
            since(violation.from_ns),
            since(violation.to_ns),
            if violation.stands_alone { ", whatever came before" } else { " after all that came before" },
        );
        if violation.operations > violation.last.len() as u64 {
            text.push_str("            …\n");
        }
        violation
            .last
            .iter()
            .for_each(|operation| text.push_str(&format!("            {}\n", spelt(&operation.to_string()))));
    }
    for finding in report.findings.iter().filter(|finding| finding.invariant != Invariant::Linearizability) {
        let word = if finding.invariant == Invariant::Evidence { "missing " } else { "violated" };
        let _ = writeln!(text, "{word}  {}", spelt(&finding.to_string()));
    }
    for (invariant, count) in &report.findings_by_invariant {
        let told = report.findings.iter().filter(|finding| finding.invariant == *invariant).count() as u64;
        if *count > told {
            let _ = writeln!(text, "          … and {} more of {invariant}", count - told);
        }
    }
    for undecided in report.linearizability.iter().flat_map(|found| &found.undecided) {
        let _ = writeln!(text, "undecided {}", spelt(&undecided.to_string()));
    }
    text
}
