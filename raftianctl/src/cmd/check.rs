//! `raftianctl check`: a run is judged from its files, as often as one likes.

use std::fmt::Write as _;

use raftian_bench::run::{Judgement, Manifest, Run};
use raftian_bench::summary::thousands;
use raftian_check::{Invariant, Report, Verdict};
use serde::Serialize;

use crate::cli::Context;
use crate::failure::Failure;
use crate::keep::store;
use crate::progress;

const EXAMPLES: &str = "\
Examples:
  raftianctl check last
  raftianctl check 3fa2 -o json
  raftianctl check my-run || echo 'look at it'

The run is judged from its files alone: its history against the logs of its nodes. A run that was cut off, and one whose \
files were changed, is judged as far as it goes; it can be violated, but not valid. Exit code 0 valid, 1 violated, 3 \
unknown.";

/// Judge a run again, from its files
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The run: its name, the beginning of it, `last`, or a folder
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
    let run = Run::open(&store()?.find(&args.run)?)?;
    let spinner = progress::spinner(context.output);
    spinner.set_message("judging");
    let judgement = run.check();
    spinner.finish_and_clear();
    let judgement = judgement?;
    let verdict = judgement.verdict;
    let Manifest { id, began_ns, .. } = run.manifest().clone();
    let verdict_then = run.judged().and_then(|judged| judged.verdict);
    let checked = Checked { run: id, judgement, verdict_then, began_ns };
    context.output.report(&checked, words)?;
    Ok(verdict.map_or(0, Verdict::exit_code))
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
    for limit in &judgement.limits {
        let _ = writeln!(text, "limit     {limit}");
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
    let logs = match judgement.logs.as_slice() {
        [] => "no logs".to_owned(),
        [one] => format!("the log of {one}"),
        several => format!("the logs of {}", raftian_rpc::selector::names(several)),
    };
    format!(
        "rests on  {all} operations: {acknowledged} acknowledged, {failed} failed, {unknown} unknown ({applied} of these \
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
        violation.last.iter().for_each(|operation| text.push_str(&format!("            {operation}\n")));
    }
    for finding in report.findings.iter().filter(|finding| finding.invariant != Invariant::Linearizability) {
        let word = if finding.invariant == Invariant::Evidence { "missing " } else { "violated" };
        let _ = writeln!(text, "{word}  {finding}");
    }
    for (invariant, count) in &report.findings_by_invariant {
        let told = report.findings.iter().filter(|finding| finding.invariant == *invariant).count() as u64;
        if *count > told {
            let _ = writeln!(text, "          … and {} more of {invariant}", count - told);
        }
    }
    for undecided in report.linearizability.iter().flat_map(|found| &found.undecided) {
        let _ = writeln!(text, "undecided {undecided}");
    }
    text
}
