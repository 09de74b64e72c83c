//! The rules that show in a message, an event, a refusal or a write.
//!
//! Invariant: an outcome that several branches have is not a rule here; those branches note themselves which they are.

use super::Rule;
use crate::refusal::VoteRefused;
use crate::{
    AppendReply, ChangeRefused, Contradiction, Discard, Event, InstallSnapshot, ProposeRefused, Reply, Request,
    RoleKind, SnapshotReply, Time, TransferRefused, Write,
};

impl Rule {
    pub(crate) fn of_request(request: &Request) -> Rule {
        match request {
            Request::PreVote(_) => Rule::PreVoteAsked,
            Request::RequestVote { transfer: false, .. } => Rule::VoteAsked,
            Request::RequestVote { transfer: true, .. } => Rule::TimeoutNowFollowed,
            Request::AppendEntries(append) if append.entries.is_empty() => Rule::HeartbeatSent,
            Request::AppendEntries(_) => Rule::EntriesSent,
            Request::InstallSnapshot(InstallSnapshot { offset: 0, .. }) => Rule::SnapshotSent,
            Request::InstallSnapshot(_) => Rule::SnapshotContinued,
            Request::TimeoutNow => Rule::TimeoutNowSent,
        }
    }

    pub(crate) fn of_reply(reply: &Reply) -> Option<Rule> {
        match reply {
            Reply::AppendEntries(AppendReply::StaleTerm) => Some(Rule::AppendRefusedStaleTerm),
            Reply::InstallSnapshot(SnapshotReply::StaleTerm) => Some(Rule::SnapshotRefusedStaleTerm),
            _ => None,
        }
    }

    pub(crate) fn of_event(event: &Event) -> Option<Rule> {
        match event {
            Event::Role { role: RoleKind::Leader, .. } => Some(Rule::ElectionWon),
            Event::Truncated { .. } => Some(Rule::SuffixTruncated),
            Event::SnapshotTaken { .. } => Some(Rule::SnapshotTaken),
            Event::DiskSilent => Some(Rule::DiskSilent),
            Event::QuorumLost { .. } => Some(Rule::QuorumLost),
            Event::TransferStarted { .. } => Some(Rule::TransferStarted),
            Event::AcknowledgementDenied { .. } => Some(Rule::ContradictionDenied),
            Event::TransferAborted { .. } => Some(Rule::TransferAborted),
            Event::Role { .. }
            | Event::Voted { .. }
            | Event::Membership { .. }
            | Event::SnapshotInstalled { .. }
            | Event::DiskAnswered { .. } => None,
        }
    }

    pub(crate) fn of_write(write: &Write) -> Option<Rule> {
        let starts_void = write.discard == Some(Discard::All) && write.snapshot.is_none();
        starts_void.then_some(Rule::VoidLogDiscarded)
    }

    pub(crate) fn of_pre_vote(vote: Result<(), VoteRefused>) -> Rule {
        match vote {
            Ok(()) => Rule::PreVoteGranted,
            Err(VoteRefused::StaleTerm) => Rule::PreVoteRefusedStaleTerm,
            Err(VoteRefused::LeaderHeard) => Rule::PreVoteRefusedLeaderHeard,
            Err(VoteRefused::JustStarted) => Rule::PreVoteRefusedJustStarted,
            Err(VoteRefused::AlreadyVoted) => Rule::PreVoteRefusedAlreadyVoted,
            Err(VoteRefused::LogBehind) => Rule::PreVoteRefusedLogBehind,
        }
    }

    pub(crate) fn of_vote(vote: Result<(), VoteRefused>) -> Rule {
        match vote {
            Ok(()) => Rule::VoteGranted,
            Err(VoteRefused::StaleTerm) => Rule::VoteRefusedStaleTerm,
            Err(VoteRefused::LeaderHeard) => Rule::VoteRefusedLeaderHeard,
            Err(VoteRefused::JustStarted) => Rule::VoteRefusedJustStarted,
            Err(VoteRefused::AlreadyVoted) => Rule::VoteRefusedAlreadyVoted,
            Err(VoteRefused::LogBehind) => Rule::VoteRefusedLogBehind,
        }
    }

    /// A server in this role enters a later term.
    pub(crate) fn of_later_term(role: RoleKind) -> Rule {
        match role {
            RoleKind::Follower => Rule::FollowerEntersTerm,
            RoleKind::PreCandidate | RoleKind::Candidate => Rule::CandidateEntersTerm,
            RoleKind::Leader => Rule::LeaderEntersTerm,
        }
    }

