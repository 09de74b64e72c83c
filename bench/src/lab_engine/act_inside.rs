//! What goes wrong inside the nodes of a lab.
//!
//! Invariant: what holds of a disk or a clock from now on, in a scenario, is one fault of the lab, which takes the place of the
//! one before it.

use std::convert::Infallible;

use raftian_rpc::NodeId;
use raftian_rpc::faults::{CrashPoint, NodeEffect};
use raftian_rpc::lab::{FaultId, LabClient as _, NodeFaultRequest};
use raftian_rpc::selector::Selector;
use raftian_script::{Action, ClockGoes, Halt, Performed, Whom};

use super::LabEngine;
use super::act::{is_alive, not_done};
use crate::lab::{Lab, told};

/// What can hold of a node from one moment on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Lasting {
    Sync,
    Room,
    Clock,
}

impl LabEngine {
    /// Does an action inside a node.
    pub(super) async fn act_inside(&mut self, action: &Action) -> Performed<Infallible> {
        match *action {
            Action::SyncTakes { node, us } => {
                let takes_ms = us as f64 / 1e3;
                self.let_last(node, Lasting::Sync, (us > 0).then_some(NodeEffect::SlowSync { takes_ms })).await
            }
            Action::DiskFull { node, is_full } => {
                self.let_last(node, Lasting::Room, is_full.then_some(NodeEffect::Full)).await
            }
            Action::Clock { node, goes } => match goes {
                ClockGoes::AtRate(per_mille) => {
                    self.let_last(node, Lasting::Clock, Some(NodeEffect::ClockRate { per_mille })).await
                }
                ClockGoes::Frozen => self.let_last(node, Lasting::Clock, Some(NodeEffect::ClockFreeze)).await,
                ClockGoes::True => self.let_last(node, Lasting::Clock, None).await,
                ClockGoes::Ahead(us) => {
                    let by_ms = i64::try_from(us / 1_000).unwrap_or(i64::MAX);
                    self.once(node, NodeEffect::ClockJump { by_ms }).await
                }
            },
            Action::CrashAtInstall { node, .. } => {
                let effect = NodeEffect::Crash { at: CrashPoint::MidInstall, from_index: None, power_loss: false };
                self.once(node, effect).await
            }
            _ => unreachable!("no action inside a node"),
        }
    }

    /// The next sync of a node fails. One that is down has none: as in the simulator, that is a failure of the scenario where
    /// no time is given for it.
    pub(super) async fn fail_sync(&self, whom: Whom, is_timed: bool) -> Performed<Infallible> {
        let node = self.whom(whom).await?;
        let is_up = self.view().await?.that_are(is_alive).contains(&node);
        match (is_up, is_timed) {
            (true, _) => self.once(node, NodeEffect::FailSync).await,
            (false, true) => Ok(Some(format!("not done: {node} is down"))),
            (false, false) => Err(Halt::Failed(format!("{node} is down"))),
        }
    }

    /// From now on this holds of a node, or nothing special.
    async fn let_last(&mut self, node: NodeId, what: Lasting, effect: Option<NodeEffect>) -> Performed<Infallible> {
        if let Some(id) = self.inside.remove(&(node, what)) {
            // One that has ended with its node is gone already.
            if let Err(error) = told(self.lab.client.fault_clear(Some(id)).await) {
                not_done(error)?;
            }
        }
        let Some(effect) = effect else { return Ok(None) };
        match disturb_inside(&self.lab, node, effect).await {
            Ok(id) => {
                self.inside.insert((node, what), id);
                Ok(None)
            }
            Err(error) => not_done(error),
        }
    }

    /// This happens in a node once.
    async fn once(&self, node: NodeId, effect: NodeEffect) -> Performed<Infallible> {
        match disturb_inside(&self.lab, node, effect).await {
            Ok(_) => Ok(None),
            Err(error) => not_done(error),
        }
    }
}

/// Gives clocks the rates that they have from the beginning.
///
/// # Errors
/// When the lab does not take them.
pub(super) async fn set_clocks(lab: &Lab, per_mille: &[u64]) -> anyhow::Result<()> {
    for (node, per_mille) in NodeId::first(64).zip(per_mille).filter(|(_, per_mille)| **per_mille != 1_000) {
        let per_mille = u32::try_from(*per_mille).unwrap_or(u32::MAX);
        disturb_inside(lab, node, NodeEffect::ClockRate { per_mille }).await?;
    }
    Ok(())
}

/// Has something go wrong inside a node, until it is cleared.
async fn disturb_inside(lab: &Lab, node: NodeId, effect: NodeEffect) -> anyhow::Result<FaultId> {
    let request = NodeFaultRequest { effect, on: Selector::node(node), for_ms: None, no_wait: true };
    Ok(told(lab.client.node_fault_add(request).await)?.fault.id)
}
