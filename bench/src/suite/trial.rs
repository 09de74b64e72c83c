//! What is kept of a trial: a line of `trials.jsonl`, beside the histograms and series it names.
//!
//! Histograms of one name lie together in `hdr/e1-NAME.hlog`, an HdrHistogram interval log with a line per trial, tagged
//! with the trial's number, in nanoseconds. Series of one name lie together in `series/e1-NAME.csv`, whose first column
//! is the trial's number. So a run of hundreds of trials has a handful of files.
//!
//! Invariants: a trial is written whether it went well or not, and says which; a metric that was not measured is
//! absent, never zero. Units are the last part of a metric's name (`frame_us_p99`).

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// An experiment's number; written `E1`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct ExperimentId(pub u8);

/// A combination of factor levels: `dots=1000 hosting=thread`. Levels are words, so that arms compare and sort.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Arm(BTreeMap<String, String>);

/// One trial.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Trial {
    /// Its place in the run, from 0: what its histograms and series are marked with.
    pub number: u32,
    /// Of which experiment.
    pub experiment: ExperimentId,
    /// Its arm.
    pub arm: Arm,
    /// The block, from 0.
    pub block: u32,
    /// Its place in the order of the block, from 0.
    pub position: u32,
    /// How often the block was run before this; the last attempt counts, all are kept.
    pub attempt: u32,
    /// What everything random in it was drawn from: the same for all arms of a block, so that they meet the same chance.
    pub seed: u64,
    /// When it began, in milliseconds of the Unix epoch.
    pub started_unix_ms: u64,
    /// The warm-up, in milliseconds: measured, kept in series, not counted in metrics.
    pub warmup_ms: u64,
    /// The measured span after it, in milliseconds.
    pub measured_ms: u64,
    /// How busy the machine was around it.
    pub conditions: Conditions,
    /// Numbers by name.
    pub metrics: BTreeMap<String, f64>,
    /// The names of its histograms.
    pub histograms: BTreeSet<String>,
    /// The names of its series.
    pub series: BTreeSet<String>,
    /// What each process used.
    pub costs: Vec<Cost>,
    /// What the judges said of its history; `None` when it had no commands.
    pub verdict: Option<String>,
    /// Why it counts for nothing; `None` for a good one.
    pub failed: Option<String>,
    /// Why it was not done, where that is no failure: the machine lacks something. `None` for every other one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub left_out: Option<String>,
}

/// How busy the machine was during a trial, the trial itself included.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Conditions {
    /// The load average of the last minute at the start.
    pub load_average: Option<f64>,
    /// CPU pressure during the trial: the share of time that some task waited for a CPU (PSI).
    pub cpu_pressure: Option<f64>,
    /// The share of all cores' time that was used by others, just before it began.
    pub foreign_cpu: Option<f64>,
    /// The share of CPU time that the hypervisor took away during it.
    pub steal: Option<f64>,
    /// Whether the quiet gate found the machine quiet: few others before it, little stolen during it.
    pub quiet: bool,
}

/// What one process used during the measured span.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cost {
    /// What it is: `n1`, `n1 game`, `n1 server`, `load`.
    pub process: String,
    /// CPU time, in milliseconds.
    pub cpu_ms: f64,
    /// Resident memory at the end, in bytes.
    pub memory_bytes: u64,
    /// Context switches it asked for (it waited).
    pub voluntary_switches: u64,
    /// Context switches it did not ask for (it was pre-empted).
    pub involuntary_switches: u64,
}

impl Trial {
    /// A trial of an arm that measured nothing yet.
    pub fn new(experiment: ExperimentId, arm: Arm, block: u32, position: u32) -> Trial {
        Trial {
            number: 0,
            experiment,
            arm,
            block,
            position,
            attempt: 0,
            seed: 0,
            started_unix_ms: 0,
            warmup_ms: 0,
            measured_ms: 0,
            conditions: Conditions { quiet: true, ..Conditions::default() },
            metrics: BTreeMap::new(),
            histograms: BTreeSet::new(),
            series: BTreeSet::new(),
            costs: Vec::new(),
            verdict: None,
            failed: None,
            left_out: None,
        }
    }

    /// Whether its block is worth repeating: it failed, or the machine had other things to do.
    pub fn is_bad(&self) -> bool {
        self.failed.is_some() || !self.conditions.quiet
    }
}

impl Arm {
    /// An arm of these factors and levels.
    pub fn of<const N: usize>(levels: [(&str, &str); N]) -> Arm {
        Arm(levels.into_iter().map(|(factor, level)| (factor.to_owned(), level.to_owned())).collect())
    }

    /// This arm with one more factor, or another level of it.
    #[must_use]
    pub fn with(mut self, factor: &str, level: impl fmt::Display) -> Arm {
        self.0.insert(factor.to_owned(), level.to_string());
        self
    }

    /// This arm without a factor: what is left names the comparisons across it.
    #[must_use]
    pub fn without(mut self, factor: &str) -> Arm {
        self.0.remove(factor);
        self
    }

    /// The level of a factor.
    pub fn level(&self, factor: &str) -> Option<&str> {
        self.0.get(factor).map(String::as_str)
    }

    /// Factors and levels in the order of the factors' names.
    pub fn levels(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(factor, level)| (factor.as_str(), level.as_str()))
    }
}

/// `dots=1000 hosting=thread`
impl fmt::Display for Arm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words: Vec<String> = self.levels().map(|(factor, level)| format!("{factor}={level}")).collect();
        f.pad(&words.join(" "))
    }
}

impl fmt::Display for ExperimentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("E{}", self.0))
    }
}

impl FromStr for ExperimentId {
    type Err = String;

    fn from_str(text: &str) -> Result<ExperimentId, String> {
        let number = text.strip_prefix(['E', 'e']).and_then(|digits| digits.parse().ok());
        number.map(ExperimentId).ok_or_else(|| format!("`{text}` is not an experiment; they are written E0, E1, …"))
    }
}

impl TryFrom<String> for ExperimentId {
    type Error = String;

    fn try_from(text: String) -> Result<ExperimentId, String> {
        text.parse()
    }
}

impl From<ExperimentId> for String {
    fn from(id: ExperimentId) -> String {
        id.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arms_say_their_levels_in_the_order_of_the_factors() {
        let arm = Arm::of([("hosting", "thread"), ("dots", "1000")]);
        assert_eq!(arm.to_string(), "dots=1000 hosting=thread");
        assert_eq!(arm.clone().without("hosting"), Arm::of([("dots", "1000")]));
        assert_eq!(arm.with("dots", 10).level("dots"), Some("10"));
    }

    #[test]
    fn experiments_read_as_they_are_written() {
        assert_eq!("E12".parse(), Ok(ExperimentId(12)));
        assert_eq!("e0".parse(), Ok(ExperimentId(0)));
        assert!("12".parse::<ExperimentId>().is_err() && "E".parse::<ExperimentId>().is_err());
    }
}
