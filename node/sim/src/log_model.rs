//! The reference model of one log: a mark for every entry from index 1 on, and the configurations in it.
//!
//! Invariant: a mark's chain stands for its entry *and all before it*, so equal marks at one index mean equal logs up to
//! there, and two logs are compared in one step. What a server has compacted is committed, so it is remembered here all
//! the same.

use raftian_raft::{Entry, Index, Payload, Term};

use raftian_apps::Digest;

use crate::members::Members;
use crate::random::random;

/// What stands for an entry of each kind that is no command.
const NOOP: u64 = 1;
const CONFIGURATION: u64 = 2;

/// An entry and all before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) term: Term,
    pub(crate) chain: u64,
}

/// The marks of one log.
#[derive(Clone, Debug, Default)]
pub(crate) struct LogModel {
    marks: Vec<Mark>,
    changes: Vec<(Index, Members)>,
}

impl Mark {
    /// The mark of the entry that follows this one.
    pub(crate) fn then(self, entry: &Entry) -> Mark {
        let payload = match &entry.payload {
            Payload::Noop => NOOP,
            Payload::Command(bytes) => Digest::of(bytes).0,
            Payload::Configuration(configuration) => {
                let Members { voters, outgoing, learners } = Members::of(configuration);
                random([CONFIGURATION, voters.hash(), outgoing.hash(), learners.hash()])
            }
        };
        Mark { term: entry.term, chain: random([self.chain, entry.term, payload]) }
    }
}

impl LogModel {
    pub(crate) fn last_index(&self) -> Index {
        self.marks.len() as Index
    }

    pub(crate) fn last(&self) -> Mark {
        self.marks.last().copied().unwrap_or_default()
    }

    /// The mark at an index; that of the empty log at 0; `None` past the end.
    pub(crate) fn at(&self, index: Index) -> Option<Mark> {
        match index {
            0 => Some(Mark::default()),
            _ => self.marks.get(index as usize - 1).copied(),
        }
    }

    /// Puts the next entry in. Says its mark.
    pub(crate) fn push(&mut self, entry: &Entry) -> Mark {
        let mark = self.last().then(entry);
        self.marks.push(mark);
        if let Payload::Configuration(configuration) = &entry.payload {
            self.changes.push((entry.index, Members::of(configuration)));
        }
        mark
    }

    /// Discards what is after `index`. Says whether a configuration went with it.
    pub(crate) fn truncate(&mut self, index: Index) -> bool {
        self.marks.truncate(index as usize);
        let before = self.changes.len();
        self.changes.truncate(self.changes.partition_point(|(at, _)| *at <= index));
        self.changes.len() < before
    }

    /// Ends at `index`. If it is shorter, marks that no entry has stand for what is missing.
    pub(crate) fn end_at(&mut self, index: Index) {
        self.truncate(index);
        self.marks.resize(index as usize, Mark::default());
    }

    /// The beginning of it, up to an index that it has.
    pub(crate) fn up_to(&self, index: Index) -> LogModel {
        LogModel { marks: self.marks[..index as usize].to_vec(), changes: self.changes_up_to(index).to_vec() }
    }

    /// The configurations, the latest last.
    pub(crate) fn changes(&self) -> &[(Index, Members)] {
        &self.changes
    }

    /// The configurations up to an index, the latest last.
    pub(crate) fn changes_up_to(&self, index: Index) -> &[(Index, Members)] {
        &self.changes[..self.changes.partition_point(|(at, _)| *at <= index)]
    }

    /// The first index of a term, past the end if there is none.
    pub(crate) fn first_of_term(&self, term: Term) -> Index {
        self.marks.partition_point(|mark| mark.term < term) as Index + 1
    }

    /// The first index at which the two differ, for messages to people.
    pub(crate) fn first_difference(&self, other: &LogModel) -> Index {
        self.marks.iter().zip(&other.marks).take_while(|(a, b)| a == b).count() as Index + 1
    }
}
