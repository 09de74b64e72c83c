//! The metrics that an experiment is about, and which way is better.
//!
//! Invariant: these are the ones that runs are compared by; every one of them is in the experiment's own finding.

use serde::{Deserialize, Serialize};

use crate::suite::trial::ExperimentId;

/// Which way is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Better {
    /// More of it.
    Higher,
    /// Less of it.
    Lower,
}

/// A metric that an experiment is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MainMetric {
    /// Its name in a trial.
    pub name: &'static str,
    /// Which way is better.
    pub better: Better,
}

const FPS: MainMetric = higher("fps");
const ORDER: MainMetric = lower("order_us_p50");
const COMMIT: MainMetric = lower("commit_us_p50");
const RATE: MainMetric = higher("achieved_per_s");

/// The main metrics of an experiment, the most important first. What only describes the machine (E0) or other
/// experiments' trials (E10) has none.
pub fn main_metrics(experiment: ExperimentId) -> &'static [MainMetric] {
    match experiment.0 {
        1..=3 | 11 => &[FPS],
        4 => &[ORDER],
        5 | 7 => &[COMMIT],
        6 => &[RATE],
        8 => &[const { lower("gap_ms") }],
        9 => &[COMMIT],
        12 => &[RATE, COMMIT],
        _ => &[],
    }
}

const fn higher(name: &'static str) -> MainMetric {
    MainMetric { name, better: Better::Higher }
}

const fn lower(name: &'static str) -> MainMetric {
    MainMetric { name, better: Better::Lower }
}
