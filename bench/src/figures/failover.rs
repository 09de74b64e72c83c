//! How long clients feel the death of a leader.
//!
//! Invariant: a sample counts from just before the daemon is asked to kill, to the acknowledgement of a command that
//! was sent after the leader was dead; what the old leader still answered does not count.

use std::time::Duration;

use anyhow::{Context as _, bail};
use raftian_check::Verdict;
use raftian_rpc::clock::monotonic_ns;
use raftian_rpc::condition::Condition;
use raftian_rpc::lab::Action;
use raftian_rpc::selector::Selector;

use super::{Figure, LabCommand, Target};
use crate::cancel::cancel_pair;
use crate::collect::collect;
use crate::lab::Lab;
use crate::load::{LiveLoad, Load, LoadOptions};
use crate::whereabouts::Whereabouts;

/// How long one recovery may take before the measurement counts as failed.
const PATIENCE: Duration = Duration::from_secs(15);

/// From `kill @leader` to the first commit, on five nodes under an open-loop load of 200 commands/s from 16 clients.
///
/// After each kill the node is restarted and the lab is left to converge.
///
/// # Errors
/// When the lab fails or does not recover, or the history is not judged valid.
pub async fn failover(command: &LabCommand, kills: usize) -> anyhow::Result<Figure> {
    let running = command.start(5, 1).await?;
    let options = LoadOptions {
        rate_per_s: Some(200.0),
        clients: 16,
        duration: PATIENCE * 4 * u32::try_from(kills)?.max(1),
        attempt_timeout: Duration::from_millis(300),
        give_up_after: PATIENCE,
        ..LoadOptions::default()
    };
    let (_canceller, never) = cancel_pair();
    let load = Load::prepare(&Whereabouts::of(&running.lab).await?, options, None)?;
    let live = load.live();
    let rounds = async {
        let mut samples = Vec::with_capacity(kills);
        for _ in 0..kills {
            samples.push(kill_once(&running.lab, &live).await?);
        }
        live.stop();
        Ok(samples)
    };
    let (outcome, samples) = tokio::try_join!(load.run(&|_| {}, &never), rounds)?;
    if let Some(reason) = outcome.interrupted {
        bail!("the load ended early: {reason}");
    }
    let evidence = collect(&running.lab, true, PATIENCE).await?;
    let report = evidence.judge(&outcome.history);
    let verdict = evidence.verdict(&report);
    if verdict != Verdict::Valid {
        bail!("failover under load: verdict {verdict}: {:?} {:?}", evidence.converged, report.findings);
    }
    running.stop().await?;
    let title = "from `kill @leader` to the first commit of a command sent after it, five nodes, 200 commands/s";
    Ok(Figure::new("failover", title, "ms", samples, Some(Target::AtMost(400.0))))
}

async fn kill_once(lab: &Lab, live: &LiveLoad) -> anyhow::Result<f64> {
    lab.wait(Condition::Stable, PATIENCE).await?;
    let before_ns = monotonic_ns();
    let report = lab.act(Action::Kill, "@leader".parse().expect("a selector"), false).await?;
    let done_ns = monotonic_ns();
    let commit = tokio::time::timeout(PATIENCE, live.acknowledged_since(done_ns)).await;
    let commit = commit.context("nothing commits after the leader was killed")?;
    for node in report.changed {
        lab.act(Action::Restart, Selector::node(node), true).await?;
    }
    Ok(commit.completed_ns.saturating_sub(before_ns) as f64 / 1e6)
}
