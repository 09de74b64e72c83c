//! A matrix of values as colours, with the value in each cell.
//!
//! Invariants: blue is above the neutral value and red below it, as strongly as the farthest value of the matrix;
//! columns that do not fit beside each other continue below.

use plotters::prelude::RGBColor;

use super::Block;
use super::axes::{self, LABEL_LINE_PX};
use super::canvas::{Anchor, Canvas, Font, color};
use super::number::alike;
use crate::analysis::finding::Heat;

/// The height of a cell.
const CELL_PX: f64 = 30.0;

/// The widest cell: a few should not look like a flag.
const WIDEST_PX: f64 = 96.0;

/// The colours of the farthest values.
const ABOVE: RGBColor = RGBColor(0x1B, 0x6C, 0xA8);
const BELOW: RGBColor = RGBColor(0xC4, 0x4E, 0x10);
const NEUTRAL: RGBColor = RGBColor(0xF5, 0xF5, 0xF3);

/// A matrix that knows its size.
#[derive(Debug)]
pub(crate) struct HeatBlock<'a> {
    data: &'a Heat,
    heading: Vec<String>,
    rows: Vec<Vec<String>>,
    row_label: Vec<String>,
    column_label: Vec<String>,
    /// The columns of each part of the matrix, with the lines of their names.
    parts: Vec<(std::ops::Range<usize>, usize)>,
    margin_px: f64,
    cell_px: f64,
    strength: Strength,
    /// What stands in each cell.
    texts: Vec<Vec<Option<String>>>,
}

/// How far values are from neutral.
#[derive(Clone, Copy, Debug)]
struct Strength {
    neutral: f64,
    /// Ratios are compared as ratios: half is as far as twice.
    as_ratios: bool,
    farthest: f64,
}

/// Whether nothing was measured.
pub(crate) fn is_empty(data: &Heat) -> bool {
    values(data).next().is_none() || data.columns.is_empty()
}

/// What was measured in a cell.
fn cell(data: &Heat, row: usize, column: usize) -> Option<f64> {
    data.cells.get(row)?.get(column).copied().flatten().filter(|value| value.is_finite())
}

fn values(data: &Heat) -> impl Iterator<Item = f64> + '_ {
    (0..data.rows.len()).flat_map(move |row| (0..data.columns.len()).filter_map(move |column| cell(data, row, column)))
}

/// What to write in each cell.
fn texts(data: &Heat) -> Vec<Vec<Option<String>>> {
    let mut written = alike(&values(data).collect::<Vec<_>>()).into_iter();
    let row =
        |row| (0..data.columns.len()).map(|column| cell(data, row, column).and_then(|_| written.next())).collect();
    (0..data.rows.len()).map(row).collect()
}

impl<'a> HeatBlock<'a> {
    /// A matrix in a block of this width.
    pub(crate) fn new(data: &'a Heat, width_px: f64) -> HeatBlock<'a> {
        let texts = texts(data);
        let names = data.rows.iter().chain([&data.row_label]).map(|name| name_font().width_px(name));
        let name_px = names.fold(0.0, f64::max).min(width_px * 0.3);
        let margin_px = name_px + 10.0;
        let numbers = texts.iter().flatten().flatten().map(|text| number_font(color::INK).width_px(text) + 8.0);
        let words = data.columns.iter().map(|name| name_font().word_px(name) + 8.0);
        let room = (width_px - margin_px).max(60.0);
        let least = numbers.chain(words).fold(24.0, f64::max).min(room);
        let capacity = (room / least).floor().max(1.0);
        let count = data.columns.len();
        let part_count = (count as f64 / capacity).ceil().max(1.0);
        let length = ((count as f64 / part_count).ceil() as usize).max(1);
        let cell_px = (room / length as f64).min(WIDEST_PX);
        let parts = (0..count).step_by(length).map(|from| from..(from + length).min(count));
        let lines = |part: &std::ops::Range<usize>| {
            data.columns[part.clone()].iter().map(|name| column_lines(name, cell_px).len()).max().unwrap_or(0)
        };
        HeatBlock {
            heading: axes::label_font().wrap(&data.value_label, width_px),
            rows: data.rows.iter().map(|name| name_font().wrap(name, name_px)).collect(),
            row_label: axes::note_font().wrap(&data.row_label, name_px),
            column_label: axes::note_font().wrap(&data.column_label, (cell_px * length as f64).max(room / 2.0)),
            parts: parts.map(|part| (part.clone(), lines(&part))).collect(),
            margin_px,
            cell_px,
            strength: Strength::of(data),
            texts,
            data,
        }
    }

    fn row_px(&self, row: usize) -> f64 {
        CELL_PX.max(LABEL_LINE_PX * self.rows[row].len() as f64 + 4.0)
    }

    fn part_px(&self, name_lines: usize) -> f64 {
        let rows: f64 = (0..self.rows.len()).map(|row| self.row_px(row)).sum();
        rows + 6.0 + LABEL_LINE_PX * name_lines as f64
    }

    fn draw_part(&self, canvas: &mut Canvas<'_>, left: f64, top: f64, columns: std::ops::Range<usize>) {
        let mut y = top;
        for (row, name) in self.rows.iter().enumerate() {
            let height = self.row_px(row);
            let first = y + height / 2.0 + 4.0 - LABEL_LINE_PX * (name.len() as f64 - 1.0) / 2.0;
            for (number, line) in name.iter().enumerate() {
                let base = first + LABEL_LINE_PX * number as f64;
                canvas.text(line, left + self.margin_px - 8.0, base, Anchor::End, name_font());
            }
            for (place, column) in columns.clone().enumerate() {
                let x = left + self.margin_px + self.cell_px * place as f64;
                self.draw_cell(canvas, (x, y, x + self.cell_px, y + height), (row, column));
            }
            y += height;
        }
        for (place, column) in columns.enumerate() {
            let middle = left + self.margin_px + self.cell_px * (place as f64 + 0.5);
            for (number, line) in column_lines(&self.data.columns[column], self.cell_px).iter().enumerate() {
                canvas.text(line, middle, y + 16.0 + LABEL_LINE_PX * number as f64, Anchor::Middle, name_font());
            }
        }
    }

    fn draw_cell(&self, canvas: &mut Canvas<'_>, (x0, y0, x1, y1): (f64, f64, f64, f64), at: (usize, usize)) {
        let text = self.texts[at.0][at.1].as_deref();
        let (fill, ink, text) = match (cell(self.data, at.0, at.1), text) {
            (Some(value), Some(text)) => {
                let (fill, ink) = self.strength.colours(value);
                (fill, ink, text)
            }
            _ => (color::PAPER, color::GREY, "–"),
        };
        canvas.rect(x0 + 0.8, y0 + 0.8, x1 - 0.8, y1 - 0.8, fill, 1.0);
        canvas.text(text, (x0 + x1) / 2.0, (y0 + y1) / 2.0 + 4.5, Anchor::Middle, number_font(ink));
    }
}

impl Block for HeatBlock<'_> {
    fn height_px(&self) -> f64 {
        let parts: f64 = self.parts.iter().map(|(_, lines)| self.part_px(*lines)).sum();
        let gaps = 14.0 * self.parts.len().saturating_sub(1) as f64;
        let labels = self.row_label.len() + self.column_label.len();
        axes::heading_px(&self.heading) + LABEL_LINE_PX * labels as f64 + 8.0 + parts + gaps
    }

