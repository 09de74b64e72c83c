//! Random numbers that follow from a seed and a name, so that one choice never shifts another.
//!
//! Invariant: the same words give the same number, on every machine and in every build. Deliberately absent: a state.

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
