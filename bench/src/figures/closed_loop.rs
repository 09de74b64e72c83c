//! How much a cluster can commit when clients send as soon as they are answered.

use std::time::Duration;

use anyhow::bail;
use raftian_check::Verdict;

use super::{Figure, LabCommand, Target};
use crate::cancel::cancel_pair;
use crate::collect::collect;
use crate::load::{Load, LoadOptions, LoadOutcome};
use crate::whereabouts::Whereabouts;

/// The nodes of a measured cluster.
const NODES: u16 = 3;

/// How long the nodes may take to agree after the load.
const CONVERGE_TIMEOUT: Duration = Duration::from_secs(60);

/// Commits per second and median latency of this many clients on three nodes, each trial in a new lab and judged.
///
/// Targets: at least 15,000 commits/s with 1000 clients; a median of at most 1 ms with one.
///
/// # Errors
/// When a lab fails, the load is interrupted, or a history is not judged valid.
pub async fn closed_loop(
    command: &LabCommand,
    clients: usize,
    trials: usize,
    duration: Duration,
) -> anyhow::Result<[Figure; 2]> {
    let (mut rates, mut medians_ms) = (Vec::new(), Vec::new());
    for trial in 0..trials {
        let outcome = trial_of(command, clients, trial as u64 + 1, duration).await?;
        rates.push(outcome.summary.achieved_rate_per_s);
        medians_ms.extend(outcome.summary.latency_us.p50.map(|p50| p50 as f64 / 1e3));
    }
    let seconds = duration.as_secs_f64();
    let who = if clients == 1 { "1 closed-loop client".to_owned() } else { format!("{clients} closed-loop clients") };
    let title = |what: &str| format!("{what}, {who} on {NODES} nodes, {seconds} s a trial");
    let rate_target = (clients == 1000).then_some(Target::AtLeast(15_000.0));
    let median_target = (clients == 1).then_some(Target::AtMost(1.0));
    Ok([
        Figure::new(&format!("commits_{clients}"), &title("acknowledged commits"), "1/s", rates, rate_target),
        Figure::new(&format!("latency_p50_{clients}"), &title("median latency"), "ms", medians_ms, median_target),
    ])
}

async fn trial_of(command: &LabCommand, clients: usize, seed: u64, duration: Duration) -> anyhow::Result<LoadOutcome> {
    let running = command.start(NODES, 1).await?;
    let options =
        LoadOptions { rate_per_s: None, clients, duration, seed, app_options: NODES.into(), ..LoadOptions::default() };
    let (_canceller, never) = cancel_pair();
    let load = Load::prepare(&Whereabouts::of(&running.lab).await?, options, None)?;
    let outcome = load.run(&|_| {}, &never).await?;
    if let Some(reason) = &outcome.interrupted {
        bail!("the load ended early: {reason}");
    }
    let evidence = collect(&running.lab, true, CONVERGE_TIMEOUT).await?;
    let report = evidence.judge(&outcome.history);
    let verdict = evidence.verdict(&report);
    if verdict != Verdict::Valid {
        bail!("{clients} clients on {NODES} nodes: verdict {verdict}: {:?} {:?}", evidence.converged, report.findings);
    }
    running.stop().await?;
    Ok(outcome)
}
