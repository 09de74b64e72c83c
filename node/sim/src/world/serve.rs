//! What clients ask of nodes, and what they are told.
//!
//! Invariant: a client is told that something happened only when it is so; everything else is unknown to it.

use raftian_apps::{Refusal, Response};
use raftian_raft::{Index, NotLeader, ProposeRefused};
use serde_json::value::RawValue;

use super::{Budget, World};
use crate::client::Current;
use crate::coverage::Rare;
use crate::invariant::{Check, id_at, place};
use crate::journal::What;
use crate::luck::luck;
use crate::node::{Read, Waiter};
use crate::queue::{Answer, Event, Request};
use crate::schedule::Op;

/// How long a request or an answer of a client is on its way at most, in microseconds.
const CLIENT_LATENCY_US: u64 = 2_000;

impl World {
    /// A client wants something, when it has what it wanted before.
    pub(super) fn wish(&mut self, client: usize, op: Op) {
        if let Some(wishing) = self.clients.get_mut(client) {
            wishing.wishes.push_back(op);
            self.begin_next(client);
        }
    }

    pub(super) fn begin_next(&mut self, client: usize) {
        if self.clients[client].begin(self.steps, &mut self.history) {
            self.ask(client);
        }
    }

    /// A client sends its request to the node that it thinks leads.
    fn ask(&mut self, client: usize) {
        self.calls += 1;
        let call = self.calls;
        let asking = &mut self.clients[client];
        let node = asking.target;
        let Some(current) = &mut asking.current else { return };
        (current.call, current.attempts) = (call, current.attempts + 1);
        let name = [self.seed, 4, client as u64, current.serial, u64::from(current.attempts)];
        let Current { place, op, ref command, .. } = *current;
        let request = Box::new(Request { client, place: place as u64, op, command: command.clone() });
        let patience_us = self.plan.client_patience_us;
        if let Some(latency_us) = self.client_latency(luck(name)) {
            self.queue.plan(self.now_us + latency_us, Event::Request { node, request });
        }
        self.queue.plan(self.now_us + patience_us, Event::TimeOut { client, call });
    }

    /// How long a message from or to a client takes; `None` if it is lost.
    fn client_latency(&self, luck: u64) -> Option<u64> {
        (luck % 100 >= self.plan.client_loss_percent).then(|| 50 + (luck >> 8) % CLIENT_LATENCY_US)
    }

    /// A request arrives at a node, which cannot know whether its client still waits for the answer.
    pub(super) fn request(&mut self, at: usize, request: Request) -> Check {
        let Request { client, place, op, command } = request;
        self.trace.note([30, client as u64 | (at as u64) << 32, self.now_us]);
        self.budget.granted += Budget::PER_CAUSE * self.plan.nodes() as u64;
        let node = &mut self.nodes[at];
        let Some(server) = &mut node.server else { return Ok(()) };
        self.journal.note(self.now_us, self.steps, || What::Asked { client, node: id_at(at), op });
        let now = node.clock.time(self.now_us);
        let refused = match op.is_read() {
            true => match server.read(now) {
                Ok(ticket) => {
                    node.reads.push(Read { ticket: ticket.number(), index: None, client, op: place });
                    self.oracle.read_asked(at, ticket.number());
                    None
                }
                Err(NotLeader { leader }) => Some(leader),
            },
            false => match server.propose(now, [command]) {
                Ok(proposed) => {
                    node.waiters.push(Waiter { index: proposed.first, term: proposed.term, client, op: place });
                    None
                }
                Err(ProposeRefused::NotLeader(NotLeader { leader })) => Some(leader),
                Err(ProposeRefused::Transferring { to }) => Some(Some(to)),
            },
        };
        if let Some(leader) = refused {
            self.answer(at, client, place, Answer::NotLeader { leader });
        }
        self.settle(at, None)
    }

    /// A node answers a client.
    pub(super) fn answer(&mut self, at: usize, client: usize, op: u64, answer: Answer) {
        self.calls += 1;
        if let Some(latency_us) = self.client_latency(luck([self.seed, 5, client as u64, op, at as u64])) {
            self.queue.plan(self.now_us + latency_us, Event::Answer { client, op, answer: Box::new(answer) });
        }
    }

