//! Which trial is done when: randomised complete blocks, the blocks of all experiments in turns.
//!
//! Invariants: same experiments and seed, same schedule. Wherever a run is cut, every experiment has about as many
//! complete blocks as every other.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::experiments::{Experiment, Plan, PlannedArm, Profile};
use crate::suite::trial::ExperimentId;

/// An experiment as it was planned when the run began.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PlannedExperiment {
    /// Its number.
    pub id: ExperimentId,
    /// What it asks.
    pub question: String,
    /// Its blocks and arms.
    pub plan: Plan,
}

/// A block and the order of its arms.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ScheduledBlock {
    /// Of which experiment.
    pub experiment: ExperimentId,
    /// Its number, from 0.
    pub block: u32,
    /// What everything random in its trials is drawn from.
    pub seed: u64,
    /// The arms by their place in the plan, in the order they are run.
    pub order: Vec<usize>,
}

impl PlannedExperiment {
    /// What an experiment plans, with this many blocks if the number is given.
    ///
    /// # Errors
    /// When the plan makes no sense: no blocks, no arms, or an arm twice.
    pub fn of(experiment: &dyn Experiment, profile: Profile, blocks: Option<u32>) -> anyhow::Result<PlannedExperiment> {
        let (id, mut plan) = (experiment.id(), experiment.plan(profile));
        plan.blocks = blocks.unwrap_or(plan.blocks);
        let distinct: BTreeSet<_> = plan.arms.iter().map(|planned| &planned.arm).collect();
        anyhow::ensure!(plan.blocks > 0 && !plan.arms.is_empty(), "{id} plans nothing to do");
        anyhow::ensure!(distinct.len() == plan.arms.len(), "{id} plans an arm twice");
        Ok(PlannedExperiment { id, question: experiment.question().to_owned(), plan })
    }

    /// About how long one of its blocks takes, in milliseconds.
    pub fn block_ms(&self) -> u64 {
        self.plan.arms.iter().map(PlannedArm::total_ms).sum()
    }

    /// About how long all of it takes, in milliseconds.
    pub fn total_ms(&self) -> u64 {
        self.block_ms() * u64::from(self.plan.blocks)
    }
}

impl PlannedArm {
    /// About how long a trial takes, in milliseconds.
    pub fn total_ms(&self) -> u64 {
        self.warmup_ms + self.measure_ms + self.overhead_ms
    }
}

/// The blocks of these experiments in the order they are run: block 0 of each, block 1 of each, and so on, the
/// experiments shuffled in every round and the arms in every block.
pub fn schedule(experiments: &[PlannedExperiment], seed: u64) -> Vec<ScheduledBlock> {
    let rounds = experiments.iter().map(|experiment| experiment.plan.blocks).max().unwrap_or(0);
    let mut all = Vec::new();
    for round in 0..rounds {
        let mut blocks: Vec<ScheduledBlock> = experiments
            .iter()
            .filter(|experiment| round < experiment.plan.blocks)
            .map(|experiment| scheduled(experiment, round, seed))
            .collect();
        fastrand::Rng::with_seed(derive(seed, &format!("round {round}"))).shuffle(&mut blocks);
        all.extend(blocks);
    }
    all
}

fn scheduled(experiment: &PlannedExperiment, block: u32, seed: u64) -> ScheduledBlock {
    let id = experiment.id;
    let mut order: Vec<usize> = (0..experiment.plan.arms.len()).collect();
    fastrand::Rng::with_seed(derive(seed, &format!("order {id} {block}"))).shuffle(&mut order);
    ScheduledBlock { experiment: id, block, seed: derive(seed, &format!("trials {id} {block}")), order }
}

/// A seed of its own for everything that has a name, whatever else is drawn.
fn derive(seed: u64, name: &str) -> u64 {
    let digest = Sha256::digest(format!("{seed} {name}"));
    u64::from_le_bytes(digest[..8].try_into().expect("a digest is longer than eight bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::suite::trial::Arm;

    fn experiment(id: u8, blocks: u32, arms: usize) -> PlannedExperiment {
        let arms = (0..arms)
            .map(|arm| PlannedArm {
                arm: Arm::default().with("arm", arm),
                warmup_ms: 1,
                measure_ms: 10,
                overhead_ms: 100,
            })
            .collect();
        PlannedExperiment { id: ExperimentId(id), question: "?".into(), plan: Plan { blocks, arms } }
    }

    #[test]
    fn the_same_seed_gives_the_same_schedule_and_another_gives_another() {
        let experiments = [experiment(1, 6, 10), experiment(2, 4, 5)];
        assert_eq!(schedule(&experiments, 7), schedule(&experiments, 7));
        assert_ne!(schedule(&experiments, 7), schedule(&experiments, 8));
    }

    #[test]
    fn a_schedule_is_the_same_forever() {
        // Whoever changes how seeds are derived breaks the promise of every seed that was ever printed.
        let blocks = schedule(&[experiment(1, 1, 6), experiment(2, 1, 3)], 1);
        let orders: Vec<_> = blocks.iter().map(|block| (block.experiment.0, block.seed, block.order.clone())).collect();
        let expected =
            [(1, 16_490_194_125_458_868_116, vec![1, 4, 3, 2, 0, 5]), (2, 7_458_906_577_874_409_695, vec![0, 1, 2])];
        assert_eq!(orders, expected);
    }

    #[test]
    fn an_experiment_in_a_block_is_the_same_whatever_runs_beside_it() {
        let alone = schedule(&[experiment(2, 4, 5)], 7);
        let beside: Vec<_> = schedule(&[experiment(1, 6, 10), experiment(2, 4, 5)], 7)
            .into_iter()
            .filter(|block| block.experiment == ExperimentId(2))
            .collect();
        assert_eq!(alone, beside);
    }

    #[test]
    fn blocks_are_complete_and_take_turns() {
        let blocks = schedule(&[experiment(1, 3, 4), experiment(2, 2, 5), experiment(3, 3, 1)], 3);
        let rounds: Vec<u32> = blocks.iter().map(|block| block.block).collect();
        assert_eq!(rounds, [0, 0, 0, 1, 1, 1, 2, 2]);
        for block in &blocks {
            let mut arms = block.order.clone();
            arms.sort_unstable();
            assert_eq!(arms, (0..arms.len()).collect::<Vec<_>>());
        }
        assert_eq!(experiment(1, 3, 4).total_ms(), 3 * 4 * 111);
    }
}
