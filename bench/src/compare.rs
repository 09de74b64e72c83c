//! Whether one run is faster or slower than another, by the main metrics of its experiments.
//!
//! Trials of two runs share no blocks, so they are compared as unpaired samples; but where an arm has a baseline, it is
//! its ratio to the baseline of its block that is compared, because a machine that is slower on another day is slower
//! for both. A difference is claimed only if its interval, corrected for the number of comparisons (Holm), clears the
//! A/A band: what two arms that do the same differ by. Everything else is *no evidence*, with the smallest effect that
//! would have been seen.
//!
//! How much is found was simulated with the arms of E1 and normal noise: at 1 % per trial and six blocks a slowdown by
//! 5 % of every game with a server is found in 99 of 100 runs, and in 80 of 100 arms; at 2 % per trial in 20 of 100 runs
//! with six blocks and in 90 with twelve. Of 750 pairs of runs without a difference none had a claim: the band makes the
//! answer more cautious than the correction alone.
//!
//! Invariants: a run compared with itself gives no evidence; the same runs give the same answer; what one of the runs
//! lacks is counted, never guessed.
//!
//! Deliberately absent: a guess at the cause. Two runs are two visits to a machine, and what changed between them need
//! not be the code; the notes say what points that way.

mod notes;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use serde::Serialize;

use crate::analysis::evidence::{Evidence, experiments_in};
use crate::analysis::metric::{Better, MainMetric, main_metrics};
use crate::experiments::{BASELINE, CONTROL, HOSTING};
use crate::stats::{LEVEL, POWER, Unpaired, holm, median, paired_ratio};
use crate::suite::run::Run;
use crate::suite::trial::{Arm, ExperimentId};

/// Decides the resamples of every comparison.
const SEED: u64 = 0x00C0_FFEE;

/// One run compared with another.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Comparison {
    /// What was compared, in the order of the experiments.
    pub compared: Vec<Compared>,
    /// What could not be: arms that only one of the runs has, or with too few trials.
    pub skipped: Vec<Skipped>,
    /// What a reader must know before believing a word of it.
    pub notes: Vec<String>,
}

/// One metric of one arm.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Compared {
    /// The experiment.
    pub experiment: ExperimentId,
    /// The arm.
    pub arm: Arm,
    /// The metric.
    pub metric: String,
    /// What the metric is taken in.
    pub scale: Scale,
    /// Which way is better.
    pub better: Better,
    /// The median of the first run's trials, in that scale.
    pub a: f64,
    /// The median of the second run's.
    pub b: f64,
    /// How many trials, in the first and in the second.
    pub n: (usize, usize),
    /// The typical ratio of the second's trials to the first's.
    pub ratio: f64,
    /// The interval of the ratio at `level`.
    pub interval: (f64, f64),
    /// The level that the correction asks of this comparison.
    pub level: f64,
    /// The ratio that doing the same may come to (A/A); 1 where the experiment has no such control.
    pub band: f64,
    /// What may be claimed.
    pub verdict: Verdict,
    /// The smallest ratio above one (or its inverse) that would have been told from the band four times in five.
    pub smallest_effect: f64,
}

/// What a metric is taken in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Scale {
    /// Its own unit.
    Absolute,
    /// The game without a server in the same block: what the machine does to both does not show.
    ToBaseline,
}

/// What may be claimed of a difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The second run is better.
    Improvement,
    /// The second run is worse.
    Regression,
    /// It cannot be told from noise.
    NoEvidence,
}

/// A metric of an arm that was not compared.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Skipped {
    /// The experiment.
    pub experiment: ExperimentId,
    /// The arm.
    pub arm: Arm,
    /// The metric.
    pub metric: String,
    /// Why not.
    pub why: String,
}

/// What is compared.
struct Measure {
    experiment: ExperimentId,
    arm: Arm,
    metric: MainMetric,
    scale: Scale,
}

/// A comparison before the correction, which needs all of them.
struct Raw {
    one: Measure,
    medians: (f64, f64),
    unpaired: Unpaired,
    band: f64,
}

impl Comparison {
    /// How many comparisons came to this verdict.
    pub fn count(&self, verdict: Verdict) -> usize {
        self.compared.iter().filter(|one| one.verdict == verdict).count()
    }
}

