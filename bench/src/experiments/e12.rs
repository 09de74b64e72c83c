//! E12: three nodes as processes, as threads of one process, and as tasks of one runtime.
//!
//! Asked is how much each way carries and at what cost, so this loop is a closed one: sixteen clients, each of which
//! sends its next command when the last is answered. Latency is that of a busy cluster.

use raftian_rpc::assignment::Placement;

use super::arms::{Times, cross};
use super::{Bench, Experiment, Plan, PlannedArm, Profile, Running, commit};
use crate::cluster::{Cluster, Design};
use crate::suite::trial::{Arm, ExperimentId};

const PLACEMENT: &str = "placement";

/// The clients.
const CLIENTS: usize = 16;

/// The experiment.
#[derive(Debug)]
pub(super) struct E12;

impl Experiment for E12 {
    fn id(&self) -> ExperimentId {
        ExperimentId(12)
    }

    fn question(&self) -> &'static str {
        "What does it change whether nodes are processes, threads or tasks?"
    }

    fn plan(&self, profile: Profile) -> Plan {
        let (blocks, times) = match profile {
            Profile::Quick => (6, Times { warmup_ms: 30, measure_ms: 130, overhead_ms: 105 }),
            Profile::Paper => (12, Times { warmup_ms: 1_000, measure_ms: 10_000, overhead_ms: 4_000 }),
        };
        Plan { blocks, arms: times.plan_all(cross(&[Arm::default()], PLACEMENT, ["processes", "threads", "tasks"])) }
    }

    fn run<'a>(&'a self, arm: &'a PlannedArm, bench: &'a Bench) -> Running<'a> {
        Box::pin(async move {
            let placement = match arm.arm.level(PLACEMENT) {
                Some("processes") => None,
                Some("threads") => Some(Placement::Threads),
                Some("tasks") => Some(Placement::Tasks),
                _ => anyhow::bail!("the arm `{}` names no placement", arm.arm),
            };
            let mut cluster = Cluster::start(bench, Design { placement, ..Design::default() }).await?;
            let options = commit::options(None, CLIENTS, bench.seed);
            commit::trial(&mut cluster, options, arm).await
        })
    }
}
