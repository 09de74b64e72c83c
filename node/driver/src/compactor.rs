//! When a snapshot of the application is taken, by size or on demand, and who waits for it (§7).
//!
//! A snapshot takes three steps before it counts: the state is copied, which is cheap, and elsewhere it is encoded and
//! written beside the log, which may take long; the core takes it in; storage puts it in force.
//!
//! The log waits for none of that, but a machine has only so many processors and disks, and the nodes of a lab share them.
//! So they should not all begin at once: their logs grow alike, but the count of each node begins with a head start of its
//! own.
//!
//! Invariant: one at a time. The next one begins when the last one is durable, or has come to nothing. Each request
//! for one is answered once.
//!
//! Deliberately absent: the state, and which entries may go; the driver has the one, the core knows the other.

use raftian_raft::{Entry, LastEntry, NodeId, Persist};

/// What an entry takes up in a log beside its command, in bytes, roughly.
const ENTRY_BYTES: u64 = 32;

/// When a snapshot is taken without a request for one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Compaction {
    /// When the entries since the last snapshot have so many bytes, or before; never if `None`.
    pub log_bytes: Option<u64>,
    /// When there are so many entries since the last snapshot; never if `None`.
    pub log_entries: Option<u64>,
    /// So many of the entries that a snapshot covers are kept, for followers that lack no more than these.
    pub keep_entries: u64,
}

/// A snapshot that is durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SnapshotTaken {
    /// The last entry that it stands for.
    pub last: LastEntry,
    /// The size of the application's part, in bytes.
    pub bytes: u64,
    /// How many entries were discarded.
    pub discarded: u64,
}

/// Why there is no snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SnapshotRefused {
    /// It is not possible as things stand.
    Refused(String),
    /// It was tried and did not work; the node goes on as before.
    Failed(String),
    /// The node stops.
    Stopping,
}

/// Somebody who waits for a snapshot.
#[derive(Debug)]
struct Asker<S> {
    keep_entries: u64,
    who: S,
}

/// A snapshot that has begun.
#[derive(Debug)]
struct UnderWay<S> {
    askers: Vec<Asker<S>>,
    stage: Stage,
}

/// How far it is.
#[derive(Clone, Copy, Debug)]
enum Stage {
    /// It is being encoded and written.
    Writing,
    /// The core has it.
    Taken(SnapshotTaken),
    /// It is in the write of this number.
    Handed(SnapshotTaken, u64),
}

/// See the page of this module.
#[derive(Debug)]
pub(crate) struct Compactor<S> {
    rule: Compaction,
    /// The size of the entries applied since the state of which the last snapshot was begun, and the head start.
    bytes: u64,
    head_start: u64,
    /// The number of the entries applied since then.
    entries: u64,
    /// Who waits for one that has not begun.
    asked: Vec<Asker<S>>,
    under_way: Option<UnderWay<S>>,
    /// How many writes were handed to storage, and how many of them are durable.
    handed: u64,
    durable: u64,
}

impl<S> Compactor<S> {
    /// That of a node which has applied nothing yet and has no snapshot.
    pub(crate) fn new(rule: Compaction, node: NodeId) -> Compactor<S> {
        // Multiples of the golden ratio: consecutive numbers are spread evenly, however many there are.
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

    /// Somebody wants a snapshot of the present state, or a later one, that leaves so many of the entries it stands for
    /// in the log.
    pub(crate) fn ask(&mut self, keep_entries: u64, who: S) {
        self.asked.push(Asker { keep_entries, who });
    }

    /// How many of the entries that the snapshot under way stands for are to stay: as many as somebody wants kept.
    pub(crate) fn keeps(&self) -> u64 {
        let askers = self.under_way.iter().flat_map(|under_way| &under_way.askers);
        askers.map(|asker| asker.keep_entries).max().unwrap_or(self.rule.keep_entries)
    }

    /// An entry was applied.
    pub(crate) fn applied(&mut self, entry: &Entry) {
        self.bytes += entry.payload.len() as u64 + ENTRY_BYTES;
        self.entries += 1;
    }

    /// The state was put in place by a snapshot.
    pub(crate) fn restored(&mut self) {
        (self.bytes, self.entries) = (self.head_start, 0);
    }

    /// Whether one is to begin now.
    pub(crate) fn is_due(&self) -> bool {
        self.under_way.is_none() && (self.is_large() || !self.asked.is_empty())
    }

    fn is_large(&self) -> bool {
        self.rule.log_bytes.is_some_and(|limit| self.bytes >= limit)
            || self.rule.log_entries.is_some_and(|limit| self.entries >= limit)
    }

    /// One of the present state begins.
    pub(crate) fn begin(&mut self) {
        // What was asked for may have been asked of all nodes at once.
        self.bytes = if self.asked.is_empty() { 0 } else { self.head_start };
        self.entries = 0;
        self.under_way = Some(UnderWay { askers: std::mem::take(&mut self.asked), stage: Stage::Writing });
    }

    /// The core has the one under way.
    pub(crate) fn taken(&mut self, taken: SnapshotTaken) {
        if let Some(under_way) = &mut self.under_way {
            under_way.stage = Stage::Taken(taken);
        }
    }

    /// The one under way has come to nothing. Gives back who waited for it.
    pub(crate) fn failed(&mut self) -> impl Iterator<Item = S> + use<S> {
        self.under_way.take().into_iter().flat_map(|under_way| under_way.askers).map(|asker| asker.who)
    }

    /// A write is handed to storage.
    pub(crate) fn handing(&mut self, persist: &Persist) {
        self.handed += 1;
        if persist.write().snapshot.is_some()
            && let Some(UnderWay { stage, .. }) = &mut self.under_way
            && let Stage::Taken(taken) = *stage
        {
            *stage = Stage::Handed(taken, self.handed);
        }
    }

    /// The next of those writes is durable. If a snapshot of this application is so with it: that, and who waited for it.
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

    /// Gives back all who wait for a snapshot, begun or not.
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
