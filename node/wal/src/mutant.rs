//! Planted bugs: typical mistakes of a log on a disk, enabled by name, so that tests can show that the judges find
//! them.
//!
//! Each is a branch in the code of a rule, enabled by [`Options::has`](crate::Options::has), which is the constant
//! `false` unless the feature `mutants` is on. No released program has this feature.
//!
//! Deliberately absent: bugs of the consensus core and of applications, which belong to those crates.

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
    // Reading the log back
    /// A bad frame in the last segment is a torn tail, even if it is proved to have been synced.
    CutsCorruptLog,
    /// A bad frame is skipped, and the next valid one is taken.
    SkipsCorruptRecord,
    /// The bytes after the cut of a torn tail are not filled with zeros.
    TornTailKept,
    /// Bytes that could be read count as durable.
    TailNotRewritten,

    // Syncing
    /// A failed sync is repeated, and its success is believed.
    RetriesFailedSync,
    /// The durable mark is set before the sync that it records.
    MarkBeforeSync,
    /// A new segment is begun before the last one is synced.
    RotatesBeforeSync,

    // Freeing space
    /// Segments are removed before the snapshot that replaces them is in force.
    DiscardsFirst,
    /// With a snapshot all segments except the last are removed, with entries that must stay.
    SegmentsDiscardedEarly,
    /// Entries are declared void by removing their segments alone.
    RestartNotWritten,
    /// The header of a new segment has no hard state.
    HeaderForgetsHardState,
}
