//! Pre-candidates and candidates: they ask for votes (§5.2; thesis §9.6).
//!
//! Invariant: a candidate's vote for itself counts only once it is on stable storage, like the vote of any other
//! server.

use std::collections::BTreeSet;

use crate::core::Core;
use crate::mutant::Mutant;
use crate::rule::Rule;
use crate::{NodeId, Request, Term, Time};

/// Which votes are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Pre-votes: whether the others would vote for this server in the next term (thesis §9.6).
    PreVote,
    /// Votes of this term (§5.2).
    Vote {
        /// The leader started this election with TimeoutNow (thesis §3.10).
        transfer: bool,
    },
}

/// The state of a server that asks for votes.
#[derive(Debug)]
pub(crate) struct Campaign {
    pub(crate) stage: Stage,
    /// When to start a new campaign.
    pub(crate) deadline: Time,
    granted: BTreeSet<NodeId>,
    /// The term that the votes are for.
    term: Term,
    /// The number of the first request of this campaign; replies to earlier requests belong to earlier campaigns.
    first_call: u64,
}

impl Campaign {
    /// Asks all other voters. For [`Stage::Vote`] the server must just have entered its term; it votes for itself.
    pub(crate) fn new(core: &mut Core, stage: Stage) -> Campaign {
        let first_call = core.next_call();
        let last = core.log.last();
        let (term, request) = match stage {
            Stage::PreVote => (core.term() + 1, Request::PreVote(last)),
            Stage::Vote { transfer } => {
                core.vote_for(core.id());
                (core.term(), Request::RequestVote { last, transfer })
            }
        };
        let members = core.configuration().into_iter().flat_map(|configuration| {
            configuration.members().filter(|member| configuration.is_voter(*member) && *member != core.id())
        });
        for voter in members.collect::<Vec<NodeId>>() {
            core.call_durably(voter, term, request.clone());
        }
        let deadline = core.election_deadline();
        let own = (stage == Stage::PreVote).then_some(core.id());
        Campaign { stage, deadline, granted: own.into_iter().collect(), term, first_call }
    }

    /// Counts a vote, if it answers a request of this campaign.
    pub(crate) fn count_vote(&mut self, core: &mut Core, from: NodeId, term: Term, call: u64) {
        let is_of_this_campaign = term == self.term && call >= self.first_call;
        if is_of_this_campaign || core.mutant(Mutant::StaleVoteCounted) {
            self.granted.insert(from);
        } else {
            core.exercised(Rule::LateVoteIgnored);
        }
    }

    /// Whether a quorum has granted its votes.
    pub(crate) fn is_won(&self, core: &Core) -> bool {
        let is_durable = core.own_vote_is_durable() || core.mutant(Mutant::OwnVoteCountsUnwritten);
        let own = |id| id == core.id() && self.stage != Stage::PreVote && is_durable;
        core.has_quorum(|id| self.granted.contains(&id) || own(id))
    }
}
