//! E9: what the links between the nodes do to a commit and to a click.
//!
//! Every message, there and back, is delayed by a time drawn uniformly from an interval, and lost with some chance,
//! independently of the others. One way:
//!
//! | link     | delay, ms    | lost   | is like                          |
//! |----------|--------------|--------|----------------------------------|
//! | loopback | –            | –      | the bare machine                 |
//! | lan      | 0.5 ± 0.2    | –      | a switch or two                  |
//! | wifi     | 3 ± 2        | 1 %    | a shared radio channel           |
//! | wan      | 20 ± 2       | 0.1 %  | neighbouring countries           |
//!
//! Commands of clients reach the leader over the bare loopback: only links between nodes have these faults.

use anyhow::bail;
use raftian_rpc::assignment::{HostedGame, Hosting};
use raftian_rpc::faults::{Effect, Rule};
use raftian_rpc::game::Scene;

use super::arms::{Times, cross};
use super::play::{game, put_clicks, recording};
use super::{Bench, Experiment, Measured, Plan, PlannedArm, Profile, Running, commit};
use crate::cluster::{Cluster, Design, first};
use crate::suite::trial::{Arm, ExperimentId};

const LINK: &str = "link";

/// The nodes.
const NODES: u16 = 3;

/// The offered load, and the clients that carry it over the slowest link.
const RATE_PER_S: f64 = 200.0;
const CLIENTS: usize = 32;

/// Clicks per second beside it.
const CLICKS_PER_S: f64 = 300.0;

/// Frames per second at most.
const CAP: u32 = 1_000;

/// The experiment.
#[derive(Debug)]
pub(super) struct E9;

impl Experiment for E9 {
    fn id(&self) -> ExperimentId {
        ExperimentId(9)
    }

    fn question(&self) -> &'static str {
        "What do the links between the nodes do to a commit and to a click?"
    }

    fn plan(&self, profile: Profile) -> Plan {
        let (blocks, times) = match profile {
            Profile::Quick => (6, Times { warmup_ms: 60, measure_ms: 130, overhead_ms: 120 }),
            Profile::Paper => (12, Times { warmup_ms: 1_000, measure_ms: 30_000, overhead_ms: 1_000 }),
        };
        Plan { blocks, arms: times.plan_all(cross(&[Arm::default()], LINK, ["loopback", "lan", "wifi", "wan"])) }
    }

    fn run<'a>(&'a self, arm: &'a PlannedArm, bench: &'a Bench) -> Running<'a> {
        Box::pin(over_link(arm, bench))
    }
}

async fn over_link(arm: &PlannedArm, bench: &Bench) -> anyhow::Result<Measured> {
    let game = game(Scene::Attack, Some(CAP), Some(CLICKS_PER_S), bench);
    let game = Some(HostedGame { hosting: Hosting::Thread, game });
    let mut cluster = Cluster::start(bench, Design { nodes: NODES, game, ..Design::default() }).await?;
    cluster.playing_ns().await?;
    cluster.set_rules(rules(&arm.arm)?).await?;
    let options = commit::options(Some(RATE_PER_S), CLIENTS, bench.seed);
    let loaded = commit::load(&mut cluster, options, arm).await?;
    cluster.set_rules(Vec::new()).await?;
    let mut measured = Measured::default();
    loaded.report(&mut measured)?;
    measured.verdict = Some(cluster.verdict(&loaded.history, true).await?);
    cluster.dismiss(first()).await?;
    put_clicks(&mut measured, &recording(bench), &loaded.span)?;
    Ok(measured)
}

/// The rules of a link, on all links between the nodes.
fn rules(arm: &Arm) -> anyhow::Result<Vec<Rule>> {
    let (delay, lost) = match arm.level(LINK) {
        Some("loopback") => (None, None),
        Some("lan") => (Some((0.5, 0.2)), None),
        Some("wifi") => (Some((3.0, 2.0)), Some(0.01)),
        Some("wan") => (Some((20.0, 2.0)), Some(0.001)),
        _ => bail!("the arm `{arm}` names no link"),
    };
    let delay = delay.map(|(delay_ms, jitter_ms)| Effect::latency(delay_ms, jitter_ms)).transpose()?;
    let lost = lost.map(Effect::drop).transpose()?;
    let pairs = (1..=NODES).flat_map(|from| (1..=NODES).map(move |to| (from, to))).filter(|(from, to)| from != to);
    Ok(pairs
        .flat_map(|(from, to)| lost.into_iter().chain(delay).map(move |effect| Rule { from, to, effect }))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_has_its_faults_both_ways_between_all_nodes() {
        let count = |link| rules(&Arm::of([(LINK, link)])).unwrap().len();
        assert_eq!([count("loopback"), count("lan"), count("wifi"), count("wan")], [0, 6, 12, 12]);
        assert!(rules(&Arm::of([(LINK, "string")])).is_err());
    }
}
