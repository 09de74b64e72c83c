//! E0: the instrument: what the machine and the recording add to every other number.
//!
//! Invariant: every metric that a trial of it wrote is in the table, known or not.

use std::collections::BTreeSet;

use super::Part;
use super::arms::arm_words;
use super::draw::table;
use super::evidence::Evidence;
use super::finding::Table;
use super::words::{self, capitalised, count, list, number, percent, share, time_us, with_interval};
use crate::experiments::{BASELINE, CONTROL, HOSTING};
use crate::stats::{Estimated, median, paired_ratio};
use crate::suite::run::Run;
use crate::suite::trial::{Arm, Conditions, ExperimentId};

const FPS: &str = "fps";
const RECORD: &str = "record";
const LOOPBACK: &str = "loopback_us_p50";
const FSYNC: &str = "fsync_us_p50";

/// What it finds.
pub(super) fn find(run: &Run, evidence: &Evidence<'_>) -> Part {
    let mut rows = Vec::new();
    for arm in evidence.arms() {
        let trials = evidence.good.iter().filter(|trial| trial.arm == *arm);
        let metrics: BTreeSet<&str> = trials.flat_map(|trial| trial.metrics.keys().map(String::as_str)).collect();
        for metric in metrics {
            let values = evidence.values(arm, metric);
            let Some(estimate) = Estimated::median_of(&values) else { continue };
            let smallest = values.iter().copied().fold(f64::INFINITY, f64::min);
            rows.push(vec![
                arm_words(arm),
                metric.to_owned(),
                with_interval(&estimate, number),
                number(smallest),
                largest(&values).map_or("–".into(), number),
                estimate.n.to_string(),
            ]);
        }
    }
    let columns = ["what", "metric", "median", "smallest", "largest", "n"];
    let mut part = Part { takeaway: takeaway(run, evidence), ..Part::default() };
    part.tables.extend(table("Calibration", &columns, rows));
    part.tables.extend(quiet_table(run));
    if !evidence.all_values(LOOPBACK).is_empty() && evidence.all_values(FSYNC).is_empty() {
        part.caveats
            .push("syncs were not timed: the results lie on a file system in memory, where they mean nothing".into());
    }
    part
}

fn takeaway(run: &Run, evidence: &Evidence<'_>) -> Option<String> {
    let of = |metric: &str| median(&evidence.all_values(metric)).map(time_us);
    let mut phrases = Vec::new();
    phrases.extend(of("timer_overshoot_us_p50").map(|time| format!("a timer overshoots by {time}")));
    phrases.extend(of(LOOPBACK).map(|time| format!("a call over loopback takes {time}")));
    phrases.extend(of(FSYNC).map(|time| format!("a sync takes {time}")));
    phrases
        .extend(recording(evidence).map(|cost| format!("recording costs {}", words::cost_of(&cost, " of the frames"))));
    phrases.extend(
        noise(run).map(|noise| format!("two identical games differ by {} % in the median block", percent(noise))),
    );
    let measured = list(&phrases);
    let sentences: Vec<String> = [measured, quiet(run)]
        .iter()
        .filter(|sentence| !sentence.is_empty())
        .map(|sentence| format!("{}.", capitalised(sentence)))
        .collect();
    (!sentences.is_empty()).then(|| sentences.join(" "))
}

/// How quiet the machine was around the trials of the whole run, as a sentence.
fn quiet(run: &Run) -> String {
    let (all, quiet) = (run.all().len(), run.all().iter().filter(|trial| trial.conditions.quiet).count());
    let foreign = shares(run, |conditions| conditions.foreign_cpu);
    let used = median(&foreign).zip(largest(&foreign)).map_or(String::new(), |(typical, most)| {
        format!(": before them others used {} of the CPU in the median and {} at most", share(typical), share(most))
    });
    format!("{quiet} of {} of this run met a quiet machine{used}", count(all, "trial"))
}

/// What the machine did around the trials of the whole run besides them.
fn quiet_table(run: &Run) -> Option<Table> {
    type Kind = (&'static str, fn(&Conditions) -> Option<f64>, fn(f64) -> String);
    const KINDS: [Kind; 4] = [
        ("CPU time used by others, just before", |conditions| conditions.foreign_cpu, share),
        ("CPU time taken by the hypervisor, during", |conditions| conditions.steal, share),
        ("time in which a task waited for a core, during", |conditions| conditions.cpu_pressure, share),
        ("load average of the last minute, before", |conditions| conditions.load_average, number),
    ];
    let rows = KINDS.into_iter().filter_map(|(what, of, write)| {
        let values = shares(run, of);
        Some(vec![what.to_owned(), write(median(&values)?), write(largest(&values)?), values.len().to_string()])
    });
    table("How quiet the machine was, trial by trial", &["what", "median", "largest", "n"], rows.collect())
}

fn shares(run: &Run, of: impl Fn(&Conditions) -> Option<f64>) -> Vec<f64> {
    run.all().iter().filter_map(|trial| of(&trial.conditions)).filter(|value| value.is_finite()).collect()
}

fn largest(values: &[f64]) -> Option<f64> {
    values.iter().copied().max_by(f64::total_cmp)
}

/// What recording costs, as a share of the frames.
fn recording(evidence: &Evidence<'_>) -> Option<Estimated> {
    let arms = evidence.arms();
    let on = arms.iter().find(|arm| arm.level(RECORD) == Some("on"))?;
    let off = (*on).clone().with(RECORD, "off");
    Some(evidence.ratio(&off, on, FPS)?.map(|ratio| 1.0 - ratio))
}

/// How far the A/A pairs of E1 are from each other in the median.
fn noise(run: &Run) -> Option<f64> {
    let games = Evidence::of(run, ExperimentId(1));
    let controls: Vec<Arm> =
        games.arms().into_iter().filter(|arm| arm.level(HOSTING) == Some(CONTROL)).cloned().collect();
    let pairs = controls.iter().flat_map(|arm| games.pairs(&arm.clone().with(HOSTING, BASELINE), arm, FPS));
    let distances: Option<Vec<f64>> =
        pairs.map(|pair| paired_ratio(&[pair]).map(|ratio| (ratio.value - 1.0).abs())).collect();
    median(&distances?)
}
