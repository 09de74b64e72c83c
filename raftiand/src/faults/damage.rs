//! Damage to the files of nodes that are down.
//!
//! Invariant: the node's own program does it, which knows where a record stands; and only while the node is down, in the turn
//! to change processes, so that it cannot start meanwhile.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use raftian_rpc::NodeId;
use raftian_rpc::control::Damaged;
use raftian_rpc::error::LabError;
use raftian_rpc::faults::Damage;
use raftian_rpc::lab::{DamageReport, DamageRequest, Happening};
use tokio::process::Command;
use tokio::time::{Instant, timeout};

use crate::lab::Lab;
use crate::observe::resolve;

/// How long it waits for others who change processes.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long the damage to one node may take. After that it is ended, so that the lab goes on.
const LIMIT: Duration = Duration::from_secs(20);

impl Lab {
    /// Damages the files of nodes.
    ///
    /// # Errors
    /// Conflict for a node that is not down, Failed when the files are not as they must be for it.
    pub(crate) async fn damage(self: &Arc<Lab>, request: DamageRequest) -> Result<DamageReport, LabError> {
        let DamageRequest { on, damage } = request;
        let _turn = self.turn(Instant::now() + PATIENCE).await?;
        let facts = self.facts(&[&on]).await?;
        let resolved = resolve(on, &facts, &mut self.random())?;
        self.check_down(&resolved.nodes)?;
        let mut done = BTreeMap::new();
        for node in &resolved.nodes {
            let damaged = self.damage_node(*node, damage).await?;
            self.journal.record(Happening::Damaged { node: *node, damaged: damaged.clone() });
            done.insert(*node, damaged);
        }
        Ok(DamageReport { resolved, done })
    }

    fn check_down<'a>(&self, nodes: impl IntoIterator<Item = &'a NodeId>) -> Result<(), LabError> {
        let state = self.state();
        let up = nodes.into_iter().find(|id| state.nodes.get(id).is_some_and(|node| node.process.is_some()));
        match up {
            None => Ok(()),
            Some(id) => {
                let is = state.is(*id);
                Err(LabError::conflict(format!(
                    "{id} is {is}, and its files can be damaged only while it is down; kill it first"
                )))
            }
        }
    }

    async fn damage_node(&self, id: NodeId, damage: Damage) -> Result<Damaged, LabError> {
        let mut command = Command::new(&self.program);
        command.arg("damage").arg(self.folder.node(id)).args(damage.to_string().split(' ')).kill_on_drop(true);
        let output = timeout(LIMIT, command.output()).await.map_err(|_| {
            LabError::failed(format!("{id}: `{damage}` was not done within {} s, and was ended", LIMIT.as_secs()))
        })?;
        let output = output.map_err(|error| LabError::failed(in_words(&self.program.display(), &error)))?;
        match serde_json::from_slice(&output.stdout) {
            Ok(damaged) if output.status.success() => Ok(damaged),
            _ => {
                let why = String::from_utf8_lossy(&output.stderr);
                Err(LabError::failed(format!("{id}: {}", why.trim())))
            }
        }
    }
}

fn in_words(program: &dyn std::fmt::Display, error: &io::Error) -> String {
    format!("{program} cannot be run to damage files: {error}")
}
