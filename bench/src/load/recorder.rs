//! Everything a load has seen so far, shared by its sessions and whoever watches.
//!
//! Invariant: an operation is on its way to the history file before anyone can read it here, and `history` and
//! `samples` have one item for each, in the same order.
//!
//! Deliberately absent: statistics; see [`summary`](crate::summary).

use std::io;
use std::sync::{Mutex, MutexGuard};

use raftian_check::{Operation, Outcome};
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

use crate::run::HistoryFile;

/// The times of one operation, on the machine's monotonic clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sample {
    /// When it should have been sent.
    pub intended_ns: u64,
    /// When it was sent first.
    pub sent_ns: u64,
    /// When its outcome was known, or it was given up.
    pub completed_ns: u64,
    /// How it ended.
    pub kind: OutcomeKind,
}

/// How an operation ended, without the details.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OutcomeKind {
    /// It was acknowledged.
    Ok,
    /// It certainly had no effect.
    Failed,
    /// Nobody told.
    Unknown,
}

impl OutcomeKind {
    /// How it ended, of an outcome.
    pub(crate) fn of(outcome: &Outcome) -> OutcomeKind {
        match outcome {
            Outcome::Ok { .. } => OutcomeKind::Ok,
            Outcome::Failed { .. } => OutcomeKind::Failed,
            Outcome::Unknown { .. } => OutcomeKind::Unknown,
        }
    }
}

impl Sample {
    /// The times of an operation that was kept. One that never completed counts as if it was given up when it was sent.
    pub(crate) fn of(operation: &Operation) -> Sample {
        let Operation { due_ns, invoked_ns, completed_ns, .. } = operation;
        Sample {
            intended_ns: due_ns.unwrap_or(*invoked_ns),
            sent_ns: *invoked_ns,
            completed_ns: completed_ns.unwrap_or(*invoked_ns),
            kind: OutcomeKind::of(&operation.outcome),
        }
    }

    /// From the intended send to the outcome, in microseconds.
    pub fn latency_us(&self) -> u64 {
        self.completed_ns.saturating_sub(self.intended_ns) / 1_000
    }
}

/// How many operations ended how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// Acknowledged.
    pub ok: u64,
    /// Certainly without effect.
    pub failed: u64,
    /// Nobody told.
    pub unknown: u64,
}

/// What a load has seen.
#[derive(Debug)]
pub(crate) struct Recorder {
    seen: Mutex<Seen>,
    file: Option<HistoryFile>,
    acknowledged: Notify,
}

#[derive(Debug, Default)]
struct Seen {
    history: Vec<Operation>,
    samples: Vec<Sample>,
    tally: Tally,
}

impl Recorder {
    pub(crate) fn new(file: Option<HistoryFile>) -> Recorder {
        Recorder { seen: Mutex::default(), file, acknowledged: Notify::new() }
    }

    /// Takes in one operation and its times.
    pub(crate) fn record(&self, operation: Operation, intended_ns: u64, completed_ns: u64) {
        let kind = OutcomeKind::of(&operation.outcome);
        let mut seen = self.lock();
        if let Some(file) = &self.file {
            file.record(&operation);
        }
        seen.samples.push(Sample { intended_ns, sent_ns: operation.invoked_ns, completed_ns, kind });
        seen.history.push(operation);
        match kind {
            OutcomeKind::Ok => seen.tally.ok += 1,
            OutcomeKind::Failed => seen.tally.failed += 1,
            OutcomeKind::Unknown => seen.tally.unknown += 1,
        }
        drop(seen);
        if kind == OutcomeKind::Ok {
            self.acknowledged.notify_waiters();
        }
    }

    pub(crate) fn tally(&self) -> Tally {
        self.lock().tally
    }

    /// Hands what is buffered to the operating system.
    ///
    /// # Errors
    /// The first error of any write so far.
    pub(crate) fn flush(&self) -> io::Result<()> {
        self.file.as_ref().map_or(Ok(()), HistoryFile::flush)
    }

    /// Takes everything out.
    pub(crate) fn take(&self) -> (Vec<Operation>, Vec<Sample>) {
        let mut seen = self.lock();
        (std::mem::take(&mut seen.history), std::mem::take(&mut seen.samples))
    }

    /// The first acknowledged operation that was sent at or after `since_ns`; waits for it.
    pub(crate) async fn acknowledged_since(&self, since_ns: u64) -> Sample {
        let mut from = 0;
        loop {
            let changed = self.acknowledged.notified();
            let (found, end) = self.search(from, since_ns);
            if let Some(sample) = found {
                return sample;
            }
            from = end;
            changed.await;
        }
    }

    /// The acknowledgements from `from_ns` on, as completion times.
    pub(crate) fn completions_since(&self, from_ns: u64) -> Vec<u64> {
        let seen = self.lock();
        let mut times: Vec<u64> =
            seen.samples.iter().filter(|s| s.kind == OutcomeKind::Ok).map(|s| s.completed_ns).collect();
        times.retain(|time| *time >= from_ns);
        times
    }

    fn search(&self, from: usize, since_ns: u64) -> (Option<Sample>, usize) {
        let seen = self.lock();
        let fits = |sample: &&Sample| sample.kind == OutcomeKind::Ok && sample.sent_ns >= since_ns;
        (seen.samples.iter().skip(from).find(fits).copied(), seen.samples.len())
    }

    fn lock(&self) -> MutexGuard<'_, Seen> {
        // Nothing that holds the lock can panic half-way, so a poisoned lock guards whole data.
        self.seen.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}
