//! Followers: they reply to requests, and wait for messages of a leader (§5.2).
//!
//! This file has the rules for voters and for the receivers of AppendEntries (Figure 2) and InstallSnapshot (Figure
//! 13). A server in another role becomes a follower before one of these rules applies to it.

use std::cmp::Ordering;

use crate::core::Core;
use crate::mutant::Mutant;
use crate::refusal::{MAX_INDEX, VoteRefused};
use crate::rule::Rule;
use crate::snapshot::{self, Assembled, Incoming};
use crate::{
    AppendEntries, AppendReply, Contradiction, Entry, InstallSnapshot, LastEntry, NodeId, SnapshotReply, Term, Time,
};

/// The state of a follower.
#[derive(Debug)]
pub(crate) struct Follower {
    /// The leader of this term, if it is known, and when it was last heard from.
    pub(crate) leader: Option<(NodeId, Time)>,
    /// When to stand for election.
    pub(crate) deadline: Time,
}

impl Follower {
    pub(crate) fn new(core: &mut Core, leader: Option<NodeId>) -> Follower {
        Follower { leader: leader.map(|leader| (leader, core.now)), deadline: core.election_deadline() }
    }

    /// Whether the leader was heard from within the shortest election time-out. Then this server refuses votes (thesis
    /// §4.2.3).
    pub(crate) fn hears_leader(&self, core: &Core) -> bool {
        let shortest = core.options.election_timeout.start;
        self.leader.is_some_and(|(_, heard)| core.now.since(heard) < shortest)
    }

    /// RequestVote, receiver rule 2 (Figure 2). The request's term equals this server's; `is_new` if this request
    /// raised it.
    pub(crate) fn request_vote(
        &mut self,
        core: &mut Core,
        candidate: NodeId,
        last: LastEntry,
        is_new: bool,
    ) -> Result<(), VoteRefused> {
        let vote = match () {
            () if core.mutant(Mutant::OnlyTermsCompared) => is_new.then_some(()).ok_or(VoteRefused::AlreadyVoted),
            () if core.mutant(Mutant::VoteTwice) => check_log(core, last),
            () if core.mutant(Mutant::UnwrittenVoteReplaced) && core.hard_state_is_unwritten() => check_log(core, last),
            () => check_vote(core, candidate).and_then(|()| check_log(core, last)),
        };
        if vote.is_ok() && core.voted_for().is_none() {
            core.vote_for(candidate);
        }
        if vote.is_ok() || core.mutant(Mutant::VoteRequestResetsTimer) {
            self.deadline = core.election_deadline();
        }
        vote
    }
}

/// Whether this server would vote for `candidate` in `term` (thesis §9.6). Asking changes nothing.
pub(crate) fn would_vote(core: &Core, candidate: NodeId, term: Term, last: LastEntry) -> Result<(), VoteRefused> {
    match term.cmp(&core.term()) {
        Ordering::Less => return Err(VoteRefused::StaleTerm),
        Ordering::Equal => check_vote(core, candidate)?,
        Ordering::Greater => {}
    }
    check_log(core, last)
}

/// "If votedFor is null or candidateId …" (Figure 2).
fn check_vote(core: &Core, candidate: NodeId) -> Result<(), VoteRefused> {
    let is_free = core.voted_for().is_none_or(|given| given == candidate);
    is_free.then_some(()).ok_or(VoteRefused::AlreadyVoted)
}

/// "… and candidate's log is at least as up-to-date as receiver's log, grant vote" (Figure 2).
fn check_log(core: &Core, last: LastEntry) -> Result<(), VoteRefused> {
    core.is_up_to_date(last).then_some(()).ok_or(VoteRefused::LogBehind)
}

