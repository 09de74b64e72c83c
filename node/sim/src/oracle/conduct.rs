//! What a server may do of itself: who stands for election and is handed the lead, whom it lets stand against its leader,
//! and how often it sends the same.
//!
//! Invariant: this follows from messages, clocks and logs alone. In doubt a server is right: what came in together with the
//! reason for what it did may have come before it.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::time::Duration;

use raftian_raft::{AppendReply, Body, Index, Message, NodeId, Reply, Request, RoleKind, SnapshotReply, Term, Time};
use raftian_script::Invariant;

use super::{Oracle, Seen};
use crate::invariant::{Check, place};
use crate::members::Members;

/// What one server did and heard since it started.
#[derive(Debug, Default)]
pub(super) struct Conduct {
    /// What it sent last to each other server that was neither answered nor lost.
    in_flight: BTreeMap<NodeId, InFlight>,
    /// The term of its leader, the leader, and when it last heard from it.
    heard_leader: Option<(Term, NodeId, Time)>,
    /// The calls that ask for a vote or a pre-vote, and the terms that they ask about: a server that restarts numbers its
    /// calls anew. And whether this one had heard from its leader just before, each time that it was asked.
    asked: BTreeMap<(NodeId, u64, Term), bool>,
}

/// A request with entries, or with a part of a snapshot, that was neither answered nor lost.
#[derive(Debug)]
struct InFlight {
    term: Term,
    is_snapshot: bool,
    /// The first call and the last one that may have carried it: what one of them is told is true for all. A heartbeat may
    /// be the first, which from outside is an AppendEntries like others.
    calls: RangeInclusive<u64>,
    /// The last entry that it brings.
    end: Index,
    /// When the last of them left; `None` if it may be sent again at any time.
    left: Option<Time>,
    /// How many copies there are, and whether a later call was answered since the last.
    copies: u32,
    is_doubted: bool,
    /// Whether a heartbeat has left since the last copy to find out whether it is lost.
    is_asked: bool,
}

impl InFlight {
    /// For how long no answer to the last copy means nothing: the shortest answer that is reckoned with takes a quarter of a
    /// millisecond.
    fn doubted_after(&self) -> Duration {
        Duration::from_micros(250).saturating_mul(4_u32.saturating_pow(self.copies))
    }
}

impl Conduct {
    /// What is on its way to the receiver of this message, or else this, which ends with that entry.
    fn in_flight(&mut self, message: &Message, end: Index) -> &mut InFlight {
        let Message { to, term, call, .. } = *message;
        let (is_snapshot, is_heartbeat) = match &message.body {
            Body::Request(Request::AppendEntries(append)) => (false, append.entries.is_empty()),
            _ => (true, false),
        };
        let new = || InFlight {
            term,
            is_snapshot,
            calls: call..=call,
            end,
            left: None,
            copies: 0,
            is_doubted: false,
            is_asked: false,
        };
        let sent = self.in_flight.entry(to).or_insert_with(new);
        if sent.term != term || sent.is_snapshot != is_snapshot && !is_heartbeat {
            *sent = new();
        }
        sent
    }

    /// A call was answered. What is known to agree then may be all that was sent.
    fn is_over(&mut self, message: &Message, is_snapshot: bool, matched: Option<Index>) {
        let Message { from, term, call, .. } = *message;
        let is_over = |sent: &InFlight| match matched {
            Some(index) => sent.end <= index,
            None => sent.calls.contains(&call) && sent.is_snapshot == is_snapshot,
        };
        let Some(sent) = self.in_flight.get_mut(&from).filter(|sent| sent.term == term) else { return };
        sent.is_doubted |= *sent.calls.end() < call;
        if is_over(sent) {
            self.in_flight.remove(&from);
        }
    }

    /// Whether this message is about to leave to find out whether a request is lost: the first heartbeat beside the last copy,
    /// when an answer should have come long ago, and before the next heartbeat is due.
    pub(super) fn asks(&mut self, message: &Message, now: Time, interval: Duration) -> bool {
        let Body::Request(Request::AppendEntries(append)) = &message.body else { return false };
        let of_term = |sent: &&mut InFlight| sent.term == message.term && append.entries.is_empty();
        let Some(sent) = self.in_flight.get_mut(&message.to).filter(of_term) else { return false };
        let is_due = sent.left.is_some_and(|left| (sent.doubted_after()..interval).contains(&now.since(left)));
        is_due && !std::mem::replace(&mut sent.is_asked, true)
    }

    /// The transport has given up a call.
    fn is_lost(&mut self, peer: NodeId, call: u64) {
        if let Some(sent) = self.in_flight.get_mut(&peer).filter(|sent| *sent.calls.end() == call) {
            sent.left = None;
        }
    }

    /// Its members are others. A server that is added, maybe again, is sent everything anew, and what is on its way to it is not
    /// the same as before.
    pub(super) fn meets_members(&mut self, before: Members, now: Members) {
        let is_added = |peer: NodeId| now.contains(peer) && !before.contains(peer);
        self.in_flight.retain(|peer, _| !is_added(*peer));
    }

