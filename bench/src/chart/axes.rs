//! The rectangle that data are drawn in, and the axes around it.
//!
//! Invariant: tick labels of one axis do not overlap; what does not fit gets fewer ticks.

use super::canvas::{Anchor, Canvas, Font, color};
use super::number::plain;
use super::scale::Scale;
use crate::analysis::finding::{Axis, Scale as Kind};

/// The height of a line of an axis' label.
pub(crate) const LABEL_LINE_PX: f64 = 15.0;

/// Between the tick labels of a vertical axis and the plot.
const TICK_GAP_PX: f64 = 8.0;

/// The rectangle that data are drawn in.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Frame {
    pub(crate) left: f64,
    pub(crate) top: f64,
    pub(crate) right: f64,
    pub(crate) bottom: f64,
}

/// The font of the numbers at ticks.
pub(crate) fn tick_font() -> Font {
    Font::new(11.0, color::GREY)
}

/// The font of what an axis shows.
pub(crate) fn label_font() -> Font {
    Font::new(12.0, color::INK).bold()
}

/// The font of what a horizontal axis shows, and of notes.
pub(crate) fn note_font() -> Font {
    Font::new(11.5, color::GREY)
}

/// What an axis shows, and that equal steps are not equally far where that is so.
pub(crate) fn label(axis: &Axis) -> String {
    let says_so = axis.scale != Kind::Log || axis.label.contains("log");
    if says_so { axis.label.clone() } else { format!("{} (log scale)", axis.label) }
}

/// Values to label on a vertical axis, with their texts.
fn y_ticks(y: &Scale) -> Vec<(f64, String)> {
    let (bottom, top) = y.ends_px();
    let wanted = ((bottom - top).abs() / 28.0).round() as usize;
    y.ticks(wanted.max(2)).into_iter().map(|value| (y.px(value), plain(value))).collect()
}

/// The room that the numbers of a vertical axis need to the left of the plot.
pub(crate) fn y_margin_px(y: &Scale) -> f64 {
    let widths = y_ticks(y).into_iter().map(|(_, text)| tick_font().width_px(&text));
    widths.fold(0.0, f64::max) + TICK_GAP_PX
}

/// Grid and numbers of a vertical axis, and the line that data stand on.
pub(crate) fn draw_y(canvas: &mut Canvas<'_>, frame: Frame, y: &Scale) {
    for (px, text) in y_ticks(y) {
        canvas.line(&[(frame.left, px), (frame.right, px)], color::FAINT, 0.7);
        canvas.text(&text, frame.left - TICK_GAP_PX, px + 4.0, Anchor::End, tick_font());
    }
}

/// The line at the bottom of a plot.
pub(crate) fn draw_base(canvas: &mut Canvas<'_>, frame: Frame, px: f64) {
    canvas.line(&[(frame.left, px), (frame.right, px)], color::GREY, 1.0);
}

/// The most ticks of a horizontal axis whose texts leave room between them.
fn x_ticks(x: &Scale) -> Vec<(f64, String)> {
    let tries = (2..=12).rev().map(|wanted| {
        let ticks = x.ticks(wanted).into_iter();
        ticks.map(|value| (x.px(value), plain(value))).collect::<Vec<_>>()
    });
    let mut last = Vec::new();
    for ticks in tries {
        if have_room(&ticks) {
            return ticks;
        }
        last = ticks;
    }
    // Percentiles have no coarser ticks: leave out what would touch the one before.
    let mut kept: Vec<(f64, String)> = Vec::new();
    for tick in last {
        let touches = kept.last().is_some_and(|before| !have_room(&[before.clone(), tick.clone()]));
        if !touches {
            kept.push(tick);
        }
    }
    kept
}

fn have_room(ticks: &[(f64, String)]) -> bool {
    let half = |text: &str| tick_font().width_px(text) / 2.0;
    ticks.windows(2).all(|pair| pair[1].0 - pair[0].0 >= half(&pair[0].1) + half(&pair[1].1) + 8.0)
}

/// How far the last number of a horizontal axis reaches beyond the end of the axis.
pub(crate) fn x_overhang_px(x: &Scale) -> f64 {
    let (_, end) = x.ends_px();
    let reach = x_ticks(x).into_iter().map(|(px, text)| px + tick_font().width_px(&text) / 2.0 - end);
    reach.fold(0.0, f64::max)
}

/// The height of a horizontal axis with a label of so many lines.
pub(crate) fn x_height_px(label_lines: usize) -> f64 {
    20.0 + LABEL_LINE_PX * label_lines as f64 + if label_lines > 0 { 2.0 } else { 0.0 }
}

/// Ticks, numbers and label of a horizontal axis.
pub(crate) fn draw_x(canvas: &mut Canvas<'_>, frame: Frame, x: &Scale, label: &[String]) {
    draw_base(canvas, frame, frame.bottom);
    for (px, text) in x_ticks(x) {
        canvas.line(&[(px, frame.bottom), (px, frame.bottom + 4.0)], color::GREY, 1.0);
        canvas.text(&text, px, frame.bottom + 16.0, Anchor::Middle, tick_font());
    }
    let middle = (frame.left + frame.right) / 2.0;
    for (number, line) in label.iter().enumerate() {
        let y = frame.bottom + 33.0 + LABEL_LINE_PX * number as f64;
        canvas.text(line, middle, y, Anchor::Middle, note_font());
    }
}

/// What a vertical axis shows, in lines above the plot.
pub(crate) fn draw_heading(canvas: &mut Canvas<'_>, left: f64, top: f64, heading: &[String]) {
    for (number, line) in heading.iter().enumerate() {
        canvas.text(line, left, top + 11.0 + LABEL_LINE_PX * number as f64, Anchor::Start, label_font());
    }
}

/// The height of a heading, with air below.
pub(crate) fn heading_px(heading: &[String]) -> f64 {
    LABEL_LINE_PX * heading.len() as f64 + 7.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chart::scale::Range;

    #[test]
    fn numbers_at_ticks_have_room_on_the_narrowest_axis() {
        for kind in [Kind::FromZero, Kind::Linear, Kind::Log, Kind::Percentile] {
            for (least, most) in [(0.0, 99.99999), (1.0, 1e6), (100_001.0, 100_002.5), (1e-9, 1e9), (7.0, 7.0)] {
                for width in [60.0, 120.0, 800.0] {
                    let x = Scale::horizontal(kind, Range::of(kind, [least, most]), 0.0, width);
                    let ticks = x_ticks(&x);
                    assert!(!ticks.is_empty() && have_room(&ticks), "{kind:?} {least} {most} {width}: {ticks:?}");
                }
            }
        }
    }
}
