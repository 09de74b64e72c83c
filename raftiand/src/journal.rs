//! The journal: everything that happened to a lab, in `events.jsonl`, in memory, and on its way to subscribers.
//!
//! Invariant: events are numbered from 1 without gaps, over restarts of the daemon too, and every reader sees them in
//! that order. A disk that is full costs lines of the file, never the daemon.
//!
//! Deliberately absent: syncing; the journal is for people and charts, not for recovery.

use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use raftian_rpc::clock::monotonic_ns;
use raftian_rpc::lab::{Event, Happening};
use tokio::sync::broadcast;

/// How many events are kept in memory.
const REMEMBERED: usize = 10_000;

/// How many events a subscriber may lag behind before it is dropped.
const MAX_LAG: usize = 4_096;

/// How much of the end of an old file is read at start-up: enough for [`REMEMBERED`] events of common size.
const TAIL_BYTES: u64 = 4 * 1024 * 1024;

/// The journal of one lab.
pub(crate) struct Journal {
    inner: Mutex<Inner>,
    live: broadcast::Sender<Event>,
}

struct Inner {
    file: File,
    /// Whether the last write failed, so that the next failure is not announced again.
    failing: bool,
    next_seq: u64,
    recent: VecDeque<Event>,
}

impl Journal {
    /// Opens the journal and goes on numbering where it ends.
    ///
    /// # Errors
    /// When the file cannot be read or written.
    pub(crate) fn open(path: &Path) -> io::Result<Journal> {
        let mut file = OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(path)?;
        let (recent, torn) = read_tail(&mut file)?;
        if torn {
            // A daemon died within a line; a line of its own keeps the next event readable.
            file.write_all(b"\n")?;
        }
        let next_seq = recent.back().map_or(1, |event| event.seq + 1);
        let inner = Mutex::new(Inner { file, failing: false, next_seq, recent });
        Ok(Journal { inner, live: broadcast::Sender::new(MAX_LAG) })
    }

    /// Notes what happens now.
    pub(crate) fn record(&self, what: Happening) {
        self.record_at(monotonic_ns(), what);
    }

    /// Notes what happened at a time that somebody else has read from the monotonic clock.
    pub(crate) fn record_at(&self, at_ns: u64, what: Happening) {
        let unix_ms = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64);
        let mut inner = self.lock();
        let event = Event { seq: inner.next_seq, at_ns, unix_ms, what };
        inner.next_seq += 1;
        inner.write(&event);
        if inner.recent.len() == REMEMBERED {
            inner.recent.pop_front();
        }
        inner.recent.push_back(event.clone());
        // Sent under the lock, so that subscribers see the order of the file. Nobody listening is no error.
        let _ = self.live.send(event);
    }

    /// The last `limit` events, as far as memory reaches.
    pub(crate) fn last(&self, limit: u64) -> Vec<Event> {
        let inner = self.lock();
        let limit = usize::try_from(limit).unwrap_or(usize::MAX).min(inner.recent.len());
        inner.recent.range(inner.recent.len() - limit..).cloned().collect()
    }

    /// Looks at the events in memory, in order.
    pub(crate) fn read<T>(&self, look: impl FnOnce(&[Event]) -> T) -> T {
        look(self.lock().recent.make_contiguous())
    }

    /// The highest number of a fault, as far as memory reaches; 0 if there was none.
    pub(crate) fn last_fault(&self) -> u64 {
        let number = |event: &Event| match &event.what {
            Happening::FaultAdded { fault } => Some(fault.id.0),
            _ => None,
        };
        self.lock().recent.iter().filter_map(number).max().unwrap_or(0)
    }

    /// The events from number `since` on, as far as memory reaches, and a receiver of all that follow.
    pub(crate) fn follow(&self, since: u64) -> (Vec<Event>, broadcast::Receiver<Event>) {
        let inner = self.lock();
        let past = inner.recent.iter().filter(|event| event.seq >= since).cloned().collect();
        (past, self.live.subscribe())
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn write(&mut self, event: &Event) {
        let mut line = serde_json::to_vec(event).expect("events always become JSON");
        line.push(b'\n');
        // After a failure the file may end within a line.
        if self.failing {
            line.insert(0, b'\n');
        }
        match self.file.write_all(&line) {
            Ok(()) => self.failing = false,
            Err(error) if !self.failing => {
                tracing::warn!("events.jsonl cannot be written ({error}); events are kept in memory only until it can");
                self.failing = true;
            }
            Err(_) => {}
        }
    }
}

/// The events at the end of the file, and whether it ends within a line.
fn read_tail(file: &mut File) -> io::Result<(VecDeque<Event>, bool)> {
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(TAIL_BYTES)))?;
    let mut tail = Vec::new();
    file.read_to_end(&mut tail)?;
    let torn = tail.last().is_some_and(|last| *last != b'\n');
    // Lines that are no events are the halves of a torn line or of a file that filled the disk.
    let mut events: VecDeque<Event> =
        tail.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok()).collect();
    while events.len() > REMEMBERED {
        events.pop_front();
    }
    Ok((events, torn))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn numbers(events: &[Event]) -> Vec<u64> {
        events.iter().map(|event| event.seq).collect()
    }

    #[test]
    fn numbers_go_on_after_a_restart_even_behind_a_torn_line() {
        let path = std::env::temp_dir().join(format!("raftiand-journal-{}.jsonl", std::process::id()));
        let _ = fs::remove_file(&path);
        let journal = Journal::open(&path).unwrap();
        journal.record(Happening::DaemonStopped);
        journal.record_at(7, Happening::NodePaused { node: "n1".parse().unwrap() });
        drop(journal);
        OpenOptions::new().append(true).open(&path).unwrap().write_all(b"{\"seq\":3,\"at").unwrap();
        let journal = Journal::open(&path).unwrap();
        journal.record(Happening::DaemonStopped);
        assert_eq!(numbers(&journal.last(100)), [1, 2, 3]);
        assert_eq!(numbers(&journal.last(2)), [2, 3]);
        assert_eq!(journal.last(2)[0].at_ns, 7);
        drop(journal);
        assert_eq!(numbers(&Journal::open(&path).unwrap().last(100)), [1, 2, 3]);
        fs::remove_file(&path).unwrap();
    }

    #[test]
    fn a_full_disk_costs_lines_and_nothing_else() {
        let path = Path::new("/dev/full");
        let file = OpenOptions::new().append(true).open(path).unwrap();
        let inner = Mutex::new(Inner { file, failing: false, next_seq: 1, recent: VecDeque::new() });
        let journal = Journal { inner, live: broadcast::Sender::new(MAX_LAG) };
        journal.record(Happening::DaemonStopped);
        journal.record(Happening::DaemonStopped);
        assert_eq!(numbers(&journal.last(10)), [1, 2]);
    }

    #[test]
    fn a_follower_gets_the_past_and_then_what_happens() {
        let path = std::env::temp_dir().join(format!("raftiand-follow-{}.jsonl", std::process::id()));
        let journal = Journal::open(&path).unwrap();
        journal.record(Happening::DaemonStopped);
        journal.record(Happening::DaemonStopped);
        let (past, mut live) = journal.follow(2);
        assert_eq!(numbers(&past), [2]);
        journal.record(Happening::DaemonStopped);
        assert_eq!(live.try_recv().unwrap().seq, 3);
        fs::remove_file(&path).unwrap();
    }
}
