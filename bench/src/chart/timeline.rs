//! The timeline of a run: a role lane per node, the throughput, and the latency of every operation, with what was
//! broken shaded through all of them.
//!
//! Deliberately absent: any choice of what to show. What is in the data is drawn.

use std::collections::BTreeSet;

use raftian_check::Verdict;

use plotters::prelude::RGBColor;

use super::canvas::{Anchor, Canvas, Font, PAGE_PX, color, page};
use super::scale::{Scale, roof};
use crate::load::OutcomeKind;
use crate::summary::{human_rate, human_us, thousands};
use crate::timeline::{FaultWindow, Lane, LaneState, Span, TimelineData};

const LEFT_PX: f64 = 64.0;
const RIGHT_PX: f64 = 836.0;
const LANE_PX: f64 = 20.0;
const LANE_GAP_PX: f64 = 5.0;
const LABEL_ROW_PX: f64 = 16.0;
/// Labels that do not fit into so many rows are left out.
const MOST_LABEL_ROWS: usize = 8;
const THROUGHPUT_PX: f64 = 100.0;
const LATENCY_PX: f64 = 160.0;
/// A panel's heading and the air above it.
const HEADING_PX: f64 = 40.0;
/// Two operations that fall into one cell are one dot; the cells grow until there are few enough dots.
const CELLS_PX: [f64; 4] = [1.5, 2.0, 3.0, 4.0];
const MOST_DOTS: usize = 5_000;

/// Where everything goes, from top to bottom.
struct Layout {
    title: Vec<String>,
    subtitle: Vec<String>,
    footer: Vec<String>,
    /// Rows for the labels of the windows.
    rows: Vec<Option<Label>>,
    labels_top: f64,
    lanes_top: f64,
    throughput_top: f64,
    latency_top: f64,
    bottom: f64,
    height: f64,
    x: Scale,
}

/// The label of a window.
struct Label {
    x: f64,
    row: usize,
}

/// Draws the timeline as SVG.
pub fn timeline_svg(data: &TimelineData) -> String {
    let layout = Layout::of(data);
    page(PAGE_PX, layout.height, |canvas| {
        head(canvas, &layout);
        windows(canvas, &layout, data);
        lanes(canvas, &layout, data);
        throughput(canvas, &layout, data);
        latency(canvas, &layout, data);
        time_axis(canvas, &layout);
        window_labels(canvas, &layout, &data.windows);
    })
}

fn title_font() -> Font {
    Font::new(18.0, color::INK).bold()
}

fn note_font() -> Font {
    Font::new(12.0, color::GREY)
}

fn label_font() -> Font {
    Font::new(11.5, color::VERMILION).bold()
}

fn tick_font() -> Font {
    Font::new(11.0, color::GREY)
}

impl Layout {
    fn of(data: &TimelineData) -> Layout {
        let text_width = RIGHT_PX - 24.0;
        let title = title_font().wrap(&takeaway(data), text_width);
        let subtitle = note_font().wrap(&counts(data), text_width);
        let footer = tick_font().wrap(&data.provenance, text_width);
        let x = Scale::linear(0.0, data.duration_s, LEFT_PX, RIGHT_PX);
        let rows = place_labels(&data.windows, &x);
        let row_count = rows.iter().flatten().map(|label| label.row + 1).max().unwrap_or(0);

        let labels_top = 20.0 + 24.0 * title.len() as f64 + 17.0 * subtitle.len() as f64 + 12.0;
        let lanes_top = labels_top + LABEL_ROW_PX * row_count as f64 + 6.0;
        let lanes_height = (LANE_PX + LANE_GAP_PX) * data.lanes.len() as f64;
        let throughput_top = lanes_top + lanes_height + HEADING_PX;
        let latency_top = throughput_top + THROUGHPUT_PX + HEADING_PX;
        let bottom = latency_top + LATENCY_PX;
        let height = bottom + 58.0 + 15.0 * footer.len() as f64;
        Layout { title, subtitle, footer, rows, labels_top, lanes_top, throughput_top, latency_top, bottom, height, x }
    }

    fn lanes_bottom(&self) -> f64 {
        self.throughput_top - HEADING_PX
    }
}

