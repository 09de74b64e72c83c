//! What was read of one node's log, in pages and over time, and what of it has been kept in a file.
//!
//! Invariants: the entries are consecutive but for gaps, and all before a gap are committed. What was read stays, whatever
//! the node discards later; where the node has discarded more than was read, there is a gap, and reading goes on after it.
//! The node's standing is what it said together with the last of the entries that reach up to it.

use std::io::{self, Write};

use anyhow::Context as _;
use raftian_check::apps::{Digest, Entry};
use raftian_check::{LogPart, LogRecord, ReplicaLog, Standing};
use raftian_rpc::control::{LogLine, LogPage};
use raftian_rpc::{Index, NodeId};

/// A log as far as it was read.
#[derive(Clone, Debug, Default)]
pub(crate) struct Followed {
    entries: Vec<Entry>,
    gaps: Vec<Gap>,
    standing: Option<Standing>,
    kept: Kept,
}

/// What the node had discarded before it was read.
#[derive(Clone, Copy, Debug)]
struct Gap {
    /// How many entries were read before it.
    at: usize,
    /// The last index of what was discarded.
    discarded: Index,
}

/// What has been kept in a file: so many entries and gaps, and this standing.
#[derive(Clone, Debug, Default)]
struct Kept {
    entries: usize,
    gaps: usize,
    standing: Option<Standing>,
}

/// Which entries of a page are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// Those that nobody can take back any more.
    Committed,
    /// The uncommitted tail too: at the end of a run it tells the judges what may yet come.
    All,
}

impl Followed {
    /// The first index that has not been read.
    pub(crate) fn next(&self) -> Index {
        let last = match self.gaps.last() {
            Some(gap) if gap.at == self.entries.len() => gap.discarded,
            _ => self.entries.last().map_or(0, |last| last.index),
        };
        last.saturating_add(1)
    }

    /// Takes in a page that was asked for from [`next`](Followed::next) on. Says whether there is more to read. All that is
    /// committed must have been read before the rest is wanted too.
    ///
    /// # Errors
    /// When the page is not what a page should be.
    pub(crate) fn take_in(&mut self, page: &LogPage, wanted: Wanted) -> anyhow::Result<bool> {
        let digest: Digest =
            page.digest.parse().with_context(|| format!("{} says `{}`, which is no digest", page.node, page.digest))?;
        let end = match wanted {
            Wanted::Committed => page.commit_index,
            Wanted::All => page.last_index,
        };
        let before = self.next();
        let new = page.entries.iter().filter(|line| (before..=end).contains(&line.index));
        let new: Vec<Entry> = new.map(LogLine::entry).collect();
        // Entries that are given one by one were read before they were discarded.
        let first = new.first().map_or(page.first_index, |entry| entry.index);
        if first > before {
            self.skip(first - 1);
        }
        new.into_iter().for_each(|entry| self.add(entry));
        let grows = self.next() > before;
        self.stand(Standing { commit_index: page.commit_index, applied_index: page.last_applied, digest });
        Ok(grows && self.next() <= end)
    }

    /// Takes in a line of a log that was kept ([`keep`](Followed::keep)).
    pub(crate) fn take_back(&mut self, record: LogRecord) {
        match record {
            LogRecord::Entry(entry) => self.add(entry),
            LogRecord::Standing(standing) => self.stand(standing),
            LogRecord::Discarded(index) => self.skip(index),
        }
    }

    /// Writes what has come since the last time.
    ///
    /// # Errors
    /// When the writer fails.
    pub(crate) fn keep(&mut self, writer: &mut impl Write) -> io::Result<()> {
        let mut gaps = self.gaps[self.kept.gaps..].iter().peekable();
        for at in self.kept.entries..=self.entries.len() {
            while let Some(gap) = gaps.next_if(|gap| gap.at == at) {
                LogRecord::Discarded(gap.discarded).write(writer)?;
            }
            if let Some(entry) = self.entries.get(at) {
                LogRecord::Entry(entry.clone()).write(writer)?;
            }
        }
        if let Some(new) = self.standing.filter(|new| Some(*new) != self.kept.standing) {
            LogRecord::Standing(new).write(writer)?;
        }
        self.kept = Kept { entries: self.entries.len(), gaps: self.gaps.len(), standing: self.standing };
        Ok(())
    }

    fn add(&mut self, entry: Entry) {
        if entry.index > self.next() {
            self.skip(entry.index - 1);
        }
        self.entries.push(entry);
    }

    /// What comes before the next entry, up to this index, was discarded.
    fn skip(&mut self, discarded: Index) {
        self.gaps.push(Gap { at: self.entries.len(), discarded });
    }

    fn stand(&mut self, said: Standing) {
        let is_whole = self.next() > said.commit_index;
        if is_whole && self.standing.is_none_or(|known| known.commit_index <= said.commit_index) {
            self.standing = Some(said);
        }
    }

