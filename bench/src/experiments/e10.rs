//! E10: what it all costs in CPU time and memory.
//!
//! Every trial of every experiment says what its processes used. Missing there is only what a cluster costs that nobody
//! asks for anything: three idle nodes, beside the same three under a little load.

use super::arms::{Times, cross, level};
use super::span::Span;
use super::{Bench, Experiment, Measured, Plan, PlannedArm, Profile, Running, commit};
use crate::cluster::{Cluster, Design};
use crate::suite::trial::{Arm, ExperimentId};

const OFFERED: &str = "offered_per_s";

/// The clients that carry the load.
const CLIENTS: usize = 8;

/// The experiment.
#[derive(Debug)]
pub(super) struct E10;

impl Experiment for E10 {
    fn id(&self) -> ExperimentId {
        ExperimentId(10)
    }

    fn question(&self) -> &'static str {
        "What does it all cost in CPU time and memory?"
    }

    fn plan(&self, profile: Profile) -> Plan {
        let (blocks, times) = match profile {
            Profile::Quick => (6, Times { warmup_ms: 20, measure_ms: 150, overhead_ms: 80 }),
            Profile::Paper => (12, Times { warmup_ms: 1_000, measure_ms: 20_000, overhead_ms: 500 }),
        };
        Plan { blocks, arms: times.plan_all(cross(&[Arm::default()], OFFERED, [0, 200])) }
    }

    fn run<'a>(&'a self, arm: &'a PlannedArm, bench: &'a Bench) -> Running<'a> {
        Box::pin(async move {
            let offered_per_s: u32 = level(&arm.arm, OFFERED)?;
            let mut cluster = Cluster::start(bench, Design::default()).await?;
            if offered_per_s == 0 {
                let span = Span::of(arm, || cluster.snapshot()).await;
                cluster.told()?;
                return Ok(Measured { costs: span.costs, ..Measured::default() });
            }
            let options = commit::options(Some(f64::from(offered_per_s)), CLIENTS, bench.seed);
            commit::trial(&mut cluster, options, arm).await
        })
    }
}
