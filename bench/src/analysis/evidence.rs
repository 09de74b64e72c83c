//! The trials of one experiment that count, and the numbers in them by arm and block.
//!
//! Invariants: a trial that failed, or whose verdict is not *valid*, counts for nothing and is named; a block that was
//! repeated counts once, by its last attempt. Pairs are of the same block. Only numbers that are finite come out.

use std::collections::{BTreeMap, BTreeSet};

use hdrhistogram::Histogram;

use crate::experiments::{BASELINE, HOSTING, Series};
use crate::stats::{Estimated, merged, paired_ratio};
use crate::suite::run::Run;
use crate::suite::trial::{Arm, ExperimentId, Trial};

/// What a history is called that the judges found nothing against.
const VALID: &str = "valid";

/// The trials of one experiment.
#[derive(Clone, Debug)]
pub(crate) struct Evidence<'a> {
    run: &'a Run,
    /// Those that count, in the order of block and position.
    pub(crate) good: Vec<&'a Trial>,
    /// Those that failed.
    pub(crate) failed: Vec<&'a Trial>,
    /// Those that were left out.
    pub(crate) left_out: Vec<&'a Trial>,
    /// Those whose history is not valid.
    pub(crate) invalid: Vec<&'a Trial>,
}

/// The experiments that have trials in a run, good or bad.
pub(crate) fn experiments_in(run: &Run) -> BTreeSet<ExperimentId> {
    run.all().iter().map(|trial| trial.experiment).collect()
}

impl<'a> Evidence<'a> {
    /// The trials of an experiment.
    pub(crate) fn of(run: &'a Run, experiment: ExperimentId) -> Evidence<'a> {
        let is_valid = |trial: &&Trial| trial.verdict.as_deref().is_none_or(|verdict| verdict == VALID);
        let (mut good, invalid): (Vec<&Trial>, Vec<&Trial>) = run.trials(experiment).partition(is_valid);
        good.sort_by_key(|trial| (trial.block, trial.position));
        let (failed, left_out) = (run.failed(experiment).collect(), run.left_out(experiment).collect());
        Evidence { run, good, failed, left_out, invalid }
    }

    /// This evidence without the trials that `keep` refuses.
    pub(crate) fn only(&self, keep: impl Fn(&Arm) -> bool) -> Evidence<'a> {
        Evidence {
            run: self.run,
            good: self.good.iter().copied().filter(|trial| keep(&trial.arm)).collect(),
            failed: Vec::new(),
            left_out: Vec::new(),
            invalid: Vec::new(),
        }
    }

    /// The trials at these levels.
    pub(crate) fn at<const N: usize>(&self, levels: [(&str, &str); N]) -> Evidence<'a> {
        self.only(|arm| levels.iter().all(|(factor, level)| arm.level(factor) == Some(level)))
    }

    /// The arms that have a trial that counts.
    pub(crate) fn arms(&self) -> BTreeSet<&'a Arm> {
        self.good.iter().map(|trial| &trial.arm).collect()
    }

    /// The levels of a factor: numbers in their order, then words in theirs.
    pub(crate) fn levels(&self, factor: &str) -> Vec<&'a str> {
        let mut levels: Vec<&str> = self.good.iter().filter_map(|trial| trial.arm.level(factor)).collect();
        levels.sort_by(|a, b| {
            let leading = |level: &str| leading_number(level).unwrap_or(f64::INFINITY);
            leading(a).total_cmp(&leading(b)).then_with(|| a.cmp(b))
        });
        levels.dedup();
        levels
    }

    /// The levels of [`HOSTING`], in the order of the reports.
    pub(crate) fn hostings(&self) -> Vec<&'a str> {
        let mut hostings = self.levels(HOSTING);
        hostings.sort_by_key(|hosting| super::hosting::ORDER.iter().position(|known| known == hosting));
        hostings
    }

    /// The arm without a server that an arm is measured against: of the same levels as far as it has the factors.
    pub(crate) fn baseline(&self, arm: &Arm) -> Option<&'a Arm> {
        let fits = |base: &Arm| {
            base.levels().all(|(factor, level)| match factor {
                HOSTING => level == BASELINE,
                _ => arm.level(factor) == Some(level),
            })
        };
        self.arms().into_iter().find(|base| base.level(HOSTING).is_some() && fits(base))
    }

    /// How many blocks have a trial that counts.
    pub(crate) fn blocks(&self) -> usize {
        self.good.iter().map(|trial| trial.block).collect::<BTreeSet<_>>().len()
    }

    /// A metric of an arm in the order of the blocks.
    pub(crate) fn values(&self, arm: &Arm, metric: &str) -> Vec<f64> {
        self.by_block(arm, metric).into_values().collect()
    }

    /// A metric in every trial that has it, whatever its arm.
    pub(crate) fn all_values(&self, metric: &str) -> Vec<f64> {
        self.good.iter().filter_map(|trial| finite(trial, metric)).collect()
    }

    /// The median of a metric over the trials of an arm.
    pub(crate) fn estimate(&self, arm: &Arm, metric: &str) -> Option<Estimated> {
        Estimated::median_of(&self.values(arm, metric))
    }

    /// The values of a metric in two arms, where both have it in the same block.
    pub(crate) fn pairs(&self, base: &Arm, other: &Arm, metric: &str) -> Vec<(f64, f64)> {
        let (base, other) = (self.by_block(base, metric), self.by_block(other, metric));
        base.into_iter().filter_map(|(block, base)| Some((base, *other.get(&block)?))).collect()
    }

    /// The median ratio of `other` to `base` within blocks.
    pub(crate) fn ratio(&self, base: &Arm, other: &Arm, metric: &str) -> Option<Estimated> {
        paired_ratio(&self.pairs(base, other, metric))
    }

    /// The histograms of an arm's trials in one.
    pub(crate) fn histogram(&self, arm: &Arm, name: &str) -> Option<Histogram<u64>> {
        let trials = self.good.iter().filter(|trial| trial.arm == *arm);
        let histograms: Vec<_> = trials.filter_map(|trial| self.run.histogram(trial, name)).collect();
        merged(&histograms)
    }

    /// A series of a trial; `None` if there is none, or a number in it is not finite.
    pub(crate) fn series(&self, trial: &Trial, name: &str) -> Option<&'a Series> {
        let series = self.run.series(trial, name)?;
        series.rows.iter().flatten().all(|number| number.is_finite()).then_some(series)
    }

    fn by_block(&self, arm: &Arm, metric: &str) -> BTreeMap<u32, f64> {
        let trials = self.good.iter().filter(|trial| trial.arm == *arm);
        trials.filter_map(|trial| Some((trial.block, finite(trial, metric)?))).collect()
    }
}

/// The number at the front of a level: 150 of `150-300`.
pub(crate) fn leading_number(level: &str) -> Option<f64> {
    let end = level.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(level.len());
    level[..end].parse().ok()
}

fn finite(trial: &Trial, metric: &str) -> Option<f64> {
    trial.metrics.get(metric).copied().filter(|value| value.is_finite())
}
