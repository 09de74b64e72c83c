//! E5: what durability and size cost a commit.
//!
//! Invariant: the price of a sync is the ratio of latencies with and without it in the same block.

use super::arms::size;
use super::draw::{cell, figure, panels, percentile_line, percentile_plot, table};
use super::evidence::Evidence;
use super::finding::{Hue, Line};
use super::words::{number, time_us, with_interval};
use super::{Part, words};
use crate::suite::trial::Arm;

const FSYNC: &str = "fsync";
const PAYLOAD: &str = "payload_bytes";
const P50: &str = "commit_us_p50";
const P99: &str = "commit_us_p99";
const COMMIT: &str = "commit";

/// What it finds.
pub(super) fn find(evidence: &Evidence<'_>) -> Part {
    let mut part = Part { takeaway: takeaway(evidence), ..Part::default() };
    let mut found = Vec::new();
    for payload in evidence.levels(PAYLOAD) {
        let lines: Vec<Line> = ["on", "off"]
            .into_iter()
            .zip([Hue::Other(0), Hue::Other(1)])
            .filter_map(|(sync, hue)| {
                percentile_line(evidence, &arm(sync, payload), COMMIT, &format!("fsync {sync}"), hue)
            })
            .collect();
        found.extend(percentile_plot("commit latency", lines).map(|plot| (size(payload), plot)));
    }
    part.figures.extend(figure(
        "e5-commit",
        panels(found),
        title(evidence).unwrap_or_else(|| "Commit latency by payload and fsync".to_owned()),
        "ms from the intended send to the acknowledgement, all commands of all trials together",
        "Percentiles of the commit latency by payload, with and without fsync; none with fewer than ten commands beyond it.",
    ));
    let rows = evidence.levels(PAYLOAD).into_iter().map(|payload| {
        let of = |sync: &str, metric: &str| cell(evidence.estimate(&arm(sync, payload), metric), time_us);
        vec![size(payload), of("on", P50), of("off", P50), ratio(evidence, payload), of("on", P99), of("off", P99)]
    });
    let columns = ["payload", "fsync p50", "no fsync p50", "ratio", "fsync p99", "no fsync p99"];
    part.tables.extend(table("Commit latency: medians over trials", &columns, rows.collect()));
    part
}

fn arm(sync: &str, payload: &str) -> Arm {
    Arm::of([(FSYNC, sync), (PAYLOAD, payload)])
}

fn ratio(evidence: &Evidence<'_>, payload: &str) -> String {
    let ratio = evidence.ratio(&arm("off", payload), &arm("on", payload), P50);
    cell(ratio, |ratio| format!("{} ×", number(ratio)))
}

fn takeaway(evidence: &Evidence<'_>) -> Option<String> {
    let found = evidence.levels(PAYLOAD).into_iter().filter_map(|payload| {
        let on = evidence.estimate(&arm("on", payload), P50)?;
        let price = evidence.ratio(&arm("off", payload), &arm("on", payload), P50);
        let price =
            price.map_or(String::new(), |price| format!(", {} times as long as without fsync", words::ratio(&price)));
        Some((on.n, format!("at {} each within {}{price}", size(payload), with_interval(&on, time_us))))
    });
    let (sizes, phrases): (Vec<usize>, Vec<String>) = found.unzip();
    Some(format!("Half of the durable commands commit, {} (n = {}).", phrases.join("; "), sizes.first()?))
}

fn title(evidence: &Evidence<'_>) -> Option<String> {
    let levels = evidence.levels(PAYLOAD);
    let (small, large) = (levels.first()?, levels.last()?);
    let at = |payload: &str| Some(time_us(evidence.estimate(&arm("on", payload), P50)?.value));
    Some(format!(
        "Half of the durable commits take {} at {}, {} at {}",
        at(small)?,
        size(small),
        at(large)?,
        size(large)
    ))
}
