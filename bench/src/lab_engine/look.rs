//! The nodes of a lab as somebody who watches a scenario sees them.
//!
//! Invariant: nothing changes by a look. A node that does not answer is shown as it was when it last did.

use std::collections::BTreeMap;

use raftian_rpc::NodeId;
use raftian_rpc::control::LogPage;
use raftian_rpc::lab::{LabClient as _, NodeReport, NodeState};
use raftian_script::{Life, MAX_ENTRIES_SEEN, NodeView};

use super::{LabEngine, everyone};
use crate::lab::told;

/// The nodes as they were seen last.
#[derive(Debug, Default)]
pub(super) struct Seen(BTreeMap<NodeId, NodeView>);

impl LabEngine {
    /// All nodes, in order. Where the daemon does not answer, as they were.
    pub(super) async fn see(&mut self) -> Vec<NodeView> {
        let Ok(status) = self.lab.status().await else { return self.seen.all() };
        let last = status.nodes.iter().filter_map(|node| Some(node.server.as_ref()?.last_index)).max().unwrap_or(0);
        let from = (last + 1).saturating_sub(MAX_ENTRIES_SEEN as u64).max(1);
        let pages = match told(self.lab.client.log(everyone(), from, MAX_ENTRIES_SEEN as u64).await) {
            Ok(report) => report.pages.into_iter().map(|page| (page.node, page)).collect(),
            Err(_) => BTreeMap::new(),
        };
        self.seen.take(&status.nodes, &pages);
        self.seen.all()
    }
}

impl Seen {
    fn all(&self) -> Vec<NodeView> {
        self.0.values().cloned().collect()
    }

    fn take(&mut self, reports: &[NodeReport], pages: &BTreeMap<NodeId, LogPage>) {
        self.0.retain(|id, _| reports.iter().any(|report| report.node == *id));
        for report in reports {
            match (&report.server, pages.get(&report.node)) {
                (Some(server), Some(page)) => {
                    let state = Life::Up(server.role);
                    let first_index = page.entries.first().map_or(page.last_index + 1, |entry| entry.index);
                    let view = NodeView {
                        node: report.node,
                        state,
                        term: server.term,
                        snapshot_index: page.snapshot_index,
                        first_index,
                        terms: page.entries.iter().map(|entry| entry.term).collect(),
                        commit_index: page.commit_index,
                    };
                    self.0.insert(report.node, view);
                }
                _ => {
                    if let Some(view) = self.0.get_mut(&report.node) {
                        view.state = match (report.state, view.state) {
                            (NodeState::Paused, Life::Up(role) | Life::Paused(role)) => Life::Paused(role),
                            (NodeState::Running, was) => was,
                            _ => Life::Down,
                        };
                    }
                }
            }
        }
    }
}
