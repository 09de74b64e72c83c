//! E8: how long a cluster of five is without a leader after its leader is killed, paused or cut off.
//!
//! The fault comes under load, at a random moment between two heartbeats. What is timed from it on: *detect*, until
//! another node first stands for election (or asks whether it could win one); *elect*, until another node leads; *first
//! commit*, until a command that was sent after the fault is acknowledged; and *client gap*, the longest wait between
//! two acknowledgements around the fault. The first two are what the nodes say, the other two what the clients saw.
//!
//! Afterwards the fault is mended, for the judges want the log of every node.

use std::time::Duration;

use anyhow::Context as _;
use fastrand::Rng;
use raftian_rpc::RoleKind;
use raftian_rpc::clock::monotonic_ns;
use raftian_rpc::control::Timing;
use rustix::process::Signal;

use super::arms::{Times, cross};
use super::{Bench, Experiment, Measured, Plan, PlannedArm, Profile, Running, commit};
use crate::cancel::cancel_pair;
use crate::cluster::{Cluster, Design, first};
use crate::load::{LiveLoad, Load, LoadOptions, Targeting};
use crate::suite::trial::{Arm, ExperimentId};

const FAULT: &str = "fault";
const TIMEOUT: &str = "election_timeout_ms";

/// The nodes.
const NODES: u16 = 5;

/// The offered load, and the clients that carry it.
const RATE_PER_S: f64 = 200.0;
const CLIENTS: usize = 8;

/// How long a client waits for a node before it asks another one.
const ATTEMPT: Duration = Duration::from_millis(50);

/// Longer than any failover; the load is stopped when its work is done.
const LONGEST: Duration = Duration::from_secs(30);

/// The experiment.
#[derive(Debug)]
pub(super) struct E8;

impl Experiment for E8 {
    fn id(&self) -> ExperimentId {
        ExperimentId(8)
    }

    fn question(&self) -> &'static str {
        "How long is a cluster without a leader after it is killed, paused or cut off?"
    }

    fn plan(&self, profile: Profile) -> Plan {
        let (blocks, warmup_ms, time_outs) = match profile {
            Profile::Quick => (6, 30, &["150-300"][..]),
            Profile::Paper => (60, 500, &["75-150", "150-300", "300-600"][..]),
        };
        let times = Times { warmup_ms, measure_ms: 220, overhead_ms: 110 };
        let faults = cross(&[Arm::default()], FAULT, ["kill", "pause", "partition"]);
        Plan { blocks, arms: times.plan_all(cross(&faults, TIMEOUT, time_outs)) }
    }

    fn run<'a>(&'a self, arm: &'a PlannedArm, bench: &'a Bench) -> Running<'a> {
        Box::pin(fail_over(arm, bench))
    }
}

async fn fail_over(arm: &PlannedArm, bench: &Bench) -> anyhow::Result<Measured> {
    let timing = timing(&arm.arm)?;
    let mut cluster = Cluster::start(bench, Design { nodes: NODES, timing, ..Design::default() }).await?;
    let options = LoadOptions {
        duration: LONGEST,
        targets: Targeting::All,
        attempt_timeout: ATTEMPT,
        ..commit::options(Some(RATE_PER_S), CLIENTS, bench.seed)
    };
    let load = Load::prepare(cluster.source(), options, None)?;
    let live = load.live();
    let (_canceller, never) = cancel_pair();
    let fault = async {
        let measured = meet(&mut cluster, &live, arm, bench).await;
        live.stop();
        measured
    };
    let (outcome, mut measured) = tokio::try_join!(load.run(&|_| {}, &never), fault)?;
    measured.verdict = Some(cluster.verdict(&outcome.history, true).await?);
    Ok(measured)
}

