//! What an analysis gives: figures as data, tables, and sentences. Reports and charts are drawn from these alone.
//!
//! Invariant: numbers that are not finite never get this far; a series without points is left out.

use serde::{Deserialize, Serialize};

use crate::suite::trial::ExperimentId;

/// What was found in one experiment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// The experiment.
    pub experiment: ExperimentId,
    /// Its question.
    pub question: String,
    /// The answer in one sentence, with numbers and intervals.
    pub takeaway: String,
    /// The figures, the main one first.
    pub figures: Vec<Figure>,
    /// The tables.
    pub tables: Vec<Table>,
    /// What could not be concluded and why, drift, bad blocks, whatever a reader must know.
    pub caveats: Vec<String>,
}

/// One chart.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Figure {
    /// The stem of its file names: `e1-fps`.
    pub name: String,
    /// The takeaway of this chart.
    pub title: String,
    /// Unit, n, and what the interval is.
    pub subtitle: String,
    /// What a paper would print below it.
    pub caption: String,
    /// What is drawn.
    pub plot: Plot,
}

/// The kinds of charts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Plot {
    /// Lines of points over a continuous axis: time series, curves, percentile plots, ECDFs.
    Lines(Lines),
    /// Categories side by side, each with every trial as a dot and an estimate with its interval.
    Groups(Groups),
    /// A matrix of values as colours, with the value written in each cell.
    Heat(Heat),
    /// Stacked bars.
    Stacks(Stacks),
    /// A start value, steps up or down, and an end value.
    Waterfall(Waterfall),
    /// Small multiples on shared scales.
    Panels {
        /// Title and plot of each panel.
        panels: Vec<(String, Plot)>,
    },
}

/// An axis.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Axis {
    /// What it shows, with the unit.
    pub label: String,
    /// Its scale.
    pub scale: Scale,
}

/// How values become places.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scale {
    /// Linear, from zero.
    FromZero,
    /// Linear, over the range of the values.
    Linear,
    /// Logarithmic.
    Log,
    /// Percentiles p (0 to 100, exclusive) by log of 1/(1 − p): 90, 99, 99.9 equally far apart.
    Percentile,
}

/// A colour with a meaning, and dashes to match.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Hue {
    /// No server.
    Baseline,
    /// A server in a thread.
    Thread,
    /// A server in a process.
    Process,
    /// A server as an asynchronous task.
    Async,
    /// Anything else, by its place among the others (0, 1, 2 …).
    Other(u8),
    /// Background, such as reference lines.
    Reference,
}

/// An estimate and its interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// The estimate.
    pub value: f64,
    /// The interval; `None` when there are too few samples for its level.
    pub interval: Option<(f64, f64)>,
    /// How many samples.
    pub n: usize,
}

/// Lines over a continuous axis.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Lines {
    /// The horizontal axis.
    pub x: Axis,
    /// The vertical axis.
    pub y: Axis,
    /// The lines.
    pub lines: Vec<Line>,
    /// Horizontal reference lines: value, label.
    pub references: Vec<(f64, String, Hue)>,
    /// Shaded spans of x with a label: a warm-up, a fault.
    pub spans: Vec<(f64, f64, String)>,
}

/// One line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Line {
    /// Its direct label.
    pub label: String,
    /// Its colour.
    pub hue: Hue,
    /// Whether it is drawn as steps (ECDF).
    pub steps: bool,
    /// Whether points are marked.
    pub marks: bool,
    /// Points in the order in which they are joined: that of x, unless the line turns back.
    pub points: Vec<Point>,
}

/// A point of a line.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// Its place on the horizontal axis.
    pub x: f64,
    /// Its place on the vertical axis.
    pub y: f64,
    /// The interval of `y`, if there is one.
    pub interval: Option<(f64, f64)>,
}

/// Groups of categories.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Groups {
    /// The vertical axis.
    pub y: Axis,
    /// The groups from left to right.
    pub groups: Vec<Group>,
    /// Horizontal reference lines: value, label.
    pub references: Vec<(f64, String, Hue)>,
}

/// A group: a heading and the columns under it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Group {
    /// Its heading.
    pub label: String,
    /// Its columns.
    pub columns: Vec<Column>,
}

/// A column: every trial, and the estimate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Column {
    /// Its label.
    pub label: String,
    /// Its colour.
    pub hue: Hue,
    /// The trials.
    pub dots: Vec<f64>,
    /// The estimate.
    pub estimate: Estimate,
    /// A reference value for this column alone, such as the original paper's mean.
    pub reference: Option<f64>,
}

/// A matrix.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Heat {
    /// What rows are.
    pub row_label: String,
    /// What columns are.
    pub column_label: String,
    /// The rows' names.
    pub rows: Vec<String>,
    /// The columns' names.
    pub columns: Vec<String>,
    /// The values, row by row; `None` where nothing was measured.
    pub cells: Vec<Vec<Option<f64>>>,
    /// The value that is neither good nor bad.
    pub neutral: f64,
    /// What values are, with the unit.
    pub value_label: String,
}

/// Stacked bars.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Stacks {
    /// The vertical axis.
    pub y: Axis,
    /// What the parts are called, from the bottom.
    pub parts: Vec<String>,
    /// The bars: label and the size of each part.
    pub bars: Vec<(String, Vec<f64>)>,
}

/// A waterfall.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Waterfall {
    /// The vertical axis.
    pub y: Axis,
    /// The columns from left to right: label, the level reached there, and its interval. Each is drawn as the step from
    /// the one before; the first and the last stand on zero.
    pub levels: Vec<(String, Estimate)>,
}

/// A table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Table {
    /// Its heading.
    pub title: String,
    /// The columns' names; units last.
    pub columns: Vec<String>,
    /// The rows, as they are printed.
    pub rows: Vec<Vec<String>>,
}
