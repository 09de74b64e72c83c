//! The disks: syncs, failures, damage, and what the oracle sees of them.
//!
//! Invariants: a node does not start on a log that refuses to open, and takes nothing from it. So that the others can come
//! to life without it, every configuration there ever was keeps a quorum of disks that are whole.

use raftian_raft::{Change, Persisted, Recovered as Disk, Server, Write};
use raftian_wal::{Part, Recovered};

use super::World;
use crate::coverage::Rare;
use crate::invariant::{Check, Finding, Invariant, id_at};
use crate::journal::What;
use crate::members::{Members, bit};
use crate::node::Input;
use crate::queue::Event;
use crate::random::random;

impl World {
    /// The disk takes on all that waits, unless it is busy.
    pub(super) fn begin_sync(&mut self, at: usize) {
        let node = &mut self.nodes[at];
        let Some((least_us, is_writing)) = node.storage.begin_sync() else { return };
        let spread_us = self.plan.sync_us.as_ref().map_or(1, |range| (range.end - range.start).max(1));
        let spread = random([self.seed, 2, at as u64, node.storage.syncs]) % spread_us;
        if is_writing && self.plan.sync_us.as_ref().is_some_and(|range| least_us > range.end) {
            self.coverage.note_rare(Rare::SlowSync);
        }
        let takes_us = if is_writing { least_us + spread } else { 0 };
        self.queue.plan(self.now_us + takes_us, Event::Synced { node: at, epoch: node.epoch });
    }

    /// The disk is done with what it was given.
    pub(super) fn synced(&mut self, at: usize) -> Check {
        if !self.nodes[at].is_up() {
            return Ok(());
        }
        self.trace.note([22, at as u64, self.now_us]);
        let node = &mut self.nodes[at];
        let health = node.storage.health;
        let may_fail = node.storage.is_writing() && (health.fails || health.is_full);
        // What a disk has that fails is unclear until it is read again.
        let doubtful: Vec<Write> = node.storage.batch().filter(|_| may_fail).cloned().collect();
        if !may_fail {
            node.storage.batch().try_for_each(|write| self.oracle.writes(at, write))?;
        }
        let persisted = match node.storage.sync() {
            Ok(persisted) => persisted,
            // Nothing is acknowledged and nothing tried again: the process stops.
            Err(_) if may_fail => {
                self.coverage.note_rare(if health.fails { Rare::SyncFailed } else { Rare::DiskFull });
                self.stop_at(at, doubtful);
                return Ok(());
            }
            Err(error) => {
                let text = format!("the log of {} fails on a disk that works: {error}", id_at(at));
                return Err(Finding { invariant: Invariant::RecoveryTruth, text });
            }
        };
        if !self.nodes[at].storage.has_failed() {
            // On a full disk there may be room before the end of the file; and not every write needs a sync.
            doubtful.iter().try_for_each(|write| self.oracle.writes(at, write))?;
        }
        self.has_synced(at, persisted)
    }

    /// A node learns that its writes are durable.
    pub(super) fn has_synced(&mut self, at: usize, persisted: Vec<Persisted>) -> Check {
        self.journal.note(self.now_us, self.steps, || What::Synced(id_at(at)));
        if self.crosses(at, false, Rare::CrashedAtSync)? {
            return Ok(());
        }
        let epoch = self.nodes[at].epoch;
        self.arrive(at, Input::Persisted(persisted))?;
        if self.nodes[at].epoch == epoch && self.nodes[at].is_up() {
            self.begin_sync(at);
        }
        Ok(())
    }

