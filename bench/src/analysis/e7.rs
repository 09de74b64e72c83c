//! E7: what more servers cost a commit, in time, messages and syncs.
//!
//! Invariant: says that the nodes share one machine: what grows with their number is contention, too.

use super::arms::arm_words;
use super::draw::{axis, cell, column, figure, group, groups, table};
use super::evidence::Evidence;
use super::finding::{Column, Figure, Hue, Scale};
use super::words::{about_intervals, number, time_us, with_interval};
use super::{Part, words};
use crate::stats::Estimated;
use crate::suite::trial::Arm;

const NODES: &str = "nodes";
const P50: &str = "commit_us_p50";
const P99: &str = "commit_us_p99";
const MESSAGES: &str = "messages_per_commit";
const SYNCS: &str = "fsyncs_per_commit";

/// What it finds.
pub(super) fn find(evidence: &Evidence<'_>) -> Part {
    let mut part = Part { takeaway: takeaway(evidence), ..Part::default() };
    part.figures.extend(latency(evidence));
    part.figures.extend(work(evidence));
    let rows = evidence.levels(NODES).into_iter().map(|nodes| {
        let of = |metric: &str, write: fn(f64) -> String| cell(evidence.estimate(&arm(nodes), metric), write);
        vec![nodes.to_owned(), of(P50, time_us), of(P99, time_us), of(MESSAGES, number), of(SYNCS, number)]
    });
    let columns = ["nodes", "p50", "p99", "messages per commit", "syncs per commit"];
    part.tables.extend(table("A commit by cluster size: medians over trials", &columns, rows.collect()));
    part
}

fn arm(nodes: &str) -> Arm {
    Arm::of([(NODES, nodes)])
}

fn takeaway(evidence: &Evidence<'_>) -> Option<String> {
    let levels = evidence.levels(NODES);
    let (few, many) = (*levels.first()?, *levels.last()?);
    let (least, most) = (evidence.estimate(&arm(few), P50)?, evidence.estimate(&arm(many), P50)?);
    if few == many {
        return Some(format!(
            "With {few} nodes half of the commands commit within {}.",
            with_interval(&least, time_us)
        ));
    }
    let growth = evidence.ratio(&arm(few), &arm(many), P50)?;
    let work = |nodes: &str| evidence.estimate(&arm(nodes), MESSAGES).map(|count| number(count.value));
    let messages = match (work(few), work(many)) {
        (Some(few), Some(many)) => format!("; messages per commit go from {few} to {many}"),
        _ => String::new(),
    };
    Some(format!(
        "From {few} to {many} nodes on one machine the median commit goes from {} to {}, a ratio of {} (n = {}){messages}.",
        time_us(least.value),
        time_us(most.value),
        words::ratio(&growth),
        least.n
    ))
}

fn nodes(level: &str) -> String {
    arm_words(&arm(level))
}

fn columns(evidence: &Evidence<'_>, metric: &str, hue: Hue, unit: f64) -> Vec<Column> {
    let found = evidence.levels(NODES).into_iter().filter_map(|nodes| {
        let values = evidence.values(&arm(nodes), metric).into_iter().map(|value| value * unit);
        column(nodes, hue, values.collect())
    });
    found.collect()
}

fn latency(evidence: &Evidence<'_>) -> Option<Figure> {
    let found = [("p50", P50, Hue::Other(0)), ("p99", P99, Hue::Other(1))];
    let found = found.into_iter().filter_map(|(name, metric, hue)| group(name, columns(evidence, metric, hue, 1e-3)));
    let levels = evidence.levels(NODES);
    let estimates: Vec<Estimated> = levels.iter().filter_map(|nodes| evidence.estimate(&arm(nodes), P50)).collect();
    let (first, last) = (estimates.first()?, estimates.last()?);
    let title = format!(
        "Half of the commits take {} with {} and {} with {}",
        time_us(first.value),
        nodes(levels.first()?),
        time_us(last.value),
        nodes(levels.last()?)
    );
    figure(
        "e7-latency",
        groups(axis("commit latency, ms", Scale::Log), found.collect(), Vec::new()),
        title,
        format!("by number of nodes; {}", about_intervals(&estimates)),
        "Commit latency by cluster size. All nodes share one machine, so this measures contention for it as well.",
    )
}

fn work(evidence: &Evidence<'_>) -> Option<Figure> {
    let found = [("messages per commit", MESSAGES, Hue::Other(0)), ("syncs per commit", SYNCS, Hue::Other(1))];
    let found = found.into_iter().filter_map(|(name, metric, hue)| group(name, columns(evidence, metric, hue, 1.0)));
    let arms = evidence.levels(NODES);
    let estimates: Vec<Estimated> = arms.iter().filter_map(|nodes| evidence.estimate(&arm(nodes), MESSAGES)).collect();
    let (first, last) = (estimates.first()?, estimates.last()?);
    figure(
        "e7-work",
        groups(axis("per commit", Scale::FromZero), found.collect(), Vec::new()),
        format!(
            "A commit takes {} messages with {} and {} with {}",
            number(first.value),
            nodes(arms.first()?),
            number(last.value),
            nodes(arms.last()?)
        ),
        format!("by number of nodes; {}", about_intervals(&estimates)),
        "Messages and syncs of all nodes per committed command, heartbeats included.",
    )
}
