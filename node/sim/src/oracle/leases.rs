//! Leases (thesis §6.4.1): what may vouch for a read in place of a round of its own.
//!
//! Invariant: what a server says of its lease is not believed. A lease is what follows from the calls that left, from the
//! answers that came, and from the server's clock; and whoever says to have one must know all that is committed.

use std::collections::BTreeMap;
use std::time::Duration;

use raftian_raft::{Body, Index, Message, NodeId, Request, Server, Term, Time};
use raftian_script::Invariant;

use super::{Oracle, View};
use crate::invariant::Check;
use crate::members::{Ids, Members, bit};

/// What one server's lease may rest on, since it started.
#[derive(Debug, Default)]
pub(super) struct LeaseView {
    /// When the latest calls left, by number.
    left: BTreeMap<u64, Time>,
    /// For each other server, in which term it last answered, and when the call left that it answered.
    answered: BTreeMap<NodeId, (Term, Time)>,
    /// Of which term a quorum had answered calls that left at this time or later.
    confirmed: Option<(Term, Time)>,
    /// The last term in which it had another server campaign at once.
    gave_way: Term,
}

impl LeaseView {
    /// A message leaves. Calls that left longer ago than a lease lasts are forgotten.
    pub(super) fn note_sent(&mut self, message: &Message, now: Time, span: Duration) {
        let Body::Request(request) = &message.body else { return };
        if matches!(request, Request::TimeoutNow) {
            self.gave_way = self.gave_way.max(message.term);
        }
        self.left.insert(message.call, now);
        while self.left.first_entry().is_some_and(|first| now.since(*first.get()) >= span) {
            self.left.pop_first();
        }
    }

    /// An answer has come, in this term.
    pub(super) fn note_answered(&mut self, from: NodeId, term: Term, call: u64) {
        if let Some(&left) = self.left.get(&call) {
            let latest = self.answered.entry(from).or_insert((term, left));
            *latest = (*latest).max((term, left));
        }
    }

    /// Since when a quorum of these members has been heard of by this server, in this term.
    fn reached(&self, own: NodeId, members: Members, term: Term, now: Time) -> Option<Time> {
        let answered = self.answered.iter().filter(|(_, (of, _))| *of == term);
        let mut times: Vec<(Time, NodeId)> = answered.map(|(from, (_, left))| (*left, *from)).collect();
        times.sort_unstable_by(|a, b| b.cmp(a));
        let mut heard = Ids::default();
        let all = std::iter::once((now, own)).chain(times);
        all.map(|(left, from)| {
            heard = heard | bit(from);
            (left, members.is_quorum(heard))
        })
        .find_map(|(left, is_quorum)| is_quorum.then_some(left))
    }
}

impl Oracle {
    /// A quorum may have answered: one of the members in force, or of those before this step.
    pub(crate) fn note_confirmed(&mut self, at: usize, server: &Server, now: Time) {
        if self.lease_span.is_none() {
            return;
        }
        let (term, own) = (server.hard_state().term, self.views[at].id);
        let View { log, lease, .. } = &self.views[at];
        let before = log.changes().last().map_or(self.first, |(_, members)| *members);
        let members = server.configuration().map(Members::of).into_iter().chain([before]);
        let reached = members.filter_map(|members| lease.reached(own, members, term, now)).max();
        let confirmed = reached.map(|left| (term, left));
        let lease = &mut self.views[at].lease;
        lease.confirmed = lease.confirmed.max(confirmed);
    }

    /// Whether a read that comes now needs no round.
    pub(super) fn is_leased(&mut self, at: usize, server: &Server, now: Time) -> bool {
        let Some(span) = self.lease_span else { return false };
        self.note_confirmed(at, server, now);
        let (term, LeaseView { confirmed, gave_way, .. }) = (server.hard_state().term, &self.views[at].lease);
        let is_valid = confirmed.is_some_and(|(of, began)| of == term && now.since(began) < span);
        is_valid && *gave_way < term
    }

    /// A leader says that it has a lease, and would let reads see what it knows to be committed.
    pub(crate) fn check_lease(&mut self, at: usize, known: Index) -> Check {
        let committed = self.committed();
        self.findings.require(known >= committed, Invariant::LeaseTruth, || {
            format!("{} has a lease, and knows {known} to be committed, but {committed} is", self.views[at].id)
        })
    }
}
