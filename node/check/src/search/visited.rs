//! Where a search has been: which operations were taken, and in which state that left the object.
//!
//! Invariant: a place is new unless the same operations with a return were taken before, with the same state, and with
//! no operation without a return that is not taken now. Whatever can be reached from there with those still in hand can
//! be reached from here, so here is nothing to be found that was not found there.

use std::collections::HashMap;
use std::hash::Hash;

pub(super) struct Visited<S> {
    /// Of each sum and state, the last place noted.
    last: HashMap<(u128, S), u32>,
    /// Of each place, the one noted before it with the same sum and state.
    earlier: Vec<u32>,
    /// Of each place, the bits of the operations without a return.
    optional: Vec<u64>,
    /// How many words these bits take.
    words: usize,
}

/// No place.
const NONE: u32 = u32::MAX;

impl<S: Copy + Eq + Hash> Visited<S> {
    pub(super) fn new(words: usize) -> Visited<S> {
        Visited { last: HashMap::new(), earlier: Vec::new(), optional: Vec::new(), words }
    }

    /// Notes a place; false if it is not new.
    pub(super) fn insert(&mut self, taken: u128, state: S, optional: &[u64]) -> bool {
        let last = self.last.entry((taken, state)).or_insert(NONE);
        let mut place = *last;
        while place != NONE {
            let start = place as usize * self.words;
            let then = &self.optional[start..start + self.words];
            if then.iter().zip(optional).all(|(then, now)| then & !now == 0) {
                return false;
            }
            place = self.earlier[place as usize];
        }
        let new = u32::try_from(self.earlier.len()).expect("the memory is full long before");
        self.earlier.push(std::mem::replace(last, new));
        self.optional.extend_from_slice(optional);
        true
    }

    /// About how much memory this takes.
    pub(super) fn bytes(&self) -> usize {
        // A hash table keeps a byte for each slot, and leaves one in eight free at least.
        let slot = size_of::<((u128, S), u32)>() + 1;
        self.last.capacity() * slot * 8 / 7 + self.earlier.capacity() * 4 + self.optional.capacity() * 8
    }
}

/// The random number of an operation; the sum of a set is the exclusive or of its operations' numbers.
pub(super) fn random(rank: u32) -> u128 {
    let seed = u64::from(rank) << 1;
    u128::from(mix(seed)) << 64 | u128::from(mix(seed | 1))
}

/// SplitMix64's output for the counter `value`.
fn mix(value: u64) -> u64 {
    let mut mixed = value.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_new_once() {
        let mut visited = Visited::new(0);
        assert!(visited.insert(1, 'a', &[]));
        assert!(!visited.insert(1, 'a', &[]));
        assert!(visited.insert(1, 'b', &[]));
        assert!(visited.insert(2, 'a', &[]));
    }

    #[test]
    fn a_place_reached_with_less_leaves_nothing_to_find_with_more() {
        let mut visited = Visited::new(2);
        assert!(visited.insert(1, 'a', &[0b010, 1]));
        assert!(!visited.insert(1, 'a', &[0b110, 1]));
        assert!(visited.insert(1, 'a', &[0b100, 1]));
        assert!(!visited.insert(1, 'a', &[0b100, 3]));
        assert!(visited.insert(1, 'a', &[0b111, 0]));
        assert!(visited.insert(1, 'a', &[0, 0]));
        assert!(!visited.insert(1, 'a', &[u64::MAX, u64::MAX]));
    }

    #[test]
    fn operations_have_numbers_of_their_own() {
        let numbers: std::collections::HashSet<u128> = (0..1000).map(random).collect();
        assert_eq!(numbers.len(), 1000);
    }
}
