//! A page to draw on, in pixels with fractions, over the SVG back end of plotters.
//!
//! Invariants: coordinates are kept to a tenth of a pixel (the back end knows integers only, so the page is drawn ten
//! times too large and its view box scaled back); nothing is clamped or clipped here, so callers draw inside.

use std::sync::Once;

use plotters::backend::SVGBackend;
use plotters::prelude::{Color as _, DrawingBackend as _, FontStyle, FontTransform, RGBColor, ShapeStyle};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{FontDesc, FontFamily, TextStyle, register_font};

/// The width of every chart.
pub(crate) const WIDTH_PX: f64 = 860.0;

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
    pub(crate) const FAINT: RGBColor = RGBColor(0xDD, 0xDD, 0xDD);
    pub(crate) const PAPER: RGBColor = RGBColor(0xFF, 0xFF, 0xFF);
    pub(crate) const BLUE: RGBColor = RGBColor(0x00, 0x72, 0xB2);
    pub(crate) const PALE_BLUE: RGBColor = RGBColor(0xD6, 0xE6, 0xF0);
    pub(crate) const GREEN: RGBColor = RGBColor(0x00, 0x9E, 0x73);
    pub(crate) const VERMILION: RGBColor = RGBColor(0xD5, 0x5E, 0x00);
    pub(crate) const ORANGE: RGBColor = RGBColor(0xE6, 0x9F, 0x00);
    pub(crate) const PINK: RGBColor = RGBColor(0xCC, 0x79, 0xA7);
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
}

/// Draws a page of this height and returns it as SVG.
pub(crate) fn page(height_px: f64, draw: impl FnOnce(&mut Canvas<'_>)) -> String {
    register_fonts();
    let (width, height) = (units(WIDTH_PX), units(height_px));
    let mut svg = String::new();
    {
        let size = (width.unsigned_abs(), height.unsigned_abs());
        let mut canvas = Canvas { backend: SVGBackend::with_string(&mut svg, size) };
        canvas.rect(0.0, 0.0, WIDTH_PX, height_px, color::PAPER, 1.0);
        draw(&mut canvas);
        canvas.backend.present().expect("writing to a string does not fail");
    }
    let drawn = format!(r#"<svg width="{width}" height="{height}""#);
    let shown = format!(r#"<svg width="{WIDTH_PX}" height="{}""#, height_px.round());
    svg.replacen(&drawn, &shown, 1)
}

impl Font {
    pub(crate) fn new(size_px: f64, color: RGBColor) -> Font {
        Font { size_px, bold: false, color }
    }

    pub(crate) fn bold(self) -> Font {
        Font { bold: true, ..self }
    }

    /// The width of a text in pixels.
    pub(crate) fn width_px(self, text: &str) -> f64 {
        register_fonts();
        // Measured large: the answer comes in whole units.
        let measured = self.desc(1000.0).box_size(text).map_or(0, |(width, _)| width);
        f64::from(measured) / 1000.0 * LINE_HEIGHT_EM * self.size_px
    }

    /// The text in as few lines as fit into `width_px`, broken at spaces.
    pub(crate) fn wrap(self, text: &str, width_px: f64) -> Vec<String> {
        let mut lines: Vec<String> = Vec::new();
        for word in text.split(' ') {
            match lines.last_mut() {
                Some(line) if self.width_px(&format!("{line} {word}")) <= width_px => {
                    line.push(' ');
                    line.push_str(word);
                }
                _ => lines.push(word.to_owned()),
            }
        }
        lines
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
        self.backend.draw_text(text, &style, (units(x), units(top))).expect("writing to a string does not fail");
    }
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
