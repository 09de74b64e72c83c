//! Damage on disks, and the wrong ways of looking after them, for the zoo of planted bugs.
//!
//! Invariants: a node does not start on a damaged disk, and takes nothing from it. So that the others can come to life
//! without it, every configuration there ever was keeps a quorum of disks that are whole. That a node whose sync fails
//! stops stands in `settle`.

use std::convert::Infallible;

use raftian_raft::{Change, Persist, Server, Storage, Write};

use super::World;
use crate::coverage::Rare;
use crate::disk::Part;
use crate::invariant::{Check, id_at};
use crate::journal::What;
use crate::members::{Members, bit};
use crate::settings::DiskMutant;

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
    /// Bits flip on a disk, unless some configuration would lose its quorum for good: what is left then can do nothing,
    /// and shows nothing.
    pub(super) fn rot(&mut self, at: usize, part: Part) {
        let damaged = self.damaged() | bit(id_at(at));
        if !self.oracle.can_spare(damaged) {
            return;
        }
        if let Some(part) = self.nodes[at].disk.rot(part) {
            self.coverage.note_rare(Rare::RecordDamaged);
            self.journal.note(self.now_us, self.steps, || What::Damaged(id_at(at), part));
        }
    }

    /// The nodes that could not start any more, as bits.
    fn damaged(&self) -> u64 {
        let damaged = self.nodes.iter().filter(|node| node.disk.damage().is_some());
        damaged.fold(0, |bits, node| bits | bit(node.id()))
    }

    /// Whether this change would leave the members that a leader knows without a quorum of disks that are whole.
    pub(super) fn needs_damaged(&self, leader: usize, change: &Change) -> bool {
        let damaged = self.damaged();
        let members = self.nodes[leader].server.as_ref().and_then(Server::configuration).map(Members::of);
        damaged != 0 && members.is_some_and(|members| !members.after(change).is_quorum(!damaged))
    }

    /// A node finds its disk damaged, and does not start. Says whether it is so.
    pub(super) fn refuses_to_start(&mut self, at: usize) -> bool {
        self.mishandle_damage(at);
        let Some(part) = self.nodes[at].disk.damage() else { return false };
        self.trace.note([22, at as u64, self.now_us]);
        self.coverage.note_rare(Rare::StartRefused);
        self.journal.note(self.now_us, self.steps, || What::Refused(id_at(at), part));
        true
    }

    /// [`DiskMutant::CutsCorruptLog`] and [`DiskMutant::ForgetsCorruptHardState`].
    fn mishandle_damage(&mut self, at: usize) {
        let disk = &mut self.nodes[at].disk;
        match disk.damage() {
            Some(Part::Entry(index)) if self.settings.disk_mutant(DiskMutant::CutsCorruptLog) => {
                disk.cut(index);
                self.oracle.destroyed(at, index);
            }
            Some(Part::HardState) if self.settings.disk_mutant(DiskMutant::ForgetsCorruptHardState) => {
                disk.forget_hard_state();
            }
            _ => {}
        }
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
