//! A Raft server: it takes inputs, keeps to the rules of its role (Figure 2), and gives effects.
//!
//! Invariant: every request is answered by exactly one reply, or refused with an error that the driver passes on.

use std::time::Duration;

use bytes::Bytes;
use thiserror::Error;

use crate::campaign::{Campaign, Stage};
use crate::core::Core;
use crate::follower::{self, Follower};
use crate::leader::Leader;
use crate::{
    AppendEntries, AppendReply, Body, Entry, Event, HardState, Index, LastEntry, Message, NodeId, Options, Payload,
    Persisted, Ready, Reply, Request, RoleKind, Term, Time,
};

/// The last term a peer is believed to be in: the largest number that JSON keeps exact everywhere.
const MAX_TERM: Term = 1 << 53;

/// One server of a cluster. See the [crate] for how to drive it.
#[derive(Debug)]
pub struct Server {
    core: Core,
    role: Role,
}

#[derive(Debug)]
enum Role {
    Follower(Follower),
    Campaigner(Campaign),
    Leader(Leader),
}

/// What a server finds on its disk when it starts.
#[derive(Clone, Debug, Default)]
pub struct Recovered {
    /// Its term and vote.
    pub hard_state: HardState,
    /// Its log, contiguous from index 1.
    pub entries: Vec<Entry>,
}

/// Where a leader put the commands it was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Proposed {
    /// The term of the entries. An entry of another term at the same index is somebody else's (§5.3).
    pub term: Term,
    /// The index of the first command; the others follow.
    pub first: Index,
}

/// A server that does not lead takes no commands (§8).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("this server does not lead")]
pub struct NotLeader {
    /// Who leads, as far as this server knows.
    pub leader: Option<NodeId>,
}

/// A message that no server that follows the rules would send. It was ignored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Contradiction {
    /// It would replace a committed entry.
    #[error("the entry at index {index} is committed here with another term")]
    Committed {
        /// The first such index.
        index: Index,
    },
    /// It is meant for another server, or claims to come from this one.
    #[error("a message from {from} to {to} has no business here")]
    Misdirected {
        /// Who is said to have sent it.
        from: NodeId,
        /// Who should have received it.
        to: NodeId,
    },
    /// Its entries leave a gap, or their terms fall: no log looks like that.
    #[error("the entry at index {index} cannot follow the one before it")]
    Disorder {
        /// The index of the first entry out of place, as it was sent.
        index: Index,
    },
    /// It has an entry of a later term than its own.
    #[error("the entry at index {index} is of term {term}, which is later than the message's own")]
    FutureTerm {
        /// The entry's index.
        index: Index,
        /// The entry's term.
        term: Term,
    },
    /// Its term is one that no cluster reaches, and past which terms would run out.
    #[error("no cluster reaches term {term}; the last one believed is {MAX_TERM}")]
    AbsurdTerm {
        /// The term.
        term: Term,
    },
    /// It claims to lead a term that this server leads.
    #[error("this server leads term {term} itself")]
    SecondLeader {
        /// The term.
        term: Term,
    },
}

/// What a server is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status {
    /// Its role.
    pub role: RoleKind,
    /// Its term.
    pub term: Term,
    /// Its vote in that term.
    pub voted_for: Option<NodeId>,
    /// The leader of that term, if known.
    pub leader: Option<NodeId>,
    /// The last entry of its log.
    pub last_index: Index,
    /// The last entry it knows to be committed.
    pub commit_index: Index,
    /// Leaders only: how long ago a quorum was heard from.
    pub quorum_contact: Option<Duration>,
}

impl Server {
    /// A server with what its disk remembers. It starts as a follower (§5.2).
    ///
    /// # Panics
    /// When the recovered log has gaps: storage has checked that it has none.
    pub fn new(options: Options, recovered: Recovered, now: Time) -> Server {
        let mut core = Core::new(options, recovered.hard_state, recovered.entries, now);
        let mut follower = Follower::new(&mut core, None);
        if core.options.campaigns_first {
            follower.deadline = now;
        }
        Server { core, role: Role::Follower(follower) }
    }

