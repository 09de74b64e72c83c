//! A fingerprint of applied state, so that replicas can be compared by eight bytes.
//!
//! Invariant: equal states give equal digests on every machine. It guards against bugs, not against an adversary.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

/// A 64-bit digest. Written as 16 hexadecimal digits, in JSON too, because JSON numbers lose the low bits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Digest(pub u64);

/// A text that is not a digest.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("`{0}` is not a digest: 16 hexadecimal digits in lower case")]
pub struct ParseDigestError(String);

/// The digest of a set of records, kept up to date as records come and go, so that a large state need not be read to be
/// compared. It depends on the records and not on the order in which they came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct SetDigest(u64);

impl Digest {
    /// The digest (XXH3) of these bytes.
    pub fn of(bytes: &[u8]) -> Digest {
        Digest(xxh3_64(bytes))
    }

    /// The digest of these parts, which differs when any of them does and when they are cut elsewhere.
    pub(crate) fn of_parts(parts: &[&[u8]]) -> Digest {
        // Each part is hashed with the hash of those before it as the seed: where one ends matters.
        Digest(parts.iter().fold(0, |hash, part| xxh3_64_with_seed(part, hash)))
    }
}

impl SetDigest {
    /// Takes in a record that is not in the set.
    pub(crate) fn add(&mut self, record: Digest) {
        self.0 = self.0.wrapping_add(record.0);
    }

    /// Takes out a record that is in the set.
    pub(crate) fn remove(&mut self, record: Digest) {
        self.0 = self.0.wrapping_sub(record.0);
    }

    /// The digest of the set.
    pub(crate) fn digest(self) -> Digest {
        Digest(self.0)
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

    #[test]
    fn parts_count_for_themselves() {
        let parts = [&b"ab"[..], b"c"];
        assert_eq!(Digest::of_parts(&parts), Digest::of_parts(&parts));
        for others in [&[&b"a"[..], b"bc"][..], &[b"abc"], &[b"c", b"ab"], &[b"ab", b"c", b""]] {
            assert_ne!(Digest::of_parts(&parts), Digest::of_parts(others), "{others:?}");
        }
    }

    #[test]
    fn a_set_is_its_records_whatever_came_and_went() {
        let [a, b, c] = [b"a", b"b", b"c"].map(|record| Digest::of(record));
        let (mut one, mut other) = (SetDigest::default(), SetDigest::default());
        one.add(a);
        one.add(b);
        for record in [c, b, a] {
            other.add(record);
        }
        assert_ne!(one, other);
        other.remove(c);
        assert_eq!(one, other);
        assert_ne!(one.digest(), SetDigest::default().digest());
    }
}
