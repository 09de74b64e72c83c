//! The time of a trial: a warm-up, and then the span that is measured.

use std::time::Duration;

use raftian_rpc::clock::monotonic_ns;

use super::PlannedArm;
use crate::cluster::Snapshot;
use crate::suite::trial::Cost;

/// A measured span.
#[derive(Clone, Debug)]
pub(super) struct Span {
    /// Its beginning, on the monotonic clock.
    pub(super) from_ns: u64,
    /// Its end.
    pub(super) to_ns: u64,
    /// What each process used in it.
    pub(super) costs: Vec<Cost>,
}

impl Span {
    /// Lets the warm-up of an arm pass, and then its measured span.
    pub(super) async fn of(arm: &PlannedArm, snapshot: impl Fn() -> Snapshot) -> Span {
        tokio::time::sleep(Duration::from_millis(arm.warmup_ms)).await;
        let before = snapshot();
        let from_ns = monotonic_ns();
        tokio::time::sleep(Duration::from_millis(arm.measure_ms)).await;
        let to_ns = monotonic_ns();
        Span { from_ns, to_ns, costs: snapshot().since(&before) }
    }

    /// How long it was, in seconds.
    pub(super) fn seconds(&self) -> f64 {
        (self.to_ns - self.from_ns) as f64 / 1e9
    }

    /// Whether a moment lies in it.
    pub(super) fn holds(&self, at_ns: u64) -> bool {
        (self.from_ns..self.to_ns).contains(&at_ns)
    }
}
