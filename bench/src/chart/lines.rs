//! Lines over a continuous axis: time series, curves, percentile plots, ECDFs.
//!
//! Invariants: a point that an axis cannot show breaks its line instead of being drawn elsewhere; however many points
//! there are, a pixel column holds at most four.

use super::Block;
use super::axes::{self, Frame};
use super::canvas::{Anchor, Canvas, Font, color};
use super::hue;
use super::label::{Gutter, Naming};
use super::scale::{Range, Scale};
use crate::analysis::finding::{Hue, Line, Lines, Point};

/// The height of a row of labels of spans.
const SPAN_ROW_PX: f64 = 14.0;

/// The least room between marks; where points are denser, the line says enough.
const MARK_ROOM_PX: f64 = 5.0;

/// The least room per point of a block's width for dashes.
const DASH_ROOM_PX: f64 = 2.5;

/// A place on the page.
type Px = (f64, f64);

/// Lines that know their size.
#[derive(Debug)]
pub(crate) struct LinesBlock<'a> {
    data: &'a Lines,
    extent: Extent,
    heading: Vec<String>,
    x_label: Vec<String>,
    gutter: Gutter,
    span_rows: Vec<usize>,
    width_px: f64,
    plot_px: f64,
    margin_px: f64,
}

/// The ranges of both axes.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Extent {
    pub(crate) x: Range,
    pub(crate) y: Range,
}

impl Extent {
    /// What the lines reach, their intervals, references and spans included.
    pub(crate) fn of(data: &Lines) -> Extent {
        let points = || data.lines.iter().flat_map(|line| &line.points);
        let shown = |point: &&Point| !Range::of(data.x.scale, [point.x]).is_empty();
        let ends = |point: &Point| {
            let interval = point.interval.map(|(low, high)| [low, high]);
            std::iter::once(point.y).chain(interval.into_iter().flatten())
        };
        let values = points().filter(shown).flat_map(ends);
        let x = Range::of(data.x.scale, points().map(|point| point.x));
        let y = Range::of(data.y.scale, values);
        if x.is_empty() || y.is_empty() {
            return Extent::default();
        }
        Extent { x, y: y.and(Range::of(data.y.scale, data.references.iter().map(|(value, _, _)| *value))) }
    }

    /// What both reach.
    #[must_use]
    pub(crate) fn and(self, other: Extent) -> Extent {
        Extent { x: self.x.and(other.x), y: self.y.and(other.y) }
    }
}