    /// Who this is.
    pub fn id(&self) -> NodeId {
        self.core.id()
    }

    /// What it is doing.
    pub fn status(&self) -> Status {
        let quorum_contact = match &self.role {
            Role::Leader(leader) => Some(self.core.now.since(leader.quorum_contact(&self.core))),
            _ => None,
        };
        Status {
            role: self.role(),
            term: self.core.term(),
            voted_for: self.core.voted_for(),
            leader: self.leader(),
            last_index: self.core.log.last_index(),
            commit_index: self.core.commit_index,
            quorum_contact,
        }
    }

    /// At most `max` entries of the log from index `from` on, committed or not.
    pub fn entries(&self, from: Index, max: usize) -> &[Entry] {
        self.core.log.from(from, max)
    }

    /// The leader of the present term, if known.
    pub fn leader(&self) -> Option<NodeId> {
        match &self.role {
            Role::Follower(follower) => follower.leader.map(|(leader, _)| leader),
            Role::Campaigner(_) => None,
            Role::Leader(_) => Some(self.id()),
        }
    }

    /// When [`Server::tick`] wants to be called at the latest. May be in the past, when effects wait to be taken.
    pub fn deadline(&self) -> Time {
        if self.core.has_undelivered() {
            return self.core.now;
        }
        match &self.role {
            Role::Follower(follower) => follower.deadline,
            Role::Campaigner(campaign) => campaign.deadline,
            Role::Leader(leader) => leader.deadline(&self.core),
        }
    }

    /// Time has passed. Harmless before the deadline.
    pub fn tick(&mut self, now: Time) {
        self.observe(now);
        match &mut self.role {
            Role::Follower(Follower { deadline, .. }) | Role::Campaigner(Campaign { deadline, .. }) => {
                if now >= *deadline {
                    self.campaign();
                }
            }
            Role::Leader(leader) => {
                let lost = self.core.options.check_quorum && now >= leader.quorum_deadline(&self.core);
                leader.tick(&self.core);
                if lost {
                    self.core.record(Event::QuorumLost { term: self.core.term() });
                    self.become_follower(None);
                }
            }
        }
    }

    /// A message has arrived.
    ///
    /// # Errors
    /// When no server that follows the rules would have sent it. If it was a request, no reply will follow.
    pub fn receive(&mut self, now: Time, message: Message) -> Result<(), Contradiction> {
        self.observe(now);
        let Message { from, to, term, call, body } = message;
        if to != self.id() || from == self.id() {
            return Err(Contradiction::Misdirected { from, to });
        }
        if term > MAX_TERM {
            return Err(Contradiction::AbsurdTerm { term });
        }
        match body {
            Body::Request(Request::PreVote(last)) => self.pre_vote(from, call, term, last),
            Body::Request(Request::RequestVote(last)) => self.request_vote(from, call, term, last),
            Body::Request(Request::AppendEntries(append)) => return self.append_entries(from, call, term, append),
            Body::Reply(reply) => self.replied(from, call, term, reply),
        }
        Ok(())
    }

    /// The transport has given up a call: no reply will come, though the request may have arrived. Optional; without
    /// it the server finds out by itself, later.
    pub fn lost(&mut self, now: Time, to: NodeId, call: u64) {
        self.observe(now);
        if let Role::Leader(leader) = &mut self.role {
            leader.lost(to, call);
        }
    }

