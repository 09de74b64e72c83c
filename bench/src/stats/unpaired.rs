//! Ratios of samples that share no blocks, such as those of two runs.
//!
//! The estimate is Hodges and Lehmann's: the median of the ratios of every trial to every other, which one wild trial
//! cannot move far. Its standard error comes from a seeded bootstrap over trials; intervals use Student's t on it,
//! because percentiles of a bootstrap of six trials are too short and have no tails that a correction for many
//! comparisons could use.
//!
//! Invariant: same samples and seed, same numbers.

use fastrand::Rng;

use super::distribution::{student_beyond, student_quantile};
use super::{Interval, median};

/// How often the trials are drawn anew.
const RESAMPLES: usize = 400;

/// The fewest trials of each sample that a standard error is believed of.
const FEWEST: usize = 4;

/// How much larger one sample is than another.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Unpaired {
    /// The natural logarithm of the ratio.
    log_ratio: f64,
    /// Its standard error; above zero.
    standard_error: f64,
    /// The degrees of freedom of that.
    degrees: usize,
    /// The trials of both samples.
    n: (usize, usize),
}

impl Unpaired {
    /// Compares `other` with `base`; `None` with fewer than four trials on a side, if a number is not positive, or if
    /// the samples do not vary (no noise to compare with).
    pub fn of(base: &[f64], other: &[f64], seed: u64) -> Option<Unpaired> {
        let (base, other) = (logs(base)?, logs(other)?);
        if base.len().min(other.len()) < FEWEST {
            return None;
        }
        let mut rng = Rng::with_seed(seed);
        let shifts: Option<Vec<f64>> =
            (0..RESAMPLES).map(|_| shift(&resample(&base, &mut rng), &resample(&other, &mut rng))).collect();
        let shifts = shifts?;
        // A sample of n varies by n − 1 parts in n of what its source does.
        let least = base.len().min(other.len()) as f64;
        let standard_error = (variance(&shifts) * least / (least - 1.0)).sqrt();
        // Below this it is what rounding leaves of none.
        (standard_error > 1e-9).then_some(Unpaired {
            log_ratio: shift(&base, &other)?,
            standard_error,
            degrees: degrees(&base, &other),
            n: (base.len(), other.len()),
        })
    }

    /// The ratio `other / base`.
    pub fn ratio(&self) -> f64 {
        self.log_ratio.exp()
    }

    /// The trials of both samples.
    pub fn n(&self) -> (usize, usize) {
        self.n
    }

    /// The interval of the ratio at a level.
    pub fn interval(&self, level: f64) -> Interval {
        let reach = student_quantile(1.0 - level, self.degrees) * self.standard_error;
        Interval { low: (self.log_ratio - reach).exp(), high: (self.log_ratio + reach).exp(), level }
    }

    /// How often chance alone would take a ratio within `1 / band` and `band` this far out of them; 1 if it is within.
    pub fn chance_beyond(&self, band: f64) -> f64 {
        let out = self.log_ratio.abs() - band.ln().abs();
        if out <= 0.0 { 1.0 } else { student_beyond(out / self.standard_error, self.degrees) }
    }

    /// The smallest ratio above one that would have been told from `band` at this level with the chance `power`.
    pub fn smallest_effect(&self, level: f64, power: f64, band: f64) -> f64 {
        let reach = student_quantile(1.0 - level, self.degrees);
        let luck = student_quantile(2.0 * (1.0 - power), self.degrees);
        (band.ln().abs() + (reach + luck) * self.standard_error).exp()
    }
}

/// Welch's degrees of freedom: of both samples together where they vary alike, of the wilder one where they do not.
fn degrees(base: &[f64], other: &[f64]) -> usize {
    let error = |sample: &[f64]| variance(sample) / sample.len() as f64;
    let (a, b) = (error(base), error(other));
    let share = |error: f64, sample: &[f64]| error * error / (sample.len() - 1) as f64;
    let degrees = (a + b).powi(2) / (share(a, base) + share(b, other));
    let fewest = base.len().min(other.len()) - 1;
    if degrees.is_finite() { (degrees as usize).max(fewest) } else { fewest }
}

fn variance(sample: &[f64]) -> f64 {
    let mean = sample.iter().sum::<f64>() / sample.len() as f64;
    sample.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (sample.len() - 1) as f64
}

