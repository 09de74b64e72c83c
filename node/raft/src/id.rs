//! The identity of a server, and the two counters of the Raft paper.

use std::fmt;
use std::num::NonZeroU16;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A term number (§5.1). Terms start at 1; 0 is "before any election".
pub type Term = u64;

/// A position in the log (§5.3). The first entry has index 1; 0 is "before the log".
pub type Index = u64;

/// The identity of a server: its name, and which one of that name it is. A server is another one when it begins anew with
/// an empty disk, so a name that is used again stands for another server, which has promised nothing that the first one
/// did. Written `n3`, and `n3.2` for the second of that name; in JSON too.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct NodeId {
    number: NonZeroU16,
    incarnation: NonZeroU16,
}

/// The error for a text that is not the name of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseNodeIdError(String);

impl NodeId {
    /// The first node of this number, or `None` for 0.
    pub fn new(number: u16) -> Option<NodeId> {
        NodeId::of(number, 1)
    }

    /// The node of this number and incarnation, or `None` if one of them is 0.
    pub fn of(number: u16, incarnation: u16) -> Option<NodeId> {
        Some(NodeId { number: NonZeroU16::new(number)?, incarnation: NonZeroU16::new(incarnation)? })
    }

    /// The number behind the `n`: the name, which a later incarnation has as well.
    pub fn number(self) -> u16 {
        self.number.get()
    }

    /// Which one of its name it is, from 1 on.
    pub fn incarnation(self) -> u16 {
        self.incarnation.get()
    }

    /// The first one of this name, by which a person names whichever there is.
    pub fn name(self) -> NodeId {
        NodeId { incarnation: NonZeroU16::MIN, ..self }
    }

    /// The next one of this name; `None` after the last, 65535.
    pub fn next_incarnation(self) -> Option<NodeId> {
        Some(NodeId { incarnation: self.incarnation.checked_add(1)?, ..self })
    }

    /// The first `count` nodes: `n1` … `n{count}`.
    pub fn first(count: u16) -> impl Iterator<Item = NodeId> {
        (1..=count).filter_map(NodeId::new)
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // `pad` lets tables align names with `{:<4}`.
        match self.incarnation.get() {
            1 => f.pad(&format!("n{}", self.number)),
            incarnation => f.pad(&format!("n{}.{incarnation}", self.number)),
        }
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
        let number = |digits: &str| -> Option<u16> {
            let is_plain = digits.bytes().all(|b| b.is_ascii_digit()) && !digits.starts_with('0');
            digits.parse().ok().filter(|_| is_plain)
        };
        let parse = |text: &str| match text.split_once('.') {
            None => NodeId::new(number(text)?),
            // Each has one way to be written.
            Some((name, incarnation)) => NodeId::of(number(name)?, number(incarnation).filter(|of| *of > 1)?),
        };
        text.strip_prefix('n').and_then(parse).ok_or_else(|| ParseNodeIdError(text.to_owned()))
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
        write!(f, "`{}` is not a node name; nodes are n1, n2, … n65535, and n2.2 the second of a name", self.0)
    }
}

impl std::error::Error for ParseNodeIdError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_read_back_as_written() {
        for number in [1, 9, 10, 64, 65535] {
            for incarnation in [1, 2, 10, 65535] {
                let id = NodeId::of(number, incarnation).unwrap();
                assert_eq!(id.to_string().parse(), Ok(id));
            }
        }
        assert_eq!([NodeId::new(3), NodeId::of(3, 2)].map(|id| id.unwrap().to_string()), ["n3", "n3.2"]);
    }

    #[test]
    fn the_next_of_a_name_is_another_server() {
        let first = NodeId::new(3).unwrap();
        let next = first.next_incarnation().unwrap();
        assert_eq!((next, next.number(), next.incarnation()), (NodeId::of(3, 2).unwrap(), 3, 2));
        assert!(next != first && NodeId::of(3, u16::MAX).unwrap().next_incarnation().is_none());
    }

    #[test]
    fn other_texts_are_refused() {
        for text in [
            "", "n", "n0", "n01", "3", "N3", "n65536", "n-1", "n+1", "n3 ", "n3.", "n3.0", "n3.1", "n3.02", "n3.x",
            "n.2",
        ] {
            let refused = text.parse::<NodeId>().unwrap_err().to_string();
            assert!(refused.contains(&format!("`{text}` is not a node name")), "{refused}");
        }
    }
}