/// The title: what the run showed.
pub(super) fn takeaway(data: &TimelineData) -> String {
    let plural = |count: usize, one: &str| if count == 1 { format!("1 {one}") } else { format!("{count} {one}s") };
    // The first leader of the picture was there before anything broke.
    let terms: BTreeSet<_> = led_spans(data).map(|span| span.term).collect();
    let faults = plural(data.windows.len(), "fault");
    let elections = plural(terms.len().saturating_sub(1), "new leader");
    let gap = human_us((data.summary.longest_gap_ms * 1e3) as u64);
    let lost = match data.verdict {
        Some(Verdict::Valid) => "no acknowledged command lost",
        Some(Verdict::Violated) => "an invariant was broken",
        Some(Verdict::Unknown) => "too little evidence for a verdict",
        None => "not judged",
    };
    format!("{faults}, {elections}: {lost}, longest silence {gap}")
}

/// The subtitle: unit and n.
pub(super) fn counts(data: &TimelineData) -> String {
    let summary = &data.summary;
    let rate =
        summary.offered_rate_per_s.map_or("in a closed loop".to_owned(), |rate| format!("at {}", human_rate(rate)));
    let [n, ok, failed, unknown] = [summary.n, summary.ok, summary.failed, summary.unknown].map(thousands);
    let nodes = data.lanes.len();
    let percentile = |value: Option<u64>| value.map_or("–".to_owned(), human_us);
    let (p50, p99) = (percentile(summary.latency_us.p50), percentile(summary.latency_us.p99));
    format!(
        "{n} commands sent to {nodes} nodes {rate}: {ok} acknowledged, {failed} failed, {unknown} unknown · \
         latency from the intended send: p50 {p50}, p99 {p99}"
    )
}

fn led_spans(data: &TimelineData) -> impl Iterator<Item = &Span> {
    data.lanes.iter().flat_map(|lane| &lane.spans).filter(|span| span.state == LaneState::Leader)
}

/// Gives each label the first row in which it does not run into an earlier one; none where all rows are taken.
fn place_labels(windows: &[FaultWindow], x: &Scale) -> Vec<Option<Label>> {
    let mut ends: Vec<f64> = Vec::new();
    let place = |window: &FaultWindow| {
        let width = label_font().width_px(&window.label);
        let start = x.px(window.from_s).min(RIGHT_PX - width);
        let row = ends.iter().position(|end| *end < start).unwrap_or(ends.len());
        if row == MOST_LABEL_ROWS {
            return None;
        }
        let end = start + width + 8.0;
        match ends.get_mut(row) {
            Some(taken) => *taken = end,
            None => ends.push(end),
        }
        Some(Label { x: start, row })
    };
    windows.iter().map(place).collect()
}

fn head(canvas: &mut Canvas<'_>, layout: &Layout) {
    let mut y = 14.0;
    for line in &layout.title {
        y += 24.0;
        canvas.text(line, 24.0, y, Anchor::Start, title_font());
    }
    y += 3.0;
    for line in &layout.subtitle {
        y += 17.0;
        canvas.text(line, 24.0, y, Anchor::Start, note_font());
    }
    let mut y = layout.bottom + 44.0;
    for line in &layout.footer {
        y += 15.0;
        canvas.text(line, 24.0, y, Anchor::Start, tick_font());
    }
}

fn windows(canvas: &mut Canvas<'_>, layout: &Layout, data: &TimelineData) {
    for (window, label) in data.windows.iter().zip(&layout.rows) {
        let (from, to) = (layout.x.px(window.from_s), layout.x.px(window.to_s));
        let row = label.as_ref().map_or(MOST_LABEL_ROWS, |label| label.row);
        let label_top = (layout.labels_top + LABEL_ROW_PX * row as f64).min(layout.lanes_top - 4.0);
        // Panel by panel, so that the headings between them stay clean.
        for (line_top, top, bottom) in [
            (label_top, layout.lanes_top - 4.0, layout.lanes_bottom()),
            (layout.throughput_top, layout.throughput_top, layout.throughput_top + THROUGHPUT_PX),
            (layout.latency_top, layout.latency_top, layout.bottom),
        ] {
            canvas.rect(from, top, to, bottom, color::VERMILION, 0.09);
            canvas.line(&[(from, line_top), (from, bottom)], color::VERMILION, 0.8);
        }
    }
}

fn window_labels(canvas: &mut Canvas<'_>, layout: &Layout, windows: &[FaultWindow]) {
    let placed = windows.iter().zip(&layout.rows).filter_map(|(window, label)| Some((window, label.as_ref()?)));
    for (window, label) in placed {
        let base = layout.labels_top + LABEL_ROW_PX * label.row as f64 + 11.5;
        // A label that was moved left, so as to stay on the page, must not be crossed by its own line.
        let nudge = if label.x < layout.x.px(window.from_s) { -4.0 } else { 4.0 };
        canvas.text(&window.label, label.x + nudge, base, Anchor::Start, label_font());
    }
}

