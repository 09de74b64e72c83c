//! Statistics that make few assumptions: exact order-statistic intervals, paired ratios, bootstrap over trials.
//!
//! A *sample* is one number per trial. The median of a sample, and of the ratios of pairs from the same block, comes with
//! an interval between two order statistics: its level follows from the binomial distribution alone, whatever the
//! noise looks like, and is said exactly (six trials: from the smallest to the largest, 96.9 %). Samples of different
//! runs share no blocks; [`Unpaired`] compares them with a standard error from a bootstrap over trials.
//!
//! Invariants: an interval says its level; what too few samples cannot tell is `None`, never a guess, and so is what is
//! computed from a number that is not finite. The coverage of every interval is tested by simulation. Everything random
//! is seeded.
//!
//! Deliberately absent: tests for normality, outlier removal, and any knowledge of what was measured.

mod distribution;
mod drift;
mod holm;
mod latency;
mod median;
mod paired;
#[cfg(test)]
mod simulation;
mod unpaired;

pub use self::distribution::{first_of_uniform, kolmogorov_critical_distance, kolmogorov_distance};
pub use self::drift::{Drift, drift};
pub use self::holm::{Corrected, holm};
pub use self::latency::{ecdf, merged, percentile, percentile_curve};
pub use self::median::{Estimated, Interval, median, median_interval};
pub use self::paired::{paired_ratio, smallest_paired_effect};
#[cfg(test)]
pub(crate) use self::simulation::normal;
pub use self::unpaired::Unpaired;

/// The least level of an interval that is shown, and one minus the most that chance may claim.
pub const LEVEL: f64 = 0.95;

/// The chance with which the smallest effect that could have been seen would have been.
pub const POWER: f64 = 0.8;
