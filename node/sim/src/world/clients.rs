//! What clients ask of nodes, and what they are told.
//!
//! Invariant: a client gets a success only for what was committed; any other outcome is unknown to it.

use bytes::Bytes;
use raftian_apps::{Refusal, Response};
use raftian_driver::{Heard, Unanswered};
use raftian_raft::Index;
use raftian_script::Op;

use super::World;
use crate::client::Current;
use crate::coverage::Rare;
use crate::invariant::{Check, place};
use crate::journal::What;
use crate::network::Fate;
use crate::node::{Asker, Input};
use crate::queue::{Answer, Event, Request, Via};
use crate::random::{Stream, random};

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
        (current.call, current.attempts, current.is_open) = (call, current.attempts + 1, true);
        let name =
            [self.seed, Stream::ClientRequest as u64, client as u64, current.serial, u64::from(current.attempts)];
        let Current { place, op, ref command, .. } = *current;
        let request =
            Box::new(Request { client, place: place as u64, op, command: command.clone(), via: None, is_copy: false });
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
        let Some(via) = request.via else {
            return if self.nodes[at].is_up() { self.arrive(at, Input::Ask(request)) } else { Ok(()) };
        };
        let is_up = self.nodes[at].is_up();
        if is_up && self.network.admits(via.node, at, self.now_us) {
            self.require_open(at, via.node, at)?;
            return self.arrive(at, Input::Ask(request));
        }
        // The node that passed it on hears so, from the one that knows of the cut, or from a transport that reports it.
        if is_up || self.plan.call_timeout {
            self.coverage.note_rare(Rare::ForwardRefused);
            self.heard(at, Asker::from(&request), via, Heard::NotTaken, 0);
        }
        Ok(())
    }

    /// A node passes a client's question on to the leader.
    pub(super) fn pass_on(&mut self, at: usize, leader: usize, asker: Asker, command: Bytes) -> Check {
        let Asker { client: Some(client), place, op, .. } = asker else { return Ok(()) };
        let (fate, forwarded) = self.network.pass_on(at, leader, self.now_us, &mut self.coverage);
        let via = Some(Via { node: at, epoch: self.nodes[at].epoch, forwarded });
        let (first_us, second_us) = match fate {
            Fate::Lost => return Ok(()),
            Fate::Arrives(at_us) => (at_us, None),
            Fate::Twice(first_us, second_us) => (first_us, Some(second_us)),
        };
        self.require_open(at, at, leader)?;
        let arrivals = [Some(first_us), second_us].into_iter().flatten().zip([false, true]);
        for (at_us, is_copy) in arrivals {
            let request = Box::new(Request { client, place, op, command: command.clone(), via, is_copy });
            self.queue.plan(at_us, Event::Request { node: leader, request });
        }
        Ok(())
    }

    /// A node answers a client, by way of the node that passed the question on, if one did.
    pub(super) fn answer(&mut self, at: usize, asker: Asker, answer: Answer) -> Check {
        let Some(via) = asker.via else {
            self.answer_client(at, asker, answer, 0);
            return Ok(());
        };
        let Some(at_us) = self.network.answer_returns(at, via.node, self.now_us, &mut self.coverage) else {
            return Ok(());
        };
        self.require_open(at, at, via.node)?;
        self.require_open(via.node, at, via.node)?;
        let heard = match answer {
            Answer::Done { .. } => Heard::Answer(answer),
            Answer::NotLeader { .. } => Heard::NotTaken,
            Answer::TooMuchUncommitted | Answer::Replaced | Answer::Unknown => Heard::Failure(answer),
        };
        self.heard(at, asker, via, heard, at_us - self.now_us);
        Ok(())
    }

    /// A node hears, after so long, what became of a question that it passed on; or that it did not get through.
    fn heard(&mut self, at: usize, asker: Asker, via: Via, heard: Heard<Answer>, way_us: u64) {
        let answer = via.forwarded.end(heard).unwrap_or_else(|unanswered| match unanswered {
            Unanswered::NoLeader => Answer::NotLeader { leader: None },
            Unanswered::Unknown => Answer::Unknown,
        });
        self.answer_client(at, asker, answer, way_us);
    }

    /// An answer is on its way to a client, and has to go so far before.
    fn answer_client(&mut self, at: usize, asker: Asker, answer: Answer, way_us: u64) {
        let Asker { client: Some(client), place: op, via, .. } = asker else { return };
        let name = [self.seed, Stream::ClientAnswer as u64, client as u64, op, at as u64];
        if let Some(latency_us) = self.client_latency(random(name)) {
            let event = Event::Answer { client, op, answer: Box::new(answer), via };
            self.queue.plan(self.now_us + way_us + latency_us, event);
        }
    }

    /// Something happens at a client.
    pub(super) fn client_event(&mut self, event: Event) -> Check {
        match event {
            Event::Answer { client, op, answer, via } => {
                self.trace.note([31, client as u64, self.now_us]);
                let lives = |Via { node, epoch, .. }| self.nodes[node].is_up() && self.nodes[node].epoch == epoch;
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
                match &mut self.clients[client].current {
                    Some(current) if current.call == call => current.is_unknown |= current.is_open,
                    _ => return Ok(()),
                }
                self.trace.note([32, client as u64, self.now_us]);
                self.try_elsewhere(client, None)
            }
            _ => Ok(()),
        }
    }

    fn answered(&mut self, client: usize, answer: Answer) -> Check {
        if let Some(current) = &mut self.clients[client].current {
            current.is_open = false;
            current.is_unknown |= matches!(answer, Answer::Unknown);
        }
        match answer {
            Answer::Done { index, response } => self.told(client, index, response),
            Answer::NotLeader { leader: None } | Answer::TooMuchUncommitted => {
                self.wait_a_moment(client);
                Ok(())
            }
            Answer::NotLeader { leader } => self.try_elsewhere(client, leader.map(place)),
            Answer::Replaced | Answer::Unknown => self.try_elsewhere(client, None),
        }
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

    /// No other node can do better now: the client waits for a heartbeat's time.
    fn wait_a_moment(&mut self, client: usize) {
        let at_us = self.now_us + self.plan.heartbeat_interval.as_micros() as u64;
        if let Some(Current { call, .. }) = self.clients[client].current {
            self.queue.plan(at_us, Event::TimeOut { client, call });
        }
    }

    /// A client tries again at another node, or gives up.
    fn try_elsewhere(&mut self, client: usize, hint: Option<usize>) -> Check {
        let attempts = self.plan.client_attempts;
        let trying = &mut self.clients[client];
        let may_try = trying.current.as_ref().is_some_and(|current| current.attempts < attempts);
        if hint.is_some() || !trying.is_stubborn || !may_try {
            trying.turn(hint);
        }
        if may_try {
            self.ask(client);
            return Ok(());
        }
        self.coverage.note_rare(Rare::GaveUp);
        if let Some(current) = trying.current.take() {
            if current.is_unknown {
                self.history.end(current.place, self.steps, None);
            } else {
                self.history.refused(current.place, self.steps);
            }
            if !current.is_unknown && !current.op.is_read() {
                self.coverage.note_rare(Rare::RefusedForGood);
                self.oracle.refused(&trying.name, current.serial)?;
            }
        }
        self.begin_next(client);
        Ok(())
    }
}
