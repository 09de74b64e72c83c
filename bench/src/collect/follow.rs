//! Reading the logs of a lab while something runs, since nodes discard what their snapshots stand for.
//!
//! Invariant: of all nodes, the one that has been read furthest is read often enough to miss nothing; the others are
//! read at leisure, so that watching costs little. When it falls silent another one is furthest before long.
//!
//! Deliberately absent: the end of the run; see [`collect`](super).

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use raftian_check::apps::Snapshot;
use raftian_rpc::NodeId;
use raftian_rpc::connect::{self, Http};
use raftian_rpc::control::{ControlClient as _, MAX_LOG_PAGE};
use raftian_rpc::secret::Secret;
use tokio::task::JoinHandle;

use super::first;
use super::followed::{Followed, Wanted};
use crate::lab::Lab;

/// How often the node that has been read furthest is read: well within the time for which entries are kept.
const OFTEN: Duration = Duration::from_millis(100);

/// How often the others are.
const AT_LEISURE: Duration = Duration::from_secs(1);

/// How often the daemon is asked which nodes there are.
const ADDRESS_CHECK: Duration = Duration::from_millis(300);

/// How long a node may take over a page.
const PATIENCE: Duration = Duration::from_secs(2);

/// The logs of a lab, read as they grow. Dropping it ends that.
#[derive(Debug)]
pub struct Following {
    snapshot: Option<Snapshot>,
    logs: Arc<Logs>,
    task: JoinHandle<()>,
}

/// What was read of the logs of a run.
#[derive(Debug, Default)]
pub(super) struct Read {
    /// What stands for the entries that were gone when the run began.
    pub(super) snapshot: Option<Snapshot>,
    /// The logs, as far as they were read.
    pub(super) logs: BTreeMap<NodeId, Followed>,
}

/// What was read so far.
#[derive(Debug, Default)]
struct Logs(Mutex<BTreeMap<NodeId, Followed>>);

/// A task that ends when nobody holds it any more.
struct Reader {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl Following {
    /// Begins to read the logs of all nodes, those that are added later too.
    ///
    /// # Errors
    /// When the daemon does not answer.
    pub async fn begin(lab: &Lab) -> anyhow::Result<Following> {
        let snapshot = first::snapshot(&lab.status().await?);
        let logs = Arc::new(Logs::default());
        let task = tokio::spawn(follow_all(lab.clone(), Arc::clone(&logs)));
        Ok(Following { snapshot, logs, task })
    }

    /// Ends it, and gives what was read.
    pub(super) fn end(mut self) -> Read {
        self.task.abort();
        Read { snapshot: self.snapshot.take(), logs: std::mem::take(&mut self.logs.lock()) }
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Logs {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<NodeId, Followed>> {
        // Nothing that holds the lock can panic half-way.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether no other node has been read further.
    fn is_furthest(&self, node: NodeId) -> bool {
        let logs = self.lock();
        let furthest = logs.values().map(Followed::next).max().unwrap_or(1);
        logs.get(&node).map_or(1, Followed::next) == furthest
    }
}

/// Keeps a reader for each node, at the address that it has now.
async fn follow_all(lab: Lab, logs: Arc<Logs>) {
    let mut readers: BTreeMap<NodeId, Reader> = BTreeMap::new();
    loop {
        // A daemon that does not answer now is asked again; its nodes are read all the same.
        if let Ok(addresses) = lab.addresses().await {
            readers.retain(|node, reader| addresses.contains(&(*node, reader.address)));
            for (node, address) in addresses {
                let logs = || Arc::clone(&logs);
                let secret = || lab.secret.clone();
                let begin = || Reader { address, task: tokio::spawn(read(node, address, secret(), logs())) };
                readers.entry(node).or_insert_with(begin);
            }
        }
        tokio::time::sleep(ADDRESS_CHECK).await;
    }
}

/// Reads the log of one node, again and again.
async fn read(node: NodeId, address: SocketAddr, secret: Secret, logs: Arc<Logs>) {
    let Ok(client) = connect::http(address, &secret, PATIENCE) else { return };
    loop {
        // More than a page at once is for the one that must miss nothing.
        while page(node, &client, &logs).await && logs.is_furthest(node) {}
        let pause = if logs.is_furthest(node) { OFTEN } else { AT_LEISURE };
        tokio::time::sleep(pause).await;
    }
}

/// Reads a page, and says whether there is more to read.
async fn page(node: NodeId, client: &Http, logs: &Logs) -> bool {
    let next = logs.lock().get(&node).map_or(1, Followed::next);
    let Ok(page) = client.log(next, MAX_LOG_PAGE).await else { return false };
    // One that makes no sense is met again at the end of the run, where it can be told to somebody.
    logs.lock().entry(node).or_default().take_in(&page, Wanted::Committed).unwrap_or(false)
}
