//! What the judges say of a cluster: its nodes' logs, and what the clients saw.
//!
//! Invariant: nothing is judged better than it was seen: nodes that do not agree in the end leave the verdict open.

use std::time::Duration;

use anyhow::Context as _;
use raftian_check::{Operation, Setup, Verdict, judge};
use raftian_rpc::control::{ControlClient as _, MAX_LOG_PAGE, NodeStatus};
use raftian_rpc::{AppKind, Index};
use tokio::time::{Instant, sleep};

use super::{Cluster, PLAYERS};
use crate::collect::read_log;

/// How long the nodes may take to agree once nothing is asked of them any more.
const CONVERGE: Duration = Duration::from_secs(5);

/// How often nodes are asked whether they agree.
const POLL: Duration = Duration::from_millis(2);

impl Cluster {
    /// Waits until the nodes agree, and gives what the judges find: exactly `valid` if they find nothing, else with the
    /// first finding. All nodes must run.
    ///
    /// # Errors
    /// When a node does not answer, or its log is not what a log should be.
    pub(crate) async fn verdict(&mut self, history: &[Operation], is_complete: bool) -> anyhow::Result<String> {
        let converged = self.converge().await?;
        let mut replicas = Vec::new();
        for node in &self.voters {
            let client = self.client(*node);
            let page = async |from: Index| {
                let page = client.log(from, MAX_LOG_PAGE).await;
                page.map(Ok).with_context(|| format!("{node} does not give its log"))
            };
            replicas.extend(read_log(*node, page).await?);
        }
        let nodes = self.voters.clone();
        let setup =
            Setup { app: AppKind::Attack, app_options: PLAYERS.into(), nodes, history_is_complete: is_complete };
        let report = judge(history, &replicas, &setup);
        Ok(match (report.verdict, report.findings.first()) {
            (Verdict::Valid, _) if converged => Verdict::Valid.to_string(),
            (Verdict::Valid, _) => format!("{}: the nodes do not agree after {CONVERGE:?}", Verdict::Unknown),
            (verdict, Some(finding)) => format!("{verdict}: {finding}"),
            (verdict, None) => verdict.to_string(),
        })
    }

    /// Whether all nodes have applied the same, all of what the longest log has, before they were asked too often.
    async fn converge(&self) -> anyhow::Result<bool> {
        let deadline = Instant::now() + CONVERGE;
        loop {
            let all = self.statuses().await?;
            let end = all.iter().map(|status| status.last_index).max();
            if all.iter().all(|status| Some(status.last_applied) == end && status.commit_index == status.last_applied) {
                return Ok(true);
            }
            if Instant::now() > deadline {
                return Ok(false);
            }
            sleep(POLL).await;
        }
    }

    /// What all nodes are doing.
    ///
    /// # Errors
    /// When one does not answer.
    pub(super) async fn statuses(&self) -> anyhow::Result<Vec<NodeStatus>> {
        let mut all = Vec::new();
        for node in &self.voters {
            all.push(self.status(*node).await?);
        }
        Ok(all)
    }
}
