//! Direct labels: a column of texts beside a plot, each as near to what it names as the others leave it.
//!
//! Invariant: labels do not overlap as long as the column is as high as [`Gutter::height_px`] says; one that had to
//! move has a leader line.

use plotters::prelude::RGBColor;

use super::canvas::{Anchor, Canvas, Font, color};
use super::hue;
use crate::analysis::finding::Hue;

/// Between a plot and its labels: room for the leader lines.
const LEADER_PX: f64 = 16.0;

/// The length of the sample of a line: the longest pattern once.
const SAMPLE_PX: f64 = 17.0;

/// The height of a line of a label.
const LINE_PX: f64 = 13.0;

/// Between two labels.
const GAP_PX: f64 = 3.0;

impl<'a> Naming<'a> {
    /// The label of a reference line.
    pub(crate) fn reference(text: &'a str, hue: Hue) -> Naming<'a> {
        Naming { text, colour: hue::colour(hue), sample: None }
    }
}

/// A column of labels.
#[derive(Debug)]
pub(crate) struct Gutter {
    labels: Vec<Label>,
}

#[derive(Debug)]
struct Label {
    lines: Vec<String>,
    colour: RGBColor,
    /// A sample of a line with such dashes, for the label of a line.
    sample: Option<&'static [f64]>,
}

/// A label to be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Naming<'a> {
    pub(crate) text: &'a str,
    pub(crate) colour: RGBColor,
    pub(crate) sample: Option<&'static [f64]>,
}

impl Gutter {
    /// Labels in a column that is no wider than `limit_px`.
    pub(crate) fn of<'a>(namings: impl IntoIterator<Item = Naming<'a>>, limit_px: f64) -> Gutter {
        let label = |naming: Naming<'a>| {
            let width = (limit_px - LEADER_PX - sample_px(naming.sample)).max(24.0);
            let lines = font(naming.colour, naming.sample).wrap(naming.text, width);
            Label { lines, colour: naming.colour, sample: naming.sample }
        };
        Gutter { labels: namings.into_iter().map(label).collect() }
    }

    /// The width of the column, the leader lines included; nothing without labels.
    pub(crate) fn width_px(&self) -> f64 {
        let widths = self.labels.iter().flat_map(|label| label.lines.iter().map(|line| label.line_px(line)));
        widths.reduce(f64::max).map_or(0.0, |width| width + LEADER_PX)
    }

    /// The height that all labels need.
    pub(crate) fn height_px(&self) -> f64 {
        self.labels.iter().map(Label::height_px).sum()
    }

    /// Draws the labels to the right of `left`, between `top` and `bottom`; each names the point at its place in
    /// `targets`, and is left out if there is none.
    pub(crate) fn draw(
        &self,
        canvas: &mut Canvas<'_>,
        left: f64,
        (top, bottom): (f64, f64),
        targets: &[Option<(f64, f64)>],
    ) {
        let mut shown: Vec<(&Label, (f64, f64))> =
            self.labels.iter().zip(targets).filter_map(|(label, target)| Some((label, (*target)?))).collect();
        // Stable, so that labels of one place keep the order they were given in.
        shown.sort_by(|a, b| a.1.1.total_cmp(&b.1.1));
        let wanted: Vec<(f64, f64)> = shown.iter().map(|(label, (_, y))| (*y, label.height_px())).collect();
        for ((label, (x, y)), middle) in shown.into_iter().zip(spread(&wanted, top, bottom)) {
            let label_left = left + LEADER_PX;
            if (middle - y).abs() > 3.0 || x < left - 1.0 {
                canvas.line(&[(x + 2.0, y), (left + 2.0, y)], color::LEADER, 0.6);
                canvas.line(&[(left + 2.0, y), (label_left - 3.0, middle)], label.colour, 0.7);
            }
            if let Some(pattern) = label.sample {
                let ends = [(label_left, middle), (label_left + SAMPLE_PX, middle)];
                canvas.dashed(&ends, label.colour, 1.8, pattern);
            }
            let text_left = label_left + sample_px(label.sample);
            let first = middle - LINE_PX * label.lines.len() as f64 / 2.0 + 10.0;
            for (number, line) in label.lines.iter().enumerate() {
                let font = font(label.colour, label.sample);
                canvas.text(line, text_left, first + LINE_PX * number as f64, Anchor::Start, font);
            }
        }
    }
}

