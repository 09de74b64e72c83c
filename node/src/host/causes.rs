//! Causes: what a host can tell of its server's elections beside the server's own events.
//!
//! Invariant: the consensus core knows nothing of this. Each cause follows from messages that the host gave to the core or
//! took from it, and from what the core shows; a refusal that repeats itself is told once.

use std::collections::BTreeMap;

use raftian_raft::{Body, Event, LastEntry, Message, NodeId, Reply, Request, RoleKind, Server, Term};
use raftian_rpc::host_event::{HostEvent, Refusal, SLOW_SYNC_US};

/// What was seen lately.
#[derive(Debug, Default)]
pub(crate) struct Causes {
    /// The leader that was heard last, and when, on the monotonic clock.
    heard: Option<(NodeId, u64)>,
    /// The last request of each candidate: its number, its term, and the end of the candidate's log.
    asked: BTreeMap<NodeId, (u64, Term, LastEntry)>,
    /// What each of them was last told.
    refused: BTreeMap<NodeId, (Term, Refusal)>,
    /// Whether the disk was slow at the last look.
    is_slow: bool,
}

impl Causes {
    /// The server is about to be given a request.
    pub(crate) fn request(&mut self, message: &Message, at_ns: u64) {
        match &message.body {
            Body::Request(Request::AppendEntries(_) | Request::InstallSnapshot(_)) => {
                self.heard = Some((message.from, at_ns));
            }
            // It is the leader's wish that the server stands for election.
            Body::Request(Request::TimeoutNow) => self.heard = None,
            Body::Request(Request::PreVote(last) | Request::RequestVote { last, .. }) => {
                self.asked.insert(message.from, (message.call, message.term, *last));
            }
            _ => {}
        }
    }

    /// The server has replied; a refusal that is news.
    pub(crate) fn reply(&mut self, reply: &Message, server: &Server) -> Option<HostEvent> {
        let candidate = reply.to;
        match reply.body {
            Body::Reply(Reply::PreVote { granted: false } | Reply::RequestVote { granted: false }) => {}
            Body::Reply(Reply::PreVote { granted: true } | Reply::RequestVote { granted: true }) => {
                self.refused.remove(&candidate);
                return None;
            }
            _ => return None,
        }
        let (_, term, last) = *self.asked.get(&candidate).filter(|(call, ..)| *call == reply.call)?;
        let why = why(server, candidate, term, last)?;
        let is_news = self.refused.insert(candidate, (term, why)) != Some((term, why));
        is_news.then_some(HostEvent::VoteRefused { candidate, term, why })
    }

    /// Something happened in the server; why it did, if it now stands for election.
    pub(crate) fn event(&mut self, event: &Event, at_ns: u64) -> Option<HostEvent> {
        let Event::Role { role: RoleKind::PreCandidate | RoleKind::Candidate, .. } = event else { return None };
        // Told once: the attempts that follow have the same cause.
        let (leader, heard_ns) = self.heard.take()?;
        Some(HostEvent::LeaderSilent { leader, silent_ms: at_ns.saturating_sub(heard_ns) / 1_000_000 })
    }

    /// The disk has answered, and takes so long for a write now.
    pub(crate) fn disk(&mut self, sync_us: u64) -> Option<HostEvent> {
        let is_slow = sync_us >= SLOW_SYNC_US;
        let is_news = std::mem::replace(&mut self.is_slow, is_slow) != is_slow;
        is_news.then_some(if is_slow { HostEvent::DiskSlow { sync_us } } else { HostEvent::DiskRecovered })
    }
}

/// Why the server has refused a vote: a rule that it shows to hold.
fn why(server: &Server, candidate: NodeId, term: Term, last: LastEntry) -> Option<Refusal> {
    let (hard_state, own) = (server.hard_state(), server.last());
    let vote = hard_state.voted_for.filter(|other| *other != candidate && hard_state.term == term);
    match (vote, server.leader()) {
        _ if term < hard_state.term => Some(Refusal::TermIsOver { own: hard_state.term }),
        _ if last < own => Some(Refusal::LogBehind { theirs: (last.term, last.index), own: (own.term, own.index) }),
        (_, Some(leader)) if leader != candidate => Some(Refusal::LeaderAlive { leader }),
        (Some(other), _) => Some(Refusal::VotedFor { other }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use raftian_raft::{AppendEntries, Configuration, Options, Recovered, Time};

    use super::*;

    fn n(number: u16) -> NodeId {
        NodeId::new(number).unwrap()
    }

    fn message(from: u16, to: u16, term: Term, call: u64, body: Body) -> Message {
        Message { from: n(from), to: n(to), term, call, body }
    }

    fn server() -> Server {
        let configuration = Configuration::new(NodeId::first(3));
        Server::new(Options::new(n(1), configuration, 1), Recovered::default(), Time::default())
    }

    fn heartbeat() -> Body {
        let (prev_log_index, prev_log_term) = (0, 0);
        Body::Request(Request::AppendEntries(AppendEntries {
            prev_log_index,
            prev_log_term,
            entries: vec![],
            leader_commit: 0,
        }))
    }

    #[test]
    fn who_stands_for_election_says_how_long_its_leader_was_silent_and_says_it_once() {
        let mut causes = Causes::default();
        causes.request(&message(2, 1, 3, 1, heartbeat()), 1_000_000_000);
        let role = |role| Event::Role { role, term: 3, leader: None };
        assert_eq!(causes.event(&role(RoleKind::Follower), 1_100_000_000), None);
        let silent = HostEvent::LeaderSilent { leader: n(2), silent_ms: 187 };
        assert_eq!(causes.event(&role(RoleKind::PreCandidate), 1_187_900_000), Some(silent));
        assert_eq!(causes.event(&role(RoleKind::PreCandidate), 1_400_000_000), None);
        causes.request(&message(2, 1, 3, 2, heartbeat()), 2_000_000_000);
        causes.request(&message(2, 1, 3, 3, Body::Request(Request::TimeoutNow)), 2_010_000_000);
        assert_eq!(causes.event(&role(RoleKind::Candidate), 2_010_000_000), None, "its leader wants it to lead");
    }

    #[test]
    fn a_refusal_names_its_rule_and_is_told_again_only_if_it_is_another() {
        let (mut causes, mut server) = (Causes::default(), server());
        let now = Time(Duration::from_millis(10));
        server.receive(now, message(2, 1, 4, 1, heartbeat())).unwrap();
        let mut ask = |term, call| {
            let last = LastEntry { term: 0, index: 0 };
            causes.request(&message(3, 1, term, call, Body::Request(Request::PreVote(last))), 0);
            causes.reply(&message(1, 3, 4, call, Body::Reply(Reply::PreVote { granted: false })), &server)
        };
        let refused = |term, why| Some(HostEvent::VoteRefused { candidate: n(3), term, why });
        assert_eq!(ask(5, 1), refused(5, Refusal::LeaderAlive { leader: n(2) }));
        assert_eq!(ask(5, 2), None, "the same again");
        assert_eq!(ask(3, 3), refused(3, Refusal::TermIsOver { own: 4 }));
    }

    #[test]
    fn a_disk_becomes_slow_and_recovers() {
        let mut causes = Causes::default();
        assert_eq!(causes.disk(900), None);
        assert_eq!(causes.disk(320_000), Some(HostEvent::DiskSlow { sync_us: 320_000 }));
        assert_eq!(causes.disk(310_000), None);
        assert_eq!(causes.disk(900), Some(HostEvent::DiskRecovered));
    }
}
