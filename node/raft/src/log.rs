//! The replicated log, as its server sees it: the entries, and how far they are on their way to the disk.
//!
//! Invariant: durable ≤ handed ≤ last index, indexes are contiguous from 1, terms never fall.

use crate::{Conflict, Entry, Index, LastEntry, Term};

#[derive(Debug)]
pub(crate) struct Log {
    entries: Vec<Entry>,
    /// The last entry handed to storage.
    handed: Index,
    /// The last entry known to be on stable storage.
    durable: Index,
    /// How often a suffix has been discarded.
    truncations: u64,
}

/// A state of the log that storage may report on later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LogVersion {
    last_index: Index,
    truncations: u64,
}

impl Log {
    /// The log as recovered from storage.
    ///
    /// # Panics
    /// When the entries are not contiguous from index 1: storage has checked that.
    pub(crate) fn recovered(entries: Vec<Entry>) -> Log {
        assert!(entries.iter().zip(1..).all(|(entry, index)| entry.index == index), "storage returned a log with gaps");
        let last = entries.len() as Index;
        Log { entries, handed: last, durable: last, truncations: 0 }
    }

    pub(crate) fn last_index(&self) -> Index {
        self.entries.len() as Index
    }

    pub(crate) fn last(&self) -> LastEntry {
        self.entries.last().map_or(LastEntry { term: 0, index: 0 }, |e| LastEntry { term: e.term, index: e.index })
    }

    pub(crate) fn durable(&self) -> Index {
        self.durable
    }

    /// The term of the entry at `index`: 0 before the log, `None` past its end.
    pub(crate) fn term_at(&self, index: Index) -> Option<Term> {
        match index {
            0 => Some(0),
            // A peer may ask about any index, one that no memory can hold included.
            _ => self.entries.get(usize::try_from(index - 1).ok()?).map(|entry| entry.term),
        }
    }

    /// At most `max` entries from `from` on; none if `from` is 0 or past the end.
    pub(crate) fn from(&self, from: Index, max: usize) -> &[Entry] {
        if from == 0 || from > self.last_index() {
            return &[];
        }
        let rest = &self.entries[position(from)..];
        &rest[..rest.len().min(max)]
    }

    /// The entries from `from` on that fit in one AppendEntries: at least one, if there is one.
    pub(crate) fn batch(&self, from: Index, max_entries: usize, max_bytes: usize) -> Vec<Entry> {
        let mut bytes = 0;
        let fits = |entry: &&Entry| {
            let first = bytes == 0;
            bytes += entry.payload.len().max(1);
            first || bytes <= max_bytes
        };
        self.from(from, max_entries.max(1)).iter().take_while(fits).cloned().collect()
    }

    pub(crate) fn push(&mut self, entry: Entry) {
        debug_assert_eq!(entry.index, self.last_index() + 1);
        self.entries.push(entry);
    }

    /// Discards the entries from `from` on.
    pub(crate) fn truncate(&mut self, from: Index) {
        self.entries.truncate(position(from));
        self.handed = self.handed.min(from - 1);
        self.durable = self.durable.min(from - 1);
        self.truncations += 1;
    }

    pub(crate) fn version(&self) -> LogVersion {
        LogVersion { last_index: self.last_index(), truncations: self.truncations }
    }

    /// The entries that storage has not been given yet. The first may replace a stored suffix.
    pub(crate) fn hand_over(&mut self) -> Vec<Entry> {
        let entries = self.from(self.handed + 1, usize::MAX).to_vec();
        self.handed = self.last_index();
        entries
    }

    /// Storage has synced the log as it was in that version. News of a version from before a truncation is dropped: a
    /// write that replaces the discarded suffix is on its way to the same place and will vouch for the rest as well.
    pub(crate) fn synced(&mut self, version: LogVersion) {
        if version.truncations == self.truncations {
            self.durable = self.durable.max(version.last_index);
        }
    }

    /// Where this log departs from one that has `term` at `prev_index`, or `None` if it has it too (§5.3).
    pub(crate) fn conflict_at(&self, prev_index: Index, term: Term) -> Option<Conflict> {
        match self.term_at(prev_index) {
            None => Some(Conflict { term: None, index: self.last_index() + 1 }),
            Some(own) if own == term => None,
            Some(own) => Some(Conflict { term: Some(own), index: self.first_of_term(own) }),
        }
    }

    /// The first index of `term`, or of the first term above it; past the end if there is none. O(log n).
    fn first_of_term(&self, term: Term) -> Index {
        self.entries.partition_point(|entry| entry.term < term) as Index + 1
    }

    /// The last index whose term is at most `term`; 0 if there is none. O(log n).
    pub(crate) fn last_up_to_term(&self, term: Term) -> Index {
        self.entries.partition_point(|entry| entry.term <= term) as Index
    }
}

/// Where an index ≥ 1 stands in the vector. A log that does not fit in memory cannot have been appended.
fn position(index: Index) -> usize {
    usize::try_from(index - 1).expect("an index of an entry in memory")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Payload;

    fn push(log: &mut Log, term: Term, count: usize) {
        for _ in 0..count {
            log.push(Entry { index: log.last_index() + 1, term, payload: Payload::Noop });
        }
    }

    #[test]
    fn a_sync_vouches_for_nothing_that_came_in_the_place_of_what_it_wrote() {
        let mut log = Log::recovered(Vec::new());
        push(&mut log, 1, 4);
        log.hand_over();
        let first = log.version();
        log.truncate(3);
        push(&mut log, 2, 2);
        assert_eq!(log.hand_over().iter().map(|entry| (entry.index, entry.term)).collect::<Vec<_>>(), [(3, 2), (4, 2)]);
        let second = log.version();
        log.synced(first);
        assert_eq!(log.durable(), 0);
        log.synced(second);
        assert_eq!(log.durable(), 4);
    }

    #[test]
    fn what_is_discarded_is_durable_no_more() {
        let mut log = Log::recovered(Vec::new());
        push(&mut log, 1, 4);
        log.hand_over();
        log.synced(log.version());
        log.truncate(2);
        push(&mut log, 2, 3);
        assert_eq!((log.durable(), log.last_index()), (1, 4));
    }
}
