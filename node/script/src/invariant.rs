//! What must hold in every run, by name.
//!
//! Deliberately absent: who checks it; that is the judges' business.

use std::fmt;

macro_rules! invariants {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)*) => {
        /// Something that must hold in every run. § is a section of the paper, T one of the thesis.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Invariant {
            $($(#[$doc])* $name,)*
        }

        impl Invariant {
            /// All of them: first those that are checked after every step, then those of the end of a run.
            pub const ALL: &[Invariant] = &[$(Invariant::$name,)*];

            /// Its name in snake case, as scenarios and reports write it.
            pub fn name(self) -> &'static str {
                match self {
                    $(Invariant::$name => $text,)*
                }
            }
        }
    };
}

invariants! {
    /// At most one leader per term, ever (§5.2).
    ElectionSafety = "election_safety",
    /// A leader owns durable votes of its term from a quorum of its configuration, of both halves if joint (§5.2, §6).
    ElectionQuorum = "election_quorum",
    /// The vote is immutable within a term, and the term never falls, across restarts too (§5.1, §5.2).
    VoteImmutable = "vote_immutable",
    /// A leader never discards an entry of its own log (§5.3).
    LeaderAppendOnly = "leader_append_only",
    /// An index and a term name one entry and all before it (§5.3).
    LogMatching = "log_matching",
    /// A new leader has every entry that was committed in an earlier term (§5.4).
    LeaderCompleteness = "leader_completeness",
    /// What is committed at an index is the same everywhere and for ever, and so is the state it leads to (§5.4.3).
    StateMachineSafety = "state_machine_safety",
    /// When an entry is first committed, a quorum of the configuration in force has it durably (§5.3, §6).
    DurableQuorum = "durable_quorum",
    /// A leader moves commitIndex only onto an entry of its own term (§5.4.2).
    CommitOwnTerm = "commit_own_term",
    /// A leader's matchIndex tells what the follower has durably, unless it has gone on to a later term (§5.3).
    MatchIndexTruth = "match_index_truth",
    /// A leader's matchIndex never falls while it leads and the members stay the same (§5.3).
    MatchIndexRises = "match_index_rises",
    /// Asking around raises no term; a leader of an earlier term puts no election off; and who has just heard from its
    /// leader would vote for no other (§5.1, T4.2.3, T9.6).
    Undisturbed = "undisturbed",
    /// What a message promises is durable when it leaves (Figure 2).
    DurableBeforeSend = "durable_before_send",
    /// snapshot ≤ lastApplied ≤ commitIndex ≤ last index, none falls, and there is no gap after the snapshot (§7).
    IndexOrder = "index_order",
    /// A snapshot is what a replay up to its index gives, sessions and configuration included (§7).
    SnapshotTruth = "snapshot_truth",
    /// The configuration in force is the latest in the log, and changes follow one another as they may (§6, T4).
    ConfigurationTruth = "configuration_truth",
    /// Learners count in no quorum, do not stand for election, and are not handed the lead (T4.2.1).
    LearnersDoNotCount = "learners_do_not_count",
    /// What one incarnation of a name has voted for or stored counts for no other one, nor is what is meant for one taken by
    /// another (§6).
    IncarnationsApart = "incarnations_apart",
    /// A read sees everything that was committed before it was asked for (§8, T6.4).
    ReadIndexFresh = "read_index_fresh",
    /// A read is confirmed by a quorum's answers to calls that left after it was asked for; or, with leases, to calls that
    /// left shortly before (§8, T6.4).
    ReadRound = "read_round",
    /// A leader with a valid lease knows all that is committed (T6.4.1).
    LeaseTruth = "lease_truth",
    /// At most one effect per client and serial, and a retry gets the first response (§8, T6.3).
    ExactlyOnce = "exactly_once",
    /// A command of which every server that was asked said that nothing has happened never takes effect (§8).
    RefusedForGood = "refused_for_good",
    /// Every question of a client that a node took in is pending, or was answered or passed on; and a peer's call gets the
    /// reply that is meant for it.
    Answered = "answered",
    /// A disk gives back what was synced on it, and beyond that at most a beginning of what was being written.
    RecoveryTruth = "recovery_truth",
    /// Nothing is written that may rest on a snapshot whose state is not restored yet.
    RestoreFirst = "restore_first",
    /// A node that knows a link of its own to be cut lets nothing through it, in neither direction.
    PartitionTight = "partition_tight",
    /// A server does not want to be called again and again without time passing.
    TimePasses = "time_passes",
    /// Messages are in proportion to what causes them, and what is on its way is not sent again.
    MessageBudget = "message_budget",
    /// A server takes what honest servers send, and does not panic.
    Composure = "composure",
    /// What was acknowledged is committed where its client was told, and at the end of a run the leader still has it.
    AcknowledgedDurable = "acknowledged_durable",
    /// At the end of a run: what clients saw has an order that explains it.
    Linearizable = "linearizable",
    /// At the end of a run: a healed quorum elects, commits, reads and converges within ten election time-outs.
    Liveness = "liveness",
    /// At the end of a run: a healed and quiet quorum stays as it is, and sends heartbeats alone.
    Steady = "steady",
}

impl fmt::Display for Invariant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}