impl Label {
    fn line_px(&self, line: &str) -> f64 {
        font(self.colour, self.sample).width_px(line) + sample_px(self.sample)
    }

    fn height_px(&self) -> f64 {
        LINE_PX * self.lines.len() as f64 + GAP_PX
    }
}

/// Data stand out from references.
fn font(colour: RGBColor, sample: Option<&[f64]>) -> Font {
    let font = Font::new(11.5, colour);
    if sample.is_some() { font.bold() } else { font }
}

fn sample_px(sample: Option<&[f64]>) -> f64 {
    sample.map_or(0.0, |_| SAMPLE_PX + 4.0)
}

/// The middles of labels that want to be at certain middles, have certain heights, and come in that order: as near as
/// can be without overlap, between `top` and `bottom` if they fit.
fn spread(wanted: &[(f64, f64)], top: f64, bottom: f64) -> Vec<f64> {
    // Labels that touch move as one: a run of them sits where its members want it on average. With the heights above a
    // label taken off, "no overlap" is "in order", and the nearest places in order are averages of neighbours.
    let mut above = 0.0;
    let mut runs: Vec<(f64, usize)> = Vec::new();
    for (middle, height) in wanted {
        let mut run = (middle - height / 2.0 - above, 1);
        above += height;
        while let Some(&(offset, count)) = runs.last().filter(|(offset, _)| *offset > run.0) {
            run = ((offset * count as f64 + run.0 * run.1 as f64) / (count + run.1) as f64, count + run.1);
            runs.pop();
        }
        runs.push(run);
    }
    let lowest = (bottom - above).max(top);
    let offsets = runs.iter().flat_map(|(offset, count)| std::iter::repeat_n(offset.clamp(top, lowest), *count));
    let mut above = 0.0;
    let place = |(offset, (_, height)): (f64, &(f64, f64))| {
        let middle = offset + above + height / 2.0;
        above += height;
        middle
    };
    offsets.zip(wanted).map(place).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_with_room_stay_where_they_want_to_be() {
        assert_eq!(spread(&[(20.0, 10.0), (50.0, 10.0)], 0.0, 100.0), [20.0, 50.0]);
    }

    #[test]
    fn labels_of_one_place_share_it_evenly() {
        assert_eq!(spread(&[(50.0, 10.0), (50.0, 10.0), (50.0, 10.0)], 0.0, 100.0), [40.0, 50.0, 60.0]);
    }

    #[test]
    fn no_two_labels_overlap_and_none_leaves_the_column() {
        let mut random = fastrand::Rng::with_seed(5);
        for _ in 0..500 {
            let mut wanted: Vec<(f64, f64)> =
                (0..random.usize(1..9)).map(|_| (random.f64() * 120.0 - 10.0, 5.0 + random.f64() * 5.0)).collect();
            wanted.sort_by(|a, b| a.0.total_cmp(&b.0));
            let middles = spread(&wanted, 0.0, 100.0);
            let edges: Vec<(f64, f64)> = middles
                .iter()
                .zip(&wanted)
                .map(|(middle, (_, height))| (middle - height / 2.0, middle + height / 2.0))
                .collect();
            assert!(edges.windows(2).all(|pair| pair[0].1 <= pair[1].0 + 1e-9), "{wanted:?} {edges:?}");
            assert!(edges.iter().all(|(from, to)| *from >= -1e-9 && *to <= 100.0 + 1e-9), "{wanted:?} {edges:?}");
        }
    }

    #[test]
    fn a_gutter_is_no_wider_than_its_limit() {
        let text = "a rather long label of many words";
        for sample in [None, Some([].as_slice())] {
            let gutter = Gutter::of([Naming { text, colour: color::INK, sample }], 90.0);
            assert!(gutter.width_px() <= 90.0 && gutter.height_px() > 30.0);
        }
        assert_eq!(Gutter::of([], 90.0).width_px(), 0.0);
    }
}
