//! Pixels: a frame of 1000×1200 of them as `0x00RRGGBB`, painted a band of rows at a time.
//!
//! A band fits the processor's second cache, so what is painted over again and again (squares on squares on the board)
//! never leaves it. Invariant: what reaches over the edge of a band or of the frame is clipped, never a panic.
//!
//! Deliberately absent: transparency. Text is mixed with its paper when it is set (`text.rs`).

use raftian_apps::{WINDOW_HEIGHT_PX, WINDOW_WIDTH_PX};

/// A frame's width.
pub(crate) const WIDTH: usize = WINDOW_WIDTH_PX as usize;

/// A frame's height.
pub(crate) const HEIGHT: usize = WINDOW_HEIGHT_PX as usize;

/// How many rows are painted at a time: 160 kB.
pub(crate) const BAND_ROWS: usize = 40;

/// How many bands a frame has.
pub(crate) const BANDS: usize = HEIGHT / BAND_ROWS;

const _: () = assert!(BANDS * BAND_ROWS == HEIGHT);

/// A colour, `0x00RRGGBB`.
pub(crate) type Colour = u32;

/// The colour of the board.
pub(crate) const GROUND: Colour = 0xa8a8a8;

/// Black, and seven colours that people who see colours differently can tell apart.
pub(crate) const PALETTE: [Colour; 8] =
    [0x000000, 0xe69f00, 0x56b4e9, 0x009e73, 0xf0e442, 0x0072b2, 0xd55e00, 0xcc79a7];

/// A rectangle in a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rect {
    /// Its left edge.
    pub(crate) x: u32,
    /// Its upper edge.
    pub(crate) y: u32,
    /// How wide it is.
    pub(crate) width: u32,
    /// How high it is.
    pub(crate) height: u32,
}

/// A small picture.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Bitmap {
    /// How wide it is.
    pub(crate) width: usize,
    /// Its rows, from the top.
    pub(crate) pixels: Vec<Colour>,
}

/// Some rows of a frame.
#[derive(Debug)]
pub(crate) struct Band<'a> {
    /// The number of the first row.
    top: usize,
    pixels: &'a mut [Colour],
}

impl Rect {
    /// The rectangle with this corner and size.
    pub(crate) const fn new(x: u32, y: u32, width: u32, height: u32) -> Rect {
        Rect { x, y, width, height }
    }

    /// The rectangle with a rim of this width around it. Where there is no room to the left or above, less of it.
    pub(crate) fn grown(self, rim: u32) -> Rect {
        let (x, y) = (self.x.saturating_sub(rim), self.y.saturating_sub(rim));
        Rect { x, y, width: self.x + self.width + rim - x, height: self.y + self.height + rim - y }
    }

    /// Whether a point lies in it.
    pub(crate) fn contains(self, (x, y): (u32, u32)) -> bool {
        (self.x..self.x + self.width).contains(&x) && (self.y..self.y + self.height).contains(&y)
    }
}

/// The bands of a frame, from the top.
///
/// # Panics
/// When the frame does not have [`WIDTH`] × [`HEIGHT`] pixels: a defect of its owner.
pub(crate) fn bands(frame: &mut [Colour]) -> impl Iterator<Item = Band<'_>> {
    assert_eq!(frame.len(), WIDTH * HEIGHT, "a frame of another size");
    frame.chunks_exact_mut(WIDTH * BAND_ROWS).enumerate().map(|(band, pixels)| Band { top: band * BAND_ROWS, pixels })
}

/// One colour, mixed from `share` (0 to 1) of one and the rest of another.
pub(crate) fn mix(one: Colour, share: f32, other: Colour) -> Colour {
    let channel = |shift: u32| {
        let [one, other] = [one, other].map(|colour| (colour >> shift & 0xff) as f32);
        ((other + (one - other) * share.clamp(0.0, 1.0)).round() as Colour) << shift
    };
    channel(16) | channel(8) | channel(0)
}

