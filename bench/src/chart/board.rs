//! Categories side by side on one vertical axis: what groups, stacks and waterfalls stand on.
//!
//! Invariant: the name of a category is never wider than its place; categories that do not fit beside each other
//! continue in another row on the same scale.

use super::axes::{self, Frame, LABEL_LINE_PX};
use super::canvas::{Anchor, Canvas, Font, color};
use super::scale::{Range, Scale};
use crate::analysis::finding::Axis;

/// The widest place of a category: a few of them should not look lost.
const WIDEST_PX: f64 = 124.0;

/// Between two groups, in places.
const GROUP_GAP: f64 = 0.5;

/// How high a row is when it is not alone, as a share.
const ROWS_SHARE: f64 = 0.62;

/// Between two rows.
const ROW_GAP_PX: f64 = 18.0;

/// Above the highest value, for the numbers written there.
const HEADROOM_PX: f64 = 16.0;

/// A named place on the axis.
#[derive(Clone, Debug)]
pub(crate) struct Category<'a> {
    /// Its name.
    pub(crate) name: &'a str,
    /// A second line below its name, such as a reference value.
    pub(crate) note: Option<String>,
    /// Its group; neighbours of one group share a heading.
    pub(crate) group: usize,
    /// How wide the widest number written at it is.
    pub(crate) number_px: f64,
}

/// Where a category is drawn.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    pub(crate) category: usize,
    pub(crate) middle: f64,
    pub(crate) half_px: f64,
}

/// What stands beside the plot, and to the right of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sizes {
    /// The width of the whole board.
    pub(crate) width_px: f64,
    /// The height of the plot, if it is a single row.
    pub(crate) plot_px: f64,
    /// The height that the labels to the right need.
    pub(crate) least_plot_px: f64,
    /// The room for labels to the right.
    pub(crate) gutter_px: f64,
}

/// Categories that know their places.
#[derive(Debug)]
pub(crate) struct Board<'a> {
    axis: &'a Axis,
    range: Range,
    categories: Vec<Category<'a>>,
    groups: Vec<&'a str>,
    heading: Vec<String>,
    rows: Vec<Row>,
    margin_px: f64,
    /// The width of a place: the same in all rows.
    pitch_px: f64,
    sizes: Sizes,
}

/// Categories beside each other.
#[derive(Debug)]
struct Row {
    /// Relative to the left edge of the plot.
    places: Vec<Place>,
    names: Vec<Vec<String>>,
    /// The lines of each group's heading and its middle.
    headings: Vec<(Vec<String>, f64, f64)>,
}

/// A row on the page.
pub(crate) struct Stage<'a> {
    pub(crate) frame: Frame,
    pub(crate) y: Scale,
    pub(crate) places: &'a [Place],
}

