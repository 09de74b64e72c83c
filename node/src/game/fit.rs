//! A frame in a window of another size: as large as fits, in the middle, and clicks mapped back.
//!
//! Invariant: a click on a pixel of the scaled frame is a click on the pixel of the frame that is shown there.

use std::ops::Range;

use crate::game::canvas::{Colour, HEIGHT, WIDTH};

/// The colour beside the frame.
const BESIDE: Colour = 0x303030;

/// Weights are parts of this.
const ONE: u32 = 256;

/// How a frame lies in a window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fit {
    window: (usize, usize),
    /// The columns and rows of the window that show the frame.
    columns: Range<usize>,
    rows: Range<usize>,
    /// For each of those what it shows.
    column_taps: Vec<Tap>,
    row_taps: Vec<Tap>,
}

/// Two neighbours in the frame, and how much of the second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Tap {
    first: usize,
    second: usize,
    weight: u32,
}

impl Fit {
    /// In a window of this size.
    pub(crate) fn new(width: usize, height: usize) -> Fit {
        let scale = (width as f64 / WIDTH as f64).min(height as f64 / HEIGHT as f64);
        let span = |window: usize, frame: usize| {
            let shown = ((frame as f64 * scale).round() as usize).min(window);
            let begin = (window - shown) / 2;
            begin..begin + shown
        };
        let (columns, rows) = (span(width, WIDTH), span(height, HEIGHT));
        let (column_taps, row_taps) = (taps(columns.len(), WIDTH), taps(rows.len(), HEIGHT));
        Fit { window: (width, height), columns, rows, column_taps, row_taps }
    }

    /// Whether the window has exactly the size of a frame.
    pub(crate) fn is_exact(&self) -> bool {
        self.window == (WIDTH, HEIGHT)
    }

    /// Whether this is how a frame lies in a window of this size.
    pub(crate) fn is_of(&self, width: usize, height: usize) -> bool {
        self.window == (width, height)
    }

    /// Whether there is no window to speak of.
    pub(crate) fn is_empty(&self) -> bool {
        self.window.0 == 0 || self.window.1 == 0
    }

    /// The point of the frame that is shown at a point of the window; `None` beside the frame.
    pub(crate) fn frame_point(&self, x: f64, y: f64) -> Option<(u32, u32)> {
        let map = |at: f64, span: &Range<usize>, frame: usize| {
            let inside = at.floor() - span.start as f64;
            let is_inside = inside >= 0.0 && inside < span.len() as f64;
            is_inside.then(|| ((inside + 0.5) * frame as f64 / span.len() as f64) as u32)
        };
        Some((map(x, &self.columns, WIDTH)?, map(y, &self.rows, HEIGHT)?))
    }

    /// Paints a frame into the window.
    ///
    /// # Panics
    /// When either is not of the size that was said.
    pub(crate) fn scale(&self, frame: &[Colour], window: &mut [Colour]) {
        assert_eq!((frame.len(), window.len()), (WIDTH * HEIGHT, self.window.0 * self.window.1), "sizes");
        if self.columns.is_empty() {
            return window.fill(BESIDE);
        }
        for (number, row) in window.chunks_exact_mut(self.window.0).enumerate() {
            if !self.rows.contains(&number) {
                row.fill(BESIDE);
                continue;
            }
            row[..self.columns.start].fill(BESIDE);
            row[self.columns.end..].fill(BESIDE);
            let tap = self.row_taps[number - self.rows.start];
            let [above, below] = [tap.first, tap.second].map(|row| &frame[row * WIDTH..(row + 1) * WIDTH]);
            for (pixel, column) in row[self.columns.clone()].iter_mut().zip(&self.column_taps) {
                let upper = blend(above[column.first], above[column.second], column.weight);
                let lower = blend(below[column.first], below[column.second], column.weight);
                *pixel = blend(upper, lower, tap.weight);
            }
        }
    }
}

fn taps(shown: usize, frame: usize) -> Vec<Tap> {
    let tap = |at: usize| {
        // Centres of pixels lie on centres of pixels.
        let centre = ((at as f64 + 0.5) * frame as f64 / shown as f64 - 0.5).clamp(0.0, (frame - 1) as f64);
        let first = centre as usize;
        Tap { first, second: (first + 1).min(frame - 1), weight: (centre.fract() * f64::from(ONE)) as u32 }
    };
    (0..shown).map(tap).collect()
}

/// A mixture of two colours, red and blue at once.
fn blend(first: Colour, second: Colour, weight: u32) -> Colour {
    let part = |mask: u32, shift: u32| {
        let mixed = (first >> shift & mask) * (ONE - weight) + (second >> shift & mask) * weight;
        ((mixed / ONE) & mask) << shift
    };
    part(0xff00ff, 0) | part(0x0000ff, 8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_window_shows_the_whole_frame_in_the_middle() {
        let fit = Fit::new(800, 600);
        assert_eq!((fit.columns.clone(), fit.rows.clone()), (150..650, 0..600));
        assert_eq!(fit.frame_point(149.9, 10.0), None);
        assert_eq!(fit.frame_point(150.0, 0.0), Some((1, 1)));
        assert_eq!(fit.frame_point(649.9, 599.9), Some((999, 1199)));
        assert_eq!(fit.frame_point(650.0, 10.0), None);
        assert_eq!(fit.frame_point(-1.0, -1.0), None);
    }

    #[test]
    fn what_is_shown_at_a_point_is_what_a_click_there_hits() {
        // Each quarter of the frame has a colour of its own.
        let quarter = |x: usize, y: usize| [0x100000, 0x200000, 0x300000, 0x400000][x / 500 + y / 600 * 2];
        let frame: Vec<Colour> = (0..WIDTH * HEIGHT).map(|at| quarter(at % WIDTH, at / WIDTH)).collect();
        for (width, height) in [(620, 744), (1000, 1200), (1300, 1300), (333, 1000)] {
            let fit = Fit::new(width, height);
            let mut window = vec![0; width * height];
            fit.scale(&frame, &mut window);
            for (x, y) in (0..height).step_by(7).flat_map(|y| (0..width).step_by(7).map(move |x| (x, y))) {
                let shown = window[y * width + x];
                match fit.frame_point(x as f64, y as f64) {
                    None => assert_eq!(shown, BESIDE, "({x}, {y}) of {width}×{height}"),
                    // On the border between two quarters a pixel shows a mixture of both.
                    Some((x, y)) if x.abs_diff(500) > 3 && y.abs_diff(600) > 3 => {
                        assert_eq!(shown, quarter(x as usize, y as usize), "({x}, {y}) of {width}×{height}");
                    }
                    Some(_) => {}
                }
            }
        }
    }

    #[test]
    fn the_right_size_changes_nothing() {
        let frame: Vec<Colour> = (0..WIDTH * HEIGHT).map(|at| (at as Colour * 7) & 0xffffff).collect();
        let fit = Fit::new(WIDTH, HEIGHT);
        let mut window = vec![0; frame.len()];
        fit.scale(&frame, &mut window);
        assert!(fit.is_exact() && window == frame);
    }

    #[test]
    fn windows_of_no_size_can_be_painted() {
        for (width, height) in [(0, 0), (1, 1), (1, 0), (5000, 1)] {
            let mut window = vec![7; width * height];
            Fit::new(width, height).scale(&vec![0; WIDTH * HEIGHT], &mut window);
            assert!(!window.contains(&7), "{width}×{height}");
        }
    }
}