    /// A read came; `confirmed` is when the last confirmed round began.
    pub(crate) fn of_lease(confirmed: Option<Time>, is_leased: bool) -> Option<Rule> {
        confirmed.map(|_| if is_leased { Rule::ReadByLease } else { Rule::LeaseExpired })
    }

    /// A round begins for so many reads.
    pub(crate) fn of_round(reads: usize) -> Rule {
        match reads {
            0 => Rule::LeaseRoundBegun,
            1 => Rule::ReadRoundBegun,
            _ => Rule::ReadRoundShared,
        }
    }

    /// Of `count` received entries, those from position `fresh` on are new.
    pub(crate) fn of_entries(count: usize, fresh: Option<usize>) -> Option<Rule> {
        match fresh {
            None => (count > 0).then_some(Rule::EntriesRepeated),
            Some(0) => Some(Rule::EntriesAppended),
            Some(_) => Some(Rule::EntriesOverlap),
        }
    }

    pub(crate) fn of_refused_proposal(refused: ProposeRefused) -> Option<Rule> {
        Some(match refused {
            ProposeRefused::NotLeader(_) => return None,
            ProposeRefused::Transferring { .. } => Rule::ProposeRefusedTransferring,
            ProposeRefused::Uncommitted { .. } => Rule::ProposeRefusedUncommitted,
        })
    }

    pub(crate) fn of_refused_change(refused: ChangeRefused) -> Option<Rule> {
        Some(match refused {
            ChangeRefused::NotLeader(_) => return None,
            ChangeRefused::Pending { .. } => Rule::ChangeRefusedPending,
            ChangeRefused::TermNotCommitted => Rule::ChangeRefusedTermNotCommitted,
            ChangeRefused::Transferring { .. } => Rule::ChangeRefusedTransferring,
            ChangeRefused::Unknown { .. } => Rule::ChangeRefusedUnknown,
            ChangeRefused::Exists { .. } => Rule::ChangeRefusedExists,
            ChangeRefused::VoterAndLearner { .. } => Rule::ChangeRefusedVoterAndLearner,
            ChangeRefused::LastVoter => Rule::ChangeRefusedLastVoter,
            ChangeRefused::Lagging { .. } => Rule::ChangeRefusedLagging,
            ChangeRefused::Silent { .. } => Rule::ChangeRefusedSilent,
            ChangeRefused::Denies { .. } => Rule::ContradictionDenied,
            ChangeRefused::NothingToDo => Rule::ChangeRefusedNothingToDo,
        })
    }

    pub(crate) fn of_refused_transfer(refused: TransferRefused) -> Option<Rule> {
        Some(match refused {
            TransferRefused::NotLeader(_) => return None,
            TransferRefused::Transferring { .. } => Rule::TransferRefusedTransferring,
            TransferRefused::ToItself => Rule::TransferRefusedToItself,
            TransferRefused::Unknown { .. } => Rule::TransferRefusedUnknown,
            TransferRefused::NotVoter { .. } => Rule::TransferRefusedNotVoter,
            TransferRefused::Silent { .. } => Rule::TransferRefusedSilent,
            TransferRefused::Lagging { .. } => Rule::TransferRefusedLagging,
            TransferRefused::JustAborted => Rule::TransferRefusedJustAborted,
        })
    }

    pub(crate) fn of_contradiction(contradiction: Contradiction) -> Rule {
        match contradiction {
            Contradiction::Committed { .. } => Rule::ContradictionCommitted,
            Contradiction::Misdirected { .. } => Rule::ContradictionMisdirected,
            Contradiction::OtherIncarnation { .. } => Rule::ContradictionOtherIncarnation,
            Contradiction::Disorder { .. } => Rule::ContradictionDisorder,
            Contradiction::FutureTerm { .. } => Rule::ContradictionFutureTerm,
            Contradiction::AbsurdTerm { .. } => Rule::ContradictionAbsurdTerm,
            Contradiction::AbsurdIndex { .. } => Rule::ContradictionAbsurdIndex,
            Contradiction::Overhang { .. } => Rule::ContradictionOverhang,
            Contradiction::SecondLeader { .. } => Rule::ContradictionSecondLeader,
        }
    }
}