    /// A read may be served from an index on, or not at all.
    pub(super) fn read_decided(&mut self, at: usize, ticket: u64, index: Result<Index, NotLeader>) {
        let reads = &mut self.nodes[at].reads;
        let Some(place) = reads.iter().position(|read| read.ticket == ticket) else { return };
        match index {
            Ok(index) => reads[place].index = Some(index),
            Err(NotLeader { leader }) => {
                let read = reads.swap_remove(place);
                self.coverage.note_rare(Rare::ReadFailed);
                self.answer(at, read.client, read.op, Answer::NotLeader { leader });
            }
        }
    }

    /// Serves the reads whose index is applied.
    pub(super) fn serve_reads(&mut self, at: usize) {
        let applied = self.nodes[at].machine.last_applied();
        let is_due = |read: &Read| read.index.is_some_and(|index| index <= applied);
        while let Some(place) = self.nodes[at].reads.iter().position(is_due) {
            let Read { client, op, .. } = self.nodes[at].reads.swap_remove(place);
            let wanted = self.clients.get(client).and_then(|client| client.current.as_ref());
            let Some(current) = wanted.filter(|current| current.place as u64 == op) else { continue };
            let query = RawValue::from_string(current.op.json()).expect("ops are JSON");
            let response = self.nodes[at].machine.query(&query).expect("a read");
            self.coverage.note_rare(Rare::ReadServed);
            self.answer(at, client, op, Answer::Done { index: applied, response });
        }
    }

    /// Something happens at a client.
    pub(super) fn client_event(&mut self, event: Event) -> Check {
        match event {
            Event::Answer { client, op, answer } => {
                self.trace.note([31, client as u64, self.now_us]);
                let current = self.clients[client].current.as_ref();
                match current.is_some_and(|current| current.place as u64 == op) {
                    true => self.answered(client, *answer),
                    false => Ok(()),
                }
            }
            Event::TimeOut { client, call } => {
                let current = self.clients[client].current.as_ref();
                if current.is_some_and(|current| current.call == call) {
                    self.trace.note([32, client as u64, self.now_us]);
                    self.try_elsewhere(client, None);
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn answered(&mut self, client: usize, answer: Answer) -> Check {
        match answer {
            Answer::Done { index, response } => self.told(client, index, response)?,
            Answer::NotLeader { leader: None } => self.wait_a_moment(client),
            Answer::NotLeader { leader } => self.try_elsewhere(client, leader.map(place)),
            Answer::Lost => self.try_elsewhere(client, None),
        }
        Ok(())
    }

    /// A client has a response.
    fn told(&mut self, client: usize, index: Index, response: Response) -> Check {
        let Some(current) = self.clients[client].current.take() else { return Ok(()) };
        match response.refusal() {
            Some(Refusal::NoSession) => {
                // Another copy of the command may be applied yet.
                self.history.end(current.place, self.steps, None);
                self.clients[client].rename();
            }
            Some(_) => self.history.end(current.place, self.steps, None),
            None => {
                if !current.op.is_read() {
                    self.oracle.acknowledged(&self.clients[client].name, current.serial, index, &response)?;
                }
                self.journal.note(self.now_us, self.steps, || What::Told { client, op: current.op, index });
                self.history.end(current.place, self.steps, Some((index, response)));
            }
        }
        self.begin_next(client);
        Ok(())
    }

    /// Nobody leads, so nobody else will know better now: the client waits for a heartbeat's time.
    fn wait_a_moment(&mut self, client: usize) {
        let at_us = self.now_us + self.plan.heartbeat_interval.as_micros() as u64;
        if let Some(Current { call, .. }) = self.clients[client].current {
            self.queue.plan(at_us, Event::TimeOut { client, call });
        }
    }

    /// A client tries again at another node, or gives up.
    fn try_elsewhere(&mut self, client: usize, hint: Option<usize>) {
        let attempts = self.plan.client_attempts;
        let trying = &mut self.clients[client];
        trying.turn(hint);
        if trying.current.as_ref().is_some_and(|current| current.attempts < attempts) {
            return self.ask(client);
        }
        self.coverage.note_rare(Rare::GaveUp);
        if let Some(current) = trying.current.take() {
            self.history.end(current.place, self.steps, None);
        }
        self.begin_next(client);
    }
}