fn lanes(canvas: &mut Canvas<'_>, layout: &Layout, data: &TimelineData) {
    for (number, lane) in data.lanes.iter().enumerate() {
        let top = layout.lanes_top + (LANE_PX + LANE_GAP_PX) * number as f64;
        canvas.text(
            &lane.node.to_string(),
            LEFT_PX - 10.0,
            top + 14.5,
            Anchor::End,
            Font::new(12.5, color::INK).bold(),
        );
        draw_lane(canvas, layout, lane, top);
    }
}

fn draw_lane(canvas: &mut Canvas<'_>, layout: &Layout, lane: &Lane, top: f64) {
    for span in &merged(&lane.spans) {
        let (from, to) = (layout.x.px(span.from_s), layout.x.px(span.to_s));
        let middle = top + LANE_PX / 2.0;
        let (fill, ink) = match span.state {
            LaneState::Leader => (Some(color::BLUE), color::PAPER),
            LaneState::Follower => (Some(color::PALE_BLUE), color::GREY),
            LaneState::Candidate => (Some(color::ORANGE), color::INK),
            LaneState::Paused => (Some(color::PINK), color::INK),
            LaneState::Down => (None, color::INK),
        };
        match fill {
            // An election can be shorter than a pixel, and is still what the picture is about.
            Some(fill) => canvas.rect(from, top, to.max(from + 1.0).min(RIGHT_PX), top + LANE_PX, fill, 1.0),
            None => canvas.line(&[(from, middle), (to, middle)], color::GREY, 1.5),
        }
        draw_lane_label(canvas, span, (from, to), top, ink);
    }
}

/// Neighbouring spans that look the same are one: only a leader's term is told.
fn merged(spans: &[Span]) -> Vec<Span> {
    let mut merged: Vec<Span> = Vec::new();
    for span in spans {
        match merged.last_mut() {
            Some(last) if last.state == span.state && (last.term == span.term || span.state != LaneState::Leader) => {
                last.to_s = span.to_s;
            }
            _ => merged.push(*span),
        }
    }
    merged
}

fn draw_lane_label(canvas: &mut Canvas<'_>, span: &Span, (from, to): (f64, f64), top: f64, ink: RGBColor) {
    let font = Font { bold: span.state == LaneState::Leader, ..Font::new(11.0, ink) };
    // From the longest to the shortest that still says it.
    let texts = match span.state {
        LaneState::Leader => {
            vec![format!("leader, term {}", span.term), format!("term {}", span.term), span.term.to_string()]
        }
        LaneState::Follower => vec!["follower".to_owned()],
        LaneState::Candidate => vec!["candidate".to_owned()],
        LaneState::Paused => vec!["paused".to_owned()],
        LaneState::Down => vec!["dead".to_owned()],
    };
    let measured = texts.into_iter().map(|text| (font.width_px(&text), text));
    let Some((width, text)) = measured.into_iter().find(|(width, _)| width + 10.0 <= to - from) else { return };
    let middle = (from + to) / 2.0;
    if span.state == LaneState::Down {
        // The line stops for its label.
        canvas.rect(
            middle - width / 2.0 - 4.0,
            top + 3.0,
            middle + width / 2.0 + 4.0,
            top + LANE_PX - 3.0,
            color::PAPER,
            1.0,
        );
    }
    canvas.text(&text, middle, top + 14.0, Anchor::Middle, font);
}

fn heading(canvas: &mut Canvas<'_>, text: &str, panel_top: f64) {
    canvas.text(text, LEFT_PX, panel_top - 10.0, Anchor::Start, Font::new(12.5, color::INK).bold());
}

fn throughput(canvas: &mut Canvas<'_>, layout: &Layout, data: &TimelineData) {
    let (top, bottom) = (layout.throughput_top, layout.throughput_top + THROUGHPUT_PX);
    heading(canvas, &format!("Acknowledged commands per second, in bins of {:.0} ms", data.bin_s * 1e3), top);
    let most = data.throughput_per_s.iter().copied().fold(0.0, f64::max);
    let y = Scale::linear(0.0, roof(most), bottom, top);
    for tick in y.ticks(4) {
        canvas.line(&[(LEFT_PX, y.px(tick)), (RIGHT_PX, y.px(tick))], color::FAINT, 0.7);
        canvas.text(&thousands(tick as u64), LEFT_PX - 8.0, y.px(tick) + 4.0, Anchor::End, tick_font());
    }
    // Steps, because a bin is an interval and not a moment.
    let mut outline = Vec::new();
    for (number, rate) in data.throughput_per_s.iter().enumerate() {
        let from = layout.x.px(number as f64 * data.bin_s);
        let to = layout.x.px((number + 1) as f64 * data.bin_s);
        outline.extend([(from, y.px(*rate)), (to, y.px(*rate))]);
    }
    if let (Some(first), Some(last)) = (outline.first().copied(), outline.last().copied()) {
        let mut area = outline.clone();
        area.extend([(last.0, bottom), (first.0, bottom)]);
        canvas.polygon(&area, color::GREEN, 0.25);
        canvas.line(&outline, color::GREEN, 1.2);
    }
    canvas.line(&[(LEFT_PX, bottom), (RIGHT_PX, bottom)], color::GREY, 1.0);
}

