//! What the journal knows: when a node went and how, who led before, and how that ended.

use raftian_rpc::host_event::{HostEvent, Refusal};
use raftian_rpc::lab::{Action, Event, Happening, NodeState};
use raftian_rpc::{NodeId, RaftEvent, RoleKind, Term};

use crate::{Sight, words};

/// A node that does not run: how it went, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Went<'a> {
    pub(crate) state: NodeState,
    pub(crate) at_ns: u64,
    /// In words, of one that went by itself.
    pub(crate) reason: Option<&'a str>,
}

/// A term with a leader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Lead {
    pub(crate) leader: NodeId,
    pub(crate) term: Term,
    pub(crate) since_ns: u64,
}

/// How and when a leader ceased to lead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct End {
    pub(crate) how: How,
    pub(crate) at_ns: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum How {
    /// Its process was killed, paused, stopped, or failed.
    Went(NodeState),
    /// No quorum answered it for an election time-out.
    LostQuorum,
    /// It heard of a later term.
    SteppedDown,
}

impl How {
    /// In words that follow the leader.
    pub(crate) fn in_words(self) -> &'static str {
        match self {
            How::Went(NodeState::Killed) => "was killed",
            How::Went(NodeState::Paused) => "was paused",
            How::Went(NodeState::Stopped) => "was stopped",
            How::Went(_) => "failed",
            How::LostQuorum => "lost its quorum",
            How::SteppedDown => "stepped down",
        }
    }
}

impl<'a> Sight<'a> {
    /// How a node went that does not run, as far as the journal reaches.
    pub(crate) fn went(&self, id: NodeId) -> Option<Went<'a>> {
        self.events.iter().rev().find_map(|event| match &event.what {
            Happening::NodeExited { node, state, reason } if *node == id => {
                let reason = (*state == NodeState::Failed).then_some(reason.as_str());
                Some(Went { state: *state, at_ns: event.at_ns, reason })
            }
            Happening::NodePaused { node } if *node == id => {
                Some(Went { state: NodeState::Paused, at_ns: event.at_ns, reason: None })
            }
            _ => None,
        })
    }

    /// What ended or paused this node, where that says more than its name: `kill @leader`, or a crash point.
    pub(crate) fn deed(&self, id: NodeId, went: Went<'_>) -> Option<String> {
        let earlier = self.events.iter().rev().filter(|event| event.at_ns <= went.at_ns);
        // What came before it was started last did not end it.
        let of_this_life =
            earlier.take_while(|event| !matches!(&event.what, Happening::NodeSpawned { node, .. } if *node == id));
        let mut deeds = of_this_life.filter_map(|event| match &event.what {
            Happening::Host { node, event: HostEvent::Crashing { fault, at, .. } } if *node == id => {
                Some(Err(format!("crash point {at} of {fault}")))
            }
            Happening::Acted { action, resolved } if resolved.nodes.contains(&id) => Some(Ok((*action, resolved))),
            _ => None,
        });
        let (action, resolved) = match deeds.next()? {
            Ok(act) => act,
            Err(crash) => return Some(crash),
        };
        let matches = match went.state {
            NodeState::Killed => action == Action::Kill,
            NodeState::Paused => action == Action::Pause,
            NodeState::Stopped => matches!(action, Action::Stop | Action::Restart | Action::RollingRestart),
            _ => false,
        };
        // That n3 went by `kill n3` goes without saying.
        let says_more = resolved.selector.as_node() != Some(id);
        (matches && says_more).then(|| format!("{} {}", words::typed(action), resolved.selector))
    }

    /// The terms that had leaders, the latest first.
    pub(crate) fn leads(&self) -> impl Iterator<Item = Lead> + use<'a> {
        self.events.iter().rev().filter_map(|event| match &event.what {
            Happening::Raft { node, event: RaftEvent::Role { role: RoleKind::Leader, term, .. } } => {
                Some(Lead { leader: *node, term: *term, since_ns: event.at_ns })
            }
            _ => None,
        })
    }

    /// How a lead ended, if it has.
    pub(crate) fn end(&self, lead: Lead) -> Option<End> {
        let later = self.events.iter().filter(|event| event.at_ns >= lead.since_ns);
        later.filter_map(|event| end(event, lead)).min_by_key(|end| end.at_ns)
    }

    /// Who voted for a leader of a term, the leader aside.
    pub(crate) fn votes(&self, lead: Lead) -> Vec<NodeId> {
        let vote = |event: &Event| match &event.what {
            Happening::Raft { node, event: RaftEvent::Voted { term, candidate } } => {
                (*node != lead.leader && (*term, *candidate) == (lead.term, lead.leader)).then_some(*node)
            }
            _ => None,
        };
        self.events.iter().filter_map(vote).collect()
    }

    /// Whether the lead was handed to this leader, and by whom.
    pub(crate) fn handed_over(&self, before: Lead, lead: Lead) -> bool {
        self.events.iter().filter(|event| (before.since_ns..lead.since_ns).contains(&event.at_ns)).any(|event| {
            matches!(&event.what, Happening::Raft { node, event: RaftEvent::TransferStarted { to } }
                if (*node, *to) == (before.leader, lead.leader))
        })
    }

    /// Why a voter last refused a candidate its vote, and of which term.
    pub(crate) fn refusal(&self, voter: NodeId, asks: NodeId) -> Option<(Term, Refusal)> {
        self.events.iter().rev().find_map(|event| match &event.what {
            Happening::Host { node, event: HostEvent::VoteRefused { candidate, term, why } }
                if (*node, *candidate) == (voter, asks) =>
            {
                Some((*term, *why))
            }
            _ => None,
        })
    }

    /// How often nodes have asked for votes since then, and the highest term in which they did.
    pub(crate) fn campaigns(&self, since_ns: u64) -> (usize, Term) {
        let campaign = |event: &Event| match &event.what {
            Happening::Raft { event: RaftEvent::Role { role: RoleKind::Candidate, term, .. }, .. } => Some(*term),
            _ => None,
        };
        let terms: Vec<Term> =
            self.events.iter().filter(|event| event.at_ns >= since_ns).filter_map(campaign).collect();
        (terms.len(), terms.into_iter().max().unwrap_or_default())
    }

    /// `was killed 12 s ago`, or `is killed` where the journal does not know when.
    pub(crate) fn how_it_went(&self, id: NodeId, state: NodeState) -> String {
        let went = self.went(id).filter(|went| went.state == state);
        let how = match state {
            NodeState::Killed => "was killed",
            NodeState::Paused => "was paused",
            NodeState::Stopped => "was stopped",
            NodeState::Failed => "failed",
            NodeState::Starting => return "is starting".to_owned(),
            NodeState::Running => return "runs".to_owned(),
        };
        match (went, how.strip_prefix("was ")) {
            (Some(went), _) => format!("{how} {}", words::ago(self.ms_since(went.at_ns))),
            (None, Some(is)) => format!("is {is}"),
            (None, None) => "has failed".to_owned(),
        }
    }
}

fn end(event: &Event, lead: Lead) -> Option<End> {
    let at_ns = event.at_ns;
    let how = match &event.what {
        Happening::NodeExited { node, state, .. } if *node == lead.leader => How::Went(*state),
        Happening::NodePaused { node } if *node == lead.leader => How::Went(NodeState::Paused),
        Happening::Raft { node, event } if *node == lead.leader => match event {
            RaftEvent::QuorumLost { term } if *term == lead.term => How::LostQuorum,
            RaftEvent::Role { role, .. } if *role != RoleKind::Leader => How::SteppedDown,
            _ => return None,
        },
        _ => return None,
    };
    Some(End { how, at_ns })
}
