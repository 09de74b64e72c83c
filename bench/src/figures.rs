//! The figures a release must reach, each measured on labs of its own: raw samples, a median, and what it is held to.
//!
//! Invariants: a figure keeps every sample it was computed from; a run whose history is not judged valid is an error,
//! for fast and wrong is wrong. Labs are started by spawning `raftianctl`, as a person would.
//!
//! Deliberately absent: intervals and comparisons between arms.

mod closed_loop;
mod command;
mod failover;
mod idle;
mod startup;
mod store;

use serde::{Deserialize, Serialize};

pub use self::closed_loop::closed_loop;
pub use self::command::{LabCommand, RunningLab};
pub use self::failover::failover;
pub use self::idle::idle;
pub use self::startup::{startup, status_latency};
pub use self::store::write;

use crate::stats::median;

/// One measured figure.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Figure {
    /// A short name for files and scripts.
    pub id: String,
    /// What was measured, for people.
    pub title: String,
    /// The unit of the samples.
    pub unit: String,
    /// Every sample, in the order they were taken.
    pub samples: Vec<f64>,
    /// Their median; `None` without samples, or if one of them is not finite.
    pub median: Option<f64>,
    /// What the median is held to.
    pub target: Option<Target>,
}

/// What a figure is held to.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// This or less.
    AtMost(f64),
    /// This or more.
    AtLeast(f64),
}

impl Figure {
    /// A figure from its samples.
    pub fn new(id: &str, title: &str, unit: &str, samples: Vec<f64>, target: Option<Target>) -> Figure {
        let median = median(&samples);
        Figure { id: id.into(), title: title.into(), unit: unit.into(), samples, median, target }
    }

    /// Whether the median is as good as it must be; `None` without a target or samples.
    pub fn is_met(&self) -> Option<bool> {
        let median = self.median?;
        Some(match self.target? {
            Target::AtMost(bound) => median <= bound,
            Target::AtLeast(bound) => median >= bound,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_met_or_not_and_unknown_without_samples() {
        let figure = |samples: &[f64], target| Figure::new("x", "x", "ms", samples.to_vec(), Some(target)).is_met();
        assert_eq!(figure(&[5.0], Target::AtMost(5.0)), Some(true));
        assert_eq!(figure(&[5.0], Target::AtLeast(5.1)), Some(false));
        assert_eq!(figure(&[], Target::AtMost(1.0)), None);
    }
}
