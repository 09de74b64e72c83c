//! When a snapshot of the application is taken, by size or on demand, and who waits for it (§7).
//!
//! A snapshot takes three steps before it counts: the state is copied, which is cheap, and elsewhere it is encoded and
//! written beside the log, which may take long; the core takes it in; storage puts it in force.
//!
//! No log waits for any of that, but a machine has only so many processors and disks, and the nodes of a lab share
//! them. So they should not all begin at once: their logs grow alike, but each node's count has a head start of its
//! own.
//!
//! Invariant: one at a time. The next one begins when the last one is durable, or has come to nothing.
//!
//! Deliberately absent: the state, and which entries may go; the driver has the one, the core knows the other.

use raftian_raft::{Entry, NodeId, Persist};
use raftian_rpc::control::{Compaction, SnapshotTaken};
use raftian_rpc::error::NodeError;

use crate::inbox::Answer;

/// What an entry takes up in a log beside its command, in bytes, roughly.
const ENTRY_BYTES: u64 = 32;

#[derive(Debug)]
pub(crate) struct Compactor {
    rule: Compaction,
    /// The size of the entries applied since the state of which the last snapshot was begun, and the head start.
    bytes: u64,
    head_start: u64,
    /// Who waits for one that has not begun.
    asked: Vec<Asker>,
    under_way: Option<UnderWay>,
    /// How many writes were handed to storage, and how many of them are durable.
    handed: u64,
    durable: u64,
}

/// Who waits for a snapshot.
#[derive(Debug)]
struct Asker {
    keep_entries: u64,
    answer: Answer<Result<SnapshotTaken, NodeError>>,
}

/// A snapshot that has begun.
#[derive(Debug)]
struct UnderWay {
    askers: Vec<Asker>,
    stage: Stage,
}

/// How far it is.
#[derive(Debug)]
enum Stage {
    /// It is being encoded and written.
    Writing,
    /// The core has it.
    Taken(SnapshotTaken),
    /// It is in the write of this number.
    Handed(SnapshotTaken, u64),
}

