//! Telling the nodes where their peers are and what is wrong with their links.
//!
//! Invariant: a node is only counted as told when it has confirmed a version; one that has not is told again at every
//! beat until it has, so that no node is left behind on a fault that was cleared.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use raftian_rpc::NodeId;
use raftian_rpc::connect::Http;
use raftian_rpc::control::{ControlClient, Network};
use raftian_rpc::lab::NodeState;
use tokio::task::JoinSet;

use crate::lab::{Lab, State};

/// How long a node may take to confirm.
const CONFIRM: Duration = Duration::from_secs(1);

impl Lab {
    /// Tells all running nodes the latest network, and says which of them have confirmed it.
    pub(crate) async fn push_network(self: &Arc<Lab>) -> BTreeSet<NodeId> {
        let targets = self.state().running();
        self.push_to(targets).await
    }

    /// Tells those running nodes that have not confirmed the latest network.
    pub(crate) async fn push_to_stragglers(self: &Arc<Lab>) {
        let stragglers: BTreeSet<NodeId> = {
            let state = self.state();
            let latest = state.faults.version();
            let behind = |id: &NodeId| state.nodes[id].confirmed < latest;
            state.running().into_iter().filter(behind).collect()
        };
        if !stragglers.is_empty() {
            self.push_to(stragglers).await;
        }
    }

    /// Tells these nodes, running or paused, the latest network, and says which of them have confirmed it.
    pub(crate) async fn push_to(self: &Arc<Lab>, targets: BTreeSet<NodeId>) -> BTreeSet<NodeId> {
        let (network, clients) = {
            let state = self.state();
            (network(&state), clients(&state, &targets))
        };
        let version = network.version;
        let mut calls = JoinSet::new();
        for (id, client) in clients {
            let network = Network { faults: self.state().faults.inside(id), ..network.clone() };
            calls.spawn(async move {
                let answer = tokio::time::timeout(CONFIRM, client.configure(network)).await;
                match answer {
                    Ok(Ok(())) => Some(id),
                    Ok(Err(error)) => {
                        tracing::warn!("{id} did not take in the network: {error}");
                        None
                    }
                    Err(_) => None,
                }
            });
        }
        let confirmed: BTreeSet<NodeId> = calls.join_all().await.into_iter().flatten().collect();
        self.change(|state| {
            for id in &confirmed {
                if let Some(node) = state.nodes.get_mut(id) {
                    node.confirmed = node.confirmed.max(version);
                }
            }
            if state.faults.version() == version {
                let running = state.running();
                let up_to_date = running.iter().copied().filter(|id| state.nodes[id].confirmed == version).collect();
                state.faults.confirmed(&up_to_date, &running);
            }
        });
        confirmed
    }
}

fn network(state: &State) -> Network {
    let addresses = state.nodes.iter().filter_map(|(id, node)| Some((*id, node.address()?))).collect();
    Network { version: state.faults.version(), addresses, rules: state.faults.rules(), faults: Vec::new() }
}

fn clients(state: &State, targets: &BTreeSet<NodeId>) -> Vec<(NodeId, Http)> {
    let listening = |id: &NodeId| {
        let node = state.nodes.get(id)?;
        let listens = matches!(node.state, NodeState::Running | NodeState::Paused);
        node.client.clone().filter(|_| listens).map(|client| (*id, client))
    };
    targets.iter().filter_map(listening).collect()
}
