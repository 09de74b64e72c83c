//! What a node's driver wants done: writes on a disk, messages on links, answers to clients.
//!
//! Invariant: the oracle sees a server's step before anything of it is done, and a disk's content before anything that
//! rests on it is said. Effects are carried out one by one, and a crash may come between any two.

use raftian_apps::{Effect as Applied, Machine, Refusal};
use raftian_driver::{CommandOutcome, Driver, Effect, Question, ReadOutcome, RestoreJob};
use raftian_raft::{Configuration, Entry, Event as Told, Message, NodeId, Payload, Persist, RoleKind, Server, Write};
use raftian_script::{Invariant, Kind};

use super::{Budget, World};
use crate::coverage::Rare;
use crate::invariant::{Check, Finding, place};
use crate::journal::What;
use crate::network::Fate;
use crate::node::{Asker, SimHost};
use crate::queue::{Answer, Event};
use crate::random::{Stream, random};
use crate::settings::first_machine;
use crate::storage::is_install;

impl World {
    /// Starts a node with what its disk holds, if its log opens.
    pub(super) fn start(&mut self, at: usize) -> Check {
        let Some(recovered) = self.open_log(at)? else { return Ok(()) };
        let node = &mut self.nodes[at];
        let recovered = raftian_raft::Recovered {
            hard_state: recovered.hard_state,
            snapshot: recovered.snapshot,
            entries: recovered.entries,
        };
        let server = Server::new(node.options.clone(), recovered, node.clock.time(self.now_us));
        self.oracle.started(at, &server)?;
        let first = self.settings.machine(first_machine(&self.plan));
        let mut driver = Driver::new(self.settings.driver_options(&self.plan), server, first);
        driver.take_part();
        self.nodes[at].begin(driver);
        self.trace.note([20, at as u64, self.now_us]);
        self.budget.granted += Budget::PER_CAUSE * self.plan.nodes() as u64;
        self.journal.note(self.now_us, self.steps, || What::Started(self.nodes[at].id()));
        self.settle(at, None)
    }

    /// A node crashes. Of what waited for its disk, the first `keep` records have reached it all the same.
    pub(super) fn crash_at(&mut self, at: usize, keep: usize) -> Check {
        let name = random([self.seed, Stream::Crash as u64, at as u64, self.steps]);
        let Some(driver) = self.end_at(at) else { return Ok(()) };
        self.trace.note([21, at as u64, keep as u64, self.now_us]);
        self.note_end(at, driver.server());
        let storage = &mut self.nodes[at].storage;
        let installs = storage.batch().any(is_install);
        let lost = storage.crash(self.plan.crashes, keep, name);
        self.coverage.note_rare(match (lost > 0, installs) {
            (true, true) if keep > 0 => Rare::InstallTorn,
            (true, _) => Rare::WritesLost,
            (false, _) => Rare::CrashedIdle,
        });
        if keep > 0 {
            self.coverage.note_rare(Rare::WriteTorn);
        }
        Ok(())
    }

    /// A node stops by itself, because its disk has failed.
    pub(super) fn stop_at(&mut self, at: usize, doubtful: Vec<Write>) {
        let Some(driver) = self.end_at(at) else { return };
        self.trace.note([23, at as u64, self.now_us]);
        self.note_end(at, driver.server());
        self.nodes[at].storage.stop(doubtful);
    }

    /// A life of a node ends, and the messages that it has not looked at are lost.
    fn end_at(&mut self, at: usize) -> Option<Driver<SimHost>> {
        for event in self.nodes[at].paused.iter().flatten() {
            if let Event::Deliver { slot, id } = event {
                self.queue.take(*slot, *id);
            }
        }
        self.nodes[at].end()
    }

    fn note_end(&mut self, at: usize, server: &Server) {
        self.journal.note(self.now_us, self.steps, || What::Crashed(self.nodes[at].id()));
        let is_joint = server.configuration().is_some_and(Configuration::is_joint);
        if is_joint && server.role() == RoleKind::Leader {
            self.coverage.note_rare(Rare::JointLeaderCrashed);
        }
        self.rules |= server.rules();
        self.oracle.crashed(at);
    }

