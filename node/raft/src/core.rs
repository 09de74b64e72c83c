//! What a server is in every role: its term, vote and log, and the effects it has not handed out yet.
//!
//! Invariant: a message that promises something goes through [`Core::send_durably`]; it is released no earlier than
//! everything that was true when it was made.

use std::time::Duration;

use crate::log::Log;
use crate::ready::Ticket;
use crate::{
    Body, Configuration, Entry, Event, HardState, Index, LastEntry, Message, NodeId, Options, Payload, Persist, Ready,
    Reply, Request, Term, Time, Write,
};

/// The most committed entries handed out at once, so that a long replay does not starve the heartbeats.
const MAX_COMMITTED_PER_READY: usize = 4096;

#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) options: Options,
    pub(crate) now: Time,
    pub(crate) log: Log,
    pub(crate) commit_index: Index,
    hard_state: HardState,
    random: fastrand::Rng,
    calls: u64,

    /// The hard state handed to storage last, and the one known to be durable.
    handed_hard_state: HardState,
    durable_hard_state: HardState,
    /// Numbers of the last write handed out and of the last one known to be durable.
    handed: u64,
    durable: u64,

    messages: Vec<Message>,
    promises: Vec<Message>,
    events: Vec<Event>,
    /// The last entry handed to the application.
    delivered: Index,
}

impl Core {
    pub(crate) fn new(options: Options, hard_state: HardState, entries: Vec<Entry>, now: Time) -> Core {
        Core {
            random: options.random(),
            options,
            now,
            log: Log::recovered(entries),
            commit_index: 0,
            hard_state,
            calls: 0,
            handed_hard_state: hard_state,
            durable_hard_state: hard_state,
            handed: 0,
            durable: 0,
            messages: Vec::new(),
            promises: Vec::new(),
            events: Vec::new(),
            delivered: 0,
        }
    }

    pub(crate) fn id(&self) -> NodeId {
        self.options.id
    }

    pub(crate) fn term(&self) -> Term {
        self.hard_state.term
    }

    pub(crate) fn voted_for(&self) -> Option<NodeId> {
        self.hard_state.voted_for
    }

    pub(crate) fn configuration(&self) -> &Configuration {
        &self.options.configuration
    }

    /// Enters a later term, in which nobody has this server's vote yet (§5.1).
    pub(crate) fn enter_term(&mut self, term: Term) {
        debug_assert!(term > self.term(), "a term never falls, and within it a vote never changes");
        self.hard_state = HardState { term, voted_for: None };
    }

    /// Gives this term's vote. Once given it stands (§5.2).
    pub(crate) fn vote_for(&mut self, candidate: NodeId) {
        debug_assert!(self.voted_for().is_none_or(|given| given == candidate));
        self.hard_state.voted_for = Some(candidate);
        self.record(Event::Voted { term: self.term(), candidate });
    }

    /// Whether this server's vote for itself in the present term is on stable storage.
    pub(crate) fn own_vote_is_durable(&self) -> bool {
        self.durable_hard_state == self.hard_state && self.voted_for() == Some(self.id())
    }

    /// A new election time-out (§5.2: chosen randomly from a fixed interval).
    pub(crate) fn election_deadline(&mut self) -> Time {
        let Options { election_timeout, .. } = &self.options;
        let span_us = (election_timeout.end - election_timeout.start).as_micros() as u64;
        self.now + election_timeout.start + Duration::from_micros(self.random.u64(0..span_us.max(1)))
    }

    /// Appends an entry of the present term to a leader's log.
    pub(crate) fn append(&mut self, payload: Payload) -> Index {
        let index = self.log.last_index() + 1;
        self.log.push(Entry { index, term: self.term(), payload });
        index
    }

    pub(crate) fn record(&mut self, event: Event) {
        self.events.push(event);
    }

    /// A request that promises nothing new: a leader's AppendEntries, whose term has long been durable.
    pub(crate) fn call(&mut self, to: NodeId, request: Request) -> u64 {
        let message = self.request(to, self.term(), request);
        let call = message.call;
        self.messages.push(message);
        call
    }

    /// A request that may leave when the present state is durable. Says its number.
    pub(crate) fn call_durably(&mut self, to: NodeId, term: Term, request: Request) -> u64 {
        let message = self.request(to, term, request);
        let call = message.call;
        self.promises.push(message);
        call
    }

    /// A reply, which may leave when the present state is durable.
    pub(crate) fn reply(&mut self, to: NodeId, call: u64, term: Term, reply: Reply) {
        self.promises.push(Message { from: self.id(), to, term, call, body: Body::Reply(reply) });
    }

    fn request(&mut self, to: NodeId, term: Term, request: Request) -> Message {
        self.calls += 1;
        Message { from: self.id(), to, term, call: self.calls, body: Body::Request(request) }
    }

    /// The number the next request will have.
    pub(crate) fn next_call(&self) -> u64 {
        self.calls + 1
    }

    /// Takes all effects.
    pub(crate) fn take_ready(&mut self) -> Ready {
        let hard_state = (self.hard_state != self.handed_hard_state).then_some(self.hard_state);
        self.handed_hard_state = self.hard_state;
        let write = Write { hard_state, entries: self.log.hand_over() };

        let mut messages = std::mem::take(&mut self.messages);
        let promises = std::mem::take(&mut self.promises);
        let all_is_durable = write.is_empty() && self.handed == self.durable;
        let persist = if all_is_durable {
            // Nothing to wait for: every promise is kept already.
            messages.extend(promises);
            None
        } else if write.is_empty() && promises.is_empty() {
            None
        } else {
            self.handed += 1;
            let ticket = Ticket { number: self.handed, log: self.log.version(), hard_state: self.hard_state };
            Some(Persist::new(write, promises, ticket))
        };

        let first = self.delivered + 1;
        let due = usize::try_from(self.commit_index - self.delivered).unwrap_or(usize::MAX);
        let committed = self.log.from(first, due.min(MAX_COMMITTED_PER_READY)).to_vec();
        self.delivered += committed.len() as Index;
        Ready { messages, persist, committed, events: std::mem::take(&mut self.events) }
    }

    /// Whether committed entries wait to be taken.
    pub(crate) fn has_undelivered(&self) -> bool {
        self.delivered < self.commit_index
    }

    /// Notes that a write is durable.
    ///
    /// # Panics
    /// When writes come back in another order than they were handed out: the driver's mistake.
    pub(crate) fn note_durable(&mut self, ticket: Ticket) {
        assert_eq!(ticket.number, self.durable + 1, "writes must be persisted in order");
        self.durable = ticket.number;
        self.durable_hard_state = ticket.hard_state;
        self.log.synced(ticket.log);
    }

    /// Whether a candidate whose log ends in `last` is at least as up to date as this server (§5.4.1).
    pub(crate) fn is_up_to_date(&self, last: LastEntry) -> bool {
        last >= self.log.last()
    }
}
