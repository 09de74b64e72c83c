//! The segments before the last one, and the last index in each.
//!
//! Invariant: the entries in a segment come before those in the next one. So the entries that a snapshot covers are in
//! the first segments, and a segment is removed only together with all those before it.
//!
//! Deliberately absent: files. The caller removes them.

use std::collections::VecDeque;

use raftian_raft::Index;

/// The segments before the last one, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Sealed(VecDeque<Extent>);

/// A segment, and the last index of the log's entries in it or in a segment before. It decreases when a suffix is
/// replaced in a later segment.
#[derive(Clone, Copy, Debug)]
struct Extent {
    segment: u32,
    last_index: Index,
}

impl Sealed {
    /// The log, which ends at `last_index`, continues in the segment after this one.
    pub(crate) fn push(&mut self, segment: u32, last_index: Index) {
        self.0.push_back(Extent { segment, last_index });
    }

    /// The entries after `last_index` are void; with 0, all of them.
    pub(crate) fn truncate(&mut self, last_index: Index) {
        for extent in self.0.iter_mut().rev().take_while(|extent| extent.last_index > last_index) {
            extent.last_index = last_index;
        }
    }

    /// Removes and returns the oldest segment if it has no entry after `index`.
    pub(crate) fn pop_up_to(&mut self, index: Index) -> Option<u32> {
        self.0.pop_front_if(|extent| extent.last_index <= index).map(|extent| extent.segment)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn popped(mut sealed: Sealed, index: Index) -> Vec<u32> {
        std::iter::from_fn(|| sealed.pop_up_to(index)).collect()
    }

    fn sealed(truncations: &[Index]) -> Sealed {
        let mut sealed = Sealed::default();
        for (segment, last_index) in [(3, 10), (4, 10), (5, 20), (6, 30)] {
            sealed.push(segment, last_index);
        }
        truncations.iter().for_each(|&last_index| sealed.truncate(last_index));
        sealed
    }

    #[test]
    fn a_segment_goes_when_all_of_it_is_covered() {
        for (index, gone) in [(9, &[][..]), (10, &[3, 4]), (29, &[3, 4, 5]), (30, &[3, 4, 5, 6])] {
            assert_eq!(popped(sealed(&[]), index), gone, "up to {index}");
        }
    }

    #[test]
    fn what_was_replaced_keeps_no_segment() {
        assert_eq!(popped(sealed(&[15]), 15), [3, 4, 5, 6]);
        assert_eq!(popped(sealed(&[15]), 14), [3, 4]);
        assert_eq!(popped(sealed(&[15, 25]), 15), [3, 4, 5, 6]);
        assert_eq!(popped(sealed(&[0]), 0), [3, 4, 5, 6]);
    }
}
