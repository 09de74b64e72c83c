//! How long syncs took.

use std::collections::VecDeque;
use std::time::Duration;

use raftian_rpc::control::Measured;

/// The median is that of so many at most.
const LAST: usize = 65;

/// The durations of syncs.
#[derive(Debug, Default)]
pub(super) struct Tally {
    count: u64,
    shortest_us: Option<u64>,
    last_us: VecDeque<u64>,
}

impl Tally {
    /// A sync took so long.
    pub(super) fn note(&mut self, took: Duration) {
        let took_us = took.as_micros() as u64;
        self.count += 1;
        self.shortest_us = Some(self.shortest_us.map_or(took_us, |before_us| before_us.min(took_us)));
        if self.last_us.len() == LAST {
            self.last_us.pop_front();
        }
        self.last_us.push_back(took_us);
    }

    pub(super) fn measured(&self) -> Measured {
        let mut last_us: Vec<u64> = self.last_us.iter().copied().collect();
        last_us.sort_unstable();
        let median_us = last_us.get(last_us.len() / 2).copied();
        Measured::Syncs { count: self.count, shortest_us: self.shortest_us, median_us }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_that_of_the_last_ones_and_the_shortest_that_of_all() {
        let mut tally = Tally::default();
        assert_eq!(tally.measured(), Measured::Syncs { count: 0, shortest_us: None, median_us: None });
        [7_u64, 1, 9].into_iter().for_each(|us| tally.note(Duration::from_micros(us)));
        assert_eq!(tally.measured(), Measured::Syncs { count: 3, shortest_us: Some(1), median_us: Some(7) });
        (0..LAST).for_each(|_| tally.note(Duration::from_micros(20)));
        assert_eq!(tally.measured(), Measured::Syncs { count: 68, shortest_us: Some(1), median_us: Some(20) });
    }
}
