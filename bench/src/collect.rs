//! The evidence of a run: every node's committed log, for the judges.
//!
//! Nodes discard what their snapshots stand for, so the logs are best read while they grow ([`Following`]); a short run
//! can do with reading them at its end ([`collect`]).
//!
//! Invariant: a node whose log cannot be read leaves none, and the judges are told that it took part; nothing is
//! judged better than it was seen. A node that was removed in the course of a run counts as far as it was read, and its end
//! shows nothing.

mod first;
mod follow;
mod followed;
mod recording;

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Context as _;
use raftian_check::apps::Snapshot;
use raftian_check::{Operation, ReplicaLog, Report, Setup, Verdict, judge_after};
use raftian_rpc::condition::Condition;
use raftian_rpc::control::{LogPage, MAX_LOG_PAGE};
use raftian_rpc::lab::{LabClient as _, LabStatus};
use raftian_rpc::selector::Selector;
use raftian_rpc::{Index, NodeId};
use serde::Serialize;

pub use self::follow::Following;
use self::follow::Read;

pub(crate) use self::followed::{Followed, Wanted};
use crate::lab::{Lab, told};
use crate::run::LogFiles;

/// Why a log cannot be judged that was never read as far as its node had it committed.
const NO_STANDING: &str = "its log was not read as far as the node had it committed";

/// What the nodes of a lab left behind.
#[derive(Clone, Debug, Serialize)]
pub struct Evidence {
    /// What is known of the lab.
    pub setup: Setup,
    /// What the logs begin after, if the nodes had discarded their first entries before the run.
    pub snapshot: Option<Snapshot>,
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
    let converged = converged(lab, timeout).await;
    read_all(lab, Read::default(), history_is_complete, converged).await
}

/// The same, where an engine that moves the nodes by hand has read the logs along; they are kept in files if there are any.
///
/// # Errors
/// Those of [`collect()`].
pub(crate) async fn collect_after(
    lab: &Lab,
    mut logs: BTreeMap<NodeId, Followed>,
    mut files: Option<LogFiles>,
    timeout: Duration,
) -> anyhow::Result<Evidence> {
    let converged = converged(lab, timeout).await;
    if let Some(files) = &mut files {
        logs.iter_mut().for_each(|(node, log)| files.keep(*node, log));
    }
    read_all(lab, Read { snapshot: None, logs, files }, true, converged).await
}

impl Following {
    /// Waits until the nodes agree, reads the rest of their logs, and adds it to what was read before; in all else like
    /// [`collect()`].
    ///
    /// # Errors
    /// Those of [`collect()`].
    pub async fn collect(self, lab: &Lab, history_is_complete: bool, timeout: Duration) -> anyhow::Result<Evidence> {
        let converged = converged(lab, timeout).await;
        read_all(lab, self.end().await?, history_is_complete, converged).await
    }
}

async fn converged(lab: &Lab, timeout: Duration) -> Result<u64, String> {
    match lab.wait(Condition::Converged, timeout).await {
        Ok(report) => Ok(report.after_ms),
        Err(error) => Err(error.to_string()),
    }
}

/// Reads what is left to read of all logs.
async fn read_all(
    lab: &Lab,
    read: Read,
    history_is_complete: bool,
    converged: Result<u64, String>,
) -> anyhow::Result<Evidence> {
    let Read { snapshot, logs: mut followed, mut files } = read;
    let mut setup = setup(&lab.status().await?, history_is_complete)?;
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
        let mut log = followed.remove(&node).unwrap_or_default();
        let rest = read_rest(&mut log, page).await?;
        if let Some(files) = &mut files {
            files.keep(node, &mut log);
        }
        match (rest, log.into_replica(node, false)) {
            (Ok(()), Some(replica)) => replicas.push(replica),
            (Ok(()), None) => {
                silent.insert(node, NO_STANDING.to_owned());
            }
            (Err(reason), _) => {
                silent.insert(node, reason);
            }
        }
    }
    for (removed, log) in followed {
        if let Some(replica) = log.into_replica(removed, true) {
            setup.nodes.push(removed);
            replicas.push(replica);
        }
    }
    if let Some(files) = files {
        files.end().context("the logs could not be kept")?;
    }
    Ok(Evidence { setup, snapshot, replicas, silent, converged })
}

