//! E10: what it all costs in CPU time and memory, read off the trials of every experiment.
//!
//! Invariant: CPU time is divided by the time it was measured over; a process that was not measured is not shown as
//! zero.

use std::collections::{BTreeMap, BTreeSet};

use super::Part;
use super::arms::arm_words;
use super::draw::{axis, cell, figure, table};
use super::evidence::{Evidence, experiments_in, leading_number};
use super::finding::{Figure, Plot, Scale, Stacks, Table};
use super::hosting;
use super::words::{capitalised, number};
use crate::experiments::HOSTING;
use crate::stats::{Estimated, median};
use crate::suite::run::Run;
use crate::suite::trial::{Arm, ExperimentId, Trial};

/// What it asks, where a run has no plan of its own for it.
pub(super) const QUESTION: &str = "What does it all cost in CPU time and memory?";

/// What one kind of process used in the trials of an arm.
struct Usage {
    /// CPU time per second: the share of one core.
    cores: f64,
    memory_mib: f64,
}

/// What it finds.
pub(super) fn find(run: &Run) -> Part {
    let mut part = Part { takeaway: takeaway(run), ..Part::default() };
    let game = ExperimentId(1);
    part.figures.extend(stacks(run, game, "e10-game", "Beside a game"));
    let others: Vec<ExperimentId> =
        [10, 12, 7, 6, 5].map(ExperimentId).into_iter().filter(|id| !Evidence::of(run, *id).good.is_empty()).collect();
    if let Some(busiest) = others.first() {
        part.figures.extend(stacks(run, *busiest, "e10-cluster", "Of a cluster"));
    }
    part.tables.extend(cost_table(run));
    part
}

const CAP: &str = "cap";

/// The node with the game, where its server is a thread.
const GAME: &str = "n1";

/// Processes below this share of the tallest bar are in the table only.
const VISIBLE: f64 = 0.01;

/// CPU time per 1000 commits, in seconds, of all servers.
const PER_1000: &str = "cpu_s_per_1000_commits";

fn takeaway(run: &Run) -> Option<String> {
    let mut phrases = Vec::new();
    let per_1000 = |id: u8| Estimated::median_of(&Evidence::of(run, ExperimentId(id)).all_values(PER_1000));
    if let Some((id, estimate)) = [5, 6, 12, 7, 10].into_iter().find_map(|id| Some((id, per_1000(id)?))) {
        phrases.push(format!(
            "a thousand commits cost the servers {} s of CPU time (median of {} trials of E{id})",
            number(estimate.value),
            estimate.n
        ));
    }
    let games = Evidence::of(run, ExperimentId(1));
    let memory: Vec<f64> = games
        .good
        .iter()
        .filter(|trial| trial.arm.level(HOSTING) == Some("thread"))
        .filter_map(|trial| trial.costs.iter().find(|cost| cost.process == GAME).map(|cost| cost.memory_bytes))
        .map(|bytes| bytes as f64 / f64::from(1 << 20))
        .collect();
    phrases.extend(
        median(&memory).map(|mib| format!("a game with a server in a thread takes {} MiB of memory", number(mib))),
    );
    let sentence = phrases.join("; ");
    (!sentence.is_empty()).then(|| format!("{}.", capitalised(&sentence)))
}

/// The median usage per kind of process over the trials of an arm.
fn usage(trials: &[&Trial]) -> BTreeMap<String, Usage> {
    let processes: BTreeSet<&str> =
        trials.iter().flat_map(|trial| &trial.costs).map(|cost| cost.process.as_str()).collect();
    let of = |process: &str| {
        let costs = trials.iter().filter(|trial| trial.measured_ms > 0).flat_map(|trial| {
            let mine = trial.costs.iter().filter(|cost| cost.process == process);
            mine.map(|cost| (cost.cpu_ms / trial.measured_ms as f64, cost.memory_bytes as f64 / f64::from(1 << 20)))
        });
        let (cores, memory): (Vec<f64>, Vec<f64>) = costs.unzip();
        Some(Usage { cores: median(&cores)?, memory_mib: median(&memory)? })
    };
    processes.into_iter().filter_map(|process| Some((process.to_owned(), of(process)?))).collect()
}

