//! A Raft server: it takes inputs, follows the rules of its role (Figure 2), and gives effects.
//!
//! This file has the methods that its driver calls. Messages of peers are in `receive`, the changes of role in
//! `transition`.
//!
//! Invariant: every request gets exactly one reply, or is refused with an error that the driver returns to the caller.

mod receive;
mod transition;

use bytes::Bytes;

use crate::campaign::{Campaign, Stage};
use crate::core::Core;
use crate::follower::Follower;
use crate::leader::Leader;
use crate::mutant::Mutant;
use crate::rule::Rule;
#[cfg(feature = "rules")]
use crate::rule::RuleSet;
use crate::{
    Change, ChangeRefused, CompactRefused, Configuration, Entry, Event, HardState, Index, LastEntry, Message, NodeId,
    NotLeader, Options, Persisted, ProposeRefused, ReadTicket, Ready, Recovered, RoleKind, Snapshot, Status, Term,
    Time, TransferRefused,
};

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

/// The place in the log of entries that a leader appended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Proposed {
    /// The term of the entries. An entry of another term at the same index is another leader's (§5.3).
    pub term: Term,
    /// The index of the first entry; the others follow.
    pub first: Index,
}

impl Server {
    /// A server with the state that was recovered from its disk. It starts as a follower (§5.2).
    ///
    /// # Panics
    /// When the recovered log has gaps: storage has checked that it has none. When the range of election time-outs is
    /// empty.
    pub fn new(options: Options, recovered: Recovered, now: Time) -> Server {
        assert!(!options.election_timeout.is_empty(), "an election time-out is drawn from a range that is not empty");
        let mut core = Core::new(options, recovered, now);
        let mut follower = Follower::new(&mut core, None);
        if core.options.campaigns_first && core.term() == 0 {
            follower.deadline = now;
        }
        Server { core, role: Role::Follower(follower) }
    }

    // Its state.

    /// Its name.
    pub fn id(&self) -> NodeId {
        self.core.id()
    }

    /// A summary of its state.
    pub fn status(&self) -> Status {
        let leading = match &self.role {
            Role::Leader(leader) => Some(leader),
            Role::Follower(_) | Role::Campaigner(_) => None,
        };
        Status {
            role: self.role(),
            term: self.core.term(),
            voted_for: self.core.voted_for(),
            leader: self.leader(),
            snapshot_index: self.core.log.snapshot_index(),
            first_index: self.core.log.base().index + 1,
            last_index: self.core.log.last_index(),
            durable_index: self.core.log.durable(),
            commit_index: self.core.commit_index,
            configuration: self.core.configuration().cloned(),
            configuration_committed: self.core.configuration_is_committed(),
            disk_silence: self.core.disk_silence(),
            election_in: self.election_deadline().map(|deadline| deadline.since(self.core.now)),
            quorum_contact: leading.map(|leader| self.core.now.since(leader.quorum_contact(&self.core))),
            transfer: leading.and_then(Leader::transferring_to),
            peers: leading.map_or_else(Vec::new, |leader| leader.peers(&self.core)),
        }
    }

    /// Its role.
    pub fn role(&self) -> RoleKind {
        match &self.role {
            Role::Follower(_) => RoleKind::Follower,
            Role::Campaigner(Campaign { stage: Stage::PreVote, .. }) => RoleKind::PreCandidate,
            Role::Campaigner(Campaign { stage: Stage::Vote { .. }, .. }) => RoleKind::Candidate,
            Role::Leader(_) => RoleKind::Leader,
        }
    }

    /// Its term and its vote in it, durable or not yet.
    pub fn hard_state(&self) -> HardState {
        HardState { term: self.core.term(), voted_for: self.core.voted_for() }
    }

    /// The last entry it knows to be committed.
    pub fn commit_index(&self) -> Index {
        self.core.commit_index
    }

    /// The first entry it holds; the one after the last if it holds none.
    pub fn first_index(&self) -> Index {
        self.core.log.base().index + 1
    }

    /// The end of its log.
    pub fn last(&self) -> LastEntry {
        self.core.log.last()
    }

    /// The configuration in force; `None` for a server that waits to be added.
    pub fn configuration(&self) -> Option<&Configuration> {
        self.core.configuration()
    }

    /// Whether the configuration in force is committed, and only a change that begins later can replace it. A new
    /// leader does not know this before an entry of its own term is committed: the log of another server may hold a
    /// change that this one has not received, and that server may be the next leader and commit it (§5.4.2).
    pub fn configuration_is_settled(&self) -> bool {
        self.core.configuration_is_committed() && self.core.has_committed_in_term()
    }

    /// The last entry that `peer` is known to have durably; `None` if this server does not lead, or does not know it,
    /// or the peer has denied what it acknowledged.
    pub fn match_index(&self, peer: NodeId) -> Option<Index> {
        match &self.role {
            Role::Leader(leader) => leader.match_index(peer),
            Role::Follower(_) | Role::Campaigner(_) => None,
        }
    }

