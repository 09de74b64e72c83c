//! E5: how long a commit takes, with and without syncs, by the size of its payload.
//!
//! Three nodes; 200 commands per second in an open loop. The payload is the op of a command as JSON, filled up with
//! white space to the size: what is moved and kept grows, and what the game does with it does not.

use anyhow::ensure;
use raftian_rpc::assignment::{Durability, Trim};

use super::arms::{Times, cross, is_on, level};
use super::disk::is_in_memory;
use super::{Bench, Experiment, Plan, PlannedArm, Profile, Running, commit};
use crate::cluster::{Cluster, Design};
use crate::load::LoadOptions;

use crate::suite::trial::{Arm, ExperimentId};

const FSYNC: &str = "fsync";
const PAYLOAD: &str = "payload_bytes";

/// The offered load, and the clients that carry it.
const RATE_PER_S: f64 = 200.0;
const CLIENTS: usize = 8;

/// The experiment.
#[derive(Debug)]
pub(super) struct E5;

impl Experiment for E5 {
    fn id(&self) -> ExperimentId {
        ExperimentId(5)
    }

    fn question(&self) -> &'static str {
        "How long does a commit take, with and without syncs, by the size of its payload?"
    }

    fn plan(&self, profile: Profile) -> Plan {
        let (blocks, times) = match profile {
            Profile::Quick => (6, Times { warmup_ms: 30, measure_ms: 130, overhead_ms: 90 }),
            Profile::Paper => (12, Times { warmup_ms: 1_000, measure_ms: 20_000, overhead_ms: 3_000 }),
        };
        let payloads = cross(&[Arm::default()], PAYLOAD, [16, 1_024, 65_536]);
        Plan { blocks, arms: times.plan_all(cross(&payloads, FSYNC, ["on", "off"])) }
    }

    fn run<'a>(&'a self, arm: &'a PlannedArm, bench: &'a Bench) -> Running<'a> {
        Box::pin(async move {
            let syncs = is_on(&arm.arm, FSYNC)?;
            ensure!(
                !syncs || !is_in_memory(&bench.folder)?,
                "the results lie in memory, where a sync means nothing; put them on a disk (`--out`)"
            );
            let durability = if syncs { Durability::Synced } else { Durability::Unsynced };
            let trim = Trim { durability, ..Trim::default() };
            let mut cluster = Cluster::start(bench, Design { trim, ..Design::default() }).await?;
            let options = commit::options(Some(RATE_PER_S), CLIENTS, bench.seed);
            let options = LoadOptions { op_bytes: level(&arm.arm, PAYLOAD)?, ..options };
            commit::trial(&mut cluster, options, arm).await
        })
    }
}
