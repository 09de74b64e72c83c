//! The few distributions that are needed: binomial with fair coins, normal, Student's, and the first of several uniform
//! draws.
//!
//! Invariant: probabilities are within 0 and 1, and quantiles are found by bisection of the function that a test checks
//! against published values.

use std::f64::consts::PI;

/// The chance of at most `most` heads in `n` throws of a coin that shows heads with chance `p`.
pub(super) fn binomial_at_most(n: usize, most: usize, p: f64) -> f64 {
    if p <= 0.0 {
        return 1.0;
    }
    if p >= 1.0 {
        return if most >= n { 1.0 } else { 0.0 };
    }
    // By logarithms: the terms of large n are below what a float can hold, their sum is not.
    let mut log_term = n as f64 * (1.0 - p).ln();
    let mut sum = log_term.exp();
    for heads in 1..=most.min(n) {
        log_term += ((n - heads + 1) as f64 / heads as f64).ln() + p.ln() - (1.0 - p).ln();
        sum += log_term.exp();
    }
    sum.min(1.0)
}

/// The chance that a standard normal number is at most `x`.
pub(super) fn normal_at_most(x: f64) -> f64 {
    // Beyond eight the series cancels, and the rest is less than 1e-15.
    if x.abs() > 8.0 {
        return if x > 0.0 { 1.0 } else { 0.0 };
    }
    let (mut term, mut sum, mut k) = (x, x, 1.0);
    while term.abs() > f64::EPSILON * sum.abs() {
        k += 2.0;
        term *= x * x / k;
        sum += term;
    }
    0.5 + sum * (-0.5 * x * x).exp() / (2.0 * PI).sqrt()
}

/// The chance that Student's t with this many degrees of freedom lies beyond ±`t`.
pub(super) fn student_beyond(t: f64, degrees: usize) -> f64 {
    let nu = degrees.max(1);
    let angle = (t.abs() / (nu as f64).sqrt()).atan();
    let (sin, cos) = angle.sin_cos();
    // The finite sums for whole degrees of freedom (Abramowitz and Stegun 26.7.3 and 26.7.4).
    let is_even = nu.is_multiple_of(2);
    let (first, start) = if is_even { (1, 1.0) } else { (2, cos) };
    let (mut term, mut sum) = (start, start);
    for k in (first..nu.saturating_sub(2)).step_by(2) {
        term *= k as f64 / (k + 1) as f64 * cos * cos;
        sum += term;
    }
    let within = match nu {
        1 => 2.0 * angle / PI,
        _ if is_even => sin * sum,
        _ => 2.0 / PI * (angle + sin * sum),
    };
    (1.0 - within).clamp(0.0, 1.0)
}

/// The `t` beyond which (on both sides together) Student's t lies with chance `beyond`.
pub(super) fn student_quantile(beyond: f64, degrees: usize) -> f64 {
    bisect(0.0, 1e9, |t| student_beyond(t, degrees) <= beyond)
}

/// The chance that the first of `count` draws, uniform between `low` and `high`, has come by `at`.
pub fn first_of_uniform(at: f64, low: f64, high: f64, count: u32) -> f64 {
    if high <= low {
        return if at >= low { 1.0 } else { 0.0 };
    }
    let one_is_later = ((high - at) / (high - low)).clamp(0.0, 1.0);
    1.0 - one_is_later.powi(i32::try_from(count).unwrap_or(i32::MAX))
}

/// How far a sample's distribution leaves what is expected (Kolmogorov and Smirnov's distance): `at_most` gives the least
/// and the largest chance of a number up to its argument, which are equal where the distribution is known. `None` for an
/// empty sample.
pub fn kolmogorov_distance(sample: &[f64], at_most: impl Fn(f64) -> (f64, f64)) -> Option<f64> {
    let mut sorted = sample.to_vec();
    sorted.sort_by(f64::total_cmp);
    let n = sorted.len() as f64;
    let distances = sorted.iter().enumerate().map(|(place, x)| {
        let (least, largest) = at_most(*x);
        // Just before the step to x the sample may be too low, just after it too high.
        (least - place as f64 / n).max((place + 1) as f64 / n - largest).max(0.0)
    });
    distances.max_by(f64::total_cmp)
}

