//! `raftianctl bench compare`: whether one run is faster or slower than another.
//!
//! Invariant: without `--fail-on-regression` a difference is an answer, not a failure.

use std::fmt::Write as _;
use std::path::PathBuf;

use raftian_bench::compare::{Compared, Comparison, Scale, Verdict, compare};
use raftian_bench::suite::run::Run;

use crate::cli::Context;
use crate::failure::Failure;
use crate::output::Paint;
use crate::table::{Align, Cell, Table};

/// How many of what could not be compared are named.
const SKIPPED_SHOWN: usize = 5;

/// Compare two runs by the main metric of every experiment
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  raftianctl bench compare results/before results/after
  raftianctl bench compare before after --fail-on-regression -o json

The columns A and B are the medians of the two runs, B/A is the change from A to B, and INTERVAL what the change may \
really be, corrected for the number of comparisons (Holm). A/A is how far two arms that do the same differ. A change is \
called an improvement or a regression only where its whole interval is beyond A/A; everything else is no evidence, and \
SEEN is the smallest change that would have been found.")]
pub(crate) struct Args {
    /// The folder of the first run, such as the one before a change
    #[arg(value_name = "A")]
    before: PathBuf,
    /// The folder of the second run, such as the one after it
    #[arg(value_name = "B")]
    after: PathBuf,
    /// Exit with 1 if anything regressed from A to B
    #[arg(long)]
    fail_on_regression: bool,
}

/// Compares.
pub(crate) fn run(context: &Context, args: &Args) -> Result<(), Failure> {
    let (before, after) = (Run::open(&args.before)?, Run::open(&args.after)?);
    let comparison = compare(&before, &after);
    if comparison.compared.is_empty() {
        context.output.data(&comparison, |_| String::new())?;
        return Err(Failure::failed(format!(
            "nothing of the two runs can be compared: {}; both need at least four trials of the same arms",
            skipped(&comparison)
                .unwrap_or_else(|| "they have no trials of an experiment with a main metric".to_owned())
        )));
    }
    context.output.data(&comparison, |comparison| words(comparison, context.output.colour()))?;
    let regressions = comparison.count(Verdict::Regression);
    if args.fail_on_regression && regressions > 0 {
        let s = if regressions == 1 { "" } else { "s" };
        return Err(Failure::failed(format!("{regressions} regression{s}; see the table")));
    }
    Ok(())
}

fn words(comparison: &Comparison, colour: bool) -> String {
    let mut text = table(comparison).render(colour);
    let [better, worse, none] =
        [Verdict::Improvement, Verdict::Regression, Verdict::NoEvidence].map(|verdict| comparison.count(verdict));
    let _ = writeln!(text, "\n{}", summary(better, worse, none));
    if let Some(skipped) = skipped(comparison) {
        let _ = writeln!(text, "not compared: {skipped}");
    }
    for note in &comparison.notes {
        let _ = writeln!(text, "note: {note}");
    }
    text
}

fn summary(better: usize, worse: usize, none: usize) -> String {
    let all = better + worse + none;
    match (better, worse) {
        (0, 0) => format!("no evidence of a difference in any of {all} comparisons"),
        _ => format!(
            "of {all} comparisons {better} improved, {worse} regressed, and {none} show no evidence of a difference"
        ),
    }
}

fn table(comparison: &Comparison) -> Table {
    let columns = [
        ("EXPERIMENT", Align::Left),
        ("ARM", Align::Left),
        ("METRIC", Align::Left),
        ("A", Align::Right),
        ("B", Align::Right),
        ("B/A", Align::Right),
        ("INTERVAL", Align::Right),
        ("A/A", Align::Right),
        ("SEEN", Align::Right),
        ("VERDICT", Align::Left),
    ];
    let mut table = Table::new(columns);
    for one in &comparison.compared {
        let cells: [Cell; 10] = [
            one.experiment.to_string().into(),
            one.arm.to_string().into(),
            metric(one).into(),
            significant(one.a).into(),
            significant(one.b).into(),
            change(one.ratio).into(),
            format!("{}…{}", change(one.interval.0), change(one.interval.1)).into(),
            band(one).into(),
            change(one.smallest_effect).into(),
            verdict(one),
        ];
        table.row(cells);
    }
    table
}

fn metric(one: &Compared) -> String {
    match one.scale {
        Scale::Absolute => one.metric.clone(),
        Scale::ToBaseline => format!("{}/baseline", one.metric),
    }
}

