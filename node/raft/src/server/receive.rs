//! Messages of peers: requests and their replies (Figures 2 and 13).
//!
//! Invariant: nothing a peer sends makes a server panic.

use super::{Role, Server};
use crate::campaign::Stage;
use crate::follower::{self, Follower};
use crate::mutant::{self, Mutant};
use crate::refusal::{MAX_TERM, VoteRefused};
use crate::rule::Rule;
use crate::{
    AppendEntries, AppendReply, Body, Contradiction, InstallSnapshot, LastEntry, Message, NodeId, Reply, Request,
    RoleKind, SnapshotReply, Term, Time,
};

impl Server {
    /// A message has arrived.
    ///
    /// # Errors
    /// When no server that follows the rules would have sent it. If it was a request, it gets no reply.
    pub fn receive(&mut self, now: Time, message: Message) -> Result<(), Contradiction> {
        self.observe(now);
        self.take_in(message).inspect_err(|contradiction| self.core.exercised(Rule::of_contradiction(*contradiction)))
    }

    fn take_in(&mut self, message: Message) -> Result<(), Contradiction> {
        let Message { from, to, term, call, body } = match self.core.mutant(Mutant::IncarnationIgnored) {
            true => mutant::without_incarnations(message, &self.core),
            false => message,
        };
        if let Some(known) = self.other_incarnation(from, to) {
            return Err(Contradiction::OtherIncarnation { from, to, known });
        }
        if to != self.id() || from == self.id() {
            return Err(Contradiction::Misdirected { from, to });
        }
        if term > MAX_TERM {
            return Err(Contradiction::AbsurdTerm { term });
        }
        match body {
            Body::Request(Request::PreVote(last)) => self.pre_vote(from, call, term, last),
            Body::Request(Request::RequestVote { last, transfer }) => {
                self.request_vote(from, call, term, last, transfer);
            }
            Body::Request(Request::AppendEntries(append)) => return self.append_entries(from, call, term, append),
            Body::Request(Request::InstallSnapshot(chunk)) => return self.install_snapshot(from, call, term, chunk),
            Body::Request(Request::TimeoutNow) => self.timeout_now(from, call, term),
            Body::Reply(reply) => self.replied(from, call, term, reply),
        }
        Ok(())
    }

    /// The incarnation that there is in place of the receiver or the sender of a message, if it is not the one it names.
    fn other_incarnation(&self, from: NodeId, to: NodeId) -> Option<NodeId> {
        if to != self.id() && to.name() == self.id().name() {
            return Some(self.id());
        }
        self.core.configuration().and_then(|configuration| configuration.successor_of(from))
    }

    // Requests.

    /// Thesis §9.6. A leader, and a server that hears from another leader, refuses.
    fn pre_vote(&mut self, from: NodeId, call: u64, term: Term, last: LastEntry) {
        if self.core.mutant(Mutant::PreVoteRaisesTerm) && term > self.core.term() {
            self.adopt_term(term);
        }
        let disturbs = self.core.mutant(Mutant::PreVoteDisturbsLeader);
        let no_leader = if disturbs { Ok(()) } else { self.check_no_other_leader(from, term) };
        let vote = no_leader.and_then(|()| follower::would_vote(&self.core, from, term, last));
        self.core.exercised(Rule::of_pre_vote(vote));
        let granted = vote.is_ok();
        // A grant answers for the term asked about, which is not this server's yet.
        let answer_term = if granted { term } else { self.core.term() };
        self.core.reply(from, call, answer_term, Reply::PreVote { granted });
    }

    /// A server also votes for a candidate that is not in its configuration (§6).
    fn request_vote(&mut self, from: NodeId, call: u64, term: Term, last: LastEntry, transfer: bool) {
        // Thesis §4.2.3: "does not update its term or grant its vote", unless the leader started the election (§3.10).
        let no_leader = self.check_no_other_leader(from, term);
        let is_new = term > self.core.term() && (transfer || no_leader.is_ok());
        if is_new {
            self.core.exercised_if(no_leader.is_err(), Rule::TransferOverridesProtection);
            self.adopt_term(term);
        }
        if term == self.core.term() && self.role() == RoleKind::PreCandidate {
            // A pre-candidate may still have its vote in this term.
            self.become_follower(None);
        }
        let vote = match (&mut self.role, no_leader) {
            _ if term < self.core.term() => Err(VoteRefused::StaleTerm),
            (_, Err(refused)) if term > self.core.term() => Err(refused),
            (Role::Follower(follower), _) => follower.request_vote(&mut self.core, from, last, is_new),
            // A candidate or leader has voted for itself.
            (Role::Campaigner(_) | Role::Leader(_), _) => Err(VoteRefused::AlreadyVoted),
        };
        self.core.exercised(Rule::of_vote(vote));
        self.core.reply(from, call, self.core.term(), Reply::RequestVote { granted: vote.is_ok() });
    }

