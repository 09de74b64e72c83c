//! A disk in memory that forgets what was not synced.
//!
//! Invariant: what [`Disk::durable`] shows is what a crash at this moment would leave.

use std::convert::Infallible;

use raftian_raft::{HardState, Recovered, Storage, Write};

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
    /// a record, and each entry is one.
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
        for entry in write.entries.iter().take_while(|_| pay()) {
            let before = entry.index as usize - 1;
            assert!(before <= self.durable.entries.len(), "a write leaves a gap before index {}", entry.index);
            self.durable.entries.truncate(before);
            self.durable.entries.push(entry.clone());
        }
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
