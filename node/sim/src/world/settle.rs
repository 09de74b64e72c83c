//! What the effects of a server become: writes on a disk, messages on links, entries in the application.
//!
//! Invariant: the oracle sees a server's step before anybody hears of it, and a disk's content before anything that
//! rests on it is said.

use std::convert::Infallible;

use raftian_apps::{Effect, Machine, Refusal, Snapshot as State};
use raftian_raft::{
    Configuration, Discard, Entry, Event as Told, Message, Persist, Persisted, ReadOutcome, Ready, RoleKind, Server,
    Snapshot, Storage, Write,
};

use super::World;
use crate::coverage::{Kind, Rare};
use crate::disk::{Disk, Record, records};
use crate::invariant::{Check, Finding, Invariant, id_at, place};
use crate::journal::What;
use crate::luck::luck;
use crate::network::Fate;
use crate::oracle::Oracle;
use crate::queue::{Answer, Event};
use crate::settings::{DiskMutant, ServiceMutant};

/// A disk at the moment of a sync, with the oracle looking on.
struct Syncing<'a> {
    at: usize,
    disk: &'a mut Disk,
    discards_first: bool,
    oracle: &'a mut Oracle,
    seen: Check,
}

impl Storage for Syncing<'_> {
    type Error = Infallible;

    fn append(&mut self, write: &Write) -> Result<(), Infallible> {
        for record in records(write, self.discards_first) {
            if self.seen.is_ok() {
                self.seen = self.oracle.kept(self.at, record);
                self.disk.keep(record);
            }
        }
        Ok(())
    }

    fn sync(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}

impl World {
    /// Starts a server with what its disk holds, if that is whole.
    pub(super) fn start(&mut self, at: usize) -> Check {
        if self.refuses_to_start(at) {
            return Ok(());
        }
        let machine = self.first_machine();
        let node = &mut self.nodes[at];
        let recovered = node.disk.durable().clone();
        let server = Server::new(node.options.clone(), recovered, node.clock.time(self.now_us));
        node.machine = machine;
        node.epoch += 1;
        self.oracle.started(at, &server)?;
        node.server = Some(server);
        self.trace.note([20, at as u64, self.now_us]);
        self.budget.granted += super::Budget::PER_CAUSE * self.plan.nodes() as u64;
        self.journal.note(self.now_us, self.steps, || What::Started(id_at(at)));
        self.settle(at, None)
    }

    /// A server stops. Of what waited for its disk, the first `keep` records have reached it all the same.
    pub(super) fn crash_at(&mut self, at: usize, mut keep: usize) -> Check {
        let node = &mut self.nodes[at];
        let Some(server) = node.server.take() else { return Ok(()) };
        self.trace.note([21, at as u64, keep as u64, self.now_us]);
        self.journal.note(self.now_us, self.steps, || What::Crashed(id_at(at)));
        let is_joint = server.configuration().is_some_and(Configuration::is_joint);
        if is_joint && server.role() == RoleKind::Leader {
            self.coverage.note_rare(Rare::JointLeaderCrashed);
        }
        let syncing = std::mem::take(&mut node.syncing);
        let waiting = std::mem::take(&mut node.waiting);
        (node.armed, node.paused, node.health.fails) = (None, None, false);
        node.waiters.clear();
        node.reads.clear();
        node.wind();
        self.oracle.crashed(at);
        let writes: Vec<&Write> = syncing.iter().chain(&waiting).map(Persist::write).collect();
        let discards_first = self.settings.disk_mutant(DiskMutant::DiscardsFirst);
        let mut before_discard = false;
        for write in writes {
            for record in records(write, discards_first) {
                if keep == 0 {
                    let is_torn = before_discard && matches!(record, Record::Discard(Discard::All));
                    self.coverage.note_rare(if is_torn { Rare::InstallTorn } else { Rare::WritesLost });
                    return Ok(());
                }
                keep -= 1;
                before_discard = matches!(record, Record::Snapshot(_));
                self.oracle.kept(at, record)?;
                self.nodes[at].disk.keep(record);
                self.coverage.note_rare(Rare::WriteTorn);
            }
        }
        Ok(())
    }

    /// Carries out the effects of a server until it has no more.
    pub(super) fn settle(&mut self, at: usize, mut kind: Option<Kind>) -> Check {
        while let Some(server) = self.nodes[at].server.as_mut() {
            let ready = server.ready();
            let write = ready.persist.as_ref().map(Persist::write);
            let moved = self.oracle.stepped(at, server, write)?;
            if let Some(kind) = kind.take() {
                self.coverage.note(kind, &moved);
            }
            if moved.rolled_back {
                self.coverage.note_rare(Rare::RolledBack);
            }
            let now = moved.now;
            self.trace.note([now.term << 8 | now.role as u64, now.last_index, now.commit_index]);
            let goes_on = self.carry_out(at, ready)?;
            if !goes_on {
                return Ok(());
            }
            if !self.compact_if_due(at) {
                break;
            }
        }
        let node = &mut self.nodes[at];
        if let Some(server) = &node.server {
            self.oracle.settled(at, server)?;
        }
        node.wind();
        Ok(())
    }

