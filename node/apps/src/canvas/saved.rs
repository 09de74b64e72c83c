//! A canvas within the JSON of a snapshot: `{"size":"64x64","pixels":"gIAgAAAAAAAA…"}`.
//!
//! `pixels` is base64 of runs that cover the board row by row. A run is how many pixels of the same colour and index follow
//! each other, how much the index differs from that of the run before (zigzag), both of seven bits a byte, the lowest first
//! (LEB128), and then red, green and blue. So an empty board takes some bytes, a picture five bytes per pixel, and noise of
//! as many commands as pixels seven or so; of a large snapshot the compact form takes less.
//!
//! Invariant: equal boards give equal text, and what is no board is refused before it takes up memory.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};

use super::Colour;
use super::grid::{Grid, Pixel};
use super::size::Size;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Saved {
    size: Size,
    pixels: String,
}

/// The board as JSON.
pub(super) fn save(grid: &Grid) -> Box<RawValue> {
    let mut runs = Runs::default();
    let mut run: Option<(u64, Pixel)> = None;
    for pixel in grid.pixels() {
        run = match run {
            Some((length, same)) if same == pixel => Some((length + 1, same)),
            ended => {
                ended.into_iter().for_each(|(length, pixel)| runs.push(length, pixel));
                Some((1, pixel))
            }
        };
    }
    run.into_iter().for_each(|(length, pixel)| runs.push(length, pixel));
    let saved = Saved { size: grid.size(), pixels: STANDARD.encode(&runs.bytes) };
    to_raw_value(&saved).expect("texts serialise")
}

/// The board that was saved; `None` when that is none.
pub(super) fn load(state: &RawValue) -> Option<Grid> {
    let Saved { size, pixels } = serde_json::from_str(state.get()).ok()?;
    let bytes = STANDARD.decode(pixels).ok()?;
    let mut grid = Grid::new(size);
    let mut rest = &bytes[..];
    let (mut place, mut index) = (0, 0_u64);
    while place < size.pixels() {
        let length = usize::try_from(number(&mut rest)?).ok()?;
        index = index.wrapping_add(unzigzag(number(&mut rest)?));
        let (rgb, after) = rest.split_first_chunk::<3>()?;
        rest = after;
        let pixel = Pixel { colour: Colour::from_rgb(*rgb), index };
        if length == 0 || length > size.pixels() - place || index == 0 && pixel != Pixel::default() {
            return None;
        }
        for place in (place..place + length).filter(|_| index > 0) {
            let (x, y) = (place % usize::from(size.width()), place / usize::from(size.width()));
            grid.set(u16::try_from(x).ok()?, u16::try_from(y).ok()?, pixel);
        }
        place += length;
    }
    rest.is_empty().then_some(grid)
}

#[derive(Default)]
struct Runs {
    bytes: Vec<u8>,
    last_index: u64,
}

impl Runs {
    fn push(&mut self, length: u64, pixel: Pixel) {
        self.number(length);
        self.number(zigzag(pixel.index.wrapping_sub(self.last_index)));
        self.last_index = pixel.index;
        self.bytes.extend(pixel.colour.rgb());
    }

    fn number(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.bytes.push(number as u8 | 0x80);
            number >>= 7;
        }
        self.bytes.push(number as u8);
    }
}

fn number(rest: &mut &[u8]) -> Option<u64> {
    let mut number = 0_u64;
    for shift in (0..u64::BITS).step_by(7) {
        let (byte, after) = rest.split_first()?;
        *rest = after;
        let bits = u64::from(byte & 0x7f);
        if bits << shift >> shift != bits {
            return None;
        }
        number |= bits << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

/// Small where the difference is small, whatever its sign.
fn zigzag(difference: u64) -> u64 {
    let difference = difference as i64;
    ((difference << 1) ^ (difference >> 63)) as u64
}

fn unzigzag(number: u64) -> u64 {
    (number >> 1) ^ (number & 1).wrapping_neg()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn random_grid(size: Size, paints: u64) -> Grid {
        let mut random = fastrand::Rng::with_seed(paints);
        let mut grid = Grid::new(size);
        for index in 1..=paints {
            let colour = Colour::from_rgb([random.u8(..), random.u8(..3), 0]);
            grid.set(random.u16(0..size.width()), random.u16(0..size.height()), Pixel { colour, index });
        }
        grid
    }

    #[test]
    fn a_board_reads_back_as_saved() {
        for (size, paints) in [("64x64", 0), ("64x64", 10_000), ("1x1", 1), ("1000x1", 700), ("3x1000", 500)] {
            let grid = random_grid(size.parse().unwrap(), paints);
            let saved = save(&grid);
            let loaded = load(&saved).unwrap();
            assert!(loaded.pixels().eq(grid.pixels()));
            assert_eq!((loaded.digest(), loaded.painted()), (grid.digest(), grid.painted()));
            assert_eq!(save(&loaded).get(), saved.get());
        }
        let mut last = Grid::new("2x1".parse().unwrap());
        last.set(1, 0, Pixel { colour: Colour::default(), index: u64::MAX });
        assert!(load(&save(&last)).unwrap().pixels().eq(last.pixels()));
    }

    #[test]
    fn an_empty_board_takes_some_bytes_and_a_picture_some_per_pixel() {
        let largest: Size = "1000x1000".parse().unwrap();
        assert!(save(&Grid::new(largest)).get().len() < 60);
        let grid = random_grid("64x64".parse().unwrap(), 20_000);
        assert!(save(&grid).get().len() < 64 * 64 * 10, "{}", save(&grid).get().len());
    }

    #[test]
    fn what_is_no_board_is_refused() {
        let saved = |size: &str, bytes: &[u8]| {
            let text = format!(r#"{{"size":"{size}","pixels":"{}"}}"#, STANDARD.encode(bytes));
            load(&RawValue::from_string(text).unwrap())
        };
        assert!(saved("2x1", &[2, 2, 9, 9, 9]).is_some());
        for bytes in [
            &[][..],
            &[1, 2, 9, 9, 9],                // too few pixels
            &[3, 2, 9, 9, 9],                // too many
            &[2, 2, 9, 9, 9, 0],             // more behind
            &[2, 2, 9, 9],                   // cut short
            &[2, 0, 9, 9, 9],                // a colour that nobody painted
            &[0, 2, 9, 9, 9, 2, 2, 9, 9, 9], // a run of nothing
            &[0x80; 20],                     // a number without an end
        ] {
            assert!(saved("2x1", bytes).is_none(), "{bytes:?}");
        }
        assert!(saved("0x1", &[]).is_none());
        for other in [r#"{"size":"1x1"}"#, "[]", r#"{"size":"1x1","pixels":"!"}"#] {
            assert!(load(&RawValue::from_string(other.to_owned()).unwrap()).is_none(), "{other}");
        }
    }
}
