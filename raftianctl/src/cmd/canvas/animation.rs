//! Boards as a PNG file, one or many: an animated PNG (APNG), of which viewers that do not know these show the first.
//!
//! Invariant: a pixel of a board becomes a square of whole pixels, so that edges stay sharp; of each further board only the
//! rectangle is written that differs from the one before.

use raftian_check::apps::{Colour, Size};

/// How large a picture is made at least, if that is a whole multiple of the board.
const TARGET_PX: u16 = 512;

/// How long a board is shown, in hundredths of a second; the last one for longer.
const FRAME_CS: u16 = 10;
const LAST_CS: u16 = 200;

/// What a board looks like: `None` is transparent.
type Board = Vec<Option<Colour>>;

/// How many pixels of the picture one of the board is, across and down.
pub(super) fn scale(size: Size) -> u16 {
    (TARGET_PX / size.width().max(size.height())).max(1)
}

/// Encodes `count` boards.
///
/// # Errors
/// When there is none.
pub(super) fn encode(
    size: Size,
    scale: u16,
    boards: impl Iterator<Item = Board>,
    count: usize,
) -> Result<Vec<u8>, png::EncodingError> {
    let mut out = Vec::new();
    let scaled = |pixels: u16| u32::from(pixels) * u32::from(scale);
    let mut encoder = png::Encoder::new(&mut out, scaled(size.width()), scaled(size.height()));
    encoder.set_color(png::ColorType::Rgba);
    encoder.set_depth(png::BitDepth::Eight);
    if count > 1 {
        encoder.set_animated(count as u32, 0)?;
        encoder.set_frame_delay(FRAME_CS, 100)?;
        encoder.set_blend_op(png::BlendOp::Source)?;
        encoder.set_dispose_op(png::DisposeOp::None)?;
    }
    let mut writer = encoder.write_header()?;
    let mut shown: Option<Board> = None;
    for (number, board) in boards.enumerate() {
        let mut part = (0, 0, size.width(), size.height());
        if let Some(before) = &shown {
            part = changed(size, before, &board);
            writer.set_frame_dimension(scaled(part.2), scaled(part.3))?;
            writer.set_frame_position(scaled(part.0), scaled(part.1))?;
        }
        if number > 0 && number + 1 == count {
            writer.set_frame_delay(LAST_CS, 100)?;
        }
        writer.write_image_data(&bytes(size, scale, &board, part))?;
        shown = Some(board);
    }
    writer.finish()?;
    Ok(out)
}

/// The rectangle that has all pixels in which two boards differ; one pixel where there are none.
fn changed(size: Size, before: &[Option<Colour>], after: &[Option<Colour>]) -> (u16, u16, u16, u16) {
    let width = usize::from(size.width());
    let mut places =
        (0..after.len()).filter(|place| before[*place] != after[*place]).map(|place| (place % width, place / width));
    let Some((x, y)) = places.next() else { return (0, 0, 1, 1) };
    let (left, right, bottom) = places.fold((x, x, y), |(left, right, _), (x, y)| (left.min(x), right.max(x), y));
    (left as u16, y as u16, (right - left + 1) as u16, (bottom - y + 1) as u16)
}

/// Red, green, blue and opacity of a part of a board.
fn bytes(size: Size, scale: u16, board: &[Option<Colour>], (x, y, width, height): (u16, u16, u16, u16)) -> Vec<u8> {
    let (across, times) = (usize::from(size.width()), usize::from(scale));
    let mut bytes = Vec::with_capacity(4 * usize::from(width) * usize::from(height) * times * times);
    for row in y..y + height {
        let begin = usize::from(row) * across + usize::from(x);
        let line: Vec<u8> = board[begin..begin + usize::from(width)]
            .iter()
            .flat_map(|colour| {
                let [red, green, blue] = colour.unwrap_or_default().rgb();
                [red, green, blue, if colour.is_some() { 255 } else { 0 }].repeat(times)
            })
            .collect();
        (0..times).for_each(|_| bytes.extend(&line));
    }
    bytes
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    fn board(colours: [Option<u32>; 4]) -> Board {
        colours.map(|number| number.map(|number| Colour::try_from(number).unwrap())).to_vec()
    }

    /// Every frame: where it is, and its bytes.
    fn decode(bytes: &[u8]) -> Vec<((u32, u32), Vec<u8>)> {
        let mut reader = png::Decoder::new(Cursor::new(bytes)).read_info().unwrap();
        let frames = reader.info().animation_control().map_or(1, |control| control.num_frames);
        (0..frames)
            .map(|_| {
                let mut bytes = vec![0; reader.output_buffer_size().unwrap()];
                let frame = reader.next_frame(&mut bytes).unwrap();
                let at = reader.info().frame_control().map_or((0, 0), |control| (control.x_offset, control.y_offset));
                bytes.truncate(frame.buffer_size());
                (at, bytes)
            })
            .collect()
    }

    #[test]
    fn one_board_is_a_picture_in_which_the_unknown_is_transparent() {
        let size = "2x2".parse().unwrap();
        let bytes = encode(size, 1, [board([Some(0x010203), None, Some(0), Some(0xffffff)])].into_iter(), 1).unwrap();
        let expected = [[1, 2, 3, 255], [0; 4], [0, 0, 0, 255], [255; 4]].concat();
        assert_eq!(decode(&bytes), [((0, 0), expected)]);
    }

    #[test]
    fn of_further_boards_only_what_changes_is_written() {
        let size = "2x2".parse().unwrap();
        let boards = [[Some(0); 4], [Some(0), Some(0), Some(0), Some(255)], [Some(0), Some(0), Some(0), Some(255)]];
        let bytes = encode(size, 2, boards.into_iter().map(board), 3).unwrap();
        let frames = decode(&bytes);
        assert_eq!(
            frames.iter().map(|(at, bytes)| (*at, bytes.len())).collect::<Vec<_>>(),
            [((0, 0), 64), ((2, 2), 16), ((0, 0), 16)]
        );
        assert_eq!(frames[1].1, [0, 0, 255, 255].repeat(4));
    }

    #[test]
    fn small_boards_are_enlarged_by_a_whole_number() {
        for (size, times) in [("64x64", 8), ("100x10", 5), ("512x1", 1), ("1000x1000", 1), ("1x1", 512)] {
            assert_eq!(scale(size.parse().unwrap()), times, "{size}");
        }
    }
}