    /// Carries out effects. Says whether the server is still up.
    fn carry_out(&mut self, at: usize, ready: Ready) -> Result<bool, Finding> {
        let Ready { messages, persist, restore, committed, reads, events } = ready;
        for event in events {
            self.note_event(at, event);
        }
        if let Some(persist) = persist {
            let is_install = persist.write().discard == Some(Discard::All);
            self.nodes[at].waiting.push(persist);
            if self.crosses(at, is_install, Rare::CrashedAtWrite)? {
                return Ok(false);
            }
            self.begin_sync(at);
        }
        if !self.send_all(at, messages)? {
            return Ok(false);
        }
        if let Some(snapshot) = restore {
            self.restore(at, &snapshot)?;
        }
        if !committed.is_empty() {
            self.apply(at, &committed)?;
        }
        for outcome in reads {
            self.journal.note(self.now_us, self.steps, || What::Read(id_at(at), outcome));
            let ReadOutcome { ticket, index } = outcome;
            self.oracle.read_answered(at, ticket.number(), index.ok())?;
            self.read_decided(at, ticket.number(), index);
        }
        self.serve_reads(at);
        Ok(true)
    }

    /// A boundary is crossed. Says whether the server crashed there.
    fn crosses(&mut self, at: usize, is_install: bool, rare: Rare) -> Result<bool, Finding> {
        let Some(keep) = self.nodes[at].cross(is_install) else { return Ok(false) };
        self.coverage.note_rare(rare);
        self.crash_at(at, keep).map(|()| true)
    }

    /// Messages leave. Says whether the server is still up.
    fn send_all(&mut self, at: usize, messages: Vec<Message>) -> Result<bool, Finding> {
        for message in messages {
            if self.crosses(at, false, Rare::CrashedAtSend)? {
                return Ok(false);
            }
            self.send(message)?;
        }
        Ok(true)
    }

    fn send(&mut self, message: Message) -> Check {
        self.oracle.sent(&message)?;
        self.budget.spend()?;
        let (from, to) = (place(message.from), place(message.to));
        if to >= self.nodes.len() {
            return Ok(());
        }
        let fate = self.network.judge(from, to, self.now_us);
        let (first_us, second_us) = match fate {
            Fate::Lost => {
                self.journal.note(self.now_us, self.steps, || What::Lost(Box::new(message)));
                return Ok(());
            }
            Fate::Arrives(at_us) => (at_us, None),
            Fate::Twice(first_us, second_us) => (first_us, Some(second_us)),
        };
        if let Some(at_us) = second_us {
            // A copy of a request has a reply of its own.
            self.budget.granted += super::Budget::PER_CAUSE;
            self.send_copy(at_us, message.clone());
        }
        self.send_copy(first_us, message);
        Ok(())
    }

    fn send_copy(&mut self, at_us: u64, message: Message) {
        let told = self.journal.is_on().then(|| message.clone());
        let id = self.queue.send(at_us, message);
        self.journal.note(self.now_us, self.steps, || What::Sent(id, Box::new(told.expect("it is being recorded"))));
    }

    // The disk.

    /// The disk takes on all that waits, unless it is busy.
    pub(super) fn begin_sync(&mut self, at: usize) {
        let node = &mut self.nodes[at];
        if !node.syncing.is_empty() || node.waiting.is_empty() {
            return;
        }
        let Some(least_us) = node.health.sync_us else { return };
        std::mem::swap(&mut node.syncing, &mut node.waiting);
        node.syncs += 1;
        let spread_us = self.plan.sync_us.as_ref().map_or(1, |range| (range.end - range.start).max(1));
        // What promises nothing new needs no disk.
        let is_empty = node.syncing.iter().all(|persist| persist.write().is_empty());
        let takes_us = if is_empty { 0 } else { least_us + luck([self.seed, 2, at as u64, node.syncs]) % spread_us };
        self.queue.plan(self.now_us + takes_us, Event::Synced { node: at, epoch: node.epoch });
    }

    /// The disk is done with what it was given.
    pub(super) fn synced(&mut self, at: usize) -> Check {
        let node = &mut self.nodes[at];
        if node.server.is_none() {
            return Ok(());
        }
        self.trace.note([22, at as u64, self.now_us]);
        let writes = node.syncing.iter().any(|persist| !persist.write().is_empty());
        if writes && node.health.fails && self.settings.disk_mutant(DiskMutant::RetriesFailedSync) {
            return self.believe_second_sync(at);
        }
        if writes && (node.health.fails || node.health.is_full) {
            // Nothing is acknowledged and nothing tried again: the process stops. What the disk has is anybody's guess.
            let rare = if node.health.fails { Rare::SyncFailed } else { Rare::DiskFull };
            let keep = if node.health.fails { luck([self.seed, 3, at as u64, node.syncs]) % 4 } else { 0 };
            self.coverage.note_rare(rare);
            return self.crash_at(at, keep as usize);
        }
        let batch = std::mem::take(&mut node.syncing);
        let discards_first = self.settings.disk_mutant(DiskMutant::DiscardsFirst);
        let mut storage = Syncing { at, disk: &mut node.disk, discards_first, oracle: &mut self.oracle, seen: Ok(()) };
        let Ok(persisted) = Persist::sync_all(batch, &mut storage);
        storage.seen?;
        self.has_synced(at, persisted)
    }