fn by_arm<'a>(evidence: &Evidence<'a>) -> Vec<(&'a Arm, BTreeMap<String, Usage>)> {
    let arms = evidence.arms().into_iter().map(|arm| {
        let trials: Vec<&Trial> = evidence.good.iter().copied().filter(|trial| trial.arm == *arm).collect();
        (arm, usage(&trials))
    });
    let mut found: Vec<_> = arms.filter(|(_, usage)| !usage.is_empty()).collect();
    found.sort_by_key(|(arm, _)| {
        let place = hosting::ORDER.iter().position(|name| arm.level(HOSTING) == Some(name));
        let levels = arm.levels().filter(|(factor, _)| *factor != HOSTING);
        let by_size = levels.map(|(factor, level)| {
            let size = leading_number(level).map_or(u64::MAX, |number| number as u64);
            (factor.to_owned(), size, level.to_owned())
        });
        (by_size.collect::<Vec<_>>(), place)
    });
    found
}

fn stacks(run: &Run, experiment: ExperimentId, name: &str, whose: &str) -> Option<Figure> {
    let evidence = Evidence::of(run, experiment);
    // Games with a frame cap wait most of the time: what they cost is in the table.
    let evidence = if evidence.levels(CAP).contains(&"none") { evidence.at([(CAP, "none")]) } else { evidence };
    let bars = by_arm(&evidence);
    let mut parts: Vec<String> = bars.iter().flat_map(|(_, usage)| usage.keys().cloned()).collect();
    parts.sort();
    parts.dedup();
    let cores = |usage: &BTreeMap<String, Usage>, part: &str| usage.get(part).map_or(0.0, |usage| usage.cores);
    let total = |usage: &BTreeMap<String, Usage>| usage.values().map(|usage| usage.cores).sum::<f64>();
    let tallest = bars.iter().map(|(_, usage)| total(usage)).max_by(f64::total_cmp)?;
    parts.retain(|part| bars.iter().any(|(_, usage)| cores(usage, part) >= VISIBLE * tallest));
    let heights =
        |usage: &BTreeMap<String, Usage>| -> Vec<f64> { parts.iter().map(|part| cores(usage, part)).collect() };
    let drawn: Vec<(String, Vec<f64>)> = bars.iter().map(|(arm, usage)| (arm_words(arm), heights(usage))).collect();
    let most = drawn.iter().map(|(label, parts)| (label, parts.iter().sum::<f64>())).max_by(|a, b| a.1.total_cmp(&b.1));
    let (busiest, most) = most?;
    let title = format!("{whose} at most {} cores are busy ({busiest})", number(most));
    let n = evidence.blocks();
    figure(
        name,
        Some(Plot::Stacks(Stacks { y: axis("CPU time per second, cores", Scale::FromZero), parts, bars: drawn })),
        title,
        format!("median over trials of each process's CPU time during the measured span; {experiment}, {n} blocks"),
        "CPU time by process, as the number of cores it keeps busy; processes that would not be seen are in the table.",
    )
}

fn cost_table(run: &Run) -> Option<Table> {
    let mut rows = Vec::new();
    for experiment in experiments_in(run) {
        let evidence = Evidence::of(run, experiment);
        for (arm, usage) in by_arm(&evidence) {
            let list = |of: fn(&Usage) -> f64| {
                let cells: Vec<String> =
                    usage.iter().map(|(name, usage)| format!("{name} {}", number(of(usage)))).collect();
                cells.join(", ")
            };
            rows.push(vec![
                experiment.to_string(),
                arm_words(arm),
                list(|usage| usage.cores),
                list(|usage| usage.memory_mib),
                cell(evidence.estimate(arm, PER_1000), number),
            ]);
        }
    }
    let columns = ["experiment", "arm", "cores busy", "memory, MiB", "CPU s per 1000 commits"];
    table("Cost of every arm: medians over trials", &columns, rows)
}
