//! Pictures of a canvas: PNG files, read and written.
//!
//! Invariant: what a picture takes is known from its header before it is decoded, so that neither a huge one nor one that is
//! small as a file (a "PNG bomb") takes up memory.

use std::fs;
use std::io::{BufRead, BufReader, Seek};
use std::path::Path;

use raftian_check::apps::{Colour, MAX_SIDE_PX};
use raftian_rpc::files;

use crate::failure::{Failure, Kind};

/// What decoding may set aside beside the picture itself, in bytes: a colour profile, for instance.
const MAX_EXTRA_BYTES: usize = 16 << 20;

/// From this opacity on a pixel is painted; one that is more transparent is left as it is.
const OPAQUE: u8 = 128;

/// A picture.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Picture {
    pub(super) width: u16,
    pub(super) height: u16,
    /// Row by row; `None` is transparent.
    pub(super) pixels: Vec<Option<Colour>>,
}

impl Picture {
    /// Reads a PNG file.
    ///
    /// # Errors
    /// When it is none, or has more pixels along a side than any canvas.
    pub(super) fn read(path: &Path) -> Result<Picture, Failure> {
        let name = path.display().to_string();
        let file = files::open(path).map_err(|error| Failure::unreadable(&name, &error))?;
        Picture::decode(BufReader::new(file), &name)
    }

    fn decode(source: impl BufRead + Seek, name: &str) -> Result<Picture, Failure> {
        let none = |error: png::DecodingError| match error {
            png::DecodingError::IoError(error) if error.kind() != std::io::ErrorKind::UnexpectedEof => {
                Failure::unreadable(name, &error)
            }
            error => usage(format!("{name} is no whole PNG file ({error}); convert the picture to PNG first")),
        };
        let mut decoder = png::Decoder::new_with_limits(source, png::Limits { bytes: MAX_EXTRA_BYTES });
        decoder.set_ignore_text_chunk(true);
        decoder.set_transformations(png::Transformations::normalize_to_color8() | png::Transformations::ALPHA);
        let header = decoder.read_header_info().map_err(none)?;
        let sides = (u16::try_from(header.width), u16::try_from(header.height));
        let (Ok(width @ 1..=MAX_SIDE_PX), Ok(height @ 1..=MAX_SIDE_PX)) = sides else {
            return Err(usage(format!(
                "{name} has {}×{} pixels, and no canvas is larger than {MAX_SIDE_PX}×{MAX_SIDE_PX}; scale it down first",
                header.width, header.height
            )));
        };
        let mut reader = decoder.read_info().map_err(none)?;
        let mut bytes = vec![0; reader.output_buffer_size().unwrap_or_default()];
        let frame = reader.next_frame(&mut bytes).map_err(none)?;
        let bytes = &bytes[..frame.buffer_size()];
        let pixels: Vec<Option<Colour>> = match frame.color_type {
            png::ColorType::GrayscaleAlpha => {
                bytes.as_chunks().0.iter().map(|[grey, alpha]| seen([*grey; 3], *alpha)).collect()
            }
            _ => bytes
                .as_chunks()
                .0
                .iter()
                .map(|[red, green, blue, alpha]| seen([*red, *green, *blue], *alpha))
                .collect(),
        };
        match (pixels.len() == usize::from(width) * usize::from(height)).then_some(pixels) {
            Some(pixels) => Ok(Picture { width, height, pixels }),
            None => {
                Err(usage(format!("{name} is in a form of PNG that is not known here; convert it to 8 bits first")))
            }
        }
    }

    /// All pixels that are painted when it lies with its upper left corner there.
    pub(super) fn at(&self, (left, top): (u16, u16)) -> impl Iterator<Item = (u16, u16, Colour)> {
        let places = (0..self.height).flat_map(move |y| (0..self.width).map(move |x| (left + x, top + y)));
        places.zip(&self.pixels).filter_map(|((x, y), colour)| Some((x, y, (*colour)?)))
    }
}

fn seen(rgb: [u8; 3], alpha: u8) -> Option<Colour> {
    (alpha >= OPAQUE).then(|| Colour::from_rgb(rgb))
}

/// Writes a PNG file: so many pixels across, row by row.
///
/// # Errors
/// When it cannot be written.
pub(super) fn write(path: &Path, width: u16, colours: &[Colour]) -> Result<(), Failure> {
    let name = path.display();
    let bytes =
        encode(width, colours).map_err(|error| Failure::failed(format!("{name} cannot be encoded: {error}")))?;
    save(path, &bytes)
}

fn encode(width: u16, colours: &[Colour]) -> Result<Vec<u8>, png::EncodingError> {
    let mut out = Vec::new();
    let height = colours.len() / usize::from(width.max(1));
    let mut encoder = png::Encoder::new(&mut out, u32::from(width), height as u32);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    let mut writer = encoder.write_header()?;
    let bytes: Vec<u8> = colours.iter().flat_map(|colour| colour.rgb()).collect();
    writer.write_image_data(&bytes)?;
    writer.finish()?;
    Ok(out)
}

