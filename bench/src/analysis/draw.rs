//! The pieces that findings are put together from: axes, columns, lines, tables.
//!
//! Invariant: nothing without data becomes a piece: a column has a trial, a line has a point, a figure has either.

use super::evidence::Evidence;
use super::finding::{Axis, Column, Estimate, Figure, Group, Groups, Hue, Line, Lines, Plot, Point, Scale, Table};
use super::hosting;
use super::words;
use crate::experiments::HOSTING;
use crate::stats::{Estimated, percentile_curve};
use crate::suite::trial::Arm;

impl From<Estimated> for Estimate {
    fn from(estimated: Estimated) -> Estimate {
        let interval = estimated.interval.map(|interval| (interval.low, interval.high));
        Estimate { value: estimated.value, interval, n: estimated.n }
    }
}

/// An axis.
pub(crate) fn axis(label: &str, scale: Scale) -> Axis {
    Axis { label: label.to_owned(), scale }
}

/// A column of a sample: a dot per trial, and the median.
pub(crate) fn column(label: &str, hue: Hue, dots: Vec<f64>) -> Option<Column> {
    let estimate = Estimated::median_of(&dots)?.into();
    Some(Column { label: label.to_owned(), hue, dots, estimate, reference: None })
}

/// A group with a column for each hosting that has the metric.
pub(crate) fn hosting_group(evidence: &Evidence<'_>, rest: &Arm, label: &str, metric: &str) -> Option<Group> {
    let columns: Vec<Column> = evidence
        .hostings()
        .into_iter()
        .filter_map(|name| {
            let values = evidence.values(&rest.clone().with(HOSTING, name), metric);
            column(hosting::label(name), hosting::hue(name), values)
        })
        .collect();
    group(label, columns)
}

/// A group, unless it is empty.
pub(crate) fn group(label: &str, columns: Vec<Column>) -> Option<Group> {
    (!columns.is_empty()).then(|| Group { label: label.to_owned(), columns })
}

/// A plot of groups, unless there are none.
pub(crate) fn groups(y: Axis, groups: Vec<Group>, references: Vec<(f64, String, Hue)>) -> Option<Plot> {
    (!groups.is_empty()).then_some(Plot::Groups(Groups { y, groups, references }))
}

/// A line, unless it has no points.
pub(crate) fn line(label: &str, hue: Hue, points: Vec<Point>) -> Option<Line> {
    let marks = points.len() <= 20;
    (!points.is_empty()).then(|| Line { label: label.to_owned(), hue, steps: false, marks, points })
}

/// A line of steps, such as a distribution's, unless it has none.
pub(crate) fn steps(label: &str, hue: Hue, points: impl IntoIterator<Item = (f64, f64)>) -> Option<Line> {
    let points: Vec<Point> = points.into_iter().map(|(x, y)| Point { x, y, interval: None }).collect();
    (!points.is_empty()).then(|| Line { label: label.to_owned(), hue, steps: true, marks: false, points })
}

/// A plot of lines, unless there are none.
pub(crate) fn lines(x: Axis, y: Axis, lines: Vec<Line>) -> Option<Plot> {
    let plot = Lines { x, y, lines, references: Vec::new(), spans: Vec::new() };
    (!plot.lines.is_empty()).then_some(Plot::Lines(plot))
}

/// Panels, or the plot alone where there is one, or nothing.
pub(crate) fn panels(mut panels: Vec<(String, Plot)>) -> Option<Plot> {
    if panels.len() < 2 { panels.pop().map(|(_, plot)| plot) } else { Some(Plot::Panels { panels }) }
}

/// A point with its interval.
pub(crate) fn point(x: f64, estimate: Estimated) -> Point {
    Point { x, y: estimate.value, interval: estimate.interval.map(|interval| (interval.low, interval.high)) }
}

/// The percentile line of a histogram of nanoseconds, in milliseconds, over all trials of an arm.
pub(crate) fn percentile_line(
    evidence: &Evidence<'_>,
    arm: &Arm,
    histogram: &str,
    label: &str,
    hue: Hue,
) -> Option<Line> {
    let merged = evidence.histogram(arm, histogram)?;
    let curve = percentile_curve(&merged).into_iter();
    let points =
        curve.filter(|(_, ns)| *ns > 0).map(|(percent, ns)| Point { x: percent, y: ns as f64 / 1e6, interval: None });
    let points: Vec<Point> = points.collect();
    (!points.is_empty()).then(|| Line { label: label.to_owned(), hue, steps: false, marks: false, points })
}

/// The plot of percentile lines.
pub(crate) fn percentile_plot(what: &str, found: Vec<Line>) -> Option<Plot> {
    lines(axis("percentile", Scale::Percentile), axis(&format!("{what}, ms"), Scale::Log), found)
}

/// A figure, if there is something to draw.
pub(crate) fn figure(
    name: &str,
    plot: Option<Plot>,
    title: impl Into<String>,
    subtitle: impl Into<String>,
    caption: impl Into<String>,
) -> Option<Figure> {
    let (title, subtitle, caption) = (title.into(), subtitle.into(), caption.into());
    plot.map(|plot| Figure { name: name.to_owned(), title, subtitle, caption, plot })
}

/// A cell of a table: the estimate with its interval, or with the size of a sample too small for one, or a dash.
pub(crate) fn cell(estimate: Option<Estimated>, write: impl Fn(f64) -> String) -> String {
    let n = |estimate: Estimated| match estimate.interval {
        Some(_) => words::with_interval(&estimate, &write),
        None => format!("{} (n = {})", write(estimate.value), estimate.n),
    };
    estimate.map_or_else(|| "–".to_owned(), n)
}

/// A table, unless it is empty.
pub(crate) fn table(title: &str, columns: &[&str], rows: Vec<Vec<String>>) -> Option<Table> {
    let columns = columns.iter().map(ToString::to_string).collect();
    (!rows.is_empty()).then(|| Table { title: title.to_owned(), columns, rows })
}
