//! Leaders: they replicate their log, advance commitIndex (§5.3, §5.4), change the membership (§6), and transfer
//! leadership (thesis §3.10).
//!
//! Messages are made when effects are taken, not for each command.
//!
//! Invariant: a leader never discards or overwrites an entry of its own log (Leader Append-Only).

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::Bytes;

use crate::core::Core;
use crate::mutant::Mutant;
use crate::progress::Progress;
use crate::reads::Reads;
use crate::rule::Rule;
use crate::{
    AppendReply, Change, ChangeRefused, Configuration, Event, Index, NodeId, Payload, Peer, ProposeRefused, ReadTicket,
    Request, SnapshotReply, Time, TransferRefused,
};

/// The state of a leader (Figure 2: "reinitialized after election").
#[derive(Debug)]
pub(crate) struct Leader {
    /// All other members, and servers that were removed recently.
    followers: BTreeMap<NodeId, Progress>,
    /// The memory that the entries after commitIndex take, in bytes.
    uncommitted_bytes: usize,
    heartbeat_deadline: Time,
    reads: Reads,
    transfer: Option<Transfer>,
    /// The time before which no transfer begins: one was aborted.
    next_transfer: Time,
    /// A TimeoutNow was sent in this term. It may arrive at any time, and then servers vote although they hear from
    /// this leader.
    gave_way: bool,
}

/// A transfer of leadership in progress.
#[derive(Debug)]
struct Transfer {
    to: NodeId,
    /// When to abort it.
    deadline: Time,
    /// A TimeoutNow was sent since the last heartbeat.
    told: bool,
}

impl Leader {
    /// Becomes leader: assumes that all followers are up-to-date until a reply shows otherwise, and appends a no-op,
    /// without which the leader could not learn that entries of earlier terms are committed (§5.4.2, §8).
    pub(crate) fn new(core: &mut Core) -> Leader {
        let mut leader = Leader {
            followers: BTreeMap::new(),
            uncommitted_bytes: core.log.memory(core.commit_index, core.log.last_index()),
            heartbeat_deadline: core.now + core.options.heartbeat_interval,
            reads: Reads::default(),
            transfer: None,
            next_transfer: core.now,
            gave_way: false,
        };
        leader.meet_members(core);
        leader.append(core, Payload::Noop);
        leader
    }

    /// Appends an entry of its term. Returns its index.
    fn append(&mut self, core: &mut Core, payload: Payload) -> Index {
        let index = core.append(payload);
        self.uncommitted_bytes += core.log.memory(index - 1, index);
        index
    }

    /// Appends commands (§5.3). Returns the index of the first.
    pub(crate) fn propose(&mut self, core: &mut Core, commands: Vec<Bytes>) -> Result<Index, ProposeRefused> {
        if let Some(to) = self.transferring_to() {
            return Err(ProposeRefused::Transferring { to });
        }
        let (bytes, limit) = (self.uncommitted_bytes, core.options.max_uncommitted_bytes);
        if bytes > limit {
            return Err(ProposeRefused::Uncommitted { bytes, limit });
        }
        let first = core.log.last_index() + 1;
        for command in commands {
            self.append(core, Payload::Command(command));
        }
        Ok(first)
    }

    /// When the leader must be called again.
    pub(crate) fn deadline(&self, core: &Core) -> Time {
        let quorum = core.options.check_quorum.then(|| self.quorum_deadline(core));
        let transfer = self.transfer.as_ref().map(|transfer| transfer.deadline);
        let questions = self.followers.values().filter_map(|progress| progress.question_due(core));
        quorum.into_iter().chain(transfer).chain(questions).fold(self.heartbeat_deadline, Time::min)
    }

    /// Aborts a transfer that takes too long. When a heartbeat is due, marks all followers for one; before that, only
    /// the followers that may have missed a request.
    pub(crate) fn tick(&mut self, core: &mut Core) {
        if let Some(transfer) = self.transfer.take_if(|transfer| core.now >= transfer.deadline) {
            // Commands are taken for at least as long as they were refused, however often a transfer is asked for.
            self.next_transfer = core.now + core.options.election_timeout.end;
            core.record(Event::TransferAborted { to: transfer.to });
        }
        self.followers.values_mut().for_each(|progress| progress.ask(core));
        if core.now < self.heartbeat_deadline {
            return;
        }
        self.heartbeat_deadline = core.now + core.options.heartbeat_interval;
        self.followers.retain(|_, progress| progress.leaves_at.is_none_or(|end| core.now < end));
        self.followers.values_mut().for_each(|progress| progress.beat(core));
        if let Some(transfer) = &mut self.transfer {
            transfer.told = false;
        }
        if core.disk_is_silent() {
            self.hand_over_to_working_disk(core);
        }
        // With leases, every heartbeat may renew them.
        self.reads.begin_round(core, core.options.lease_span().is_some());
    }

