//! The replicated application of the tests: a running hash of all that it was given.
//!
//! Invariant: equal histories give equal states, and unequal ones do not.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use bytes::Bytes;
use raftian_raft::{Entry, Index, Payload};

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct App {
    /// The last entry applied.
    pub(crate) applied: Index,
    hash: u64,
}

impl App {
    /// Applies an entry. Whether it is the next one is for the witness to say.
    pub(crate) fn apply(&mut self, entry: &Entry) {
        let mut hasher = DefaultHasher::new();
        self.hash.hash(&mut hasher);
        if let Payload::Command(command) = &entry.payload {
            command.hash(&mut hasher);
        }
        *self = App { applied: entry.index, hash: hasher.finish() };
    }

    /// The state in 16 bytes.
    pub(crate) fn save(&self) -> Bytes {
        [self.applied.to_le_bytes(), self.hash.to_le_bytes()].concat().into()
    }

    pub(crate) fn load(data: &[u8]) -> App {
        let (applied, hash) = data.split_at(8);
        let number = |bytes: &[u8]| u64::from_le_bytes(bytes.try_into().expect("a state has 16 bytes"));
        App { applied: number(applied), hash: number(hash) }
    }
}
