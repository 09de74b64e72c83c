//! Faults inside nodes: which nodes are meant, and what the fault is called.
//!
//! Invariant: selectors are resolved once, when the fault is added, as for links.
//!
//! Deliberately absent: the life of the fault (`life.rs`), and carrying it out, which the node does.

use std::sync::Arc;

use raftian_rpc::NodeId;
use raftian_rpc::clock::monotonic_ns;
use raftian_rpc::control::NodeFault;
use raftian_rpc::error::LabError;
use raftian_rpc::faults::NodeEffect;
use raftian_rpc::faults::proof::Outcome;
use raftian_rpc::lab::{FaultKind, FaultReport, NodeFaultRequest, Proof};
use raftian_rpc::selector::names;

use crate::faults::check_for_ms;
use crate::faults::partition::{Group, by_name};
use crate::lab::Lab;
use crate::observe::resolve;

impl Lab {
    /// Adds a fault inside some nodes.
    ///
    /// # Errors
    /// Usage for values out of range or a node that there is not, Conflict when a selector names what is not there.
    pub(crate) async fn node_fault_add(self: &Arc<Lab>, request: NodeFaultRequest) -> Result<FaultReport, LabError> {
        let NodeFaultRequest { effect, on, for_ms, no_wait } = request;
        check_for_ms(for_ms)?;
        effect.validate().map_err(|error| LabError::usage(error.to_string()))?;
        let facts = self.facts(&[&on]).await?;
        let resolved = resolve(on, &facts, &mut self.random())?;
        let nodes = by_name(&resolved.nodes);
        let title = title(effect, &nodes);
        self.bring_into_force(title, FaultKind::Nodes { effect, nodes }, for_ms, vec![resolved], no_wait).await
    }

    /// A node has ended by itself: a fault of its disk that ends nodes is seen by that. A sync fails once, so that fault has
    /// done what it does.
    pub(crate) fn failed_by_fault(self: &Arc<Lab>, node: NodeId, reason: &str) {
        let inside = self.state().faults.inside(node);
        let seen = format!("{node} has stopped: {reason}");
        for NodeFault { id, effect } in inside {
            match effect {
                NodeEffect::FailSync => self.struck(id, seen.clone()),
                NodeEffect::Full => {
                    let proof = Proof { at_ns: monotonic_ns(), outcome: Outcome::Confirmed, seen: vec![seen.clone()] };
                    self.saw(id, proof);
                }
                _ => {}
            }
        }
    }
}

/// A fault in words, as it is typed: `disk n2 slow 20 ms`, `crash n1 at before-sync, from index 7 on`.
fn title(effect: NodeEffect, nodes: &Group) -> String {
    let nodes = names(nodes);
    match effect {
        NodeEffect::SlowSync { takes_ms } => format!("disk {nodes} slow {takes_ms} ms"),
        NodeEffect::FailSync => format!("disk {nodes} fails"),
        NodeEffect::Full => format!("disk {nodes} full"),
        NodeEffect::HangSync => format!("disk {nodes} hangs"),
        NodeEffect::LyingSync => format!("disk {nodes} lies"),
        NodeEffect::ClockRate { per_mille } => format!("clock {nodes} rate {}", f64::from(per_mille) / 1e3),
        NodeEffect::ClockFreeze => format!("clock {nodes} freeze"),
        NodeEffect::ClockJump { by_ms } => format!("clock {nodes} jump {by_ms} ms"),
        NodeEffect::Crash { at, from_index, power_loss } => {
            let from = from_index.map_or(String::new(), |index| format!(", from index {index} on"));
            let how = if power_loss { ", power lost" } else { "" };
            format!("crash {nodes} at {at}{from}{how}")
        }
    }
}

#[cfg(test)]
mod tests {
    use raftian_rpc::faults::CrashPoint;

    use super::*;

    #[test]
    fn a_title_says_what_is_wrong_with_whom() {
        let one: Group = ["n2".parse().unwrap()].into();
        let crash = |from_index, power_loss| NodeEffect::Crash { at: CrashPoint::BeforeSync, from_index, power_loss };
        for (effect, expected) in [
            (NodeEffect::SlowSync { takes_ms: 20.0 }, "disk n2 slow 20 ms"),
            (NodeEffect::ClockRate { per_mille: 1_100 }, "clock n2 rate 1.1"),
            (NodeEffect::ClockJump { by_ms: -2_000 }, "clock n2 jump -2000 ms"),
            (crash(None, false), "crash n2 at before-sync"),
            (crash(Some(7), true), "crash n2 at before-sync, from index 7 on, power lost"),
        ] {
            assert_eq!(title(effect, &one), expected);
        }
    }
}