    /// The inputs of a node are used up: carries out what its driver wants, until it wants no more.
    pub(super) fn settle(&mut self, at: usize, mut kind: Option<Kind>) -> Check {
        if self.nodes[at].is_applying {
            return Ok(());
        }
        loop {
            let node = &mut self.nodes[at];
            let now = node.clock.time(self.now_us);
            let Some(driver) = &mut node.driver else { return Ok(()) };
            if !self.ignores_clocks {
                driver.tick(now);
            }
            let (oracle, mut seen, mut decisions) = (&mut self.oracle, None, Vec::new());
            let (wanted, restores) = (&mut node.wanted, &mut node.restores);
            driver.turn(|server, ready| {
                let mut votes = ready.events.iter().filter_map(|event| match event {
                    Told::Voted { term, candidate } => Some((*term, *candidate)),
                    _ => None,
                });
                for event in &ready.events {
                    if let Told::AcknowledgementDenied { peer, .. } = event {
                        oracle.begins_again(at, *peer);
                    }
                }
                let write = ready.persist.as_ref().map(Persist::write);
                if write.is_some_and(changes_members) {
                    // What a quorum of the members before has vouched for stays true.
                    oracle.note_confirmed(at, server, now);
                }
                let voted = votes.try_for_each(|(term, candidate)| oracle.voted(at, term, candidate));
                seen = Some(voted.and_then(|()| oracle.stepped(at, server, write)));
                decisions.clone_from(&ready.reads);
                restores.extend(ready.restore.as_ref().map(|_| *wanted + 1));
                *wanted += u64::from(ready.persist.is_some());
            });
            let moved = seen.expect("a turn shows what the core wants")?;
            if let Some(kind) = kind.take() {
                self.coverage.note(kind, &moved);
            }
            if moved.rolled_back {
                self.coverage.note_rare(Rare::RolledBack);
            }
            for decision in decisions {
                self.journal.note(self.now_us, self.steps, || What::Read(self.nodes[at].id(), decision));
                let (ticket, index) = (decision.ticket.number(), decision.index.ok());
                self.nodes[at].questions.is_decided(ticket, index);
                self.oracle.read_answered(at, ticket, index)?;
            }
            let now = moved.now;
            self.trace.note([now.term << 8 | now.role as u64, now.last_index, now.commit_index]);
            match self.carry_out(at)? {
                Carried::Crashed => return Ok(()),
                Carried::Applying => {
                    self.plan_turn(at);
                    return Ok(());
                }
                Carried::Finished => break,
                Carried::Again => {}
            }
        }
        self.check_settled(at)?;
        self.nodes[at].wind();
        Ok(())
    }

    fn check_settled(&mut self, at: usize) -> Check {
        let node = &self.nodes[at];
        let Some(driver) = &node.driver else { return Ok(()) };
        self.oracle.settled(at, driver.server(), driver.is_restoring())?;
        let (asked, open, pending) = (node.questions.asked(), node.questions.open(), driver.pending());
        self.oracle.findings.require(open == pending, Invariant::Answered, || {
            let id = self.nodes[at].id();
            format!("{id} took in {asked} questions, of which {open} are not answered; {pending} are pending")
        })?;
        // While a snapshot is being restored, answers wait.
        let (applied, undecided) = (self.oracle.applied_index(at), driver.server().pending_reads());
        let overdue = if node.restoring.is_some() { 0 } else { node.questions.overdue(applied, undecided) };
        self.oracle.findings.require(overdue == 0, Invariant::Answered, || {
            format!(
                "{overdue} questions are pending at {}, though all that they wait for is decided",
                self.nodes[at].id()
            )
        })?;
        if self.plan.lease.is_some() { self.check_leases(at) } else { Ok(()) }
    }

    /// Whoever has a lease knows what is committed. That can come to be wrong only where a node has taken a step, or
    /// where more was committed.
    fn check_leases(&mut self, at: usize) -> Check {
        let committed = self.oracle.committed();
        let is_more = committed > std::mem::replace(&mut self.leases_hold_up_to, committed);
        let asked = if is_more { 0..self.nodes.len() } else { at..at + 1 };
        asked.into_iter().try_for_each(|at| {
            let node = &self.nodes[at];
            let has_lease = |server: &&Server| server.has_lease(node.clock.time(self.now_us));
            let leased = node.server().filter(has_lease).map(Server::commit_index);
            let Some(known) = leased else { return Ok(()) };
            self.coverage.note_rare(Rare::LeaseJudged);
            self.oracle.check_lease(at, known)
        })
    }

