//! The effects of a driver, one by one, in the order that [`Ready`] asks for.
//!
//! Messages that promise nothing come first, and then the write, for which others wait. Then a snapshot is restored, if
//! there is one; entries are applied; reads are served. While a snapshot is being restored, writes and entries of later
//! turns wait, so that nothing is promised that rests on a state which is none, and no entry is applied to a state that it
//! does not follow.
//!
//! Invariant: each call of [`Driver::next_effect`] does one thing. A host that stops between two of them has done exactly
//! the first, as a process that is killed there.

use std::vec;

use raftian_raft::{Body, Entry, Message, NodeId, NotLeader, Persist, ReadOutcome as Decision, Ready, Server};

use super::{Driver, RestoreJob, Route};
use crate::effect::{Effect, Host, Question, ReadOutcome};
use crate::mutant::Mutant;
use crate::reads::Read;

/// What is left of a turn after its messages.
#[derive(Debug)]
pub(super) struct Turn {
    restore: Option<RestoreJob>,
    persist: Option<Persist>,
    committed: vec::IntoIter<Entry>,
    decisions: Vec<Decision>,
}

impl<H: Host> Driver<H> {
    /// The next thing to do; `None` when there is nothing to do before the next turn.
    pub fn next_effect(&mut self) -> Option<Effect<H>> {
        loop {
            if let Some(effect) = self.due.pop_front() {
                return Some(effect);
            }
            if self.restoring {
                return None;
            }
            let turn = self.turns.front_mut()?;
            if let Some(job) = turn.restore.take() {
                self.restoring = true;
                return Some(Effect::Restore(job));
            }
            if let Some(persist) = turn.persist.take() {
                return Some(self.write(persist));
            }
            if let Some(entry) = turn.committed.next() {
                return Some(self.apply(entry));
            }
            let decisions = std::mem::take(&mut turn.decisions);
            self.turns.pop_front();
            self.finish_turn(decisions);
        }
    }

    /// The inputs at hand are used up: takes what the core wants done. `observe` sees that before anything of it is done.
    pub fn turn(&mut self, observe: impl FnOnce(&Server, &Ready)) {
        let ready = self.server.ready();
        observe(&self.server, &ready);
        let Ready { messages, mut persist, restore, committed, reads: decisions, events } = ready;
        for message in messages {
            self.send(message);
        }
        let must_wait = restore.is_some() || !self.turns.is_empty();
        if !must_wait || self.planted.has(Mutant::WritesBeforeRestore) {
            let write = persist.take().map(|persist| self.write(persist));
            self.due.extend(write);
        }
        self.due.extend(events.into_iter().map(Effect::Event));
        // What the core remembers from its disk comes first.
        let is_first = !std::mem::replace(&mut self.has_turned, true);
        let restore = restore.map(|snapshot| RestoreJob::new(&self.options, &self.server, is_first, snapshot));
        self.turns.push_back(Turn { restore, persist, committed: committed.into_iter(), decisions });
    }

    /// A message leaves. A reply that no caller waits for goes nowhere.
    pub(super) fn send(&mut self, message: Message) {
        let effect = match message.body {
            Body::Request(_) => Some(Effect::Call(message)),
            Body::Reply(_) => self.calls.answered(&message).map(|call| Effect::Reply(call, Ok(message))),
        };
        self.due.extend(effect);
    }

    fn write(&mut self, persist: Persist) -> Effect<H> {
        self.compactor.handing(&persist);
        Effect::Write(persist)
    }

    fn apply(&mut self, entry: Entry) -> Effect<H> {
        let applied = self.machine.apply(&entry);
        self.counters.applied += 1;
        self.compactor.applied(&entry);
        let answered = self.proposals.applied(&entry, &applied);
        self.due.extend(answered.map(|(client, outcome)| Effect::Command(client, outcome)));
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
        if self.turns.is_empty() && self.compactor.is_due() {
            self.begin_snapshot();
        }
    }

    /// This server does not lead, so a read is for another one to serve.
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
