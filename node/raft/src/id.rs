//! The name of a server, `n1` … `n65535`, and the two counters of the Raft paper.

use std::fmt;
use std::num::NonZeroU16;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A term number (§5.1). Terms start at 1; 0 is "before any election".
pub type Term = u64;

/// A position in the log (§5.3). The first entry has index 1; 0 is "before the log".
pub type Index = u64;

/// The identity of a server, unique for the life of a lab. Written `n3`, in JSON too.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct NodeId(NonZeroU16);

/// The error for a text that is not the name of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseNodeIdError(String);

impl NodeId {
    /// The node with this number, or `None` for 0.
    pub fn new(number: u16) -> Option<NodeId> {
        NonZeroU16::new(number).map(NodeId)
    }

    /// The number behind the `n`.
    pub fn number(self) -> u16 {
        self.0.get()
    }

    /// The first `count` nodes: `n1` … `n{count}`.
    pub fn first(count: u16) -> impl Iterator<Item = NodeId> {
        (1..=count).filter_map(NodeId::new)
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // `pad` lets tables align names with `{:<4}`.
        f.pad(&format!("n{}", self.0))
    }
}

impl fmt::Debug for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for NodeId {
    type Err = ParseNodeIdError;

    fn from_str(text: &str) -> Result<NodeId, ParseNodeIdError> {
        text.strip_prefix('n')
            .filter(|digits| digits.bytes().all(|b| b.is_ascii_digit()) && !digits.starts_with('0'))
            .and_then(|digits| digits.parse().ok())
            .and_then(NodeId::new)
            .ok_or_else(|| ParseNodeIdError(text.to_owned()))
    }
}

impl TryFrom<String> for NodeId {
    type Error = ParseNodeIdError;

    fn try_from(text: String) -> Result<NodeId, ParseNodeIdError> {
        text.parse()
    }
}

impl From<NodeId> for String {
    fn from(id: NodeId) -> String {
        id.to_string()
    }
}

impl fmt::Display for ParseNodeIdError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` is not a node name; nodes are n1, n2, … n65535", self.0)
    }
}

impl std::error::Error for ParseNodeIdError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_read_back_as_written() {
        for number in [1, 9, 10, 64, 65535] {
            let id = NodeId::new(number).unwrap();
            assert_eq!(id.to_string().parse(), Ok(id));
        }
    }

    #[test]
    fn other_texts_are_refused() {
        for text in ["", "n", "n0", "n01", "3", "N3", "n65536", "n-1", "n+1", "n3 "] {
            let refused = text.parse::<NodeId>().unwrap_err().to_string();
            assert!(refused.contains(&format!("`{text}` is not a node name")), "{refused}");
        }
    }
}
