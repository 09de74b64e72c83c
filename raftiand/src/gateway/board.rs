//! A board as one node has it, and its two forms on the wire.
//!
//! `GET /client/pixels` is JSON: `{"pixels":[…]}` with a number 0xRRGGBB for each pixel, row by row; black is also what was
//! never painted. `GET /client/board` is the same in few bytes, all numbers little-endian:
//!
//! | bytes | what |
//! |---|---|
//! | 2, 2 | width and height |
//! | 8 | the last entry that went into it |
//! | 2 | the number of colours in the palette, 0 when there are more than 256 |
//! | 3 each | the palette: red, green, blue |
//! | width·height, or three times that | for each pixel, row by row, its place in the palette; without one: red, green, blue |
//!
//! Invariant: both forms are made once for a state of the board and shared by all who ask.

use std::collections::HashMap;
use std::io::Write as _;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use raftian_apps::{CanvasRegion, Colour, Size};
use raftian_rpc::Index;

/// The most colours of a palette.
const MAX_PALETTE: usize = 256;

/// What painting does: where, and in which colour.
pub(super) type Pixel = (u16, u16, Colour);

/// A board.
#[derive(Debug)]
pub(super) struct Board {
    size: Size,
    index: Index,
    colours: Vec<Colour>,
    json: Option<Bytes>,
    packed: Option<Packed>,
}

/// The form of few bytes.
#[derive(Clone, Debug)]
pub(super) struct Packed {
    /// As it is.
    pub(super) plain: Bytes,
    /// Compressed by gzip.
    pub(super) gzip: Bytes,
}

impl Board {
    /// A board on which nothing was painted.
    pub(super) fn new(size: Size) -> Board {
        let colours = vec![Colour::default(); usize::from(size.width()) * usize::from(size.height())];
        Board { size, index: 0, colours, json: None, packed: None }
    }

    /// The last entry that went into it.
    pub(super) fn index(&self) -> Index {
        self.index
    }

    /// Paints what an entry says. Pixels that are not on the board are no pixels.
    pub(super) fn paint(&mut self, index: Index, pixels: &[Pixel]) {
        for (x, y, colour) in pixels.iter().filter(|(x, y, _)| self.size.has(*x, *y)) {
            self.colours[usize::from(*y) * usize::from(self.size.width()) + usize::from(*x)] = *colour;
        }
        self.changed(index);
    }

    /// Becomes what a node has read out, and says which pixels that changes; `None` when it is not this board.
    pub(super) fn replace(&mut self, index: Index, region: &CanvasRegion) -> Option<Vec<Pixel>> {
        let colours = region.colours().filter(|colours| colours.len() == self.colours.len())?;
        let place =
            |at: usize| ((at % usize::from(self.size.width())) as u16, (at / usize::from(self.size.width())) as u16);
        let before = std::mem::replace(&mut self.colours, colours);
        let both = before.iter().zip(&self.colours).enumerate();
        let changed = both.filter(|(_, (before, now))| before != now).map(|(at, (_, now))| {
            let (x, y) = place(at);
            (x, y, *now)
        });
        let changed = changed.collect();
        self.changed(index);
        Some(changed)
    }

    fn changed(&mut self, index: Index) {
        (self.index, self.json, self.packed) = (index, None, None);
    }

    /// As JSON.
    pub(super) fn json(&mut self) -> Bytes {
        self.json.get_or_insert_with(|| json(&self.colours)).clone()
    }

    /// In few bytes.
    pub(super) fn packed(&mut self) -> Packed {
        let make = || {
            let plain = pack(self.size, self.index, &self.colours);
            Packed { gzip: compress(&plain), plain: plain.into() }
        };
        self.packed.get_or_insert_with(make).clone()
    }
}

