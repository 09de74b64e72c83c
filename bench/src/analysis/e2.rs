//! E2: how the frame rate falls with the number of squares, with and without a server, and what is left in a window.
//!
//! Invariant: a hosting's cost is the ratio to the baseline of the same block and number of squares. Frames that go
//! into memory and frames that are shown are never mixed.

mod window;

use self::window::Windows;
use super::Part;
use super::draw::{axis, cell, figure, line, lines, point, table};
use super::evidence::{Evidence, leading_number};
use super::finding::{Figure, Scale};
use super::hosting::{WITH_SERVER, hue, label, place};
use super::words::{self, about_intervals, either, list, number, percent, share, time_us};
use crate::experiments::{BASELINE, DISPLAY, HOSTING};
use crate::stats::Estimated;
use crate::suite::trial::Arm;

const DOTS: &str = "dots";
const FPS: &str = "fps";
const P99: &str = "frame_us_p99";

/// What it finds.
pub(super) fn find(all: &Evidence<'_>) -> Part {
    let mut part = in_memory(&all.only(|arm| arm.level(DISPLAY).is_none()));
    if let Some(windows) = Windows::of(all) {
        let sentences: Vec<String> = part.takeaway.into_iter().chain(windows.sentence()).collect();
        part.takeaway = (!sentences.is_empty()).then(|| sentences.join(" "));
        part.figures.extend(windows.figure());
        part.tables.extend(windows.table());
    }
    part
}

fn in_memory(evidence: &Evidence<'_>) -> Part {
    let mut part = Part { takeaway: takeaway(evidence), ..Part::default() };
    part.figures.extend(costs(evidence));
    part.figures.extend(CURVES.iter().filter_map(|curve| curve.draw(evidence)));
    let mut rows = Vec::new();
    for dots in evidence.levels(DOTS) {
        for name in evidence.hostings() {
            let arm = arm(dots, name);
            rows.push(vec![
                dots.to_owned(),
                label(name).to_owned(),
                cell(evidence.estimate(&arm, FPS), number),
                cell(evidence.estimate(&arm, P99), time_us),
                cell(cost(evidence, dots, name), share),
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
    cost_between(evidence, &arm(dots, BASELINE), &arm(dots, hosting))
}

/// What an arm costs compared with another one, as a share of the frames.
fn cost_between(evidence: &Evidence<'_>, base: &Arm, other: &Arm) -> Option<Estimated> {
    Some(evidence.ratio(base, other, FPS)?.map(|ratio| 1.0 - ratio))
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
    let mut is_known = false;
    for name in WITH_SERVER {
        let costs = levels.iter().filter_map(|dots| Some((*dots, cost(evidence, dots, name)?)));
        let costs: Vec<(&str, Estimated)> = costs.collect();
        is_known |= costs.iter().any(|(_, cost)| cost.interval.is_some());
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
    if !free.is_empty() && !is_known {
        sentence += "; there are too few blocks to say what a server costs";
    } else if !free.is_empty() {
        sentence += &format!("; there is no evidence of a cost {}, at any number of dots", either(&free));
    }
    Some(sentence + ".")
}

/// A metric over the number of dots, a line per hosting.
struct Curve {
    name: &'static str,
    metric: &'static str,
    /// What it is called on the axis.
    what: &'static str,
    /// How many of the metric's units are one of the axis.
    unit: f64,
    /// What is said before the values at the fewest and at the most dots.
    said: &'static str,
    /// A value in words.
    write: fn(f64) -> String,
    caption: &'static str,
}

const CURVES: [Curve; 2] = [
    Curve {
        name: "e2-fps",
        metric: FPS,
        what: "frames per second",
        unit: 1.0,
        said: "Frames per second without a server:",
        write: number,
        caption: "Frames per second by the number of moving squares of 30×30 pixels; every frame repaints the whole board. \
                  Both axes are logarithmic: the rates span orders of magnitude.",
    },
    Curve {
        name: "e2-p99",
        metric: P99,
        what: "99th percentile of the frame time, ms",
        unit: 1e3,
        said: "Without a server 99 frames in 100 take at most",
        write: time_us,
        caption: "The 99th percentile of the frame time by the number of moving squares; none with fewer than ten frames \
                  beyond it.",
    },
];

impl Curve {
    /// `None` as well for a single number of dots, which makes no curve.
    fn draw(&self, evidence: &Evidence<'_>) -> Option<Figure> {
        let at = |dots: &str, hosting: &str| {
            Some((leading_number(dots)?, evidence.estimate(&arm(dots, hosting), self.metric)?))
        };
        let along = |hosting: &str| -> Vec<(f64, Estimated)> {
            evidence.levels(DOTS).into_iter().filter_map(|dots| at(dots, hosting)).collect()
        };
        let (mut found, mut estimates) = (Vec::new(), Vec::new());
        for hosting in evidence.hostings().into_iter().filter(|name| *name == BASELINE || WITH_SERVER.contains(name)) {
            let values = along(hosting);
            estimates.extend(values.iter().map(|(_, estimate)| *estimate));
            let points =
                values.into_iter().map(|(dots, estimate)| point(dots, estimate.map(|value| value / self.unit)));
            found.extend(line(label(hosting), hue(hosting), points.collect()));
        }
        let alone = along(BASELINE);
        let [few, many] = [alone.first()?, alone.last()?];
        if few.0 == many.0 {
            return None;
        }
        let [few, many] =
            [few, many].map(|(dots, fps)| format!("{} with {} dots", (self.write)(fps.value), number(*dots)));
        let title = format!("{} {few}, {many}", self.said);
        let plot = lines(axis("dots", Scale::Log), axis(self.what, Scale::Log), found);
        figure(self.name, plot, title, about_intervals(&estimates), self.caption)
    }
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
    let is_unknown = estimates.iter().all(|cost| cost.interval.is_none());
    let claimed = estimates.iter().filter(|cost| cost.interval.is_some_and(|interval| interval.low > 0.0));
    let most = claimed.map(|cost| cost.value).max_by(f64::total_cmp);
    let title = if is_unknown {
        "Too few blocks to say what a server costs".to_owned()
    } else if let Some(most) = most {
        format!("Where there is evidence that a server costs frames, it is at most {} % of them", percent(most / 100.0))
    } else {
        "No evidence that a server costs frames, at any number of dots".to_owned()
    };
    figure(
        "e2-cost",
        lines(axis("dots", Scale::Log), axis("frames lost to the server, %", Scale::Linear), found),
        title,
        format!("1 − ratio to the baseline of the same block; {}", about_intervals(&estimates)),
        "What a server costs the game beside it, by the number of squares the game draws.",
    )
}
