//! The nodes behind an open canvas, and which of them the next connection is led to.
//!
//! Invariant: a node is behind the canvas for as long as the lab has it; connections are led to healthy ones alone, and to
//! one that has what the client has seen, where there is one.
//!
//! Deliberately absent: moving connections back when a node has come back; as in Distri-place's balancer, the next ones go
//! there.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use raftian_apps::Size;
use raftian_rpc::lab::{CanvasNode, Strategy};
use raftian_rpc::{Index, NodeId, RoleKind};
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio::time::{Instant, timeout_at};

use super::hub::Hub;
use crate::lab::Lab;
use crate::node::leader_told;

/// The nodes.
pub(super) struct Nodes {
    lab: Arc<Lab>,
    size: Size,
    strategy: Strategy,
    hubs: Mutex<BTreeMap<NodeId, (Arc<Hub>, AbortHandle)>>,
    next: AtomicUsize,
    changes: watch::Sender<()>,
}

impl Nodes {
    /// None yet.
    pub(super) fn new(lab: Arc<Lab>, size: Size, strategy: Strategy) -> Nodes {
        let (hubs, changes) = (Mutex::default(), watch::Sender::new(()));
        Nodes { lab, size, strategy, hubs, next: AtomicUsize::new(0), changes }
    }

    /// Keeps a connection to each node of the lab, for ever.
    pub(super) async fn keep(self: Arc<Nodes>) {
        let mut changes = self.lab.changes();
        loop {
            changes.mark_unchanged();
            self.renew();
            if changes.changed().await.is_err() {
                return;
            }
        }
    }

    /// The hub of a node, if the lab has it.
    pub(super) fn hub(&self, node: NodeId) -> Option<Arc<Hub>> {
        self.hubs().get(&node).map(|(hub, _)| Arc::clone(hub))
    }

    /// The node whose board has the latest entry: what it shows, no client has seen more than.
    pub(super) fn freshest(&self) -> Option<Arc<Hub>> {
        let hubs = self.hubs();
        let read = hubs.values().filter(|(hub, _)| hub.with_board(|_| ()).is_some());
        read.max_by_key(|(hub, _)| (hub.index(), hub.is_healthy())).map(|(hub, _)| Arc::clone(hub))
    }

    /// Those to which connections may be led, the one with the latest entry first.
    pub(super) fn healthy(&self) -> Vec<Arc<Hub>> {
        let hubs = self.hubs();
        let mut healthy: Vec<Arc<Hub>> =
            hubs.values().filter(|(hub, _)| hub.is_healthy()).map(|(hub, _)| Arc::clone(hub)).collect();
        healthy.sort_by_key(|hub| std::cmp::Reverse(hub.index()));
        healthy
    }

    /// A healthy node for one that has seen everything up to an entry; `None` if there is none.
    pub(super) fn pick(&self, seen: Index) -> Option<Arc<Hub>> {
        let hubs = self.hubs();
        let healthy: Vec<&Arc<Hub>> = hubs.values().map(|(hub, _)| hub).filter(|hub| hub.is_healthy()).collect();
        let current: Vec<&Arc<Hub>> = healthy.iter().copied().filter(|hub| hub.index() >= seen).collect();
        let among = if current.is_empty() { healthy } else { current };
        let in_turn = || among.get(self.next.fetch_add(1, Ordering::Relaxed) % among.len().max(1)).copied();
        let picked = match self.strategy {
            Strategy::RoundRobin => in_turn(),
            Strategy::LeastConnections => among.iter().copied().min_by_key(|hub| hub.connections()),
            Strategy::Leader => {
                let leader = self.leader();
                among.iter().copied().find(|hub| Some(hub.node) == leader).or_else(in_turn)
            }
        };
        picked.cloned()
    }

    /// Waits for a healthy node; `None` if there is none by the deadline.
    pub(super) async fn place(&self, seen: Index, deadline: Instant) -> Option<Arc<Hub>> {
        let mut changes = self.changes.subscribe();
        loop {
            changes.mark_unchanged();
            if let Some(hub) = self.pick(seen) {
                return Some(hub);
            }
            timeout_at(deadline, changes.changed()).await.ok()?.ok()?;
        }
    }

    /// Says when a node may have become healthy.
    pub(super) fn changes(&self) -> watch::Receiver<()> {
        self.changes.subscribe()
    }

    /// What a node last told of its role.
    pub(super) fn role(&self, node: NodeId) -> Option<RoleKind> {
        self.lab.state().nodes.get(&node)?.role.map(|role| role.role)
    }

    /// What people may know of the nodes.
    pub(super) fn report(&self) -> Vec<CanvasNode> {
        let reports: Vec<CanvasNode> = self.hubs().values().map(|(hub, _)| hub.report()).collect();
        reports.into_iter().map(|report| CanvasNode { role: self.role(report.node), ..report }).collect()
    }

    fn leader(&self) -> Option<NodeId> {
        let state = self.lab.state();
        leader_told(&state.nodes, &state.running()).map(|(leader, _)| leader)
    }

    /// Lets there be a hub for each node of the lab, and no others.
    fn renew(&self) {
        let ids = self.lab.state().ids();
        let mut hubs = self.hubs();
        hubs.retain(|id, (_, task)| {
            let stays = ids.contains(id);
            if !stays {
                task.abort();
            }
            stays
        });
        for id in ids {
            hubs.entry(id).or_insert_with(|| {
                let hub = Arc::new(Hub::new(id, self.size));
                let task = tokio::spawn(Arc::clone(&hub).keep(Arc::clone(&self.lab), self.changes.clone()));
                (hub, task.abort_handle())
            });
        }
    }

    fn hubs(&self) -> MutexGuard<'_, BTreeMap<NodeId, (Arc<Hub>, AbortHandle)>> {
        self.hubs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
