//! The name of a run: eight hexadecimal digits, drawn at random, so that runs of several machines can lie side by side.
//!
//! Invariant: what is one is safe as the name of a folder.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The digits of a name.
const DIGITS: usize = 8;

/// The name of a run.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RunId(String);

impl RunId {
    /// A name that hardly any other run has.
    pub(crate) fn draw() -> RunId {
        RunId(format!("{:08x}", fastrand::u32(..)))
    }

    /// As a text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Whether a name may begin like this.
pub(crate) fn is_prefix(text: &str) -> bool {
    let is_digit = |byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    (1..=DIGITS).contains(&text.len()) && text.bytes().all(is_digit)
}

impl FromStr for RunId {
    type Err = String;

    fn from_str(text: &str) -> Result<RunId, String> {
        match is_prefix(text) && text.len() == DIGITS {
            true => Ok(RunId(text.to_owned())),
            false => Err(format!("`{}` is not the name of a run: eight of 0-9 and a-f", text.escape_debug())),
        }
    }
}

impl TryFrom<String> for RunId {
    type Error = String;

    fn try_from(text: String) -> Result<RunId, String> {
        text.parse()
    }
}

impl From<RunId> for String {
    fn from(id: RunId) -> String {
        id.0
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_eight_digits_and_nothing_that_leads_elsewhere() {
        let drawn = RunId::draw();
        assert_eq!(drawn.to_string().parse(), Ok(drawn));
        for bad in ["", "abc", "../../ab", "ABCDEF01", "0123456g", "012345678"] {
            assert!(bad.parse::<RunId>().is_err(), "{bad}");
        }
        assert!(is_prefix("ab") && !is_prefix("") && !is_prefix("last") && !is_prefix("0123456789"));
    }
}
