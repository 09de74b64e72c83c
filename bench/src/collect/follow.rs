//! Reading the logs of a lab while something runs, since nodes discard what their snapshots stand for.
//!
//! Invariant: the two nodes that have been read furthest are read again before a quarter of what nodes keep can have
//! grown, however fast that is; when one of them falls silent, the other has missed nothing. The rest are read at
//! leisure, so that watching costs little.
//!
//! A thread of its own does the reading: behind the clients of a fast load it would come too late.
//!
//! Deliberately absent: the end of the run; see [`collect`](super).

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::Context as _;
use raftian_check::apps::Snapshot;
use raftian_rpc::NodeId;
use raftian_rpc::connect::{self, Http};
use raftian_rpc::control::{Compaction, ControlClient as _, MAX_LOG_PAGE};
use raftian_rpc::folder::LabFolder;
use raftian_rpc::secret::Secret;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

use super::first;
use super::followed::{Followed, Wanted};
use super::recording::Recording;
use crate::cancel::{Cancel, Canceller, cancel_pair};
use crate::run::LogFiles;
use crate::whereabouts::{News, Whereabouts};

/// How many nodes are read as fast as they grow.
const AHEAD: usize = 2;

/// The longest pause between two looks at one of them: a load that breaks out meanwhile must not get too far.
const OFTEN: Duration = Duration::from_millis(25);

/// The pause between two looks at the others.
const AT_LEISURE: Duration = Duration::from_secs(1);

/// How long a node may take over a page.
const PATIENCE: Duration = Duration::from_secs(2);

/// How long a node may take over all that it has, before it is to discard it.
const CATCH_UP_PATIENCE: Duration = Duration::from_millis(500);

/// The logs of a lab, read as they grow. Dropping it ends that.
#[derive(Debug)]
pub struct Following {
    snapshot: Option<Snapshot>,
    logs: Arc<Logs>,
    whereabouts: Whereabouts,
    reading: Reading,
    /// The end of the thread that reads, and whether messages could be recorded.
    ended: Option<thread::JoinHandle<io::Result<()>>>,
}

/// The thread that reads: dropping it ends that.
#[derive(Debug)]
struct Reading(Canceller);

/// What was read of the logs of a run.
#[derive(Debug, Default)]
pub(super) struct Read {
    /// What stands for the entries that were gone when the run began.
    pub(super) snapshot: Option<Snapshot>,
    /// The logs, as far as they were read.
    pub(super) logs: BTreeMap<NodeId, Followed>,
    /// Where they are kept.
    pub(super) files: Option<LogFiles>,
}

/// What was read so far.
#[derive(Debug, Default)]
struct Logs(Mutex<Kept>);

/// The logs, and the files in which they are kept as they grow.
#[derive(Debug, Default)]
struct Kept {
    logs: BTreeMap<NodeId, Followed>,
    files: Option<LogFiles>,
}

/// A task that ends when nobody holds it any more.
struct Reader {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl Following {
    /// Begins to read the logs of all nodes, those that are added later too, and to keep them in files if there are any;
    /// with messages, if these are to be kept.
    ///
    /// # Errors
    /// When the daemon does not answer, or the system has no thread for it.
    pub async fn begin(whereabouts: &Whereabouts, files: Option<LogFiles>) -> anyhow::Result<Following> {
        let lab = whereabouts.lab();
        let status = lab.status().await?;
        let snapshot = first::snapshot(&status);
        if let (Some(files), Some(snapshot)) = (&files, &snapshot) {
            files.begin_after(snapshot)?;
        }
        let recording = files.as_ref().and_then(LogFiles::for_messages);
        let recording = recording
            .map(|folder| Recording::new(LabFolder::at(&status.folder), lab.secret.clone(), folder.to_owned()));
        let logs = Arc::new(Logs(Mutex::new(Kept { logs: BTreeMap::new(), files })));
        let (canceller, cancel) = cancel_pair();
        let following = follow_all(whereabouts.news(), lab.secret.clone(), Arc::clone(&logs));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.context("the system gives us no event queue")?;
        let news = whereabouts.news();
        let recording = {
            let cancel = cancel.clone();
            async {
                match recording {
                    Some(recording) => recording.run(news, cancel).await,
                    None => Ok(()),
                }
            }
        };
        let read = move || runtime.block_on(async { tokio::join!(until(cancel, following), recording).1 });
        let ended =
            thread::Builder::new().name("log-reader".into()).spawn(read).context("the system gives us no thread")?;
        let (whereabouts, reading) = (whereabouts.clone(), Reading(canceller));
        Ok(Following { snapshot, logs, whereabouts, reading, ended: Some(ended) })
    }

    /// Reads what a node has committed, as far as it answers in time. This is for a node that is to discard its log.
    pub(crate) async fn catch_up(&self, node: NodeId) {
        let named = |(id, _): &(NodeId, SocketAddr)| id.name() == node.name();
        let Some((id, address)) = self.whereabouts.addresses().into_iter().find(named) else { return };
        let Ok(client) = connect::http(address, &self.whereabouts.lab().secret, PATIENCE) else { return };
        let reading = async { while page(id, &client, &self.logs).await.is_more {} };
        // What cannot be read now may have been read elsewhere; if not, the judges say so.
        let _ = timeout(CATCH_UP_PATIENCE, reading).await;
    }

