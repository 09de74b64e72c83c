//! What was read of one node's log, in pages and over time, and what of it has been kept in a file.
//!
//! Invariants: the entries are consecutive. What was read while it was committed stays, whatever the node discards
//! later; where the node has discarded more than was read, only what comes after counts. The node's standing is what it
//! said together with the last of the entries that reach up to it.

use std::io::{self, Write};

use anyhow::Context as _;
use raftian_check::apps::{Digest, Entry, Payload};
use raftian_check::{LogRecord, ReplicaLog, Standing};
use raftian_rpc::control::{LogLine, LogPage};
use raftian_rpc::{Index, NodeId};

/// A log as far as it was read.
#[derive(Clone, Debug, Default)]
pub(crate) struct Followed {
    entries: Vec<Entry>,
    standing: Option<Standing>,
    /// What of it has been kept: so many entries, and this standing.
    kept: (usize, Option<Standing>),
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
        self.entries.last().map_or(1, |last| last.index.saturating_add(1))
    }

    /// Takes in a page that was asked for from [`next`](Followed::next) on. Says whether there is more to read.
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
        let new = page.entries.iter().filter(|line| (self.next()..=end).contains(&line.index));
        let new: Vec<Entry> = new.map(entry).collect();
        let grows = !new.is_empty();
        new.into_iter().for_each(|entry| self.add(entry));
        self.stand(Standing { commit_index: page.commit_index, applied_index: page.last_applied, digest });
        Ok(grows && self.next() <= end)
    }

    /// Takes in a line of a log that was kept ([`keep`](Followed::keep)).
    pub(crate) fn take_back(&mut self, record: LogRecord) {
        match record {
            LogRecord::Entry(entry) => self.add(entry),
            LogRecord::Standing(standing) => self.stand(standing),
        }
    }

    /// Writes what has come since the last time.
    ///
    /// # Errors
    /// When the writer fails.
    pub(crate) fn keep(&mut self, writer: &mut impl Write) -> io::Result<()> {
        let (entries, standing) = self.kept;
        for entry in &self.entries[entries..] {
            LogRecord::Entry(entry.clone()).write(writer)?;
        }
        if let Some(new) = self.standing.filter(|new| Some(*new) != standing) {
            LogRecord::Standing(new).write(writer)?;
        }
        self.kept = (self.entries.len(), self.standing);
        Ok(())
    }

    fn add(&mut self, entry: Entry) {
        if entry.index > self.next() {
            self.entries.clear();
            self.kept.0 = 0;
        }
        self.entries.push(entry);
    }

    fn stand(&mut self, said: Standing) {
        let is_whole = self.next() > said.commit_index;
        if is_whole && self.standing.is_none_or(|known| known.commit_index <= said.commit_index) {
            self.standing = Some(said);
        }
    }

    /// Whether it was read as far as the node had it committed.
    pub(crate) fn is_whole(&self) -> bool {
        self.standing.is_some()
    }

    /// The log as evidence; `None` if it was never read as far as the node had it committed.
    pub(crate) fn into_replica(self, node: NodeId) -> Option<ReplicaLog> {
        let Standing { commit_index, applied_index, digest } = self.standing?;
        Some(ReplicaLog { node, commit_index, applied_index, digest, entries: self.entries, is_partial: false })
    }
}

fn entry(line: &LogLine) -> Entry {
    let payload = match (&line.command, &line.configuration) {
        (Some(command), _) => Payload::Command(command.get().to_owned().into()),
        (None, Some(configuration)) => Payload::Configuration(configuration.clone().into()),
        (None, None) => Payload::Noop,
    };
    Entry { index: line.index, term: line.term, payload }
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

    fn read(pages: &[(LogPage, Wanted)]) -> Option<(Vec<Index>, Index, String)> {
        let mut log = Followed::default();
        for (page, wanted) in pages {
            log.take_in(page, *wanted).unwrap();
        }
        let replica = log.into_replica("n1".parse().unwrap())?;
        let indexes = replica.entries.iter().map(|entry| entry.index).collect();
        Some((indexes, replica.commit_index, replica.digest.to_string()))
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
    fn what_comes_after_a_gap_takes_the_place_of_what_came_before() {
        let pages = [(page([1, 2, 3], 3, 3), Wanted::Committed), (page([6, 7, 8], 8, 8), Wanted::All)];
        assert_eq!(read(&pages).unwrap().0, [6, 7, 8]);
    }

    #[test]
    fn a_standing_counts_when_the_entries_reach_up_to_it() {
        assert_eq!(read(&[(page([1, 2], 9, 9), Wanted::Committed)]), None);
        let mut log = Followed::default();
        assert!(log.take_in(&page([1, 2], 9, 9), Wanted::Committed).unwrap(), "there is more");
        assert!(!log.take_in(&page([3, 4, 5, 6, 7, 8, 9], 9, 9), Wanted::Committed).unwrap());
        // A node that was started again knows less of what is committed, and takes nothing back.
        assert!(!log.take_in(&page([], 0, 9), Wanted::Committed).unwrap());
        let replica = log.into_replica("n1".parse().unwrap()).unwrap();
        assert_eq!((replica.commit_index, replica.entries.len()), (9, 9));
    }

    #[test]
    fn a_log_that_was_kept_in_parts_is_the_log_that_was_read() {
        let mut log = Followed::default();
        let mut kept = Vec::new();
        let pages = [(page([1, 2], 2, 2), Wanted::Committed), (page([3, 4], 3, 4), Wanted::Committed)];
        for (page, wanted) in pages.iter().chain(&[(page([8, 9], 9, 9), Wanted::All), (page([], 9, 9), Wanted::All)]) {
            log.take_in(page, *wanted).unwrap();
            log.keep(&mut kept).unwrap();
        }
        let mut back = Followed::default();
        for line in kept.split_inclusive(|byte| *byte == b'\n') {
            back.take_back(LogRecord::read(line).unwrap());
        }
        let [log, back] = [log, back].map(|log| log.into_replica("n1".parse().unwrap()).unwrap());
        assert_eq!(serde_json::to_string(&back).unwrap(), serde_json::to_string(&log).unwrap());
        assert_eq!(back.entries.len(), 2, "what came after the gap");
    }

    #[test]
    fn a_page_without_what_was_asked_for_does_not_go_on_for_ever() {
        let mut log = Followed::default();
        assert!(!log.take_in(&page([], 5, 5), Wanted::All).unwrap());
        let nonsense = LogPage { digest: "x".into(), ..page([1], 1, 1) };
        assert!(log.take_in(&nonsense, Wanted::All).unwrap_err().to_string().contains("no digest"));
    }
}
