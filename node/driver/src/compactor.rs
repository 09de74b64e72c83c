//! When a snapshot of the application is taken, by size or on request, and which requests wait for it (§7).
//!
//! A snapshot takes three steps: the state is copied, which is cheap, and another thread encodes it and writes it
//! beside the log, which may take long; the core takes it; storage makes it the snapshot of the log.
//!
//! The log waits for none of these, but the nodes of a lab share processors and disks, so they should not all take a
//! snapshot at once. Their logs grow at the same rate, so the size counter of each node starts with a different value.
//!
//! Invariant: one at a time. The next one begins when the last one is durable or has failed. Each request is answered
//! once.
//!
//! Deliberately absent: the state, which the driver has, and which entries may be discarded, which the core decides.

use raftian_raft::{Entry, LastEntry, NodeId, Persist};

/// The approximate size of an entry in a log without its command, in bytes.
const ENTRY_BYTES: u64 = 32;

/// When a snapshot is taken without a request for one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Compaction {
    /// When the entries since the last snapshot have this many bytes; the first time earlier, by a share that depends
    /// on the node. Never if `None`.
    pub log_bytes: Option<u64>,
    /// When there are this many entries since the last snapshot. Never if `None`.
    pub log_entries: Option<u64>,
    /// How many of the last entries that a snapshot covers are kept, for followers that lack no more than these.
    pub keep_entries: u64,
}

/// A snapshot that is durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SnapshotTaken {
    /// The last entry that it covers.
    pub last: LastEntry,
    /// The size of the application's state, in bytes.
    pub bytes: u64,
    /// How many entries were discarded.
    pub discarded: u64,
}

/// Why a snapshot was not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SnapshotRefused {
    /// It is not possible in the present state.
    Refused(String),
    /// It was begun and failed; the node continues as before.
    Failed(String),
}

/// A pending request for a snapshot.
#[derive(Debug)]
struct Asker<S> {
    keep_entries: u64,
    who: S,
}

/// A snapshot in progress.
#[derive(Debug)]
struct UnderWay<S> {
    askers: Vec<Asker<S>>,
    stage: Stage,
}

/// Its progress.
#[derive(Clone, Copy, Debug)]
enum Stage {
    /// It is being encoded and written.
    Writing,
    /// The core has taken it.
    Taken(SnapshotTaken),
    /// The write with this number contains it.
    Handed(SnapshotTaken, u64),
}

/// Decides when a snapshot is due; see the description of this module.
#[derive(Debug)]
pub(crate) struct Compactor<S> {
    rule: Compaction,
    /// The size in bytes of the entries applied since the last snapshot was begun, plus the node's start value.
    bytes: u64,
    head_start: u64,
    /// The number of the entries applied since then.
    entries: u64,
    /// Requests for the next snapshot.
    asked: Vec<Asker<S>>,
    under_way: Option<UnderWay<S>>,
    /// How many writes were given to storage, and how many of them are durable.
    handed: u64,
    durable: u64,
}

impl<S> Compactor<S> {
    /// For a node that has applied nothing yet and has no snapshot.
    pub(crate) fn new(rule: Compaction, node: NodeId) -> Compactor<S> {
        // Multiples of the golden ratio spread consecutive numbers evenly, whatever their count.
        let part = (u64::from(node.number()).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as u128;
        let head_start = ((u128::from(rule.log_bytes.unwrap_or(0)) * part) >> 32) as u64;
        Compactor {
            rule,
            bytes: head_start,
            head_start,
            entries: 0,
            asked: Vec::new(),
            under_way: None,
            handed: 0,
            durable: 0,
        }
    }

    /// A snapshot of the present state, or a later one, is requested. The last `keep_entries` of the entries that it
    /// covers are kept.
    pub(crate) fn ask(&mut self, keep_entries: u64, who: S) {
        self.asked.push(Asker { keep_entries, who });
    }

    /// How many of the last entries that the snapshot in progress covers are kept: the maximum of all requests.
    pub(crate) fn keeps(&self) -> u64 {
        let askers = self.under_way.iter().flat_map(|under_way| &under_way.askers);
        askers.map(|asker| asker.keep_entries).max().unwrap_or(self.rule.keep_entries)
    }

    /// An entry was applied.
    pub(crate) fn applied(&mut self, entry: &Entry) {
        self.bytes += entry.payload.len() as u64 + ENTRY_BYTES;
        self.entries += 1;
    }

    /// A snapshot has replaced the state.
    pub(crate) fn restored(&mut self) {
        (self.bytes, self.entries) = (self.head_start, 0);
    }

    /// Whether a snapshot must begin now.
    pub(crate) fn is_due(&self) -> bool {
        self.under_way.is_none() && (self.is_large() || !self.asked.is_empty())
    }

    fn is_large(&self) -> bool {
        self.rule.log_bytes.is_some_and(|limit| self.bytes >= limit)
            || self.rule.log_entries.is_some_and(|limit| self.entries >= limit)
    }

    /// A snapshot of the present state begins.
    pub(crate) fn begin(&mut self) {
        // A request may have gone to all nodes at once, so they start with different values again.
        self.bytes = if self.asked.is_empty() { 0 } else { self.head_start };
        self.entries = 0;
        self.under_way = Some(UnderWay { askers: std::mem::take(&mut self.asked), stage: Stage::Writing });
    }

    /// The core has taken the snapshot in progress.
    pub(crate) fn taken(&mut self, taken: SnapshotTaken) {
        if let Some(under_way) = &mut self.under_way {
            under_way.stage = Stage::Taken(taken);
        }
    }

    /// The snapshot in progress has failed. Returns the requests that waited for it.
    pub(crate) fn failed(&mut self) -> impl Iterator<Item = S> + use<S> {
        self.under_way.take().into_iter().flat_map(|under_way| under_way.askers).map(|asker| asker.who)
    }

    /// A write is given to storage. Returns the requests for a snapshot that the core has taken and a leader's snapshot has
    /// replaced before it was written.
    pub(crate) fn handing(&mut self, persist: &Persist) -> impl Iterator<Item = S> + use<S> {
        self.handed += 1;
        let mut replaced = Vec::new();
        if let Some(snapshot) = &persist.write().snapshot
            && let Some(UnderWay { stage, askers }) = &mut self.under_way
            && let Stage::Taken(taken) = *stage
        {
            if snapshot.last == taken.last {
                *stage = Stage::Handed(taken, self.handed);
            } else {
                replaced = std::mem::take(askers);
                self.under_way = None;
            }
        }
        replaced.into_iter().map(|asker| asker.who)
    }

    /// The next of these writes is durable. If it contains the snapshot in progress, returns that and its requests.
    pub(crate) fn persisted(&mut self) -> Option<(SnapshotTaken, impl Iterator<Item = S> + use<S>)> {
        self.durable += 1;
        let is_it =
            |under_way: &mut UnderWay<S>| matches!(under_way.stage, Stage::Handed(_, write) if write == self.durable);
        match self.under_way.take_if(is_it) {
            Some(UnderWay { askers, stage: Stage::Handed(taken, _) }) => {
                Some((taken, askers.into_iter().map(|asker| asker.who)))
            }
            _ => None,
        }
    }

    /// Removes and returns all requests for a snapshot, begun or not.
    pub(crate) fn take_all(&mut self) -> impl Iterator<Item = S> + use<S> {
        let begun = self.under_way.take().into_iter().flat_map(|under_way| under_way.askers);
        begun.chain(std::mem::take(&mut self.asked)).map(|asker| asker.who)
    }
}

#[cfg(test)]
mod tests {
    use raftian_raft::Payload;