/// Writes a file that was encoded before.
///
/// # Errors
/// When it cannot be written.
pub(super) fn save(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    fs::write(path, bytes).map_err(|error| Failure::failed(format!("{} cannot be written: {error}", path.display())))
}

fn usage(why: String) -> Failure {
    Failure::new(Kind::Usage, why)
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    fn colour(number: u32) -> Colour {
        Colour::try_from(number).unwrap()
    }

    fn decode(bytes: &[u8]) -> Result<Picture, Failure> {
        Picture::decode(Cursor::new(bytes), "a.png")
    }

    /// A file with a header that says so, and nothing behind it.
    fn header(width: u32, height: u32) -> Vec<u8> {
        let mut out = Vec::new();
        let mut encoder = png::Encoder::new(&mut out, width, height);
        encoder.set_color(png::ColorType::Rgba);
        drop(encoder.write_header().unwrap());
        out
    }

    fn encoded(kind: png::ColorType, depth: png::BitDepth, palette: Option<Vec<u8>>, data: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        let mut encoder = png::Encoder::new(&mut out, 2, 1);
        encoder.set_color(kind);
        encoder.set_depth(depth);
        palette.into_iter().for_each(|palette| encoder.set_palette(palette));
        let mut writer = encoder.write_header().unwrap();
        writer.write_image_data(data).unwrap();
        writer.finish().unwrap();
        out
    }

    #[test]
    fn what_is_written_reads_back() {
        let colours: Vec<Colour> = (0..6).map(|number| colour(number * 0x1_2345)).collect();
        let picture = decode(&encode(3, &colours).unwrap()).unwrap();
        assert_eq!((picture.width, picture.height), (3, 2));
        let at: Vec<(u16, u16, Colour)> = picture.at((10, 20)).collect();
        assert_eq!(at[..2], [(10, 20, colours[0]), (11, 20, colours[1])]);
        assert_eq!(at[5], (12, 21, colours[5]));
    }

    #[test]
    fn every_form_of_png_becomes_colours_and_what_is_transparent_is_left_out() {
        use png::{BitDepth, ColorType};
        for (kind, depth, palette, data, expected) in [
            (ColorType::Rgba, BitDepth::Eight, None, &[1, 2, 3, 255, 4, 5, 6, 127][..], [Some(0x10203), None]),
            (ColorType::Grayscale, BitDepth::Eight, None, &[7, 8], [Some(0x70707), Some(0x80808)]),
            (ColorType::GrayscaleAlpha, BitDepth::Eight, None, &[7, 0, 8, 128], [None, Some(0x80808)]),
            (ColorType::Grayscale, BitDepth::One, None, &[0b0100_0000], [Some(0), Some(0xffffff)]),
            (
                ColorType::Indexed,
                BitDepth::Eight,
                Some(vec![1, 2, 3, 4, 5, 6]),
                &[1, 0],
                [Some(0x40506), Some(0x10203)],
            ),
            (
                ColorType::Rgb,
                BitDepth::Sixteen,
                None,
                &[1, 0, 2, 0, 3, 0, 4, 0, 5, 0, 6, 0],
                [Some(0x10203), Some(0x40506)],
            ),
        ] {
            let picture = decode(&encoded(kind, depth, palette, data)).unwrap();
            assert_eq!(picture.pixels, expected.map(|number| number.map(colour)), "{kind:?} {depth:?}");
        }
    }

    #[test]
    fn a_picture_that_no_canvas_holds_is_refused_by_its_header() {
        for (width, height) in [(1001, 1), (1, 1001), (100_000, 100_000), (0x7fff_ffff, 1)] {
            let refused = decode(&header(width, height)).unwrap_err();
            assert_eq!(refused.kind(), Kind::Usage);
            let expected = format!("has {width}×{height} pixels, and no canvas is larger than 1000×1000");
            assert!(refused.message().contains(&expected), "{}", refused.message());
        }
    }

    #[test]
    fn what_is_no_png_or_not_whole_is_refused() {
        let whole = encode(2, &[colour(1), colour(2)]).unwrap();
        for bytes in [&b""[..], b"GIF89a", &whole[..whole.len() - 20], &header(2, 2)] {
            let refused = decode(bytes).unwrap_err();
            assert_eq!(refused.kind(), Kind::Usage);
            assert!(refused.message().contains("a.png is no whole PNG file"), "{}", refused.message());
        }
        assert_eq!(Picture::read(Path::new("/none/a.png")).unwrap_err().kind(), Kind::Usage);
        assert!(Picture::read(Path::new("/")).unwrap_err().message().contains("no regular file"));
    }
}
