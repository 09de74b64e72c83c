//! Text: lines set in Noto Sans, mixed with the paper they stand on.
//!
//! Two caches: glyphs, so that a line that changes costs no outlines, and finished lines, so that one that does not
//! change is copied row by row. Invariant: the same text gives the same pixels on every machine; no font of the system
//! is looked for.

use std::collections::HashMap;
use std::rc::Rc;

use ab_glyph::{Font as _, FontRef, PxScale, ScaleFont as _};

use crate::game::canvas::{Bitmap, Colour, mix};

/// The most bytes of finished lines that are kept.
const MAX_LINES_BYTES: usize = 8 * 1024 * 1024;

/// Letters stand at quarters of a pixel; whole pixels would tear words apart.
const PHASES: u8 = 4;

/// How a line looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Style {
    /// Which face.
    pub(crate) face: Face,
    /// The height of the line.
    pub(crate) size_px: u8,
    /// The colour of the letters.
    pub(crate) ink: Colour,
    /// The colour behind them.
    pub(crate) paper: Colour,
}

/// The faces there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Face {
    /// Noto Sans.
    Regular,
    /// Noto Sans Bold.
    Bold,
}

/// Sets lines, and remembers them.
#[derive(Debug)]
pub(crate) struct Typesetter {
    regular: FontRef<'static>,
    bold: FontRef<'static>,
    /// By face, size, letter and phase.
    glyphs: HashMap<(Face, u8, char, u8), Glyph>,
    /// Finished lines by style, text and width.
    lines: HashMap<(Style, u32), HashMap<String, Rc<Bitmap>>>,
    lines_bytes: usize,
}

/// A letter at a size.
#[derive(Clone, Debug, Default)]
struct Glyph {
    /// How far it moves the pen.
    advance: f32,
    /// Where its picture is, from the pixel the pen is in and the top of the line.
    left: i32,
    top: i32,
    width: usize,
    /// How much of each pixel is ink.
    coverage: Vec<f32>,
}

impl Typesetter {
    /// A typesetter that has set nothing yet.
    pub(crate) fn new() -> Typesetter {
        let face = |bytes| FontRef::try_from_slice(bytes).expect("the faces built in are sound");
        Typesetter {
            regular: face(ttf_noto_sans::REGULAR),
            bold: face(ttf_noto_sans::BOLD),
            glyphs: HashMap::new(),
            lines: HashMap::new(),
            lines_bytes: 0,
        }
    }

    /// The picture of a line, at most `max_width_px` wide; a longer one ends in an ellipsis.
    pub(crate) fn line(&mut self, text: &str, style: Style, max_width_px: u32) -> Rc<Bitmap> {
        if let Some(line) = self.lines.get(&(style, max_width_px)).and_then(|lines| lines.get(text)) {
            return Rc::clone(line);
        }
        let line = Rc::new(self.set(text, style, max_width_px as usize));
        if self.lines_bytes > MAX_LINES_BYTES {
            self.lines.clear();
            self.lines_bytes = 0;
        }
        self.lines_bytes += line.pixels.len() * size_of::<Colour>();
        self.lines.entry((style, max_width_px)).or_default().insert(text.to_owned(), Rc::clone(&line));
        line
    }

    fn set(&mut self, text: &str, style: Style, max_width: usize) -> Bitmap {
        let letters: Vec<char> = text.chars().collect();
        let advances: Vec<f32> = letters.iter().map(|letter| self.glyph(style, *letter, 0).advance).collect();
        let fits = |width: f32| width.ceil() as usize <= max_width;
        let (shown, ending) = if fits(advances.iter().sum()) {
            (letters.len(), None)
        } else {
            let mut pen = self.glyph(style, '…', 0).advance;
            let shown = advances.iter().take_while(|advance| {
                pen += **advance;
                fits(pen)
            });
            (shown.count(), Some('…'))
        };
        let letters: Vec<char> = letters[..shown].iter().copied().chain(ending).collect();
        let advance: f32 = letters.iter().map(|letter| self.glyph(style, *letter, 0).advance).sum();
        let (width, height) = ((advance.ceil() as usize).min(max_width), usize::from(style.size_px));
        let mut line = Bitmap { width, pixels: vec![style.paper; width * height] };
        let mut pen = 0.0_f32;
        for letter in letters {
            let quarters = (pen * f32::from(PHASES)).round() as i32;
            let (pixel, phase) = (quarters.div_euclid(PHASES.into()), quarters.rem_euclid(PHASES.into()));
            let glyph = self.glyph(style, letter, phase as u8);
            glyph.ink(&mut line, pixel, style);
            pen += glyph.advance;
        }
        line
    }