    /// Appends commands to a leader's log (§5.3). Whether they are committed is seen when their indexes come up in
    /// [`Ready::committed`]: with [`Proposed::term`] they are, with another term they are lost.
    ///
    /// # Errors
    /// When this server does not lead.
    pub fn propose(&mut self, now: Time, commands: impl IntoIterator<Item = Bytes>) -> Result<Proposed, NotLeader> {
        self.observe(now);
        let Role::Leader(_) = self.role else { return Err(NotLeader { leader: self.leader() }) };
        let first = self.core.log.last_index() + 1;
        for command in commands {
            self.core.append(Payload::Command(command));
        }
        Ok(Proposed { term: self.core.term(), first })
    }

    /// Takes all effects of the inputs so far. Call it when the inputs at hand are used up: what is taken together is
    /// sent and synced together.
    pub fn ready(&mut self) -> Ready {
        if let Role::Leader(leader) = &mut self.role {
            leader.replicate(&mut self.core);
        }
        self.core.take_ready()
    }

    /// A write is durable. Gives the messages that waited for it.
    ///
    /// # Panics
    /// When writes come back in another order than they were handed out.
    #[must_use = "the messages are to be sent"]
    pub fn persisted(&mut self, now: Time, persisted: Persisted) -> Vec<Message> {
        self.observe(now);
        self.core.note_durable(persisted.ticket);
        match &self.role {
            // A candidate's own vote counts from here on.
            Role::Campaigner(_) => self.check_election(),
            Role::Leader(leader) => leader.advance_commit_index(&mut self.core),
            Role::Follower(_) => {}
        }
        persisted.sealed
    }

    fn observe(&mut self, now: Time) {
        self.core.now = self.core.now.max(now);
    }

    fn role(&self) -> RoleKind {
        match &self.role {
            Role::Follower(_) => RoleKind::Follower,
            Role::Campaigner(Campaign { stage: Stage::PreVote, .. }) => RoleKind::PreCandidate,
            Role::Campaigner(Campaign { stage: Stage::Vote, .. }) => RoleKind::Candidate,
            Role::Leader(_) => RoleKind::Leader,
        }
    }

    // Requests.

    /// Thesis §9.6. A leader, and whoever hears from one, would not vote for another.
    fn pre_vote(&mut self, from: NodeId, call: u64, term: Term, last: LastEntry) {
        let granted = !self.protects_leader() && follower::would_vote(&self.core, from, term, last);
        // A grant answers for the term asked about, which is not this server's yet.
        let answer_term = if granted { term } else { self.core.term() };
        self.core.reply(from, call, answer_term, Reply::PreVote { granted });
    }

    fn request_vote(&mut self, from: NodeId, call: u64, term: Term, last: LastEntry) {
        // Thesis §4.2.3: "does not update its term or grant its vote".
        if term > self.core.term() && !self.protects_leader() {
            self.adopt_term(term);
        }
        if term == self.core.term() && self.role() == RoleKind::PreCandidate {
            // It has asked around, but its vote in this term may still be free.
            self.become_follower(None);
        }
        let granted = match &mut self.role {
            Role::Follower(follower) if term == self.core.term() => follower.request_vote(&mut self.core, from, last),
            // Candidates and leaders have voted for themselves.
            _ => false,
        };
        self.core.reply(from, call, self.core.term(), Reply::RequestVote { granted });
    }

    fn append_entries(
        &mut self,
        from: NodeId,
        call: u64,
        term: Term,
        append: AppendEntries,
    ) -> Result<(), Contradiction> {
        if term < self.core.term() {
            let reply = Reply::AppendEntries(AppendReply::StaleTerm);
            self.core.reply(from, call, self.core.term(), reply);
            return Ok(());
        }
        if term > self.core.term() {
            self.adopt_term(term);
        }
        self.follow(from)?;
        let reply = follower::append_entries(&mut self.core, append)?;
        self.core.reply(from, call, self.core.term(), Reply::AppendEntries(reply));
        Ok(())
    }

