//! Replay: builds the log from its records, one after the other.
//!
//! Invariant: when the segments before some segment were removed, the remaining records build the same log as all of
//! them would, without the entries up to `base`: a record replaces entries in whatever segment they are.
//!
//! Deliberately absent: bytes, and what to do about a record that does not fit.

use raftian_raft::{Entry, HardState, Index};

use crate::record::Record;
use crate::sealed::Sealed;
use crate::segment::Header;

/// The log so far.
#[derive(Debug, Default)]
pub(crate) struct Replay {
    pub(crate) hard_state: HardState,
    /// The index before the first entry.
    pub(crate) base: Index,
    pub(crate) entries: Vec<Entry>,
    pub(crate) sealed: Sealed,
}

impl Replay {
    /// The result of the segments before the one with this header.
    pub(crate) fn before(header: &Header) -> Replay {
        Replay { hard_state: header.hard_state, base: header.last_index, ..Replay::default() }
    }

    /// The last index of the log; `base` when it has no entries.
    pub(crate) fn last_index(&self) -> Index {
        self.base + self.entries.len() as Index
    }

    /// Applies the next record.
    ///
    /// # Errors
    /// When it cannot follow the records before.
    pub(crate) fn take(&mut self, record: Record) -> Result<(), String> {
        match record {
            Record::HardState(next) if next.term < self.hard_state.term => {
                return Err(format!("the term goes back from {} to {}", self.hard_state.term, next.term));
            }
            Record::HardState(next) => self.hard_state = next,
            Record::Entry(entry) if entry.index == 0 || entry.index > self.last_index() + 1 => {
                return Err(format!("entry {} follows entry {}", entry.index, self.last_index()));
            }
            Record::Entry(entry) => {
                self.truncate(entry.index - 1);
                self.sealed.truncate(entry.index - 1);
                self.entries.push(entry);
            }
            Record::Restart(index) => {
                self.truncate(0);
                self.sealed.truncate(0);
                self.base = index;
            }
        }
        Ok(())
    }

    /// Keeps the entries up to `last_index`, which is not beyond the end.
    fn truncate(&mut self, last_index: Index) {
        self.base = self.base.min(last_index);
        // The difference is at most the length of a vector, so it fits in a `usize`.
        self.entries.truncate((last_index - self.base) as usize);
    }
}