impl<'a> Board<'a> {
    /// Places the categories; `groups` are the headings by group, empty for none.
    pub(crate) fn new(
        axis: &'a Axis,
        range: Range,
        categories: Vec<Category<'a>>,
        groups: Vec<&'a str>,
        sizes: Sizes,
    ) -> Board<'a> {
        let y = Scale::vertical(axis.scale, range, sizes.plot_px, HEADROOM_PX);
        let margin_px = axes::y_margin_px(&y);
        let heading = axes::label_font().wrap(&axes::label(axis), sizes.width_px);
        let mut board =
            Board { axis, range, categories, groups, heading, rows: Vec::new(), margin_px, pitch_px: 0.0, sizes };
        let rows = board.split();
        if rows.len() > 1 {
            board.sizes.plot_px = (sizes.plot_px * ROWS_SHARE).max(sizes.least_plot_px);
        }
        let longest = rows.iter().map(|row| board.length(row.clone())).fold(1.0, f64::max);
        board.pitch_px = (board.plot_width_px() / longest).min(WIDEST_PX);
        board.rows = rows.into_iter().map(|row| board.place(row)).collect();
        board
    }

    fn plot_width_px(&self) -> f64 {
        (self.sizes.width_px - self.margin_px - self.sizes.gutter_px).max(60.0)
    }

    /// The least width at which every name, number and group heading can be read.
    fn least_px(&self) -> f64 {
        let names = self.categories.iter().map(|category| name_font().word_px(category.name) + 8.0);
        let notes = self.categories.iter().map(|category| note_px(category.note.as_deref()) + 8.0);
        let numbers = self.categories.iter().map(|category| category.number_px + 7.0);
        let groups = self.categories.chunk_by(|a, b| a.group == b.group).map(|group| {
            let heading = self.groups.get(group[0].group).copied().unwrap_or_default();
            (axes::label_font().word_px(heading) + 8.0) / group.len() as f64
        });
        names.chain(notes).chain(numbers).chain(groups).fold(28.0, f64::max).min(self.plot_width_px())
    }

    /// Which categories stand in which row: groups stay together where a row can hold them.
    fn split(&self) -> Vec<std::ops::Range<usize>> {
        let capacity = (self.plot_width_px() / self.least_px()).floor().max(1.0);
        let mut rows: Vec<std::ops::Range<usize>> = Vec::new();
        let mut used = f64::INFINITY;
        let mut from = 0;
        for group in self.categories.chunk_by(|a, b| a.group == b.group) {
            let to = from + group.len();
            let wanted = group.len() as f64;
            match rows.last_mut().filter(|_| used + GROUP_GAP + wanted <= capacity) {
                Some(row) => {
                    row.end = to;
                    used += GROUP_GAP + wanted;
                }
                None => {
                    // Rows of one group are equally long, so that the last is no crumb.
                    let parts = (wanted / capacity).ceil();
                    let length = (wanted / parts).ceil() as usize;
                    rows.extend((from..to).step_by(length).map(|start| start..(start + length).min(to)));
                    used = rows.last().map_or(f64::INFINITY, |row| row.len() as f64);
                }
            }
            from = to;
        }
        rows
    }

    /// The length of a row in places, the gaps between its groups included.
    fn length(&self, row: std::ops::Range<usize>) -> f64 {
        let members = &self.categories[row];
        let gaps = members.windows(2).filter(|pair| pair[0].group != pair[1].group).count();
        members.len() as f64 + gaps as f64 * GROUP_GAP
    }

    fn place(&self, row: std::ops::Range<usize>) -> Row {
        let members = &self.categories[row.clone()];
        let pitch = self.pitch_px;
        // A single row stands in the middle; of several, all begin at the left.
        let single = row.len() == self.categories.len();
        let air = self.plot_width_px() - pitch * self.length(row.clone());
        let mut left = if single { air / 2.0 } else { 0.0 };
        let mut places: Vec<Place> = Vec::new();
        for (category, member) in row.zip(members) {
            let before = places.last().map(|place| self.categories[place.category].group);
            if before.is_some_and(|group| group != member.group) {
                left += pitch * GROUP_GAP;
            }
            places.push(Place { category, middle: left + pitch / 2.0, half_px: pitch / 2.0 });
            left += pitch;
        }
        let names = members.iter().map(|category| name_font().wrap(category.name, pitch - 4.0)).collect();
        let headings = self.headings(&places);
        Row { places, names, headings }
    }

    /// The heading of each group of a row, from its left to its right edge.
    fn headings(&self, places: &[Place]) -> Vec<(Vec<String>, f64, f64)> {
        let group = |place: &Place| self.categories[place.category].group;
        let heading = |places: &[Place]| {
            let (first, last) = (places[0], places[places.len() - 1]);
            let (from, to) = (first.middle - first.half_px, last.middle + last.half_px);
            let text = self.groups.get(group(&first)).copied().filter(|text| !text.is_empty())?;
            Some((axes::label_font().wrap(text, to - from), from, to))
        };
        places.chunk_by(|a, b| group(a) == group(b)).filter_map(heading).collect()
    }

    /// The height with all rows.
    pub(crate) fn height_px(&self) -> f64 {
        let rows: f64 = self.rows.iter().map(|row| self.row_px(row)).sum();
        axes::heading_px(&self.heading) + rows + ROW_GAP_PX * self.rows.len().saturating_sub(1) as f64
    }

    fn row_px(&self, row: &Row) -> f64 {
        let heading = row.headings.iter().map(|(lines, _, _)| lines.len()).max().unwrap_or(0) as f64;
        let air = if heading > 0.0 { 4.0 } else { 0.0 };
        self.sizes.plot_px + self.under_px(row) + heading * LABEL_LINE_PX + air
    }

    /// The height of the names and notes of a row.
    fn under_px(&self, row: &Row) -> f64 {
        let names = row.names.iter().map(Vec::len).max().unwrap_or(0);
        let notes = row.places.iter().any(|place| self.categories[place.category].note.is_some());
        6.0 + LABEL_LINE_PX * (names + usize::from(notes)) as f64
    }

    /// Draws axes and names, and has `data` drawn on each row.
    pub(crate) fn draw(
        &self,
        canvas: &mut Canvas<'_>,
        (left, top): (f64, f64),
        mut data: impl FnMut(&mut Canvas<'_>, &Stage<'_>),
    ) {
        axes::draw_heading(canvas, left, top, &self.heading);
        let mut top = top + axes::heading_px(&self.heading);
        let plot_left = left + self.margin_px;
        for row in &self.rows {
            let bottom = top + self.sizes.plot_px;
            let frame = Frame { left: plot_left, top, right: plot_left + self.plot_width_px(), bottom };
            let y = Scale::vertical(self.axis.scale, self.range, bottom, top + HEADROOM_PX);
            axes::draw_y(canvas, frame, &y);
            let moved = |place: &Place| Place { middle: place.middle + plot_left, ..*place };
            let places: Vec<Place> = row.places.iter().map(moved).collect();
            data(canvas, &Stage { frame, y, places: &places });
            axes::draw_base(canvas, frame, bottom);
            self.draw_names(canvas, row, &places, bottom);
            self.draw_headings(canvas, row, plot_left, bottom + self.under_px(row));
            top += self.row_px(row) + ROW_GAP_PX;
        }
    }

    fn draw_names(&self, canvas: &mut Canvas<'_>, row: &Row, places: &[Place], bottom: f64) {
        let lines = row.names.iter().map(Vec::len).max().unwrap_or(0);
        for (place, name) in places.iter().zip(&row.names) {
            for (number, line) in name.iter().enumerate() {
                let y = bottom + 15.0 + LABEL_LINE_PX * number as f64;
                canvas.text(line, place.middle, y, Anchor::Middle, name_font());
            }
            if let Some(note) = &self.categories[place.category].note {
                let y = bottom + 15.0 + LABEL_LINE_PX * lines as f64;
                let left = place.middle - note_px(Some(note)) / 2.0;
                canvas.dashed(&[(left, y - 4.0), (left + NOTE_DASH_PX, y - 4.0)], color::INK, 1.3, &[3.0, 2.0]);
                canvas.text(note, left + NOTE_DASH_PX + 4.0, y, Anchor::Start, axes::tick_font());
            }
        }
    }

    fn draw_headings(&self, canvas: &mut Canvas<'_>, row: &Row, left: f64, top: f64) {
        for (lines, from, to) in &row.headings {
            canvas.line(&[(left + from + 3.0, top), (left + to - 3.0, top)], color::LEADER, 0.8);
            for (number, line) in lines.iter().enumerate() {
                let y = top + 15.0 + LABEL_LINE_PX * number as f64;
                canvas.text(line, left + (from + to) / 2.0, y, Anchor::Middle, axes::label_font());
            }
        }
    }
}

/// A number above what it belongs to, with paper behind it, since grid lines run there.
pub(crate) fn draw_number(canvas: &mut Canvas<'_>, text: &str, middle: f64, base: f64, font: Font) {
    let half = font.width_px(text) / 2.0 + 2.0;
    canvas.rect(middle - half, base - 9.0, middle + half, base + 2.0, color::PAPER, 1.0);
    canvas.text(text, middle, base, Anchor::Middle, font);
}

/// The sample of the dashed line that a note explains.
const NOTE_DASH_PX: f64 = 13.0;

fn note_px(note: Option<&str>) -> f64 {
    note.map_or(0.0, |note| axes::tick_font().width_px(note) + NOTE_DASH_PX + 4.0)
}

fn name_font() -> Font {
    Font::new(11.5, color::INK)
}
