//! E7: what more servers cost a commit: time, messages, syncs.
//!
//! All nodes share one machine, so more of them also means less of it for each.

use super::arms::{Times, cross, level};
use super::{Bench, Experiment, Plan, PlannedArm, Profile, Running, commit};
use crate::cluster::{Cluster, Design};
use crate::suite::trial::{Arm, ExperimentId};

const NODES: &str = "nodes";

/// The offered load, and the clients that carry it.
const RATE_PER_S: f64 = 200.0;
const CLIENTS: usize = 8;

/// The experiment.
#[derive(Debug)]
pub(super) struct E7;

impl Experiment for E7 {
    fn id(&self) -> ExperimentId {
        ExperimentId(7)
    }

    fn question(&self) -> &'static str {
        "What do more servers cost a commit, in time, messages and syncs?"
    }

    fn plan(&self, profile: Profile) -> Plan {
        let (blocks, times) = match profile {
            Profile::Quick => (6, Times { warmup_ms: 30, measure_ms: 130, overhead_ms: 115 }),
            Profile::Paper => (12, Times { warmup_ms: 1_000, measure_ms: 20_000, overhead_ms: 1_000 }),
        };
        Plan { blocks, arms: times.plan_all(cross(&[Arm::default()], NODES, [1, 3, 5, 7, 9])) }
    }

    fn run<'a>(&'a self, arm: &'a PlannedArm, bench: &'a Bench) -> Running<'a> {
        Box::pin(async move {
            let nodes = level(&arm.arm, NODES)?;
            let mut cluster = Cluster::start(bench, Design { nodes, ..Design::default() }).await?;
            let options = commit::options(Some(RATE_PER_S), CLIENTS, bench.seed);
            commit::trial(&mut cluster, options, arm).await
        })
    }
}