    /// Recognises the leader of the present term (§5.2) and puts the election off.
    fn follow(&mut self, leader: NodeId) -> Result<(), Contradiction> {
        match &mut self.role {
            Role::Leader(_) => return Err(Contradiction::SecondLeader { term: self.core.term() }),
            Role::Follower(follower) if follower.leader.is_some_and(|(known, _)| known == leader) => {
                *follower = Follower::new(&mut self.core, Some(leader));
            }
            Role::Follower(_) | Role::Campaigner(_) => self.become_follower(Some(leader)),
        }
        Ok(())
    }

    // Replies.

    fn replied(&mut self, from: NodeId, call: u64, term: Term, reply: Reply) {
        let is_grant = matches!(reply, Reply::PreVote { granted: true });
        if term > self.core.term() && !is_grant {
            // "If RPC request or response contains term T > currentTerm: set currentTerm = T, convert to follower."
            return self.adopt_term(term);
        }
        match (&mut self.role, reply) {
            (Role::Campaigner(campaign), Reply::PreVote { granted: true }) if campaign.stage == Stage::PreVote => {
                if term == self.core.term() + 1 {
                    campaign.count_vote(from, call);
                }
                self.check_election();
            }
            (Role::Campaigner(campaign), Reply::RequestVote { granted: true }) if campaign.stage == Stage::Vote => {
                if term == self.core.term() {
                    campaign.count_vote(from, call);
                }
                self.check_election();
            }
            (Role::Leader(leader), Reply::AppendEntries(reply)) if term == self.core.term() => {
                leader.append_replied(&self.core, from, call, reply);
                leader.advance_commit_index(&mut self.core);
            }
            // Answers to questions of an earlier role or term.
            _ => {}
        }
    }

    // Changes of role.

    /// Enters a later term as a follower that knows no leader (§5.1).
    fn adopt_term(&mut self, term: Term) {
        self.core.enter_term(term);
        match &mut self.role {
            // The election time-out runs on: only a leader's message or a granted vote puts it off (§5.2), or a
            // candidate that cannot win could keep all others from trying.
            Role::Follower(follower) => {
                follower.leader = None;
                self.announce();
            }
            Role::Campaigner(_) | Role::Leader(_) => self.become_follower(None),
        }
    }

    /// Becomes a follower in the present term. A vote given in it stands.
    fn become_follower(&mut self, leader: Option<NodeId>) {
        self.role = Role::Follower(Follower::new(&mut self.core, leader));
        self.announce();
    }

    /// The election time-out has elapsed (§5.2).
    fn campaign(&mut self) {
        // A candidate that could not win asks anew before it starts yet another term.
        let stage = if self.core.options.pre_vote { Stage::PreVote } else { Stage::Vote };
        self.start_campaign(stage);
    }

    fn start_campaign(&mut self, stage: Stage) {
        if stage == Stage::Vote {
            self.core.enter_term(self.core.term() + 1);
        }
        self.role = Role::Campaigner(Campaign::new(&mut self.core, stage));
        self.announce();
        // A cluster of one has its quorum at once.
        self.check_election();
    }

    fn check_election(&mut self) {
        match &self.role {
            Role::Campaigner(campaign) if campaign.is_won(&self.core) => match campaign.stage {
                Stage::PreVote => self.start_campaign(Stage::Vote),
                Stage::Vote => {
                    self.role = Role::Leader(Leader::new(&mut self.core));
                    self.announce();
                }
            },
            _ => {}
        }
    }

    /// Whether this server leads or hears from a leader, so that it lets nobody disturb it (thesis §4.2.3).
    fn protects_leader(&self) -> bool {
        let shortest = self.core.options.election_timeout.start;
        self.core.options.check_quorum
            && match &self.role {
                Role::Follower(follower) => follower.hears_leader(&self.core),
                Role::Campaigner(_) => false,
                Role::Leader(leader) => self.core.now.since(leader.quorum_contact(&self.core)) < shortest,
            }
    }

    fn announce(&mut self) {
        let event = Event::Role { role: self.role(), term: self.core.term(), leader: self.leader() };
        self.core.record(event);
    }
}
