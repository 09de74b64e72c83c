//! Load on a cluster, and what its commands came to.
//!
//! Invariant: latency counts from the intended send of an open loop; a command without an answer counts with the time
//! it was waited for, which never flatters.

use std::time::Duration;

use raftian_check::Operation;
use raftian_rpc::control::Counters;

use super::metrics::{put_percentiles, put_times};
use super::span::Span;
use super::{Measured, PlannedArm};
use crate::cancel::cancel_pair;
use crate::cluster::{Cluster, PLAYERS, first};
use crate::load::{Load, LoadOptions, LoadOutcome, OutcomeKind, Sample, Targeting};

/// Load goes on this long after the measured span, so that its end is like its middle.
const TAIL: Duration = Duration::from_millis(20);

/// What a load on a cluster left behind.
#[derive(Debug)]
pub(super) struct Loaded {
    /// The measured span.
    pub(super) span: Span,
    samples: Vec<Sample>,
    /// What the clients did and saw.
    pub(super) history: Vec<Operation>,
    counted: Counters,
}

/// Options for a load on the leader of a trial at this rate, or in a closed loop.
pub(super) fn options(rate_per_s: Option<f64>, clients: usize, seed: u64) -> LoadOptions {
    LoadOptions {
        rate_per_s,
        clients,
        seed,
        app_options: PLAYERS.into(),
        targets: Targeting::One(first()),
        give_up_after: Duration::from_secs(2),
        ..LoadOptions::default()
    }
}

/// Loads a cluster for the time of an arm.
///
/// # Errors
/// When a node does not answer.
pub(super) async fn load(cluster: &mut Cluster, options: LoadOptions, arm: &PlannedArm) -> anyhow::Result<Loaded> {
    let duration = Duration::from_millis(arm.warmup_ms + arm.measure_ms) + TAIL;
    let load = Load::prepare(cluster.source(), LoadOptions { duration, ..options }, None)?;
    let (_canceller, never) = cancel_pair();
    let before = cluster.counters().await?;
    let meter = async { Ok(Span::of(arm, || cluster.snapshot()).await) };
    let (outcome, span) = tokio::try_join!(load.run(&|_| {}, &never), meter)?;
    let after = cluster.counters().await?;
    let LoadOutcome { history, samples, .. } = outcome;
    let counted = Counters { calls: after.calls - before.calls, syncs: after.syncs - before.syncs, ..after };
    Ok(Loaded { span, samples, history, counted })
}

impl Loaded {
    /// What the commands that were due in the measured span came to, and what they cost.
    ///
    /// # Errors
    /// When one took longer than a histogram holds.
    pub(super) fn report(&self, measured: &mut Measured) -> anyhow::Result<()> {
        let due: Vec<&Sample> = self.samples.iter().filter(|sample| self.span.holds(sample.intended_ns)).collect();
        let is_ok = |sample: &&&Sample| sample.kind == OutcomeKind::Ok;
        let acknowledged = self.samples.iter().filter(|sample| sample.kind == OutcomeKind::Ok);
        let commits = acknowledged.clone().filter(|sample| self.span.holds(sample.completed_ns)).count() as f64;
        let all = acknowledged.count() as f64;
        let mut put = |name: &str, value: f64| measured.metrics.insert(name.to_owned(), value);
        put("commits", commits);
        put("achieved_per_s", commits / self.span.seconds());
        put("commands_unanswered", (due.len() - due.iter().filter(is_ok).count()) as f64);
        if commits > 0.0 {
            let servers = self.span.costs.iter().filter(|cost| cost.process != "load");
            // Milliseconds per commit are seconds per thousand of them.
            put("cpu_s_per_1000_commits", servers.map(|cost| cost.cpu_ms).sum::<f64>() / commits);
            // Counted over the whole load. A call is two messages: there and back.
            put("messages_per_commit", 2.0 * self.counted.calls as f64 / all);
            put("fsyncs_per_commit", self.counted.syncs as f64 / all);
        }
        measured.costs.clone_from(&self.span.costs);
        let lags = due.iter().map(|sample| sample.sent_ns.saturating_sub(sample.intended_ns));
        put_percentiles(measured, "send_lag", lags)?;
        put_times(measured, "commit", due.iter().map(|sample| sample.completed_ns.saturating_sub(sample.intended_ns)))
    }
}

/// A whole trial of nothing but load: what its commands came to, judged.
///
/// # Errors
/// When a node does not answer.
pub(super) async fn trial(cluster: &mut Cluster, options: LoadOptions, arm: &PlannedArm) -> anyhow::Result<Measured> {
    let loaded = load(cluster, options, arm).await?;
    let mut measured = Measured::default();
    loaded.report(&mut measured)?;
    measured.verdict = Some(cluster.verdict(&loaded.history, true).await?);
    Ok(measured)
}