/// Lets the leader meet its fault, times what follows, and mends it.
async fn meet(cluster: &mut Cluster, live: &LiveLoad, arm: &PlannedArm, bench: &Bench) -> anyhow::Result<Measured> {
    let timing = cluster.design().timing;
    let phase_ms = Rng::with_seed(bench.seed).f64() * timing.heartbeat_ms as f64;
    tokio::time::sleep(Duration::from_millis(arm.warmup_ms) + Duration::from_secs_f64(phase_ms / 1e3)).await;
    let leader = first();
    let fault_ns = match arm.arm.level(FAULT) {
        Some("kill") => {
            let fault_ns = monotonic_ns();
            cluster.kill(leader).await?;
            fault_ns
        }
        Some("pause") => {
            let fault_ns = monotonic_ns();
            cluster.signal(leader, Signal::STOP)?;
            fault_ns
        }
        Some("partition") => cluster.isolate(leader).await?,
        _ => anyhow::bail!("the arm `{}` names no fault", arm.arm),
    };
    let standing = [RoleKind::PreCandidate, RoleKind::Candidate, RoleKind::Leader];
    let detected_ns = cluster.until("a candidate", |told| told.first(&standing, leader, fault_ns)).await?;
    let elected_ns = cluster.until("a new leader", |told| told.first(&[RoleKind::Leader], leader, fault_ns)).await?;
    let acknowledged = tokio::time::timeout(LONGEST, live.acknowledged_since(fault_ns)).await;
    let committed_ns = acknowledged.context("no command was acknowledged after the fault")?.completed_ns;
    let gap_ns = longest_gap(live.completions_since(live.start_ns()), fault_ns).context("no commands at all")?;

    match arm.arm.level(FAULT) {
        Some("kill") => cluster.restart(leader).await?,
        Some("pause") => cluster.signal(leader, Signal::CONT)?,
        _ => cluster.set_rules(Vec::new()).await?,
    }
    let ms = |at_ns: u64| at_ns.saturating_sub(fault_ns) as f64 / 1e6;
    let metrics = [
        ("detect_ms", ms(detected_ns)),
        ("elect_ms", ms(elected_ns)),
        ("first_commit_ms", ms(committed_ns)),
        ("gap_ms", gap_ns as f64 / 1e6),
        ("timeout_ms_min", timing.election_min_ms as f64),
        ("timeout_ms_max", timing.election_max_ms as f64),
        ("heartbeat_ms", timing.heartbeat_ms as f64),
        ("followers", f64::from(NODES - 1)),
    ];
    let metrics = metrics.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    Ok(Measured { metrics, ..Measured::default() })
}

/// The longest time between two acknowledgements, the later of which came after the fault.
fn longest_gap(mut completions_ns: Vec<u64>, fault_ns: u64) -> Option<u64> {
    completions_ns.sort_unstable();
    let pairs = completions_ns.windows(2).filter(|pair| pair[1] >= fault_ns);
    pairs.map(|pair| pair[1] - pair[0]).max()
}

/// `150-300` with a heartbeat three times per shortest time-out, as labs have it.
fn timing(arm: &Arm) -> anyhow::Result<Timing> {
    let read = || {
        let (low, high) = arm.level(TIMEOUT)?.split_once('-')?;
        let election_min_ms = low.parse().ok()?;
        Timing { election_min_ms, election_max_ms: high.parse().ok()?, heartbeat_ms: election_min_ms / 3 }
            .validate()
            .ok()
    };
    read().with_context(|| format!("the arm `{arm}` has no range of election time-outs"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gap_is_the_longest_wait_that_ended_after_the_fault() {
        assert_eq!(longest_gap(vec![10, 900, 940, 1_000, 1_200, 1_210], 1_050), Some(200));
        assert_eq!(longest_gap(vec![10], 5), None);
    }

    #[test]
    fn time_outs_are_read_from_the_arm() {
        let timing = |level| timing(&Arm::of([(TIMEOUT, level)]));
        assert_eq!(timing("150-300").unwrap(), Timing::default());
        assert!(["", "150", "300-150", "a-b"].iter().all(|level| timing(level).is_err()));
    }
}
