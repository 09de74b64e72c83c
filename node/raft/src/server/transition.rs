//! The changes of role (Figure 4), and what a leader does when it learns that more entries are stored.
//!
//! Invariant: when a leader steps down, for whatever reason, its pending reads fail.

use super::{Role, Server};
use crate::campaign::{Campaign, Stage};
use crate::follower::Follower;
use crate::leader::Leader;
use crate::mutant::Mutant;
use crate::refusal::VoteRefused;
use crate::rule::Rule;
use crate::{Event, NodeId, Term};

impl Server {
    /// Enters a later term as a follower that knows no leader (§5.1).
    pub(super) fn adopt_term(&mut self, term: Term) {
        self.core.exercised(Rule::of_later_term(self.role()));
        self.core.enter_term(term);
        match &mut self.role {
            // The election timer is not reset: only a leader's message or a granted vote does that (§5.2). Otherwise a
            // candidate that cannot win could keep all others from standing.
            Role::Follower(follower) => {
                follower.leader = None;
                self.announce();
            }
            Role::Leader(_) if self.core.mutant(Mutant::DeposedLeaderReturns) => self.announce(),
            Role::Campaigner(_) | Role::Leader(_) => self.become_follower(None),
        }
    }

    /// Becomes a follower in the current term. A vote granted in this term stays.
    pub(super) fn become_follower(&mut self, leader: Option<NodeId>) {
        if let Role::Leader(leading) = &mut self.role {
            leading.fail_reads(&mut self.core, leader);
        }
        if self.core.mutant(Mutant::StepDownForgetsVote) {
            self.core.forget_vote();
        }
        self.role = Role::Follower(Follower::new(&mut self.core, leader));
        self.announce();
    }

    /// The election time-out has elapsed (§5.2). A server without a vote keeps waiting: it could not win, and would
    /// only disturb the others (§6).
    pub(super) fn election_timed_out(&mut self) {
        if let Role::Campaigner(campaign) = &mut self.role {
            self.core.exercised(Rule::CampaignRetried);
            if self.core.mutant(Mutant::CandidateNeverRetries) {
                campaign.deadline = self.core.election_deadline();
                return;
            }
        }
        if self.core.may_stand() {
            self.core.exercised_if(!self.core.is_voter(), Rule::RemovedVoterStands);
            // A candidate that did not win asks for pre-votes again before it starts another term.
            let asks_first = self.core.options.pre_vote;
            self.start_campaign(if asks_first { Stage::PreVote } else { Stage::Vote { transfer: false } });
        } else if self.leader().is_some() {
            self.become_follower(None);
        } else {
            self.core.exercised(Rule::WaitsWithoutVote);
            self.role = Role::Follower(Follower::new(&mut self.core, None));
        }
    }

    pub(super) fn start_campaign(&mut self, stage: Stage) {
        if stage != Stage::PreVote {
            self.core.enter_term(self.core.term() + 1);
        }
        self.role = Role::Campaigner(Campaign::new(&mut self.core, stage));
        self.announce();
        // A cluster of one has its quorum at once.
        self.check_election();
    }

    pub(super) fn check_election(&mut self) {
        match &self.role {
            Role::Campaigner(campaign) if campaign.is_won(&self.core) => match campaign.stage {
                Stage::PreVote => self.start_campaign(Stage::Vote { transfer: false }),
                Stage::Vote { .. } => {
                    self.role = Role::Leader(Leader::new(&mut self.core));
                    self.announce();
                }
            },
            _ => {}
        }
    }

    /// A server has stored more entries than before: the leader may advance commitIndex, and complete a change of the
    /// membership. A leader that is not in the committed configuration "steps down" (§6).
    pub(super) fn advance(&mut self) {
        let Role::Leader(leader) = &mut self.role else { return };
        leader.advance_commit_index(&mut self.core);
        leader.finish_change(&mut self.core);
        let is_removed = self.core.configuration_is_committed() && !self.core.is_voter();
        if is_removed && !self.core.mutant(Mutant::RemovedLeaderStays) {
            self.core.exercised(Rule::RemovedLeaderStepsDown);
            leader.take_leave(&mut self.core);
            self.become_follower(None);
        }
    }

    /// Whether this server knows no live leader. A server that leads or hears from a leader refuses votes (thesis
    /// §4.2.3). With leases, a server that has just started refuses too: it may have heard from a leader before it
    /// crashed.
    pub(super) fn check_no_leader(&self) -> Result<(), VoteRefused> {
        let shortest = self.core.options.election_timeout.start;
        let has_just_started = self.core.now.since(self.core.started) < shortest
            && self.core.options.lease.is_some()
            && !self.core.mutant(Mutant::NoProtectionAfterRestart);
        let leader_lives = match &self.role {
            Role::Follower(follower) => follower.hears_leader(&self.core),
            Role::Campaigner(_) => false,
            Role::Leader(leader) => self.core.now.since(leader.quorum_contact(&self.core)) < shortest,
        };
        match self.core.options.check_quorum {
            true if has_just_started => Err(VoteRefused::JustStarted),
            true if leader_lives => Err(VoteRefused::LeaderHeard),
            _ => Ok(()),
        }
    }

    /// Whether a server that asks for votes in `term` disturbs no live leader. The leader itself disturbs none: if it asks
    /// for a later term, it has stepped down.
    pub(super) fn check_no_other_leader(&self, candidate: NodeId, term: Term) -> Result<(), VoteRefused> {
        let has_stepped_down = self.leader() == Some(candidate) && term > self.core.term();
        if has_stepped_down { Ok(()) } else { self.check_no_leader() }
    }

    pub(super) fn announce(&mut self) {
        let event = Event::Role { role: self.role(), term: self.core.term(), leader: self.leader() };
        self.core.record(event);
    }
}
