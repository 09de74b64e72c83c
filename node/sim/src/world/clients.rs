//! What clients ask of nodes, and what they are told.
//!
//! Invariant: a client gets a success only for what was committed; any other outcome is unknown to it.

use bytes::Bytes;
use raftian_apps::{Refusal, Response};
use raftian_raft::Index;

use super::World;
use crate::client::Current;
use crate::coverage::Rare;
use crate::invariant::{Check, place};
use crate::journal::What;
use crate::node::{Asker, Input};
use crate::queue::{Answer, Event, Request};
use crate::random::random;
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
        let request = Box::new(Request { client, place: place as u64, op, command: command.clone(), via: None });
        let patience_us = self.plan.client_patience_us;
        if let Some(latency_us) = self.client_latency(random(name)) {
            self.queue.plan(self.now_us + latency_us, Event::Request { node, request });
        }
        self.queue.plan(self.now_us + patience_us, Event::TimeOut { client, call });
    }

    /// How long a message from or to a client takes; `None` if it is lost.
    fn client_latency(&mut self, random: u64) -> Option<u64> {
        if random % 100 < self.plan.client_loss_percent {
            self.coverage.note_rare(Rare::ClientMessageLost);
            return None;
        }
        Some(50 + (random >> 8) % CLIENT_LATENCY_US)
    }

    /// A request arrives at a node.
    pub(super) fn request(&mut self, at: usize, request: Request) -> Check {
        if !self.nodes[at].is_up() {
            return Ok(());
        }
        if let Some((via, _)) = request.via
            && !self.network.admits(via, at, self.now_us)
        {
            // The node that passed it on hears so, and knows of no other leader.
            self.answer(at, Asker::from(&request), Answer::NotLeader { leader: None });
            return Ok(());
        }
        self.arrive(at, Input::Ask(request))
    }

    /// A node passes a client's question on to the leader.
    pub(super) fn pass_on(&mut self, at: usize, leader: usize, asker: Asker, command: Bytes) {
        let Asker { client: Some(client), place, op, .. } = asker else { return };
        let via = Some((at, self.nodes[at].epoch));
        let request = Box::new(Request { client, place, op, command, via });
        if let Some(latency_us) = self.network.forward(at, leader, false, self.now_us) {
            self.queue.plan(self.now_us + latency_us, Event::Request { node: leader, request });
        }
    }

    /// A node answers a client, by way of the node that passed the question on, if one did.
    pub(super) fn answer(&mut self, at: usize, asker: Asker, answer: Answer) {
        let Asker { client: Some(client), place: op, via, .. } = asker else { return };
        let way_us = match via {
            Some((via, _)) => self.network.forward(at, via, true, self.now_us),
            None => Some(0),
        };
        // What one leader told the other is that it does not lead; to the client, no leader is known.
        let answer = match answer {
            Answer::NotLeader { .. } if via.is_some() => Answer::NotLeader { leader: None },
            answer => answer,
        };
        let name = [self.seed, 5, client as u64, op, at as u64];
        if let (Some(way_us), Some(latency_us)) = (way_us, self.client_latency(random(name))) {
            let event = Event::Answer { client, op, answer: Box::new(answer), via };
            self.queue.plan(self.now_us + way_us + latency_us, event);
        }
    }

    /// Something happens at a client.
    pub(super) fn client_event(&mut self, event: Event) -> Check {
        match event {
            Event::Answer { client, op, answer, via } => {
                self.trace.note([31, client as u64, self.now_us]);
                let lives = |(at, epoch): (usize, u32)| self.nodes[at].is_up() && self.nodes[at].epoch == epoch;
                if !via.is_none_or(lives) {
                    return Ok(());
                }
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
        let may_try = trying.current.as_ref().is_some_and(|current| current.attempts < attempts);
        if hint.is_some() || !trying.is_stubborn || !may_try {
            trying.turn(hint);
        }
        if may_try {
            return self.ask(client);
        }
        self.coverage.note_rare(Rare::GaveUp);
        if let Some(current) = trying.current.take() {
            self.history.end(current.place, self.steps, None);
        }
        self.begin_next(client);
    }
}