    /// Ends it, and gives what was read.
    ///
    /// # Errors
    /// When messages were to be recorded, and could not be kept.
    pub(super) async fn end(mut self) -> anyhow::Result<Read> {
        self.reading.0.cancel();
        if let Some(ended) = self.ended.take() {
            let ended = tokio::task::spawn_blocking(|| ended.join()).await?;
            ended
                .map_err(|_| anyhow::anyhow!("the reader of logs broke down; this is a defect"))?
                .context("the messages could not be kept")?;
        }
        let Kept { logs, files } = std::mem::take(&mut *self.logs.lock());
        Ok(Read { snapshot: self.snapshot.take(), logs, files })
    }
}

/// What is read from now on is kept no more, so that files can be sealed.
impl Drop for Following {
    fn drop(&mut self) {
        self.logs.lock().files = None;
        self.reading.0.cancel();
        if let Some(ended) = self.ended.take() {
            let _ = ended.join();
        }
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

/// Does something until it is cancelled.
async fn until(cancel: Cancel, work: impl Future<Output = ()>) {
    tokio::select! {
        () = cancel.cancelled() => {}
        () = work => {}
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Logs {
    fn lock(&self) -> MutexGuard<'_, Kept> {
        // Nothing that holds the lock can panic half-way.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether fewer than [`AHEAD`] other nodes have been read further.
    fn is_ahead(&self, node: NodeId) -> bool {
        let logs = &self.lock().logs;
        let reached = (logs.get(&node).map_or(1, Followed::next), node);
        logs.iter().filter(|(other, log)| (log.next(), **other) > reached).count() < AHEAD
    }
}

/// Keeps a reader for each node, at the address that it has now.
async fn follow_all(mut news: watch::Receiver<News>, secret: Secret, logs: Arc<Logs>) {
    let mut readers: BTreeMap<NodeId, Reader> = BTreeMap::new();
    loop {
        let addresses = news.borrow_and_update().addresses.clone();
        readers.retain(|node, reader| addresses.contains(&(*node, reader.address)));
        for (node, address) in addresses {
            let task = || tokio::spawn(read(node, address, secret.clone(), Arc::clone(&logs)));
            readers.entry(node).or_insert_with(|| Reader { address, task: task() });
        }
        if news.changed().await.is_err() {
            return;
        }
    }
}

/// Reads the log of one node, again and again.
async fn read(node: NodeId, address: SocketAddr, secret: Secret, logs: Arc<Logs>) {
    let Ok(client) = connect::http(address, &secret, PATIENCE) else { return };
    let mut looked = Instant::now();
    loop {
        let looks = Instant::now();
        let page = page(node, &client, &logs).await;
        let between = looks - looked;
        looked = looks;
        match logs.is_ahead(node) {
            true if page.is_more => {}
            true => sleep(pause(page.grown, between, looks.elapsed())).await,
            false => sleep(AT_LEISURE).await,
        }
    }
}

/// How long to wait after a look that took so long, if so many entries came `between` it and the one before.
fn pause(grown: u64, between: Duration, took: Duration) -> Duration {
    let quarter = Compaction::default().keep_entries as f64 / 4.0;
    between.mul_f64(quarter / grown.max(1) as f64).saturating_sub(took).min(OFTEN)
}

/// What came of reading a page.
#[derive(Debug, Default)]
struct Page {
    /// By how many entries the log is longer than it was.
    grown: u64,
    /// Whether there is more to read.
    is_more: bool,
}

/// Reads a page.
async fn page(node: NodeId, client: &Http, logs: &Logs) -> Page {
    let next = logs.lock().logs.get(&node).map_or(1, Followed::next);
    let Ok(page) = client.log(next, MAX_LOG_PAGE).await else { return Page::default() };
    let mut kept = logs.lock();
    let Kept { logs, files } = &mut *kept;
    let log = logs.entry(node).or_default();
    // One that makes no sense is met again at the end of the run, where it can be told to somebody.
    let is_more = log.take_in(&page, Wanted::Committed).unwrap_or(false);
    if let Some(files) = files {
        files.keep(node, log);
    }
    // The end of the run may have taken away what was read before this page.
    Page { grown: log.next().saturating_sub(next), is_more }
}

#[cfg(test)]
mod tests {
    use raftian_rpc::control::{LogLine, LogPage};

    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn the_pause_follows_the_growth_down_to_none() {
        assert_eq!(pause(0, 10 * MS, MS), OFTEN, "an idle node is looked at often");
        assert_eq!(pause(1, 1_000 * MS, MS), OFTEN);
        // At 10,000 entries a second a quarter of 1,000 takes 25 ms, of which the look itself has taken five.
        assert_eq!(pause(200, 20 * MS, 5 * MS), 20 * MS);
        assert_eq!(pause(2_500, 25 * MS, MS).as_micros(), 1_500);
        assert_eq!(pause(4_000, 20 * MS, 5 * MS), Duration::ZERO);
    }

    #[test]
    fn two_nodes_are_ahead_and_the_rest_are_not() {
        let [n1, n2, n3]: [NodeId; 3] = [1, 2, 3].map(|number| NodeId::new(number).unwrap());
        let logs = Logs::default();
        assert!([n1, n2, n3].iter().all(|node| logs.is_ahead(*node)), "before anything is read");
        for (node, last) in [(n1, 5), (n2, 9), (n3, 5)] {
            let entry = |index| LogLine { index, term: 1, command: None, configuration: None };
            let page = LogPage {
                node,
                snapshot_index: 0,
                snapshot_term: 0,
                first_index: 1,
                last_index: last,
                durable_index: last,
                commit_index: last,
                last_applied: last,
                digest: format!("{last:016x}"),
                entries: (1..=last).map(entry).collect(),
            };
            logs.lock().logs.entry(node).or_default().take_in(&page, Wanted::Committed).unwrap();
        }
        assert_eq!([n1, n2, n3].map(|node| logs.is_ahead(node)), [false, true, true]);
    }
}