impl Compactor {
    /// That of a node which has applied nothing yet and has no snapshot.
    pub(crate) fn new(rule: Compaction, node: NodeId) -> Compactor {
        // Multiples of the golden ratio: consecutive numbers are spread evenly, however many there are.
        let part = (u64::from(node.number()).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as u128;
        let head_start = ((u128::from(rule.log_bytes.unwrap_or(0)) * part) >> 32) as u64;
        Compactor { rule, bytes: head_start, head_start, asked: Vec::new(), under_way: None, handed: 0, durable: 0 }
    }

    /// Somebody wants a snapshot of the present state, or a later one, that leaves so many of the entries it stands for
    /// in the log.
    pub(crate) fn ask(&mut self, keep_entries: u64, answer: Answer<Result<SnapshotTaken, NodeError>>) {
        self.asked.push(Asker { keep_entries, answer });
    }

    /// How many of the entries that the snapshot under way stands for are to stay: as many as somebody wants kept.
    pub(crate) fn keeps(&self) -> u64 {
        let askers = self.under_way.iter().flat_map(|under_way| &under_way.askers);
        askers.map(|asker| asker.keep_entries).max().unwrap_or(self.rule.keep_entries)
    }

    /// An entry was applied.
    pub(crate) fn applied(&mut self, entry: &Entry) {
        self.bytes += entry.payload.len() as u64 + ENTRY_BYTES;
    }

    /// The state was put in place by a snapshot.
    pub(crate) fn restored(&mut self) {
        self.bytes = self.head_start;
    }

    /// Whether one is to begin now.
    pub(crate) fn is_due(&self) -> bool {
        self.under_way.is_none() && (self.is_large() || !self.asked.is_empty())
    }

    fn is_large(&self) -> bool {
        self.rule.log_bytes.is_some_and(|limit| self.bytes >= limit)
    }

    /// One of the present state begins.
    pub(crate) fn begin(&mut self) {
        // What was asked for may have been asked of all nodes at once.
        self.bytes = if self.asked.is_empty() { 0 } else { self.head_start };
        self.under_way = Some(UnderWay { askers: std::mem::take(&mut self.asked), stage: Stage::Writing });
    }

    /// The core has the one under way.
    pub(crate) fn taken(&mut self, taken: SnapshotTaken) {
        if let Some(under_way) = &mut self.under_way {
            under_way.stage = Stage::Taken(taken);
        }
    }

    /// The one under way has come to nothing.
    pub(crate) fn failed(&mut self, why: NodeError) {
        for asker in self.under_way.take().into_iter().flat_map(|under_way| under_way.askers) {
            // An asker that has left meanwhile is told nothing.
            let _ = asker.answer.send(Err(why.clone()));
        }
    }

    /// A write is handed to storage.
    pub(crate) fn handing(&mut self, persist: &Persist) {
        self.handed += 1;
        if persist.write().snapshot.is_some()
            && let Some(UnderWay { stage, .. }) = &mut self.under_way
            && let Stage::Taken(taken) = stage
        {
            *stage = Stage::Handed(taken.clone(), self.handed);
        }
    }

    /// The next of those writes is durable. Whether a snapshot of this application is so with it.
    pub(crate) fn persisted(&mut self) -> bool {
        self.durable += 1;
        let is_it =
            |under_way: &mut UnderWay| matches!(under_way.stage, Stage::Handed(_, write) if write == self.durable);
        let Some(UnderWay { askers, stage: Stage::Handed(taken, _) }) = self.under_way.take_if(is_it) else {
            return false;
        };
        for asker in askers {
            let _ = asker.answer.send(Ok(taken.clone()));
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use raftian_raft::Payload;
    use tokio::sync::oneshot;

    use super::*;

    fn entry(command_bytes: usize) -> Entry {
        Entry { index: 1, term: 1, payload: Payload::Command(vec![b' '; command_bytes].into()) }
    }

    fn no() -> NodeError {
        NodeError::Failed { why: "no".into() }
    }

    fn compactor(log_bytes: Option<u64>, node: u16) -> Compactor {
        Compactor::new(Compaction { log_bytes, keep_entries: 7 }, NodeId::new(node).unwrap())
    }

    /// How many entries of 100 bytes are applied until a snapshot is due.
    fn grow(compactor: &mut Compactor) -> u32 {
        let mut count = 0;
        while !compactor.is_due() && count < 1_000 {
            compactor.applied(&entry(100 - ENTRY_BYTES as usize));
            count += 1;
        }
        count
    }

    #[test]
    fn one_is_due_when_the_log_has_grown_and_again_only_when_it_has_grown_again() {
        let mut compactor = compactor(Some(10_000), 1);
        assert!((1..=100).contains(&grow(&mut compactor)));
        compactor.begin();
        assert_eq!(grow(&mut compactor), 1_000, "one at a time");
        compactor.failed(no());
        assert!(compactor.is_due());
        compactor.begin();
        compactor.failed(no());
        assert_eq!(grow(&mut compactor), 100);
        compactor.restored();
        assert!(!compactor.is_due());
    }

    #[test]
    fn nodes_whose_logs_grow_alike_take_turns() {
        for count in [3, 5, 9] {
            let mut due: Vec<u32> = (1..=count).map(|node| grow(&mut compactor(Some(10_000), node))).collect();
            due.sort_unstable();
            let apart = due.windows(2).map(|pair| pair[1] - pair[0]).min().unwrap();
            assert!(apart >= 50 / u32::from(count), "{due:?}");
        }
    }

    #[test]
    fn who_asks_while_one_is_under_way_waits_for_the_next() {
        let mut compactor = compactor(None, 1);
        compactor.applied(&entry(1 << 20));
        assert!(!compactor.is_due(), "never by size");
        assert_eq!(compactor.keeps(), 7);
        let (answer, mut first) = oneshot::channel();
        compactor.ask(2, answer);
        compactor.begin();
        let (answer, mut second) = oneshot::channel();
        compactor.ask(0, answer);
        assert_eq!(compactor.keeps(), 2);
        compactor.failed(no());
        assert_eq!(first.try_recv().unwrap(), Err(no()));
        assert!(second.try_recv().is_err() && compactor.is_due());
        assert!(!compactor.persisted(), "an ordinary write");
    }
}
