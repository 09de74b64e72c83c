//! What a log is made of, and what must survive a crash beside it.
//!
//! Deliberately absent: what a command *means*. To the core it is a run of bytes.

use bytes::Bytes;

use crate::{Index, NodeId, Term};

/// One entry of the replicated log (§5.3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its position in the log.
    pub index: Index,
    /// The term of the leader that created it.
    pub term: Term,
    /// What it carries.
    pub payload: Payload,
}

/// The content of an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Payload {
    /// Appended by a new leader, so that entries of earlier terms may commit beneath it (§5.4.2, §8).
    Noop,
    /// A command for the replicated application, passed through untouched.
    Command(Bytes),
}

impl Payload {
    /// The size in bytes of what is carried, for batch limits.
    pub fn len(&self) -> usize {
        match self {
            Payload::Noop => 0,
            Payload::Command(bytes) => bytes.len(),
        }
    }

    /// Whether nothing is carried.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// The part of a server's state that Figure 2 calls persistent, less the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HardState {
    /// The latest term the server has seen.
    pub term: Term,
    /// The candidate that received its vote in that term.
    pub voted_for: Option<NodeId>,
}
