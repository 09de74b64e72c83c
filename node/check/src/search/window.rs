//! A window of a history that has no order, small enough to be looked at, that still has none.
//!
//! A window is a run of returns. What came before it is forgotten: any state may have been. Operations that overlap it
//! without returning in it may have taken effect within it or not, at whatever time. If there is no order even so, then
//! the operations of the window contradict each other, whatever the rest of the history was.
//!
//! Invariants: a window without an order means a history without one; none of its ends can go without an order turning
//! up, as far as the budget goes to see. Deliberately absent: the smallest of all windows, which would cost more.

use std::collections::HashSet;
use std::ops::RangeInclusive;

use super::{Budget, Call, Found, Transition, search};

/// A part of a history that shows why it has no order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Window {
    /// The sources of its operations, as they returned.
    pub(crate) sources: Vec<u32>,
    /// When the first of them was called.
    pub(crate) from_ns: u64,
    /// When the last of them returned.
    pub(crate) to_ns: u64,
    /// Whether the window alone has no order; else it takes the initial state and all that came before to see it.
    pub(crate) stands_alone: bool,
}

/// A small window of a history that has no order up to `by_ns`.
pub(crate) fn narrow<T: Transition>(calls: &[Call<T>], initial: T::State, by_ns: u64, budget: &mut Budget) -> Window {
    let mut returned: Vec<(u64, Call<T>)> = calls
        .iter()
        .filter_map(|call| Some((call.completed_ns?, *call)))
        .filter(|(at_ns, _)| *at_ns <= by_ns)
        .collect();
    returned.sort_unstable_by_key(|(completed_ns, call)| (*completed_ns, call.source));
    let history = History { calls, returned };
    let last = history.returned.len() - 1;

    let mut has_no_order = |window: RangeInclusive<usize>, before: T::State| {
        matches!(search(&history.window(window), before, budget), Found::NoOrder { .. })
    };
    let size = smallest_where(last + 1, |size| has_no_order(last + 1 - size..=last, T::ANY));
    let (stands_alone, mut first) = size.map_or((false, 0), |size| (true, last + 1 - size));
    let before = if stands_alone { T::ANY } else { initial };
    // That an order is impossible by a moment does not mean that it was possible right before.
    let length = smallest_where(last + 1 - first, |length| has_no_order(first..=first + length - 1, before));
    let mut last = length.map_or(last, |length| first + length - 1);
    // A larger window may have what its parts have not: operations before it that overlap it. So halving may miss.
    loop {
        if stands_alone && first < last && has_no_order(first + 1..=last, before) {
            first += 1;
        } else if first < last && has_no_order(first..=last - 1, before) {
            last -= 1;
        } else {
            return history.describe(first..=last, stands_alone);
        }
    }
}

/// The least number from 1 to `most` for which something holds, if it holds for all greater ones too; else some number
/// for which it holds, or `None`.
fn smallest_where(most: usize, mut holds: impl FnMut(usize) -> bool) -> Option<usize> {
    // Doubling first: windows are mostly small, and a search in a large one is dear.
    let mut too_small = 0;
    let mut enough = 1;
    while !holds(enough) {
        if enough == most {
            return None;
        }
        too_small = enough;
        enough = (2 * enough).min(most);
    }
    while enough - too_small > 1 {
        let middle = too_small + (enough - too_small) / 2;
        match holds(middle) {
            true => enough = middle,
            false => too_small = middle,
        }
    }
    Some(enough)
}

struct History<'a, T> {
    calls: &'a [Call<T>],
    /// The calls that returned, as they did.
    returned: Vec<(u64, Call<T>)>,
}

impl<T: Transition> History<'_, T> {
    /// The calls of a window.
    fn window(&self, window: RangeInclusive<usize>) -> Vec<Call<T>> {
        let (from_ns, to_ns) = self.span(&window);
        let mut calls: Vec<Call<T>> = self.returned[window].iter().map(|(_, call)| *call).collect();
        let inside: HashSet<u32> = calls.iter().map(|call| call.source).collect();
        let overlaps = |call: &Call<T>| {
            call.invoked_ns <= to_ns && call.completed_ns.is_none_or(|completed_ns| completed_ns >= from_ns)
        };
        let outside = self
            .calls
            .iter()
            .filter(|call| overlaps(call) && (call.completed_ns.is_none() || !inside.contains(&call.source)));
        calls.extend(outside.map(|call| Call { completed_ns: None, ..*call }));
        calls
    }

    /// From the first call of a window to its last return.
    fn span(&self, window: &RangeInclusive<usize>) -> (u64, u64) {
        let from_ns = self.returned[window.clone()].iter().map(|(_, call)| call.invoked_ns).min();
        (from_ns.expect("a window is not empty"), self.returned[*window.end()].0)
    }

    fn describe(&self, window: RangeInclusive<usize>, stands_alone: bool) -> Window {
        let (from_ns, to_ns) = self.span(&window);
        let sources = self.returned[window].iter().map(|(_, call)| call.source).collect();
        Window { sources, from_ns, to_ns, stands_alone }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halving_finds_the_least() {
        for most in 1..40 {
            for least in 1..=most {
                let mut asked = 0;
                let found = smallest_where(most, |size| {
                    asked += 1;
                    size >= least
                });
                assert_eq!(found, Some(least), "of {most}");
                assert!(asked <= 13, "{asked} questions for {least} of {most}");
            }
            assert_eq!(smallest_where(most, |_| false), None);
        }
    }
}