    /// The latest time such that each server of a quorum, this one included, was heard from then or later.
    pub(crate) fn quorum_contact(&self, core: &Core) -> Time {
        core.reached(|id| self.followers.get(&id).map_or(core.now, |progress| progress.counts(progress.heard)))
    }

    /// When the leader steps down unless it hears from a quorum (thesis §6.2).
    pub(crate) fn quorum_deadline(&self, core: &Core) -> Time {
        self.quorum_contact(core) + core.options.election_timeout.end
    }

    /// The last entry that this peer is known to have; `None` if it is not a peer, or denies what it acknowledged.
    pub(crate) fn match_index(&self, peer: NodeId) -> Option<Index> {
        self.followers.get(&peer).filter(|progress| !progress.denies).map(|progress| progress.match_index)
    }

    /// The last entry that each peer is known to have, but for those that deny what they acknowledged.
    pub(crate) fn match_indexes(&self) -> impl Iterator<Item = (NodeId, Index)> {
        let honest = self.followers.iter().filter(|(_, progress)| !progress.denies);
        honest.map(|(id, progress)| (*id, progress.match_index))
    }

    /// What the leader knows of all other servers.
    pub(crate) fn peers(&self, core: &Core) -> Vec<Peer> {
        self.followers.iter().map(|(id, progress)| progress.describe(core, *id)).collect()
    }

    // Replies of this term.

    /// The reply to an AppendEntries.
    pub(crate) fn append_replied(&mut self, core: &mut Core, from: NodeId, call: u64, reply: AppendReply) {
        let Some(progress) = self.followers.get_mut(&from) else { return };
        if progress.is_denied_by(core, call, reply) {
            core.record(Event::AcknowledgementDenied { peer: from, index: progress.match_index });
            *progress = progress.denying(core);
        } else {
            progress.append_replied(core, call, reply);
        }
        self.confirm_reads(core);
    }

    /// The reply to an InstallSnapshot.
    pub(crate) fn snapshot_replied(&mut self, core: &mut Core, from: NodeId, call: u64, reply: SnapshotReply) {
        if let Some(progress) = self.followers.get_mut(&from) {
            progress.snapshot_replied(core, call, reply);
            self.confirm_reads(core);
        }
    }

    /// The transport has given up a call.
    pub(crate) fn lost(&mut self, core: &mut Core, to: NodeId, call: u64) {
        self.followers.entry(to).and_modify(|progress| progress.lost(core, call));
    }

    // Commitment.

    /// "If there exists an N such that N > commitIndex, a majority of matchIndex[i] ≥ N, and log[N].term ==
    /// currentTerm: set commitIndex = N" (Figure 2, §5.4.2). The leader's own matchIndex is what its disk has; it
    /// counts only if the leader is a voter (§6).
    pub(crate) fn advance_commit_index(&mut self, core: &mut Core) {
        let stored = match core.mutant(Mutant::HalfOfFollowersCommit) {
            true => self.stored_by_half(core),
            false => core.reached(|id| {
                self.followers.get(&id).map_or(core.log.durable(), |progress| progress.counts(progress.match_index))
            }),
        };
        let is_of_this_term = core.log.term_at(stored) == Some(core.term()) || core.mutant(Mutant::OldTermCommitted);
        if stored > core.commit_index && is_of_this_term {
            core.exercised(Rule::EntriesCommitted);
            core.exercised_if(stored > core.log.durable(), Rule::CommittedBeforeOwnDisk);
            self.uncommitted_bytes -= core.log.memory(core.commit_index, stored);
            core.commit_index = stored;
        } else if stored > core.commit_index {
            core.exercised(Rule::OldTermNotCommitted);
        }
    }

    /// What [`Mutant::HalfOfFollowersCommit`] takes for committed.
    fn stored_by_half(&self, core: &Core) -> Index {
        let mut stored: Vec<Index> = self.followers.values().map(|progress| progress.match_index).collect();
        stored.sort_unstable_by(|a, b| b.cmp(a));
        let half = (stored.len() / 2).checked_sub(1).map_or(Index::MAX, |nth| stored[nth]);
        half.min(core.log.durable())
    }

