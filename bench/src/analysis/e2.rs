//! E2: how the frame rate falls with the number of squares, with and without a server.
//!
//! Invariant: a hosting's cost is the ratio to the baseline of the same block and number of squares.

use super::Part;
use super::draw::{axis, cell, figure, line, lines, point, table};
use super::evidence::{Evidence, leading_number};
use super::finding::{Figure, Line, Scale};
use super::hosting::{WITH_SERVER, hue, label, place};
use super::words::{self, about_intervals, capitalised, either, list, number, percent, time_us};
use crate::experiments::{BASELINE, HOSTING};
use crate::stats::Estimated;
use crate::suite::trial::Arm;

const DOTS: &str = "dots";
const FPS: &str = "fps";
const P99: &str = "frame_us_p99";

/// What it finds.
pub(super) fn find(evidence: &Evidence<'_>) -> Part {
    let mut part = Part { takeaway: takeaway(evidence), ..Part::default() };
    part.figures.extend(curve(evidence, "e2-fps", FPS, "frames per second", Scale::Log, |fps| fps));
    part.figures.extend(costs(evidence));
    part.figures.extend(curve(evidence, "e2-p99", P99, "ms for 99 frames in 100", Scale::Log, |us| us / 1e3));
    let mut rows = Vec::new();
    for dots in evidence.levels(DOTS) {
        for name in evidence.hostings() {
            let arm = arm(dots, name);
            rows.push(vec![
                dots.to_owned(),
                label(name).to_owned(),
                cell(evidence.estimate(&arm, FPS), number),
                cell(evidence.estimate(&arm, P99), time_us),
                cost(evidence, dots, name).map_or("–".into(), |cost| words::cost(&cost)),
            ]);
        }
    }
    part.tables.extend(table(
        "Frames by the number of squares",
        &["dots", "server", "frames/s", "frame p99", "cost"],
        rows,
    ));
    part
}

fn arm(dots: &str, hosting: &str) -> Arm {
    Arm::of([(DOTS, dots), (HOSTING, hosting)])
}

fn cost(evidence: &Evidence<'_>, dots: &str, hosting: &str) -> Option<Estimated> {
    if hosting == BASELINE {
        return None;
    }
    Some(evidence.ratio(&arm(dots, BASELINE), &arm(dots, hosting), FPS)?.map(|ratio| 1.0 - ratio))
}

fn takeaway(evidence: &Evidence<'_>) -> Option<String> {
    let levels = evidence.levels(DOTS);
    let (fewest, most) = (*levels.first()?, *levels.last()?);
    let fps = |dots: &str| evidence.estimate(&arm(dots, BASELINE), FPS);
    let (at_fewest, at_most) = (fps(fewest)?, fps(most)?);
    let mut sentence = format!(
        "Without a server the game draws {} frames per second with {} dots and {} with {} (n = {})",
        number(at_fewest.value),
        number(leading_number(fewest)?),
        number(at_most.value),
        number(leading_number(most)?),
        at_most.n
    );
    // Where it hurts most, per hosting, of what an interval supports.
    let (mut costly, mut free) = (Vec::new(), Vec::new());
    for name in WITH_SERVER {
        let costs = levels.iter().filter_map(|dots| Some((*dots, cost(evidence, dots, name)?)));
        let costs: Vec<(&str, Estimated)> = costs.collect();
        let claimed = costs.iter().filter(|(_, cost)| cost.interval.is_some_and(|interval| interval.low > 0.0));
        match claimed.max_by(|a, b| a.1.value.total_cmp(&b.1.value)) {
            Some((dots, cost)) => {
                let dots = number(leading_number(dots)?);
                costly.push(format!("{} {} with {dots} dots", words::cost_of(cost, " of the frames"), place(name)));
            }
            None if !costs.is_empty() => free.push(place(name).to_owned()),
            None => {}
        }
    }
    if !costly.is_empty() {
        sentence += &format!("; the most that a server costs is {}", list(&costly));
    }
    if !free.is_empty() {
        sentence += &format!("; there is no evidence of a cost {}, at any number of dots", either(&free));
    }
    Some(sentence + ".")
}

fn curve(
    evidence: &Evidence<'_>,
    name: &str,
    metric: &str,
    what: &str,
    scale: Scale,
    unit: impl Fn(f64) -> f64,
) -> Option<Figure> {
    let levels = evidence.levels(DOTS);
    let mut estimates = Vec::new();
    let mut found: Vec<Line> = Vec::new();
    for hosting in evidence.hostings().into_iter().filter(|name| *name == BASELINE || WITH_SERVER.contains(name)) {
        let points = levels.iter().filter_map(|dots| {
            let estimate = evidence.estimate(&arm(dots, hosting), metric)?.map(&unit);
            estimates.push(estimate);
            Some(point(leading_number(dots)?, estimate))
        });
        let points = points.collect();
        found.extend(line(label(hosting), hue(hosting), points));
    }
    let (first, last) = (levels.first()?, levels.last()?);
    let at = |dots: &str| Some(number(evidence.estimate(&arm(dots, BASELINE), metric)?.map(&unit).value));
    let title = match (at(first), at(last)) {
        (Some(few), Some(many)) => {
            let [first, last] = [first, last].map(|dots| leading_number(dots).map_or_else(String::new, number));
            format!("Without a server: {few} {what} with {first} dots, {many} with {last}")
        }
        _ => capitalised(what),
    };
    figure(
        name,
        lines(axis("dots", Scale::Log), axis(what, scale), found),
        title,
        about_intervals(&estimates),
        format!(
            "The {what} by the number of moving squares of 30×30 pixels, with the whole board repainted every frame."
        ),
    )
}

fn costs(evidence: &Evidence<'_>) -> Option<Figure> {
    let levels = evidence.levels(DOTS);
    let mut estimates = Vec::new();
    let mut found = Vec::new();
    for hosting in WITH_SERVER {
        let points = levels.iter().filter_map(|dots| {
            let cost = cost(evidence, dots, hosting)?.map(|share| share * 100.0);
            estimates.push(cost);
            Some(point(leading_number(dots)?, cost))
        });
        let points = points.collect();
        found.extend(line(label(hosting), hue(hosting), points));
    }
    let all_free = estimates.iter().all(|cost| cost.interval.is_none_or(|interval| interval.holds(0.0)));
    let title = if all_free {
        "No evidence that a server costs frames, at any number of dots".to_owned()
    } else {
        let worst = estimates.iter().max_by(|a, b| a.value.total_cmp(&b.value))?;
        format!("A server costs at most {} % of the frames, over all numbers of dots", percent(worst.value / 100.0))
    };
    figure(
        "e2-cost",
        lines(axis("dots", Scale::Log), axis("frames lost to the server, %", Scale::Linear), found),
        title,
        format!("1 − ratio to the baseline of the same block; {}", about_intervals(&estimates)),
        "What a server costs the game beside it, by the number of squares the game draws.",
    )
}