    fn append_entries(
        &mut self,
        from: NodeId,
        call: u64,
        term: Term,
        append: AppendEntries,
    ) -> Result<(), Contradiction> {
        let reply = match self.hear_leader(from, term)? {
            true => follower::append_entries(&mut self.core, append)?,
            false => AppendReply::StaleTerm,
        };
        self.core.reply(from, call, self.core.term(), Reply::AppendEntries(reply));
        Ok(())
    }

    fn install_snapshot(
        &mut self,
        from: NodeId,
        call: u64,
        term: Term,
        chunk: InstallSnapshot,
    ) -> Result<(), Contradiction> {
        let reply = match self.hear_leader(from, term)? {
            true => follower::install_snapshot(&mut self.core, chunk)?,
            false => SnapshotReply::StaleTerm,
        };
        self.core.reply(from, call, self.core.term(), Reply::InstallSnapshot(reply));
        Ok(())
    }

    /// Thesis §3.10: as if the election time-out had elapsed, but without pre-votes. Only the leader that this server
    /// follows may ask for it, and only a server that may stand for election does it.
    fn timeout_now(&mut self, from: NodeId, call: u64, term: Term) {
        let is_from_leader = term == self.core.term() && self.leader() == Some(from);
        if is_from_leader && self.core.may_stand() {
            self.start_campaign(Stage::Vote { transfer: true });
        } else {
            self.core.exercised(Rule::TimeoutNowIgnored);
        }
        self.core.reply(from, call, self.core.term(), Reply::TimeoutNow);
    }

    /// Recognises the leader of the current term (§5.2), resets the election timer, and returns true; returns false if
    /// the sender's term is over.
    fn hear_leader(&mut self, leader: NodeId, term: Term) -> Result<bool, Contradiction> {
        let follows = self.core.mutant(Mutant::LeaderFollows) && self.role() == RoleKind::Leader;
        if term < self.core.term() && !follows && !self.core.mutant(Mutant::StaleLeaderAccepted) {
            if let Role::Follower(follower) = &mut self.role
                && self.core.mutant(Mutant::StaleLeaderResetsTimer)
            {
                follower.deadline = self.core.election_deadline();
            }
            return Ok(false);
        }
        if term > self.core.term() {
            self.adopt_term(term);
        }
        match &mut self.role {
            Role::Leader(_) if follows => {}
            Role::Leader(_) => return Err(Contradiction::SecondLeader { term: self.core.term() }),
            Role::Follower(follower) if follower.leader.is_some_and(|(known, _)| known == leader) => {
                *follower = Follower::new(&mut self.core, Some(leader));
            }
            Role::Follower(follower) if follower.leader.is_some() && term == self.core.term() => {
                return Err(Contradiction::SecondLeader { term });
            }
            Role::Follower(_) => self.become_follower(Some(leader)),
            Role::Campaigner(_) => {
                self.core.exercised(Rule::CandidateFollowsLeader);
                self.become_follower(Some(leader));
            }
        }
        Ok(true)
    }

    // Replies.

    fn replied(&mut self, from: NodeId, call: u64, term: Term, reply: Reply) {
        let is_grant = matches!(reply, Reply::PreVote { granted: true });
        if term > self.core.term() && !is_grant {
            // A follower that hears its leader stays with it: in the later term it would know of no leader, and could vote
            // against one whose lease rests on its replies (thesis §6.4.1). The reply is to a request of an earlier role,
            // and as good as lost.
            let is_late = self.role() == RoleKind::Follower && self.check_no_leader().is_err();
            if is_late && !self.core.mutant(Mutant::LateRefusalBelieved) {
                self.core.exercised(Rule::LaterTermInReplyIgnored);
                return;
            }
            // "If RPC request or response contains term T > currentTerm: set currentTerm = T, convert to follower."
            if !self.core.mutant(Mutant::HigherTermInReplyIgnored) {
                self.core.exercised(Rule::LaterTermInReply);
                self.adopt_term(term);
            }
            return;
        }
        match (&mut self.role, reply) {
            (Role::Campaigner(campaign), Reply::PreVote { granted: true }) if campaign.stage == Stage::PreVote => {
                campaign.count_vote(&mut self.core, from, term, call);
                self.check_election();
            }
            (Role::Campaigner(campaign), Reply::RequestVote { granted: true }) if campaign.stage != Stage::PreVote => {
                campaign.count_vote(&mut self.core, from, term, call);
                self.check_election();
            }
            (Role::Leader(leader), Reply::AppendEntries(reply)) if term == self.core.term() => {
                leader.append_replied(&mut self.core, from, call, reply);
                self.advance();
            }
            (Role::Leader(leader), Reply::InstallSnapshot(reply)) if term == self.core.term() => {
                leader.snapshot_replied(&mut self.core, from, call, reply);
                self.advance();
            }
            // The answer to a TimeoutNow is the election itself.
            (_, Reply::PreVote { granted: false } | Reply::RequestVote { granted: false } | Reply::TimeoutNow) => {}
            // Replies to requests of an earlier role or term.
            _ => self.core.exercised(Rule::LateReplyIgnored),
        }
    }
}