    /// What [`Server::match_index`] says of each peer; nothing if this server does not lead.
    pub fn match_indexes(&self) -> impl Iterator<Item = (NodeId, Index)> {
        let leading = if let Role::Leader(leader) = &self.role { Some(leader) } else { None };
        leading.into_iter().flat_map(Leader::match_indexes)
    }

    /// The number of pending reads, which have no outcome yet. Only a leader has any.
    pub fn pending_reads(&self) -> usize {
        match &self.role {
            Role::Leader(leader) => leader.pending_reads(),
            Role::Follower(_) | Role::Campaigner(_) => 0,
        }
    }

    /// Whether a read that comes at `now` needs no messages, because the leader has a lease (thesis §6.4.1): then no
    /// other server can have committed an entry that this server does not know to be committed.
    pub fn has_lease(&self, now: Time) -> bool {
        match &self.role {
            Role::Leader(leader) => leader.has_lease(&self.core, now),
            Role::Follower(_) | Role::Campaigner(_) => false,
        }
    }

    /// At most `max` entries of the log from index `from` on, committed or not; none if `from` is compacted.
    pub fn entries(&self, from: Index, max: usize) -> &[Entry] {
        self.core.log.from(from, max)
    }

    /// The latest snapshot, its own or a leader's.
    pub fn snapshot(&self) -> Option<&Snapshot> {
        self.core.log.snapshot()
    }

    /// The leader of the present term, if known.
    pub fn leader(&self) -> Option<NodeId> {
        match &self.role {
            Role::Follower(follower) => follower.leader.map(|(leader, _)| leader),
            Role::Campaigner(_) => None,
            Role::Leader(_) => Some(self.id()),
        }
    }

    /// When it stands for election, unless it hears from a leader.
    fn election_deadline(&self) -> Option<Time> {
        match &self.role {
            Role::Follower(follower) => Some(follower.deadline),
            Role::Campaigner(campaign) => Some(campaign.deadline),
            Role::Leader(_) => None,
        }
    }

    /// When to call [`Server::tick`] at the latest. It may be in the past while there are effects to take.
    pub fn deadline(&self) -> Time {
        if self.core.has_undelivered() {
            return self.core.now;
        }
        let of_role = match &self.role {
            Role::Follower(follower) => follower.deadline,
            Role::Campaigner(campaign) => campaign.deadline,
            Role::Leader(leader) => leader.deadline(&self.core),
        };
        self.core.disk_deadline().map_or(of_role, |deadline| deadline.min(of_role))
    }

    /// The rules that it has followed since it started, for tests.
    #[cfg(feature = "rules")]
    pub fn rules(&self) -> RuleSet {
        self.core.rules
    }

    // Inputs; see also [`Server::receive`].

    /// Time has passed. Before the deadline this has no effect.
    pub fn tick(&mut self, now: Time) {
        self.observe(now);
        self.core.watch_disk();
        match &mut self.role {
            Role::Follower(Follower { deadline, .. }) | Role::Campaigner(Campaign { deadline, .. }) => {
                if now >= *deadline {
                    self.election_timed_out();
                }
            }
            Role::Leader(leader) => {
                let lost = self.core.options.check_quorum
                    && now >= leader.quorum_deadline(&self.core)
                    && !self.core.mutant(Mutant::QuorumLossIgnored);
                leader.tick(&mut self.core);
                if lost {
                    self.core.record(Event::QuorumLost { term: self.core.term() });
                    self.become_follower(None);
                }
            }
        }
    }

    /// The transport has given up a call: no reply will come, though the request may have arrived. Optional; without
    /// this call the server detects the loss itself, later.
    pub fn lost(&mut self, now: Time, to: NodeId, call: u64) {
        self.observe(now);
        if let Role::Leader(leader) = &mut self.role {
            leader.lost(&mut self.core, to, call);
        }
    }

    /// Appends commands to a leader's log (§5.3). [`Ready::committed`] shows the outcome: if the entry at their index
    /// has the term [`Proposed::term`], the command is committed; if it has another term, the command is lost. An index
    /// that a leader's snapshot covers ([`Ready::restore`]) does not appear there, and its outcome stays unknown here.
    ///
    /// # Errors
    /// When this server does not lead, is transferring leadership, or has too many commands that are not committed.
    pub fn propose(
        &mut self,
        now: Time,
        commands: impl IntoIterator<Item = Bytes>,
    ) -> Result<Proposed, ProposeRefused> {
        let (core, leader) = self.leading(now)?;
        let first = leader
            .propose(core, commands.into_iter().collect())
            .inspect_err(|refused| core.exercised(Rule::of_refused_proposal(*refused)))?;
        Ok(Proposed { term: core.term(), first })
    }

    /// Begins a change of the membership (§6). It is in force at once. It is complete when [`Status::configuration`] is
    /// no longer joint and [`Status::configuration_committed`] is true. Like a command, it may be lost with its leader.
    ///
    /// # Errors
    /// When this server does not lead, or the change is not possible, now or at all.
    pub fn propose_configuration(&mut self, now: Time, change: Change) -> Result<Proposed, ChangeRefused> {
        let (core, leader) = self.leading(now)?;
        let first =
            leader.change(core, change).inspect_err(|refused| core.exercised(Rule::of_refused_change(*refused)))?;
        Ok(Proposed { term: core.term(), first })
    }

