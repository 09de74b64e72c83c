//! Elections: who may lead.

use std::collections::BTreeMap;

use raftian_raft::{Index, Message, NodeId, RoleKind, Server, Term, Time};
use raftian_script::Invariant;

use super::durable::{is_of_own_term, is_outlived};
use super::{Oracle, Seen, View};
use crate::invariant::Check;
use crate::members::Ids;

/// What a leader took for stored at each other server when it was seen last.
#[derive(Debug, Default)]
pub(super) struct Matched {
    term: Term,
    /// Where its configuration is in the log: a server that is added again may have lost what it had.
    since: Index,
    indexes: BTreeMap<NodeId, Index>,
}

impl Oracle {
    /// A message is about to be taken in.
    pub(crate) fn hears(&mut self, at: usize, message: &Message, now: Time, has_check_quorum: bool) {
        if message.to != self.views[at].id || self.members(at).has_successor_of(message.from) {
            // It is of or to another incarnation, and means nothing here.
            return;
        }
        let View { heard, seen, conduct, .. } = &mut self.views[at];
        let known = seen.map_or(0, |seen| seen.term).max(*heard);
        *heard = if is_of_own_term(message) { message.term.max(*heard) } else { *heard };
        let protection = Some(self.shortest_timeout).filter(|_| has_check_quorum);
        conduct.hears(message, known, now, protection);
    }

    /// A term is entered by standing in it, or because a message was of it: asking around raises none (thesis §9.6).
    pub(crate) fn check_cause(&mut self, at: usize, before: Seen, now: Seen) -> Check {
        let known = before.term.max(self.views[at].heard);
        let stood = matches!(now.role, RoleKind::Candidate | RoleKind::Leader);
        self.findings.require(now.term <= known || stood, Invariant::Undisturbed, || {
            format!("{} is {:?} in term {}, of which it has not heard", self.views[at].id, now.role, now.term)
        })
    }

    /// A server that was sent something by a leader of an earlier term waits no longer for it that it did before.
    pub(crate) fn check_deadline_kept(&mut self, at: usize, is_kept: bool) -> Check {
        self.findings.require(is_kept, Invariant::Undisturbed, || {
            format!("{} put its election off for a leader of an earlier term", self.views[at].id)
        })
    }

    /// A leader took this for stored at another server.
    #[cfg(test)]
    pub(crate) fn tell_matched(&mut self, at: usize, peer: NodeId, index: Index) {
        self.views[at].matched.indexes.insert(peer, index);
    }

    /// As long as a leader leads, with the same members, what it takes for stored elsewhere grows.
    pub(crate) fn check_match_rises(&mut self, at: usize, server: &Server) -> Check {
        let Oracle { views, findings, .. } = self;
        let View { id, log, matched, .. } = &mut views[at];
        let (term, since) = (server.hard_state().term, log.changes().last().map_or(0, |(index, _)| *index));
        if (matched.term, matched.since) != (term, since) {
            *matched = Matched { term, since, indexes: BTreeMap::new() };
        }
        let peers: Vec<(NodeId, Index)> = server.match_indexes().collect();
        matched.indexes.retain(|peer, _| peers.iter().any(|(known, _)| known == peer));
        for (peer, now) in peers {
            let before = matched.indexes.insert(peer, now).unwrap_or(0);
            findings.require(now >= before, Invariant::MatchIndexRises, || {
                format!("the match index of {peer} fell from {before} to {now} at {id}")
            })?;
        }
        Ok(())
    }

    /// A server leads a term it did not lead before: nobody else has, a quorum has durably voted for it, and it has all
    /// that was committed earlier.
    pub(super) fn check_election(&mut self, at: usize, now: Seen) -> Check {
        let (id, term) = (self.views[at].id, now.term);
        let first = *self.leaders.entry(term).or_insert(id);
        self.findings
            .require(first == id, Invariant::ElectionSafety, || format!("{first} and {id} both led term {term}"))?;

        let votes = self.durable_votes(term, id);
        let log = &self.views[at].log;
        // A cluster of one goes on in the same step; what decided is what stood before the leader's no-op.
        let elected_at = log.first_of_term(term) - 1;
        let electing = log.changes_up_to(elected_at).last().map_or(self.first, |(_, members)| *members);
        let counted_learners = !electing.is_quorum(votes) && electing.is_quorum_with_learners(votes);
        self.findings.require(!counted_learners, Invariant::LearnersDoNotCount, || {
            format!("{id} leads term {term} by the votes of learners ({electing})")
        })?;
        let by_name = !electing.is_quorum(votes) && electing.is_quorum_by_name(votes);
        self.findings.require(!by_name, Invariant::IncarnationsApart, || {
            format!("{id} leads term {term} by the votes of other incarnations than those of ({electing})")
        })?;
        self.findings.require(electing.is_quorum(votes), Invariant::ElectionQuorum, || {
            format!("{id} leads term {term} without durable votes of a quorum of ({electing})")
        })?;

        let earlier = self.committed.last_before_term(term);
        self.findings.require(
            log.at(earlier) == self.committed.log().at(earlier),
            Invariant::LeaderCompleteness,
            || {
                let from = log.first_difference(self.committed.log());
                format!("{id} leads term {term} without entry {from}, committed before (of {earlier})")
            },
        )
    }

    /// A leader has heard from a follower: what it takes for stored there, is (unless the follower went on to a later
    /// term, and may have discarded it since). Of one that was removed, nothing is taken for stored.
    pub(crate) fn check_match_index(&mut self, at: usize, server: &Server, from: NodeId) -> Check {
        if !server.configuration().is_some_and(|members| members.contains(from)) {
            return Ok(());
        }
        let Some(index) = server.match_index(from) else { return Ok(()) };
        let Some(View { disk, went_back, .. }) = self.everyone().find(|view| view.id == from) else { return Ok(()) };
        // Of a disk that went back in time the leader of that term has yet to hear.
        let term = server.hard_state().term;
        if disk.term() > term || *went_back == Some(term) {
            return Ok(());
        }
        let mark = self.views[at].log.at(index);
        let is_stored = mark.is_some_and(|mark| disk.stores(index, mark));
        self.findings.require(is_stored, Invariant::MatchIndexTruth, || {
            format!("{} takes {index} for the match index of {from}, whose disk says otherwise", self.views[at].id)
        })
    }

    fn durable_votes(&self, term: Term, candidate: NodeId) -> Ids {
        let is_final = |View { disk, cast, .. }: &View| {
            disk.vote_in(term) == Some(candidate) || is_outlived(disk, cast, term, candidate)
        };
        self.everyone().filter(|view| is_final(view)).map(|view| view.id).collect()
    }
}
