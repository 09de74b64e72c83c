//! The storage thread, which writes and syncs the log.
//!
//! It takes all writes that have been queued while it was busy and syncs them once: the batch grows with the load, and
//! no write waits for a timer (group commit).
//!
//! Invariant: after the first error nothing more is written or reported.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{self, JoinHandle};

use raftian_raft::{NodeId, Persist};
use raftian_wal::{Recovered, Stager, Wal};
use tokio::sync::mpsc;

use crate::host::disk::NodeDisk;
use crate::host::inbox::{Inbox, Input};
use crate::parent;

/// An open log, with its recovered content.
pub(crate) struct Opened {
    pub(crate) wal: Wal<NodeDisk>,
    /// Whether its syncs are real, so that they are counted.
    pub(crate) syncs: bool,
    pub(crate) recovered: Recovered,
}

/// The host's end of the storage thread.
#[derive(Debug)]
pub(crate) struct Storage {
    queue: mpsc::UnboundedSender<Persist>,
    thread: JoinHandle<()>,
    syncs: Arc<AtomicU64>,
    stager: Stager<NodeDisk>,
}

/// Opens the log of a node on a disk. If there is none, creates one, or fails if one is expected there.
pub(crate) fn open(disk: NodeDisk, node: NodeId, expects_log: bool) -> Result<Opened, String> {
    if expects_log && !raftian_wal::is_begun(&disk).map_err(|error| error.to_string())? {
        return Err(format!(
            "the log in {} is gone, and with it this node's votes and promises; it must not take part again as if it \
             had made none: put the log back, or have the others forget the node and take it in as a new one \
             (`raftianctl member remove {node} && raftianctl member add {node}`)",
            disk.folder().display()
        ));
    }
    let syncs = disk.syncs();
    let (wal, recovered) = Wal::open(disk, node).map_err(|error| error.to_string())?;
    Ok(Opened { wal, syncs, recovered })
}

impl Storage {
    /// Starts the thread. It reports to `inbox`, and counts syncs if `counts`.
    pub(crate) fn start(wal: Wal<NodeDisk>, counts: bool, inbox: Inbox) -> std::io::Result<Storage> {
        let (queue, writes) = mpsc::unbounded_channel();
        let syncs = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&syncs);
        let count = move |syncs| counter.store(if counts { syncs } else { 0 }, Ordering::Relaxed);
        let stager = wal.stager();
        let thread = thread::Builder::new().name("storage".into()).spawn(move || serve(wal, writes, &inbox, count))?;
        Ok(Storage { queue, thread, syncs, stager })
    }

    /// Queues a write.
    pub(crate) fn persist(&self, persist: Persist) {
        // A thread that has ended has reported why, and the host will read that next.
        let _ = self.queue.send(persist);
    }

    /// A handle that writes snapshots beside the log. The thread does not wait for it, nor it for the thread, except
    /// while both write the same file.
    pub(crate) fn stager(&self) -> Stager<NodeDisk> {
        self.stager.clone()
    }

    /// How many times the log has been synced.
    pub(crate) fn syncs(&self) -> u64 {
        self.syncs.load(Ordering::Relaxed)
    }

    /// Writes what is queued and closes the log.
    pub(crate) fn close(self) {
        drop(self.queue);
        // A panic in the thread is printed by the thread; there is nothing to add.
        let _ = self.thread.join();
    }
}

/// Reports when the thread ends by a panic: a node must not continue without its disk.
struct PanicReport(Inbox);

impl PanicReport {
    fn disarm(self) {
        std::mem::forget(self);
    }
}

impl Drop for PanicReport {
    fn drop(&mut self) {
        let reason = "the storage thread panicked; stderr.log has the message".to_owned();
        // A host that has ended needs no report.
        let _ = self.0.send(Input::StorageFailed(reason));
    }
}

fn serve(mut wal: Wal<NodeDisk>, mut writes: mpsc::UnboundedReceiver<Persist>, inbox: &Inbox, count: impl Fn(u64)) {
    let panic_report = PanicReport(inbox.clone());
    while let Some(first) = writes.blocking_recv() {
        let mut batch = vec![first];
        while let Ok(next) = writes.try_recv() {
            batch.push(next);
        }
        let outcome = Persist::sync_all(batch, &mut wal);
        count(wal.syncs());
        let (input, failed) = match outcome {
            Ok(persisted) => (Input::Persisted(persisted), false),
            Err(error) => (Input::StorageFailed(error.to_string()), true),
        };
        // Without a host no message leaves, so none can leave too early.
        if inbox.send(input).is_err() || failed {
            return panic_report.disarm();
        }
    }
    panic_report.disarm();
    if let Err(error) = wal.close() {
        parent::complain(&format!("the log was not closed in order: {error}"));
    }
}
