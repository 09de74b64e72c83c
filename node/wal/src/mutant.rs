//! Planted bugs: what people really get wrong about a log on a disk, switched on by name, so that judges can show that
//! they have teeth.
//!
//! Each is a branch where the rule stands, asked for with [`Options::has`](crate::Options::has), which is constantly
//! false unless the feature `mutants` is on. No released program has it.
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
    /// A frame in the last segment that does not verify is a torn tail, whatever vouches for it.
    CutsCorruptLog,
    /// A frame that does not verify is passed over for the next one that does.
    SkipsCorruptRecord,
    /// What stands behind a torn tail's cut stays there.
    TornTailKept,
    /// What could be read is taken to be on the disk.
    TailNotRewritten,

    // Syncing
    /// A sync that failed is tried again, and believed.
    RetriesFailedSync,
    /// The durable mark is set before the sync that it tells of.
    MarkBeforeSync,
    /// A new segment is begun before the last one is synced.
    RotatesBeforeSync,

    // Making room
    /// Segments go before the snapshot that stands for them is in force.
    DiscardsFirst,
    /// With a snapshot all segments but the last go, and the entries that are to stay with them.
    SegmentsDiscardedEarly,
    /// Entries are declared void by removing their segments alone.
    RestartNotWritten,
    /// The header of a new segment tells of no hard state.
    HeaderForgetsHardState,
}
