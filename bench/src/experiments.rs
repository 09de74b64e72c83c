//! The experiments, one file each: what is asked, which arms there are, and how a trial of an arm is done.
//!
//! Invariant: a trial starts its own processes and leaves none behind, whatever happens to it.
//!
//! Deliberately absent: order, repetition and files (`suite`), statistics (`stats`) and words about the outcome
//! (`analysis`).

mod arms;
mod commit;
mod disk;
mod e0;
mod e1;
mod e10;
mod e11;
mod e12;
mod e2;
mod e3;
mod e4;
mod e5;
mod e6;
mod e7;
mod e8;
mod e9;
mod frames;
mod metrics;
mod play;
mod span;

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

use crate::suite::trial::{Arm, Cost, ExperimentId};

/// The factor that names where a game's server runs: [`BASELINE`], [`CONTROL`], `thread`, `process` or `async`.
pub const HOSTING: &str = "hosting";

/// The level of [`HOSTING`] without a server.
pub const BASELINE: &str = "baseline";

/// The level of [`HOSTING`] that is the baseline once more: what differs between the two is noise (A/A).
pub const CONTROL: &str = "control";

/// The factor that names where frames go, where that is not into memory: [`WINDOW`].
pub const DISPLAY: &str = "display";

/// The level of [`DISPLAY`] at which they go into a window.
pub const WINDOW: &str = "window";

/// How much time a run takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Profile {
    /// All experiments in three minutes, with short trials.
    Quick,
    /// Trials as long as the original paper's, and more blocks: hours.
    Paper,
}

/// What an experiment wants done.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// How many blocks.
    pub blocks: u32,
    /// The arms of a block.
    pub arms: Vec<PlannedArm>,
}

/// An arm and its times.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PlannedArm {
    /// The arm.
    pub arm: Arm,
    /// The warm-up, in milliseconds.
    pub warmup_ms: u64,
    /// The measured span, in milliseconds; for trials that end with an event, about how long it takes.
    pub measure_ms: u64,
    /// About how long starting and stopping takes, in milliseconds, for the time left.
    pub overhead_ms: u64,
}

/// What a trial is given.
#[derive(Clone, Debug)]
pub struct Bench {
    /// The node program.
    pub node_program: PathBuf,
    /// An empty folder for the trial's processes; removed after it. Its file system is that of the results.
    pub folder: PathBuf,
    /// What everything random in the trial is drawn from.
    pub seed: u64,
    /// The X display of its windows; `None` for the desktop's, if there is one.
    pub display: Option<String>,
}

/// What a trial measured.
#[derive(Clone, Debug, Default)]
pub struct Measured {
    /// Numbers by name, units last.
    pub metrics: BTreeMap<String, f64>,
    /// Histograms by name, of nanoseconds.
    pub histograms: BTreeMap<String, Histogram<u64>>,
    /// Series by name: the columns' names and the rows.
    pub series: BTreeMap<String, Series>,
    /// What each process used.
    pub costs: Vec<Cost>,
    /// What the judges said; `None` when there were no commands.
    pub verdict: Option<String>,
}

/// Why a trial was not done, and with the machine as it is would not be the next time either. As an error of
/// [`Experiment::run`] it leaves the trial out, which is no failure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftOut(pub String);

/// A table of numbers over time or something like it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Series {
    /// The columns' names, units last.
    pub columns: Vec<String>,
    /// The rows.
    pub rows: Vec<Vec<f64>>,
}

/// The future of a trial.
pub type Running<'a> = Pin<Box<dyn Future<Output = anyhow::Result<Measured>> + 'a>>;

/// An experiment.
pub trait Experiment: std::fmt::Debug {
    /// Its number.
    fn id(&self) -> ExperimentId;

    /// What it asks, as a sentence.
    fn question(&self) -> &'static str;

    /// Its blocks and arms.
    fn plan(&self, profile: Profile) -> Plan;

    /// One trial of an arm of the plan. Dropping the future ends its processes. An error is a failure, unless it is
    /// [`LeftOut`].
    fn run<'a>(&'a self, arm: &'a PlannedArm, bench: &'a Bench) -> Running<'a>;
}

impl fmt::Display for LeftOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl std::error::Error for LeftOut {}

/// All experiments, by their numbers.
pub fn all() -> Vec<Box<dyn Experiment>> {
    vec![
        Box::new(e0::E0),
        Box::new(e1::E1),
        Box::new(e2::E2),
        Box::new(e3::E3),
        Box::new(e4::E4),
        Box::new(e5::E5),
        Box::new(e6::E6),
        Box::new(e7::E7),
        Box::new(e8::E8),
        Box::new(e9::E9),
        Box::new(e10::E10),
        Box::new(e11::E11),
        Box::new(e12::E12),
    ]
}
