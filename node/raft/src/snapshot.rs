//! Snapshots: they replace the beginning of a log (§7; thesis §5), and arrive in chunks.
//!
//! A snapshot is identified by its last index, its term and its size. Equal states must give equal bytes: then it does
//! not matter which server sends which chunk, and another leader can complete a transfer that one leader began.
//!
//! Invariant: a chunk is kept only if it begins where the received bytes end. Any other chunk changes nothing.
//!
//! Deliberately absent: what the bytes mean, and compression.

use bytes::Bytes;

use crate::{Configuration, Index, InstallSnapshot, LastEntry, Term};

/// The state of the replicated application after the entry at `last.index` was applied, with what Raft needs to
/// continue from there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// The last entry it covers: lastIncludedIndex and lastIncludedTerm (Figure 13).
    pub last: LastEntry,
    /// The configuration in force there (§7).
    pub configuration: Configuration,
    /// The application's state.
    pub data: Bytes,
}

/// A snapshot of which the first chunks have arrived.
#[derive(Debug)]
pub(crate) struct Incoming {
    /// The latest term in which a chunk of it was received.
    term: Term,
    last: LastEntry,
    size: u64,
    data: Vec<u8>,
}

impl Snapshot {
    /// The size of the data in bytes.
    pub fn size(&self) -> u64 {
        self.data.len() as u64
    }

    /// The last index that it covers; the log continues after it.
    pub fn last_index(&self) -> Index {
        self.last.index
    }

    /// The chunk at `offset`, which is within the data.
    pub(crate) fn chunk(&self, offset: u64, max_bytes: usize) -> InstallSnapshot {
        let start = usize::try_from(offset).expect("an offset into bytes in memory");
        let end = start.saturating_add(max_bytes.max(1)).min(self.data.len());
        InstallSnapshot {
            last: self.last,
            configuration: self.configuration.clone(),
            size: self.size(),
            offset,
            data: self.data.slice(start..end),
        }
    }
}

impl Incoming {
    /// The last index that the snapshot covers.
    pub(crate) fn last_index(&self) -> Index {
        self.last.index
    }

    /// How many bytes of it were received.
    pub(crate) fn received(&self) -> u64 {
        self.data.len() as u64
    }
}

/// The result of taking a chunk.
#[derive(Debug)]
pub(crate) enum Assembled {
    /// So many bytes of its snapshot were received.
    Part(u64),
    /// The snapshot is complete.
    Whole(Snapshot),
}

/// Takes a chunk that was sent in `term`. A newer snapshot replaces an incomplete one, and so does any snapshot of a
/// later leader, which may have no newer one. A late chunk of an older snapshot is ignored: zero bytes of that are
/// here.
pub(crate) fn assemble(incoming: &mut Option<Incoming>, term: Term, chunk: InstallSnapshot) -> Assembled {
    let InstallSnapshot { last, configuration, size, offset, data } = chunk;
    let mut current = match incoming.take() {
        Some(current) if (current.last, current.size) == (last, size) => current,
        Some(current) if (term, last) <= (current.term, current.last) => {
            *incoming = Some(current);
            return Assembled::Part(0);
        }
        _ => Incoming { term, last, size, data: Vec::new() },
    };
    current.term = current.term.max(term);
    if offset == current.received() {
        current.data.extend_from_slice(&data);
    }
    let received = current.received();
    if received == size {
        return Assembled::Whole(Snapshot { last, configuration, data: current.data.into() });
    }
    *incoming = Some(current);
    Assembled::Part(received)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::NodeId;

    fn snapshot(index: Index, data: &'static str) -> Snapshot {
        let configuration = Configuration::new(NodeId::first(3)).unwrap();
        Snapshot { last: LastEntry { term: 1, index }, configuration, data: data.into() }
    }

    /// What is here once chunks of four bytes, named by their offsets, have come in.
    fn received(incoming: &mut Option<Incoming>, term: Term, of: &Snapshot, offset: u64) -> Option<u64> {
        match assemble(incoming, term, of.chunk(offset, 4)) {
            Assembled::Part(bytes) => Some(bytes),
            Assembled::Whole(whole) => {
                assert_eq!(&whole, of);
                None
            }
        }
    }

    #[test]
    fn only_what_continues_is_kept() {
        let (mut incoming, of) = (None, snapshot(9, "0123456789"));
        for (offset, expected) in [(4, Some(0)), (0, Some(4)), (0, Some(4)), (8, Some(4)), (4, Some(8)), (8, None)] {
            assert_eq!(received(&mut incoming, 1, &of, offset), expected, "offset {offset}");
        }
        assert!(incoming.is_none());
    }

    #[test]
    fn a_snapshot_of_nothing_is_whole_with_its_first_chunk() {
        assert_eq!(received(&mut None, 1, &snapshot(9, ""), 0), None);
    }

    #[test]
    fn a_newer_one_takes_its_place_and_an_older_one_only_if_a_later_leader_sends_it() {
        let (mut incoming, old, new) = (None, snapshot(5, "01234567"), snapshot(9, "0123456789"));
        assert_eq!(received(&mut incoming, 1, &old, 0), Some(4));
        assert_eq!(received(&mut incoming, 1, &new, 0), Some(4));
        assert_eq!(received(&mut incoming, 1, &old, 0), Some(0), "a late chunk");
        assert_eq!(received(&mut incoming, 2, &new, 4), Some(8), "a later leader has the same");
        assert_eq!(received(&mut incoming, 1, &old, 0), Some(0));
        assert_eq!(received(&mut incoming, 3, &old, 0), Some(4), "a later leader has no newer one");
        assert_eq!(received(&mut incoming, 3, &old, 4), None);
    }
}
