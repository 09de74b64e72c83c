//! The median of a sample, and an interval for it between two order statistics.
//!
//! Invariant: the level is exact for every continuous distribution: the interval from the k-th smallest to the k-th
//! largest of n misses the true median only if fewer than k of n fair coins fall on one side.

use super::LEVEL;
use super::distribution::binomial_at_most;

/// An interval and the level it is known to have.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    /// Its lower end.
    pub low: f64,
    /// Its upper end.
    pub high: f64,
    /// The chance with which such an interval holds the true value.
    pub level: f64,
}

/// An estimate from a sample.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimated {
    /// The estimate.
    pub value: f64,
    /// Its interval; `None` when the sample is too small for [`LEVEL`].
    pub interval: Option<Interval>,
    /// The size of the sample.
    pub n: usize,
}

impl Interval {
    /// Whether `value` lies in it.
    pub fn holds(&self, value: f64) -> bool {
        (self.low..=self.high).contains(&value)
    }

    /// The interval of what `map`, a monotone function, makes of the value.
    #[must_use]
    pub fn map(self, map: impl Fn(f64) -> f64) -> Interval {
        let (one, other) = (map(self.low), map(self.high));
        Interval { low: one.min(other), high: one.max(other), level: self.level }
    }
}

impl Estimated {
    /// The median of a sample and its interval at [`LEVEL`]; `None` for an empty sample, or if a number is not finite.
    pub fn median_of(sample: &[f64]) -> Option<Estimated> {
        let value = median(sample)?;
        Some(Estimated { value, interval: median_interval(sample, LEVEL), n: sample.len() })
    }

    /// The estimate of what `map`, a monotone function, makes of the value.
    #[must_use]
    pub fn map(self, map: impl Fn(f64) -> f64) -> Estimated {
        Estimated { value: map(self.value), interval: self.interval.map(|interval| interval.map(&map)), n: self.n }
    }
}

/// The middle of a sample, or the mean of the two in the middle; `None` if it is empty or a number is not finite.
pub fn median(sample: &[f64]) -> Option<f64> {
    if sample.is_empty() || !sample.iter().all(|x| x.is_finite()) {
        return None;
    }
    let mut numbers = sample.to_vec();
    let (below, middle, _) = numbers.select_nth_unstable_by(sample.len() / 2, f64::total_cmp);
    let middle = *middle;
    let before = below.iter().copied().max_by(f64::total_cmp).filter(|_| sample.len().is_multiple_of(2));
    Some(before.map_or(middle, |before| f64::midpoint(before, middle)))
}

/// The shortest symmetric interval between order statistics with at least this level; `None` if the sample is too small
/// for it (fewer than 6 for 95 %) or a number is not finite.
pub fn median_interval(sample: &[f64], at_least: f64) -> Option<Interval> {
    if !sample.iter().all(|x| x.is_finite()) {
        return None;
    }
    let mut sorted = sample.to_vec();
    sorted.sort_by(f64::total_cmp);
    let n = sorted.len();
    let level = |cut: usize| 1.0 - 2.0 * binomial_at_most(n, cut, 0.5);
    // From the outside in: how many of the smallest and of the largest can be left out.
    let cut = (0..n / 2).take_while(|cut| level(*cut) >= at_least).last()?;
    Some(Interval { low: sorted[cut], high: sorted[n - 1 - cut], level: level(cut) })
}

#[cfg(test)]
mod tests {
    use super::super::simulation::{NOISES, coverage};
    use super::*;

    #[test]
    fn medians_are_the_middle() {
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), Some(2.5));
        assert_eq!(median(&[1.0, f64::NAN]), None);
        assert_eq!(Estimated::median_of(&[1.0, f64::INFINITY]), None);
    }

    #[test]
    fn six_are_the_fewest_for_an_interval_and_its_level_is_exact() {
        let sample = |n: usize| (1..=n).map(|x| x as f64).collect::<Vec<_>>();
        assert_eq!(median_interval(&sample(5), 0.95), None);
        assert_eq!(median_interval(&sample(6), 0.95), Some(Interval { low: 1.0, high: 6.0, level: 0.968_75 }));
        let twelve = median_interval(&sample(12), 0.95).unwrap();
        assert_eq!((twelve.low, twelve.high), (3.0, 10.0));
        assert!((twelve.level - 0.961_4).abs() < 1e-4, "{}", twelve.level);
        assert_eq!(median_interval(&[], 0.95), None);
        assert_eq!(median_interval(&sample(6), 0.99), None);
    }

    #[test]
    fn the_interval_covers_as_often_as_it_says_whatever_the_noise() {
        for n in [6, 9, 12, 30] {
            let level = median_interval(&vec![0.0; n], LEVEL).unwrap().level;
            for noise in NOISES {
                let covered = coverage(4_000, n as u64, |rng| {
                    let sample: Vec<f64> = (0..n).map(|_| 7.0 + noise.draw(rng)).collect();
                    median_interval(&sample, LEVEL).unwrap().holds(7.0)
                });
                assert!((covered - level).abs() < 0.012, "{noise:?}, n = {n}: {covered} instead of {level}");
            }
        }
    }

    #[test]
    fn falling_maps_turn_an_interval_round() {
        let estimate = Estimated::median_of(&[0.9, 0.95, 1.0, 1.01, 1.02, 1.03]).unwrap();
        let cost = estimate.map(|ratio| 1.0 - ratio);
        let interval = cost.interval.unwrap();
        assert!(interval.low < interval.high && interval.holds(cost.value));
    }
}
