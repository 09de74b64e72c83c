//! The disks: syncs, failures, damage, and what the oracle sees of them.
//!
//! Invariants: a node does not start on a log that refuses to open, and takes nothing from it. So that the others can come
//! to life without it, every configuration there ever was keeps a quorum of disks that are whole.

use raftian_raft::{
    Change, Discard, Entry, Index, LastEntry, NodeId, Payload, Persisted, Recovered as Disk, Server, Snapshot, Write,
};
use raftian_script::{Action, Invariant, MAX_INCARNATIONS, Part};
use raftian_wal::Recovered;

use super::World;
use crate::coverage::Rare;
use crate::invariant::{Check, Finding, place};
use crate::journal::What;
use crate::members::{Ids, Members, bit};
use crate::node::{Input, Node};
use crate::queue::Event;
use crate::random::{Stream, random};
use crate::settings::first_machine;

impl World {
    /// The disk takes on all that waits, unless it is busy.
    pub(super) fn begin_sync(&mut self, at: usize) {
        let node = &mut self.nodes[at];
        let Some((least_us, is_writing)) = node.storage.begin_sync() else { return };
        let spread_us = self.plan.sync_us.as_ref().map_or(1, |range| (range.end - range.start).max(1));
        let spread = random([self.seed, Stream::Sync as u64, at as u64, node.storage.syncs]) % spread_us;
        if is_writing && self.plan.sync_us.as_ref().is_some_and(|range| least_us > range.end) {
            self.coverage.note_rare(Rare::SlowSync);
        }
        let takes_us = if is_writing { least_us + spread } else { 0 };
        node.synced_at_us = self.now_us + takes_us;
        self.queue.plan(node.synced_at_us, Event::Synced { node: at, epoch: node.epoch });
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
                let text = format!("the log of {} fails on a disk that works: {error}", self.nodes[at].id());
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
        self.journal.note(self.now_us, self.steps, || What::Synced(self.nodes[at].id()));
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
                self.journal.note(self.now_us, self.steps, || What::Refused(self.nodes[at].id(), part));
                Ok(None)
            }
            (Err(error), None) => {
                let text = format!("{} cannot open a log that nothing was done to: {error}", self.nodes[at].id());
                Err(Finding { invariant: Invariant::RecoveryTruth, text })
            }
        }
    }

    /// A node that is down is given another disk, on which this has always been, with a snapshot in place of the entries up
    /// to this index.
    pub(super) fn replace_disk(&mut self, at: usize, disk: Disk, up_to: Index) -> Check {
        let Disk { hard_state, mut entries, .. } = disk;
        let later = entries.split_off(up_to as usize);
        let mut write = Write { hard_state: Some(hard_state), entries: later, ..Write::default() };
        self.oracle.replaced(at);
        if let Some(snapshot) = self.snapshot_of(&entries) {
            self.oracle.was_committed(at, &entries)?;
            (write.snapshot, write.discard) = (Some(snapshot), Some(Discard::All));
        }
        self.nodes[at].storage.replace(&write);
        self.oracle.writes(at, &write)
    }

    /// The snapshot that stands for a log with these entries; `None` if there are none.
    fn snapshot_of(&self, entries: &[Entry]) -> Option<Snapshot> {
        let Entry { index, term, .. } = *entries.last()?;
        let changes = entries.iter().filter_map(|entry| match &entry.payload {
            Payload::Configuration(configuration) => Some(configuration.as_ref().clone()),
            _ => None,
        });
        let mut machine = first_machine(&self.plan);
        entries.iter().for_each(|entry| drop(machine.apply(entry)));
        Some(Snapshot {
            last: LastEntry { term, index },
            configuration: changes.last().unwrap_or_else(|| self.plan.configuration()),
            data: machine.snapshot().encode().into(),
        })
    }

    /// Why an action on a server or its disk cannot be done now, so that nothing would come of it.
    pub(crate) fn obstacle(&self, action: &Action) -> Option<String> {
        let storage = |node: &NodeId| &self.nodes[place(*node)].storage;
        match action {
            Action::RestartWith { node, .. } if self.nodes[place(*node)].is_up() => Some(format!("{node} is not down")),
            Action::Op { op, .. } if op.app() != self.plan.app => {
                Some(format!("this is an operation of `{}`, and the scenario is of `{}`", op.app(), self.plan.app))
            }
            Action::SyncFails(whom) if !self.nodes[self.whom(*whom)].is_up() => Some(format!("{whom} is down")),
            Action::FlipBit { node, .. } if !self.can_spare(place(*node)) => {
                Some(format!("without {node} a quorum would be lost for good"))
            }
            Action::FlipBit { node, part } => {
                storage(node).why_not_flip(*part).map(|why| format!("the disk of {node} {why}"))
            }
            Action::KeepDisk(node) => storage(node).is_damaged().then(|| format!("the disk of {node} is damaged")),
            Action::Wipe(node) | Action::PutBackDisk(node) if self.nodes[place(*node)].is_up() => {
                Some(format!("{node} is not down"))
            }
            Action::Wipe(node) if storage(node).is_new() => Some(format!("the disk of {node} is empty already")),
            Action::Wipe(node) if self.next_incarnation(place(*node)).is_none() => {
                Some(format!("there are {MAX_INCARNATIONS} incarnations of {node} at most"))
            }
            Action::Wipe(node) if !self.may_lose(place(*node)) => {
                Some(format!("without {node} a quorum would be lost for good"))
            }
            Action::PutBackDisk(node) if !storage(node).has_copy() => {
                Some(format!("no copy of the disk of {node} was kept"))
            }
            Action::PutBackDisk(node) if !self.may_go_back(place(*node)) => {
                Some(format!("a configuration may still need what is on the disk of {node}"))
            }
            _ => None,
        }
    }

    /// Whether every configuration has a quorum of disks that are whole without this one.
    fn can_spare(&self, at: usize) -> bool {
        self.oracle.can_spare(self.damaged() | bit(self.nodes[at].id()))
    }

    /// The disk of a node that is down is emptied, and another incarnation of its name begins, unless some configuration
    /// would lose its quorum for good.
    pub(super) fn wipe(&mut self, at: usize) {
        let can_be = !self.nodes[at].is_up() && !self.nodes[at].storage.is_new() && self.may_lose(at);
        let Some(next) = self.next_incarnation(at).filter(|_| can_be) else { return };
        self.coverage.note_rare(Rare::Wiped);
        self.journal.note(self.now_us, self.steps, || What::Wiped(next));
        self.oracle.begins_anew(at, next);
        let node = &mut self.nodes[at];
        node.storage.begin_anew(next);
        (node.options.id, node.options.configuration) = (next, None);
    }

    fn next_incarnation(&self, at: usize) -> Option<NodeId> {
        let next = self.nodes[at].id().next_incarnation()?;
        (usize::from(next.incarnation()) <= MAX_INCARNATIONS).then_some(next)
    }

    /// Whether no configuration needs the server here any more, or all that there ever were can spare it.
    fn may_lose(&self, at: usize) -> bool {
        self.oracle.is_forgotten(at) || self.can_spare(at)
    }

    /// Whether the server here may lose a part of its past: no configuration needs it any more, or nobody rests on what it
    /// would lose.
    fn may_go_back(&self, at: usize) -> bool {
        self.oracle.is_forgotten(at) && self.oracle.are_few_with(at) || self.oracle.is_superfluous(at)
    }

    /// A copy is made of what a disk has durably, unless it is damaged.
    pub(super) fn keep_disk(&mut self, at: usize) {
        let node = &mut self.nodes[at];
        if node.storage.keep() {
            self.oracle.disk_kept(at);
        }
    }

    /// A node that is down gets the copy of its disk that was kept, and with it its past.
    pub(super) fn put_back_disk(&mut self, at: usize) {
        if self.nodes[at].is_up() || !self.may_go_back(at) || !self.nodes[at].storage.put_back() {
            return;
        }
        self.coverage.note_rare(Rare::DiskPutBack);
        self.journal.note(self.now_us, self.steps, || What::PutBack(self.nodes[at].id()));
        self.oracle.put_back(at);
    }

    // Damage.

    /// A bit flips on a disk, unless some configuration would lose its quorum for good: what is left then can do nothing,
    /// and shows nothing.
    pub(super) fn flip_bit(&mut self, at: usize, part: Part) {
        if !self.can_spare(at) {
            return;
        }
        let name = random([self.seed, Stream::Flip as u64, at as u64, self.steps]);
        if let Some(part) = self.nodes[at].storage.flip(part, name) {
            self.coverage.note_rare(Rare::RecordDamaged);
            self.journal.note(self.now_us, self.steps, || What::Damaged(self.nodes[at].id(), part));
        }
    }

    /// The servers that could not start any more.
    fn damaged(&self) -> Ids {
        self.nodes.iter().filter(|node| node.storage.is_damaged()).map(Node::id).collect()
    }

    /// Whether this change would leave the members that a leader knows without a quorum of disks that are whole.
    pub(super) fn needs_damaged(&self, leader: usize, change: &Change) -> bool {
        let lost = self.damaged() | self.oracle.gone();
        let members = self.nodes[leader].server().and_then(Server::configuration).map(Members::of);
        !lost.is_empty() && members.is_some_and(|members| !members.after(change).is_quorum(!lost))
    }
}