fn latency(canvas: &mut Canvas<'_>, layout: &Layout, data: &TimelineData) {
    let (top, bottom) = (layout.latency_top, layout.bottom);
    heading(canvas, "Latency by time of intended send, a dot per command (log scale)", top);
    let least = data.dots.iter().map(|dot| dot.latency_ms).fold(f64::INFINITY, f64::min);
    let most = data.dots.iter().map(|dot| dot.latency_ms).fold(0.0, f64::max);
    let y = Scale::decades(least, most, bottom, top);
    for tick in y.ticks(6) {
        canvas.line(&[(LEFT_PX, y.px(tick)), (RIGHT_PX, y.px(tick))], color::FAINT, 0.7);
        canvas.text(&human_ms(tick), LEFT_PX - 8.0, y.px(tick) + 4.0, Anchor::End, tick_font());
    }
    for (x, y, answered) in thinned(data, layout, &y) {
        match answered {
            true => canvas.dot(x, y, 1.1, color::BLUE, 0.75),
            false => cross(canvas, x, y),
        }
    }
    let unanswered = data.summary.failed + data.summary.unknown;
    if unanswered > 0 {
        let text = format!("× {} without an answer", thousands(unanswered));
        canvas.text(&text, RIGHT_PX, top - 10.0, Anchor::End, Font::new(11.5, color::VERMILION).bold());
    }
}

/// The dots as pixels, and whether each was answered; those that would cover each other are one.
fn thinned(data: &TimelineData, layout: &Layout, y: &Scale) -> Vec<(f64, f64, bool)> {
    let mut kept = Vec::new();
    for cell_px in CELLS_PX {
        let mut cells = BTreeSet::new();
        let all =
            data.dots.iter().map(|dot| (layout.x.px(dot.at_s), y.px(dot.latency_ms), dot.kind == OutcomeKind::Ok));
        kept = all.filter(|(x, y, ok)| cells.insert(((x / cell_px) as i64, (y / cell_px) as i64, *ok))).collect();
        if kept.len() <= MOST_DOTS {
            break;
        }
    }
    kept
}

fn cross(canvas: &mut Canvas<'_>, x: f64, y: f64) {
    let arm = 2.5;
    canvas.line(&[(x - arm, y - arm), (x + arm, y + arm)], color::VERMILION, 1.2);
    canvas.line(&[(x - arm, y + arm), (x + arm, y - arm)], color::VERMILION, 1.2);
}

fn time_axis(canvas: &mut Canvas<'_>, layout: &Layout) {
    let bottom = layout.bottom;
    canvas.line(&[(LEFT_PX, bottom), (RIGHT_PX, bottom)], color::GREY, 1.0);
    for tick in layout.x.ticks(14) {
        let x = layout.x.px(tick);
        canvas.line(&[(x, bottom), (x, bottom + 4.0)], color::GREY, 1.0);
        canvas.text(&format_seconds(tick), x, bottom + 17.0, Anchor::Middle, tick_font());
    }
    let middle = (LEFT_PX + RIGHT_PX) / 2.0;
    canvas.text("seconds since the start", middle, bottom + 33.0, Anchor::Middle, tick_font());
}

fn format_seconds(seconds: f64) -> String {
    // A tick is a multiple of 1, 2 or 5 times a power of ten: its shortest text is exact to the eye.
    let text = format!("{seconds:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn human_ms(ms: f64) -> String {
    match ms {
        _ if ms < 0.999 => format!("{} µs", (ms * 1e3).round()),
        _ if ms < 999.0 => format!("{} ms", ms.round()),
        _ => format!("{} s", (ms / 1e3).round()),
    }
}

#[cfg(test)]
#[path = "timeline_tests.rs"]
pub(crate) mod tests;
