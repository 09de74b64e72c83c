//! The effects of a driver, one by one, in the order that [`Ready`] requires.
//!
//! Messages that promise nothing come first, and then the write, on which other messages wait. If the turn has a
//! snapshot, it is restored before its write. Then entries are applied, and reads are served. While a snapshot is being
//! restored, writes and entries of later turns wait, so that nothing is promised that depends on an invalid state, and
//! no entry is applied to a state that it does not follow.
//!
//! Invariant: each call of [`Driver::next_effect`] does one thing. A host that stops between two calls has done exactly
//! the first, like a process that is killed there.

use std::vec;

use raftian_raft::{
    Body, Entry, Message, NodeId, NotLeader, Persist, ReadOutcome as Decision, Ready, RoleKind, Server,
};

use super::{Driver, RestoreJob, Route};
use crate::compactor::SnapshotRefused;
use crate::effect::{CommandOutcome, Effect, Host, Question, ReadOutcome};
use crate::mutant::Mutant;
use crate::reads::Read;

/// A part of a turn that comes after its messages.
#[derive(Debug)]
pub(super) enum Step {
    /// A snapshot is restored.
    Restore(RestoreJob),
    /// A write is given to storage.
    Write(Persist),
    /// Entries are applied, one by one.
    Apply(vec::IntoIter<Entry>),
    /// The last step of each turn: reads are served, and a snapshot is begun if one is due.
    Finish(Vec<Decision>),
}

impl<H: Host> Driver<H> {
    /// The next effect; `None` when there is none before the next input or turn.
    pub fn next_effect(&mut self) -> Option<Effect<H>> {
        loop {
            if let Some(effect) = self.due.pop_front() {
                return Some(effect);
            }
            if self.restoring {
                return None;
            }
            if let Some(Step::Apply(entries)) = self.steps.front_mut()
                && let Some(entry) = entries.next()
            {
                return Some(self.apply(entry));
            }
            match self.steps.pop_front()? {
                Step::Restore(job) => {
                    self.restoring = true;
                    return Some(Effect::Restore(job));
                }
                Step::Write(persist) => return Some(self.write(persist)),
                // All its entries are applied.
                Step::Apply(_) => {}
                Step::Finish(decisions) => self.finish_turn(decisions),
            }
        }
    }

    /// All available inputs were given: takes the effects of the core. `observe` sees them before any is carried out.
    pub fn turn(&mut self, observe: impl FnOnce(&Server, &Ready)) {
        let ready = self.server.ready();
        observe(&self.server, &ready);
        let Ready { messages, mut persist, restore, committed, reads: decisions, events } = ready;
        for message in messages {
            self.send(message);
        }
        let must_wait = restore.is_some() || !self.steps.is_empty();
        if !must_wait || self.planted.has(Mutant::WritesBeforeRestore) {
            let write = persist.take().map(|persist| self.write(persist));
            self.due.extend(write);
        }
        self.due.extend(events.into_iter().map(Effect::Event));
        // The snapshot in the first turn is the one recovered from disk.
        let is_first = !std::mem::replace(&mut self.has_turned, true);
        let restore = restore.map(|snapshot| RestoreJob::new(&self.options, &self.server, is_first, snapshot));
        self.steps.extend(restore.map(Step::Restore));
        self.steps.extend(persist.map(Step::Write));
        if !committed.is_empty() {
            self.steps.push_back(Step::Apply(committed.into_iter()));
        }
        self.steps.push_back(Step::Finish(decisions));
    }

    /// Sends a message. A reply without a pending call is dropped.
    pub(super) fn send(&mut self, message: Message) {
        match message.body {
            Body::Request(_) => self.due.push_back(Effect::Call(message)),
            Body::Reply(_) => {
                if let Some(call) = self.calls.answered(&message) {
                    self.due.push_back(Effect::Reply(call, Ok(message)));
                }
            }
        }
    }

    fn write(&mut self, persist: Persist) -> Effect<H> {
        let why =
            || SnapshotRefused::Failed("a leader's snapshot took its place; the log is as short all the same".into());
        let replaced = self.compactor.handing(&persist).map(|asker| Effect::Snapshot(asker, Err(why())));
        self.due.extend(replaced);
        Effect::Write(persist)
    }

    fn apply(&mut self, entry: Entry) -> Effect<H> {
        let applied = self.machine.apply(&entry);
        self.counters.applied += 1;
        self.compactor.applied(&entry);
        if let Some((client, outcome)) = self.proposals.applied(&entry, &applied) {
            self.due.push_back(Effect::Command(client, outcome));
        }
        Effect::Applied { entry, applied }
    }

    /// All entries of a turn are applied: reads are served, and a snapshot is begun if one is due.
    fn finish_turn(&mut self, decisions: Vec<Decision>) {
        for decision in decisions {
            if let Some((read, NotLeader { leader })) = self.reads.decide(decision) {
                self.pass_read_on(read, leader);
            }
        }
        while let Some((client, outcome)) = self.reads.serve(&self.machine) {
            self.answer_read(client, outcome);
        }
        if self.planted.has(Mutant::DeposedRefusesPending) && self.server.role() != RoleKind::Leader {
            let refused = self.proposals.take_all().map(|client| Effect::Command(client, CommandOutcome::NoLeader));
            self.due.extend(refused);
        }
        if self.steps.is_empty() && self.compactor.is_due() {
            self.begin_snapshot();
        }
    }

    /// This server does not lead, so another one must serve the read.
    pub(super) fn pass_read_on(&mut self, Read { op, route, client }: Read<H::Read>, leader: Option<NodeId>) {
        self.due.push_back(match (route, leader) {
            (Route::Direct, Some(leader)) => Effect::Forward { leader, question: Question::Read(op, client) },
            (Route::Direct, None) => Effect::Read(client, ReadOutcome::NoLeader),
            (Route::Forwarded, leader) => Effect::Read(client, ReadOutcome::NotLeader { leader }),
        });
    }

    pub(super) fn answer_read(&mut self, client: H::Read, outcome: ReadOutcome) {
        self.counters.reads += u64::from(matches!(outcome, ReadOutcome::Served { .. }));
        self.due.push_back(Effect::Read(client, outcome));
    }
}
