//! What goes wrong inside the nodes of a lab, and with the files of those that are down.
//!
//! Invariant: what holds of a disk or a clock from now on, in a scenario, is one fault of the lab, which takes the place of the
//! one before it.

use std::convert::Infallible;

use raftian_rpc::NodeId;
use raftian_rpc::faults::{CrashPoint, Damage, DamagedPart, NodeEffect};
use raftian_rpc::lab::{DamageRequest, FaultId, LabClient as _, NodeFaultRequest};
use raftian_rpc::selector::Selector;
use raftian_script::{Action, ClockGoes, Part, Performed};

use super::act::not_done;
use super::{LabEngine, failed};
use crate::lab::{Lab, told};

/// What can hold of a node from one moment on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Lasting {
    Sync,
    Room,
    Clock,
}

impl LabEngine {
    /// Does an action inside a node, or to its files.
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
            Action::SyncFails(whom) => {
                let node = self.whom(whom).await?;
                self.once(node, NodeEffect::FailSync).await
            }
            Action::CrashAtInstall { node, .. } => {
                let effect = NodeEffect::Crash { at: CrashPoint::MidInstall, from_index: None, power_loss: false };
                self.once(node, effect).await
            }
            Action::FlipBit { node, part } => {
                let part = match part {
                    Part::Entry(index) => DamagedPart::Entry(index),
                    Part::HardState => DamagedPart::HardState,
                    Part::Snapshot => DamagedPart::Snapshot,
                };
                self.damage(node, Damage::Flips(part)).await
            }
            Action::Wipe(node) => self.damage(node, Damage::Wiped).await,
            Action::KeepDisk(node) => self.damage(node, Damage::Kept).await,
            Action::PutBackDisk(node) => self.damage(node, Damage::PutBack).await,
            _ => unreachable!("no action inside a node"),
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

    async fn damage(&self, node: NodeId, damage: Damage) -> Performed<Infallible> {
        let request = DamageRequest { on: Selector::node(node), damage };
        match told(self.lab.client.damage(request).await) {
            Ok(_) => Ok(None),
            Err(error) => match error.downcast::<raftian_rpc::error::LabError>() {
                Ok(why) => Ok(Some(format!("not done: {why}"))),
                Err(error) => Err(failed(error)),
            },
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
    let request = NodeFaultRequest { effect, on: Selector::node(node), for_ms: None };
    Ok(told(lab.client.node_fault_add(request).await)?.fault.id)
}
