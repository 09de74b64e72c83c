//! Noise for the tests of coverage: with a median of zero, seeded, and of three shapes.

use fastrand::Rng;

/// A shape of noise; its median is zero.
#[derive(Clone, Copy, Debug)]
pub(super) enum Noise {
    /// Normal, with a standard deviation of one.
    Normal,
    /// Skewed: a log-normal number less its median.
    LogNormal,
    /// Heavy tails: Student's t with two degrees of freedom, whose variance is infinite.
    Heavy,
}

/// All of them.
pub(super) const NOISES: [Noise; 3] = [Noise::Normal, Noise::LogNormal, Noise::Heavy];

impl Noise {
    /// One number.
    pub(super) fn draw(self, rng: &mut Rng) -> f64 {
        match self {
            Noise::Normal => normal(rng),
            Noise::LogNormal => normal(rng).exp() - 1.0,
            Noise::Heavy => {
                let exponential = -(1.0 - rng.f64()).ln();
                normal(rng) / exponential.sqrt()
            }
        }
    }
}

/// The share of `rounds` seeded trials that succeed.
pub(super) fn coverage(rounds: u32, seed: u64, mut succeeds: impl FnMut(&mut Rng) -> bool) -> f64 {
    let mut rng = Rng::with_seed(seed);
    let successes = (0..rounds).filter(|_| succeeds(&mut rng)).count();
    successes as f64 / f64::from(rounds)
}

/// A standard normal number (Box and Muller).
pub(crate) fn normal(rng: &mut Rng) -> f64 {
    let radius = (-2.0 * (1.0 - rng.f64()).ln()).sqrt();
    radius * (std::f64::consts::TAU * rng.f64()).cos()
}
