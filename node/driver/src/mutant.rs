//! Planted bugs of the driver, enabled by name, so that tests can show that the judges find them.
//!
//! Each is a branch in the code of a rule, enabled by [`Planted::has`], which is the constant `false` unless the
//! feature `mutants` is on. No released program has this feature.

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
    /// A client gets the result of the entry at its index, even one of another term, which is another client's.
    AnswersByIndex,
    /// A proposal is forgotten without an answer when another one takes its index.
    ForgetsDisplacedProposal,
    /// Proposals whose entries a leader's snapshot covers are forgotten without an answer.
    ForgetsSkippedProposals,
    /// A server that does not lead any more says of all pending commands that nothing has happened.
    DeposedRefusesPending,
    /// A read is served as soon as its index is known, even if that is not applied yet.
    ServesReadsUnapplied,
    /// A read that failed because the leader was deposed is forgotten without an answer.
    ForgetsFailedReads,
    /// The reply to a peer's call goes to that peer's last pending call, whatever its number.
    AnswersLatestCall,

    // Effects in their order
    /// A write that depends on a snapshot is given to storage before the snapshot is restored.
    WritesBeforeRestore,
    /// A snapshot of an earlier state is recorded with the index that is applied now.
    SnapshotOfPresentIndex,

    // Links
    /// A request of a peer is accepted although the link from it is cut.
    RequestLinkNotAsked,
    /// A reply is sent to a peer although the link to it is cut.
    ReplyLinkNotAsked,
    /// The faults on the way back of a reply are ignored.
    ReplyFaultsIgnored,
    /// A client hears that nothing has happened, though a copy of its question is on its way to the leader.
    ForwardedCopyForgotten,
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