impl<'a> LinesBlock<'a> {
    /// Lines on axes over `extent`, in a block of this width around a plot of about this height.
    pub(crate) fn new(data: &'a Lines, extent: Extent, width_px: f64, plot_px: f64) -> LinesBlock<'a> {
        let lines = data.lines.iter().map(|line| Naming {
            text: &line.label,
            colour: hue::colour(line.hue),
            sample: Some(pattern(line, width_px)),
        });
        let references = data.references.iter().map(|(_, label, hue)| Naming::reference(label, *hue));
        let gutter = Gutter::of(lines.chain(references), width_px * 0.36);
        let plot_px = plot_px.max(gutter.height_px());
        let y = Scale::vertical(data.y.scale, extent.y, plot_px, 0.0);
        let margin_px = axes::y_margin_px(&y);
        let mut block = LinesBlock {
            data,
            extent,
            heading: axes::label_font().wrap(&axes::label(&data.y), width_px),
            x_label: axes::note_font()
                .wrap(&axes::label(&data.x), (width_px - margin_px - gutter.width_px()).max(60.0)),
            gutter,
            span_rows: Vec::new(),
            width_px,
            plot_px,
            margin_px,
        };
        block.span_rows = block.place_spans();
        block
    }

    fn x(&self, frame: Frame) -> Scale {
        Scale::horizontal(self.data.x.scale, self.extent.x, frame.left, frame.right)
    }

    fn frame(&self, left: f64, top: f64) -> Frame {
        let plot_top = top + axes::heading_px(&self.heading) + SPAN_ROW_PX * self.rows() as f64;
        let (from, to) = (left + self.margin_px, left + self.width_px);
        let room = |right: f64| {
            let x = Scale::horizontal(self.data.x.scale, self.extent.x, from, right);
            self.gutter.width_px().max(axes::x_overhang_px(&x))
        };
        // Numbers at the end of the axis may reach beyond it.
        let right = to - room(to - self.gutter.width_px());
        Frame { left: from, top: plot_top, right, bottom: plot_top + self.plot_px }
    }

    fn rows(&self) -> usize {
        self.span_rows.iter().map(|row| row + 1).max().unwrap_or(0)
    }

    /// The first row in which the label of each span does not run into an earlier one.
    fn place_spans(&self) -> Vec<usize> {
        let frame = self.frame(0.0, 0.0);
        let x = self.x(frame);
        let mut ends: Vec<f64> = Vec::new();
        let place = |(from, _, label): &(f64, f64, String)| {
            let label = span_label(frame, label);
            let start = span_label_left(frame, x.px(*from), &label);
            let row = ends.iter().position(|end| *end + 8.0 <= start).unwrap_or(ends.len());
            let end = start + span_font().width_px(&label);
            match ends.get_mut(row) {
                Some(taken) => *taken = end,
                None => ends.push(end),
            }
            row
        };
        self.data.spans.iter().map(place).collect()
    }

    fn draw_spans(&self, canvas: &mut Canvas<'_>, frame: Frame, x: &Scale) {
        let rows = self.rows();
        for ((from, to, label), row) in self.data.spans.iter().zip(&self.span_rows) {
            let (Some(from), Some(to)) = (x.place(*from), x.place(*to)) else { continue };
            canvas.rect(from, frame.top, to.max(from + 1.0).min(frame.right), frame.bottom, color::ORANGE, 0.12);
            let base = frame.top - SPAN_ROW_PX * (rows - row) as f64 + 10.0;
            let label = span_label(frame, label);
            canvas.text(&label, span_label_left(frame, from, &label), base, Anchor::Start, span_font());
        }
    }

    fn draw_line(&self, canvas: &mut Canvas<'_>, line: &Line, x: &Scale, y: &Scale) {
        let colour = hue::colour(line.hue);
        for run in runs(&line.points, x, y) {
            self.draw_intervals(canvas, line, &run, y);
            let places: Vec<Px> = run.iter().map(|(px, _)| *px).collect();
            let path = thinned(&if line.steps { stairs(&places) } else { places.clone() });
            let room = (places.last().map_or(0.0, |last| last.0) - places[0].0) / places.len() as f64;
            canvas.dashed(&path, colour, 1.6, pattern(line, self.width_px));
            // A point alone has no line to be seen by.
            if places.len() == 1 || (line.marks && room >= MARK_ROOM_PX) {
                for (px, py) in places {
                    canvas.dot(px, py, 2.6, colour, 1.0);
                }
            }
        }
    }

    fn draw_intervals(&self, canvas: &mut Canvas<'_>, line: &Line, run: &[(Px, Point)], y: &Scale) {
        let colour = hue::colour(line.hue);
        let (bottom, _) = y.ends_px();
        // An interval that reaches below what a logarithmic axis can show ends at its bottom.
        let end = |value: f64| y.place(value).unwrap_or(bottom);
        let ends =
            run.iter().filter_map(|((px, _), point)| point.interval.map(|(low, high)| (*px, end(low), end(high))));
        let ends: Vec<(f64, f64, f64)> = ends.collect();
        if line.marks || ends.len() < 3 {
            for (px, low, high) in ends {
                canvas.line(&[(px, low), (px, high)], colour, 1.1);
            }
        } else {
            let mut band = thinned(&ends.iter().map(|(px, _, high)| (*px, *high)).collect::<Vec<_>>());
            band.extend(thinned(&ends.iter().map(|(px, low, _)| (*px, *low)).collect::<Vec<_>>()).into_iter().rev());
            canvas.polygon(&band, colour, 0.16);
        }
    }

    /// Where each label of the gutter points to: the last point of its line, or its reference at the edge.
    fn targets(&self, frame: Frame, x: &Scale, y: &Scale) -> Vec<Option<Px>> {
        let last = |line: &Line| line.points.iter().rev().find_map(|point| place(point, x, y));
        let lines = self.data.lines.iter().map(last);
        let references = self.data.references.iter().map(|(value, _, _)| y.place(*value).map(|px| (frame.right, px)));
        lines.chain(references).collect()
    }
}

impl Block for LinesBlock<'_> {
    fn height_px(&self) -> f64 {
        self.frame(0.0, 0.0).bottom + axes::x_height_px(self.x_label.len())
    }

