//! Snapshots on demand (§7), on many nodes at once.
//!
//! Invariant: what is reported as taken is durable.
//!
//! Deliberately absent: a guess at how many entries somebody may still need; the caller says.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use raftian_rpc::NodeId;
use raftian_rpc::connect;
use raftian_rpc::control::{ControlClient, SnapshotTaken};
use raftian_rpc::error::{LabError, NodeError};
use raftian_rpc::lab::{NodeState, SnapshotReport, SnapshotRequest};
use raftian_rpc::selector::names;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::lab::{Lab, deadline};
use crate::observe::{in_words, resolve};

impl Lab {
    /// Has nodes take snapshots.
    ///
    /// # Errors
    /// Conflict when none of the nodes named runs.
    pub(crate) async fn snapshot(self: &Arc<Lab>, request: SnapshotRequest) -> Result<SnapshotReport, LabError> {
        let deadline = deadline(request.timeout_ms)?;
        let facts = self.facts(&[&request.selector]).await?;
        let resolved = resolve(request.selector, &facts, &mut self.luck())?;
        let mut refused = self.not_running(&resolved.nodes);
        if refused.len() == resolved.nodes.len() {
            let states: Vec<String> = refused.iter().map(|(id, is)| format!("{id} is {is}")).collect();
            let advice = format!("bring it back with `raftianctl restart {}`", names(&resolved.nodes));
            return Err(LabError::Conflict(format!("{}; {advice}", states.join(", "))));
        }
        let mut calls = JoinSet::new();
        for id in resolved.nodes.iter().copied().filter(|id| !refused.contains_key(id)) {
            let asked = self.snapshot_of(id, request.keep_entries, deadline);
            calls.spawn(async move { (id, asked.await) });
        }
        let mut taken = Vec::new();
        for (id, answer) in calls.join_all().await {
            match answer {
                Ok(snapshot) => taken.push(snapshot),
                Err(why) => drop(refused.insert(id, why)),
            }
        }
        taken.sort_by_key(|snapshot| snapshot.node);
        Ok(SnapshotReport { resolved, taken, refused })
    }

    fn not_running(&self, nodes: &BTreeSet<NodeId>) -> BTreeMap<NodeId, String> {
        let state = self.state();
        let is = |id: &NodeId| {
            state.nodes.get(id).map_or("removed", |node| match node.state {
                NodeState::Running => "running",
                other => in_words(other),
            })
        };
        nodes.iter().map(|id| (*id, is(id).to_owned())).filter(|(_, is)| is != "running").collect()
    }

    /// Asks one node, which may take as long as the caller has.
    fn snapshot_of(
        &self,
        id: NodeId,
        keep_entries: u64,
        deadline: Instant,
    ) -> impl Future<Output = Result<SnapshotTaken, String>> + Send + use<> {
        let patience = deadline.saturating_duration_since(Instant::now());
        let address = self.state().nodes.get(&id).and_then(|node| node.address());
        let client = address.map(|address| connect::http(address, &self.secret, patience));
        async move {
            let client = client.ok_or("it has just gone")?.map_err(|error| error.to_string())?;
            let answer = client.snapshot(keep_entries).await;
            answer.map_err(|error| NodeError::from_client(&error).map_or_else(|| error.to_string(), |e| e.to_string()))
        }
    }
}