fn json(colours: &[Colour]) -> Bytes {
    let mut text = Vec::with_capacity(colours.len() * 8 + 16);
    text.extend_from_slice(br#"{"pixels":["#);
    for (at, colour) in colours.iter().enumerate() {
        let comma = if at == 0 { "" } else { "," };
        write!(text, "{comma}{}", colour.number()).expect("memory takes what is written");
    }
    text.extend_from_slice(b"]}");
    text.into()
}

fn pack(size: Size, index: Index, colours: &[Colour]) -> Vec<u8> {
    let mut packed = Vec::with_capacity(colours.len() + 1_024);
    packed.extend_from_slice(&size.width().to_le_bytes());
    packed.extend_from_slice(&size.height().to_le_bytes());
    packed.extend_from_slice(&index.to_le_bytes());
    match palette(colours) {
        Some((palette, places)) => {
            packed.extend_from_slice(&(palette.len() as u16).to_le_bytes());
            packed.extend(palette.into_iter().flat_map(Colour::rgb));
            packed.extend(places);
        }
        None => {
            packed.extend_from_slice(&0_u16.to_le_bytes());
            packed.extend(colours.iter().flat_map(|colour| colour.rgb()));
        }
    }
    packed
}

/// The colours that there are, and for each pixel which of them it has; `None` when there are too many.
fn palette(colours: &[Colour]) -> Option<(Vec<Colour>, Vec<u8>)> {
    let (mut palette, mut places) = (Vec::new(), Vec::with_capacity(colours.len()));
    let mut known: HashMap<Colour, u8> = HashMap::new();
    // Neighbours mostly have the same colour.
    let mut last: Option<(Colour, u8)> = None;
    for colour in colours {
        let place = match last.filter(|(before, _)| before == colour) {
            Some((_, place)) => place,
            None => match known.get(colour) {
                Some(place) => *place,
                None => {
                    let place = u8::try_from(palette.len()).ok().filter(|_| palette.len() < MAX_PALETTE)?;
                    palette.push(*colour);
                    known.insert(*colour, place);
                    place
                }
            },
        };
        last = Some((*colour, place));
        places.push(place);
    }
    Some((palette, places))
}

fn compress(plain: &[u8]) -> Bytes {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    let written = encoder.write_all(plain).and_then(|()| encoder.finish());
    written.expect("memory takes what is written").into()
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use flate2::read::GzDecoder;

    use super::*;

    fn colour(number: u32) -> Colour {
        let [_, rgb @ ..] = number.to_be_bytes();
        Colour::from_rgb(rgb)
    }

    fn board() -> Board {
        Board::new(Size::new(3, 2).unwrap())
    }

    #[test]
    fn a_board_is_what_was_painted_and_black_elsewhere() {
        let mut board = board();
        assert_eq!(board.json(), r#"{"pixels":[0,0,0,0,0,0]}"#);
        board.paint(7, &[(2, 0, colour(255)), (0, 1, colour(0xff_ffff)), (3, 0, colour(1)), (2, 0, colour(256))]);
        assert_eq!((board.index(), &*board.json()), (7, r#"{"pixels":[0,0,256,16777215,0,0]}"#.as_bytes()));
    }

    #[test]
    fn few_colours_are_packed_with_a_palette_and_many_without() {
        let mut board = board();
        board.paint(0x102, &[(2, 0, colour(0x01_0203))]);
        let Packed { plain, gzip } = board.packed();
        assert_eq!(plain[..], [3, 0, 2, 0, 2, 1, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 1, 2, 3, 0, 0, 1, 0, 0, 0]);
        let mut unpacked = Vec::new();
        GzDecoder::new(&*gzip).read_to_end(&mut unpacked).unwrap();
        assert_eq!(unpacked, plain);

        let mut many = Board::new(Size::new(257, 1).unwrap());
        let pixels: Vec<Pixel> = (0..257).map(|x| (x, 0, colour(u32::from(x)))).collect();
        many.paint(1, &pixels);
        let Packed { plain, .. } = many.packed();
        assert_eq!((plain.len(), &plain[12..14]), (14 + 3 * 257, &[0, 0][..]));
        assert_eq!(plain[14 + 3 * 256..], [0, 1, 0]);
        many.paint(2, &[(0, 0, colour(1))]);
        assert_eq!(many.packed().plain.len(), 14 + 3 * 256 + 257);
    }

    #[test]
    fn a_board_that_is_replaced_says_which_pixels_that_changes() {
        let mut board = board();
        board.paint(3, &[(0, 0, colour(5)), (1, 1, colour(6))]);
        let region = |rgb: &str| CanvasRegion { size: Size::new(3, 2).unwrap(), region: (0, 0, 3, 2), rgb: rgb.into() };
        // Six pixels: 5, 0, 0, 7, 6, 0.
        let changed = board.replace(9, &region("AAAFAAAAAAAAAAAHAAAGAAAA")).unwrap();
        assert_eq!((changed, board.index()), (vec![(0, 1, colour(7))], 9));
        assert!(board.replace(10, &region("AAAF")).is_none());
    }
}
