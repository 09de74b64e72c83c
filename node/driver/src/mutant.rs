//! Planted bugs of the driver, switched on by name, so that judges can show that they have teeth.
//!
//! Each is a branch where the rule stands, asked for with [`Planted::has`], which is constantly false unless the feature
//! `mutants` is on. No released program has it.

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
    // Answers
    /// A client gets the result of the entry at its index, though that may be of another term, and another client's.
    AnswersByIndex,
    /// A proposal that another one displaced from its index is forgotten without an answer.
    ForgetsDisplacedProposal,
    /// A proposal whose index another entry took waits on, for an index that never comes.
    AwaitsReplacedEntry,
    /// Proposals whose entries a leader's snapshot covers are forgotten without an answer.
    ForgetsSkippedProposals,
    /// A read is served as soon as its index is known, whether it is applied or not.
    ServesReadsUnapplied,
    /// A read that failed because the leader was deposed is forgotten without an answer.
    ForgetsFailedReads,
    /// The reply to a peer's call goes to the last call of all, whatever its number.
    AnswersLatestCall,

    // Effects in their order
    /// What rests on a snapshot is written before the snapshot is restored.
    WritesBeforeRestore,
    /// A state that was encoded for a snapshot is passed off as the state of this moment.
    SnapshotOfPresentIndex,

    // Links
    /// A request from a peer is taken in, though the link from it is cut.
    RequestLinkNotAsked,
    /// A reply is sent to a peer, though the link to it is cut.
    ReplyLinkNotAsked,
    /// The faults on the way back of a reply are ignored.
    ReplyFaultsIgnored,
}

/// The planted bug, if there is one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Planted {
    #[cfg(feature = "mutants")]
    pub(crate) mutant: Option<Mutant>,
}

impl Planted {
    /// Whether this bug is planted here.
    #[cfg(feature = "mutants")]
    pub(crate) fn has(self, mutant: Mutant) -> bool {
        self.mutant == Some(mutant)
    }

    /// No bug is planted here.
    #[cfg(not(feature = "mutants"))]
    pub(crate) const fn has(self, _: Mutant) -> bool {
        false
    }
}
