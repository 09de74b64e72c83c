//! E12: whether the nodes of a cluster on one machine should be processes, threads or tasks.
//!
//! Invariant: placements are compared with processes, the way a lab runs, within blocks.

use super::draw::{axis, cell, column, figure, group, groups, table};
use super::evidence::Evidence;
use super::finding::{Figure, Hue, Scale};
use super::metric::Better;
use super::words::{about_intervals, list, number, time_us, with_interval};
use super::{Part, words};
use crate::stats::Estimated;
use crate::suite::trial::Arm;

const PLACEMENT: &str = "placement";
const PROCESSES: &str = "processes";
const P50: &str = "commit_us_p50";
const P99: &str = "commit_us_p99";
const RATE: &str = "achieved_per_s";
const CPU: &str = "cpu_s_per_1000_commits";

/// A chart of one metric.
struct Chart {
    name: &'static str,
    metric: &'static str,
    /// What it is called, with the unit it is shown in, and how many of the metric's units that is.
    what: &'static str,
    unit: f64,
    better: Better,
    caption: &'static str,
}

const CHARTS: [Chart; 2] = [
    Chart {
        name: "e12-rate",
        metric: RATE,
        what: "acknowledged commands per second",
        unit: 1.0,
        better: Better::Higher,
        caption: "How much a busy cluster commits by placement of its nodes.",
    },
    Chart {
        name: "e12-latency",
        metric: P50,
        what: "median commit latency in ms",
        unit: 1e3,
        better: Better::Lower,
        caption: "How long a commit takes in a busy cluster by placement of its nodes.",
    },
];

/// What it finds.
pub(super) fn find(evidence: &Evidence<'_>) -> Part {
    let mut part = Part { takeaway: takeaway(evidence), ..Part::default() };
    part.figures.extend(CHARTS.iter().filter_map(|chart| chart.draw(evidence)));
    let rows = placements(evidence).into_iter().map(|placement| {
        let of = |metric: &str, write: fn(f64) -> String| cell(evidence.estimate(&arm(placement), metric), write);
        vec![placement.to_owned(), of(P50, time_us), of(P99, time_us), of(RATE, number), of(CPU, number)]
    });
    let columns = ["nodes are", "p50", "p99", "acknowledged/s", "CPU s per 1000 commits"];
    part.tables.extend(table("A cluster by placement: medians over trials", &columns, rows.collect()));
    part
}

fn arm(placement: &str) -> Arm {
    Arm::of([(PLACEMENT, placement)])
}

fn placements<'a>(evidence: &Evidence<'a>) -> Vec<&'a str> {
    let mut placements = evidence.levels(PLACEMENT);
    placements.sort_by_key(|name| [PROCESSES, "threads", "tasks"].iter().position(|known| known == name));
    placements
}

fn takeaway(evidence: &Evidence<'_>) -> Option<String> {
    let base = evidence.estimate(&arm(PROCESSES), RATE)?;
    let others = placements(evidence).into_iter().filter(|placement| *placement != PROCESSES);
    let phrases: Vec<String> = others
        .filter_map(|placement| {
            let ratio = evidence.ratio(&arm(PROCESSES), &arm(placement), RATE)?;
            Some(format!("as {placement} {} times that", words::ratio(&ratio)))
        })
        .collect();
    let others = if phrases.is_empty() { String::new() } else { format!("; {}", list(&phrases)) };
    Some(format!(
        "A busy cluster acknowledges {} commands per second with nodes as processes (n = {}){others}.",
        with_interval(&base, number),
        base.n
    ))
}

impl Chart {
    fn draw(&self, evidence: &Evidence<'_>) -> Option<Figure> {
        let Chart { name, metric, what, unit, better, caption } = *self;
        let found: Vec<(&str, Vec<f64>)> = placements(evidence)
            .into_iter()
            .map(|placement| {
                (placement, evidence.values(&arm(placement), metric).into_iter().map(|value| value / unit).collect())
            })
            .collect();
        let estimates: Vec<(&str, Estimated)> =
            found.iter().filter_map(|(placement, values)| Some((*placement, Estimated::median_of(values)?))).collect();
        let by_value = |a: &&(&str, Estimated), b: &&(&str, Estimated)| a.1.value.total_cmp(&b.1.value);
        let best = match better {
            Better::Higher => estimates.iter().max_by(by_value)?,
            Better::Lower => estimates.iter().min_by(by_value)?,
        };
        let clear = |base: &str, other: &str| {
            let ratio = evidence.ratio(&arm(base), &arm(other), metric);
            ratio.is_some_and(|ratio| ratio.interval.is_some_and(|interval| !interval.holds(1.0)))
        };
        let others = estimates.iter().filter(|(placement, _)| *placement != best.0);
        let title = if estimates.len() > 1 && others.clone().all(|(other, _)| clear(other, best.0)) {
            format!("Nodes as {} do best: {what} {}", best.0, number(best.1.value))
        } else if estimates.iter().all(|(_, estimate)| estimate.interval.is_none()) {
            format!("Too few blocks to tell placements apart in {what}")
        } else {
            format!("No evidence that one placement is best in {what}: {} as {}", number(best.1.value), best.0)
        };
        let columns = found
            .iter()
            .enumerate()
            .filter_map(|(place, (placement, values))| column(placement, Hue::Other(place as u8), values.clone()));
        figure(
            name,
            groups(axis(what, Scale::FromZero), group("nodes as", columns.collect()).into_iter().collect(), Vec::new()),
            title,
            about_intervals(estimates.iter().map(|(_, estimate)| estimate)),
            caption,
        )
    }
}