    /// Carries out effects, one by one.
    pub(super) fn carry_out(&mut self, at: usize) -> Result<Carried, Finding> {
        let mut again = false;
        while let Some(effect) = self.nodes[at].driver.as_mut().and_then(Driver::next_effect) {
            match effect {
                Effect::Call(message) => {
                    if self.leaves(at, message)? {
                        return Ok(Carried::Crashed);
                    }
                }
                Effect::Reply(call, Ok(message)) => {
                    self.oracle.findings.require(message.call == call, Invariant::Answered, || {
                        let Message { from, to, call: answered, .. } = &message;
                        format!("{from} answers call {call} of {to} with what is meant for call {answered}")
                    })?;
                    if self.leaves(at, Message { call, ..message })? {
                        return Ok(Carried::Crashed);
                    }
                }
                // What was refused comes as an effect of its own.
                Effect::Reply(_, Err(_)) => {}
                Effect::Write(persist) => {
                    let is_install = is_install(persist.write());
                    self.require_restored(at)?;
                    self.nodes[at].storage.waiting.push(persist);
                    if self.crosses(at, is_install, Rare::CrashedAtWrite)? {
                        return Ok(Carried::Crashed);
                    }
                    self.begin_sync(at);
                }
                Effect::Restore(job) => again |= self.begin_restoring(at, job)?,
                Effect::Stage(job) => again |= self.begin_encoding(at, job.encode()),
                Effect::DiscardStaged(snapshot) => {
                    self.coverage.note_rare(Rare::StagedInVain);
                    self.nodes[at].storage.discard_staged(&snapshot);
                }
                Effect::Forward { leader, question } => {
                    let (Question::Command(_, asker) | Question::Read(_, asker)) = &question;
                    self.note_answered(at, asker)?;
                    self.forward(at, leader, question)?;
                }
                Effect::Command(asker, outcome) => {
                    self.note_answered(at, &asker)?;
                    self.tell_command(at, asker, outcome)?;
                }
                Effect::Read(asker, outcome) => {
                    self.note_answered(at, &asker)?;
                    self.tell_read(at, asker, outcome)?;
                }
                Effect::Applied { entry, applied } => {
                    self.note_applied(at, &entry, &applied)?;
                    let node = &mut self.nodes[at];
                    if node.apply_us > 0 {
                        node.busy_until_us = node.busy_until_us.max(self.now_us) + node.apply_us;
                        node.is_applying = true;
                        return Ok(Carried::Applying);
                    }
                }
                Effect::Refused(contradiction) => self.refused(at, contradiction)?,
                Effect::Event(event) => self.note_event(at, event),
                Effect::SnapshotGivenUp(_) => self.coverage.note_rare(Rare::SnapshotGivenUp),
                Effect::Snapshot((), _) | Effect::Replaced => {}
            }
        }
        Ok(if again { Carried::Again } else { Carried::Finished })
    }

    /// A boundary is crossed. Says whether the node crashed there.
    pub(super) fn crosses(&mut self, at: usize, is_install: bool, rare: Rare) -> Result<bool, Finding> {
        let Some(armed) = self.nodes[at].cross(is_install) else { return Ok(false) };
        self.coverage.note_rare(if armed.only_installs { Rare::CrashedAtInstall } else { rare });
        self.crash_at(at, armed.keep).map(|()| true)
    }

    /// What may rest on a snapshot is written after its state is restored.
    fn require_restored(&mut self, at: usize) -> Check {
        let node = &mut self.nodes[at];
        node.handed += 1;
        let rests = node.restores.front().is_some_and(|first| *first <= node.handed);
        self.oracle.findings.require(!rests, Invariant::RestoreFirst, || {
            format!("{} writes what may rest on a snapshot that is not restored yet", self.nodes[at].id())
        })
    }

