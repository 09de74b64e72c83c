//! A healed, quiet cluster stays as it is: its leader leads on, nobody stands or votes, and messages are those that
//! heartbeats and commands need.
//!
//! Invariant: it is judged only from when the cluster has settled until it is disturbed again; what happens outside of the
//! members that were up then is not judged.

use std::time::Duration;

use raftian_raft::{Body, Message, NodeId, Reply, Request, RoleKind, Term, Time};
use raftian_script::{Invariant, MAX_NODES};

use super::{Oracle, Seen, View};
use crate::invariant::{Check, place};
use crate::members::Ids;

/// What is to stay.
#[derive(Debug)]
pub(super) struct Steady {
    leader: NodeId,
    term: Term,
    /// The members that follow it, and it.
    members: Ids,
    /// All members, up or down. Its messages to servers that are leaving are not judged: one may yet catch up.
    all: Ids,
    /// The interval of the leader's heartbeats.
    interval: Duration,
    counts: Counts,
}

/// The messages on the leader's links since they were counted anew.
#[derive(Debug)]
struct Counts {
    /// The leader's last call before. What answers an earlier one, or one of an earlier life, may have been held up.
    after_call: u64,
    /// How many requests left for each server, and how many replies came from each.
    sent: [u64; MAX_NODES],
    returned: [u64; MAX_NODES],
    /// How many of those that left were heartbeats out of turn, which found out whether a request is lost.
    questions: [u64; MAX_NODES],
}

impl Counts {
    fn new(after_call: u64) -> Counts {
        Counts { after_call, sent: [0; MAX_NODES], returned: [0; MAX_NODES], questions: [0; MAX_NODES] }
    }
}

impl Steady {
    fn has(&self, id: NodeId) -> bool {
        self.members.contains(id)
    }

    /// What a message shows that does not belong to a quiet cluster.
    fn disturbance(&self, message: &Message) -> Option<&'static str> {
        match message.body {
            Body::Request(Request::PreVote(_) | Request::RequestVote { .. }) => Some("stands for election"),
            Body::Request(Request::TimeoutNow) => Some("wants an election"),
            Body::Reply(Reply::PreVote { granted: true } | Reply::RequestVote { granted: true }) => Some("votes"),
            _ if message.term > self.term => Some("is in a later term"),
            _ => None,
        }
    }
}

impl Oracle {
    /// From now on this leader stays, and of `all` members these follow it; its heartbeats have this interval.
    pub(crate) fn settles(&mut self, leader: NodeId, term: Term, members: Ids, all: Ids, interval: Duration) {
        self.steady = Some(Steady { leader, term, members, all, interval, counts: Counts::new(0) });
    }

    /// From now on messages on the leader's links are counted anew.
    pub(crate) fn count_anew(&mut self) {
        if let Some(steady) = &mut self.steady {
            steady.counts = Counts::new(self.views[place(steady.leader)].reads.latest_call());
        }
    }

    /// The quiet is over. No link of the leader has had more messages than this, but for one question beside each copy of a
    /// request that is not answered: the doubt about a copy is four times as long as about the one before, so that a peer
    /// that is down is asked a few times and not for ever.
    pub(crate) fn check_quiet(&mut self, most: u64) -> Check {
        let Some(Steady { leader, all, counts, .. }) = self.steady.take() else { return Ok(()) };
        for (at, View { id, .. }) in self.views.iter().enumerate().filter(|(_, view)| view.id != leader) {
            if !all.contains(*id) {
                continue;
            }
            let Counts { sent, returned, questions, .. } = &counts;
            let (there, back, questions) = (sent[at], returned[at], questions[at]);
            self.findings.require(there.max(back) <= most + questions, Invariant::Steady, || {
                format!(
                    "{there} messages from {leader} to {id} and {back} back, where heartbeats need {most} at most, and \
                     {questions} ask for answers"
                )
            })?;
        }
        Ok(())
    }

    /// A message leaves a server, at this time on its clock.
    pub(crate) fn check_calm(&mut self, message: &Message, now: Time) -> Check {
        let Oracle { steady: Some(steady), views, findings, .. } = self else { return Ok(()) };
        let Message { from, to, call, .. } = *message;
        if !steady.has(from) {
            return Ok(());
        }
        if from == steady.leader && views.get(place(to)).is_some_and(|view| view.id == to) {
            let is_question = views[place(from)].conduct.asks(message, now, steady.interval);
            steady.counts.sent[place(to)] += 1;
            steady.counts.questions[place(to)] += u64::from(is_question);
        } else if to == steady.leader {
            let counted = steady.counts.after_call + 1..=views[place(to)].reads.latest_call();
            steady.counts.returned[place(from)] += u64::from(counted.contains(&call));
        }
        let disturbance = steady.disturbance(message);
        findings.require(disturbance.is_none(), Invariant::Steady, || {
            let Steady { leader, term, .. } = steady;
            format!("{from} {}, though {leader} leads term {term} and is heard", disturbance.unwrap_or_default())
        })
    }

    /// A server has taken a step.
    pub(crate) fn check_stays(&mut self, at: usize, now: Seen) -> Check {
        let Oracle { steady: Some(steady), views, findings, .. } = self else { return Ok(()) };
        let (id, Seen { role, term, .. }) = (views[at].id, now);
        let is_right = match () {
            () if !steady.has(id) => true,
            () if id == steady.leader => now.leads(steady.term),
            () => role == RoleKind::Follower && term <= steady.term,
        };
        findings.require(is_right, Invariant::Steady, || {
            let Steady { leader, term: settled, .. } = steady;
            format!("{id} is {role:?} in term {term}, though a quorum was healed that {leader} leads in term {settled}")
        })
    }
}