    /// Opens the log of a node; `None` if it refuses, because of damage. What it gives back must be what was synced, and
    /// beyond that at most a beginning of what was being written.
    pub(super) fn open_log(&mut self, at: usize) -> Result<Option<Recovered>, Finding> {
        let damage = self.nodes[at].storage.damage();
        match (self.nodes[at].storage.open(), damage) {
            (Ok((recovered, unsettled)), _) => {
                if recovered.torn_tail.is_some() {
                    self.coverage.note_rare(Rare::TailTorn);
                }
                self.oracle.recovered(at, &recovered, &unsettled)?;
                Ok(Some(recovered))
            }
            (Err(_), Some(part)) => {
                self.trace.note([24, at as u64, self.now_us]);
                self.coverage.note_rare(Rare::StartRefused);
                self.journal.note(self.now_us, self.steps, || What::Refused(id_at(at), part));
                Ok(None)
            }
            (Err(error), None) => {
                let text = format!("{} cannot open a log that nothing was done to: {error}", id_at(at));
                Err(Finding { invariant: Invariant::RecoveryTruth, text })
            }
        }
    }

    /// A node that is down is given another disk, on which this has always been.
    pub(super) fn replace_disk(&mut self, at: usize, disk: Disk) -> Check {
        let Disk { hard_state, entries, .. } = disk;
        let write = Write { hard_state: Some(hard_state), entries, ..Write::default() };
        self.oracle.replaced(at);
        self.nodes[at].storage.replace(&write);
        self.oracle.writes(at, &write)
    }

    /// The disk of a node that is down, and that no configuration needs any more, is empty. Not done while one does: who
    /// votes under a name that others know must have the log of that name.
    pub(super) fn wipe(&mut self, at: usize) {
        if self.nodes[at].is_up() || !self.oracle.is_forgotten(id_at(at)) {
            return;
        }
        self.coverage.note_rare(Rare::Wiped);
        self.journal.note(self.now_us, self.steps, || What::Wiped(id_at(at)));
        self.oracle.wiped(at);
        self.nodes[at].storage.wipe();
        self.nodes[at].options.configuration = None;
    }

    /// A copy is made of what a disk has durably, unless it is damaged.
    pub(super) fn keep_disk(&mut self, at: usize) {
        let node = &mut self.nodes[at];
        if node.storage.keep() {
            node.kept_configuration = node.options.configuration.clone();
            self.oracle.disk_kept(at);
        }
    }

    /// A node that is down gets the copy of its disk that was kept, and with it its past: only where a wipe could be.
    pub(super) fn put_back_disk(&mut self, at: usize) {
        if self.nodes[at].is_up() || !self.oracle.is_forgotten(id_at(at)) || !self.nodes[at].storage.put_back() {
            return;
        }
        self.coverage.note_rare(Rare::DiskPutBack);
        self.journal.note(self.now_us, self.steps, || What::PutBack(id_at(at)));
        self.oracle.put_back(at);
        let node = &mut self.nodes[at];
        node.options.configuration = node.kept_configuration.clone();
    }

    // Damage.

    /// A bit flips on a disk, unless some configuration would lose its quorum for good: what is left then can do nothing,
    /// and shows nothing.
    pub(super) fn flip_bit(&mut self, at: usize, part: Part) {
        let damaged = self.damaged() | bit(id_at(at));
        if !self.oracle.can_spare(damaged) {
            return;
        }
        let name = random([self.seed, 16, at as u64, self.steps]);
        if let Some(part) = self.nodes[at].storage.flip(part, name) {
            self.coverage.note_rare(Rare::RecordDamaged);
            self.journal.note(self.now_us, self.steps, || What::Damaged(id_at(at), part));
        }
    }

    /// The nodes that could not start any more, as bits.
    fn damaged(&self) -> u64 {
        let damaged = self.nodes.iter().filter(|node| node.storage.is_damaged());
        damaged.fold(0, |bits, node| bits | bit(node.id()))
    }

    /// Whether this change would leave the members that a leader knows without a quorum of disks that are whole.
    pub(super) fn needs_damaged(&self, leader: usize, change: &Change) -> bool {
        let damaged = self.damaged();
        let members = self.nodes[leader].server().and_then(Server::configuration).map(Members::of);
        damaged != 0 && members.is_some_and(|members| !members.after(change).is_quorum(!damaged))
    }
}
