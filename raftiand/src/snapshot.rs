//! Snapshots on demand (§7), on many nodes at once.
//!
//! Invariant: what is reported as taken is durable.
//!
//! Deliberately absent: a guess at how many entries somebody may still need; the caller says.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use jsonrpsee::core::ClientError;
use raftian_rpc::NodeId;
use raftian_rpc::connect;
use raftian_rpc::control::{ControlClient, SnapshotTaken};
use raftian_rpc::error::{LabError, NodeError};
use raftian_rpc::hint::Hint;
use raftian_rpc::lab::{NodeState, SnapshotReport, SnapshotRequest};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::lab::{Lab, State, deadline};
use crate::observe::resolve;
use crate::poll::why;

/// How long the end of a node that is leaving may take.
const LAST_WORDS: Duration = Duration::from_secs(2);

impl Lab {
    /// Has nodes take snapshots.
    ///
    /// # Errors
    /// Conflict when none of the nodes named runs.
    pub(crate) async fn snapshot(self: &Arc<Lab>, request: SnapshotRequest) -> Result<SnapshotReport, LabError> {
        let deadline = deadline(request.timeout_ms)?;
        let facts = self.facts(&[&request.selector]).await?;
        let resolved = resolve(request.selector, &facts, &mut self.random())?;
        let mut refused = self.not_running(&resolved.nodes);
        if refused.len() == resolved.nodes.len() {
            let states: Vec<String> = refused.iter().map(|(id, is)| format!("{id} is {is}")).collect();
            let are_paused = self.state().in_state(NodeState::Paused).is_superset(&resolved.nodes);
            let nodes = resolved.nodes.into_iter().collect();
            let hint = if are_paused { Hint::Resume { nodes } } else { Hint::Restart { nodes } };
            return Err(LabError::conflict(states.join(", ")).hint(hint));
        }
        let mut calls = JoinSet::new();
        for id in resolved.nodes.iter().copied().filter(|id| !refused.contains_key(id)) {
            let asked = self.snapshot_of(id, request.keep_entries, deadline);
            calls.spawn(async move { (id, asked.await) });
        }
        let (mut taken, mut failed) = (Vec::new(), BTreeMap::new());
        for (id, answer) in calls.join_all().await {
            match answer {
                Ok(snapshot) => taken.push(snapshot),
                Err(error) => match NodeError::from_client(&error) {
                    Some(NodeError::Refused { why }) => drop(refused.insert(id, why)),
                    _ => drop(failed.insert(id, self.last_words(id, &error, deadline).await)),
                },
            }
        }
        taken.sort_by_key(|snapshot| snapshot.node);
        Ok(SnapshotReport { resolved, taken, refused, failed })
    }

    /// Those of these that do not run, and what they are instead.
    fn not_running(&self, nodes: &BTreeSet<NodeId>) -> BTreeMap<NodeId, String> {
        let state = self.state();
        let running = state.running();
        nodes.difference(&running).map(|id| (*id, state.is(*id).to_owned())).collect()
    }

    /// Asks one node, which may take as long as the caller has.
    fn snapshot_of(
        &self,
        id: NodeId,
        keep_entries: u64,
        deadline: Instant,
    ) -> impl Future<Output = Result<SnapshotTaken, ClientError>> + Send + use<> {
        let patience = deadline.saturating_duration_since(Instant::now());
        let address = self.state().nodes.get(&id).and_then(|node| node.address());
        let gone = || ClientError::Custom("it has just gone".into());
        let client = address.ok_or_else(gone).and_then(|address| connect::http(address, &self.secret, patience));
        async move { client?.snapshot(keep_entries).await }
    }

    /// Why a node failed: its own last words, if that was its end. A node whose disk has failed hangs up, or says that
    /// it is leaving, a moment before it says why.
    async fn last_words(&self, id: NodeId, error: &ClientError, deadline: Instant) -> String {
        let leaves = matches!(NodeError::from_client(error), Some(NodeError::ShuttingDown { .. }));
        let hung_up = matches!(error, ClientError::Transport(_));
        let patience = if leaves || hung_up { LAST_WORDS } else { Duration::ZERO };
        let epitaph = |state: &State| match state.nodes.get(&id) {
            Some(node) if node.process.is_some() => None,
            Some(node) => node.reason.as_ref().map(ToString::to_string),
            None => Some("it was removed".to_owned()),
        };
        self.until(deadline.min(Instant::now() + patience), epitaph).await.unwrap_or_else(|| why(error))
    }
}