/// Compares run `b` with run `a`.
pub fn compare(a: &Run, b: &Run) -> Comparison {
    let (mut raw, mut skipped) = (Vec::new(), Vec::new());
    let experiments: BTreeSet<ExperimentId> = experiments_in(a).union(&experiments_in(b)).copied().collect();
    for experiment in experiments {
        let sides = (Evidence::of(a, experiment), Evidence::of(b, experiment));
        let arms: BTreeSet<&Arm> = sides.0.arms().union(&sides.1.arms()).copied().collect();
        for metric in main_metrics(experiment) {
            let band = band(&sides, metric.name);
            // The control is the baseline: it says how wide the band is, and nothing else.
            for arm in arms.iter().filter(|arm| arm.level(HOSTING) != Some(CONTROL)) {
                let one = Measure { experiment, arm: (*arm).clone(), metric: *metric, scale: scale(&sides, arm) };
                match one.unpaired(&sides) {
                    Ok((medians, unpaired)) => raw.push(Raw { one, medians, unpaired, band }),
                    Err(why) => {
                        skipped.push(Skipped { experiment, arm: (*arm).clone(), metric: metric.name.to_owned(), why });
                    }
                }
            }
        }
    }
    let compared = corrected(raw);
    let notes = notes::notes(a, b, &compared);
    Comparison { compared, skipped, notes }
}

/// An arm is taken relative to its baseline where both runs have one.
fn scale((a, b): &(Evidence<'_>, Evidence<'_>), arm: &Arm) -> Scale {
    let is_baseline = arm.level(HOSTING) == Some(BASELINE);
    if !is_baseline && a.baseline(arm).is_some() && b.baseline(arm).is_some() {
        Scale::ToBaseline
    } else {
        Scale::Absolute
    }
}

impl Measure {
    /// The medians of both sides, and how they compare.
    fn unpaired(&self, (a, b): &(Evidence<'_>, Evidence<'_>)) -> Result<((f64, f64), Unpaired), String> {
        let (base, other) = (self.sample(a), self.sample(b));
        let (Some(middle_a), Some(middle_b)) = (median(&base), median(&other)) else {
            let lacking = match (base.is_empty(), other.is_empty()) {
                (true, true) => "neither run has",
                (true, false) => "the first run lacks",
                _ => "the second run lacks",
            };
            return Err(format!("{lacking} it"));
        };
        let unpaired = Unpaired::of(&base, &other, SEED).ok_or_else(|| {
            format!("{} and {} trials that differ too little or are too few to compare", base.len(), other.len())
        })?;
        Ok(((middle_a, middle_b), unpaired))
    }

    fn sample(&self, side: &Evidence<'_>) -> Vec<f64> {
        let name = self.metric.name;
        match (self.scale, side.baseline(&self.arm)) {
            (Scale::Absolute, _) | (Scale::ToBaseline, None) => side.values(&self.arm, name),
            (Scale::ToBaseline, Some(baseline)) => {
                let pairs = side.pairs(baseline, &self.arm, name).into_iter();
                pairs.filter(|(base, _)| *base > 0.0).map(|(base, value)| value / base).collect()
            }
        }
    }
}

/// How far the median A/A ratio of both runs may be from one, by its interval; 1 without a control or an interval.
fn band((a, b): &(Evidence<'_>, Evidence<'_>), metric: &str) -> f64 {
    let mut pairs = Vec::new();
    for side in [a, b] {
        for arm in side.arms() {
            if arm.level(HOSTING) == Some(CONTROL) {
                let baseline = side.baseline(arm);
                pairs.extend(baseline.map(|baseline| side.pairs(baseline, arm, metric)).unwrap_or_default());
            }
        }
    }
    let interval = paired_ratio(&pairs).and_then(|ratio| ratio.interval);
    interval.map_or(1.0, |interval| interval.high.max(1.0 / interval.low).max(1.0))
}

fn corrected(raw: Vec<Raw>) -> Vec<Compared> {
    let chances: Vec<f64> = raw.iter().map(|one| one.unpaired.chance_beyond(one.band)).collect();
    let corrections = holm(&chances);
    // What would have been seen is asked of the strictest level: that of a lone difference among all.
    let strictest = 1.0 - (1.0 - LEVEL) / raw.len().max(1) as f64;
    let compared = raw.into_iter().zip(corrections).map(|(Raw { one, medians, unpaired, band }, correction)| {
        let interval = unpaired.interval(correction.level);
        let ratio = unpaired.ratio();
        let is_better = (ratio > 1.0) == (one.metric.better == Better::Higher);
        let verdict = match (correction.is_claimed(), is_better) {
            (false, _) => Verdict::NoEvidence,
            (true, true) => Verdict::Improvement,
            (true, false) => Verdict::Regression,
        };
        Compared {
            experiment: one.experiment,
            arm: one.arm,
            metric: one.metric.name.to_owned(),
            scale: one.scale,
            better: one.metric.better,
            a: medians.0,
            b: medians.1,
            n: unpaired.n(),
            ratio,
            interval: (interval.low, interval.high),
            level: correction.level,
            band,
            verdict,
            smallest_effect: unpaired.smallest_effect(strictest, POWER, band),
        }
    });
    compared.collect()
}
