//! E4: how long a click takes to come back as an order, and to be seen, by hosting, at the leader and at a follower.
//!
//! Invariant: latency counts from when the click was due.

use super::Part;
use super::draw::{cell, figure, panels, percentile_line, percentile_plot, table};
use super::evidence::Evidence;
use super::finding::Figure;
use super::hosting::{hue, label, place};
use super::words::{count, level, list, time_us};
use crate::experiments::HOSTING;
use crate::stats::{Estimated, percentile};
use crate::suite::trial::Arm;

/// Which node clicks: `leader` or `follower`.
const NODE: &str = "node";
const ORDER: &str = "order";
const SHOWN: &str = "shown";

/// Percentiles in words, the rarest first.
const SHARES: [(&str, f64); 3] = [("99 in 100", 0.99), ("9 in 10", 0.9), ("Half", 0.5)];

/// What it finds.
pub(super) fn find(evidence: &Evidence<'_>) -> Part {
    let mut part = Part { takeaway: takeaway(evidence), ..Part::default() };
    part.figures.extend(percentiles(evidence, "e4-order", ORDER, "click to order"));
    part.figures.extend(percentiles(evidence, "e4-shown", SHOWN, "click to visible frame"));
    let rows = evidence.arms().into_iter().map(|arm| {
        let of = |metric: &str| cell(evidence.estimate(arm, metric), time_us);
        let shown = |text: Option<&str>| text.unwrap_or("–").to_owned();
        vec![
            shown(arm.level(NODE)),
            shown(arm.level(HOSTING).map(label)),
            of("order_us_p50"),
            of("order_us_p99"),
            of("shown_us_p50"),
            of("shown_us_p99"),
        ]
    });
    let columns = ["clicks at", "server", "order p50", "order p99", "frame p50", "frame p99"];
    part.tables.extend(table("Latency of a click: medians over trials", &columns, rows.collect()));
    part
}

fn takeaway(evidence: &Evidence<'_>) -> Option<String> {
    let mut sentences = Vec::new();
    for node in evidence.levels(NODE) {
        let found = evidence.hostings().into_iter().filter_map(|name| {
            Some((name, evidence.estimate(&Arm::of([(NODE, node), (HOSTING, name)]), "order_us_p50")?))
        });
        let found: Vec<(&str, Estimated)> = found.collect();
        let Some((_, first)) = found.first() else { continue };
        let sure = first.interval.map_or(String::new(), |interval| format!(", {} intervals", level(interval.level)));
        let phrases: Vec<String> = found
            .iter()
            .map(|(name, estimate)| format!("{} {}", super::words::with_interval(estimate, time_us), place(name)))
            .collect();
        sentences.push(format!(
            "At the {node} half of the clicks are ordered within {} (n = {}{sure}).",
            list(&phrases),
            first.n
        ));
    }
    (!sentences.is_empty()).then(|| sentences.join(" "))
}

fn percentiles(evidence: &Evidence<'_>, name: &str, histogram: &str, what: &str) -> Option<Figure> {
    let mut found = Vec::new();
    let mut merged = Vec::new();
    for node in evidence.levels(NODE) {
        let arm = |hosting: &str| Arm::of([(NODE, node), (HOSTING, hosting)]);
        let hostings = evidence.hostings();
        let lines = hostings
            .iter()
            .filter_map(|name| percentile_line(evidence, &arm(name), histogram, label(name), hue(name)))
            .collect();
        let all = hostings.iter().filter_map(|name| Some((node, *name, evidence.histogram(&arm(name), histogram)?)));
        merged.extend(all);
        found.extend(percentile_plot(what, lines).map(|plot| (format!("clicks at the {node}"), plot)));
    }
    // The highest percentile that all of them have.
    let shared = SHARES.iter().find_map(|(words, quantile)| {
        let values = merged.iter().map(|(node, name, all)| Some((percentile(all, *quantile)?, *node, *name)));
        Some((words, values.collect::<Option<Vec<_>>>()?.into_iter().max()?))
    });
    let title = shared.map_or_else(
        || format!("From {what}"),
        |(share, (ns, node, hosting))| {
            let time = time_us(ns as f64 / 1e3);
            format!("{share} take at most {time} from {what}; the slowest is a server {} at the {node}", place(hosting))
        },
    );
    figure(
        name,
        panels(found),
        title,
        format!("all clicks of {}, from when they were due", count(evidence.good.len(), "trial")),
        format!("Percentiles of the time from {what}; none with fewer than ten clicks beyond it."),
    )
}
