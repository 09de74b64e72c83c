//! The elections of a run: who stood in which term, who voted for whom, and why others did not, as far as the journal tells.
//!
//! Invariant: a vote that is shown was granted. That one was not given is told with what is known of its voter then, and
//! with no reason where none is known.

use std::collections::{BTreeMap, BTreeSet};

use raftian_rpc::lab::{Event, FaultId, Happening};
use raftian_rpc::{NodeId, RaftEvent, RoleKind, Term};
use serde::{Deserialize, Serialize};

use super::{Axis, Known, LaneState, concerned};

/// The election of one term.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Election {
    /// The term.
    pub term: Term,
    /// When the first stood.
    pub at_s: f64,
    /// Who stood, in order.
    pub candidates: Vec<Candidacy>,
    /// Who voted for none of them, and why, if that is known.
    pub without_vote: Vec<(NodeId, String)>,
}

/// One that stood for election.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Candidacy {
    /// The node.
    pub node: NodeId,
    /// When it stood.
    pub at_s: f64,
    /// Who voted for it, itself included.
    pub voters: Vec<NodeId>,
    /// How long it took until it led, in milliseconds; `None` if it did not.
    pub won_after_ms: Option<f64>,
}

/// Finds them in events that are in order of time.
pub(super) fn elections(events: &[&Event], axis: Axis) -> Vec<Election> {
    let mut known: BTreeMap<NodeId, Known> = BTreeMap::new();
    let mut cuts: BTreeMap<FaultId, BTreeSet<(NodeId, NodeId)>> = BTreeMap::new();
    let mut by_term: BTreeMap<Term, Election> = BTreeMap::new();
    for event in events {
        match &event.what {
            Happening::FaultAdded { fault } if fault.is_cut() => drop(cuts.insert(fault.id, fault.links())),
            Happening::FaultCleared { id, .. } => drop(cuts.remove(id)),
            _ => {}
        }
        let Some(node) = concerned(&event.what) else { continue };
        let fresh = Known { up: false, paused: false, role: LaneState::Follower, term: 0 };
        known.entry(node).or_insert(fresh).follow(&event.what);
        let Happening::Raft { event: raft, .. } = &event.what else { continue };
        match *raft {
            RaftEvent::Role { role: RoleKind::Candidate, term, .. } if axis.has(event.at_ns) => {
                let at_s = axis.at(event.at_ns);
                let election = by_term.entry(term).or_insert_with(|| Election {
                    term,
                    at_s,
                    candidates: Vec::new(),
                    // Until they vote.
                    without_vote: known.iter().map(|(id, known)| (*id, reason(*known, &cuts, node, *id))).collect(),
                });
                if election.candidates.iter().all(|candidate| candidate.node != node) {
                    election.candidates.push(Candidacy { node, at_s, voters: Vec::new(), won_after_ms: None });
                    election.vote(node, node);
                }
            }
            RaftEvent::Voted { term, candidate } => {
                by_term.entry(term).and_modify(|election| election.vote(node, candidate));
            }
            RaftEvent::Role { role: RoleKind::Leader, term, .. } => {
                let at_s = axis.at(event.at_ns);
                by_term.entry(term).and_modify(|election| election.win(node, at_s));
            }
            _ => {}
        }
    }
    by_term.into_values().collect()
}

/// What is known at the time of why a node does not vote for a candidate.
fn reason(
    known: Known,
    cuts: &BTreeMap<FaultId, BTreeSet<(NodeId, NodeId)>>,
    candidate: NodeId,
    voter: NodeId,
) -> String {
    let (one, other) = (candidate.name(), voter.name());
    let between = |links: &BTreeSet<(NodeId, NodeId)>| links.contains(&(one, other)) || links.contains(&(other, one));
    match (known.shown(), cuts.iter().find(|(_, links)| between(links))) {
        ((LaneState::Down, _), _) => "it was down".to_owned(),
        ((LaneState::Paused, _), _) => "it was paused".to_owned(),
        (_, Some((fault, _))) => format!("cut off from {candidate} by {fault}"),
        ((LaneState::Leader, term), None) => format!("it led term {term}"),
        ((LaneState::Follower | LaneState::Candidate, _), None) => String::new(),
    }
}

