//! The evidence of a run: every node's committed log, for the judges.
//!
//! Invariant: a node whose log cannot be read leaves none, and the judges are told that it took part; nothing is
//! judged better than it was seen.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Context as _;
use raftian_check::apps::{Digest, Entry, Payload};
use raftian_check::{Operation, ReplicaLog, Report, Setup, Verdict, judge};
use raftian_rpc::condition::Condition;
use raftian_rpc::control::{LogLine, LogPage, MAX_LOG_PAGE};
use raftian_rpc::lab::{LabClient as _, LabStatus};
use raftian_rpc::selector::Selector;
use raftian_rpc::{Index, NodeId};
use serde::Serialize;

use crate::lab::{Lab, told};

/// What the nodes of a lab left behind.
#[derive(Clone, Debug, Serialize)]
pub struct Evidence {
    /// What is known of the lab.
    pub setup: Setup,
    /// The logs of the nodes that could be read.
    pub replicas: Vec<ReplicaLog>,
    /// Why the other nodes' logs could not be.
    pub silent: BTreeMap<NodeId, String>,
    /// How long the running nodes took to have the same state, in milliseconds; or what was missing.
    pub converged: Result<u64, String>,
}

/// Waits until the nodes agree and reads their logs.
///
/// `history_is_complete`: whether the history to be judged will have every operation of each client it names.
/// That the nodes do not agree within `timeout` is no error here: see [`Evidence::converged`].
///
/// # Errors
/// When the daemon does not answer, or a log is not what a log should be.
pub async fn collect(lab: &Lab, history_is_complete: bool, timeout: Duration) -> anyhow::Result<Evidence> {
    let converged = match lab.wait(Condition::Converged, timeout).await {
        Ok(report) => Ok(report.after_ms),
        Err(error) => Err(error.to_string()),
    };
    let setup = setup(&lab.status().await?, history_is_complete)?;
    let (mut replicas, mut silent) = (Vec::new(), BTreeMap::new());
    for &node in &setup.nodes {
        let page = async |from| {
            let mut report = told(lab.client.log(Selector::node(node), from, MAX_LOG_PAGE).await)?;
            match (report.silent.remove(&node), report.pages.pop()) {
                (Some(reason), _) => Ok(Err(reason)),
                (None, Some(page)) => Ok(Ok(page)),
                (None, None) => Err(anyhow::anyhow!("the daemon sent no page of {node}'s log")),
            }
        };
        match read_log(page).await? {
            Ok(replica) => replicas.push(replica),
            Err(reason) => {
                silent.insert(node, reason);
            }
        }
    }
    Ok(Evidence { setup, replicas, silent, converged })
}

impl Evidence {
    /// What the judges find in the logs and a history together.
    pub fn judge(&self, history: &[Operation]) -> Report {
        judge(history, &self.replicas, &self.setup)
    }

    /// The verdict on the run: the report's, but never valid while nodes that should agree by now do not. The judges
    /// do not wait, so they cannot see that.
    pub fn verdict(&self, report: &Report) -> Verdict {
        match (&self.converged, report.verdict) {
            (Err(_), Verdict::Valid) => Verdict::Unknown,
            (_, verdict) => verdict,
        }
    }
}

fn setup(status: &LabStatus, history_is_complete: bool) -> anyhow::Result<Setup> {
    let app = status.app.context("this lab was never started, so there is nothing to judge")?;
    let players = status.players.context("the daemon does not say how many players the game began with")?;
    let nodes = status.nodes.iter().map(|report| report.node).collect();
    Ok(Setup { app, players, nodes, history_is_complete })
}

/// The log of one node from its pages, each asked for by its first index; the inner error says why the node does not
/// answer.
pub(crate) async fn read_log(
    mut page: impl AsyncFnMut(Index) -> anyhow::Result<Result<LogPage, String>>,
) -> anyhow::Result<Result<ReplicaLog, String>> {
    let mut entries: Vec<Entry> = Vec::new();
    loop {
        let page = match page(entries.len() as u64 + 1).await? {
            Ok(page) => page,
            Err(reason) => return Ok(Err(reason)),
        };
        let read = page.entries.len();
        entries.extend(page.entries.iter().map(entry));
        // The uncommitted tail too: it tells the judges what may yet come. An empty page before the end would never
        // end; the judges will see that the log is too short.
        if entries.len() as u64 >= page.last_index || read == 0 {
            return Ok(Ok(replica(page, entries)?));
        }
    }
}

fn replica(page: LogPage, entries: Vec<Entry>) -> anyhow::Result<ReplicaLog> {
    let digest: Digest =
        page.digest.parse().with_context(|| format!("{} says `{}`, which is no digest", page.node, page.digest))?;
    let LogPage { node, commit_index, last_applied, .. } = page;
    Ok(ReplicaLog { node, commit_index, applied_index: last_applied, digest, entries })
}

fn entry(line: &LogLine) -> Entry {
    let payload = match &line.command {
        Some(command) => Payload::Command(command.get().to_owned().into()),
        None => Payload::Noop,
    };
    Entry { index: line.index, term: line.term, payload }
}
