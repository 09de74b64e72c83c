//! A disk in memory that forgets what was not synced.
//!
//! Invariant: what [`Disk::durable`] shows is what a crash at this moment would leave.

use std::convert::Infallible;

use raftian_raft::{Discard, HardState, Index, Recovered, Storage, Write};

#[derive(Debug, Default)]
pub(crate) struct Disk {
    durable: Recovered,
    unsynced: Vec<Write>,
    /// The hard states that became durable since they were last taken. A sync may bring several.
    hard_states: Vec<HardState>,
}

impl Disk {
    pub(crate) fn with(durable: Recovered) -> Disk {
        Disk { hard_states: vec![durable.hard_state], durable, unsynced: Vec::new() }
    }

    pub(crate) fn durable(&self) -> &Recovered {
        &self.durable
    }

    pub(crate) fn take_hard_states(&mut self) -> Vec<HardState> {
        std::mem::take(&mut self.hard_states)
    }

    /// Makes at most `budget` records of a write durable, in order, and takes them off the budget. The hard state is
    /// a record, and so are the snapshot, the news of what to discard, and each entry.
    pub(crate) fn keep(&mut self, write: &Write, budget: &mut usize) {
        let mut pay = || {
            let paid = *budget > 0;
            *budget -= usize::from(paid);
            paid
        };
        if let Some(hard_state) = write.hard_state.filter(|_| pay()) {
            self.durable.hard_state = hard_state;
            self.hard_states.push(hard_state);
        }
        if let Some(snapshot) = write.snapshot.as_ref().filter(|_| pay()) {
            self.durable.snapshot = Some(snapshot.clone());
        }
        match write.discard.filter(|_| pay()) {
            Some(Discard::UpTo(index)) => self.durable.entries.retain(|entry| entry.index > index),
            Some(Discard::All) => self.durable.entries.clear(),
            None => {}
        }
        for entry in write.entries.iter().take_while(|_| pay()) {
            self.durable.entries.retain(|stored| stored.index < entry.index);
            assert!(entry.index <= self.end() + 1, "a write leaves a gap before index {}", entry.index);
            self.durable.entries.push(entry.clone());
        }
    }

    /// The last index that is stored, as an entry or in the snapshot of an empty log.
    fn end(&self) -> Index {
        let covered = self.durable.snapshot.as_ref().map_or(0, |snapshot| snapshot.last.index);
        self.durable.entries.last().map_or(covered, |entry| entry.index)
    }
}

impl Storage for Disk {
    type Error = Infallible;

    fn append(&mut self, write: &Write) -> Result<(), Infallible> {
        self.unsynced.push(write.clone());
        Ok(())
    }

    fn sync(&mut self) -> Result<(), Infallible> {
        for write in std::mem::take(&mut self.unsynced) {
            self.keep(&write, &mut usize::MAX.clone());
        }
        Ok(())
    }
}
