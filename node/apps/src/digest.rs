//! A fingerprint of applied state, so that replicas can be compared by eight bytes.
//!
//! Invariant: equal states give equal digests on every machine. It guards against bugs, not against an adversary.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;
use xxhash_rust::xxh3::xxh3_64;

/// A 64-bit digest. Written as 16 hexadecimal digits, in JSON too, because JSON numbers lose the low bits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Digest(pub u64);

/// A text that is not a digest.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("`{0}` is not a digest: 16 hexadecimal digits in lower case")]
pub struct ParseDigestError(String);

impl Digest {
    /// The digest (XXH3) of these bytes.
    pub fn of(bytes: &[u8]) -> Digest {
        Digest(xxh3_64(bytes))
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{:016x}", self.0))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Digest {
    type Err = ParseDigestError;

    fn from_str(text: &str) -> Result<Digest, ParseDigestError> {
        // `from_str_radix` alone would take `+1`, upper case and fewer digits: one digest, one text.
        let parsed = u64::from_str_radix(text, 16).ok().map(Digest);
        parsed.filter(|digest| digest.to_string() == text).ok_or_else(|| ParseDigestError(text.to_owned()))
    }
}

impl TryFrom<String> for Digest {
    type Error = ParseDigestError;

    fn try_from(text: String) -> Result<Digest, ParseDigestError> {
        text.parse()
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> String {
        digest.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_reads_back_as_written() {
        for digest in [Digest(0), Digest(0xab), Digest(u64::MAX)] {
            let json = serde_json::to_string(&digest).unwrap();
            assert_eq!(json.len(), 18, "{json}");
            assert_eq!(serde_json::from_str::<Digest>(&json).unwrap(), digest);
        }
    }

    #[test]
    fn other_texts_are_refused() {
        for text in ["", "ab", "00000000000000AB", "+00000000000000a", "00000000000000000", "000000000000000g"] {
            assert!(text.parse::<Digest>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn the_digest_is_the_same_on_every_machine() {
        assert_eq!(Digest::of(b"").to_string(), "2d06800538d394c2");
    }
}
