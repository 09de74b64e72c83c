//! Pre-candidates and candidates: they ask for votes (§5.2; thesis §9.6).
//!
//! Invariant: a candidate's vote for itself counts when it is on stable storage, like any other server's.

use std::collections::BTreeSet;

use crate::core::Core;
use crate::{NodeId, Request, Time};

/// What is being asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// "Would you vote for me in the next term?"
    PreVote,
    /// "Vote for me in this term."
    Vote,
}

/// The state of a server that asks for votes.
#[derive(Debug)]
pub(crate) struct Campaign {
    pub(crate) stage: Stage,
    /// When to try again.
    pub(crate) deadline: Time,
    granted: BTreeSet<NodeId>,
    /// The number of the first request of this campaign; replies to earlier requests belong to earlier campaigns.
    first_call: u64,
}

impl Campaign {
    /// Asks all peers. For [`Stage::Vote`] the term must be new, and is given this server's own vote.
    pub(crate) fn new(core: &mut Core, stage: Stage) -> Campaign {
        let first_call = core.next_call();
        let last = core.log.last();
        let (term, request) = match stage {
            Stage::PreVote => (core.term() + 1, Request::PreVote(last)),
            Stage::Vote => {
                core.vote_for(core.id());
                (core.term(), Request::RequestVote(last))
            }
        };
        let peers: Vec<NodeId> = core.configuration().peers_of(core.id()).collect();
        for peer in peers {
            core.call_durably(peer, term, request.clone());
        }
        let mut campaign = Campaign { stage, deadline: core.election_deadline(), granted: BTreeSet::new(), first_call };
        if stage == Stage::PreVote {
            campaign.granted.insert(core.id());
        }
        campaign
    }

    /// Counts a vote, if it was asked for in this campaign.
    pub(crate) fn count_vote(&mut self, from: NodeId, call: u64) {
        if call >= self.first_call {
            self.granted.insert(from);
        }
    }

    /// Whether a quorum has granted its votes.
    pub(crate) fn is_won(&self, core: &Core) -> bool {
        let own = |id| id == core.id() && core.own_vote_is_durable();
        core.configuration().has_quorum(|id| self.granted.contains(&id) || (self.stage == Stage::Vote && own(id)))
    }
}