    fn draw(&self, canvas: &mut Canvas<'_>, left: f64, top: f64) {
        axes::draw_heading(canvas, left, top, &self.heading);
        let mut y = top + axes::heading_px(&self.heading);
        for line in &self.row_label {
            canvas.text(line, left + self.margin_px - 8.0, y + 11.0, Anchor::End, axes::note_font());
            y += LABEL_LINE_PX;
        }
        y += 4.0;
        for (columns, lines) in &self.parts {
            self.draw_part(canvas, left, y, columns.clone());
            y += self.part_px(*lines) + 14.0;
        }
        let widest = self.parts.iter().map(|(columns, _)| columns.len()).max().unwrap_or(0) as f64;
        let middle = left + self.margin_px + self.cell_px * widest / 2.0;
        for (number, line) in self.column_label.iter().enumerate() {
            canvas.text(line, middle, y + LABEL_LINE_PX * number as f64, Anchor::Middle, axes::note_font());
        }
    }
}

impl Strength {
    fn of(data: &Heat) -> Strength {
        let as_ratios = data.neutral > 0.0 && values(data).all(|value| value > 0.0);
        let mut strength = Strength { neutral: data.neutral, as_ratios, farthest: 0.0 };
        strength.farthest = values(data).map(|value| strength.distance(value).abs()).fold(0.0, f64::max);
        strength
    }

    fn distance(&self, value: f64) -> f64 {
        if self.as_ratios { value.ln() - self.neutral.ln() } else { value - self.neutral }
    }

    /// Fill and ink of a value.
    fn colours(&self, value: f64) -> (RGBColor, RGBColor) {
        let share = if self.farthest > 0.0 { self.distance(value) / self.farthest } else { 0.0 };
        let end = if share < 0.0 { BELOW } else { ABOVE };
        let share = share.abs().min(1.0);
        let mix = |from: u8, to: u8| (f64::from(from) + (f64::from(to) - f64::from(from)) * share).round() as u8;
        let fill = RGBColor(mix(NEUTRAL.0, end.0), mix(NEUTRAL.1, end.1), mix(NEUTRAL.2, end.2));
        (fill, if share > 0.6 { color::PAPER } else { color::INK })
    }
}

fn column_lines(name: &str, cell_px: f64) -> Vec<String> {
    name_font().wrap(name, cell_px - 4.0)
}

fn name_font() -> Font {
    Font::new(11.5, color::INK)
}

fn number_font(ink: RGBColor) -> Font {
    Font::new(11.5, ink)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heat(values: &[f64], neutral: f64) -> Heat {
        Heat {
            row_label: String::new(),
            column_label: String::new(),
            rows: vec!["a".into()],
            columns: values.iter().map(f64::to_string).collect(),
            cells: vec![values.iter().map(|value| Some(*value)).collect()],
            neutral,
            value_label: String::new(),
        }
    }

    #[test]
    fn half_is_as_far_below_as_twice_is_above() {
        let strength = Strength::of(&heat(&[0.5, 1.0, 2.0], 1.0));
        assert!((strength.distance(0.5) + strength.distance(2.0)).abs() < 1e-12);
        assert_eq!(
            (strength.colours(0.5).0, strength.colours(1.0).0, strength.colours(2.0).0),
            (BELOW, NEUTRAL, ABOVE)
        );
    }

    #[test]
    fn equal_values_are_neutral() {
        assert_eq!(Strength::of(&heat(&[1.0, 1.0], 1.0)).colours(1.0).0, NEUTRAL);
    }
}
