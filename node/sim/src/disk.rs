//! A disk in memory that forgets what was not synced, and on which bits flip.
//!
//! Invariants: what [`Disk::durable`] shows is what a crash at this moment would leave; a crash keeps a beginning of what
//! was being written, cut at a record boundary, which is what recovery makes of a torn file. Damage takes nothing away:
//! whoever starts on this disk is told of it, until the record is discarded for a snapshot or replaced by a newer one.
//!
//! Deliberately absent: bytes. How torn frames and damage are told apart is the business of `raftian-wal`.

use raftian_raft::{Discard, Entry, HardState, Index, Recovered, Snapshot, Write};

/// What a server has on stable storage.
#[derive(Debug, Default)]
pub struct Disk {
    durable: Recovered,
    damage: Option<Part>,
}

/// A record that is damaged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// A term and a vote. Later ones stand behind it in the same log, which cannot be read past it.
    HardState,
    /// The snapshot.
    Snapshot,
    /// The entry at this index; if the log does not hold it, the nearest one that it holds.
    Entry(Index),
}

/// A part of a write that is on the disk as a whole or not at all.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Record<'a> {
    HardState(HardState),
    Snapshot(&'a Snapshot),
    Discard(Discard),
    Entry(&'a Entry),
}

/// The records of a write, in order: a snapshot comes before what it makes superfluous is discarded, unless it
/// `discards_first`.
pub(crate) fn records(write: &Write, discards_first: bool) -> impl Iterator<Item = Record<'_>> {
    let hard_state = write.hard_state.map(Record::HardState);
    let snapshot = write.snapshot.as_ref().map(Record::Snapshot);
    let discard = write.discard.map(Record::Discard);
    let (first, second) = if discards_first { (discard, snapshot) } else { (snapshot, discard) };
    hard_state.into_iter().chain(first).chain(second).chain(write.entries.iter().map(Record::Entry))
}

impl Disk {
    /// A disk on which this has always been.
    pub(crate) fn with(durable: Recovered) -> Disk {
        Disk { durable, damage: None }
    }

    /// What a server would find if it started now.
    pub fn durable(&self) -> &Recovered {
        &self.durable
    }

    /// The record that whoever starts on it finds damaged.
    pub fn damage(&self) -> Option<Part> {
        self.damage
    }

    /// Bits flip in a record. Says in which; in none if there is no such record, or one that is damaged already.
    pub(crate) fn rot(&mut self, part: Part) -> Option<Part> {
        let Recovered { hard_state, snapshot, entries } = &self.durable;
        let found = match part {
            Part::HardState => (*hard_state != HardState::default()).then_some(part),
            Part::Snapshot => snapshot.as_ref().map(|_| part),
            Part::Entry(index) => {
                let ends = entries.first().zip(entries.last());
                ends.map(|(first, last)| Part::Entry(index.clamp(first.index, last.index)))
            }
        };
        let damaged = found.filter(|_| self.damage.is_none())?;
        Some(*self.damage.insert(damaged))
    }

    /// The log ends before its damaged entry, which no node may make of it.
    pub(crate) fn cut(&mut self, index: Index) {
        let end = position(&self.durable.entries, index);
        self.durable.entries.truncate(end);
        self.damage = None;
    }

    /// The damaged hard state is taken for none, which no node may do.
    pub(crate) fn forget_hard_state(&mut self) {
        self.durable.hard_state = HardState::default();
        self.damage = None;
    }

    /// A record becomes durable. A log with a gap is kept as it comes: the oracle has seen it before.
    pub(crate) fn keep(&mut self, record: Record<'_>) {
        let is_gone = match (record, self.damage) {
            (Record::Snapshot(_), Some(Part::Snapshot)) | (Record::Discard(Discard::All), Some(Part::Entry(_))) => true,
            (Record::Discard(Discard::UpTo(end)), Some(Part::Entry(index))) => index <= end,
            _ => false,
        };
        self.damage.take_if(|_| is_gone);
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
    use raftian_raft::{Configuration, LastEntry, NodeId, Payload};

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

    #[test]
    fn damage_stays_until_its_record_is_gone() {
        let snapshot = |index| Snapshot {
            last: LastEntry { term: 1, index },
            configuration: Configuration::new(NodeId::first(1)).unwrap(),
            data: "state".into(),
        };
        let mut disk = Disk::default();
        for part in [Part::HardState, Part::Snapshot, Part::Entry(1)] {
            assert_eq!(disk.rot(part), None, "there is nothing to damage");
        }
        for index in 1..6 {
            disk.keep(Record::Entry(&Entry { index, term: 1, payload: Payload::Noop }));
        }
        assert_eq!((disk.rot(Part::Entry(3)), disk.rot(Part::Entry(4))), (Some(Part::Entry(3)), None));
        disk.keep(Record::Entry(&Entry { index: 2, term: 2, payload: Payload::Noop }));
        disk.keep(Record::Snapshot(&snapshot(2)));
        disk.keep(Record::Discard(Discard::UpTo(2)));
        assert_eq!(disk.damage(), Some(Part::Entry(3)), "what was written over is in the way all the same");
        disk.keep(Record::Discard(Discard::UpTo(3)));
        assert_eq!((disk.damage(), disk.rot(Part::Snapshot)), (None, Some(Part::Snapshot)));
        disk.keep(Record::Discard(Discard::All));
        assert_eq!(disk.damage(), Some(Part::Snapshot));
        disk.keep(Record::Snapshot(&snapshot(9)));
        assert_eq!((disk.damage(), disk.rot(Part::Entry(9))), (None, None));
        disk.keep(Record::HardState(HardState { term: 1, voted_for: None }));
        assert_eq!(disk.rot(Part::HardState), Some(Part::HardState));
        disk.keep(Record::HardState(HardState { term: 2, voted_for: None }));
        assert_eq!((disk.damage(), disk.durable().hard_state.term), (Some(Part::HardState), 2));
    }

    #[test]
    fn an_entry_that_is_not_there_stands_for_the_nearest() {
        for (index, nearest) in [(1, 4), (4, 4), (6, 6), (99, 6)] {
            let mut disk = Disk::default();
            (4..7).for_each(|index| disk.keep(Record::Entry(&Entry { index, term: 1, payload: Payload::Noop })));
            assert_eq!(disk.rot(Part::Entry(index)), Some(Part::Entry(nearest)));
        }
    }
}