    /// Sends to every follower what it needs and may be sent now.
    pub(crate) fn replicate(&mut self, core: &mut Core) {
        if self.reads.begin_round(core, false) {
            self.followers.values_mut().for_each(|progress| progress.heartbeat_due = true);
        }
        for (peer, progress) in &mut self.followers {
            progress.replicate(core, *peer);
        }
        self.hand_over(core);
        // In a cluster of one, the leader is the quorum.
        self.confirm_reads(core);
    }

    // Membership (§6).

    /// Begins a change of the membership.
    pub(crate) fn change(&mut self, core: &mut Core, change: Change) -> Result<Index, ChangeRefused> {
        if let Some(to) = self.transferring_to() {
            return Err(ChangeRefused::Transferring { to });
        }
        if !core.has_committed_in_term() && !core.mutant(Mutant::ChangeBeforeNoop) {
            return Err(ChangeRefused::TermNotCommitted);
        }
        let pending = ChangeRefused::Pending { index: core.log.membership().active_since() };
        let settled = |configuration: &&Configuration| {
            let is_settled = core.configuration_is_committed() && !configuration.is_joint();
            is_settled || core.mutant(Mutant::ChangeWhilePending)
        };
        let current = core.configuration().filter(settled).ok_or(pending)?;
        let lag = |id| self.followers.get(&id).and_then(|progress| progress.lag(core));
        let answers = |id| self.followers.get(&id).is_none_or(|progress| progress.is_heard(core));
        let next = change.apply(current, lag, answers)?;
        let denies = |id: &&NodeId| self.followers.get(*id).is_some_and(|progress| progress.denies);
        if let Some(&node) = next.voters().difference(current.voters()).find(denies) {
            return Err(ChangeRefused::Denies { node });
        }
        core.exercised(if next.is_joint() { Rule::JointEntered } else { Rule::LearnersChanged });
        Ok(self.append_configuration(core, next))
    }

    /// "Once C_old,new has been committed … it is now safe for the leader to create C_new" (§6).
    pub(crate) fn finish_change(&mut self, core: &mut Core) {
        let is_committed = core.configuration_is_committed() && core.has_committed_in_term();
        let may_finish = is_committed || core.mutant(Mutant::JointLeftEarly);
        let joint = core.configuration().filter(|configuration| configuration.is_joint() && may_finish);
        if let Some(settled) = joint.map(Configuration::settled) {
            core.exercised(Rule::JointLeft);
            self.append_configuration(core, settled);
        }
    }

    fn append_configuration(&mut self, core: &mut Core, configuration: Configuration) -> Index {
        let index = self.append(core, Payload::Configuration(Box::new(configuration)));
        self.meet_members(core);
        index
    }

    /// Follows the membership: from now on all members are sent messages, and servers that were removed for a while
    /// longer, so that they learn of it and do not stand for elections that they cannot win. A server that is added
    /// soon after it was removed may be a new one with the same name, which lacks all that the former one acknowledged.
    fn meet_members(&mut self, core: &mut Core) {
        let Some(configuration) = core.configuration().cloned() else { return };
        let former = core.log.membership().previous().into_iter().flat_map(Configuration::members);
        let peers: BTreeSet<NodeId> = configuration.members().chain(former).filter(|peer| *peer != core.id()).collect();
        let next_index = core.log.last_index() + 1;
        let end = core.now + core.options.election_timeout.end;
        for peer in peers {
            let takes_part = configuration.contains(peer);
            let progress = self.followers.entry(peer).or_insert_with(|| Progress::new(next_index, core));
            if takes_part && progress.leaves_at.is_some() {
                core.exercised(Rule::MemberAddedAgain);
                *progress = Progress::new(next_index, core);
            }
            progress.leaves_at = (!takes_part).then_some(end);
        }
    }

    // Leadership transfer (thesis §3.10).

