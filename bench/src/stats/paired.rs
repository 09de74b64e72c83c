//! Ratios of pairs from the same block: what the machine did to a block, it did to both.
//!
//! Invariant: a ratio's interval is the exact one of the median of the ratios; logarithms are used so that a ratio and
//! its inverse say the same.

use super::distribution::{binomial_at_most, bisect, normal_at_most};
use super::{Estimated, Interval, median_interval};

/// The median of the ratios `other / base` of pairs `(base, other)`, and its interval; `None` without pairs, or if a
/// number is not positive.
pub fn paired_ratio(pairs: &[(f64, f64)]) -> Option<Estimated> {
    let logs = log_ratios(pairs)?;
    Estimated::median_of(&logs).map(|estimate| estimate.map(f64::exp))
}

/// The smallest ratio above one that an exact interval of this many pairs with such noise would have told from one with
/// the chance `power`, were the noise normal; `None` for pairs that have no interval at `level`.
pub fn smallest_paired_effect(pairs: &[(f64, f64)], level: f64, power: f64) -> Option<f64> {
    let logs = log_ratios(pairs)?;
    let n = logs.len();
    let exact: Interval = median_interval(&logs, level)?;
    // How many the interval leaves out on each side follows from n alone; found by its level.
    let cut = (0..n / 2).take_while(|cut| 1.0 - 2.0 * binomial_at_most(n, *cut, 0.5) >= exact.level - 1e-12).last()?;
    let mean = logs.iter().sum::<f64>() / n as f64;
    let noise = (logs.iter().map(|log| (log - mean).powi(2)).sum::<f64>() / (n - 1) as f64).sqrt();
    // In units of the noise: all but `cut` must fall on one side.
    let shift = bisect(0.0, 20.0, |shift| binomial_at_most(n, cut, normal_at_most(-shift)) >= power);
    Some((shift * noise).exp())
}

fn log_ratios(pairs: &[(f64, f64)]) -> Option<Vec<f64>> {
    let log = |(base, other): &(f64, f64)| (*base > 0.0 && *other > 0.0).then(|| (other / base).ln());
    pairs.iter().map(log).map(|log| log.filter(|log| log.is_finite())).collect()
}

#[cfg(test)]
mod tests {
    use super::super::simulation::{NOISES, Noise, coverage};
    use super::super::{LEVEL, POWER, median};
    use super::*;

    #[test]
    fn a_ratio_is_paired_within_blocks() {
        // The machine halves its speed from block to block; the ratio does not notice.
        let pairs: Vec<(f64, f64)> = (0..6)
            .map(|block| (f64::from(block), 0.5f64.powi(block) * 1000.0))
            .map(|(block, base)| (base, base * (0.97 + block * 0.001)))
            .collect();
        let ratio = paired_ratio(&pairs).unwrap();
        assert!((ratio.value - 0.9725).abs() < 1e-4, "{ratio:?}");
        let interval = ratio.interval.unwrap();
        assert!((interval.low - 0.97).abs() < 1e-9 && (interval.high - 0.975).abs() < 1e-9, "{interval:?}");
    }

    #[test]
    fn what_is_no_ratio_is_none() {
        assert_eq!(paired_ratio(&[]), None);
        assert_eq!(paired_ratio(&[(0.0, 1.0)]), None);
        assert_eq!(paired_ratio(&[(1.0, -1.0)]), None);
        assert_eq!(paired_ratio(&[(1.0, f64::NAN)]), None);
        assert_eq!(paired_ratio(&[(1.0, 2.0)]).unwrap().interval, None);
    }

    #[test]
    fn a_ratio_and_its_inverse_say_the_same() {
        let pairs = [(1.0, 2.0), (3.0, 4.0), (5.0, 5.5), (2.0, 3.0)];
        let turned = pairs.map(|(base, other)| (other, base));
        let product = paired_ratio(&pairs).unwrap().value * paired_ratio(&turned).unwrap().value;
        assert!((product - 1.0).abs() < 1e-12);
    }

    #[test]
    fn ratios_are_covered_whatever_the_noise_and_however_blocks_differ() {
        for noise in NOISES {
            let covered = coverage(4_000, 11, |rng| {
                let pairs: Vec<(f64, f64)> = (0..6)
                    .map(|_| {
                        let base = 100.0 * (Noise::Heavy.draw(rng) * 0.2).exp();
                        (base, base * 0.98 * (noise.draw(rng) * 0.01).exp())
                    })
                    .collect();
                paired_ratio(&pairs).unwrap().interval.unwrap().holds(0.98)
            });
            assert!((covered - 0.968_75).abs() < 0.012, "{noise:?}: {covered}");
        }
    }

    /// The promise is kept on average: an effect of the size that is named is seen about as often as is said.
    #[test]
    fn the_smallest_effect_is_seen_as_often_as_promised() {
        let draw = |rng: &mut fastrand::Rng, effect: f64| -> Vec<(f64, f64)> {
            (0..12).map(|_| (1.0, effect * (Noise::Normal.draw(rng) * 0.01).exp())).collect()
        };
        let mut rng = fastrand::Rng::with_seed(5);
        let effects: Vec<f64> =
            (0..200).map(|_| smallest_paired_effect(&draw(&mut rng, 1.0), LEVEL, POWER).unwrap()).collect();
        let typical = median(&effects).unwrap();
        let seen = coverage(2_000, 6, |rng| !paired_ratio(&draw(rng, typical)).unwrap().interval.unwrap().holds(1.0));
        assert!((0.7..0.9).contains(&seen), "an effect of {typical} is seen with {seen}");
        assert_eq!(smallest_paired_effect(&[(1.0, 1.0)], LEVEL, POWER), None);
    }
}
