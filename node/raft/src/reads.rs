//! Reads without an entry in the log (§8; thesis §6.4).
//!
//! A leader may be deposed without knowing it. So a read is confirmed only after a quorum has replied to messages that
//! were sent after the read came: then no other leader can have committed an entry before the read that this leader
//! does not know. All reads that are pending when a round begins share it; reads that come later share the next one. A
//! *round* is the number of the first call that counts: replies to that call or any later one confirm it.
//!
//! With leases (thesis §6.4.1), a confirmed round also allows the reads of a limited time after it.
//!
//! Invariants: a round begins only when an entry of the leader's term is committed; before that the leader does not
//! know which entries are committed. A reply to a call that was sent before a read came never confirms that read.

use std::time::Duration;

use crate::core::Core;
use crate::mutant::Mutant;
use crate::rule::Rule;
use crate::{Index, NodeId, NotLeader, Time};

/// Identifies a read among those of one server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReadTicket(pub(crate) u64);

impl ReadTicket {
    /// Tickets are numbered from 1 in the order in which the reads came.
    pub fn number(self) -> u64 {
        self.0
    }
}

/// The outcome of a read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadOutcome {
    /// The read.
    pub ticket: ReadTicket,
    /// The index that must be applied before the read is served; or an error if the leader stepped down before.
    pub index: Result<Index, NotLeader>,
}

/// The reads of a leader.
#[derive(Debug, Default)]
pub(crate) struct Reads {
    waiting: Vec<ReadTicket>,
    round: Option<Round>,
    /// When the last confirmed round began.
    confirmed: Option<Time>,
}

#[derive(Debug)]
struct Round {
    first_call: u64,
    began: Time,
    index: Index,
    tickets: Vec<ReadTicket>,
}

impl Reads {
    /// Adds a read. With a valid lease it needs no round.
    pub(crate) fn add(&mut self, core: &mut Core, ticket: ReadTicket, lease: Option<Duration>) {
        let is_leased = self.is_leased(core.now, lease);
        core.exercised(Rule::of_lease(lease.and(self.confirmed), is_leased));
        match &mut self.round {
            _ if is_leased || core.mutant(Mutant::ReadWithoutQuorum) => core.finish_read(ticket, Ok(core.commit_index)),
            Some(round) if core.mutant(Mutant::ReadJoinsRoundUnderWay) => round.tickets.push(ticket),
            _ => self.waiting.push(ticket),
        }
    }

    /// Whether a read that comes now needs no round.
    pub(crate) fn is_leased(&self, now: Time, lease: Option<Duration>) -> bool {
        matches!((lease, self.confirmed), (Some(lease), Some(began)) if now.since(began) < lease)
    }

    /// The number of reads without an outcome.
    pub(crate) fn pending(&self) -> usize {
        self.waiting.len() + self.round.as_ref().map_or(0, |round| round.tickets.len())
    }

    /// Begins a round if there are pending reads, or `anyway`, unless one is in progress. Returns whether it did: then
    /// all followers must be sent a message.
    pub(crate) fn begin_round(&mut self, core: &mut Core, anyway: bool) -> bool {
        let is_due = self.round.is_none() && (anyway || !self.waiting.is_empty());
        let may_begin = core.has_committed_in_term() || core.mutant(Mutant::ReadBeforeNoop);
        core.exercised_if(is_due && !may_begin, Rule::ReadWaitsForNoop);
        core.exercised_if(self.round.is_some() && !self.waiting.is_empty(), Rule::ReadWaitsForRound);
        if is_due && may_begin {
            let tickets = std::mem::take(&mut self.waiting);
            core.exercised(Rule::of_round(tickets.len()));
            let (first_call, index) = (core.next_call(), core.commit_index);
            self.round = Some(Round { first_call, began: core.now, index, tickets });
        }
        is_due && may_begin
    }

    /// Whether a round is in progress.
    pub(crate) fn is_asking(&self) -> bool {
        self.round.is_some()
    }

    /// Each server of a quorum has replied to this call or a later one.
    pub(crate) fn answered(&mut self, core: &mut Core, call: u64) {
        if let Some(round) = self.round.take_if(|round| round.first_call <= call) {
            core.exercised(Rule::ReadRoundConfirmed);
            self.confirmed = Some(if core.mutant(Mutant::LeaseFromAnswer) { core.now } else { round.began });
            round.tickets.into_iter().for_each(|ticket| core.finish_read(ticket, Ok(round.index)));
        }
    }

    /// The leader steps down: all pending reads fail.
    pub(crate) fn fail(self, core: &mut Core, leader: Option<NodeId>) {
        let confirming = self.round.into_iter().flat_map(|round| round.tickets);
        for ticket in confirming.chain(self.waiting) {
            core.finish_read(ticket, Err(NotLeader { leader }));
        }
    }
}
