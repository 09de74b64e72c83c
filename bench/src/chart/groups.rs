//! Categories side by side: every trial a dot, the estimate a bar end with its interval.
//!
//! Invariant: dots lie where their order puts them, so the same trials draw the same picture; what stands on zero has a
//! bar from zero.

use std::collections::BTreeSet;

use super::Block;
use super::axes;
use super::board::{self, Board, Category, Place, Sizes, Stage};
use super::canvas::{Canvas, Font, color, tint};
use super::hue;
use super::label::{Gutter, Naming};
use super::number::Precision;
use super::scale::{Range, Scale};
use crate::analysis::finding::{Column, Groups, Hue, Scale as Kind};

/// The share of a place that a bar fills.
const BAR: f64 = 0.62;

/// The share of a place that dots lie in.
const JITTER: f64 = 0.46;

/// The golden ratio's fraction: its multiples spread evenly however many there are.
const GOLDEN: f64 = 0.618_033_988_749_894_9;

/// Groups that know their size.
#[derive(Debug)]
pub(crate) struct GroupsBlock<'a> {
    data: &'a Groups,
    columns: Vec<&'a Column>,
    board: Board<'a>,
    gutter: Gutter,
    precision: Precision,
}

/// What the columns reach, references included.
pub(crate) fn range(data: &Groups) -> Range {
    let columns = || data.groups.iter().flat_map(|group| &group.columns);
    let estimates = columns().flat_map(|column| {
        let interval = column.estimate.interval.map(|(low, high)| [low, high]);
        std::iter::once(column.estimate.value).chain(interval.into_iter().flatten()).chain(column.reference)
    });
    let measured = Range::of(data.y.scale, columns().flat_map(|column| column.dots.iter().copied()).chain(estimates));
    if measured.is_empty() {
        return measured;
    }
    measured.and(Range::of(data.y.scale, data.references.iter().map(|(value, _, _)| *value)))
}

impl<'a> GroupsBlock<'a> {
    /// Groups on an axis over `range`, in a block of this width with rows of this height.
    pub(crate) fn new(data: &'a Groups, range: Range, width_px: f64, plot_px: f64) -> GroupsBlock<'a> {
        let references = data.references.iter().map(|(_, label, hue)| Naming::reference(label, *hue));
        let gutter = Gutter::of(references, width_px * 0.28);
        let least_plot_px = gutter.height_px();
        let sizes =
            Sizes { width_px, plot_px: plot_px.max(least_plot_px), least_plot_px, gutter_px: gutter.width_px() };
        let precision = Precision::of(range.span(data.y.scale));
        let mut categories = Vec::new();
        for (group, data) in data.groups.iter().enumerate() {
            categories.extend(data.columns.iter().map(|column| Category {
                name: &column.label,
                note: column.reference.filter(|value| value.is_finite()).map(|value| precision.write(value)),
                group,
                number_px: number_font(column.hue).width_px(&precision.write(column.estimate.value)),
            }));
        }
        let headings = data.groups.iter().map(|group| group.label.as_str()).collect();
        let board = Board::new(&data.y, range, categories, headings, sizes);
        let columns = data.groups.iter().flat_map(|group| &group.columns).collect();
        GroupsBlock { data, columns, board, gutter, precision }
    }

    fn draw_row(&self, canvas: &mut Canvas<'_>, stage: &Stage<'_>) {
        let (frame, y) = (stage.frame, &stage.y);
        let levels: Vec<Option<f64>> = self.data.references.iter().map(|(value, _, _)| y.place(*value)).collect();
        for (place, (_, _, hue)) in levels.iter().zip(&self.data.references) {
            if let Some(px) = *place {
                canvas.dashed(
                    &[(frame.left, px), (frame.right, px)],
                    hue::colour(*hue),
                    1.0,
                    hue::pattern(Hue::Reference),
                );
            }
        }
        for place in stage.places {
            let column = self.columns[place.category];
            let bar = (self.data.y.scale == Kind::FromZero).then(|| y.px(0.0));
            draw_column(canvas, column, *place, y, bar, self.precision);
        }
        let targets: Vec<_> = levels.into_iter().map(|level| level.map(|px| (frame.right, px))).collect();
        self.gutter.draw(canvas, frame.right, (frame.top, frame.bottom), &targets);
    }
}

impl Block for GroupsBlock<'_> {
    fn height_px(&self) -> f64 {
        self.board.height_px()
    }

    fn draw(&self, canvas: &mut Canvas<'_>, left: f64, top: f64) {
        self.board.draw(canvas, (left, top), |canvas, stage| self.draw_row(canvas, stage));
    }
}

fn number_font(hue: Hue) -> Font {
    axes::tick_font().bold().with(hue::colour(hue))
}

fn draw_column(
    canvas: &mut Canvas<'_>,
    column: &Column,
    place: Place,
    y: &Scale,
    zero: Option<f64>,
    precision: Precision,
) {
    let colour = hue::colour(column.hue);
    let half = place.half_px * BAR;
    let (from, to) = (place.middle - half, place.middle + half);
    let level = y.place(column.estimate.value);
    if let (Some(zero), Some(level)) = (zero, level) {
        canvas.rect(from, level.min(zero), to, level.max(zero), tint(colour, 0.16), 1.0);
    }
    let mut highest = level.unwrap_or(f64::INFINITY);
    for (x, dot) in scattered(column, place, y) {
        canvas.dot(x, dot, 2.1, colour, 0.45);
        highest = highest.min(dot);
    }
    let reference = column.reference.and_then(|value| y.place(value));
    if let Some(px) = reference {
        canvas.dashed(&[(from - 3.0, px), (to + 3.0, px)], color::INK, 1.3, &[3.0, 2.0]);
    }
    if let Some(level) = level {
        canvas.line(&[(from, level), (to, level)], colour, 2.0);
    }
    if let Some((low, high)) = column.estimate.interval {
        let (bottom, _) = y.ends_px();
        let (low, high) = (y.place(low).unwrap_or(bottom), y.place(high).unwrap_or(bottom));
        canvas.line(&[(place.middle, low), (place.middle, high)], colour, 1.4);
        for end in [low, high] {
            canvas.line(&[(place.middle - 4.0, end), (place.middle + 4.0, end)], colour, 1.4);
        }
        highest = highest.min(high);
    }
    // The number belongs to what was measured; a reference only moves it where it would be crossed.
    if let Some(px) = reference.filter(|px| (highest - 18.0..highest + 1.0).contains(px)) {
        highest = px;
    }
    if level.is_some() {
        let text = precision.write(column.estimate.value);
        board::draw_number(canvas, &text, place.middle, highest - 5.0, number_font(column.hue));
    }
}

/// The places of the trials; those that would cover each other are one.
fn scattered(column: &Column, place: Place, y: &Scale) -> Vec<(f64, f64)> {
    let mut cells = BTreeSet::new();
    let dots = column.dots.iter().enumerate().filter_map(|(number, value)| {
        let share = (number as f64 * GOLDEN).fract() - 0.5;
        Some((place.middle + share * 2.0 * place.half_px * JITTER, y.place(*value)?))
    });
    dots.filter(|(x, y)| cells.insert((x.round() as i64, y.round() as i64))).collect()
}
