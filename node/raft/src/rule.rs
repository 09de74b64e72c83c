//! Which rules a server has followed: a name for every branch of meaning, so that those who test can say which of them no
//! test has reached.
//!
//! Where a branch shows in what a server says, refuses or reports, that is where it is noted, in one place for all
//! (`outcome`). The others are noted where they are taken, by [`Core::exercised`](crate::core::Core::exercised).
//!
//! Invariant: nothing follows from a note. Without the feature `rules` none is kept, and noting costs nothing.
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
    /// A reply is of a later term, which is entered.
    LaterTermInReply,
    /// A reply belongs to an earlier role or term and is ignored.
    LateReplyIgnored,
    /// A term or vote is replaced before it was handed to storage.
    HardStateReplacedUnwritten,

    // §5.2, §5.4.1: elections
    /// A server asks whether it could win an election (thesis §9.6).
    PreVoteAsked,
    /// A server would vote for the one that asks.
    PreVoteGranted,
    /// A pre-vote is refused: the term is over.
    PreVoteRefusedStaleTerm,
    /// A pre-vote is refused: the server leads or hears from a leader.
    PreVoteRefusedLeaderHeard,
    /// A pre-vote is refused: the server may have heard from a leader before it crashed.
    PreVoteRefusedJustStarted,
    /// A pre-vote is refused: the vote of that term is given to another one.
    PreVoteRefusedAlreadyVoted,
    /// A pre-vote is refused: the log of the one that asks is behind.
    PreVoteRefusedLogBehind,
    /// A candidate asks for votes.
    VoteAsked,
    /// A vote is given, or confirmed to the candidate that has it.
    VoteGranted,
    /// A vote is refused: the term is over.
    VoteRefusedStaleTerm,
    /// A vote is refused, and its term not entered: the server leads or hears from a leader (thesis §4.2.3).
    VoteRefusedLeaderHeard,
    /// A vote is refused: the server may have heard from a leader before it crashed (thesis §6.4.1).
    VoteRefusedJustStarted,
    /// A vote is refused: it is given to another candidate, or to the server itself.
    VoteRefusedAlreadyVoted,
    /// A vote is refused: the candidate's log is behind.
    VoteRefusedLogBehind,
    /// A vote of another campaign does not count.
    LateVoteIgnored,
    /// A campaign that nobody won in time begins anew.
    CampaignRetried,
    /// A candidate recognises the leader of its term.
    CandidateFollowsLeader,
    /// A candidate has the votes of a quorum.
    ElectionWon,
    /// The election time-out of a server that may not stand has elapsed.
    WaitsWithoutVote,

    // §5.3: replication, the leader
    /// A leader sends entries.
    EntriesSent,
    /// A leader sends a heartbeat, or a commitIndex alone.
    HeartbeatSent,
    /// A heartbeat leaves beside a request that is not answered yet.
    HeartbeatBesideCall,
    /// Not all entries that a follower lacks fit in one AppendEntries.
    AppendCapped,
    /// The transport reports that the request in flight is lost.
    CallLost,
    /// The request in flight was not answered for an election time-out, or longer.
    CallGivenUp,
    /// The request in flight is taken for lost: a later one was answered, and it should have been long ago.
    LossInferred,
    /// An answer to an earlier copy of the request in flight is taken for it.
    LateAnswerTaken,
    /// nextIndex goes back to the end of a follower's log.
    StepBackToEnd,
    /// nextIndex goes back to the leader's last entry of the conflicting term.
    StepBackWithinTerm,
    /// nextIndex goes back over a term that the leader does not have.
    StepBackOverTerm,
    /// An answer to a request that is not in flight any more says nothing new.
    LateAnswerIgnored,
    /// An answer makes no sense, so the request is repeated with the next heartbeat and not at once.
    SenselessAnswerPutOff,

    // §5.3: replication, the follower
    /// An AppendEntries of an earlier term is refused.
    AppendRefusedStaleTerm,
    /// A conflict: the log is shorter than the one before the new entries.
    ConflictMissing,
    /// A conflict: the entry before the new ones is of another term.
    ConflictOtherTerm,
    /// An AppendEntries begins in what is compacted.
    AppendBeginsInCompacted,
    /// All entries that came are new.
    EntriesAppended,
    /// Some entries that came are here already, the others are new.
    EntriesOverlap,
    /// All entries that came are here already.
    EntriesRepeated,
    /// Entries that follow those that came stay.
    LaterEntriesStay,
    /// Entries that conflict with the leader's are discarded.
    SuffixTruncated,
    /// Some of those were handed to storage already.
    TruncatedInStorage,
    /// A sync vouches for a log that was truncated since, and counts for nothing.
    LateSyncIgnored,
    /// A reply that promises nothing new leaves before a write that was handed out earlier is durable.
    ReplyBeforeWrite,
    /// leaderCommit is beyond what the message vouches for.
    CommitCapped,

    // §5.4.2: commitment
    /// A leader commits what a quorum stores.
    EntriesCommitted,
    /// A leader commits what a quorum stores before it is on the leader's own disk (thesis §10.2.1).
    CommittedBeforeOwnDisk,
    /// A quorum stores an entry of an earlier term, which is not committed by counting.
    OldTermNotCommitted,
    /// More is committed than is handed out at once.
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
    /// A server that was removed just now is added again, as one that has nothing.
    MemberAddedAgain,
    /// An answer is of a server that had this name and was removed.
    FormerMemberIgnored,
    /// A leader that is not in C_new steps down once that is committed.
    RemovedLeaderStepsDown,
    /// A server that was voted out stands, since C_new may not be committed (thesis §4.2.2).
    RemovedVoterStands,
    /// A change is refused: another one is pending.
    ChangeRefusedPending,
    /// A change is refused: no entry of the leader's term is committed.
    ChangeRefusedTermNotCommitted,
    /// A change is refused: the lead is being transferred.
    ChangeRefusedTransferring,
    /// A change is refused: a server that is to vote is no learner, or one that is to leave no member.
    ChangeRefusedUnknown,
    /// A change is refused: the new learner is a member.
    ChangeRefusedExists,
    /// A change is refused: a server would be both voter and learner.
    ChangeRefusedVoterAndLearner,
    /// A change is refused: no voter would be left.
    ChangeRefusedLastVoter,
    /// A change is refused: a learner lacks too much to vote.
    ChangeRefusedLagging,
    /// A change is refused: a learner that does not answer is to vote.
    ChangeRefusedSilent,
    /// A change is refused: nothing is to change.
    ChangeRefusedNothingToDo,

    // §7: snapshots
    /// A snapshot of the application takes the place of the beginning of the log.
    SnapshotTaken,
    /// A snapshot of the application comes too late, or at all too early.
    CompactRefused,
    /// A leader sends the first chunk of a snapshot.
    SnapshotSent,
    /// A leader goes on with a later chunk.
    SnapshotContinued,
    /// A leader goes on with a snapshot although it has a newer one.
    SnapshotFinishedFirst,
    /// An InstallSnapshot of an earlier term is refused.
    SnapshotRefusedStaleTerm,
    /// A chunk continues what is here.
    ChunkKept,
    /// A chunk does not continue what is here, and changes nothing.
    ChunkOutOfPlace,
    /// A snapshot of what is known to be committed changes nothing.
    SnapshotAlreadyCovered,
    /// A snapshot of what the log has commits it, and what follows stays.
    SnapshotKeepsSuffix,
    /// A snapshot takes the place of a log that ends before it.
    SnapshotReplacesLog,
    /// A snapshot takes the place of a log that contradicts it.
    SnapshotReplacesConflict,
    /// A server starts with a log that its snapshot has made void.
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
    /// A round waits for the one under way.
    ReadWaitsForRound,
    /// A lease makes a round unnecessary.
    ReadByLease,
    /// A lease is over, so the read takes a round.
    LeaseExpired,
    /// A TimeoutNow has left, so the lease is void.
    LeaseVoidByTransfer,
    /// A read fails: the lead is lost.
    ReadFailed,

    // Thesis §3.10, §6.2
    /// A leader has not heard from a quorum for an election time-out and steps down.
    QuorumLost,
    /// A leader lets another server catch up, to hand over to it.
    TransferStarted,
    /// A transfer takes too long and is given up.
    TransferAborted,
    /// A server is to start an election at once.
    TimeoutNowSent,
    /// A candidate asks for votes because the leader wants it to.
    TimeoutNowFollowed,
    /// A TimeoutNow comes from another server than the leader, or to one that may not stand.
    TimeoutNowIgnored,
    /// A request for a vote overrides the protection of the leader, which wants the election.
    TransferOverridesProtection,
    /// Commands are refused while the lead is being transferred.
    ProposeRefusedTransferring,
    /// A transfer is refused: another one is under way.
    TransferRefusedTransferring,
    /// A transfer is refused: the server leads already.
    TransferRefusedToItself,
    /// A transfer is refused: the server is no member.
    TransferRefusedUnknown,
    /// A transfer is refused: the server has no vote.
    TransferRefusedNotVoter,

    // What no server that follows the rules would send
    /// A message would replace what is committed.
    ContradictionCommitted,
    /// A message is meant for another server, or claims to come from this one.
    ContradictionMisdirected,
    /// Entries leave a gap, or their terms fall.
    ContradictionDisorder,
    /// An entry is of a later term than its message.
    ContradictionFutureTerm,
    /// A term is one that no cluster reaches.
    ContradictionAbsurdTerm,
    /// A snapshot reaches where no log does.
    ContradictionAbsurdIndex,
    /// A chunk ends after its snapshot.
    ContradictionOverhang,
    /// A message claims to lead the term that this server leads.
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