/// The median of the differences of all pairs.
fn shift(base: &[f64], other: &[f64]) -> Option<f64> {
    let differences: Vec<f64> = other.iter().flat_map(|b| base.iter().map(move |a| b - a)).collect();
    median(&differences)
}

fn resample(sample: &[f64], rng: &mut Rng) -> Vec<f64> {
    sample.iter().map(|_| sample[rng.usize(..sample.len())]).collect()
}

fn logs(sample: &[f64]) -> Option<Vec<f64>> {
    sample.iter().map(|x| (*x > 0.0).then(|| x.ln()).filter(|log| log.is_finite())).collect()
}

#[cfg(test)]
mod tests {
    use super::super::simulation::{NOISES, Noise, coverage};
    use super::*;

    fn sample(rng: &mut Rng, n: usize, middle: f64, noise: Noise) -> Vec<f64> {
        scaled(rng, n, middle, noise, 0.02)
    }

    fn scaled(rng: &mut Rng, n: usize, middle: f64, noise: Noise, scale: f64) -> Vec<f64> {
        (0..n).map(|_| middle * (scale * noise.draw(rng)).exp()).collect()
    }

    #[test]
    fn what_cannot_be_compared_is_none() {
        assert_eq!(Unpaired::of(&[1.0, 2.0, 3.0], &[1.0, 2.0, 3.0], 1), None);
        assert_eq!(Unpaired::of(&[1.0; 6], &[2.0; 6], 1), None);
        assert_eq!(Unpaired::of(&[1.0, 2.0, 3.0, 0.0], &[1.0, 2.0, 3.0, 4.0], 1), None);
        assert_eq!(Unpaired::of(&[1.0, 2.0, 3.0, f64::NAN], &[1.0, 2.0, 3.0, 4.0], 1), None);
    }

    #[test]
    fn a_sample_does_not_differ_from_itself() {
        let numbers = [100.0, 101.0, 99.0, 100.5, 98.0, 103.0];
        let same = Unpaired::of(&numbers, &numbers, 1).unwrap();
        assert_eq!((same.ratio(), same.chance_beyond(1.0)), (1.0, 1.0));
        assert_eq!(Unpaired::of(&numbers, &numbers, 1), Some(same));
    }

    /// At the usual level, and at one that a correction for a hundred comparisons asks for.
    #[test]
    fn the_interval_covers_at_least_about_what_it_says() {
        for noise in NOISES {
            for n in [6, 12] {
                let mut strict = 0;
                let covered = coverage(250, n as u64, |rng| {
                    let (base, other) = (sample(rng, n, 50.0, noise), sample(rng, n, 60.0, noise));
                    let unpaired = Unpaired::of(&base, &other, rng.u64(..)).unwrap();
                    strict += u32::from(unpaired.interval(0.9995).holds(1.2));
                    unpaired.interval(0.95).holds(1.2)
                });
                assert!(covered >= 0.92, "{noise:?}, n = {n}: {covered}");
                assert!(strict >= 248, "{noise:?}, n = {n}: {strict} of 250 at 99.95 %");
            }
        }
    }

    #[test]
    fn a_small_wild_sample_and_a_large_calm_one_are_covered_as_well() {
        for noise in NOISES {
            let covered = coverage(250, 8, |rng| {
                let (base, other) = (scaled(rng, 12, 50.0, noise, 0.01), scaled(rng, 6, 60.0, noise, 0.04));
                Unpaired::of(&base, &other, rng.u64(..)).unwrap().interval(0.95).holds(1.2)
            });
            assert!(covered >= 0.92, "{noise:?}: {covered}");
        }
    }

    #[test]
    fn the_smallest_effect_is_seen_as_often_as_promised() {
        let mut rng = Rng::with_seed(3);
        let effects: Vec<f64> = (0..60)
            .filter_map(|_| {
                let (base, other) = (sample(&mut rng, 6, 1.0, Noise::Normal), sample(&mut rng, 6, 1.0, Noise::Normal));
                Some(Unpaired::of(&base, &other, 1)?.smallest_effect(0.99, 0.8, 1.01))
            })
            .collect();
        let typical = median(&effects).unwrap();
        let seen = coverage(300, 4, |rng| {
            let (base, other) = (sample(rng, 6, 1.0, Noise::Normal), sample(rng, 6, typical, Noise::Normal));
            Unpaired::of(&base, &other, 1).unwrap().chance_beyond(1.01) <= 0.01
        });
        assert!((0.68..0.92).contains(&seen), "an effect of {typical} is seen with {seen}");
    }
}
