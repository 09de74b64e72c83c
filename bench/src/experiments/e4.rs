//! E4: how long a click takes to come back as an order, and until a frame shows it, at the leader and at a follower.
//!
//! Three nodes; the game of the first shows the attack board, capped at 1000 frames per second as the original was, and
//! clicks by itself at exponentially distributed intervals. Times count from when a click was due.
//!
//! Clicks have no client who could tell a history. So that the judges have one, a client sends a few commands after the
//! measured span; the logs they look at have all clicks in them.

use raftian_rpc::assignment::HostedGame;
use raftian_rpc::game::Scene;

use super::arms::{Times, WITH_SERVER, cross, hosting};
use super::play::{game, put_clicks, recording};
use super::span::Span;
use super::{Bench, Experiment, HOSTING, Measured, Plan, PlannedArm, Profile, Running, commit};
use crate::cluster::{Cluster, Design, first, node};
use crate::suite::trial::{Arm, ExperimentId};

const NODE: &str = "node";
const LEADER: &str = "leader";

/// Clicks per second.
const CLICKS_PER_S: f64 = 300.0;

/// Frames per second at most.
const CAP: u32 = 1_000;

/// How the history for the judges comes about.
const EPILOGUE: Times = Times { warmup_ms: 0, measure_ms: 20, overhead_ms: 0 };
const EPILOGUE_PER_S: f64 = 200.0;

/// The experiment.
#[derive(Debug)]
pub(super) struct E4;

impl Experiment for E4 {
    fn id(&self) -> ExperimentId {
        ExperimentId(4)
    }

    fn question(&self) -> &'static str {
        "How long does a click take to become an order, and to be seen?"
    }

    fn plan(&self, profile: Profile) -> Plan {
        let (blocks, times) = match profile {
            Profile::Quick => (6, Times { warmup_ms: 30, measure_ms: 130, overhead_ms: 120 }),
            Profile::Paper => (12, Times { warmup_ms: 1_000, measure_ms: 30_000, overhead_ms: 400 }),
        };
        let servers = cross(&[Arm::default()], HOSTING, WITH_SERVER);
        Plan { blocks, arms: times.plan_all(cross(&servers, NODE, [LEADER, "follower"])) }
    }

    fn run<'a>(&'a self, arm: &'a PlannedArm, bench: &'a Bench) -> Running<'a> {
        Box::pin(click(arm, bench))
    }
}

async fn click(arm: &PlannedArm, bench: &Bench) -> anyhow::Result<Measured> {
    let game = game(Scene::Attack, Some(CAP), Some(CLICKS_PER_S), bench);
    let game = hosting(&arm.arm)?.map(|hosting| HostedGame { hosting, game });
    let leader = if arm.arm.level(NODE) == Some(LEADER) { first() } else { node(2) };
    let mut cluster = Cluster::start(bench, Design { leader, game, ..Design::default() }).await?;
    cluster.playing_ns().await?;
    let span = Span::of(arm, || cluster.snapshot()).await;
    let options = commit::options(Some(EPILOGUE_PER_S), 1, bench.seed);
    let epilogue = commit::load(&mut cluster, options, &EPILOGUE.plan(Arm::default())).await?;
    let verdict = cluster.verdict(&epilogue.history, true).await?;
    cluster.dismiss(first()).await?;
    let mut measured = Measured { costs: span.costs.clone(), verdict: Some(verdict), ..Measured::default() };
    put_clicks(&mut measured, &recording(bench), &span)?;
    Ok(measured)
}