impl Band<'_> {
    /// Paints a rectangle.
    pub(crate) fn fill(&mut self, rect: Rect, colour: Colour) {
        let left = (rect.x as usize).min(WIDTH);
        let right = ((rect.x + rect.width) as usize).min(WIDTH);
        let (top, bottom) = self.clip(rect.y as usize, rect.height as usize);
        for row in self.pixels[top * WIDTH..bottom * WIDTH].chunks_exact_mut(WIDTH) {
            row[left..right].fill(colour);
        }
    }

    /// Paints a square of `SIDE` × `SIDE` pixels. The constant side makes a row a handful of stores.
    ///
    /// # Panics
    /// When it reaches over the left or right edge: a defect of its owner.
    pub(crate) fn square<const SIDE: usize>(&mut self, x: usize, y: usize, colour: Colour) {
        let (top, bottom) = self.clip(y, SIDE);
        for row in self.pixels[top * WIDTH..bottom * WIDTH].chunks_exact_mut(WIDTH) {
            let cells: &mut [Colour; SIDE] =
                row[x..].first_chunk_mut().expect("a square lies within the width of a frame");
            *cells = [colour; SIDE];
        }
    }

    /// Copies a picture.
    pub(crate) fn copy(&mut self, x: u32, y: u32, picture: &Bitmap) {
        let (x, y) = (x as usize, y as usize);
        let width = picture.width.min(WIDTH.saturating_sub(x));
        if width == 0 {
            return;
        }
        let (top, bottom) = self.clip(y, picture.pixels.len() / picture.width);
        let first = (self.top + top).saturating_sub(y);
        let rows = self.pixels[top * WIDTH..bottom * WIDTH].chunks_exact_mut(WIDTH);
        for (row, source) in rows.zip(picture.pixels.chunks_exact(picture.width).skip(first)) {
            row[x..x + width].copy_from_slice(&source[..width]);
        }
    }

    /// The rows of this band, counted from its top, that something `height` high at `y` covers; `(0, 0)` for none.
    fn clip(&self, y: usize, height: usize) -> (usize, usize) {
        let top = y.clamp(self.top, self.top + BAND_ROWS) - self.top;
        let bottom = (y + height).clamp(self.top, self.top + BAND_ROWS) - self.top;
        (top, bottom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn painted(paint: impl Fn(&mut Band<'_>)) -> Vec<Colour> {
        let mut frame = vec![0; WIDTH * HEIGHT];
        bands(&mut frame).for_each(|mut band| paint(&mut band));
        frame
    }

    fn inside(frame: &[Colour], colour: Colour) -> Vec<(usize, usize)> {
        let hits = frame.iter().enumerate().filter(|(_, pixel)| **pixel == colour);
        hits.map(|(at, _)| (at % WIDTH, at / WIDTH)).collect()
    }

    #[test]
    fn a_rectangle_across_bands_has_exactly_its_pixels() {
        let rect = Rect::new(990, 35, 30, 50);
        let frame = painted(|band| band.fill(rect, 7));
        let hits = inside(&frame, 7);
        assert_eq!(hits.len(), 10 * 50);
        assert!(hits.iter().all(|&(x, y)| rect.contains((x as u32, y as u32))));
    }

    #[test]
    fn a_square_is_a_rectangle() {
        let square = painted(|band| band.square::<30>(970, 1165, 7));
        assert_eq!(square, painted(|band| band.fill(Rect::new(970, 1165, 30, 30), 7)));
        assert_eq!(inside(&square, 7).len(), 900);
    }

    #[test]
    fn a_picture_across_bands_and_edges_keeps_its_rows() {
        let picture = Bitmap { width: 3, pixels: (1..=3 * 60).collect() };
        let frame = painted(|band| band.copy(998, 30, &picture));
        for row in 0..60 {
            let at = (30 + row) * WIDTH + 998;
            assert_eq!(frame[at..at + 2], picture.pixels[row * 3..row * 3 + 2], "row {row}");
        }
        assert_eq!(frame.iter().filter(|pixel| **pixel != 0).count(), 120);
        let low = painted(|band| band.copy(10, 1190, &picture));
        assert_eq!(low.iter().filter(|pixel| **pixel != 0).count(), 30);
    }

    #[test]
    fn nothing_is_painted_beyond_the_frame() {
        let picture = Bitmap { width: 4, pixels: vec![7; 16] };
        let frame = painted(|band| {
            band.fill(Rect::new(2000, 0, 10, 10), 7);
            band.fill(Rect::new(0, 2000, 10, 10), 7);
            band.copy(1000, 0, &picture);
            band.copy(0, 1200, &picture);
            band.copy(0, 0, &Bitmap::default());
        });
        assert_eq!(inside(&frame, 7), []);
    }

    #[test]
    fn mixing_goes_from_one_colour_to_the_other() {
        assert_eq!(mix(0xff8000, 1.0, 0x123456), 0xff8000);
        assert_eq!(mix(0xff8000, 0.0, 0x123456), 0x123456);
        assert_eq!(mix(0xff0000, 0.5, 0x0000ff), 0x800080);
        assert_eq!(mix(0xff0000, f32::NAN, 0x0000ff) & 0xff00_0000, 0);
    }
}
