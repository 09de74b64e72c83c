//! E11: why Python lost: the game of E1 at 1000 dots, its server in a thread, with what the original had and this does
//! not: one lock for both threads, given away every 5 ms, and messages as XML-RPC over connections of their own. Each
//! on and off.
//!
//! A lock costs the game what the server holds it for, which is microseconds here and longer in an interpreter, which
//! has to write, parse and dispatch each message. In two more arms the server computes for a millisecond over each,
//! without the lock and under it. The millisecond is an assumption, to show what depends on it; it is not measured.

use raftian_rpc::assignment::{Framing, Hosting, Trim};

use super::arms::{Times, cross, hosting, is_on, level};
use super::play::Play;
use super::{BASELINE, Bench, Experiment, HOSTING, Plan, PlannedArm, Profile, Running};
use crate::cluster::Design;
use crate::suite::trial::{Arm, ExperimentId};

const LOCK: &str = "global_lock";
const FRAMING: &str = "framing";
const WORK: &str = "server_work_us";

/// What a message is taken to cost an interpreter.
const WORK_US: u32 = 1_000;

/// The original's number of dots.
const DOTS: u32 = 1_000;

/// The experiment.
#[derive(Debug)]
pub(super) struct E11;

impl Experiment for E11 {
    fn id(&self) -> ExperimentId {
        ExperimentId(11)
    }

    fn question(&self) -> &'static str {
        "Why did Python lose half of its frames: the global lock, or the framing of messages?"
    }

    fn plan(&self, profile: Profile) -> Plan {
        let (blocks, times) = match profile {
            Profile::Quick => (6, Times { warmup_ms: 30, measure_ms: 150, overhead_ms: 60 }),
            Profile::Paper => (12, Times { warmup_ms: 2_000, measure_ms: 30_000, overhead_ms: 300 }),
        };
        let servers = cross(&[Arm::of([(HOSTING, "thread")])], LOCK, ["off", "on"]);
        let mut games = cross(&servers, FRAMING, ["json", "xml_rpc"]);
        games.extend(cross(&cross(&servers, FRAMING, ["json"]), WORK, [WORK_US]));
        games.push(Arm::of([(HOSTING, BASELINE)]));
        Plan { blocks, arms: times.plan_games(games) }
    }

    fn run<'a>(&'a self, arm: &'a PlannedArm, bench: &'a Bench) -> Running<'a> {
        Box::pin(async move {
            let hosting = hosting(&arm.arm)?;
            let trim = match hosting {
                Some(_) => trim(&arm.arm)?,
                None => Trim::default(),
            };
            let play = Play::original(DOTS, hosting.map(|_| Hosting::Thread));
            let design = Design { trim, ..play.design };
            Play { design, ..play }.run(arm, bench).await
        })
    }
}

fn trim(arm: &Arm) -> anyhow::Result<Trim> {
    let framing = match arm.level(FRAMING) {
        Some("json") => Framing::JsonRpc,
        Some("xml_rpc") => Framing::XmlRpc,
        _ => anyhow::bail!("the arm `{arm}` names no framing"),
    };
    let server_work_us = if arm.level(WORK).is_some() { level(arm, WORK)? } else { 0 };
    Ok(Trim { framing, global_lock: is_on(arm, LOCK)?, server_work_us, ..Trim::default() })
}