    /// A server learns that its writes are durable.
    pub(super) fn has_synced(&mut self, at: usize, persisted: Vec<Persisted>) -> Check {
        self.journal.note(self.now_us, self.steps, || What::Synced(id_at(at)));
        if self.crosses(at, false, Rare::CrashedAtSync)? {
            return Ok(());
        }
        for one in persisted {
            let node = &mut self.nodes[at];
            let Some(server) = &mut node.server else { return Ok(()) };
            let messages = server.persisted(node.clock.time(self.now_us), one);
            if !self.send_all(at, messages)? {
                return Ok(());
            }
        }
        self.settle(at, None)?;
        self.begin_sync(at);
        Ok(())
    }

    // The application.

    pub(super) fn first_machine(&self) -> Machine {
        let machine = Machine::new(self.plan.app, raftian_apps::DEFAULT_PLAYERS);
        self.settings.machine(machine.expect("the board holds the default players"))
    }

    fn restore(&mut self, at: usize, snapshot: &Snapshot) -> Check {
        self.oracle.restored(at, snapshot)?;
        let state = State::decode(&snapshot.data).and_then(|state| Machine::restore(self.plan.app, state));
        let machine = state.map_err(|error| Finding {
            invariant: Invariant::SnapshotTruth,
            text: format!("{} cannot restore its snapshot: {error}", id_at(at)),
        })?;
        self.nodes[at].machine = self.settings.machine(machine);
        // What became of these cannot be known here.
        self.nodes[at].waiters.retain(|waiter| waiter.index > snapshot.last.index);
        Ok(())
    }

    fn apply(&mut self, at: usize, entries: &[Entry]) -> Check {
        let by_index = self.settings.service_mutant(ServiceMutant::AnswersByIndex);
        for entry in entries {
            self.oracle.applies(at, entry)?;
            let machine = &mut self.nodes[at].machine;
            let applied = machine.apply(entry);
            let digest = machine.digest();
            self.oracle.applied(at, &applied, digest)?;
            match &applied.effect {
                Effect::Duplicate { .. } => self.coverage.note_rare(Rare::Duplicate),
                Effect::Refused(response) => match response.refusal() {
                    Some(Refusal::NoSession) => self.coverage.note_rare(Rare::NoSession),
                    _ => self.coverage.note_rare(Rare::StaleSerial),
                },
                Effect::Noop | Effect::Executed(_) => {}
            }
            while let Some(place) = self.nodes[at].waiters.iter().position(|waiter| waiter.index == entry.index) {
                let waiter = self.nodes[at].waiters.swap_remove(place);
                let answer = match applied.response().filter(|_| waiter.term == entry.term || by_index) {
                    Some(response) => Answer::Done { index: applied.effect_index(), response: response.clone() },
                    None => {
                        self.coverage.note_rare(Rare::ProposalLost);
                        Answer::Lost
                    }
                };
                self.answer(at, waiter.client, waiter.op, answer);
            }
        }
        if let Some(last) = entries.last() {
            self.journal.note(self.now_us, self.steps, || What::Applied(id_at(at), last.index));
        }
        Ok(())
    }

    /// Takes a snapshot if so much was applied since the last one. Says whether it did.
    fn compact_if_due(&mut self, at: usize) -> bool {
        let Some(every) = self.plan.snapshot_every else { return false };
        let node = &self.nodes[at];
        let Some(server) = &node.server else { return false };
        let covered = server.snapshot().map_or(0, Snapshot::last_index);
        node.machine.last_applied() >= covered + every && self.compact_at(at, self.plan.keep)
    }

    /// Gives a server a snapshot of its application. Says whether it took it.
    pub(super) fn compact_at(&mut self, at: usize, keep: u64) -> bool {
        let node = &mut self.nodes[at];
        let Some(server) = &mut node.server else { return false };
        let (index, data) = (node.machine.last_applied(), node.machine.snapshot().encode());
        server.compact(index, data.into(), keep).is_ok()
    }

    fn note_event(&mut self, at: usize, event: Told) {
        match &event {
            Told::QuorumLost { .. } => self.coverage.note_rare(Rare::QuorumLost),
            Told::TransferStarted { .. } => self.coverage.note_rare(Rare::TransferBegun),
            Told::TransferAborted { .. } => self.coverage.note_rare(Rare::TransferAborted),
            Told::SnapshotTaken { .. } => self.coverage.note_rare(Rare::SnapshotTaken),
            Told::SnapshotInstalled { .. } => self.coverage.note_rare(Rare::SnapshotInstalled),
            _ => {}
        }
        self.journal.note(self.now_us, self.steps, || What::Event(id_at(at), event));
    }
}
