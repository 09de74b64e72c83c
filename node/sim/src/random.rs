//! Random numbers that follow from a seed and a name, so that one choice never shifts another.
//!
//! Invariant: the same words give the same number, on every machine and in every build. Deliberately absent: a state.

/// The streams of random numbers of a run, one for each choice: the first word after the seed. Each has a number of its own,
/// which stays, or seeds would be other runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub(crate) enum Stream {
    /// The seed of the network.
    Network = 1,
    /// How long a sync takes.
    Sync = 2,
    /// How long a client's request is on its way.
    ClientRequest = 4,
    /// How long a client's answer is on its way.
    ClientAnswer = 5,
    /// Whether those outside of the core are down or cut off.
    Outside = 6,
    /// In which order nodes come into the core.
    CoreOrder = 7,
    /// How many nodes the core has at least.
    CoreSize = 8,
    /// How long news takes to reach a node. The seed is that of the network.
    News = 11,
    /// How long a turn takes.
    Turn = 12,
    /// The seed of what a crash leaves.
    Crash = 13,
    /// When a caller hears that its call was refused.
    Refusal = 14,
    /// How long it takes to restore a state.
    Restoring = 15,
    /// The seed of a bit flip.
    Flip = 16,
    /// Which server falls behind.
    Straggler = 17,
    /// How long it takes to encode a state.
    Encoding = 18,
    /// What a seed draws: the seeds of the streams of [`Draw`].
    Draw = 100,
}

/// The streams of what a seed draws. Their numbers stay as long as [`DRAWS`](crate::DRAWS) does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub(crate) enum Draw {
    Length = 0,
    Plan = 1,
    Ops = 2,
    Crashes = 3,
    Blackouts = 4,
    Pauses = 5,
    Partitions = 6,
    Clogs = 7,
    Disks = 8,
    Changes = 9,
    Transfers = 10,
    Compactions = 11,
    Flips = 12,
    Hosts = 13,
    Leases = 14,
    Returns = 15,
    Rewrites = 16,
    Edges = 17,
    Forgetting = 18,
    Reuses = 19,
    Relapses = 20,
}

/// The streams of what happens to a disk, by the seed of a crash or of a bit flip.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub(crate) enum DiskStream {
    /// After how many changes of the folder the power is cut.
    Changes = 1,
    /// After how many bytes.
    Bytes = 2,
    /// Which sectors are written.
    Sectors = 3,
    /// The byte in which a bit flips.
    Offset = 4,
    /// Which bit of it.
    Bit = 5,
}

/// A number that follows from these words, and that has nothing in common with that of any others.
pub(crate) fn random<const N: usize>(words: [u64; N]) -> u64 {
    words.into_iter().fold(0, |hash, word| mix(hash ^ word))
}

/// The finaliser of SplitMix64.
pub(crate) fn mix(value: u64) -> u64 {
    let value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

/// A hash of everything that happened, in order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Trace(u64);

impl Trace {
    /// Takes in what happened next. Cheap: it is called in every step.
    pub(crate) fn note<const N: usize>(&mut self, words: [u64; N]) {
        for word in words {
            self.0 = (self.0 ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29);
        }
    }

    /// The hash of all of it.
    pub(crate) fn hash(self) -> u64 {
        mix(self.0)
    }
}