/// AppendEntries, receiver rules 2 to 5 (Figure 2). The sender leads this server's term.
///
/// # Errors
/// When the entries contradict a committed entry or cannot come from a leader of this term. The log is not changed
/// then.
pub(crate) fn append_entries(core: &mut Core, append: AppendEntries) -> Result<AppendReply, Contradiction> {
    let AppendEntries { prev_log_index, prev_log_term, entries, leader_commit } = append;
    if let Some(conflict) = core.log.conflict_at(prev_log_index, prev_log_term)
        && !(core.mutant(Mutant::NoPrevLogCheck) && prev_log_index <= core.log.last_index())
    {
        let is_missing = prev_log_index > core.log.last_index();
        core.exercised(if is_missing { Rule::ConflictMissing } else { Rule::ConflictOtherTerm });
        return Ok(AppendReply::Conflict(conflict));
    }
    check_order(LastEntry { term: prev_log_term, index: prev_log_index }, &entries, core.term())?;
    core.exercised_if(prev_log_index < core.log.base().index, Rule::AppendBeginsInCompacted);
    let matched = prev_log_index + entries.len() as u64;
    let overwrites = core.mutant(Mutant::TruncatesAlways) || core.mutant(Mutant::StepBackAndOverwrite);
    let overwrites = overwrites && !entries.is_empty();

    // Rule 3: only an entry that *conflicts* discards the entries after it. A delayed AppendEntries whose entries are
    // all in the log already must not discard any.
    let is_here = |entry: &Entry| match () {
        () if core.mutant(Mutant::ConflictKept) => entry.index <= core.log.last_index(),
        () if core.mutant(Mutant::CompactedTakenForMissing) => core.log.term_at(entry.index) == Some(entry.term),
        () => core.log.agrees(entry.index, entry.term),
    };
    let fresh = entries.iter().position(|entry| !is_here(entry));
    core.exercised(Rule::of_entries(entries.len(), fresh));
    if let Some(fresh) = fresh {
        let from = entries[fresh].index;
        if from <= core.commit_index {
            return Err(Contradiction::Committed { index: from });
        }
        let tail = match core.mutant(Mutant::TailKept) {
            true => core.log.from(matched + 1, usize::MAX).to_vec(),
            false => Vec::new(),
        };
        if from <= core.log.last_index() {
            core.truncate(from);
        }
        entries.into_iter().skip(fresh).chain(tail).for_each(|entry| core.push(entry));
    }
    if overwrites && matched < core.log.last_index() && matched >= core.commit_index {
        core.truncate(matched + 1);
    }

    // Rule 5. "Index of last new entry" is the last entry that this message proves to agree. After it the log may still
    // hold entries that the leader does not have.
    let vouched = if core.mutant(Mutant::CommitUncapped) { core.log.last_index() } else { matched };
    core.exercised_if(core.log.last_index() > matched, Rule::LaterEntriesStay);
    core.exercised_if(leader_commit > vouched, Rule::CommitCapped);
    core.commit_index = core.commit_index.max(leader_commit.min(vouched));
    core.discard_needless_chunks();
    Ok(AppendReply::Matched(matched))
}

/// Whether these entries can stand in a leader's log after `before`.
fn check_order(mut before: LastEntry, entries: &[Entry], leader_term: Term) -> Result<(), Contradiction> {
    for &Entry { index, term, .. } in entries {
        if term > leader_term {
            return Err(Contradiction::FutureTerm { index, term });
        }
        if index != before.index + 1 || term < before.term {
            return Err(Contradiction::Disorder { index });
        }
        before = LastEntry { term, index };
    }
    Ok(())
}

/// InstallSnapshot (Figure 13). The sender leads this server's term.
///
/// A log that has the snapshot's last entry has all entries before it as well, and those that the snapshot covers are
/// committed (rule 6): the rest of the snapshot is not needed, and no entry is discarded.
///
/// # Errors
/// When the snapshot contradicts a committed entry or cannot come from a leader of this term. The log is not changed
/// then.
pub(crate) fn install_snapshot(core: &mut Core, mut chunk: InstallSnapshot) -> Result<SnapshotReply, Contradiction> {
    check_chunk(core, &chunk)?;
    let LastEntry { index, term } = chunk.last;
    let is_here = match () {
        () if core.mutant(Mutant::StaleSnapshotInstalled) => false,
        () if core.mutant(Mutant::SnapshotTermIgnored) => index <= core.log.last_index(),
        () => core.log.agrees(index, term),
    };
    if is_here {
        let is_known = index <= core.commit_index;
        core.exercised(if is_known { Rule::SnapshotAlreadyCovered } else { Rule::SnapshotKeepsSuffix });
        core.commit_index = core.commit_index.max(index);
        core.discard_needless_chunks();
        return Ok(SnapshotReply::Installed(index));
    }
    if core.mutant(Mutant::ChunkOutOfPlaceKept) {
        chunk.offset = core.incoming.as_ref().map_or(0, Incoming::received);
    }
    let (leader_term, end) = (core.term(), chunk.offset + chunk.data.len() as u64);
    Ok(match snapshot::assemble(&mut core.incoming, leader_term, chunk) {
        Assembled::Part(received) => {
            core.exercised(if received == end { Rule::ChunkKept } else { Rule::ChunkOutOfPlace });
            SnapshotReply::Received(received)
        }
        Assembled::Whole(snapshot) => {
            core.install(snapshot);
            SnapshotReply::Installed(index)
        }
    })
}

/// Whether this can be a chunk of a snapshot of the current term's leader.
fn check_chunk(core: &Core, chunk: &InstallSnapshot) -> Result<(), Contradiction> {
    let &InstallSnapshot { last: LastEntry { index, term }, size, offset, ref data, .. } = chunk;
    let length = data.len() as u64;
    if index > MAX_INDEX {
        return Err(Contradiction::AbsurdIndex { index });
    }
    if term > core.term() {
        return Err(Contradiction::FutureTerm { index, term });
    }
    if offset.checked_add(length).is_none_or(|end| end > size) {
        return Err(Contradiction::Overhang { offset, length, size });
    }
    if index <= core.commit_index && !core.log.agrees(index, term) {
        return Err(Contradiction::Committed { index });
    }
    if index > core.commit_index && core.log.term_at(core.commit_index).is_some_and(|committed| term < committed) {
        return Err(Contradiction::Disorder { index });
    }
    Ok(())
}
