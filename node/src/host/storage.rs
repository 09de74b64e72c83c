//! The storage thread, which writes and syncs the log.
//!
//! It takes all writes that have been queued while it was busy and syncs them once: the batch grows with the load, and
//! no write waits for a timer (group commit).
//!
//! Invariant: after the first error nothing more is written or reported.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use raftian_faults::CrashPoint;
use raftian_raft::{Discard, Index, Persist, Snapshot, Write};
use raftian_rpc::clock;
use raftian_rpc::control::NodeConfig;
use raftian_wal::{Disk, Recovered, Stager, Wal, WalError};
use tokio::sync::mpsc;

use crate::faults::Faults;
use crate::host::disk::NodeDisk;
use crate::host::inbox::{Inbox, Input};
use crate::parent;
use crate::planted::planted;

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
    figures: Arc<Figures>,
    stager: Stager<NodeDisk>,
    faults: Arc<Faults>,
}

/// What the thread says of its work.
#[derive(Debug, Default)]
struct Figures {
    syncs: AtomicU64,
    /// An average in which each sync weighs an eighth.
    average_us: AtomicU64,
    /// The last sync, and when it ended on the monotonic clock.
    last_us: AtomicU64,
    last_ns: AtomicU64,
}

/// After so long without a sync nobody knows how fast the disk is.
const LATELY_NS: u64 = 10_000_000_000;

impl Figures {
    /// A batch was written and synced, or failed, since then; so many syncs were done in all.
    fn note(&self, began: Instant, syncs: u64) {
        self.syncs.store(syncs, Ordering::Relaxed);
        let took_us = began.elapsed().as_micros() as u64;
        let average_us = match self.average_us.load(Ordering::Relaxed) {
            0 => took_us,
            before_us => (7 * before_us + took_us) / 8,
        };
        self.average_us.store(average_us, Ordering::Relaxed);
        self.last_us.store(took_us, Ordering::Relaxed);
        self.last_ns.store(clock::monotonic_ns(), Ordering::Relaxed);
    }
}

/// Opens the log of a node on a disk. If there is none, creates one, or fails if one is expected there.
pub(crate) fn open(disk: NodeDisk, config: &NodeConfig) -> Result<Opened, String> {
    let node = config.id;
    if config.expects_log && !raftian_wal::is_begun(&disk).map_err(|error| error.to_string())? {
        return Err(format!(
            "the log in {} is gone, and with it this node's votes and promises; it must not take part again as if it \
             had made none: put the log back, or remove the node from the cluster and add a new one",
            disk.folder().display()
        ));
    }
    let syncs = disk.syncs();
    let mut options = raftian_wal::Options::default();
    planted().in_log(&mut options);
    let (wal, recovered) = Wal::open_with(disk, node, options).map_err(|error| error.to_string())?;
    Ok(Opened { wal, syncs, recovered })
}

