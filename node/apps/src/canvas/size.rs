//! How large a canvas is, and whether something is on it.
//!
//! Invariant: each side has 1 to [`MAX_SIDE_PX`] pixels.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// The longest side of a canvas, in pixels.
pub const MAX_SIDE_PX: u16 = 1_000;

/// The size of a canvas. Written as `64x64`, in JSON too: width and height.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Size {
    width: u16,
    height: u16,
}

/// A text that is not a size.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("`{0}` is not the size of a canvas: width and height of 1 to {MAX_SIDE_PX} pixels, such as 64x64")]
pub struct ParseSizeError(String);

impl Size {
    /// So many pixels side by side, and so many one above another; `None` if a canvas cannot have these.
    pub fn new(width: u16, height: u16) -> Option<Size> {
        let is_side = |side| (1..=MAX_SIDE_PX).contains(&side);
        (is_side(width) && is_side(height)).then_some(Size { width, height })
    }

    /// How many pixels a row has.
    pub fn width(self) -> u16 {
        self.width
    }

    /// How many rows there are.
    pub fn height(self) -> u16 {
        self.height
    }

    /// How many pixels there are.
    pub fn pixels(self) -> usize {
        usize::from(self.width) * usize::from(self.height)
    }

    /// Whether there is a pixel at this place; the first is at 0, 0, on the upper left.
    pub fn has(self, x: u16, y: u16) -> bool {
        x < self.width && y < self.height
    }
}

/// 64×64.
impl Default for Size {
    fn default() -> Size {
        Size { width: 64, height: 64 }
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{}x{}", self.width, self.height))
    }
}

impl FromStr for Size {
    type Err = ParseSizeError;

    fn from_str(text: &str) -> Result<Size, ParseSizeError> {
        let sides = text.split_once('x').and_then(|(width, height)| Some((width.parse().ok()?, height.parse().ok()?)));
        let size = sides.and_then(|(width, height)| Size::new(width, height));
        // One size, one text: not `+64x064`.
        size.filter(|size| size.to_string() == text).ok_or_else(|| ParseSizeError(text.chars().take(40).collect()))
    }
}

impl TryFrom<String> for Size {
    type Error = ParseSizeError;

    fn try_from(text: String) -> Result<Size, ParseSizeError> {
        text.parse()
    }
}

impl From<Size> for String {
    fn from(size: Size) -> String {
        size.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_reads_back_as_written_and_other_texts_are_refused() {
        for text in ["64x64", "1x1000", "1000x1"] {
            assert_eq!(text.parse::<Size>().unwrap().to_string(), text);
        }
        assert_eq!(serde_json::to_string(&Size::default()).unwrap(), r#""64x64""#);
        for text in ["", "64", "0x1", "1x0", "1001x1", "+64x64", "064x64", "64X64", "64x64x1", "-1x1", "99999x1"] {
            assert!(text.parse::<Size>().is_err(), "{text}");
        }
        let why = "1001x1".parse::<Size>().unwrap_err().to_string();
        assert!(why.contains("`1001x1`") && why.contains("1 to 1000 pixels, such as 64x64"), "{why}");
    }
}
