//! What arrives at a node, and its turns: inputs first, then the clock, then all that comes of them.
//!
//! Where turns take no time, each input has a turn of its own. Where they do, or applying an entry does, what arrives
//! meanwhile gathers, and is taken in together, as a node's driver does it.
//!
//! Invariant: a node that is paused or down takes nothing in, and inputs come before the clock.

use bytes::Bytes;
use raftian_driver::{Consistency, Driver, Route};
use raftian_raft::{Body, Contradiction, Message, NodeId, Reply, Request as Rpc, RoleKind, Server, Time};
use raftian_script::{Invariant, Kind};
use serde_json::value::RawValue;

use super::effects::Carried;
use super::{Budget, World};
use crate::coverage::Rare;
use crate::invariant::{Check, id_at, place};
use crate::journal::What;
use crate::node::{Asker, Input};
use crate::queue::{Event, MessageId, Request};
use crate::random::{Stream, random};

/// How long it takes at most until a caller hears that its call was refused, in microseconds.
const REFUSAL_US: u64 = 500;

impl World {
    /// Something arrives at a node that runs.
    pub(super) fn arrive(&mut self, at: usize, input: Input) -> Check {
        if !self.takes_turns(at) {
            let kind = self.take_in(at, input)?;
            return self.settle(at, kind);
        }
        self.nodes[at].inbox.push_back(input);
        self.plan_turn(at);
        Ok(())
    }

    /// Whether what arrives at a node may have to wait for its next turn.
    fn takes_turns(&self, at: usize) -> bool {
        let node = &self.nodes[at];
        self.plan.turn_us > 0 || node.apply_us > 0 || node.has_turn_planned
    }

    /// The node takes a turn as soon as it is done with the last one.
    pub(super) fn plan_turn(&mut self, at: usize) {
        let node = &mut self.nodes[at];
        if !std::mem::replace(&mut node.has_turn_planned, true) {
            let at_us = node.busy_until_us.max(self.now_us);
            self.queue.plan(at_us, Event::Turn { node: at, epoch: node.epoch });
            node.wind();
        }
    }

    /// A node takes in all that has gathered, and looks at its clock.
    pub(super) fn take_turn(&mut self, at: usize) -> Check {
        self.nodes[at].has_turn_planned = false;
        let epoch = self.nodes[at].epoch;
        if std::mem::take(&mut self.nodes[at].is_applying) {
            // The rest of what its last turn wants comes before new inputs, and the clock after them.
            match self.carry_out(at)? {
                Carried::Crashed => return Ok(()),
                Carried::Applying => {
                    self.plan_turn(at);
                    return Ok(());
                }
                Carried::Finished | Carried::Again => {}
            }
        }
        let inputs: Vec<Input> = self.nodes[at].inbox.drain(..).collect();
        let mut kind = None;
        let is_batch = inputs.len() > 1;
        if is_batch {
            self.coverage.note_rare(Rare::InputsTogether);
        }
        for input in inputs {
            let taken = self.take_in(at, input)?;
            if self.nodes[at].epoch != epoch || !self.nodes[at].is_up() {
                return Ok(());
            }
            kind = taken.filter(|_| !is_batch);
        }
        let takes_us = random([self.seed, Stream::Turn as u64, at as u64, self.steps]) % self.plan.turn_us.max(1);
        self.nodes[at].busy_until_us = self.now_us + takes_us;
        self.settle(at, kind)
    }

    /// Feeds one input to a node's driver. Says what kind of message it was, if it was one.
    fn take_in(&mut self, at: usize, input: Input) -> Result<Option<Kind>, crate::invariant::Finding> {
        match input {
            Input::Message(id, message) => return self.take_message(at, id, message),
            Input::Ask(request) => self.take_question(at, request),
            Input::Persisted(persisted) => {
                let (now, driver) = self.driver(at);
                driver.persisted(now, persisted);
            }
            Input::Encoded => self.finish_encoding(at),
            Input::Restored => self.finish_restoring(at)?,
            Input::CallsTimeOut => self.give_up_calls(at),
            Input::CallLost(peer, call) => self.call_lost(at, peer, call),
        }
        Ok(None)
    }

