//! The moving squares: work for the renderer that grows with their number.
//!
//! Each moves 5 px a frame along both axes and turns around at the edges of the board. Invariant: a seed and a number
//! of frames decide where every square is, and none ever leaves the board.

use raftian_apps::{BOARD_PX, HEADER_PX, WINDOW_WIDTH_PX};

use crate::game::canvas::{BAND_ROWS, BANDS, Band, Colour, GROUND, PALETTE, mix};

/// The side of a square.
const SIDE_PX: usize = 30;

/// How far a square moves per frame along each axis.
const STEP_PX: i16 = 5;

const RIGHT_PX: i16 = WINDOW_WIDTH_PX as i16 - SIDE_PX as i16;
const TOP_PX: i16 = HEADER_PX as i16;
const BOTTOM_PX: i16 = (HEADER_PX + BOARD_PX) as i16 - SIDE_PX as i16;

/// All squares. Each kind of number has an array of its own, so that moving them is vector code.
#[derive(Debug)]
pub(crate) struct Dots {
    x: Vec<i16>,
    y: Vec<i16>,
    step_x: Vec<i16>,
    step_y: Vec<i16>,
    colours: Vec<Colour>,
    /// The squares of the first band, then those of the second, …; one in two bands is in there twice.
    sorted: Vec<Placed>,
    /// Where each band's squares begin in `sorted`, and where the last band's end.
    begins: [usize; BANDS + 1],
}

/// A square as a band paints it.
#[derive(Clone, Copy, Debug, Default)]
struct Placed {
    x: u16,
    y: u16,
    colour: Colour,
}

impl Dots {
    /// So many squares, placed and set off by the generator.
    pub(crate) fn new(count: usize, random: &mut fastrand::Rng) -> Dots {
        let mut draw = |first, last| -> Vec<i16> { (0..count).map(|_| random.i16(first..=last)).collect() };
        let (x, y) = (draw(0, RIGHT_PX), draw(TOP_PX, BOTTOM_PX));
        let mut step = || (0..count).map(|_| if random.bool() { STEP_PX } else { -STEP_PX }).collect();
        let (step_x, step_y) = (step(), step());
        // Paler than players, who stand among them.
        let colours = PALETTE.map(|colour| mix(colour, 0.5, GROUND));
        let colours = (0..count).map(|_| colours[random.usize(..colours.len())]).collect();
        Dots { x, y, step_x, step_y, colours, sorted: Vec::new(), begins: [0; BANDS + 1] }
    }

    /// Moves all squares, and sorts them into bands.
    pub(crate) fn step(&mut self) {
        step(&mut self.x, &mut self.step_x, 0, RIGHT_PX);
        step(&mut self.y, &mut self.step_y, TOP_PX, BOTTOM_PX);
        self.sort();
    }

    /// Paints the squares that reach into the band with this number.
    pub(crate) fn paint(&self, number: usize, band: &mut Band<'_>) {
        for dot in &self.sorted[self.begins[number]..self.begins[number + 1]] {
            band.square::<SIDE_PX>(dot.x.into(), dot.y.into(), dot.colour);
        }
    }

    /// A counting sort: later squares stay on top of earlier ones.
    fn sort(&mut self) {
        const { assert!(SIDE_PX <= BAND_ROWS, "a square reaches into two bands at most") };
        let bands = |y: i16| (y as usize / BAND_ROWS, (y as usize + SIDE_PX - 1) / BAND_ROWS);
        let mut counts = [0; BANDS];
        for &y in &self.y {
            let (first, last) = bands(y);
            counts[first] += 1;
            counts[last] += usize::from(first != last);
        }
        let mut next = [0; BANDS];
        for band in 0..BANDS {
            next[band] = self.begins[band];
            self.begins[band + 1] = self.begins[band] + counts[band];
        }
        self.sorted.resize(self.begins[BANDS], Placed::default());
        for ((&x, &y), &colour) in self.x.iter().zip(&self.y).zip(&self.colours) {
            let placed = Placed { x: x as u16, y: y as u16, colour };
            let (first, last) = bands(y);
            self.sorted[next[first]] = placed;
            next[first] += 1;
            if first != last {
                self.sorted[next[last]] = placed;
                next[last] += 1;
            }
        }
    }
}

/// Moves along one axis; what would leave it turns around instead.
fn step(places: &mut [i16], steps: &mut [i16], first: i16, last: i16) {
    for (place, step) in places.iter_mut().zip(steps) {
        let ahead = *place + *step;
        let leaves = ahead < first || ahead > last;
        *step = if leaves { -*step } else { *step };
        *place += *step;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::game::canvas::{self, HEIGHT, Rect, WIDTH};

    #[test]
    fn squares_move_five_pixels_a_frame_and_stay_on_the_board() {
        let mut dots = Dots::new(500, &mut fastrand::Rng::with_seed(1));
        for frame in 0..1_000 {
            let before = (dots.x.clone(), dots.y.clone());
            dots.step();
            for dot in 0..500 {
                let moved = [(dots.x[dot] - before.0[dot]).abs(), (dots.y[dot] - before.1[dot]).abs()];
                assert_eq!(moved, [STEP_PX, STEP_PX], "square {dot}, frame {frame}");
                assert!((0..=970).contains(&dots.x[dot]) && (100..=1070).contains(&dots.y[dot]), "square {dot}");
            }
        }
    }

    #[test]
    fn a_seed_decides_everything() {
        let run = |seed| {
            let mut dots = Dots::new(50, &mut fastrand::Rng::with_seed(seed));
            (0..30).for_each(|_| dots.step());
            (dots.x, dots.y, dots.colours)
        };
        assert_eq!(run(7), run(7));
        assert_ne!(run(7), run(8));
    }

    #[test]
    fn sorting_into_bands_changes_no_pixel() {
        let mut dots = Dots::new(300, &mut fastrand::Rng::with_seed(3));
        dots.step();
        let mut sorted = vec![1; WIDTH * HEIGHT];
        canvas::bands(&mut sorted).enumerate().for_each(|(number, mut band)| dots.paint(number, &mut band));
        let mut plain = vec![1; WIDTH * HEIGHT];
        for mut band in canvas::bands(&mut plain) {
            for dot in 0..300 {
                band.fill(Rect::new(dots.x[dot] as u32, dots.y[dot] as u32, 30, 30), dots.colours[dot]);
            }
        }
        assert!(sorted == plain);
    }
}
