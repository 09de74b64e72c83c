//! Where each player stands, in whole pixels, so that a click means the same player on every node.
//!
//! The window is that of the original Raftian: 1000×1200 px with a header and a footer of 100 px, and between them a
//! square board of 4×4 cells with players as squares of 80 px in the middle of their cell. Invariant: no two squares
//! overlap and none leaves the board. Deliberately absent: drawing.

use crate::attack::MAX_PLAYERS;

/// The window's width.
pub const WINDOW_WIDTH_PX: u32 = 1000;

/// The window's height.
pub const WINDOW_HEIGHT_PX: u32 = 1200;

/// The height of the header, and of the footer.
pub const HEADER_PX: u32 = 100;

/// The board's width and height; it lies right below the header.
pub const BOARD_PX: u32 = 1000;

/// A player's width and height.
pub const SQUARE_PX: u32 = 80;

/// The cells of the 4×4 board (counted from 0, row by row) in the order in which players 1, 2, 3 … take them. The
/// first four stand where the original put its four players; the others fill the gaps row by row.
const CELLS_OF_16: [u32; 16] = [10, 3, 1, 12, 0, 2, 4, 5, 6, 7, 8, 9, 11, 13, 14, 15];

/// The upper left corner (x, y) in window pixels of the square of `player` on a board with room for players 1 to
/// `count`. Up to 16 players have the original 4×4 board; more have the smallest finer grid that holds them, row by
/// row.
///
/// # Panics
/// Unless 1 ≤ `player` ≤ `count` ≤ 64.
pub fn position(player: u8, count: u8) -> (u32, u32) {
    assert!(1 <= player && player <= count && u16::from(count) <= MAX_PLAYERS, "no place {player} of {count}");
    let (cells_per_side, cell) = match count {
        ..=16 => (4, CELLS_OF_16[usize::from(player - 1)]),
        _ => (ceil_sqrt(count.into()), u32::from(player - 1)),
    };
    let cell_px = BOARD_PX / cells_per_side;
    let margin_px = (cell_px - SQUARE_PX) / 2;
    let (row, column) = (cell / cells_per_side, cell % cells_per_side);
    (column * cell_px + margin_px, HEADER_PX + row * cell_px + margin_px)
}

fn ceil_sqrt(n: u32) -> u32 {
    let root = n.isqrt();
    if root * root < n { root + 1 } else { root }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_four_stand_where_the_original_put_them() {
        let corners = [1, 2, 3, 4].map(|player| position(player, 5));
        assert_eq!(corners, [(585, 685), (835, 185), (335, 185), (85, 935)]);
    }

    #[test]
    fn no_two_squares_overlap_and_none_leaves_the_board() {
        for count in 1..=64 {
            let corners: Vec<(u32, u32)> = (1..=count).map(|player| position(player, count)).collect();
            for (i, &(x, y)) in corners.iter().enumerate() {
                assert!(x + SQUARE_PX <= WINDOW_WIDTH_PX, "{count} players: x {x}");
                assert!((HEADER_PX..=HEADER_PX + BOARD_PX - SQUARE_PX).contains(&y), "{count} players: y {y}");
                for &(other_x, other_y) in &corners[..i] {
                    let apart = x.abs_diff(other_x) >= SQUARE_PX || y.abs_diff(other_y) >= SQUARE_PX;
                    assert!(apart, "{count} players: ({x}, {y}) and ({other_x}, {other_y})");
                }
            }
        }
    }

    #[test]
    fn nobody_moves_while_the_board_has_16_places() {
        for count in 1..=16 {
            for player in 1..=count {
                assert_eq!(position(player, count), position(player, 16));
            }
        }
    }

    #[test]
    #[should_panic(expected = "no place 6 of 5")]
    fn a_player_without_a_place_is_a_defect() {
        position(6, 5);
    }
}