    /// Begins a transfer to `to`, which must seem able to take over soon: until the transfer is done or aborted, commands
    /// are refused.
    pub(crate) fn transfer(&mut self, core: &mut Core, to: NodeId) -> Result<(), TransferRefused> {
        let configuration = core.configuration();
        let is_member = configuration.is_some_and(|configuration| configuration.contains(to));
        let has_vote = configuration.is_some_and(|configuration| configuration.voters().contains(&to))
            || core.mutant(Mutant::TransferToLearner);
        match self.transferring_to() {
            Some(to) => Err(TransferRefused::Transferring { to }),
            None if to == core.id() => Err(TransferRefused::ToItself),
            None if !is_member => Err(TransferRefused::Unknown { node: to }),
            None if !has_vote => Err(TransferRefused::NotVoter { node: to }),
            None if core.now < self.next_transfer => Err(TransferRefused::JustAborted),
            None => {
                self.followers.get(&to).map_or(Ok(()), |progress| progress.check_successor(core, to))?;
                let patience = if core.mutant(Mutant::TransferNeverAborted) { 1_000_000 } else { 1 };
                let deadline = core.now + core.options.election_timeout.end * patience;
                self.transfer = Some(Transfer { to, deadline, told: false });
                core.record(Event::TransferStarted { to });
                Ok(())
            }
        }
    }

    /// The server to which leadership is being transferred.
    pub(crate) fn transferring_to(&self) -> Option<NodeId> {
        self.transfer.as_ref().map(|transfer| transfer.to)
    }

    /// The disk does not answer. The leader can commit on the disks of others (thesis §10.2.1), but never acknowledge
    /// anything to another leader: it hands over to the voter that has stored the most, if that is more than it has
    /// itself. A refusal is for now, and the next heartbeat is another chance.
    fn hand_over_to_working_disk(&mut self, core: &mut Core) {
        let voters = core.configuration().into_iter().flat_map(Configuration::voters);
        let stored = voters.filter_map(|voter| Some((self.match_index(*voter)?, *voter)));
        let ahead = stored.filter(|(match_index, _)| *match_index > core.log.durable()).max();
        if let Some((_, successor)) = ahead
            && self.transfer(core, successor).is_ok()
        {
            core.exercised(Rule::DiskSilentHandsOver);
        }
    }

    /// Sends TimeoutNow to the next leader once its log matches this one.
    fn hand_over(&mut self, core: &mut Core) {
        let Some(transfer) = self.transfer.as_mut().filter(|transfer| !transfer.told) else { return };
        if self.followers.get(&transfer.to).is_some_and(|peer| peer.match_index == core.log.last_index()) {
            transfer.told = true;
            self.gave_way = true;
            core.call(transfer.to, Request::TimeoutNow);
        }
    }

    /// A leader that was removed sends TimeoutNow to the voter with the greatest matchIndex, so that the cluster need
    /// not wait for an election time-out.
    pub(crate) fn take_leave(&mut self, core: &mut Core) {
        let voters = self.followers.iter().filter(|(id, _)| core.configuration().is_some_and(|c| c.is_voter(**id)));
        if let Some((&heir, _)) = voters.max_by_key(|(_, progress)| progress.match_index) {
            core.call(heir, Request::TimeoutNow);
        }
    }

    // Reads (§8).

    /// A read came in.
    pub(crate) fn read(&mut self, core: &mut Core, ticket: ReadTicket) {
        core.exercised(core.options.lease_span().filter(|_| self.gave_way).map(|_| Rule::LeaseVoidByTransfer));
        self.reads.add(core, ticket, self.lease(core));
    }

    /// How long after the start of a confirmed round the leader may serve reads without another one.
    fn lease(&self, core: &Core) -> Option<Duration> {
        let is_void = self.gave_way && !core.mutant(Mutant::LeaseOutlivesTransfer);
        let span = core.options.lease_span().filter(|_| !is_void)?;
        Some(if core.mutant(Mutant::LeaseWithoutDrift) { core.options.election_timeout.start } else { span })
    }

    /// Whether a read that comes now needs no round.
    pub(crate) fn has_lease(&self, core: &Core, now: Time) -> bool {
        self.reads.is_leased(now, self.lease(core))
    }

    /// The number of reads without an outcome.
    pub(crate) fn pending_reads(&self) -> usize {
        self.reads.pending()
    }

    /// The leader steps down: the reads that were not confirmed fail.
    pub(crate) fn fail_reads(&mut self, core: &mut Core, leader: Option<NodeId>) {
        let reads = std::mem::take(&mut self.reads);
        if !core.mutant(Mutant::ReadsForgottenOnStepDown) {
            reads.fail(core, leader);
        }
    }

    fn confirm_reads(&mut self, core: &mut Core) {
        if self.reads.is_asking() {
            let answered = core
                .reached(|id| self.followers.get(&id).map_or(u64::MAX, |progress| progress.counts(progress.answered)));
            self.reads.answered(core, answered);
        }
    }
}