    fn take_message(
        &mut self,
        at: usize,
        id: MessageId,
        message: Message,
    ) -> Result<Option<Kind>, crate::invariant::Finding> {
        let (from, kind) = (place(message.from), Kind::of(&message));
        self.trace.note([1 + kind as u64, at as u64 | (from as u64) << 8 | message.term << 16, self.now_us]);
        if matches!(message.body, Body::Request(_)) {
            if !self.network.admits(from, at, self.now_us) {
                self.coverage.note_rare(Rare::RefusedAtCut);
                self.refuse(&message);
                self.journal.note(self.now_us, self.steps, || What::Lost(Box::new(message)));
                return Ok(None);
            }
            self.require_open(at, from, at)?;
        } else if self.nodes[at].calls.has_given_up(message.call)
            || self.plan.call_timeout && !self.nodes[at].calls.end(message.call)
        {
            // The transport answers a call once, and not after it has given it up.
            self.coverage.note_rare(Rare::LateReply);
            return Ok(None);
        }
        self.journal.note(self.now_us, self.steps, || What::Delivered(id, Box::new(message.clone())));
        let (peer, to, call, term) = (message.from, message.to, message.call, message.term);
        let answers_append = matches!(message.body, Body::Reply(Reply::AppendEntries(_) | Reply::InstallSnapshot(_)));
        let is_request = matches!(message.body, Body::Request(_));
        let kept = self.deadline_to_keep(at, &message);
        let now = self.nodes[at].clock.time(self.now_us);
        self.oracle.hears(at, &message, now, self.nodes[at].options.check_quorum);
        let before = self.nodes[at].server().map(Server::hard_state);
        let (now, driver) = self.driver(at);
        match is_request {
            true => driver.request(now, message, call),
            false => driver.reply(now, message),
        }
        let server = self.nodes[at].server().expect("it has just taken a message in");
        let (id, is_moved) = (server.id(), before != Some(server.hard_state()));
        self.oracle.findings.require(to == id || !is_moved, Invariant::IncarnationsApart, || {
            format!("{id} took in what {peer} sent to {to}")
        })?;
        if let Some(deadline) = kept {
            self.oracle.check_deadline_kept(at, server.deadline() == deadline)?;
        }
        if answers_append {
            self.oracle.answered(at, peer, term, call, server, now);
            self.oracle.check_match_index(at, server, peer)?;
        }
        Ok(Some(kind))
    }

    /// A node refused a message, and takes no notice of it.
    pub(super) fn refused(&mut self, at: usize, contradiction: Contradiction) -> Check {
        let invariant = match contradiction {
            Contradiction::OtherIncarnation { .. } => {
                self.coverage.note_rare(Rare::OtherIncarnationRefused);
                let what = What::OtherIncarnation(self.nodes[at].id(), contradiction);
                self.journal.note(self.now_us, self.steps, || what);
                return Ok(());
            }
            Contradiction::SecondLeader { .. } => Invariant::ElectionSafety,
            Contradiction::Committed { .. } => Invariant::StateMachineSafety,
            _ => Invariant::Composure,
        };
        self.oracle
            .findings
            .report(invariant, || format!("{} refuses what it was sent: {contradiction}", self.nodes[at].id()))
    }

    /// When an election is due at a server that is sent something by a leader of an earlier term.
    fn deadline_to_keep(&self, at: usize, message: &Message) -> Option<Time> {
        let node = &self.nodes[at];
        let server = node.server()?;
        let is_leaders = matches!(message.body, Body::Request(Rpc::AppendEntries(_) | Rpc::InstallSnapshot(_)));
        let is_stale = is_leaders && message.term < server.hard_state().term && server.role() != RoleKind::Leader;
        // What is due already has other reasons.
        let deadline = server.deadline();
        (is_stale && deadline > node.clock.time(self.now_us)).then_some(deadline)
    }

    /// Gives up the calls that have waited for long enough, and sets the timer of the next one.
    fn give_up_calls(&mut self, at: usize) {
        while let Some((peer, call)) = self.nodes[at].calls.take_late(self.now_us) {
            self.coverage.note_rare(Rare::CallGivenUp);
            self.oracle.call_is_lost(at, peer, call);
            let (now, driver) = self.driver(at);
            driver.lost(now, peer, call);
        }
        let node = &mut self.nodes[at];
        let next_us = node.calls.next_us();
        node.calls.has_timer = next_us.is_some();
        if let Some(next_us) = next_us {
            self.queue.plan(next_us, Event::CallsTimeOut { node: at, epoch: node.epoch });
        }
    }

