//! Planted bugs: typical mistakes, enabled by name, so that tests can show that the judges find them.
//!
//! Each is a branch in the code of a rule, enabled by [`Core::mutant`](crate::core::Core::mutant), which is the
//! constant `false` unless the feature `mutants` is on. No released program has this feature.
//!
//! Deliberately absent: bugs of the log on disk and of applications, which belong to those crates.

use std::collections::BTreeSet;

use crate::core::Core;
use crate::{Configuration, Message, NodeId};

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
    /// A server votes for every candidate, even twice in a term.
    VoteTwice,
    /// A vote of an earlier term, or of an earlier campaign, counts.
    StaleVoteCounted,
    /// Half of the servers are a quorum.
    QuorumHalf,
    /// A request for a vote resets the election timer, even when it is refused.
    VoteRequestResetsTimer,
    /// A reply with a later term changes nothing.
    HigherTermInReplyIgnored,
    /// A late reply with a later term moves a follower that hears its leader.
    LateRefusalBelieved,
    /// A reply to a call of the leader's former life counts as one to its present life.
    FormerLifeBelieved,
    /// A leader that learns of a later term keeps leading in it.
    DeposedLeaderReturns,

    // §5.3
    /// Promises leave before the disk has synced.
    SpeaksBeforeSync,
    /// The AppendEntries of a deposed leader are accepted.
    StaleLeaderAccepted,
    /// The entry before the new ones may be of any term.
    NoPrevLogCheck,
    /// An AppendEntries discards all entries after those that it carries.
    TruncatesAlways,
    /// Conflicting entries are replaced, and the entries after them stay.
    TailKept,
    /// A follower takes the leader's commitIndex as its own, whatever entries it has.
    CommitUncapped,
    /// nextIndex stays where it was when a follower refuses.
    NextIndexStuck,
    /// An entry that is in the log already stays, whatever its term.
    ConflictKept,

    // §5.4
    /// Votes are given to candidates whose logs are behind.
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
    /// Learners count in a quorum.
    LearnerVotes,
    /// A configuration stays in force when its entry is discarded.
    ConfigurationNotRolledBack,
    /// A leader changes the membership before an entry of its term is committed.
    ChangeBeforeNoop,
    /// A late acknowledgement of a removed server counts for a new one of the same name.
    FormerServerBelieved,
    /// A follower that denies what it acknowledged is taken for one whose reply makes no sense.
    DenialIgnored,
    /// A server is known by its name alone: votes, acknowledgements and requests of or to one incarnation count for another.
    IncarnationIgnored,

    // §7, §8
    /// A snapshot names a last entry that is one too low, so that one entry is applied twice.
    SnapshotOffByOne,
    /// A snapshot replaces the log, even one that has all of its entries and more.
    StaleSnapshotInstalled,
    /// A snapshot that ends within the log counts as part of it, whatever the term there.
    SnapshotTermIgnored,
    /// A compacted entry counts as a missing one.
    CompactedTakenForMissing,
    /// Reads are served before an entry of the leader's term is committed.
    ReadBeforeNoop,
    /// Reads are served without a round of messages.
    ReadWithoutQuorum,

    // Thesis §3.10
    /// A transfer to a server that does not become leader is not aborted.
    TransferNeverAborted,

    // The pseudocode of "Raftian" (2025)
    /// A vote is given for a later term; logs are not compared.
    OnlyTermsCompared,
    /// Entries that half of the followers store are committed.
    HalfOfFollowersCommit,
    /// nextIndex goes back by one, and the whole rest of the log is overwritten.
    StepBackAndOverwrite,

    // When many inputs come before one `Ready`
    /// A truncation of entries that storage was not given yet does not lower the last index that storage counts as
    /// given.
    HandedKeptInBatch,
    /// A vote that was not given to storage yet can still be given to another candidate.
    UnwrittenVoteReplaced,
    /// A candidate's vote for itself counts before it is on stable storage.
    OwnVoteCountsUnwritten,
    /// When committed entries are taken in parts, all but the first part are skipped.
    CommittedRestSkipped,

    // Limits, and calls that are lost
    /// A command that is larger than a batch is never sent.
    LargeCommandNeverSent,
    /// A lost call is repeated at once, and not with the next heartbeat.
    LostCallRepeatedAtOnce,
    /// The loss of any call counts as the loss of the request in flight.
    AnyLossBelieved,
    /// A reply is ignored when its request was sent again meanwhile.
    LateAnswerRefused,
    /// A request never counts as lost because a later one was answered.
    LossNotInferred,
    /// A request counts as lost whenever a later one is answered first.
    LossInferredAtOnce,
    /// A reply to an earlier request counts as one to the request in flight.
    AnyAnswerTaken,

    // Thesis §6.4.1: leases
    /// A lease continues after a TimeoutNow was sent.
    LeaseOutlivesTransfer,
    /// A lease begins when a round is confirmed, and not when the round began.
    LeaseFromAnswer,
    /// All clocks are assumed to run at the same rate.
    LeaseWithoutDrift,
    /// A server that has just started votes although a leader may have a lease.
    NoProtectionAfterRestart,
    /// A lease is checked at the time of the last input, and not of the read.
    ReadIgnoresClock,
    /// A read joins the round in progress, whose messages were sent before it came.
    ReadJoinsRoundUnderWay,

    // Members, and who may lead
    /// A leader that is not in C_new does not step down.
    RemovedLeaderStays,
    /// A server that C_new removes does not stand for election, although C_new may not be committed.
    RemovedVoterGivesUp,
    /// A server without a vote stands for election.
    LearnerStands,
    /// Leadership is transferred to a learner, which cannot lead.
    TransferToLearner,
    /// A change begins while another one is not completed.
    ChangeWhilePending,

    // Wasted work, and missing progress
    /// A pre-vote is granted although a leader was heard from.
    PreVoteDisturbsLeader,
    /// A server enters the term that a pre-vote asks about.
    PreVoteRaisesTerm,
    /// A message of a deposed leader resets the election timer.
    StaleLeaderResetsTimer,
    /// A candidate that does not win waits for ever.
    CandidateNeverRetries,
    /// A leader without a quorum does not step down, and its deadline stays in the past.
    QuorumLossIgnored,
    /// Every reply of a server waits for all its writes.
    RepliesWaitForWrites,
    /// A late acknowledgement lowers matchIndex.
    MatchIndexFalls,
    /// A snapshot is sent from its beginning whenever there is a newer one.
    SnapshotRestartsForNewer,
    /// A chunk is appended to the received bytes, whatever its offset.
    ChunkOutOfPlaceKept,
    /// The reads of a leader that steps down are never answered.
    ReadsForgottenOnStepDown,

    // Bugs that hardly show from outside
    /// A server that steps down within a term forgets its vote in it.
    StepDownForgetsVote,
    /// A leader accepts entries of a deposed one, as a follower would.
    LeaderFollows,
}

impl Mutant {
    /// The bugs in counting a quorum.
    pub(crate) const MISCOUNTS: [Mutant; 3] = [Mutant::QuorumHalf, Mutant::UnionQuorum, Mutant::LearnerVotes];

    /// The value that a miscounted quorum has reached.
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

/// [`Mutant::IncarnationIgnored`]: the message as the server of this name would send it that is a member, to this server.
pub(crate) fn without_incarnations(message: Message, core: &Core) -> Message {
    let mut known = core.configuration().into_iter().flat_map(Configuration::members);
    let from = known.find(|member| member.name() == message.from.name()).unwrap_or(message.from);
    let to = if message.to.name() == core.id().name() { core.id() } else { message.to };
    Message { from, to, ..message }
}