    /// The log as evidence; `None` if it was never read as far as the node had it committed. `is_partial`: whether the node
    /// may hold more.
    pub(crate) fn into_replica(mut self, node: NodeId, is_partial: bool) -> Option<ReplicaLog> {
        let Standing { commit_index, applied_index, digest } = self.standing?;
        let discarded = self.gaps.last().map_or(0, |gap| gap.discarded);
        // The last part comes first.
        let mut parts: Vec<Vec<Entry>> = self.gaps.iter().rev().map(|gap| self.entries.split_off(gap.at)).collect();
        parts.push(self.entries);
        let entries = parts.remove(0);
        let earlier = parts.into_iter().rev().filter(|part| !part.is_empty()).map(LogPart).collect();
        Some(ReplicaLog { node, commit_index, applied_index, digest, entries, discarded, earlier, is_partial })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(entries: impl Into<Vec<Index>>, commit_index: Index, last_index: Index) -> LogPage {
        let entries = entries.into().into_iter();
        LogPage {
            node: "n1".parse().unwrap(),
            snapshot_index: 0,
            snapshot_term: 0,
            first_index: 1,
            last_index,
            durable_index: last_index,
            commit_index,
            last_applied: commit_index,
            digest: format!("{commit_index:016x}"),
            entries: entries.map(|index| LogLine { index, term: 1, command: None, configuration: None }).collect(),
        }
    }

    fn replica(log: Followed) -> Option<ReplicaLog> {
        log.into_replica("n1".parse().unwrap(), false)
    }

    fn indexes(entries: &[Entry]) -> Vec<Index> {
        entries.iter().map(|entry| entry.index).collect()
    }

    fn read(pages: &[(LogPage, Wanted)]) -> Option<(Vec<Index>, Index, String)> {
        let mut log = Followed::default();
        for (page, wanted) in pages {
            log.take_in(page, *wanted).unwrap();
        }
        let replica = replica(log)?;
        Some((indexes(&replica.entries), replica.commit_index, replica.digest.to_string()))
    }

    #[test]
    fn pages_add_up_and_what_is_discarded_later_stays() {
        let pages = [(page([1, 2, 3], 2, 3), Wanted::Committed), (page([3, 4, 5], 4, 5), Wanted::All)];
        assert_eq!(read(&pages), Some((vec![1, 2, 3, 4, 5], 4, format!("{:016x}", 4))));
        // The node holds nothing before 4 by now.
        let pages = [(page([1, 2, 3], 3, 3), Wanted::Committed), (page([4, 5], 5, 5), Wanted::All)];
        assert_eq!(read(&pages).unwrap().0, [1, 2, 3, 4, 5]);
    }

    #[test]
    fn while_a_run_goes_on_only_what_is_committed_counts() {
        assert_eq!(read(&[(page([1, 2, 3, 4, 5], 2, 5), Wanted::Committed)]).unwrap().0, [1, 2]);
    }

    #[test]
    fn what_was_read_before_a_gap_stays_as_a_part_of_its_own() {
        let mut log = Followed::default();
        log.take_in(&page([1, 2, 3], 3, 3), Wanted::Committed).unwrap();
        log.take_in(&page([6, 7, 8], 8, 8), Wanted::Committed).unwrap();
        log.take_in(&LogPage { first_index: 12, ..page([], 11, 11) }, Wanted::Committed).unwrap();
        assert_eq!(log.next(), 12);
        let replica = replica(log).unwrap();
        assert_eq!((indexes(&replica.entries), replica.discarded, replica.commit_index), (vec![], 11, 11));
        let earlier: Vec<_> = replica.earlier.iter().map(|part| indexes(&part.0)).collect();
        assert_eq!(earlier, [[1, 2, 3], [6, 7, 8]]);
    }

    #[test]
    fn entries_that_are_given_one_by_one_were_read_before_their_node_discarded_them() {
        let mut log = Followed::default();
        log.take_in(&LogPage { first_index: 4, ..page([1, 2, 3], 3, 3) }, Wanted::Committed).unwrap();
        let replica = replica(log).unwrap();
        assert_eq!((indexes(&replica.entries), replica.earlier.len()), (vec![1, 2, 3], 0));
    }

    #[test]
    fn a_standing_counts_when_the_entries_reach_up_to_it() {
        assert_eq!(read(&[(page([1, 2], 9, 9), Wanted::Committed)]), None);
        let mut log = Followed::default();
        assert!(log.take_in(&page([1, 2], 9, 9), Wanted::Committed).unwrap(), "there is more");
        assert!(!log.take_in(&page([3, 4, 5, 6, 7, 8, 9], 9, 9), Wanted::Committed).unwrap());
        // A node that was started again knows less of what is committed, and takes nothing back.
        assert!(!log.take_in(&page([], 0, 9), Wanted::Committed).unwrap());
        let replica = replica(log).unwrap();
        assert_eq!((replica.commit_index, replica.entries.len()), (9, 9));
    }

    #[test]
    fn a_log_that_was_kept_in_parts_is_the_log_that_was_read() {
        let mut log = Followed::default();
        let mut kept = Vec::new();
        let pages = [(page([1, 2], 2, 2), Wanted::Committed), (page([3, 4], 3, 4), Wanted::Committed)];
        let after_a_gap = [
            (page([8, 9], 9, 9), Wanted::Committed),
            (LogPage { first_index: 13, ..page([], 12, 12) }, Wanted::Committed),
            (page([], 12, 12), Wanted::All),
        ];
        for (page, wanted) in pages.iter().chain(&after_a_gap) {
            log.take_in(page, *wanted).unwrap();
            log.keep(&mut kept).unwrap();
        }
        let mut back = Followed::default();
        for line in kept.split_inclusive(|byte| *byte == b'\n') {
            back.take_back(LogRecord::read(line).unwrap());
        }
        let [log, back] = [log, back].map(|log| replica(log).unwrap());
        assert_eq!(serde_json::to_string(&back).unwrap(), serde_json::to_string(&log).unwrap());
        assert_eq!((back.earlier.len(), back.entries.len(), back.discarded), (2, 0, 12));
    }

    #[test]
    fn a_page_without_what_was_asked_for_does_not_go_on_for_ever() {
        let mut log = Followed::default();
        assert!(!log.take_in(&page([], 5, 5), Wanted::All).unwrap());
        let nonsense = LogPage { digest: "x".into(), ..page([1], 1, 1) };
        assert!(log.take_in(&nonsense, Wanted::All).unwrap_err().to_string().contains("no digest"));
    }
}