    /// Transfers leadership to another voter (thesis §3.10): waits until that server's log is up-to-date, then asks it
    /// to start an election. Until this is done, or aborted after an election time-out, commands are refused.
    ///
    /// # Errors
    /// When this server does not lead, a transfer is in progress or was aborted a moment ago, or the other server cannot
    /// lead, does not reply, or lacks more than fits in one message.
    pub fn transfer(&mut self, now: Time, to: NodeId) -> Result<(), TransferRefused> {
        let (core, leader) = self.leading(now)?;
        leader.transfer(core, to).inspect_err(|refused| core.exercised(Rule::of_refused_transfer(*refused)))
    }

    /// Begins a read that comes at `now` (§8). Its outcome, the index that must be applied before the read is served,
    /// comes in [`Ready::reads`] with the ticket returned here, at the latest when this server stops leading.
    ///
    /// # Errors
    /// When this server does not lead.
    pub fn read(&mut self, now: Time) -> Result<ReadTicket, NotLeader> {
        let now = if self.core.mutant(Mutant::ReadIgnoresClock) { self.core.now } else { now };
        let (core, leader) = self.leading(now)?;
        let ticket = core.next_ticket();
        leader.read(core, ticket);
        Ok(ticket)
    }

    /// The snapshot that [`Server::compact`] would make of this state, in which `last_index` is the last entry applied.
    /// This changes nothing, so the snapshot can be written beside the log before `compact` is called.
    ///
    /// # Errors
    /// Those of [`Server::compact`].
    pub fn snapshot_of(&self, last_index: Index, data: Bytes) -> Result<Snapshot, CompactRefused> {
        let (applied, snapshot_index) = (self.core.delivered(), self.core.log.snapshot_index());
        if last_index > applied {
            return Err(CompactRefused::NotApplied { last_index, applied });
        }
        if last_index <= snapshot_index {
            return Err(CompactRefused::NotNewer { snapshot_index });
        }
        let off_by = u64::from(self.core.mutant(Mutant::SnapshotOffByOne) && last_index > snapshot_index + 1);
        let index = last_index - off_by;
        let known = self.core.log.term_at(index).zip(self.core.log.membership().at(index).cloned());
        let (term, configuration) = known.ok_or(CompactRefused::UnknownConfiguration { last_index })?;
        Ok(Snapshot { last: LastEntry { term, index }, configuration, data })
    }

    /// Takes a snapshot of the application, in which `last_index` is the last entry applied, and discards the entries
    /// that it covers (§7) except for the last `keep`: a follower that lacks no more than these is sent entries and not
    /// the snapshot.
    ///
    /// # Errors
    /// When entries up to `last_index` are not applied, there is a snapshot already that covers `last_index`, or the
    /// configuration at that index is not known here.
    pub fn compact(&mut self, last_index: Index, data: Bytes, keep: u64) -> Result<(), CompactRefused> {
        let snapshot = self.snapshot_of(last_index, data);
        self.core.exercised_if(snapshot.is_err(), Rule::CompactRefused);
        let snapshot = snapshot?;
        let index = snapshot.last_index();
        self.core.log.compact(snapshot, keep);
        self.core.record(Event::SnapshotTaken { index });
        Ok(())
    }

    // Effects.

    /// Takes all effects of the inputs so far. Call it after all available inputs were given: effects that are taken
    /// together are sent and synced together.
    pub fn ready(&mut self) -> Ready {
        if let Role::Leader(leader) = &mut self.role {
            leader.replicate(&mut self.core);
        }
        self.core.take_ready()
    }

    /// A write is durable. Returns the messages that waited for it.
    ///
    /// # Panics
    /// When writes are reported in another order than [`Server::ready`] gave them.
    #[must_use = "the messages are to be sent"]
    pub fn persisted(&mut self, now: Time, persisted: Persisted) -> Vec<Message> {
        self.observe(now);
        self.core.note_durable(persisted.ticket);
        match &self.role {
            // A candidate's own vote counts from here on.
            Role::Campaigner(_) => self.check_election(),
            Role::Leader(_) => self.advance(),
            Role::Follower(_) => {}
        }
        persisted.sealed
    }

    fn observe(&mut self, now: Time) {
        self.core.now = self.core.now.max(now);
    }

    /// The core and the leader's state, for inputs that only a leader takes.
    fn leading(&mut self, now: Time) -> Result<(&mut Core, &mut Leader), NotLeader> {
        self.observe(now);
        match &mut self.role {
            Role::Leader(leader) => Ok((&mut self.core, leader)),
            Role::Follower(follower) => Err(NotLeader { leader: follower.leader.map(|(leader, _)| leader) }),
            Role::Campaigner(_) => Err(NotLeader { leader: None }),
        }
    }
}
