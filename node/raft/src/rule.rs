//! Which rules a server has followed: every branch of the protocol has a name, so that tests can list the branches that
//! they did not reach.
//!
//! A branch that shows in a message, a refusal, an event or a write is noted there, in one place for all (`outcome`).
//! The others are noted where they are taken, by [`Core::exercised`](crate::core::Core::exercised).
//!
//! Invariant: no behaviour depends on a note. Without the feature `rules` no note is kept, and noting costs nothing.
//!
//! Deliberately absent: how often a rule was followed.

mod outcome;

macro_rules! rules {
    ($($(#[doc = $doc:literal])* $name:ident,)*) => {
        /// A branch of the protocol, named after the paper where it has a name there.
        #[cfg_attr(not(feature = "rules"), expect(unreachable_pub))]
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Rule {
            $($(#[doc = $doc])* $name,)*
        }

        #[cfg(feature = "rules")]
        impl Rule {
            /// All of them, in the order of the paper's sections.
            pub const ALL: &[Rule] = &[$(Rule::$name,)*];

            /// What the rule says, in a line.
            pub fn says(self) -> &'static str {
                match self {
                    $(Rule::$name => concat!($($doc,)*).trim_ascii(),)*
                }
            }
        }
    };
}

rules! {
    // §5.1: terms
    /// A follower enters a later term.
    FollowerEntersTerm,
    /// A pre-candidate or candidate enters a later term, as a follower.
    CandidateEntersTerm,
    /// A leader enters a later term, as a follower.
    LeaderEntersTerm,
    /// A reply has a later term, which the server enters.
    LaterTermInReply,
    /// A reply has a later term, and the server hears its leader: it stays (thesis §6.4.1).
    LaterTermInReplyIgnored,
    /// A reply belongs to an earlier role or term and is ignored.
    LateReplyIgnored,
    /// A term or vote is replaced before it was given to storage.
    HardStateReplacedUnwritten,

    // §5.2, §5.4.1: elections
    /// A server asks for pre-votes (thesis §9.6).
    PreVoteAsked,
    /// A pre-vote is granted.
    PreVoteGranted,
    /// A pre-vote is refused: the term is over.
    PreVoteRefusedStaleTerm,
    /// A pre-vote is refused: the server leads or hears from a leader.
    PreVoteRefusedLeaderHeard,
    /// A pre-vote is refused: the server may have heard from a leader before it crashed.
    PreVoteRefusedJustStarted,
    /// A pre-vote is refused: the vote of that term was given to another server.
    PreVoteRefusedAlreadyVoted,
    /// A pre-vote is refused: the log of the pre-candidate is behind.
    PreVoteRefusedLogBehind,
    /// A candidate asks for votes.
    VoteAsked,
    /// A vote is granted, or confirmed to the candidate that has it already.
    VoteGranted,
    /// A vote is refused: the term is over.
    VoteRefusedStaleTerm,
    /// A vote is refused, and its term not entered: the server leads or hears from a leader (thesis §4.2.3).
    VoteRefusedLeaderHeard,
    /// A vote is refused: the server may have heard from a leader before it crashed (thesis §6.4.1).
    VoteRefusedJustStarted,
    /// A vote is refused: it was given to another candidate, or to the server itself.
    VoteRefusedAlreadyVoted,
    /// A vote is refused: the candidate's log is behind.
    VoteRefusedLogBehind,
    /// A vote of another campaign does not count.
    LateVoteIgnored,
    /// A campaign without a result in time starts again.
    CampaignRetried,
    /// A candidate recognises the leader of its term.
    CandidateFollowsLeader,
    /// A candidate has the votes of a quorum.
    ElectionWon,
    /// The election time-out of a server that may not stand for election has elapsed.
    WaitsWithoutVote,

    // §5.3: replication, the leader
    /// A leader sends entries.
    EntriesSent,
    /// A leader sends a heartbeat, or a commitIndex alone.
    HeartbeatSent,
    /// A heartbeat is sent while a request is in flight.
    HeartbeatBesideCall,
    /// A follower lacks more entries than fit in one AppendEntries.
    AppendCapped,
    /// The transport reports that the request in flight is lost.
    CallLost,
    /// The request in flight got no reply for an election time-out, or longer.
    CallGivenUp,
    /// The request in flight counts as lost: a later one was answered, and this one is overdue.
    LossInferred,
    /// A reply to an earlier copy of the request in flight counts for it.
    LateAnswerTaken,
    /// nextIndex goes back to the entry that the follower names, where the logs agree.
    StepBackToEntry,
    /// nextIndex goes back over the leader's own entries: the one that the follower names is of another term.
    StepBackOverTerms,
    /// A reply to a request that is no longer in flight changes nothing.
    LateAnswerIgnored,
    /// A reply makes no sense, so the request is repeated with the next heartbeat and not at once.
    SenselessAnswerPutOff,

    // §5.3: replication, the follower
    /// An AppendEntries of an earlier term is refused.
    AppendRefusedStaleTerm,
    /// A conflict: the log ends before prevLogIndex.
    ConflictMissing,
    /// A conflict: the entry at prevLogIndex has another term.
    ConflictOtherTerm,
    /// An AppendEntries begins in the compacted part of the log.
    AppendBeginsInCompacted,
    /// All received entries are new.
    EntriesAppended,
    /// Some received entries are in the log already, the others are new.
    EntriesOverlap,
    /// All received entries are in the log already.
    EntriesRepeated,
    /// The log keeps entries after the last received one.
    LaterEntriesStay,
    /// Entries that conflict with the leader's are discarded.
    SuffixTruncated,
    /// Some of the discarded entries were given to storage already.
    TruncatedInStorage,
    /// A sync covers a log that was truncated since, and does not count.
    LateSyncIgnored,
    /// A reply that promises nothing new is sent before an earlier write is durable.
    ReplyBeforeWrite,
    /// leaderCommit is beyond the last entry that the message proves to agree.
    CommitCapped,

    // §5.4.2: commitment
    /// A leader commits entries that a quorum stores.
    EntriesCommitted,
    /// A leader commits entries that a quorum stores before they are on its own disk (thesis §10.2.1).
    CommittedBeforeOwnDisk,
    /// A quorum stores an entry of an earlier term, which is not committed by counting replicas.
    OldTermNotCommitted,
    /// More entries are committed than one `Ready` has.
    CommittedCapped,

    // §6: membership
    /// C_old,new is appended.
    JointEntered,
    /// C_new is appended once C_old,new is committed.
    JointLeft,
    /// A configuration with the same voters is appended.
    LearnersChanged,
    /// A configuration is discarded with its entry.
    ConfigurationRolledBack,
    /// A server that was removed a moment ago is added again, as a new one with an empty log.
    MemberAddedAgain,
    /// A reply comes from a former server of this name, which was removed.
    FormerMemberIgnored,
    /// A reply is to a call that this server made before it restarted, and is ignored.
    FormerLifeIgnored,
    /// A leader that is not in C_new steps down once that is committed.
    RemovedLeaderStepsDown,
    /// A server that C_new removes stands for election, since C_new may not be committed (thesis §4.2.2).
    RemovedVoterStands,
    /// A change is refused: another one is pending.
    ChangeRefusedPending,
    /// A change is refused: no entry of the leader's term is committed.
    ChangeRefusedTermNotCommitted,
    /// A change is refused: leadership is being transferred.
    ChangeRefusedTransferring,
    /// A change is refused: a new voter is not a learner, or a server to remove is not a member.
    ChangeRefusedUnknown,
    /// A change is refused: the new learner is a member.
    ChangeRefusedExists,
    /// A change is refused: a server would be both voter and learner.
    ChangeRefusedVoterAndLearner,
    /// A change is refused: no voter would be left.
    ChangeRefusedLastVoter,
    /// A change is refused: a learner lacks too much to vote.
    ChangeRefusedLagging,
    /// A change is refused: a learner to promote does not reply.
    ChangeRefusedSilent,
    /// A change is refused: it would change nothing.
    ChangeRefusedNothingToDo,

    // §7: snapshots
    /// A snapshot of the application replaces the beginning of the log.
    SnapshotTaken,
    /// A snapshot of the application is refused.
    CompactRefused,
    /// A leader sends the first chunk of a snapshot.
    SnapshotSent,
    /// A leader sends a later chunk.
    SnapshotContinued,
    /// A leader continues to send a snapshot although it has a newer one.
    SnapshotFinishedFirst,
    /// An InstallSnapshot of an earlier term is refused.
    SnapshotRefusedStaleTerm,
    /// A chunk continues the received bytes.
    ChunkKept,
    /// A chunk does not continue the received bytes, and changes nothing.
    ChunkOutOfPlace,
    /// A snapshot that covers only entries known to be committed changes nothing.
    SnapshotAlreadyCovered,
    /// A snapshot that covers entries of the log commits them, and the entries after them stay.
    SnapshotKeepsSuffix,
    /// A snapshot replaces a log that ends before it.
    SnapshotReplacesLog,
    /// A snapshot replaces a log that conflicts with it.
    SnapshotReplacesConflict,
    /// A server starts with a log that its snapshot replaces.
    VoidLogDiscarded,

    // §8: reads
    /// A round of messages begins for reads.
    ReadRoundBegun,
    /// Several reads share a round.
    ReadRoundShared,
    /// A round begins to renew the lease alone.
    LeaseRoundBegun,
    /// A quorum has answered a round.
    ReadRoundConfirmed,
    /// A round waits until an entry of the leader's term is committed.
    ReadWaitsForNoop,
    /// A round waits for the one in progress.
    ReadWaitsForRound,
    /// A lease makes a round unnecessary.
    ReadByLease,
    /// A lease has expired, so the read needs a round.
    LeaseExpired,
    /// A TimeoutNow was sent, so the lease is void.
    LeaseVoidByTransfer,
    /// A read fails: the leader steps down.
    ReadFailed,

    // Disks that do not answer
    /// The disk has not answered for too long.
    DiskSilent,
    /// A leader whose disk does not answer hands over.
    DiskSilentHandsOver,

    // Thesis §3.10, §6.2
    /// A leader has not heard from a quorum for an election time-out and steps down.
    QuorumLost,
    /// A transfer of leadership begins.
    TransferStarted,
    /// A transfer takes too long and is aborted.
    TransferAborted,
    /// A leader asks another server to start an election at once.
    TimeoutNowSent,
    /// A candidate asks for votes because of a TimeoutNow.
    TimeoutNowFollowed,
    /// A TimeoutNow is not from the leader, or its receiver may not stand for election.
    TimeoutNowIgnored,
    /// A server that hears from the leader enters the term of a candidate to which that leader sent TimeoutNow.
    TransferOverridesProtection,
    /// Commands are refused: too much is not committed yet.
    ProposeRefusedUncommitted,
    /// Commands are refused while leadership is being transferred.
    ProposeRefusedTransferring,
    /// A transfer is refused: another one is in progress.
    TransferRefusedTransferring,
    /// A transfer is refused: the server leads already.
    TransferRefusedToItself,
    /// A transfer is refused: the server is not a member.
    TransferRefusedUnknown,
    /// A transfer is refused: the server has no vote.
    TransferRefusedNotVoter,
    /// A transfer is refused: the server does not reply.
    TransferRefusedSilent,
    /// A transfer is refused: the server lacks too much.
    TransferRefusedLagging,
    /// A transfer is refused: another one was aborted a moment ago.
    TransferRefusedJustAborted,

    // Messages that no server that follows the rules would send
    /// A follower has denied what it acknowledged, and counts for no quorum any more.
    ContradictionDenied,
    /// A message is refused: it is of or to another incarnation of a name.
    ContradictionOtherIncarnation,
    /// A message would replace a committed entry.
    ContradictionCommitted,
    /// A message is meant for another server, or claims to come from this one.
    ContradictionMisdirected,
    /// Entries leave a gap, or their terms decrease.
    ContradictionDisorder,
    /// An entry has a later term than its message.
    ContradictionFutureTerm,
    /// A term is greater than any cluster reaches.
    ContradictionAbsurdTerm,
    /// A snapshot covers an index that no log reaches.
    ContradictionAbsurdIndex,
    /// A chunk ends after its snapshot.
    ContradictionOverhang,
    /// The sender of a message claims to lead the term that this server leads.
    ContradictionSecondLeader,
}

#[cfg(not(feature = "rules"))]
pub(crate) use unnoted::RuleSet;

/// Nothing is noted.
#[cfg(not(feature = "rules"))]
mod unnoted {
    use super::Rule;

    #[derive(Debug, Default)]
    pub(crate) struct RuleSet(());

    impl RuleSet {
        pub(crate) const fn insert(&mut self, _: Rule) {}
    }
}

#[cfg(feature = "rules")]
pub use noted::RuleSet;

#[cfg(feature = "rules")]
mod noted {
    use std::ops::BitOrAssign;

    use super::Rule;

    const _: () = assert!(Rule::ALL.len() <= u128::BITS as usize, "a rule is a bit");

    impl Rule {
        /// Its name, in snake case.
        pub fn name(self) -> String {
            let mut name = String::new();
            for letter in format!("{self:?}").chars() {
                if letter.is_ascii_uppercase() && !name.is_empty() {
                    name.push('_');
                }
                name.push(letter.to_ascii_lowercase());
            }
            name
        }
    }

    /// A set of rules. Sets of several servers and runs are joined by `|=`.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct RuleSet(u128);

    impl RuleSet {
        pub(crate) const fn insert(&mut self, rule: Rule) {
            self.0 |= 1 << rule as u32;
        }

        /// Whether this rule is among them.
        pub fn contains(self, rule: Rule) -> bool {
            self.0 & (1 << rule as u32) != 0
        }

        /// The rules that are not among them, in order.
        pub fn missing(self) -> impl Iterator<Item = Rule> {
            Rule::ALL.iter().copied().filter(move |rule| !self.contains(*rule))
        }
    }

    impl BitOrAssign for RuleSet {
        fn bitor_assign(&mut self, other: RuleSet) {
            self.0 |= other.0;
        }
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn a_set_has_what_was_noted_in_either_of_two_and_misses_the_rest() {
            let (mut one, mut other) = (RuleSet::default(), RuleSet::default());
            one.insert(Rule::ALL[0]);
            other.insert(Rule::ContradictionSecondLeader);
            one |= other;
            assert!(one.contains(Rule::ALL[0]) && one.contains(Rule::ContradictionSecondLeader));
            assert_eq!(one.missing().count(), Rule::ALL.len() - 2);
        }

        #[test]
        fn every_rule_has_a_name_and_says_what_it_is_in_a_line() {
            assert_eq!(Rule::VoteRefusedLogBehind.name(), "vote_refused_log_behind");
            assert_eq!(Rule::VoteRefusedLogBehind.says(), "A vote is refused: the candidate's log is behind.");
            assert!(Rule::ALL.iter().all(|rule| rule.says().ends_with('.') && !rule.says().contains('\n')));
        }
    }
}
