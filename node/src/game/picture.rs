//! One frame as a PNG file.

use std::fs;
use std::path::Path;

use crate::game::canvas::{Colour, HEIGHT, WIDTH};

/// Writes a frame.
///
/// # Errors
/// When the file cannot be written: which, and why.
pub(crate) fn write(path: &Path, frame: &[Colour]) -> Result<(), String> {
    let picture = encode(frame).map_err(|error| format!("the picture cannot be encoded: {error}"))?;
    fs::write(path, picture).map_err(|error| format!("the picture {} cannot be written: {error}", path.display()))
}

fn encode(frame: &[Colour]) -> Result<Vec<u8>, png::EncodingError> {
    let mut out = Vec::new();
    let mut encoder = png::Encoder::new(&mut out, WIDTH as u32, HEIGHT as u32);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    let mut writer = encoder.write_header()?;
    let bytes: Vec<u8> = frame.iter().flat_map(|pixel| [pixel >> 16, pixel >> 8, *pixel].map(|c| c as u8)).collect();
    writer.write_image_data(&bytes)?;
    writer.finish()?;
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::game::scratch::Scratch;

    #[test]
    fn a_picture_has_the_pixels_of_its_frame() {
        let frame: Vec<Colour> = (0..WIDTH * HEIGHT).map(|at| (at as Colour * 13) & 0xffffff).collect();
        let mut reader = png::Decoder::new(std::io::Cursor::new(encode(&frame).unwrap())).read_info().unwrap();
        let mut bytes = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut bytes).unwrap();
        assert_eq!((info.width, info.height), (1000, 1200));
        let read: Vec<Colour> =
            bytes.as_chunks().0.iter().map(|[r, g, b]| Colour::from_be_bytes([0, *r, *g, *b])).collect();
        assert!(read == frame);
    }

    #[test]
    fn a_file_that_cannot_be_written_is_named() {
        let scratch = Scratch::new();
        let path = scratch.path().join("none/board.png");
        let error = write(&path, &vec![0; WIDTH * HEIGHT]).unwrap_err();
        assert!(error.contains("none/board.png"), "{error}");
    }
}
