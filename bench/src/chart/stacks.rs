//! Stacked bars, with the parts named beside the last bar of a row.
//!
//! Invariant: parts lie in the order they are named in, from the bottom; a part that is not a size more than nothing is
//! not drawn.

use plotters::prelude::RGBColor;

use super::Block;
use super::axes;
use super::board::{self, Board, Category, Place, Sizes, Stage};
use super::canvas::{Anchor, Canvas, Font, color, tint};
use super::hue;
use super::label::{Gutter, Naming};
use super::number::Precision;
use super::scale::{Range, Scale};
use crate::analysis::finding::{Hue, Scale as Kind, Stacks};

/// The share of a place that a bar fills.
const BAR: f64 = 0.7;

/// Stacks that know their size.
#[derive(Debug)]
pub(crate) struct StacksBlock<'a> {
    data: &'a Stacks,
    board: Board<'a>,
    gutter: Gutter,
    precision: Precision,
}

/// What the bars reach.
pub(crate) fn range(data: &Stacks) -> Range {
    let totals = data.bars.iter().map(|(_, sizes)| steps(sizes).last().map_or(0.0, |(_, _, to)| to));
    Range::of(Kind::FromZero, totals.filter(|total| *total > 0.0))
}

/// Each part's number, and the heights it begins and ends at.
fn steps(sizes: &[f64]) -> impl Iterator<Item = (usize, f64, f64)> + '_ {
    let mut top = 0.0;
    let sound = sizes.iter().enumerate().filter(|(_, size)| size.is_finite() && **size > 0.0);
    sound.map(move |(part, size)| {
        let from = top;
        top += size;
        (part, from, top)
    })
}

impl<'a> StacksBlock<'a> {
    /// Bars on an axis over `range`, in a block of this width with rows of this height.
    pub(crate) fn new(data: &'a Stacks, range: Range, width_px: f64, plot_px: f64) -> StacksBlock<'a> {
        let parts =
            data.parts.iter().enumerate().map(|(part, text)| Naming { text, colour: part_colour(part), sample: None });
        let gutter = Gutter::of(parts, width_px * 0.3);
        let least_plot_px = gutter.height_px();
        let sizes =
            Sizes { width_px, plot_px: plot_px.max(least_plot_px), least_plot_px, gutter_px: gutter.width_px() };
        let precision = Precision::of(range.span(Kind::FromZero));
        let category = |(name, sizes): &'a (String, Vec<f64>)| Category {
            name,
            note: None,
            group: 0,
            number_px: total_font().width_px(&precision.write(total(sizes))),
        };
        let categories = data.bars.iter().map(category).collect();
        let board = Board::new(&data.y, range, categories, Vec::new(), sizes);
        StacksBlock { data, board, gutter, precision }
    }

    fn draw_row(&self, canvas: &mut Canvas<'_>, stage: &Stage<'_>) {
        for place in stage.places {
            draw_bar(canvas, &self.data.bars[place.category].1, *place, &stage.y, self.precision);
        }
        if let Some(last) = stage.places.last() {
            let x = last.middle + last.half_px * BAR;
            let sizes = &self.data.bars[last.category].1;
            let targets: Vec<_> =
                (0..self.data.parts.len()).map(|part| Some((x, part_middle(sizes, part, &stage.y)))).collect();
            self.gutter.draw(canvas, stage.frame.right, (stage.frame.top, stage.frame.bottom), &targets);
        }
    }
}

impl Block for StacksBlock<'_> {
    fn height_px(&self) -> f64 {
        self.board.height_px()
    }

    fn draw(&self, canvas: &mut Canvas<'_>, left: f64, top: f64) {
        self.board.draw(canvas, (left, top), |canvas, stage| self.draw_row(canvas, stage));
    }
}

fn draw_bar(canvas: &mut Canvas<'_>, sizes: &[f64], place: Place, y: &Scale, precision: Precision) {
    let half = place.half_px * BAR;
    for (part, from, to) in steps(sizes) {
        let (bottom, top) = (y.px(from), y.px(to));
        canvas.rect(place.middle - half, top, place.middle + half, bottom, tint(part_colour(part), 0.85), 1.0);
        canvas.line(&[(place.middle - half, top), (place.middle + half, top)], color::PAPER, 1.0);
        let text = precision.write(to - from);
        let font = axes::tick_font().with(color::PAPER);
        if bottom - top >= 15.0 && font.width_px(&text) + 4.0 <= 2.0 * half {
            canvas.text(&text, place.middle, (bottom + top) / 2.0 + 4.0, Anchor::Middle, font);
        }
    }
    let total = total(sizes);
    board::draw_number(canvas, &precision.write(total), place.middle, y.px(total) - 5.0, total_font());
}

/// The middle of a part, or where it would lie if it had a size.
fn part_middle(sizes: &[f64], part: usize, y: &Scale) -> f64 {
    let below: f64 = total(sizes.get(..part).unwrap_or(sizes));
    let own = sizes.get(part).copied().filter(|size| size.is_finite() && *size > 0.0).unwrap_or(0.0);
    (y.px(below) + y.px(below + own)) / 2.0
}

fn total(sizes: &[f64]) -> f64 {
    steps(sizes).last().map_or(0.0, |(_, _, to)| to)
}

fn part_colour(part: usize) -> RGBColor {
    hue::colour(Hue::Other(u8::try_from(part).unwrap_or(u8::MAX)))
}

fn total_font() -> Font {
    axes::tick_font().bold().with(color::INK)
}
