//! The pixels of a canvas, in tiles that copies share until one of them is painted on.
//!
//! Invariant: the digest is that of all painted pixels, whatever led to them. A copy costs a pointer per tile; the first
//! paint on a tile that is shared copies this tile. A tile on which nothing was painted takes no memory.

use std::sync::Arc;

use super::Colour;
use super::size::Size;
use crate::digest::{Digest, SetDigest};
use raftian_raft::Index;

/// Pixels along a side of a tile.
const TILE_PX: usize = 32;

/// What a pixel shows, and since when.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Pixel {
    /// Black where nothing was painted.
    pub(super) colour: Colour,
    /// The entry that painted it last; 0 if none did.
    pub(super) index: Index,
}

type Tile = [Pixel; TILE_PX * TILE_PX];

/// A board of pixels.
#[derive(Clone, Debug)]
pub(super) struct Grid {
    size: Size,
    tiles: Vec<Option<Arc<Tile>>>,
    painted: u64,
    digest: SetDigest,
}

impl Grid {
    /// One on which nothing was painted.
    pub(super) fn new(size: Size) -> Grid {
        let rows = usize::from(size.height()).div_ceil(TILE_PX);
        Grid { size, tiles: vec![None; tiles_across(size) * rows], painted: 0, digest: SetDigest::default() }
    }

    pub(super) fn size(&self) -> Size {
        self.size
    }

    /// How many pixels were painted at least once.
    pub(super) fn painted(&self) -> u64 {
        self.painted
    }

    /// The digest of the size and of all pixels.
    pub(super) fn digest(&self) -> Digest {
        Digest::of_parts(&[self.size.to_string().as_bytes(), &self.digest.digest().0.to_le_bytes()])
    }

    /// The pixel at a place, which is on the board.
    pub(super) fn get(&self, x: u16, y: u16) -> Pixel {
        let (tile, place) = self.place(x, y);
        self.tiles[tile].as_ref().map_or_else(Pixel::default, |tile| tile[place])
    }

    /// Paints a pixel, which is on the board.
    pub(super) fn set(&mut self, x: u16, y: u16, pixel: Pixel) {
        let (tile, place) = self.place(x, y);
        let tile = self.tiles[tile].get_or_insert_with(|| Arc::new([Pixel::default(); TILE_PX * TILE_PX]));
        let old = std::mem::replace(&mut Arc::make_mut(tile)[place], pixel);
        match old.index {
            0 => self.painted += 1,
            _ => self.digest.remove(record(x, y, old)),
        }
        self.digest.add(record(x, y, pixel));
    }

    /// All pixels, row by row.
    pub(super) fn pixels(&self) -> impl Iterator<Item = Pixel> {
        let across = 0..self.size.width();
        (0..self.size.height()).flat_map(move |y| across.clone().map(move |x| self.get(x, y)))
    }

    /// The tile of a pixel, and its place there.
    fn place(&self, x: u16, y: u16) -> (usize, usize) {
        let (x, y) = (usize::from(x), usize::from(y));
        (y / TILE_PX * tiles_across(self.size) + x / TILE_PX, y % TILE_PX * TILE_PX + x % TILE_PX)
    }
}

fn tiles_across(size: Size) -> usize {
    usize::from(size.width()).div_ceil(TILE_PX)
}

fn record(x: u16, y: u16, pixel: Pixel) -> Digest {
    let mut bytes = [0; 16];
    bytes[..2].copy_from_slice(&x.to_le_bytes());
    bytes[2..4].copy_from_slice(&y.to_le_bytes());
    bytes[4..8].copy_from_slice(&pixel.colour.number().to_le_bytes());
    bytes[8..].copy_from_slice(&pixel.index.to_le_bytes());
    Digest::of(&bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pixel(red: u8, index: Index) -> Pixel {
        Pixel { colour: Colour::from_rgb([red, 0, 0]), index }
    }

    #[test]
    fn each_pixel_is_its_own_on_a_board_that_no_tile_divides() {
        let size = Size::new(70, 33).unwrap();
        let mut grid = Grid::new(size);
        let places: Vec<(u16, u16)> = (0..33).flat_map(|y| (0..70).map(move |x| (x, y))).collect();
        for (number, (x, y)) in places.iter().enumerate() {
            grid.set(*x, *y, pixel(1, number as Index + 1));
        }
        assert_eq!(grid.painted(), 70 * 33);
        let indexes: Vec<Index> = grid.pixels().map(|pixel| pixel.index).collect();
        assert_eq!(indexes, (1..=70 * 33).collect::<Vec<Index>>());
    }

    #[test]
    fn a_copy_shares_all_tiles_and_is_not_painted_on() {
        let mut grid = Grid::new(Size::default());
        grid.set(0, 0, pixel(1, 1));
        grid.set(40, 0, pixel(2, 2));
        let copy = grid.clone();
        grid.set(0, 0, pixel(3, 3));
        assert_eq!((copy.get(0, 0), grid.get(0, 0)), (pixel(1, 1), pixel(3, 3)));
        let is_shared = |tile: usize| match (&grid.tiles[tile], &copy.tiles[tile]) {
            (Some(one), Some(other)) => Arc::ptr_eq(one, other),
            _ => false,
        };
        assert_eq!([is_shared(0), is_shared(1)], [false, true]);
    }

    #[test]
    fn the_digest_is_of_the_pixels_and_not_of_what_led_to_them() {
        let digest = |size: Size, paints: &[(u16, u16, Pixel)]| {
            let mut grid = Grid::new(size);
            paints.iter().for_each(|(x, y, pixel)| grid.set(*x, *y, *pixel));
            grid.digest()
        };
        let size = Size::default();
        let end = [(1, 1, pixel(1, 5)), (2, 1, pixel(2, 6))];
        assert_eq!(digest(size, &[(2, 1, pixel(2, 6)), (1, 1, pixel(9, 1)), (1, 1, pixel(1, 5))]), digest(size, &end));
        for other in [
            [(1, 1, pixel(1, 5)), (1, 2, pixel(2, 6))],
            [(1, 1, pixel(1, 5)), (2, 1, pixel(3, 6))],
            [(1, 1, pixel(1, 5)), (2, 1, pixel(2, 7))],
        ] {
            assert_ne!(digest(size, &other), digest(size, &end));
        }
        assert_ne!(digest(Size::new(64, 65).unwrap(), &end), digest(size, &end));
    }
}
