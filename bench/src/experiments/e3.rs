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
        // Where time is short, the slowest heartbeat is tried on one core only: what cannot be felt there cannot on two.
        let (blocks, on_one, on_two, times) = match profile {
            Profile::Quick => (6, &[1, 100][..], &[1][..], Times { warmup_ms: 20, measure_ms: 100, overhead_ms: 60 }),
            Profile::Paper => {
                let all = &[1, 3, 10, 30, 100][..];
                (12, all, all, Times { warmup_ms: 2_000, measure_ms: 20_000, overhead_ms: 300 })
            }
        };
        let servers = cross(&[Arm::default()], HOSTING, WITH_SERVER);
        let mut arms = Vec::new();
        for (cores, heartbeats) in [(1, on_one), (2, on_two)] {
            let mut games = cross(&servers, HEARTBEAT, heartbeats);
            games.push(Arm::of([(HOSTING, BASELINE)]));
            arms.extend(cross(&games, CORES, [cores]));
        }
        Plan { blocks, arms: times.plan_games(arms) }
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
