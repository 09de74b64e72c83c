//! A page to draw on, in pixels with fractions, over the SVG back end of plotters.
//!
//! Invariants: coordinates are kept to a tenth of a pixel (the back end knows integers only, so the page is drawn ten
//! times too large and its view box scaled back); a text is as wide as it was measured, whatever font a reader's browser
//! takes; nothing is clamped or clipped here, so callers draw inside.

use std::fmt::Write as _;
use std::sync::Once;

use plotters::backend::SVGBackend;
use plotters::prelude::{Color as _, DrawingBackend as _, FontStyle, FontTransform, RGBColor, ShapeStyle};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{FontDesc, FontFamily, TextStyle, register_font};

/// The width of a chart on a page of its own.
pub(crate) const PAGE_PX: f64 = 860.0;

/// How many units of the back end make a pixel.
const SCALE: f64 = 10.0;

/// The back end divides font sizes by this.
const FONT_DIVISOR: f64 = 1.24;

/// Line height of Noto Sans in ems: text is measured in line heights and drawn in ems.
const LINE_HEIGHT_EM: f64 = 1.362;

const FAMILY: FontFamily<'static> = FontFamily::SansSerif;

/// The colours of the house, which the colour-blind can tell apart, and greys.
pub(crate) mod color {
    use plotters::prelude::RGBColor;

    pub(crate) const INK: RGBColor = RGBColor(0x22, 0x22, 0x22);
    pub(crate) const GREY: RGBColor = RGBColor(0x4D, 0x4D, 0x4D);
    pub(crate) const LEADER: RGBColor = RGBColor(0xBB, 0xBB, 0xBB);
    pub(crate) const FAINT: RGBColor = RGBColor(0xE2, 0xE2, 0xE2);
    pub(crate) const PAPER: RGBColor = RGBColor(0xFF, 0xFF, 0xFF);
    pub(crate) const BLUE: RGBColor = RGBColor(0x00, 0x72, 0xB2);
    pub(crate) const PALE_BLUE: RGBColor = RGBColor(0xD6, 0xE6, 0xF0);
    pub(crate) const GREEN: RGBColor = RGBColor(0x00, 0x9E, 0x73);
    pub(crate) const VERMILION: RGBColor = RGBColor(0xD5, 0x5E, 0x00);
    pub(crate) const ORANGE: RGBColor = RGBColor(0xE6, 0x9F, 0x00);
    pub(crate) const PINK: RGBColor = RGBColor(0xCC, 0x79, 0xA7);
}

/// A colour on white paper, as a share of itself.
pub(crate) fn tint(color: RGBColor, share: f64) -> RGBColor {
    let part = |level: u8| (255.0 - (255.0 - f64::from(level)) * share).round() as u8;
    RGBColor(part(color.0), part(color.1), part(color.2))
}

/// Where a text stands relative to its point.
#[derive(Clone, Copy)]
pub(crate) enum Anchor {
    Start,
    Middle,
    End,
}

/// The look of a text.
#[derive(Clone, Copy)]
pub(crate) struct Font {
    pub(crate) size_px: f64,
    pub(crate) bold: bool,
    pub(crate) color: RGBColor,
}

/// A page.
pub(crate) struct Canvas<'a> {
    backend: SVGBackend<'a>,
    /// The widths of the texts so far, in units.
    text_widths: Vec<i32>,
}