impl Election {
    fn vote(&mut self, voter: NodeId, candidate: NodeId) {
        if let Some(candidacy) = self.candidates.iter_mut().find(|candidacy| candidacy.node == candidate)
            && !candidacy.voters.contains(&voter)
        {
            candidacy.voters.push(voter);
            self.without_vote.retain(|(node, _)| *node != voter);
        }
    }

    fn win(&mut self, node: NodeId, at_s: f64) {
        if let Some(candidacy) = self.candidates.iter_mut().find(|candidacy| candidacy.node == node) {
            candidacy.won_after_ms.get_or_insert((at_s - candidacy.at_s) * 1e3);
        }
    }
}

#[cfg(test)]
mod tests {
    use raftian_rpc::faults::Effect;
    use raftian_rpc::lab::{Fault, FaultKind, NodeState};

    use super::super::happened::node;
    use super::*;

    fn raft(at_ms: u64, number: u16, event: RaftEvent) -> Event {
        let what = Happening::Raft { node: node(number), event };
        Event { seq: at_ms, at_ns: at_ms * 1_000_000, unix_ms: 0, what }
    }

    fn role(at_ms: u64, number: u16, role: RoleKind, term: Term) -> Event {
        raft(at_ms, number, RaftEvent::Role { role, term, leader: None })
    }

    #[test]
    fn an_election_tells_who_voted_for_whom_and_who_could_not() {
        let killed = Happening::NodeExited { node: node(1), state: NodeState::Killed, reason: String::new() };
        let mut events: Vec<Event> = (1..=5).map(|number| role(0, number, RoleKind::Follower, 1)).collect();
        events.push(Event { seq: 1, at_ns: 5_000_000, unix_ms: 0, what: killed });
        let fault = Fault {
            id: FaultId(7),
            title: String::new(),
            what: FaultKind::Links { effect: Effect::CUT, links: vec![(node(3), node(4))] },
            since_ns: 0,
            until_ns: None,
            injected: true,
            proof: None,
        };
        events.push(Event { seq: 2, at_ns: 1_400_000_000, unix_ms: 0, what: Happening::FaultAdded { fault } });
        events.extend([
            role(1_200, 2, RoleKind::Candidate, 2),
            role(1_201, 3, RoleKind::Candidate, 2),
            raft(1_202, 4, RaftEvent::Voted { term: 2, candidate: node(2) }),
            raft(1_203, 5, RaftEvent::Voted { term: 2, candidate: node(3) }),
            role(1_500, 3, RoleKind::Candidate, 3),
            raft(1_501, 2, RaftEvent::Voted { term: 3, candidate: node(3) }),
            raft(1_502, 5, RaftEvent::Voted { term: 3, candidate: node(3) }),
            role(1_504, 3, RoleKind::Leader, 3),
        ]);
        let mut events: Vec<&Event> = events.iter().collect();
        events.sort_by_key(|event| event.at_ns);
        let elections = elections(&events, Axis { start_ns: 1_000_000_000, end_ns: 2_000_000_000 });
        let [split, won] = elections.as_slice() else { panic!("{elections:#?}") };
        assert_eq!((split.term, split.candidates.len(), won.term), (2, 2, 3));
        assert_eq!(split.candidates[0].voters, [2, 4].map(node));
        assert_eq!(split.candidates[1].voters, [3, 5].map(node));
        assert_eq!(split.without_vote, [(node(1), "it was down".to_owned())]);
        assert_eq!(split.candidates[0].won_after_ms, None);
        assert_eq!(won.candidates[0].voters, [3, 2, 5].map(node));
        assert_eq!(won.candidates[0].won_after_ms.map(f64::round), Some(4.0));
        assert_eq!(
            won.without_vote,
            [(node(1), "it was down".to_owned()), (node(4), "cut off from n3 by f7".to_owned())]
        );
    }
}
