//! A start, steps up or down, and an end.
//!
//! Invariant: the first and the last column stand on zero; every other one is the step from the level before it.

use plotters::prelude::RGBColor;

use super::Block;
use super::axes;
use super::board::{self, Board, Category, Place, Sizes, Stage};
use super::canvas::{Canvas, color, tint};
use super::number::Precision;
use super::scale::{Range, Scale};
use crate::analysis::finding::{Estimate, Waterfall};

/// The share of a place that a column fills.
const BAR: f64 = 0.68;

/// A waterfall that knows its size.
#[derive(Debug)]
pub(crate) struct WaterfallBlock<'a> {
    steps: Vec<Step>,
    board: Board<'a>,
}

/// A column.
#[derive(Clone, Debug)]
struct Step {
    /// Where it begins: at zero or at the level before.
    from: f64,
    estimate: Estimate,
    text: String,
    colour: RGBColor,
}

/// What the levels reach, and zero, which they stand on.
pub(crate) fn range(data: &Waterfall) -> Range {
    let levels = data.levels.iter().flat_map(|(_, estimate)| {
        let interval = estimate.interval.map(|(low, high)| [low, high]);
        std::iter::once(estimate.value).chain(interval.into_iter().flatten())
    });
    let measured = Range::of(data.y.scale, levels);
    if measured.is_empty() { measured } else { measured.and(Range::of(data.y.scale, [0.0])) }
}

impl<'a> WaterfallBlock<'a> {
    /// A waterfall on an axis over `range`, in a block of this width with rows of this height.
    pub(crate) fn new(data: &'a Waterfall, range: Range, width_px: f64, plot_px: f64) -> WaterfallBlock<'a> {
        let measured: Vec<&(String, Estimate)> =
            data.levels.iter().filter(|(_, estimate)| !Range::of(data.y.scale, [estimate.value]).is_empty()).collect();
        let steps = steps(&measured, Precision::of(range.span(data.y.scale)));
        let categories = measured.iter().zip(&steps).map(|((name, _), step)| Category {
            name,
            note: None,
            group: 0,
            number_px: axes::tick_font().bold().width_px(&step.text),
        });
        let sizes = Sizes { width_px, plot_px, least_plot_px: 0.0, gutter_px: 0.0 };
        let board = Board::new(&data.y, range, categories.collect(), Vec::new(), sizes);
        WaterfallBlock { steps, board }
    }

    fn draw_row(&self, canvas: &mut Canvas<'_>, stage: &Stage<'_>) {
        let y = &stage.y;
        for (number, place) in stage.places.iter().enumerate() {
            let step = &self.steps[place.category];
            let half = place.half_px * BAR;
            draw_step(canvas, step, *place, y);
            // The level goes on to the next column.
            let level = y.px(step.estimate.value);
            if let Some(next) = stage.places.get(number + 1) {
                let path = [(place.middle + half, level), (next.middle - half, level)];
                canvas.dashed(&path, color::GREY, 0.8, &[2.5, 2.5]);
            }
        }
    }
}

impl Block for WaterfallBlock<'_> {
    fn height_px(&self) -> f64 {
        self.board.height_px()
    }

    fn draw(&self, canvas: &mut Canvas<'_>, left: f64, top: f64) {
        self.board.draw(canvas, (left, top), |canvas, stage| self.draw_row(canvas, stage));
    }
}

fn steps(levels: &[&(String, Estimate)], precision: Precision) -> Vec<Step> {
    let mut before = 0.0;
    let step = |(number, (_, estimate)): (usize, &&(String, Estimate))| {
        let stands = number == 0 || number + 1 == levels.len();
        let change = estimate.value - before;
        let from = if stands { 0.0 } else { before };
        before = estimate.value;
        let (text, colour) = match stands {
            true => (precision.write(estimate.value), color::GREY),
            false => (precision.signed(change), if change < 0.0 { color::VERMILION } else { color::BLUE }),
        };
        Step { from, estimate: *estimate, text, colour }
    };
    levels.iter().enumerate().map(step).collect()
}

fn draw_step(canvas: &mut Canvas<'_>, step: &Step, place: Place, y: &Scale) {
    let half = place.half_px * BAR;
    let (from, level) = (y.px(step.from), y.px(step.estimate.value));
    // A step of nothing is still a step.
    let (top, bottom) = (from.min(level), from.max(level).max(from.min(level) + 1.0));
    canvas.rect(place.middle - half, top, place.middle + half, bottom, tint(step.colour, 0.55), 1.0);
    canvas.line(&[(place.middle - half, level), (place.middle + half, level)], step.colour, 2.0);
    let mut highest = top;
    if let Some((low, high)) = step.estimate.interval {
        let (low, high) = (y.px(low), y.px(high));
        canvas.line(&[(place.middle, low), (place.middle, high)], color::INK, 1.2);
        for end in [low, high] {
            canvas.line(&[(place.middle - 4.0, end), (place.middle + 4.0, end)], color::INK, 1.2);
        }
        highest = highest.min(high);
    }
    let font = axes::tick_font().bold().with(step.colour);
    board::draw_number(canvas, &step.text, place.middle, highest - 5.0, font);
}
