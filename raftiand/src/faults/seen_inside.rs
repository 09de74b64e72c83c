//! Whether a fault inside a node is in effect, from what the node has measured.
//!
//! Invariant: pure. Nothing is concluded from what has had no occasion to show.

use std::collections::{BTreeMap, BTreeSet};

use raftian_rpc::NodeId;
use raftian_rpc::control::{Measured, NodeStatus};
use raftian_rpc::faults::NodeEffect;
use raftian_rpc::faults::proof::Outcome;
use raftian_rpc::lab::FaultId;

/// So much time must have passed on a clock before its rate is told, in microseconds.
const FOR_A_RATE_US: u64 = 100_000;

/// A rate that departs by so little from what is wanted is that rate.
const RATE_TOLERANCE: f64 = 0.02;

/// A jump that departs by so little is that jump, in microseconds.
const JUMP_TOLERANCE_US: i64 = 5_000;

/// What can be seen of an effect, in words that follow the node's name; `None` as long as it had no occasion to show.
pub(crate) fn seen(effect: NodeEffect, measured: &Measured) -> Option<(Outcome, String)> {
    let as_wanted = |is_so: bool| if is_so { Outcome::Confirmed } else { Outcome::Mismatch };
    match (effect, measured) {
        (NodeEffect::SlowSync { takes_ms }, Measured::Syncs { shortest_us: Some(shortest_us), .. }) => {
            let shortest_ms = *shortest_us as f64 / 1e3;
            Some((as_wanted(shortest_ms >= takes_ms), format!("a sync takes {shortest_ms:.1} ms, wanted {takes_ms}")))
        }
        (NodeEffect::FailSync, Measured::Failed { syncs: 1.. }) => {
            Some((Outcome::Confirmed, "a sync has failed".to_owned()))
        }
        (NodeEffect::Full, Measured::Refused { operations: count @ 1.. }) => {
            let times = if *count == 1 { "once".to_owned() } else { format!("{count} times") };
            Some((Outcome::Confirmed, format!("no room, {times}")))
        }
        (NodeEffect::HangSync, Measured::Hanging { syncs: 1.., longest_ms }) => {
            let ms = longest_ms.unwrap_or(0);
            Some((Outcome::Confirmed, format!("a sync has not returned for {ms} ms")))
        }
        (NodeEffect::LyingSync, Measured::Lied { syncs: count @ 1.., unsynced_bytes }) => {
            Some((Outcome::Confirmed, format!("syncs that lied: {count}, bytes that are not synced: {unsynced_bytes}")))
        }
        (NodeEffect::ClockRate { per_mille }, Measured::Passed { true_us: FOR_A_RATE_US.., .. }) => {
            let (rate, wanted) = (rate(measured), f64::from(per_mille) / 1e3);
            Some((
                as_wanted((rate / wanted - 1.0).abs() <= RATE_TOLERANCE),
                format!("its clock runs at {rate:.2}, wanted {wanted}"),
            ))
        }
        (NodeEffect::ClockFreeze, Measured::Passed { true_us: FOR_A_RATE_US.., .. }) => {
            let rate = rate(measured);
            Some((as_wanted(rate <= RATE_TOLERANCE), format!("its clock runs at {rate:.2}, wanted 0")))
        }
        (NodeEffect::ClockJump { by_ms }, Measured::Jumped { by_us }) => {
            let is_so = (by_us - by_ms * 1_000).abs() <= JUMP_TOLERANCE_US;
            let ms = *by_us as f64 / 1e3;
            Some((as_wanted(is_so), format!("its clock has jumped by {ms:.0} ms, wanted {by_ms}")))
        }
        _ => None,
    }
}

fn rate(measured: &Measured) -> f64 {
    match measured {
        Measured::Passed { shown_us, true_us: true_us @ 1.. } => *shown_us as f64 / *true_us as f64,
        _ => 0.0,
    }
}

/// Whether a fault has gone from nodes, by what those that run say.
pub(crate) fn gone(
    id: FaultId,
    nodes: &BTreeSet<NodeId>,
    running: &BTreeSet<NodeId>,
    statuses: &BTreeMap<NodeId, NodeStatus>,
) -> (Outcome, Vec<String>) {
    let each = nodes.iter().map(|node| match (running.contains(node), statuses.get(node)) {
        // It was in the process, which has ended.
        (false, _) => (Outcome::Confirmed, format!("{node}: does not run, and starts without it")),
        (true, None) => (Outcome::Inconclusive, format!("{node}: did not answer")),
        (true, Some(status)) => match status.faults.iter().any(|known| known.fault.id == id) {
            true => (Outcome::Mismatch, format!("{node}: still has it")),
            false => (Outcome::Confirmed, format!("{node}: has it no more")),
        },
    });
    let each: Vec<(Outcome, String)> = each.collect();
    let worst = each.iter().map(|(outcome, _)| *outcome).max().unwrap_or(Outcome::Inconclusive);
    (worst, each.into_iter().map(|(_, words)| words).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(effect: NodeEffect, measured: Measured) -> Option<String> {
        seen(effect, &measured).map(|(outcome, words)| format!("{outcome}: {words}"))
    }

    #[test]
    fn a_slow_disk_is_seen_by_its_fastest_sync() {
        let slow = NodeEffect::SlowSync { takes_ms: 20.0 };
        let syncs = |us| Measured::Syncs { count: 3, shortest_us: us, median_us: us };
        assert_eq!(verdict(slow, syncs(Some(20_430))).unwrap(), "confirmed: a sync takes 20.4 ms, wanted 20");
        assert_eq!(verdict(slow, syncs(Some(3_000))).unwrap(), "mismatch: a sync takes 3.0 ms, wanted 20");
        assert_eq!(verdict(slow, syncs(None)), None, "no sync has returned yet");
    }

    #[test]
    fn a_clock_is_seen_by_what_passes_on_it() {
        let passed = |shown_us, true_us| Measured::Passed { shown_us, true_us };
        let fast = NodeEffect::ClockRate { per_mille: 1_100 };
        assert_eq!(verdict(fast, passed(220_100, 200_000)).unwrap(), "confirmed: its clock runs at 1.10, wanted 1.1");
        assert_eq!(verdict(fast, passed(200_000, 200_000)).unwrap(), "mismatch: its clock runs at 1.00, wanted 1.1");
        assert_eq!(verdict(fast, passed(11_000, 10_000)), None, "too short to tell");
        assert_eq!(
            verdict(NodeEffect::ClockFreeze, passed(0, 200_000)).unwrap(),
            "confirmed: its clock runs at 0.00, wanted 0"
        );
        let jumped = verdict(NodeEffect::ClockJump { by_ms: 2_000 }, Measured::Jumped { by_us: 2_000_300 });
        assert_eq!(jumped.unwrap(), "confirmed: its clock has jumped by 2000 ms, wanted 2000");
    }

    #[test]
    fn what_had_no_occasion_shows_nothing() {
        assert_eq!(verdict(NodeEffect::Full, Measured::Refused { operations: 0 }), None);
        assert_eq!(
            verdict(NodeEffect::Full, Measured::Refused { operations: 2 }).unwrap(),
            "confirmed: no room, 2 times"
        );
        assert_eq!(verdict(NodeEffect::HangSync, Measured::Hanging { syncs: 0, longest_ms: None }), None);
        assert_eq!(verdict(NodeEffect::LyingSync, Measured::Lied { syncs: 0, unsynced_bytes: 0 }), None);
    }
}
