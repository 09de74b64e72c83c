//! What a reader must know of an experiment's trials before believing what they say.
//!
//! Invariant: nothing that was left out is left unsaid.

use std::collections::{BTreeMap, BTreeSet};

use super::arms::arm_words;
use super::evidence::Evidence;
use super::metric::main_metrics;
use super::words::{count, percent, share, time_us};
use crate::stats::{drift, median};
use crate::suite::trial::{ExperimentId, Trial};

/// The fewest blocks that give a median an interval of 95 %.
const FEWEST_BLOCKS: usize = 6;

/// Steal above this share of the CPU time (one percent) is worth a word.
const STEAL: f64 = 0.01;

/// A drift is worth a word when chance gives one like it this rarely, and it changed the metric by this share.
const DRIFT_CHANCE: f64 = 0.01;
const DRIFT_SHARE: f64 = 0.02;

/// Send lag is worth a word above this share of the latency.
const SEND_LAG_SHARE: f64 = 0.1;

/// At most this many trials are named one by one.
const NAMED: usize = 5;

/// All of them, for one experiment.
pub(crate) fn caveats(experiment: ExperimentId, evidence: &Evidence<'_>) -> Vec<String> {
    let mut caveats = Vec::new();
    let is_any_bad = [&evidence.failed, &evidence.left_out, &evidence.invalid].iter().any(|trials| !trials.is_empty());
    match evidence.blocks() {
        0 if is_any_bad => caveats.push("no trial of it counts, so nothing can be concluded".to_owned()),
        blocks @ 1..FEWEST_BLOCKS => caveats.push(format!(
            "{} counted: an interval of 95 % needs {FEWEST_BLOCKS}, so differences are shown and none is claimed",
            count(blocks, "block")
        )),
        // Enough; or none at all, where the trials of others are looked at.
        _ => {}
    }
    caveats.extend(left_out(&evidence.left_out));
    caveats.extend(named(&evidence.failed, "failed (not counted)", |trial| trial.failed.clone()));
    caveats.extend(named(&evidence.invalid, "without a valid history (not counted)", |trial| {
        trial.verdict.as_ref().map(|verdict| format!("verdict {verdict}"))
    }));
    caveats.extend(conditions(&evidence.good));
    caveats.extend(happenings(evidence));
    caveats.extend(drifting(experiment, evidence));
    caveats
}

fn named(trials: &[&Trial], what: &str, why: impl Fn(&Trial) -> Option<String>) -> Option<String> {
    let each: Vec<String> = trials
        .iter()
        .take(NAMED)
        .map(|trial| {
            let why = why(trial).unwrap_or_default();
            format!("{} in block {} ({why})", arm_words(&trial.arm), trial.block)
        })
        .collect();
    let more = trials.len().saturating_sub(NAMED);
    let more = if more > 0 { format!("; and {more} more") } else { String::new() };
    (!each.is_empty()).then(|| format!("{} {what}: {}{more}", count(trials.len(), "trial"), each.join("; ")))
}

/// What was not done: for each reason how often, and in which arms.
fn left_out(trials: &[&Trial]) -> Vec<String> {
    let mut reasons: BTreeMap<&str, (usize, BTreeSet<String>)> = BTreeMap::new();
    for trial in trials {
        let (count, arms) = reasons.entry(trial.left_out.as_deref().unwrap_or_default()).or_default();
        *count += 1;
        arms.insert(arm_words(&trial.arm));
    }
    let said = reasons.into_iter().map(|(why, (n, arms))| {
        let arms: Vec<String> = arms.into_iter().collect();
        format!("{} left out ({}): {why}", count(n, "trial"), arms.join("; "))
    });
    said.collect()
}

