//! A colour of 24 bits.
//!
//! Invariant: red, green and blue have eight bits each. In JSON a colour is the number 0xRRGGBB, which is short; people
//! write it as `#rrggbb`, as `rrggbb` (in a shell and in a scenario a `#` begins a comment), or by its name.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// A colour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "u32", try_from = "u32")]
pub struct Colour(u32);

/// The sixteen colours that HTML 4 and CSS 1 have names for.
const NAMES: [(&str, u32); 16] = [
    ("black", 0x000000),
    ("silver", 0xc0c0c0),
    ("gray", 0x808080),
    ("white", 0xffffff),
    ("maroon", 0x800000),
    ("red", 0xff0000),
    ("purple", 0x800080),
    ("fuchsia", 0xff00ff),
    ("green", 0x008000),
    ("lime", 0x00ff00),
    ("olive", 0x808000),
    ("yellow", 0xffff00),
    ("navy", 0x000080),
    ("blue", 0x0000ff),
    ("teal", 0x008080),
    ("aqua", 0x00ffff),
];

/// A number or a text that is no colour.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("`{0}` is not a colour: write six hexadecimal digits such as ff8000, or one of {names}", names = names())]
pub struct NotAColour(String);

fn names() -> String {
    NAMES.map(|(name, _)| name).join(", ")
}

impl Colour {
    /// The colour of these parts.
    pub fn from_rgb([red, green, blue]: [u8; 3]) -> Colour {
        Colour(u32::from_be_bytes([0, red, green, blue]))
    }

    /// Red, green and blue.
    pub fn rgb(self) -> [u8; 3] {
        let [_, red, green, blue] = self.0.to_be_bytes();
        [red, green, blue]
    }

    /// As a number, 0xRRGGBB.
    pub fn number(self) -> u32 {
        self.0
    }
}

/// `#rrggbb`, and in the alternate form `rrggbb`.
impl fmt::Display for Colour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if f.alternate() { "" } else { "#" };
        write!(f, "{sign}{:06x}", self.0)
    }
}

impl FromStr for Colour {
    type Err = NotAColour;

    fn from_str(text: &str) -> Result<Colour, NotAColour> {
        let not = || NotAColour(text.chars().take(40).collect());
        if let Some((_, number)) = NAMES.iter().find(|(name, _)| name.eq_ignore_ascii_case(text)) {
            return Ok(Colour(*number));
        }
        let digits = text.strip_prefix('#').unwrap_or(text);
        let is_hex = digits.len() == 6 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        let number = is_hex.then(|| u32::from_str_radix(digits, 16).ok()).flatten();
        number.map(Colour).ok_or_else(not)
    }
}

impl TryFrom<u32> for Colour {
    type Error = NotAColour;

    fn try_from(number: u32) -> Result<Colour, NotAColour> {
        if number < 1 << 24 { Ok(Colour(number)) } else { Err(NotAColour(number.to_string())) }
    }
}

impl From<Colour> for u32 {
    fn from(colour: Colour) -> u32 {
        colour.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_colour_is_read_in_each_of_its_forms() {
        let orange = Colour::from_rgb([0xff, 0x80, 0]);
        for text in ["#ff8000", "ff8000", "#FF8000"] {
            assert_eq!(text.parse(), Ok(orange));
        }
        assert_eq!((orange.to_string(), format!("{orange:#}")), ("#ff8000".to_owned(), "ff8000".to_owned()));
        assert_eq!((orange.rgb(), orange.number()), ([0xff, 0x80, 0], 0xff8000));
        assert_eq!(serde_json::to_string(&orange).unwrap(), "16744448");
        assert_eq!("Teal".parse(), Ok(Colour(0x008080)));
    }

    #[test]
    fn what_is_no_colour_is_refused_with_what_is_one() {
        for text in ["", "#", "#fff", "#ff80000", "ff800g", "+f8000", "reddish", "0xff80"] {
            let why = text.parse::<Colour>().unwrap_err().to_string();
            assert!(why.contains(&format!("`{text}` is not a colour")) && why.contains("navy"), "{why}");
        }
        assert!(serde_json::from_str::<Colour>("16777216").is_err());
        assert!(serde_json::from_str::<Colour>("-1").is_err());
    }
}