    use super::*;

    fn entry(command_bytes: usize) -> Entry {
        Entry { index: 1, term: 1, payload: Payload::Command(vec![b' '; command_bytes].into()) }
    }

    fn compactor(log_bytes: Option<u64>, log_entries: Option<u64>, node: u16) -> Compactor<&'static str> {
        Compactor::new(Compaction { log_bytes, log_entries, keep_entries: 7 }, NodeId::new(node).unwrap())
    }

    /// How many entries of 100 bytes are applied until a snapshot is due.
    fn grow(compactor: &mut Compactor<&'static str>) -> u32 {
        let mut count = 0;
        while !compactor.is_due() && count < 1_000 {
            compactor.applied(&entry(100 - ENTRY_BYTES as usize));
            count += 1;
        }
        count
    }

    #[test]
    fn one_is_due_when_the_log_has_grown_and_again_only_when_it_has_grown_again() {
        let mut compactor = compactor(Some(10_000), None, 1);
        assert!((1..=100).contains(&grow(&mut compactor)));
        compactor.begin();
        assert_eq!(grow(&mut compactor), 1_000, "one at a time");
        assert_eq!(compactor.failed().count(), 0);
        assert!(compactor.is_due());
        compactor.begin();
        assert_eq!(compactor.failed().count(), 0);
        assert_eq!(grow(&mut compactor), 100);
        compactor.restored();
        assert!(!compactor.is_due());
    }

    #[test]
    fn one_is_due_after_so_many_entries() {
        let mut compactor = compactor(None, Some(20), 1);
        assert_eq!(grow(&mut compactor), 20);
        compactor.begin();
        assert_eq!(compactor.failed().count(), 0);
        assert_eq!(grow(&mut compactor), 20);
        compactor.restored();
        assert_eq!(grow(&mut compactor), 20);
    }

    #[test]
    fn nodes_whose_logs_grow_alike_take_turns() {
        for count in [3, 5, 9] {
            let mut due: Vec<u32> = (1..=count).map(|node| grow(&mut compactor(Some(10_000), None, node))).collect();
            due.sort_unstable();
            let apart = due.windows(2).map(|pair| pair[1] - pair[0]).min().unwrap();
            assert!(apart >= 50 / u32::from(count), "{due:?}");
        }
    }

    #[test]
    fn who_asks_while_one_is_under_way_waits_for_the_next() {
        let mut compactor = compactor(None, None, 1);
        compactor.applied(&entry(1 << 20));
        assert!(!compactor.is_due(), "never by size");
        assert_eq!(compactor.keeps(), 7);
        compactor.ask(2, "first");
        compactor.begin();
        compactor.ask(0, "second");
        assert_eq!(compactor.keeps(), 2);
        assert_eq!(compactor.failed().collect::<Vec<_>>(), ["first"]);
        assert!(compactor.is_due());
        assert!(compactor.persisted().is_none(), "an ordinary write");
        compactor.begin();
        compactor.ask(0, "third");
        assert_eq!(compactor.take_all().collect::<Vec<_>>(), ["second", "third"]);
    }
}