/// Draws a page of this size and returns it as SVG.
pub(crate) fn page(width_px: f64, height_px: f64, draw: impl FnOnce(&mut Canvas<'_>)) -> String {
    register_fonts();
    let (width, height) = (units(width_px), units(height_px));
    let mut svg = String::new();
    let text_widths = {
        let size = (width.unsigned_abs(), height.unsigned_abs());
        let mut canvas = Canvas { backend: SVGBackend::with_string(&mut svg, size), text_widths: Vec::new() };
        canvas.rect(0.0, 0.0, width_px, height_px, color::PAPER, 1.0);
        draw(&mut canvas);
        canvas.backend.present().expect("writing to a string does not fail");
        std::mem::take(&mut canvas.text_widths)
    };
    let drawn = format!(r#"<svg width="{width}" height="{height}""#);
    let shown = format!(r#"<svg width="{width_px}" height="{}""#, height_px.round());
    fix_widths(&svg.replacen(&drawn, &shown, 1), &text_widths)
}

/// Says of every text how wide it is, which the back end cannot.
fn fix_widths(svg: &str, widths: &[i32]) -> String {
    const TAG: &str = "<text ";
    // Texts are escaped, so the tag stands only where a text begins.
    let mut parts = svg.split(TAG);
    let mut fixed = parts.next().unwrap_or_default().to_owned();
    for (part, width) in parts.zip(widths) {
        let _ = write!(fixed, r#"{TAG}textLength="{width}" lengthAdjust="spacingAndGlyphs" {part}"#);
    }
    fixed
}

impl Font {
    pub(crate) fn new(size_px: f64, color: RGBColor) -> Font {
        Font { size_px, bold: false, color }
    }

    pub(crate) fn bold(self) -> Font {
        Font { bold: true, ..self }
    }

    pub(crate) fn with(self, color: RGBColor) -> Font {
        Font { color, ..self }
    }

    /// The width of a text in pixels.
    pub(crate) fn width_px(self, text: &str) -> f64 {
        register_fonts();
        // Measured large: the answer comes in whole units.
        let measured = self.desc(1000.0).box_size(text).map_or(0, |(width, _)| width);
        f64::from(measured) / 1000.0 * LINE_HEIGHT_EM * self.size_px
    }

    /// The text in as few lines as fit into `width_px`, broken at spaces, and within words that are wider than that.
    pub(crate) fn wrap(self, text: &str, width_px: f64) -> Vec<String> {
        let mut lines: Vec<String> = Vec::new();
        for word in self.words(text, width_px).iter().flat_map(|word| self.pieces(word, width_px)) {
            match lines.last_mut() {
                Some(line) if self.width_px(&format!("{line} {word}")) <= width_px => {
                    line.push(' ');
                    line.push_str(&word);
                }
                _ => lines.push(word),
            }
        }
        lines
    }

    /// The text in as few lines as fit, of about the same length.
    pub(crate) fn balanced(self, text: &str, width_px: f64) -> Vec<String> {
        let mut lines = self.wrap(text, width_px);
        let mut narrower = width_px;
        while lines.len() > 1 {
            narrower *= 0.96;
            let again = self.wrap(text, narrower);
            if again.len() > lines.len() {
                break;
            }
            lines = again;
        }
        lines
    }

    /// The words of a text; a number keeps its unit where both fit.
    fn words(self, text: &str, width_px: f64) -> Vec<String> {
        let mut words: Vec<String> = Vec::new();
        for word in text.split_whitespace() {
            let is_short = word.chars().count() <= 3;
            match words.last_mut().filter(|last| is_short && last.ends_with(|end: char| end.is_ascii_digit())) {
                Some(last) if self.width_px(&format!("{last} {word}")) <= width_px => {
                    last.push(' ');
                    last.push_str(word);
                }
                _ => words.push(word.to_owned()),
            }
        }
        words
    }

    /// The text, or as much of its beginning as fits into `width_px` with an ellipsis.
    pub(crate) fn elided(self, text: &str, width_px: f64) -> String {
        if self.width_px(text) <= width_px {
            return text.to_owned();
        }
        let ends = text.char_indices().map(|(end, _)| end).rev();
        let cut = ends.map(|end| format!("{}…", text[..end].trim_end())).find(|cut| self.width_px(cut) <= width_px);
        cut.unwrap_or_default()
    }

    /// The width of the widest word of a text: what it cannot be narrower than.
    pub(crate) fn word_px(self, text: &str) -> f64 {
        text.split_whitespace().map(|word| self.width_px(word)).fold(0.0, f64::max)
    }

    fn pieces(self, word: &str, width_px: f64) -> Vec<String> {
        if self.width_px(word) <= width_px {
            return vec![word.to_owned()];
        }
        let mut pieces = vec![String::new()];
        for letter in word.chars() {
            let last = pieces.last_mut().expect("there is always one");
            if last.is_empty() || self.width_px(&format!("{last}{letter}")) <= width_px {
                last.push(letter);
            } else {
                pieces.push(letter.to_string());
            }
        }
        pieces
    }

    fn desc(self, size: f64) -> FontDesc<'static> {
        let style = if self.bold { FontStyle::Bold } else { FontStyle::Normal };
        FontDesc::new(FAMILY, size, style)
    }
}

impl Canvas<'_> {
    pub(crate) fn rect(&mut self, x0: f64, y0: f64, x1: f64, y1: f64, color: RGBColor, alpha: f64) {
        let corners = ((units(x0), units(y0)), (units(x1), units(y1)));
        let drawn = self.backend.draw_rect(corners.0, corners.1, &color.mix(alpha).filled(), true);
        drawn.expect("writing to a string does not fail");
    }

    pub(crate) fn line(&mut self, points: &[(f64, f64)], color: RGBColor, width_px: f64) {
        let style = ShapeStyle { color: color.to_rgba(), filled: false, stroke_width: units(width_px).unsigned_abs() };
        let drawn = self.backend.draw_path(points.iter().map(|&(x, y)| (units(x), units(y))), &style);
        drawn.expect("writing to a string does not fail");
    }

    /// A line with gaps: `pattern` is how long to draw, skip, draw …; without a pattern it is a plain line.
    pub(crate) fn dashed(&mut self, points: &[(f64, f64)], color: RGBColor, width_px: f64, pattern: &[f64]) {
        if pattern.is_empty() {
            return self.line(points, color, width_px);
        }
        for dash in dashes(points, pattern) {
            self.line(&dash, color, width_px);
        }
    }

    pub(crate) fn polygon(&mut self, points: &[(f64, f64)], color: RGBColor, alpha: f64) {
        let drawn =
            self.backend.fill_polygon(points.iter().map(|&(x, y)| (units(x), units(y))), &color.mix(alpha).filled());
        drawn.expect("writing to a string does not fail");
    }

    pub(crate) fn dot(&mut self, x: f64, y: f64, radius_px: f64, color: RGBColor, alpha: f64) {
        let style = ShapeStyle { color: color.mix(alpha), filled: true, stroke_width: 0 };
        let drawn = self.backend.draw_circle((units(x), units(y)), units(radius_px).unsigned_abs(), &style, true);
        drawn.expect("writing to a string does not fail");
    }

    /// A text with its base line at `y`.
    pub(crate) fn text(&mut self, text: &str, x: f64, y: f64, anchor: Anchor, font: Font) {
        let h_pos = match anchor {
            Anchor::Start => HPos::Left,
            Anchor::Middle => HPos::Center,
            Anchor::End => HPos::Right,
        };
        // With the top as its anchor, the back end lowers the base line by 0.76 em; the other anchors use the
        // x-height, which renderers disagree about.
        let top = y - 0.76 * font.size_px;
        let style = TextStyle {
            font: font.desc(font.size_px * SCALE * FONT_DIVISOR).transform(FontTransform::None),
            color: font.color.to_backend_color(),
            pos: Pos::new(h_pos, VPos::Top),
        };
        if text.trim().is_empty() {
            return;
        }
        self.text_widths.push(units(font.width_px(text)));
        self.backend.draw_text(text, &style, (units(x), units(top))).expect("writing to a string does not fail");
    }
}

/// The parts of a line that a pattern of lengths leaves; it goes on around corners.
fn dashes(points: &[(f64, f64)], pattern: &[f64]) -> Vec<Vec<(f64, f64)>> {
    let mut drawn: Vec<Vec<(f64, f64)>> = Vec::new();
    let (mut phase, mut left) = (0, pattern[0]);
    let mut dash: Vec<(f64, f64)> = points.first().copied().into_iter().collect();
    for pair in points.windows(2) {
        let (from, to) = (pair[0], pair[1]);
        let length = (to.0 - from.0).hypot(to.1 - from.1);
        let mut gone = 0.0;
        while length - gone > left {
            gone += left;
            let here = (from.0 + (to.0 - from.0) * gone / length, from.1 + (to.1 - from.1) * gone / length);
            if phase % 2 == 0 {
                dash.push(here);
                drawn.push(std::mem::take(&mut dash));
            } else {
                dash = vec![here];
            }
            phase = (phase + 1) % pattern.len();
            left = pattern[phase];
        }
        left -= length - gone;
        if phase % 2 == 0 {
            dash.push(to);
        }
    }
    if dash.len() > 1 {
        drawn.push(dash);
    }
    drawn
}

fn units(px: f64) -> i32 {
    (px * SCALE).round() as i32
}

fn register_fonts() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        for family in ["sans-serif", "Noto Sans"] {
            for (style, bytes) in [(FontStyle::Normal, ttf_noto_sans::REGULAR), (FontStyle::Bold, ttf_noto_sans::BOLD)]
            {
                // The fonts are compiled in and known to be whole; without one, drawing would say so.
                let _ = register_font(family, style, bytes);
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dashes_go_around_corners_and_cover_what_the_pattern_says() {
        let corner = [(0.0, 0.0), (3.0, 0.0), (3.0, 4.0)];
        let drawn = dashes(&corner, &[4.0, 2.0]);
        assert_eq!(drawn, [vec![(0.0, 0.0), (3.0, 0.0), (3.0, 1.0)], vec![(3.0, 3.0), (3.0, 4.0)]]);
        assert!(dashes(&[], &[1.0, 1.0]).is_empty() && dashes(&[(1.0, 1.0)], &[1.0, 1.0]).is_empty());
    }

    #[test]
    fn texts_are_wrapped_within_the_width_even_when_a_word_is_wider() {
        let font = Font::new(12.0, color::INK);
        let lines = font.wrap(&format!("a {} b", "w".repeat(100)), 120.0);
        assert!(lines.len() > 3 && lines.iter().all(|line| font.width_px(line) <= 120.0), "{lines:?}");
        assert!(font.wrap("  ", 100.0).is_empty());
        assert_eq!(font.wrap("every 100 ms or so", font.width_px("every 100")), ["every", "100 ms", "or so"]);
        let balanced = font.balanced("one two three four five six", font.width_px("one two three four five"));
        assert_eq!(balanced, ["one two three", "four five six"]);
        let cut = font.elided("über alle Maßen lang", 80.0);
        assert!(cut.starts_with("über") && cut.ends_with('…') && font.width_px(&cut) <= 80.0, "{cut}");
        assert_eq!((font.elided("short", 80.0).as_str(), font.elided("short", 1.0).as_str()), ("short", ""));
    }

    #[test]
    fn every_text_says_its_width_and_is_escaped() {
        let font = Font::new(12.0, color::INK);
        let svg = page(200.0, 50.0, |canvas| {
            canvas.text("a <text > & b", 0.0, 20.0, Anchor::Start, font);
            canvas.text(" ", 0.0, 20.0, Anchor::Start, font);
            canvas.text("second", 0.0, 40.0, Anchor::Start, font);
        });
        assert_eq!((svg.matches("<text ").count(), svg.matches("textLength=").count()), (2, 2), "{svg}");
        assert!(svg.contains("a &lt;text &gt; &amp; b"), "{svg}");
    }
}