/// What happened in trials that count, and touches what they say.
fn happenings(evidence: &Evidence<'_>) -> Vec<String> {
    let mut said = Vec::new();
    for (metric, what, how) in [
        ("commands_unanswered", "command", "counted with the time it was waited for"),
        ("clicks_unanswered", "click", "in no percentile"),
    ] {
        let unanswered: f64 = evidence.all_values(metric).iter().sum();
        if unanswered > 0.0 {
            said.push(format!("{} without an answer, {how}", count(unanswered as usize, what)));
        }
    }
    let elections = evidence.all_values("elections").iter().filter(|elections| **elections > 0.0).count();
    if elections > 0 {
        said.push(format!("there were elections in the measured span of {}", count(elections, "trial")));
    }
    // What was sent late would look fast if latency did not count from the intended send.
    let lag = median(&evidence.all_values("send_lag_us_p50"));
    let commit = median(&evidence.all_values("commit_us_p50"));
    if let (Some(lag), Some(commit)) = (lag, commit)
        && lag > SEND_LAG_SHARE * commit
    {
        said.push(format!(
            "in the median trial commands left {} late, {} of their latency: the load generator is part of it",
            time_us(lag),
            share(lag / commit)
        ));
    }
    said
}

fn conditions(good: &[&Trial]) -> Vec<String> {
    let mut said = Vec::new();
    let busy: BTreeSet<u32> = good.iter().filter(|trial| !trial.conditions.quiet).map(|trial| trial.block).collect();
    if !busy.is_empty() {
        let trials = good.iter().filter(|trial| !trial.conditions.quiet).count();
        said.push(format!(
            "the machine was not quiet before {} of {} (in {}); they are kept",
            trials,
            count(good.len(), "trial"),
            count(busy.len(), "block")
        ));
    }
    let steals: Vec<f64> = good.iter().filter_map(|trial| trial.conditions.steal).collect();
    let worst = steals.iter().copied().max_by(f64::total_cmp).unwrap_or(0.0);
    if worst > STEAL {
        let hit = steals.iter().filter(|steal| **steal > STEAL).count();
        said.push(format!(
            "the hypervisor took more than 1 % of the CPU time during {}, at worst {} %",
            count(hit, "trial"),
            percent(worst)
        ));
    }
    let again = good.iter().filter(|trial| trial.attempt > 0).map(|trial| trial.block).collect::<BTreeSet<_>>().len();
    if again > 0 {
        said.push(format!("{} run again; the last attempt counts, all are kept", count(again, "block")));
    }
    said
}

/// A trend of the main metric over the blocks: each arm relative to its own median, and of these the median per block.
fn drifting(experiment: ExperimentId, evidence: &Evidence<'_>) -> Option<String> {
    let metric = main_metrics(experiment).first()?.name;
    let blocks: BTreeSet<u32> = evidence.good.iter().map(|trial| trial.block).collect();
    let typical: Vec<(_, f64)> = evidence
        .arms()
        .into_iter()
        .filter_map(|arm| Some((arm, median(&evidence.values(arm, metric))?)))
        .filter(|(_, middle)| *middle > 0.0)
        .collect();
    let relative = |block: u32| {
        let trials = evidence.good.iter().filter(|trial| trial.block == block);
        let ratios: Vec<f64> = trials
            .filter_map(|trial| {
                let (_, middle) = typical.iter().find(|(arm, _)| **arm == trial.arm)?;
                Some(trial.metrics.get(metric)? / middle)
            })
            .collect();
        median(&ratios)
    };
    let per_block: Vec<f64> = blocks.into_iter().filter_map(relative).collect();
    let trend = drift(&per_block)?;
    let total = trend.per_step * (per_block.len() - 1) as f64;
    (trend.chance <= DRIFT_CHANCE && total.abs() >= DRIFT_SHARE).then(|| {
        format!(
            "`{metric}` drifted by {} % over the {} (chance alone: p = {:.3}); ratios within blocks are not touched by it, medians are",
            percent(total),
            count(per_block.len(), "block"),
            trend.chance
        )
    })
}