impl Storage {
    /// Starts the thread, of a log that ends with this index. It reports to `inbox`, and counts syncs if `counts`.
    pub(crate) fn start(
        wal: Wal<NodeDisk>,
        last_index: Index,
        counts: bool,
        faults: Arc<Faults>,
        inbox: Inbox,
    ) -> std::io::Result<Storage> {
        let (queue, writes) = mpsc::unbounded_channel();
        let figures = Arc::new(Figures::default());
        let noted = Arc::clone(&figures);
        let note = move |began, syncs| noted.note(began, if counts { syncs } else { 0 });
        let stager = wal.stager();
        let log = Log { wal, faults: Arc::clone(&faults), last_index, has_entries: false, has_vote: false };
        let thread = thread::Builder::new().name("storage".into()).spawn(move || serve(log, writes, &inbox, note))?;
        Ok(Storage { queue, thread, figures, stager, faults })
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

    /// The faults of its disk and its process.
    pub(crate) fn faults(&self) -> &Arc<Faults> {
        &self.faults
    }

    /// How many times the log has been synced.
    pub(crate) fn syncs(&self) -> u64 {
        self.figures.syncs.load(Ordering::Relaxed)
    }

    /// How long a write and its sync took lately, in microseconds; 0 if there was none. One fast sync ends the time of
    /// slow ones.
    pub(crate) fn sync_us(&self) -> u64 {
        let Figures { average_us, last_us, last_ns, .. } = &*self.figures;
        let is_recent = last_ns.load(Ordering::Relaxed) + LATELY_NS >= clock::monotonic_ns();
        if is_recent { average_us.load(Ordering::Relaxed).min(last_us.load(Ordering::Relaxed)) } else { 0 }
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

/// The log, with the crash points around its syncs.
struct Log<D: Disk> {
    wal: Wal<D>,
    faults: Arc<Faults>,
    /// The last index of the log, and whether entries or a vote were written since the last sync.
    last_index: Index,
    has_entries: bool,
    has_vote: bool,
}

impl<D: Disk> raftian_raft::Storage for Log<D> {
    type Error = WalError;

    fn append(&mut self, write: &Write) -> Result<(), WalError> {
        if write.discard == Some(Discard::All) {
            self.last_index = write.snapshot.as_ref().map_or(self.last_index, Snapshot::last_index);
        }
        self.last_index = write.entries.last().map_or(self.last_index, |entry| entry.index);
        self.has_entries |= !write.entries.is_empty();
        self.has_vote |= write.hard_state.is_some_and(|hard_state| hard_state.voted_for.is_some());
        self.wal.append(write)
    }

    fn sync(&mut self) -> Result<(), WalError> {
        self.faults.reach(CrashPoint::BeforeSync, self.last_index);
        self.wal.sync()?;
        if std::mem::take(&mut self.has_vote) {
            self.faults.reach(CrashPoint::AfterVote, self.last_index);
        }
        if std::mem::take(&mut self.has_entries) {
            self.faults.reach(CrashPoint::AfterAppend, self.last_index);
        }
        Ok(())
    }
}

fn serve<D: Disk>(
    mut log: Log<D>,
    mut writes: mpsc::UnboundedReceiver<Persist>,
    inbox: &Inbox,
    note: impl Fn(Instant, u64),
) {
    let panic_report = PanicReport(inbox.clone());
    while let Some(first) = writes.blocking_recv() {
        let mut batch = vec![first];
        while let Ok(next) = writes.try_recv() {
            batch.push(next);
        }
        let began = Instant::now();
        let outcome = Persist::sync_all(batch, &mut log);
        note(began, log.wal.syncs());
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
    if let Err(error) = log.wal.close() {
        parent::complain(&format!("the log was not closed in order: {error}"));
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::time::Duration;

    use raftian_raft::{Configuration, NodeId, Options, Recovered as Durable, Server, Time};
    use raftian_wal::{DiskFile, MemDisk, MemFile};

    use super::*;

    /// How long each sync of [`SlowDisk`] takes.
    const SYNC: Duration = Duration::from_millis(3);

    #[derive(Clone, Debug)]
    struct SlowDisk(MemDisk);

    #[derive(Debug)]
    struct SlowFile(MemFile);

    impl Disk for SlowDisk {
        type File = SlowFile;

        fn list(&self) -> io::Result<Vec<String>> {
            self.0.list()
        }

        fn read(&self, file: &str) -> io::Result<Vec<u8>> {
            self.0.read(file)
        }

        fn create(&mut self, file: &str) -> io::Result<SlowFile> {
            self.0.create(file).map(SlowFile)
        }

        fn open(&mut self, file: &str) -> io::Result<SlowFile> {
            self.0.open(file).map(SlowFile)
        }

        fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
            self.0.rename(from, to)
        }

        fn remove(&mut self, file: &str) -> io::Result<()> {
            self.0.remove(file)
        }
    }

    impl DiskFile for SlowFile {
        fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
            self.0.write_at(offset, bytes)
        }

        fn sync(&mut self) -> io::Result<()> {
            thread::sleep(SYNC);
            self.0.sync()
        }
    }

    #[test]
    fn the_time_that_a_sync_takes_is_reported() {
        let id = NodeId::new(1).unwrap();
        let (wal, _) = Wal::open(SlowDisk(MemDisk::default()), id).unwrap();
        let mut server =
            Server::new(Options::new(id, Configuration::new([id]), 7), Durable::default(), Time::default());
        server.tick(server.deadline());
        let (queue, writes) = mpsc::unbounded_channel();
        queue.send(server.ready().persist.expect("its vote")).unwrap();
        drop(queue);
        let figures = Figures::default();
        let (inbox, mut inputs) = mpsc::unbounded_channel();
        let faults = Arc::new(Faults::new(id, std::path::PathBuf::new()));
        let log = Log { wal, faults, last_index: 0, has_entries: false, has_vote: false };
        serve(log, writes, &inbox, |began, syncs| figures.note(began, syncs));
        assert!(matches!(inputs.try_recv(), Ok(Input::Persisted(all)) if all.len() == 1));
        assert!(figures.average_us.load(Ordering::Relaxed) >= SYNC.as_micros() as u64);
    }
}
