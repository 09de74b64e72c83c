//! Whether numbers that should only scatter have a trend: Mann and Kendall's test, and Theil and Sen's slope.
//!
//! Invariant: the chance is exact (all orders equally likely), for it is asked of six blocks as well as of sixty.

use super::median;

/// A trend.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Drift {
    /// The typical change from one number to the next: the median of the slopes of all pairs.
    pub per_step: f64,
    /// How often numbers in random order have a trend as clear as this one, up or down.
    pub chance: f64,
}

/// The trend of numbers in their order; `None` with fewer than five, where no order is rare enough to mean anything, or
/// if one is not finite.
pub fn drift(values: &[f64]) -> Option<Drift> {
    let n = values.len();
    if n < 5 || !values.iter().all(|value| value.is_finite()) {
        return None;
    }
    let pairs = || (0..n).flat_map(|j| (0..j).map(move |i| (i, j)));
    let slopes: Vec<f64> = pairs().map(|(i, j)| (values[j] - values[i]) / (j - i) as f64).collect();
    let falling = pairs().filter(|(i, j)| values[*j] < values[*i]).count();
    let rising = pairs().filter(|(i, j)| values[*j] > values[*i]).count();
    // Ties tell nothing: they count for neither direction.
    let ties = slopes.len() - falling - rising;
    Some(Drift {
        per_step: median(&slopes)?,
        chance: (2.0 * at_most_inversions(n, falling.min(rising) + ties / 2)).min(1.0),
    })
}

/// The chance that a random order of `n` has at most `most` pairs the wrong way round.
fn at_most_inversions(n: usize, most: usize) -> f64 {
    // The share of orders of the first m with each number of inversions: the m-th adds 0 to m − 1 of them.
    let mut shares = vec![1.0];
    for m in 2..=n {
        let mut next = vec![0.0; shares.len() + m - 1];
        for (inversions, share) in shares.iter().enumerate() {
            for added in 0..m {
                next[inversions + added] += share / m as f64;
            }
        }
        shares = next;
    }
    shares.iter().take(most + 1).sum()
}

#[cfg(test)]
mod tests {
    use super::super::simulation::{NOISES, coverage};
    use super::*;

    #[test]
    fn a_steady_climb_is_a_drift() {
        let climb = drift(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]).unwrap();
        assert_eq!(climb.per_step, 1.0);
        assert!((climb.chance - 2.0 / 720.0).abs() < 1e-12, "{}", climb.chance);
        let fall = drift(&[6.0, 5.0, 4.0, 3.0, 2.0, 1.0]).unwrap();
        assert_eq!((fall.per_step, fall.chance), (-1.0, climb.chance));
    }

    #[test]
    fn what_scatters_or_stands_still_has_none() {
        assert!(drift(&[3.0, 1.0, 4.0, 2.0, 5.0, 3.5]).unwrap().chance > 0.2);
        assert_eq!(drift(&[2.0; 8]).unwrap().chance, 1.0);
        assert_eq!(drift(&[1.0, 2.0, 3.0, 4.0]), None);
        assert_eq!(drift(&[1.0, 2.0, 3.0, 4.0, f64::NAN]), None);
    }

    #[test]
    fn chance_alone_is_called_a_drift_as_often_as_it_should_be() {
        for noise in NOISES {
            let flagged = coverage(4_000, 2, |rng| {
                let values: Vec<f64> = (0..10).map(|_| noise.draw(rng)).collect();
                drift(&values).unwrap().chance <= 0.05
            });
            assert!((0.025..=0.055).contains(&flagged), "{noise:?}: {flagged}");
        }
    }

    #[test]
    fn a_trend_among_heavy_noise_is_found() {
        let found = coverage(500, 3, |rng| {
            let values: Vec<f64> = (0..20).map(|step| 0.3 * f64::from(step) + NOISES[2].draw(rng)).collect();
            drift(&values).unwrap().chance <= 0.01
        });
        assert!(found > 0.8, "{found}");
    }
}
