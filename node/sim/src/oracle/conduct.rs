//! What a server may do of itself: who stands for election and is handed the lead, whom it lets stand against its leader,
//! and how often it sends the same.
//!
//! Invariant: this follows from messages, clocks and logs alone. In doubt a server is right: what came in together with the
//! reason for what it did may have come before it.

use std::collections::BTreeMap;
use std::time::Duration;

use raftian_raft::{Body, Message, NodeId, Reply, Request, RoleKind, Term, Time};

use super::{Oracle, Seen};
use crate::invariant::{Check, Invariant, id_at, place};
use crate::members::{Members, bit};

/// What one server did and heard since it started.
#[derive(Debug, Default)]
pub(super) struct Conduct {
    /// What it sent last to each other server, apart from heartbeats, that was neither answered nor lost: in which term, by
    /// which call, and when.
    in_flight: BTreeMap<usize, (Term, u64, Time)>,
    /// The term of its leader, and when it last heard from it.
    heard_leader: Option<(Term, Time)>,
    /// The calls that ask for a vote or a pre-vote, and the terms that they ask about: a server that restarts numbers its
    /// calls anew. And whether this one had heard from its leader just before, each time that it was asked.
    asked: BTreeMap<(NodeId, u64, Term), bool>,
}

impl Conduct {
    /// A call was answered, or the transport has given it up.
    pub(super) fn is_over(&mut self, peer: usize, call: u64) {
        if self.in_flight.get(&peer).is_some_and(|(_, of, _)| *of == call) {
            self.in_flight.remove(&peer);
        }
    }

    /// Its members are others: who is added again is sent everything anew.
    pub(super) fn meets_members(&mut self) {
        self.in_flight.clear();
    }

    /// A message is about to be taken in, by a server that knows of this term at least, and protects its leader for
    /// `protection` if at all.
    pub(super) fn hears(&mut self, message: &Message, known: Term, now: Time, protection: Option<Duration>) {
        let Message { from, term, call, .. } = *message;
        match message.body {
            Body::Request(Request::AppendEntries(_) | Request::InstallSnapshot(_)) if term >= known => {
                self.heard_leader = Some((term, now));
            }
            Body::Request(Request::TimeoutNow) => self.heard_leader = None,
            Body::Request(Request::RequestVote { transfer: true, .. }) => {}
            // A server that has voted in a term may say so again.
            Body::Request(Request::RequestVote { .. }) if term <= known => {}
            Body::Request(Request::PreVote(_) | Request::RequestVote { .. }) => {
                let heard = self.heard_leader.filter(|(of, _)| *of == known).map(|(_, at)| now.since(at));
                let is_disturbing = heard.zip(protection).is_some_and(|(ago, protection)| ago < protection);
                *self.asked.entry((from, call, term)).or_insert(true) &= is_disturbing;
            }
            _ => {}
        }
    }
}

impl Oracle {
    /// A server's call was answered, or the transport has given it up.
    pub(crate) fn call_is_over(&mut self, at: usize, peer: usize, call: u64) {
        self.views[at].conduct.is_over(peer, call);
    }

    /// Who stands for election has a vote, or had one before a change that may not be committed (thesis §4.2.2).
    pub(super) fn check_standing(&mut self, at: usize, now: Seen) -> Check {
        if !matches!(now.role, RoleKind::PreCandidate | RoleKind::Candidate) {
            return Ok(());
        }
        let id = id_at(at);
        let changes = self.views[at].log.changes();
        let lately = changes.iter().rev().take(2).map(|(_, members)| *members);
        let first = Some(self.first).filter(|_| changes.len() < 2);
        let has_vote = |members: Members| (members.voters | members.outgoing) & bit(id) != 0;
        let may_stand = lately.chain(first).any(has_vote);
        self.findings.require(may_stand, Invariant::LearnersDoNotCount, || {
            format!("{id} stands for election in term {}, and has no vote", now.term)
        })
    }

    /// A message leaves its sender, at this time on its clock.
    pub(super) fn check_conduct(&mut self, message: &Message, now: Time) -> Check {
        let Message { from, to, term, call, .. } = *message;
        let view = &mut self.views[place(from)];
        match &message.body {
            Body::Request(Request::TimeoutNow) => {
                let members = view.log.changes().last().map_or(self.first, |(_, members)| *members);
                let has_vote = (members.voters | members.outgoing) & bit(to) != 0;
                self.findings.require(has_vote, Invariant::LearnersDoNotCount, || {
                    format!("{from} hands the lead of term {term} to {to}, which has no vote ({members})")
                })
            }
            Body::Request(Request::InstallSnapshot(_)) => self.check_sent_once(message, now),
            Body::Request(Request::AppendEntries(append)) if !append.entries.is_empty() => {
                self.check_sent_once(message, now)
            }
            Body::Reply(Reply::PreVote { granted } | Reply::RequestVote { granted }) => {
                // Only a grant answers for the term that was asked about.
                let is_right = !granted || view.conduct.asked.get(&(to, call, term)) != Some(&true);
                view.conduct.asked.retain(|(from, number, _), _| (*from, *number) != (to, call));
                self.findings.require(is_right, Invariant::Undisturbed, || {
                    format!("{from} is for {to} in term {term}, though it had heard from its leader just before")
                })
            }
            _ => Ok(()),
        }
    }

    /// One request with entries, or a part of a snapshot, is on its way to a server at a time, unless it takes very long.
    fn check_sent_once(&mut self, message: &Message, now: Time) -> Check {
        let Message { from, to, term, call, .. } = *message;
        let sent = &mut self.views[place(from)].conduct.in_flight;
        let before = sent.insert(place(to), (term, call, now)).filter(|(of, _, _)| *of == term);
        let other = before.filter(|(_, _, left)| now.since(*left) < self.shortest_timeout).map(|(_, call, _)| call);
        self.findings.require(other.is_none(), Invariant::MessageBudget, || {
            let other = other.unwrap_or_default();
            format!("{from} sends entries to {to} by call {call}, though call {other} is neither answered nor lost")
        })
    }
}