/// What doing the same may differ by; a dash where no arm does the same.
fn band(one: &Compared) -> String {
    if one.band > 1.0 { format!("±{:.1} %", (one.band - 1.0) * 100.0) } else { "–".to_owned() }
}

fn verdict(one: &Compared) -> Cell {
    match one.verdict {
        Verdict::Improvement => Cell::painted("improvement", Paint::Good),
        Verdict::Regression => Cell::painted("regression", Paint::Bad),
        Verdict::NoEvidence => Cell::painted("no evidence", Paint::Dim),
    }
}

/// A ratio as a change: `+1.2 %`, `−5.0 %`, and from a doubling on `2.4 ×`.
fn change(ratio: f64) -> String {
    let percent = (ratio - 1.0) * 100.0;
    match ratio {
        ratio if ratio >= 2.0 => format!("{ratio:.1} ×"),
        _ if percent.abs() < 0.05 => "0.0 %".to_owned(),
        _ if percent < 0.0 => format!("−{:.1} %", -percent),
        _ => format!("+{percent:.1} %"),
    }
}

fn significant(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.3}"),
    }
}

/// What was not compared, the first of it by name.
fn skipped(comparison: &Comparison) -> Option<String> {
    let each = comparison.skipped.iter().take(SKIPPED_SHOWN);
    let mut names: Vec<String> =
        each.map(|one| format!("{} {} {} ({})", one.experiment, one.arm, one.metric, one.why)).collect();
    let more = comparison.skipped.len().saturating_sub(SKIPPED_SHOWN);
    if more > 0 {
        names.push(format!("and {more} more"));
    }
    (!names.is_empty()).then(|| names.join("; "))
}

#[cfg(test)]
mod tests {
    use raftian_bench::analysis::metric::Better;
    use raftian_bench::compare::Skipped;
    use raftian_bench::suite::trial::{Arm, ExperimentId};

    use super::*;

    #[test]
    fn changes_have_a_sign_and_large_ones_are_factors() {
        let shown: Vec<String> = [1.0, 1.000_1, 1.012, 0.95, 0.2, 2.44].map(change).into();
        assert_eq!(shown, ["0.0 %", "0.0 %", "+1.2 %", "−5.0 %", "−80.0 %", "2.4 ×"]);
        assert_eq!([1234.5, 12.34, 0.1234].map(significant), ["1234", "12.3", "0.123"]);
    }

    fn compared(metric: &str, ratio: f64, verdict: Verdict) -> Compared {
        Compared {
            experiment: ExperimentId(1),
            arm: Arm::of([("hosting", "thread")]),
            metric: metric.to_owned(),
            scale: Scale::ToBaseline,
            better: Better::Higher,
            a: 0.99,
            b: 0.99 * ratio,
            n: (6, 6),
            ratio,
            interval: (ratio * 0.98, ratio * 1.02),
            level: 0.995,
            band: 1.004,
            verdict,
            smallest_effect: 1.031,
        }
    }

    #[test]
    fn a_comparison_is_told_with_what_it_could_not_see() {
        let skipped = (0..7).map(|block| Skipped {
            experiment: ExperimentId(7),
            arm: Arm::of([("nodes", "3")]).with("block", block),
            metric: "commit_us_p50".to_owned(),
            why: "the second run lacks it".to_owned(),
        });
        let comparison = Comparison {
            compared: vec![compared("fps", 0.95, Verdict::Regression), compared("fps", 1.0, Verdict::NoEvidence)],
            skipped: skipped.collect(),
            notes: vec!["the machines differ in cores".to_owned()],
        };
        let text = words(&comparison, false);
        for part in [
            "E1          hosting=thread  fps/baseline  0.990  0.941  −5.0 %",
            "±0.4 %",
            "+3.1 %  regression",
            "of 2 comparisons 0 improved, 1 regressed, and 1 show no evidence",
            "E7 block=0 nodes=3 commit_us_p50 (the second run lacks it);",
            "; and 2 more",
            "note: the machines differ in cores",
        ] {
            assert!(text.contains(part), "{part:?} is not in:\n{text}");
        }
    }

    #[test]
    fn the_summary_says_no_evidence_in_so_many_words() {
        assert_eq!(summary(0, 0, 7), "no evidence of a difference in any of 7 comparisons");
        assert!(summary(1, 2, 4).contains("2 regressed"));
    }
}
