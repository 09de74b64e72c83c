//! A disk in memory that forgets what was not synced.
//!
//! Invariants: what [`Disk::durable`] shows is what a crash at this moment would leave; a crash keeps a beginning of what
//! was being written, cut at a record boundary, which is what recovery makes of a torn file.
//!
//! Deliberately absent: bytes. Torn frames and damage within a record are the business of `raftian-wal`.

use raftian_raft::{Discard, Entry, HardState, Index, Recovered, Snapshot, Write};

/// What a server has on stable storage.
#[derive(Debug, Default)]
pub struct Disk {
    durable: Recovered,
}

/// A part of a write that is on the disk as a whole or not at all.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Record<'a> {
    HardState(HardState),
    Snapshot(&'a Snapshot),
    Discard(Discard),
    Entry(&'a Entry),
}

/// The records of a write, in order.
pub(crate) fn records(write: &Write) -> impl Iterator<Item = Record<'_>> {
    let hard_state = write.hard_state.map(Record::HardState);
    let snapshot = write.snapshot.as_ref().map(Record::Snapshot);
    let discard = write.discard.map(Record::Discard);
    hard_state.into_iter().chain(snapshot).chain(discard).chain(write.entries.iter().map(Record::Entry))
}

impl Disk {
    /// A disk on which this has always been.
    pub(crate) fn with(durable: Recovered) -> Disk {
        Disk { durable }
    }

    /// What a server would find if it started now.
    pub fn durable(&self) -> &Recovered {
        &self.durable
    }

    /// The log ends before this index from now on, if it has it.
    pub(crate) fn cut(&mut self, index: Index) {
        let end = position(&self.durable.entries, index);
        self.durable.entries.truncate(end);
    }

    /// A record becomes durable. A log with a gap is kept as it comes: the oracle has seen it before.
    pub(crate) fn keep(&mut self, record: Record<'_>) {
        let entries = &mut self.durable.entries;
        match record {
            Record::HardState(hard_state) => self.durable.hard_state = hard_state,
            Record::Snapshot(snapshot) => self.durable.snapshot = Some(snapshot.clone()),
            Record::Discard(Discard::UpTo(index)) => {
                let covered = position(entries, index + 1);
                entries.drain(..covered);
            }
            Record::Discard(Discard::All) => entries.clear(),
            Record::Entry(entry) => {
                let end = position(entries, entry.index);
                entries.truncate(end);
                entries.push(entry.clone());
            }
        }
    }
}

/// How many entries stand before an index.
fn position(entries: &[Entry], index: Index) -> usize {
    entries.first().map_or(0, |first| entries.len().min(index.saturating_sub(first.index) as usize))
}

#[cfg(test)]
mod tests {
    use super::*;
    use raftian_raft::Payload;

    fn held(disk: &Disk) -> Vec<(Index, u64)> {
        disk.durable().entries.iter().map(|entry| (entry.index, entry.term)).collect()
    }

    #[test]
    fn a_record_replaces_what_it_takes_the_place_of() {
        let mut disk = Disk::default();
        for (index, term) in [(1, 1), (2, 1), (3, 1), (2, 2), (3, 2)] {
            disk.keep(Record::Entry(&Entry { index, term, payload: Payload::Noop }));
        }
        assert_eq!(held(&disk), [(1, 1), (2, 2), (3, 2)]);
        disk.keep(Record::Discard(Discard::UpTo(2)));
        assert_eq!(held(&disk), [(3, 2)]);
        disk.keep(Record::Entry(&Entry { index: 3, term: 4, payload: Payload::Noop }));
        assert_eq!(held(&disk), [(3, 4)]);
        disk.keep(Record::Discard(Discard::All));
        disk.keep(Record::Entry(&Entry { index: 9, term: 5, payload: Payload::Noop }));
        assert_eq!(held(&disk), [(9, 5)]);
    }
}