    /// A message is about to be taken in, by a server that knows of this term at least, and protects its leader for
    /// `protection` if at all.
    pub(super) fn hears(&mut self, message: &Message, known: Term, now: Time, protection: Option<Duration>) {
        let Message { from, term, call, .. } = *message;
        match message.body {
            Body::Request(Request::AppendEntries(_) | Request::InstallSnapshot(_)) if term >= known => {
                self.heard_leader = Some((term, from, now));
            }
            Body::Request(Request::TimeoutNow) => self.heard_leader = None,
            Body::Request(Request::RequestVote { transfer: true, .. }) => {}
            // A server that has voted in a term may say so again.
            Body::Request(Request::RequestVote { .. }) if term <= known => {}
            // It may be meant for a call of an earlier life.
            Body::Reply(
                Reply::AppendEntries(AppendReply::StaleTerm) | Reply::InstallSnapshot(SnapshotReply::StaleTerm),
            ) => self.is_lost(from, call),
            Body::Reply(Reply::AppendEntries(reply)) => {
                let matched = if let AppendReply::Matched(index) = reply { Some(index) } else { None };
                self.is_over(message, false, matched);
            }
            Body::Reply(Reply::InstallSnapshot(reply)) => {
                let matched = if let SnapshotReply::Installed(index) = reply { Some(index) } else { None };
                self.is_over(message, true, matched);
            }
            Body::Request(Request::PreVote(_) | Request::RequestVote { .. }) => {
                // A leader that asks for votes in a later term has stepped down.
                let protects = |leader: &(Term, NodeId, Time)| leader.0 == known && (leader.1 != from || term <= known);
                let heard = self.heard_leader.filter(protects).map(|(_, _, at)| now.since(at));
                let is_disturbing = heard.zip(protection).is_some_and(|(ago, protection)| ago < protection);
                *self.asked.entry((from, call, term)).or_insert(true) &= is_disturbing;
            }
            _ => {}
        }
    }
}

impl Oracle {
    /// The transport of a server has given up a call.
    pub(crate) fn call_is_lost(&mut self, at: usize, peer: NodeId, call: u64) {
        self.views[at].conduct.is_lost(peer, call);
    }

    /// A server begins anew with another one, whose disk went back in time: all is sent again.
    pub(crate) fn begins_again(&mut self, at: usize, peer: NodeId) {
        self.views[at].conduct.in_flight.remove(&peer);
    }

    /// Who stands for election has a vote, or had one before a change that may not be committed (thesis §4.2.2).
    pub(super) fn check_standing(&mut self, at: usize, now: Seen) -> Check {
        if !matches!(now.role, RoleKind::PreCandidate | RoleKind::Candidate) {
            return Ok(());
        }
        let id = self.views[at].id;
        let changes = self.views[at].log.changes();
        let lately = changes.iter().rev().take(2).map(|(_, members)| *members);
        let first = Some(self.first).filter(|_| changes.len() < 2);
        let has_vote = |members: Members| (members.voters | members.outgoing).contains(id);
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
            // Of a batch amid which it was deposed, only the log at the end is known.
            Body::Request(Request::TimeoutNow) if !view.seen.is_some_and(|seen| seen.leads(term)) => Ok(()),
            Body::Request(Request::TimeoutNow) => {
                let members = view.log.changes().last().map_or(self.first, |(_, members)| *members);
                let has_vote = (members.voters | members.outgoing).contains(to);
                self.findings.require(has_vote, Invariant::LearnersDoNotCount, || {
                    format!("{from} transfers its leadership of term {term} to {to}, which has no vote ({members})")
                })
            }
            Body::Request(Request::InstallSnapshot(chunk)) => self.check_sent_once(message, chunk.last.index, now),
            Body::Request(Request::AppendEntries(append)) => match append.entries.last() {
                Some(last) => self.check_sent_once(message, last.index, now),
                None => {
                    let sent = view.conduct.in_flight(message, append.prev_log_index);
                    sent.end = sent.end.max(append.prev_log_index);
                    Ok(())
                }
            },
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
    fn check_sent_once(&mut self, message: &Message, end: Index, now: Time) -> Check {
        let Message { from, to, call, .. } = *message;
        let sent = self.views[place(from)].conduct.in_flight(message, end);
        let patience =
            if sent.is_doubted { sent.doubted_after().min(self.shortest_timeout) } else { self.shortest_timeout };
        let is_early = sent.left.is_some_and(|left| now.since(left) < patience);
        let (first, other) = (*sent.calls.start(), *sent.calls.end());
        (sent.calls, sent.end, sent.left) = (first..=call, end, Some(now));
        (sent.copies, sent.is_doubted, sent.is_asked) = (sent.copies + 1, false, false);
        self.findings.require(!is_early, Invariant::MessageBudget, || {
            format!("{from} sends entries to {to} by call {call}, though call {other} is neither answered nor lost")
        })
    }
}