    fn glyph(&mut self, Style { face, size_px, .. }: Style, letter: char, phase: u8) -> &Glyph {
        let font = match face {
            Face::Regular => &self.regular,
            Face::Bold => &self.bold,
        };
        self.glyphs.entry((face, size_px, letter, phase)).or_insert_with(|| Glyph::new(font, size_px, letter, phase))
    }
}

impl Glyph {
    fn new(font: &FontRef<'_>, size_px: u8, letter: char, phase: u8) -> Glyph {
        let scaled = font.as_scaled(PxScale::from(f32::from(size_px)));
        let id = scaled.glyph_id(letter);
        let advance = scaled.h_advance(id);
        let mut glyph = scaled.scaled_glyph(letter);
        glyph.position.x = f32::from(phase) / f32::from(PHASES);
        let Some(outline) = scaled.outline_glyph(glyph) else {
            return Glyph { advance, ..Glyph::default() };
        };
        let bounds = outline.px_bounds();
        let (width, height) = (bounds.width() as usize, bounds.height() as usize);
        let mut coverage = vec![0.0; width * height];
        outline.draw(|x, y, share| coverage[y as usize * width + x as usize] = share);
        let top = (bounds.min.y + scaled.ascent()).round() as i32;
        Glyph { advance, left: bounds.min.x as i32, top, width, coverage }
    }

    /// Mixes the letter into a line, with the pen in this pixel.
    fn ink(&self, line: &mut Bitmap, pixel: i32, style: Style) {
        if self.width == 0 {
            return;
        }
        let (left, height) = (pixel + self.left, line.pixels.len() / line.width.max(1));
        for (row, coverage) in (self.top..).zip(self.coverage.chunks_exact(self.width)) {
            let Some(row) = usize::try_from(row).ok().filter(|row| *row < height) else { continue };
            for (column, share) in (left..).zip(coverage) {
                let column = usize::try_from(column).ok().filter(|column| *column < line.width);
                if let Some(column) = column.filter(|_| *share > 0.0) {
                    let pixel = &mut line.pixels[row * line.width + column];
                    *pixel = mix(style.ink, *share, *pixel);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STYLE: Style = Style { face: Face::Regular, size_px: 30, ink: 0, paper: 0xffffff };

    fn ink(line: &Bitmap) -> usize {
        line.pixels.iter().filter(|pixel| **pixel != STYLE.paper).count()
    }

    #[test]
    fn a_line_has_ink_and_is_set_once() {
        let mut typesetter = Typesetter::new();
        let line = typesetter.line("term 3", STYLE, 500);
        assert!(ink(&line) > 100 && line.width < 200, "{} of {}", ink(&line), line.width);
        assert!(Rc::ptr_eq(&line, &typesetter.line("term 3", STYLE, 500)));
        assert!(typesetter.line("", STYLE, 500).pixels.is_empty());
    }

    #[test]
    fn bold_is_another_face() {
        let mut typesetter = Typesetter::new();
        let regular = ink(&typesetter.line("term", STYLE, 500));
        assert!(ink(&typesetter.line("term", Style { face: Face::Bold, ..STYLE }, 500)) > regular);
    }

    #[test]
    fn what_is_too_long_ends_in_an_ellipsis() {
        let mut typesetter = Typesetter::new();
        let dots = typesetter.line("…", STYLE, 200);
        let cut = typesetter.line(&"m".repeat(100), STYLE, 200);
        assert!(cut.width <= 200, "{}", cut.width);
        let end = |line: &Bitmap| -> Vec<Colour> {
            line.pixels.chunks(line.width).flat_map(|row| row[row.len() - dots.width + 2..].to_vec()).collect()
        };
        assert!(end(&cut).iter().any(|pixel| *pixel != STYLE.paper), "the ellipsis is not there");
        assert_eq!(typesetter.line("mm", STYLE, 0).width, 0);
    }

    #[test]
    fn a_stream_of_ever_new_lines_takes_no_more_memory_than_allowed() {
        let mut typesetter = Typesetter::new();
        for number in 0..2_000 {
            typesetter.line(&format!("a rather long line with the number {number}"), STYLE, 1000);
        }
        assert!(typesetter.lines_bytes <= MAX_LINES_BYTES + 1000 * 30 * 4);
        let kept: usize = typesetter.lines.values().flat_map(HashMap::values).map(|line| line.pixels.len() * 4).sum();
        assert_eq!(kept, typesetter.lines_bytes);
    }
}
