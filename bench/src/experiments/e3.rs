//! E3: how often a server may call its follower before the game beside it feels it, on one core and on two.
//!
//! On one core everything shares it: the game, its server, and the follower. Heartbeats are whole milliseconds, so the
//! fastest is one every millisecond.

use raftian_rpc::control::Timing;

use super::arms::{Times, WITH_SERVER, cross, hosting, level};
use super::play::{ORIGINAL, Play};
use super::{BASELINE, Bench, Experiment, HOSTING, Plan, PlannedArm, Profile, Running};
use crate::cluster::Design;
use crate::suite::trial::{Arm, ExperimentId};

const HEARTBEAT: &str = "heartbeat_ms";
const CORES: &str = "cores";

/// The original's number of dots.
const DOTS: u32 = 1_000;

/// The experiment.
#[derive(Debug)]
pub(super) struct E3;

impl Experiment for E3 {
    fn id(&self) -> ExperimentId {
        ExperimentId(3)
    }

    fn question(&self) -> &'static str {
        "How often may a server send heartbeats before the game feels it, on one core and on two?"
    }

    fn plan(&self, profile: Profile) -> Plan {
        let quick = [1, 100];
        let paper = [1, 3, 10, 30, 100];
        let (blocks, heartbeats, times) = match profile {
            Profile::Quick => (6, &quick[..], Times { warmup_ms: 40, measure_ms: 160, overhead_ms: 100 }),
            Profile::Paper => (12, &paper[..], Times { warmup_ms: 2_000, measure_ms: 20_000, overhead_ms: 300 }),
        };
        let servers = cross(&[Arm::default()], HOSTING, WITH_SERVER);
        let mut games = cross(&servers, HEARTBEAT, heartbeats);
        games.push(Arm::of([(HOSTING, BASELINE)]));
        Plan { blocks, arms: times.plan_all(cross(&games, CORES, [1, 2])) }
    }

    fn run<'a>(&'a self, arm: &'a PlannedArm, bench: &'a Bench) -> Running<'a> {
        Box::pin(async move {
            let hosting = hosting(&arm.arm)?;
            let heartbeat_ms = match hosting {
                Some(_) => level(&arm.arm, HEARTBEAT)?,
                None => ORIGINAL.heartbeat_ms,
            };
            let play = Play::original(DOTS, hosting);
            let timing = Timing { heartbeat_ms, ..ORIGINAL };
            let design = Design { timing, cores: Some(level(&arm.arm, CORES)?), ..play.design };
            Play { design, ..play }.run(arm, bench).await
        })
    }
}
