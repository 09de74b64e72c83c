//! E0: the instrument: what the machine and the recording add to every other number.
//!
//! Invariant: every metric that a trial of it wrote is in the table, known or not.

use std::collections::BTreeSet;

use super::Part;
use super::draw::table;
use super::evidence::Evidence;
use super::words::{self, capitalised, list, number, percent, time_us, with_interval};
use crate::experiments::{BASELINE, CONTROL, HOSTING};
use crate::stats::{Estimated, median, paired_ratio};
use crate::suite::run::Run;
use crate::suite::trial::{Arm, ExperimentId};

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
            let largest = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            rows.push(vec![
                arm.to_string(),
                metric.to_owned(),
                with_interval(&estimate, number),
                number(smallest),
                number(largest),
                estimate.n.to_string(),
            ]);
        }
    }
    let columns = ["what", "metric", "median", "smallest", "largest", "n"];
    let mut part = Part { takeaway: takeaway(run, evidence), ..Part::default() };
    part.tables.extend(table("Calibration", &columns, rows));
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
    let sentence = list(&phrases);
    (!sentence.is_empty()).then(|| format!("{}.", capitalised(&sentence)))
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