/// The distance that a sample of `n` from the distribution itself exceeds one time in twenty (Stephens' approximation).
pub fn kolmogorov_critical_distance(n: usize) -> f64 {
    let root = (n as f64).sqrt();
    1.358 / (root + 0.12 + 0.11 / root)
}

/// The smallest number between `low` and `high` where a condition that stays true once it is true holds.
pub(super) fn bisect(mut low: f64, mut high: f64, holds: impl Fn(f64) -> bool) -> f64 {
    for _ in 0..200 {
        let middle = f64::midpoint(low, high);
        if holds(middle) {
            high = middle;
        } else {
            low = middle;
        }
    }
    high
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assert_close(value: f64, expected: f64) {
        assert!((value - expected).abs() < 1e-3 * expected.abs().max(1e-6), "{value} is not {expected}");
    }

    #[test]
    fn coins_fall_as_the_binomial_says() {
        assert_close(binomial_at_most(6, 0, 0.5), 1.0 / 64.0);
        assert_close(binomial_at_most(10, 2, 0.5), 56.0 / 1024.0);
        assert_close(binomial_at_most(4, 1, 0.25), 0.738_28);
        assert_close(binomial_at_most(5_000, 2_500, 0.5), 0.505_64);
        assert_eq!((binomial_at_most(3, 3, 0.5), binomial_at_most(3, 0, 1.0)), (1.0, 0.0));
    }

    #[test]
    fn the_tables_of_normal_and_student_are_met() {
        for (x, chance) in [(0.0, 0.5), (1.959_964, 0.975), (-1.644_854, 0.05), (3.090_232, 0.999), (9.0, 1.0)] {
            assert_close(normal_at_most(x), chance);
        }
        for (degrees, beyond, t) in [
            (1, 0.05, 12.706),
            (2, 0.05, 4.303),
            (3, 0.01, 5.841),
            (5, 0.05, 2.571),
            (10, 0.05, 2.228),
            (10, 0.001, 4.587),
            (11, 0.001, 4.437),
            (120, 0.05, 1.980),
        ] {
            assert_close(student_quantile(beyond, degrees), t);
        }
    }

    #[test]
    fn the_first_of_several_draws_comes_early() {
        assert_close(first_of_uniform(200.0, 150.0, 300.0, 1), 1.0 / 3.0);
        assert_close(first_of_uniform(225.0, 150.0, 300.0, 4), 15.0 / 16.0);
        assert_eq!((first_of_uniform(100.0, 150.0, 300.0, 4), first_of_uniform(300.0, 150.0, 300.0, 4)), (0.0, 1.0));
        assert_eq!(first_of_uniform(150.0, 150.0, 150.0, 2), 1.0);
    }

    #[test]
    fn a_sample_of_another_distribution_is_far_away() {
        let uniform = |x: f64| (x.clamp(0.0, 1.0), x.clamp(0.0, 1.0));
        let mut rng = fastrand::Rng::with_seed(1);
        let mut rejected = 0;
        for _ in 0..400 {
            let sample: Vec<f64> = (0..30).map(|_| rng.f64()).collect();
            if kolmogorov_distance(&sample, uniform).unwrap() > kolmogorov_critical_distance(30) {
                rejected += 1;
            }
            let other: Vec<f64> = sample.iter().map(|x| x * x * x).collect();
            assert!(kolmogorov_distance(&other, uniform).unwrap() > 0.2);
        }
        assert!((8..=36).contains(&rejected), "{rejected} of 400 where 20 are expected");
        assert_eq!(kolmogorov_distance(&[], uniform), None);
        let between = |x: f64| (x * x, x.sqrt());
        assert_eq!(kolmogorov_distance(&[0.2, 0.5, 0.8], between).map(|distance| distance < 0.2), Some(true));
        assert!(kolmogorov_distance(&[0.9, 0.95, 0.99], between).unwrap() > 0.7);
    }
}
