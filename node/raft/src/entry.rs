//! The entries of a log, and the state that must survive a crash.
//!
//! Deliberately absent: what a command *means*. To the core it is a sequence of bytes.

use bytes::Bytes;

use crate::{Configuration, Index, NodeId, Snapshot, Term};

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

impl Entry {
    /// The memory that it takes, in bytes.
    pub(crate) fn memory(&self) -> usize {
        size_of::<Entry>() + self.payload.len()
    }
}

/// The content of an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Payload {
    /// Appended by a new leader, so that entries of earlier terms can be committed with it (§5.4.2, §8).
    Noop,
    /// A command for the replicated application. The core does not change it.
    Command(Bytes),
    /// The configuration that is in force from here on, committed or not (§6).
    Configuration(Box<Configuration>),
}

impl Payload {
    /// The size in bytes of the command carried, for batch limits.
    pub fn len(&self) -> usize {
        match self {
            Payload::Noop | Payload::Configuration(_) => 0,
            Payload::Command(bytes) => bytes.len(),
        }
    }

    /// Whether it carries no bytes of a command.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// The persistent state of Figure 2 without the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HardState {
    /// The latest term the server has seen.
    pub term: Term,
    /// The candidate that received its vote in that term.
    pub voted_for: Option<NodeId>,
}

/// What storage recovered from the disk when the server starts.
#[derive(Clone, Debug, Default)]
pub struct Recovered {
    /// Its term and vote.
    pub hard_state: HardState,
    /// Its latest snapshot, if there is one.
    pub snapshot: Option<Snapshot>,
    /// Its log, contiguous. It begins at index 1, or with a snapshot at or before the index after the snapshot's last.
    pub entries: Vec<Entry>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_command_has_bytes() {
        assert!(Payload::Noop.is_empty());
        let command = Payload::Command(b"x".as_slice().into());
        assert_eq!((command.len(), command.is_empty()), (1, false));
    }
}