    fn draw(&self, canvas: &mut Canvas<'_>, left: f64, top: f64) {
        let frame = self.frame(left, top);
        let (x, y) = (self.x(frame), Scale::vertical(self.data.y.scale, self.extent.y, frame.bottom, frame.top));
        axes::draw_heading(canvas, left, top, &self.heading);
        self.draw_spans(canvas, frame, &x);
        axes::draw_y(canvas, frame, &y);
        for (value, _, hue) in &self.data.references {
            if let Some(px) = y.place(*value) {
                canvas.dashed(
                    &[(frame.left, px), (frame.right, px)],
                    hue::colour(*hue),
                    1.0,
                    hue::pattern(Hue::Reference),
                );
            }
        }
        for line in &self.data.lines {
            self.draw_line(canvas, line, &x, &y);
        }
        axes::draw_x(canvas, frame, &x, &self.x_label);
        self.gutter.draw(canvas, frame.right, (frame.top, frame.bottom), &self.targets(frame, &x, &y));
    }
}

/// The dashes of a line. On one that goes up and down within a dash, dashes are blots: it has none.
fn pattern(line: &Line, width_px: f64) -> &'static [f64] {
    let has_room = line.steps || width_px >= DASH_ROOM_PX * line.points.len() as f64;
    if has_room { hue::pattern(line.hue) } else { &[] }
}

fn span_font() -> Font {
    Font::new(11.0, hue::colour(Hue::Other(1)))
}

/// A label as it is shown: in one line above the plot.
fn span_label(frame: Frame, label: &str) -> String {
    span_font().elided(label, frame.right - frame.left)
}

/// At the start of its span, or as far left of it as the plot demands.
fn span_label_left(frame: Frame, from: f64, label: &str) -> f64 {
    from.min(frame.right - span_font().width_px(label)).max(frame.left)
}

fn place(point: &Point, x: &Scale, y: &Scale) -> Option<Px> {
    Some((x.place(point.x)?, y.place(point.y)?))
}

/// The points that the axes can show, in pieces between those that they cannot.
fn runs(points: &[Point], x: &Scale, y: &Scale) -> Vec<Vec<(Px, Point)>> {
    let placed: Vec<Option<(Px, Point)>> =
        points.iter().map(|point| place(point, x, y).map(|px| (px, *point))).collect();
    let pieces = placed.split(Option::is_none).filter(|piece| !piece.is_empty());
    pieces.map(|piece| piece.iter().flatten().copied().collect()).collect()
}

/// A line that keeps its height until the next point.
fn stairs(places: &[Px]) -> Vec<Px> {
    let mut path: Vec<Px> = places.first().copied().into_iter().collect();
    for pair in places.windows(2) {
        path.extend([(pair[1].0, pair[0].1), pair[1]]);
    }
    path
}

/// The same line with at most four points per pixel column: the first, the highest, the lowest and the last.
fn thinned(path: &[Px]) -> Vec<Px> {
    let columns = path.chunk_by(|a, b| a.0.floor() == b.0.floor());
    let mut kept = Vec::new();
    for column in columns {
        if column.len() <= 4 {
            kept.extend_from_slice(column);
            continue;
        }
        let by_height = |a: &usize, b: &usize| column[*a].1.total_cmp(&column[*b].1);
        let (highest, lowest) = ((0..column.len()).min_by(by_height), (0..column.len()).max_by(by_height));
        let mut places = vec![0, highest.unwrap_or(0), lowest.unwrap_or(0), column.len() - 1];
        places.sort_unstable();
        places.dedup();
        kept.extend(places.into_iter().map(|place| column[place]));
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_million_points_keep_their_outline_in_few() {
        let path: Vec<Px> = (0..1_000_000)
            .map(|k| (f64::from(k) / 2_000.0, if k == 700_123 { 90.0 } else { f64::from(k % 7) }))
            .collect();
        let kept = thinned(&path);
        assert!(kept.len() <= 4 * 501, "{}", kept.len());
        assert!(kept.contains(&path[700_123]) && kept.first() == path.first() && kept.last() == path.last());
    }

    #[test]
    fn stairs_keep_their_height_until_the_next_point() {
        assert_eq!(stairs(&[(0.0, 5.0), (2.0, 3.0)]), [(0.0, 5.0), (2.0, 5.0), (2.0, 3.0)]);
        assert!(stairs(&[]).is_empty());
    }
}
