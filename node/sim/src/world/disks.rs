//! The two wrong ways of looking after a disk, for the zoo of planted bugs.
//!
//! Invariant: without a planted bug nothing here does anything. The right ways stand in `settle`: a node whose sync
//! fails stops. That a node refuses to start on a damaged log is shown where there are bytes to damage, in `raftian-wal`.

use std::convert::Infallible;

use raftian_raft::{Index, Persist, Recovered, Snapshot, Storage, Write};

use super::World;
use crate::invariant::Check;
use crate::luck::luck;
use crate::settings::DiskMutant;

/// One start in so many finds damage, when the bug that mishandles it is planted.
const DAMAGED_STARTS: u64 = 4;

/// A sync that says yes, when the pages are gone already.
struct Forgetful;

impl Storage for Forgetful {
    type Error = Infallible;

    fn append(&mut self, _: &Write) -> Result<(), Infallible> {
        Ok(())
    }

    fn sync(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}

impl World {
    /// [`DiskMutant::CutsCorruptLog`]: a log that is damaged somewhere ends there.
    pub(super) fn mishandle_damage(&mut self, at: usize) {
        if !self.settings.disk_mutant(DiskMutant::CutsCorruptLog) {
            return;
        }
        let node = &mut self.nodes[at];
        let draw = luck([self.seed, 9, at as u64, u64::from(node.epoch)]);
        let Recovered { snapshot, entries, .. } = node.disk.durable();
        let covered = snapshot.as_ref().map_or(0, Snapshot::last_index);
        let damageable: Vec<Index> = entries.iter().map(|entry| entry.index).filter(|index| *index > covered).collect();
        if !draw.is_multiple_of(DAMAGED_STARTS) || damageable.is_empty() {
            return;
        }
        let damaged = damageable[(draw >> 8) as usize % damageable.len()];
        node.disk.cut(damaged);
        self.oracle.destroyed(at, damaged);
    }

    /// [`DiskMutant::RetriesFailedSync`]: what a failed sync lost is taken for durable after a second one.
    pub(super) fn believe_second_sync(&mut self, at: usize) -> Check {
        let node = &mut self.nodes[at];
        node.health.fails = false;
        let batch = std::mem::take(&mut node.syncing);
        let Ok(persisted) = Persist::sync_all(batch, &mut Forgetful);
        self.has_synced(at, persisted)
    }
}
