//! Which cluster a node's log belongs to.
//!
//! Invariant: two labs never have the same one, so that a log from another lab's folder is known for what it is.
//!
//! Deliberately absent: messages do not carry it, since every lab has a secret of its own.

use std::fmt;
use std::io;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The identity of a cluster: 64 random bits, written as 16 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ClusterId(u64);

impl ClusterId {
    /// A new identity from the operating system's generator.
    ///
    /// # Errors
    /// When the system has no randomness to give.
    pub fn generate() -> io::Result<ClusterId> {
        let number = getrandom::u64().map_err(|error| io::Error::other(format!("no random bytes: {error}")))?;
        Ok(ClusterId(number))
    }
}

impl fmt::Display for ClusterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl FromStr for ClusterId {
    type Err = String;

    fn from_str(text: &str) -> Result<ClusterId, String> {
        let is_one = text.len() == 16 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let number = is_one.then(|| u64::from_str_radix(text, 16).ok()).flatten();
        number.map(ClusterId).ok_or_else(|| format!("`{}` is not 16 hexadecimal digits", text.escape_debug()))
    }
}

impl TryFrom<String> for ClusterId {
    type Error = String;

    fn try_from(text: String) -> Result<ClusterId, String> {
        text.parse()
    }
}

impl From<ClusterId> for String {
    fn from(id: ClusterId) -> String {
        id.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_written_as_it_is_read() {
        let id = ClusterId::generate().unwrap();
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!(serde_json::from_str::<ClusterId>(&serde_json::to_string(&id).unwrap()).unwrap(), id);
        assert_eq!(ClusterId(7).to_string(), "0000000000000007");
        for other in ["", "7", "000000000000000g", "00000000000000007", "+000000000000007"] {
            assert!(other.parse::<ClusterId>().is_err(), "{other}");
        }
    }
}