impl Evidence {
    /// What the judges find in the logs and a history together.
    pub fn judge(&self, history: &[Operation]) -> Report {
        judge_after(self.snapshot.as_ref(), history, &self.replicas, &self.setup)
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
    let app_options = status.app_options.context("the daemon does not say what the application began with")?;
    let nodes = status.nodes.iter().map(|report| report.node).collect();
    Ok(Setup { app, app_options, nodes, history_is_complete })
}

/// The log of one node from its pages, each asked for by its first index; the inner error says why the node does not
/// answer.
pub(crate) async fn read_log(
    node: NodeId,
    page: impl AsyncFnMut(Index) -> anyhow::Result<Result<LogPage, String>>,
) -> anyhow::Result<Result<ReplicaLog, String>> {
    let mut log = Followed::default();
    let rest = read_rest(&mut log, page).await?;
    Ok(rest.and_then(|()| log.into_replica(node, false).ok_or_else(|| NO_STANDING.to_owned())))
}

/// Reads what is left to read of a log, to its end. The inner error says why that cannot be.
async fn read_rest(
    log: &mut Followed,
    mut page: impl AsyncFnMut(Index) -> anyhow::Result<Result<LogPage, String>>,
) -> anyhow::Result<Result<(), String>> {
    let mut wanted = Wanted::Committed;
    let mut is_tail_begun = false;
    loop {
        let page = match page(log.next()).await? {
            Ok(page) => page,
            Err(reason) => return Ok(Err(reason)),
        };
        if is_tail_begun && page.first_index > log.next() {
            return Ok(Err(format!("it discarded its log up to index {} while that was read", page.first_index - 1)));
        }
        let is_more = log.take_in(&page, wanted)?;
        let is_whole = log.next() > page.last_index;
        match wanted {
            _ if is_whole => return Ok(Ok(())),
            Wanted::Committed if is_more => {}
            Wanted::Committed => wanted = Wanted::All,
            Wanted::All if is_more => is_tail_begun = true,
            Wanted::All => {
                return Ok(Err(format!("its log ends at index {}, and {} was not given", page.last_index, log.next())));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use raftian_rpc::control::LogLine;

    use super::*;

    /// What a node says that has discarded all that it committed.
    fn page(node: NodeId, committed: Index) -> LogPage {
        LogPage {
            node,
            snapshot_index: committed,
            snapshot_term: 1,
            first_index: committed + 1,
            last_index: committed,
            durable_index: committed,
            commit_index: committed,
            last_applied: committed,
            digest: format!("{committed:016x}"),
            entries: Vec::new(),
        }
    }

    #[tokio::test]
    async fn logs_that_were_discarded_unread_do_not_show_that_nothing_was_committed() {
        let nodes: Vec<NodeId> = NodeId::first(3).collect();
        let mut replicas = Vec::new();
        for &node in &nodes {
            let mut log = Followed::default();
            log.take_in(&page(node, 0), Wanted::Committed).unwrap();
            read_rest(&mut log, async |_| Ok(Ok(page(node, 9)))).await.unwrap().unwrap();
            replicas.push(log.into_replica(node, false).unwrap());
        }
        let acknowledged = r#"{"client":"a","serial":1,"op":{"attack":1},"invoked_ns":1,"completed_ns":2,
            "outcome":{"ok":{"index":5,"response":{"outcome":"hit","player":1,"hp":70}}}}"#;
        let setup =
            Setup { app: Default::default(), app_options: Default::default(), nodes, history_is_complete: true };
        let report = judge_after(None, &[serde_json::from_str(acknowledged).unwrap()], &replicas, &setup);
        assert_eq!(report.verdict, Verdict::Unknown, "{:?}", report.findings);
    }

    #[tokio::test]
    async fn a_log_that_is_discarded_while_its_end_is_read_is_no_evidence() {
        let node = NodeId::first(1).next().unwrap();
        // Entries up to 15, of which those up to 9 are committed and discarded.
        let tail = LogPage { last_index: 15, ..page(node, 9) };
        let mut pages = [tail.clone(), LogPage { entries: lines(10..12), ..tail }, page(node, 20)].into_iter();
        let mut log = Followed::default();
        let rest = read_rest(&mut log, async |_| Ok(Ok(pages.next().unwrap()))).await.unwrap();
        assert_eq!(rest.unwrap_err(), "it discarded its log up to index 20 while that was read");
    }

    fn lines(indexes: std::ops::Range<Index>) -> Vec<LogLine> {
        let line = |index| LogLine { index, term: 1, command: None, configuration: None };
        indexes.map(line).collect()
    }
}
