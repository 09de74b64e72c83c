//! Planted bugs, which prove that the judges have teeth. They exist only in builds with the feature `mutants`.
//!
//! Invariant: without the feature every question here is answered "no" at compile time.

pub(crate) use planted::Planted;

#[cfg(not(feature = "mutants"))]
mod planted {
    use raftian_raft::Index;

    /// No bug.
    #[derive(Clone, Copy, Debug)]
    pub(crate) struct Planted;

    impl Planted {
        pub(crate) const NONE: Planted = Planted;

        pub(crate) const fn ignores_sessions(self) -> bool {
            false
        }

        pub(crate) const fn skips(self, _index: Index) -> bool {
            false
        }
    }
}

#[cfg(feature = "mutants")]
pub use planted::Mutant;

#[cfg(feature = "mutants")]
mod planted {
    use raftian_raft::Index;
    use serde::{Deserialize, Serialize};

    /// A bug that a [`Machine`](crate::Machine) can be given. Written in snake case.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
    #[serde(rename_all = "snake_case")]
    pub enum Mutant {
        /// A retry is carried out once more (§8).
        NoDuplicateSuppression,
        /// The first entry after a snapshot is taken for part of it (§7).
        SnapshotOffByOne,
    }

    impl Mutant {
        /// Every planted bug.
        pub const ALL: [Mutant; 2] = [Mutant::NoDuplicateSuppression, Mutant::SnapshotOffByOne];
    }

    /// The bug of one machine, and the index at which it was planted.
    #[derive(Clone, Copy, Debug)]
    pub(crate) struct Planted(Option<(Mutant, Index)>);

    impl Planted {
        pub(crate) const NONE: Planted = Planted(None);

        /// Plants a bug in a machine that has applied the entry at `index`.
        pub(crate) fn at(index: Index, mutant: Mutant) -> Planted {
            Planted(Some((mutant, index)))
        }

        pub(crate) fn ignores_sessions(self) -> bool {
            matches!(self.0, Some((Mutant::NoDuplicateSuppression, _)))
        }

        pub(crate) fn skips(self, index: Index) -> bool {
            // A machine that is planted before its first entry was not restored from anything.
            matches!(self.0, Some((Mutant::SnapshotOffByOne, at)) if at > 0 && index == at + 1)
        }
    }
}
