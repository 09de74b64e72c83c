//! Reads by a confirmed index (§8; thesis §6.4): what they may see, and what must have been heard before.
//!
//! Invariant: nothing the server says about its rounds is believed; the numbers of the calls that crossed the network tell
//! which answers came after a read.

use std::collections::BTreeMap;

use raftian_raft::{Body, Index, Message, NodeId, Server, Term, Time};
use raftian_script::Invariant;

use super::{Oracle, View};
use crate::invariant::Check;
use crate::members::Ids;

/// The reads of one server since it started, and what can confirm them.
#[derive(Debug, Default)]
pub(super) struct ReadsView {
    waiting: Vec<Asked>,
    /// The latest call that left. Calls are numbered anew after a restart.
    sent: u64,
    /// The latest call that each other server has answered, in the term in which the answer came.
    answered: BTreeMap<NodeId, u64>,
}

/// A read that waits.
#[derive(Clone, Copy, Debug)]
struct Asked {
    ticket: u64,
    /// How much was committed when it came.
    committed: Index,
    /// The latest call that had left when it came.
    sent: u64,
    /// Whether a lease vouched for its server then.
    is_leased: bool,
}

impl ReadsView {
    /// The number of the last call that left.
    pub(super) fn latest_call(&self) -> u64 {
        self.sent
    }

    /// A message leaves.
    pub(super) fn note_sent(&mut self, message: &Message) {
        if matches!(message.body, Body::Request(_)) {
            self.sent = self.sent.max(message.call);
        }
    }
}

impl Oracle {
    /// A server of this term has the answer of another to a call.
    pub(crate) fn answered(&mut self, at: usize, from: NodeId, term: Term, call: u64, server: &Server, now: Time) {
        let View { reads, lease, .. } = &mut self.views[at];
        if server.hard_state().term == term {
            let latest = reads.answered.entry(from).or_default();
            *latest = call.max(*latest);
            lease.note_answered(from, term, call);
            self.note_confirmed(at, server, now);
        }
    }

    /// Somebody asks a server to read.
    pub(crate) fn read_asked(&mut self, at: usize, ticket: u64, server: &Server, now: Time) {
        let committed = self.committed();
        let is_leased = self.is_leased(at, server, now);
        let reads = &mut self.views[at].reads;
        reads.waiting.push(Asked { ticket, committed, sent: reads.sent, is_leased });
    }

    /// A server says from which index on a read may be served, or that it cannot.
    pub(crate) fn read_answered(&mut self, at: usize, ticket: u64, index: Option<Index>) -> Check {
        let waiting = &mut self.views[at].reads.waiting;
        let asked = waiting.iter().position(|asked| asked.ticket == ticket).map(|place| waiting.swap_remove(place));
        let id = self.views[at].id;
        self.findings
            .require(asked.is_some(), Invariant::ReadIndexFresh, || format!("{id} answered read {ticket} twice"))?;
        let (Some(Asked { committed, sent, is_leased, .. }), Some(index)) = (asked, index) else { return Ok(()) };
        self.findings.require(index >= committed, Invariant::ReadIndexFresh, || {
            format!("{id} lets a read see index {index}, but {committed} was committed before it was asked for")
        })?;
        let View { log, reads, .. } = &self.views[at];
        let heard = reads.answered.iter().filter(|(_, call)| **call > sent);
        let heard: Ids = heard.map(|(from, _)| *from).chain([id]).collect();
        let members = log.changes().last().map_or(self.first, |(_, members)| *members);
        self.findings.require(is_leased || members.is_quorum(heard), Invariant::ReadRound, || {
            format!("{id} serves read {ticket} without answers of a quorum of ({members}) to calls after number {sent}")
        })
    }
}
