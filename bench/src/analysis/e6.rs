//! E6: how much load the cluster takes before latency climbs.
//!
//! Invariant: a rate counts as carried only if nearly all of what was offered was acknowledged.

use super::Part;
use super::draw::{axis, cell, figure, line, lines, table};
use super::evidence::{Evidence, leading_number};
use super::finding::{Hue, Plot, Point, Scale};
use super::words::{about_intervals, number, percent, time_us, with_interval};
use crate::stats::Estimated;
use crate::suite::trial::Arm;

const OFFERED: &str = "offered_per_s";
const ACHIEVED: &str = "achieved_per_s";
const P50: &str = "commit_us_p50";
const P99: &str = "commit_us_p99";

/// The share of the offered rate that must be achieved for the cluster to carry it.
const CARRIED: f64 = 0.95;

/// A load.
struct Load<'a> {
    arm: &'a Arm,
    offered: f64,
    achieved: Estimated,
}

/// What it finds.
pub(super) fn find(evidence: &Evidence<'_>) -> Part {
    let loads = loads(evidence);
    let mut part = Part { takeaway: takeaway(evidence, &loads), ..Part::default() };
    // In the order of what was offered: beyond saturation the curve may turn back.
    let curve = |metric: &str| -> Vec<Point> {
        let points = loads.iter().filter_map(|load| {
            let latency = evidence.estimate(load.arm, metric)?.map(|us| us / 1e3);
            Some(super::draw::point(load.achieved.value, latency))
        });
        points.collect()
    };
    let found = [("p99", P99, Hue::Other(0)), ("p50", P50, Hue::Other(1))];
    let found = found.into_iter().filter_map(|(name, metric, hue)| line(name, hue, curve(metric))).collect();
    let achieved: Vec<Estimated> = loads.iter().map(|load| load.achieved).collect();
    part.figures.extend(figure(
        "e6-saturation",
        lines(axis("acknowledged commands per second", Scale::FromZero), axis("commit latency, ms", Scale::Log), found)
            .filter(|plot| matches!(plot, Plot::Lines(_))),
        title(&loads).unwrap_or_default(),
        format!("open loop, from the intended send; {}", about_intervals(&achieved)),
        "Latency against the rate that was achieved. A point is an offered rate; where points stack up or turn back, more \
         is offered than the cluster carries.",
    ));
    let rows = loads.iter().map(|load| {
        vec![
            number(load.offered),
            with_interval(&load.achieved, number),
            cell(evidence.estimate(load.arm, P50), time_us),
            cell(evidence.estimate(load.arm, P99), time_us),
        ]
    });
    let columns = ["offered/s", "acknowledged/s", "p50", "p99"];
    part.tables.extend(table("Load and latency: medians over trials", &columns, rows.collect()));
    if is_open(&loads) {
        part.caveats.push("every offered rate was carried: how much the cluster takes at most is not known".to_owned());
    }
    part
}

fn loads<'a>(evidence: &Evidence<'a>) -> Vec<Load<'a>> {
    let found = evidence.arms().into_iter().filter_map(|arm| {
        let offered = leading_number(arm.level(OFFERED)?)?;
        Some(Load { arm, offered, achieved: evidence.estimate(arm, ACHIEVED)? })
    });
    let mut loads: Vec<Load<'_>> = found.collect();
    loads.sort_by(|a, b| a.offered.total_cmp(&b.offered));
    loads
}

fn is_carried(load: &Load<'_>) -> bool {
    load.achieved.value >= CARRIED * load.offered
}

/// Whether saturation was not reached: there are loads, and all of them are carried.
fn is_open(loads: &[Load<'_>]) -> bool {
    !loads.is_empty() && loads.iter().all(is_carried)
}

fn most<'b, 'a>(loads: &'b [Load<'a>]) -> Option<&'b Load<'a>> {
    loads.iter().max_by(|a, b| a.achieved.value.total_cmp(&b.achieved.value))
}

fn title(loads: &[Load<'_>]) -> Option<String> {
    if is_open(loads) {
        return Some(format!("The cluster carries at least {} commands per second", number(loads.last()?.offered)));
    }
    let most = most(loads)?;
    Some(format!("The cluster acknowledges at most {} commands per second", number(most.achieved.value)))
}

fn takeaway(evidence: &Evidence<'_>, loads: &[Load<'_>]) -> Option<String> {
    let with_p99 = |load: &Load<'_>| {
        let p99 = evidence.estimate(load.arm, P99);
        p99.map_or(String::new(), |p99| format!(", with a 99th percentile of {}", with_interval(&p99, time_us)))
    };
    if is_open(loads) {
        let highest = loads.last()?;
        return Some(format!(
            "The cluster carries at least {} commands per second (n = {}), the highest rate that was offered{}.",
            number(highest.offered),
            highest.achieved.n,
            with_p99(highest)
        ));
    }
    let most = most(loads)?;
    let carried = loads.iter().rfind(|load| is_carried(load));
    let carried = carried.map_or_else(
        || format!("none of the offered rates is carried ({} % or more acknowledged)", percent(CARRIED)),
        |load| {
            format!("the highest offered rate that is carried is {} per second{}", number(load.offered), with_p99(load))
        },
    );
    Some(format!(
        "The cluster acknowledges at most {} commands per second (n = {}), when {} are offered; {carried}.",
        with_interval(&most.achieved, number),
        most.achieved.n,
        number(most.offered)
    ))
}