    /// A request got no further than its receiver's door. Where the transport reports that, its sender hears so soon. (Calls
    /// of an earlier life have the same numbers: now and then a call is reported lost that is not, as transports do.)
    pub(super) fn refuse(&mut self, message: &Message) {
        let node = place(message.from);
        if self.plan.call_timeout && matches!(message.body, Body::Request(_)) {
            let at_us = self.now_us + random([self.seed, Stream::Refusal as u64, message.call]) % REFUSAL_US;
            let epoch = self.nodes[node].epoch;
            self.queue.plan(at_us, Event::CallLost { node, epoch, peer: message.to, call: message.call });
        }
    }

    fn call_lost(&mut self, at: usize, peer: NodeId, call: u64) {
        let calls = &mut self.nodes[at].calls;
        if calls.end(call) || calls.has_given_up(call) {
            self.coverage.note_rare(Rare::CallLost);
            self.oracle.call_is_lost(at, peer, call);
            let (now, driver) = self.driver(at);
            driver.lost(now, peer, call);
        }
    }

    /// A node that knows a link of its own to be cut lets nothing through.
    pub(super) fn require_open(&mut self, node: usize, from: usize, to: usize) -> Check {
        let is_cut = self.network.knows_cut(node, from, to);
        self.oracle.findings.require(!is_cut, Invariant::PartitionTight, || {
            let (node, from, to) = (id_at(node), id_at(from), id_at(to));
            format!("a message crosses the link {from} -> {to}, which {node} knows to be cut")
        })
    }

    /// A client's question. The node cannot know whether its client still waits for the answer.
    fn take_question(&mut self, at: usize, request: Request) {
        let asker = Asker::from(&request);
        let Request { client, op, command, via, .. } = request;
        self.trace.note([30, client as u64 | (at as u64) << 32, self.now_us]);
        self.budget.granted += Budget::PER_CAUSE * self.plan.nodes() as u64;
        let id = self.nodes[at].id();
        self.journal.note(self.now_us, self.steps, || What::Asked { client, node: id, op });
        let may_forward = via.is_none() && self.plan.forwarding;
        let route = if may_forward { Route::Direct } else { Route::Forwarded };
        match op.is_read() {
            true => {
                let op = RawValue::from_string(op.json()).expect("ops are JSON");
                self.read_at(at, op, route, asker);
            }
            false => {
                self.submit_at(at, command, route, asker);
            }
        }
    }

    /// A command is put to a node. Says whether its core took it.
    pub(super) fn submit_at(&mut self, at: usize, command: Bytes, route: Route, asker: Asker) -> bool {
        let number = self.nodes[at].questions.ask();
        let (now, driver) = self.driver(at);
        let last = driver.server().last().index;
        driver.submit(now, command, route, Asker { number, ..asker });
        let index = driver.server().last().index;
        if index > last {
            self.nodes[at].questions.is_proposed(number, index);
        }
        index > last
    }

    /// A read is put to a node. Says the number of its ticket, if its core took it.
    pub(super) fn read_at(&mut self, at: usize, op: Box<RawValue>, route: Route, asker: Asker) -> Option<u64> {
        let number = self.nodes[at].questions.ask();
        let (now, driver) = self.driver(at);
        driver.read(now, op, Consistency::Linearizable, route, Asker { number, ..asker });
        let node = &mut self.nodes[at];
        // A server that leads takes every read.
        let server = node.driver.as_ref().map(Driver::server).filter(|server| server.role() == RoleKind::Leader)?;
        let ticket = node.questions.is_read(number);
        self.oracle.read_asked(at, ticket, server, now);
        Some(ticket)
    }

    /// A node looks at its clock.
    pub(super) fn tick_at(&mut self, at: usize) -> Check {
        self.trace.note([0, at as u64, self.now_us]);
        if !self.nodes[at].is_up() {
            return Ok(());
        }
        self.budget.granted += Budget::PER_CAUSE * self.plan.nodes() as u64;
        if self.nodes[at].clock.rate_permille != 1000 {
            self.coverage.note_rare(Rare::SkewedClock);
        }
        let (now, driver) = self.driver(at);
        driver.tick(now);
        if self.takes_turns(at) { self.take_turn(at) } else { self.settle(at, None) }
    }

    /// A node's driver, and the time on its clock.
    pub(super) fn driver(&mut self, at: usize) -> (Time, &mut Driver<crate::node::SimHost>) {
        let node = &mut self.nodes[at];
        (node.clock.time(self.now_us), node.driver.as_mut().expect("a node that is up"))
    }
}
