//! E6: how much load three nodes take before latency climbs.
//!
//! An open loop at each rate: what a saturated cluster cannot take in time waits, and its wait counts.

use super::arms::{Times, cross, level};
use super::{Bench, Experiment, Plan, PlannedArm, Profile, Running, commit};
use crate::cluster::{Cluster, Design};
use crate::suite::trial::{Arm, ExperimentId};

const OFFERED: &str = "offered_per_s";

/// Enough for every rate, as long as a command takes less than some milliseconds.
const CLIENTS: usize = 64;

/// The experiment.
#[derive(Debug)]
pub(super) struct E6;

impl Experiment for E6 {
    fn id(&self) -> ExperimentId {
        ExperimentId(6)
    }

    fn question(&self) -> &'static str {
        "How much load does a cluster of three take before latency climbs?"
    }

    fn plan(&self, profile: Profile) -> Plan {
        let quick = [1_000, 4_000, 12_000, 24_000, 48_000];
        let paper = [250, 500, 1_000, 2_000, 4_000, 8_000, 12_000, 16_000, 24_000, 32_000, 48_000];
        let (blocks, rates, times) = match profile {
            Profile::Quick => (6, &quick[..], Times { warmup_ms: 30, measure_ms: 130, overhead_ms: 130 }),
            Profile::Paper => (12, &paper[..], Times { warmup_ms: 1_000, measure_ms: 10_000, overhead_ms: 10_000 }),
        };
        Plan { blocks, arms: times.plan_all(cross(&[Arm::default()], OFFERED, rates)) }
    }

    fn run<'a>(&'a self, arm: &'a PlannedArm, bench: &'a Bench) -> Running<'a> {
        Box::pin(async move {
            let mut cluster = Cluster::start(bench, Design::default()).await?;
            let options = commit::options(Some(level(&arm.arm, OFFERED)?), CLIENTS, bench.seed);
            commit::trial(&mut cluster, options, arm).await
        })
    }
}
