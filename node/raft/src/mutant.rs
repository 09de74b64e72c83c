//! Planted bugs: what people really get wrong, switched on by name, so that judges can show that they have teeth.
//!
//! Each is a branch where the rule stands, asked for with [`Core::mutant`](crate::core::Core::mutant), which is
//! constantly false unless the feature `mutants` is on. No released program has it.
//!
//! Deliberately absent: bugs of the log on disk and of applications, which belong to those crates.

use std::collections::BTreeSet;

use crate::{Configuration, NodeId};

macro_rules! mutants {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// A planted bug.
        #[cfg_attr(not(feature = "mutants"), expect(unreachable_pub))]
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Mutant {
            $($(#[$doc])* $name,)*
        }

        #[cfg(feature = "mutants")]
        impl Mutant {
            /// All of them.
            pub const ALL: &[Mutant] = &[$(Mutant::$name,)*];
        }
    };
}

mutants! {
    // §5.1, §5.2
    /// The vote is forgotten in a crash.
    VoteNotPersisted,
    /// The term, and with it the vote, is forgotten in a crash.
    TermNotPersisted,
    /// A server votes for whoever asks, again and again.
    VoteTwice,
    /// A vote of an earlier term, or of an earlier campaign, counts.
    StaleVoteCounted,
    /// Half of the servers are a quorum.
    QuorumHalf,
    /// Whoever asks for a vote puts the election off, even where it is refused.
    VoteRequestResetsTimer,
    /// A reply of a later term changes nothing.
    HigherTermInReplyIgnored,
    /// A leader that hears of a later term goes on leading in it.
    DeposedLeaderReturns,

    // §5.3
    /// Promises leave before the disk has synced.
    SpeaksBeforeSync,
    /// The AppendEntries of a deposed leader are accepted.
    StaleLeaderAccepted,
    /// The entry before the new ones may be of any term.
    NoPrevLogCheck,
    /// An AppendEntries discards all that follows what it carries.
    TruncatesAlways,
    /// Conflicting entries are replaced, and what followed them stays.
    TailKept,
    /// A follower takes the leader's commitIndex for its own, whatever it has.
    CommitUncapped,
    /// nextIndex stays where it was when a follower refuses.
    NextIndexStuck,
    /// An entry that is there already stays, whatever its term.
    ConflictKept,

    // §5.4
    /// Votes are given to logs that are behind.
    NoUpToDateCheck,
    /// Logs are compared by their length alone.
    OnlyLengthCompared,
    /// Entries of earlier terms are committed by counting replicas.
    OldTermCommitted,

    // §6
    /// C_new is appended before C_old,new is committed.
    JointLeftEarly,
    /// While joint, a majority of all voters together is a quorum.
    UnionQuorum,
    /// Learners count.
    LearnerVotes,
    /// A configuration stays in force when its entry is discarded.
    ConfigurationNotRolledBack,
    /// A leader changes the membership before an entry of its term is committed.
    ChangeBeforeNoop,
    /// A late acknowledgement of a server that was removed counts for the one that was added under its name.
    FormerServerBelieved,

    // §7, §8
    /// A snapshot claims to end one entry before it does, so that one is applied twice.
    SnapshotOffByOne,
    /// A snapshot takes the place of the log, even of one that has all of it and more.
    StaleSnapshotInstalled,
    /// A snapshot that ends within the log is taken for a part of it, whatever the term there.
    SnapshotTermIgnored,
    /// An entry that was compacted is taken for one that is not there.
    CompactedTakenForMissing,
    /// Reads are served before an entry of the leader's term is committed.
    ReadBeforeNoop,
    /// Reads are served without asking anybody.
    ReadWithoutQuorum,

    // Thesis §3.10
    /// A transfer to a server that does not take over is not given up.
    TransferNeverAborted,

    // The pseudocode of "Raftian" (2025)
    /// A vote is given for a later term; logs are not looked at.
    OnlyTermsCompared,
    /// What half of the followers have is committed.
    HalfOfFollowersCommit,
    /// nextIndex goes back by one, and the whole rest of the log is overwritten.
    StepBackAndOverwrite,

    // When many inputs come before one `Ready`
    /// A truncation that discards what was not handed to storage yet leaves the rest to storage as it is.
    HandedKeptInBatch,
    /// A vote that was not handed to storage yet may still be given to another one.
    UnwrittenVoteReplaced,
    /// A candidate's vote for itself counts before it is on stable storage.
    OwnVoteCountsUnwritten,
    /// What is left when committed entries are handed out in parts is skipped.
    CommittedRestSkipped,

    // Limits, and calls that are lost
    /// A command that is larger than a batch is never sent.
    LargeCommandNeverSent,
    /// A lost call is repeated at once, and not with the next heartbeat.
    LostCallRepeatedAtOnce,
    /// The loss of any call is taken for that of the one in flight.
    AnyLossBelieved,
    /// An answer is ignored when its request was sent again meanwhile.
    LateAnswerRefused,
    /// A request is not taken for lost because a later one was answered.
    LossNotInferred,
    /// A request is taken for lost whenever a later one is answered first.
    LossInferredAtOnce,
    /// An answer to an earlier request is taken for one to the request in flight.
    AnyAnswerTaken,

    // Thesis §6.4.1: leases
    /// A lease goes on when a TimeoutNow has left.
    LeaseOutlivesTransfer,
    /// A lease begins when a round is answered, and not when the round began.
    LeaseFromAnswer,
    /// Clocks are taken to run at one rate.
    LeaseWithoutDrift,
    /// A server that has just started votes although it may have promised a leader not to.
    NoProtectionAfterRestart,
    /// A lease is judged by the time of the last input, and not of the read.
    ReadIgnoresClock,
    /// A read joins the round under way, whose messages left before it came.
    ReadJoinsRoundUnderWay,

    // Members, and who may lead
    /// A leader that is not in C_new goes on.
    RemovedLeaderStays,
    /// A server that was voted out does not stand, though C_new may not be committed.
    RemovedVoterGivesUp,
    /// A server without a vote stands for election.
    LearnerStands,
    /// The lead is handed over to a learner, which cannot take it.
    TransferToLearner,
    /// A change begins while another one is not completed.
    ChangeWhilePending,

    // Waste, and what never comes
    /// A pre-vote is granted although a leader lives.
    PreVoteDisturbsLeader,
    /// A server enters the term that a pre-vote asks about.
    PreVoteRaisesTerm,
    /// A deposed leader puts the election off.
    StaleLeaderResetsTimer,
    /// A candidate that does not win waits for ever.
    CandidateNeverRetries,
    /// A leader without a quorum goes on, with a deadline that stays in the past.
    QuorumLossIgnored,
    /// Whatever a server replies waits for all its writes.
    RepliesWaitForWrites,
    /// A late acknowledgement lowers matchIndex.
    MatchIndexFalls,
    /// A snapshot is sent from its beginning whenever there is a newer one.
    SnapshotRestartsForNewer,
    /// A chunk is appended to what is here, whatever its offset.
    ChunkOutOfPlaceKept,
    /// The reads of a leader that steps down are never answered.
    ReadsForgottenOnStepDown,

    // What is hard to see from outside
    /// A server that steps down within a term forgets whom it voted for in it.
    StepDownForgetsVote,
    /// A leader takes in what a deposed one sends it, as a follower would.
    LeaderFollows,
}

impl Mutant {
    /// The bugs that are about counting.
    pub(crate) const MISCOUNTS: [Mutant; 3] = [Mutant::QuorumHalf, Mutant::UnionQuorum, Mutant::LearnerVotes];

    /// What a miscounted quorum has reached.
    pub(crate) fn miscount<T: Ord>(self, configuration: &Configuration, value: impl Fn(NodeId) -> T) -> T {
        let (voters, outgoing) = (configuration.voters(), configuration.outgoing());
        let kth = |servers: &BTreeSet<NodeId>, quorum: usize| {
            let mut values: Vec<T> = servers.iter().copied().map(&value).collect();
            values.sort_unstable_by(|a, b| b.cmp(a));
            values.swap_remove(quorum - 1)
        };
        let half = |servers: &BTreeSet<NodeId>| kth(servers, servers.len().div_ceil(2));
        let majority = |servers: &BTreeSet<NodeId>| kth(servers, servers.len() / 2 + 1);
        match self {
            Mutant::QuorumHalf if configuration.is_joint() => half(voters).min(half(outgoing)),
            Mutant::QuorumHalf => half(voters),
            Mutant::UnionQuorum => majority(&(voters | outgoing)),
            Mutant::LearnerVotes => majority(&(&(voters | outgoing) | configuration.learners())),
            _ => configuration.reached(value),
        }
    }
}
