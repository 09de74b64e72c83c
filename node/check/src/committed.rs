//! The committed log of a run, put together from what its nodes hold of it.
//!
//! Invariant: it has the entries after its beginning to its end, each once and in order; it begins with index 1, or after
//! a snapshot that stands for what came before. A node that keeps a snapshot in place of some entries adds only the others,
//! so some other node must have those.

use raftian_apps::{Configuration, Entry, Index, Payload};

use crate::replica::ReplicaLog;

/// The committed log.
#[derive(Debug)]
pub(crate) struct CommittedLog<'a> {
    /// Consecutive parts of logs, none empty.
    parts: Vec<&'a [Entry]>,
    begin: Index,
    end: Index,
}

impl<'a> CommittedLog<'a> {
    /// As much as the logs have without a gap after `begin`, which is 0 or the last index of a snapshot.
    pub(crate) fn of(logs: &[&'a ReplicaLog], begin: Index) -> CommittedLog<'a> {
        let mut log = CommittedLog { parts: Vec::new(), begin, end: begin };
        loop {
            let parts = logs.iter().flat_map(|replica| replica.parts());
            let following: Vec<&[Entry]> = parts.filter_map(|part| log.part_after_end(part)).collect();
            // Of equals `max_by_key` takes the last, and reports read better when the first is the measure.
            let Some(part) = following.into_iter().rev().max_by_key(|part| part.len()) else { return log };
            log.end += part.len() as Index;
            log.parts.push(part);
        }
    }

    /// The index after which it begins.
    pub(crate) fn begin(&self) -> Index {
        self.begin
    }

    /// The last index; that after which it begins when it is empty.
    pub(crate) fn end(&self) -> Index {
        self.end
    }

    /// The last configuration in it.
    pub(crate) fn configuration(&self) -> Option<&'a Configuration> {
        self.parts.iter().rev().flat_map(|part| part.iter().rev()).find_map(|entry| match &entry.payload {
            Payload::Configuration(configuration) => Some(&**configuration),
            _ => None,
        })
    }

    /// All entries in order.
    pub(crate) fn entries(&self) -> impl Iterator<Item = &'a Entry> {
        self.parts.iter().copied().flatten()
    }

    /// The entries from an index on that lie next to each other; none before the beginning or beyond the end.
    pub(crate) fn from(&self, index: Index) -> &'a [Entry] {
        let holds = |part: &&&[Entry]| part.last().is_some_and(|last| self.begin < index && index <= last.index);
        let Some(part) = self.parts.iter().find(holds) else { return &[] };
        &part[(index - part[0].index) as usize..]
    }

    /// The entry at an index.
    pub(crate) fn entry(&self, index: Index) -> Option<&'a Entry> {
        self.from(index).first()
    }

    /// What of a contiguous log comes right after the end.
    fn part_after_end(&self, entries: &'a [Entry]) -> Option<&'a [Entry]> {
        let known = (self.end + 1).checked_sub(entries.first()?.index)?;
        entries.get(usize::try_from(known).ok()?..).filter(|part| !part.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use raftian_apps::{Digest, NodeId};

    use super::*;
    use crate::replica::LogPart;

    fn log(node: u16, indexes: std::ops::RangeInclusive<Index>) -> ReplicaLog {
        let (commit_index, applied_index) = (*indexes.end(), 0);
        let entries = indexes.map(|index| Entry { index, term: u64::from(node), payload: Payload::Noop }).collect();
        ReplicaLog {
            node: NodeId::new(node).unwrap(),
            commit_index,
            applied_index,
            digest: Digest(0),
            entries,
            discarded: 0,
            earlier: Vec::new(),
            is_partial: false,
        }
    }

    /// The nodes from which each entry is taken (entries have their node's number as their term).
    fn sources(logs: &[ReplicaLog]) -> Vec<u64> {
        sources_after(0, logs)
    }

    fn sources_after(begin: Index, logs: &[ReplicaLog]) -> Vec<u64> {
        let logs: Vec<&ReplicaLog> = logs.iter().collect();
        let committed = CommittedLog::of(&logs, begin);
        let indexes: Vec<Index> = committed.entries().map(|entry| entry.index).collect();
        assert!(indexes.iter().copied().eq(begin + 1..=committed.end()), "{indexes:?}");
        for index in begin + 1..=committed.end() {
            assert_eq!(committed.entry(index).unwrap().index, index);
        }
        assert!(committed.entry(begin).is_none() && committed.entry(committed.end() + 1).is_none());
        committed.entries().map(|entry| entry.term).collect()
    }

    #[test]
    fn the_longest_log_is_the_committed_one_and_the_first_of_equals() {
        assert_eq!(sources(&[log(1, 1..=2), log(2, 1..=3), log(3, 1..=3)]), [2, 2, 2]);
    }

    #[test]
    fn what_a_snapshot_replaced_on_one_node_is_taken_from_another() {
        assert_eq!(sources(&[log(1, 3..=5), log(2, 1..=3)]), [2, 2, 2, 1, 1]);
        assert_eq!(sources(&[log(1, 4..=4), log(2, 1..=3), log(3, 2..=6)]), [2, 2, 2, 3, 3, 3]);
    }

    #[test]
    fn logs_with_gaps_fill_each_others() {
        let with_gap =
            |node, before, after| ReplicaLog { earlier: vec![LogPart(log(node, before).entries)], ..log(node, after) };
        assert_eq!(
            sources(&[with_gap(1, 1..=2, 5..=6), with_gap(2, 2..=3, 7..=8), log(3, 3..=5)]),
            [1, 1, 3, 3, 3, 1, 2, 2]
        );
        assert_eq!(sources(&[with_gap(1, 1..=2, 5..=6), log(2, 4..=6)]), [1, 1]);
    }

    #[test]
    fn a_snapshot_may_stand_for_its_beginning() {
        assert_eq!(sources_after(2, &[log(1, 1..=4), log(2, 3..=5)]), [2, 2, 2]);
        assert_eq!(sources_after(4, &[log(1, 5..=6), log(2, 2..=3)]), [1, 1]);
        assert!(sources_after(2, &[log(1, 4..=6)]).is_empty());
    }

    #[test]
    fn a_gap_ends_it() {
        assert_eq!(sources(&[log(1, 1..=2), log(2, 4..=5)]), [1, 1]);
        assert!(sources(&[log(1, 2..=5)]).is_empty());
        assert!(sources(&[]).is_empty());
    }
}