    // Messages.

    /// A message leaves. Says whether the node crashed before.
    fn leaves(&mut self, at: usize, message: Message) -> Result<bool, Finding> {
        if self.crosses(at, false, Rare::CrashedAtSend)? {
            return Ok(true);
        }
        self.send(message).map(|()| false)
    }

    fn send(&mut self, message: Message) -> Check {
        let (from, to) = (place(message.from), place(message.to));
        self.oracle.sent(&message, self.nodes[from].clock.time(self.now_us))?;
        self.budget.spend()?;
        if to >= self.nodes.len() {
            return Ok(());
        }
        let is_request = matches!(message.body, raftian_raft::Body::Request(_));
        if is_request && self.plan.call_timeout {
            self.begin_call(from, &message);
        }
        let fate = self.judge(&message);
        if fate != Fate::Lost {
            self.require_open(from, from, to)?;
            if !is_request {
                self.require_open(to, from, to)?;
            }
        }
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
            self.budget.granted += Budget::PER_CAUSE;
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

    /// The transport waits for the reply, for twice the longest election time-out.
    fn begin_call(&mut self, at: usize, message: &Message) {
        let node = &mut self.nodes[at];
        let until_us = self.now_us + 2 * self.plan.election_timeout.end.as_micros() as u64;
        node.calls.begin(message.call, message.to, until_us);
        if !std::mem::replace(&mut node.calls.has_timer, true) {
            self.queue.plan(until_us, Event::CallsTimeOut { node: at, epoch: node.epoch });
        }
    }

    // Snapshots.

    /// A state is being encoded. Says whether that is done at once.
    fn begin_encoding(&mut self, at: usize, snapshot: raftian_raft::Snapshot) -> bool {
        self.nodes[at].encoding = Some(snapshot);
        self.begin_job(at, Stream::Encoding, |node, epoch| Event::Encoded { node, epoch }, World::finish_encoding)
    }

    pub(super) fn finish_encoding(&mut self, at: usize) {
        let node = &mut self.nodes[at];
        if let (Some(snapshot), Some(driver)) = (node.encoding.take(), &mut node.driver) {
            let staged = node.storage.stage(&snapshot);
            driver.staged(staged.map(|()| snapshot));
        }
    }

    /// A snapshot's state is being restored. Says whether that is done at once.
    fn begin_restoring(&mut self, at: usize, job: RestoreJob) -> Result<bool, Finding> {
        let machine = job.restore().map_err(|text| Finding { invariant: Invariant::SnapshotTruth, text })?;
        self.nodes[at].restoring = Some((job, self.settings.machine(machine)));
        if self.plan.job_us == 0 {
            return self.finish_restoring(at).map(|()| true);
        }
        Ok(self.begin_job(at, Stream::Restoring, |node, epoch| Event::Restored { node, epoch }, |_, _| {}))
    }

    pub(super) fn finish_restoring(&mut self, at: usize) -> Check {
        let Some((job, machine)) = self.nodes[at].restoring.take() else { return Ok(()) };
        self.oracle.restored(at, job.snapshot())?;
        self.nodes[at].restores.pop_front();
        let (_, driver) = self.driver(at);
        driver.restored(machine);
        Ok(())
    }

    /// A job takes its time, or none. Says whether it is done.
    fn begin_job(
        &mut self,
        at: usize,
        stream: Stream,
        event: impl Fn(usize, u32) -> Event,
        finish: impl Fn(&mut World, usize),
    ) -> bool {
        if self.plan.job_us == 0 {
            finish(self, at);
            return true;
        }
        let takes_us = random([self.seed, stream as u64, at as u64, self.steps]) % self.plan.job_us;
        self.queue.plan(self.now_us + takes_us, event(at, self.nodes[at].epoch));
        false
    }

    // Answers.

    fn forward(&mut self, at: usize, leader: NodeId, question: Question<SimHost>) -> Check {
        self.coverage.note_rare(Rare::Forwarded);
        match question {
            Question::Command(command, asker) => self.pass_on(at, place(leader), asker, command),
            Question::Read(op, asker) => self.pass_on(at, place(leader), asker, String::from(op.get()).into()),
        }
    }

    fn tell_command(&mut self, at: usize, asker: Asker, outcome: CommandOutcome) -> Check {
        let answer = match outcome {
            CommandOutcome::Applied { index, response, .. } => Answer::Done { index, response },
            CommandOutcome::Replaced => {
                self.coverage.note_rare(Rare::ProposalLost);
                Answer::Replaced
            }
            CommandOutcome::Unknown => {
                self.coverage.note_rare(Rare::ProposalUnknown);
                Answer::Unknown
            }
            CommandOutcome::NotLeader { leader } => Answer::NotLeader { leader },
            CommandOutcome::NoLeader => Answer::NotLeader { leader: None },
            CommandOutcome::TooMuchUncommitted { .. } => {
                self.coverage.note_rare(Rare::TooMuchUncommitted);
                Answer::TooMuchUncommitted
            }
        };
        self.answer(at, asker, answer)
    }

    fn tell_read(&mut self, at: usize, asker: Asker, outcome: ReadOutcome) -> Check {
        let answer = match outcome {
            ReadOutcome::Served { index, response } => {
                self.coverage.note_rare(Rare::ReadServed);
                Answer::Done { index, response }
            }
            ReadOutcome::NotLeader { leader } => {
                self.coverage.note_rare(Rare::ReadFailed);
                Answer::NotLeader { leader }
            }
            ReadOutcome::NoLeader | ReadOutcome::Stopping => Answer::NotLeader { leader: None },
            ReadOutcome::NotARead(why) => unreachable!("clients read what can be read: {why}"),
        };
        self.answer(at, asker, answer)
    }

    // What is seen.

    /// A question is answered, or passed on: once.
    fn note_answered(&mut self, at: usize, asker: &Asker) -> Check {
        let is_open = self.nodes[at].questions.is_answered(asker.number);
        self.oracle.findings.require(is_open, Invariant::Answered, || {
            format!("{} answers question {} again", self.nodes[at].id(), asker.number)
        })
    }

    fn note_applied(&mut self, at: usize, entry: &Entry, applied: &raftian_apps::Applied) -> Check {
        self.oracle.applies(at, entry)?;
        let digest = self.nodes[at].driver.as_ref().map(Driver::machine).map(Machine::digest);
        self.oracle.applied(at, applied, digest.expect("it has just applied an entry"))?;
        match &applied.effect {
            Applied::Duplicate { .. } => self.coverage.note_rare(Rare::Duplicate),
            Applied::Refused(response) => match response.refusal() {
                Some(Refusal::NoSession) => self.coverage.note_rare(Rare::NoSession),
                _ => self.coverage.note_rare(Rare::StaleSerial),
            },
            Applied::Noop | Applied::Executed(_) => {}
        }
        self.journal.note(self.now_us, self.steps, || What::Applied(self.nodes[at].id(), entry.index));
        Ok(())
    }

    fn note_event(&mut self, at: usize, event: Told) {
        match &event {
            Told::QuorumLost { .. } => self.coverage.note_rare(Rare::QuorumLost),
            Told::TransferStarted { .. } => self.coverage.note_rare(Rare::TransferBegun),
            Told::TransferAborted { .. } => self.coverage.note_rare(Rare::TransferAborted),
            Told::AcknowledgementDenied { .. } => self.coverage.note_rare(Rare::AcknowledgementDenied),
            Told::SnapshotTaken { .. } => self.coverage.note_rare(Rare::SnapshotTaken),
            Told::SnapshotInstalled { .. } => self.coverage.note_rare(Rare::SnapshotInstalled),
            _ => {}
        }
        self.journal.note(self.now_us, self.steps, || What::Event(self.nodes[at].id(), event));
    }
}

/// Whether a write brings a configuration.
fn changes_members(write: &Write) -> bool {
    write.entries.iter().any(|entry| matches!(entry.payload, Payload::Configuration(_)))
}

/// How far effects were carried out.
pub(super) enum Carried {
    /// The node crashed amid them.
    Crashed,
    /// The node is busy applying an entry. The others come after that.
    Applying,
    /// All of them.
    Finished,
    /// All of them, and something is done at once, so that there are more.
    Again,
}
