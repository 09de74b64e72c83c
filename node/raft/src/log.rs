//! The replicated log: a snapshot that replaces its beginning (§7), the entries after that, and which of them storage
//! has been given and has synced.
//!
//! Invariants: indexes are contiguous from the one after `base`, terms never decrease, `base` is not beyond the
//! snapshot's last entry, `durable` ≤ `handed` ≤ last index. The membership follows from the snapshot and the entries.

use crate::membership::Membership;
use crate::{
    Configuration, Conflict, Discard, Entry, HardState, Index, LastEntry, Payload, Recovered, Snapshot, Term, Write,
};

#[derive(Debug)]
pub(crate) struct Log {
    snapshot: Option<Snapshot>,
    /// The entry before the first one held. Some entries that the snapshot covers may stay, for followers that lag.
    base: LastEntry,
    entries: Vec<Entry>,
    membership: Membership,
    /// The last entry given to storage.
    handed: Index,
    /// The last entry known to be on stable storage.
    durable: Index,
    /// How often a suffix has been discarded.
    truncations: u64,
    /// What the next write must contain: whether there is a new snapshot, and which stored entries it replaces.
    snapshot_is_new: bool,
    discard: Option<Discard>,
}

/// A state of the log that storage may report on later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LogVersion {
    last_index: Index,
    truncations: u64,
}

impl Log {
    /// The log as recovered from storage. `first` is the configuration that the cluster started with. A crash may have
    /// come after a leader's snapshot was stored and before the log that it replaces was discarded: then that log is
    /// discarded now.
    ///
    /// # Panics
    /// When there is a gap between the entries, or between them and the snapshot: storage has checked that.
    pub(crate) fn recovered(first: Option<Configuration>, recovered: Recovered) -> Log {
        let Recovered { snapshot, mut entries, .. } = recovered;
        let base = snapshot.as_ref().map_or(LastEntry { term: 0, index: 0 }, |snapshot| snapshot.last);
        let start = entries.first().map_or(base.index + 1, |entry| entry.index);
        let is_whole = entries.iter().zip(start..).all(|(entry, index)| entry.index == index);
        assert!(is_whole && (1..=base.index + 1).contains(&start), "storage returned a log with gaps");

        let covered = (base.index + 1 - start) as usize;
        let is_void = covered > 0 && entries.get(covered - 1).is_none_or(|entry| entry.term != base.term);
        entries.drain(..if is_void { entries.len() } else { covered });
        let last_index = base.index + entries.len() as Index;
        let mut membership = Membership::new(snapshot.as_ref().map(|s| s.configuration.clone()).or(first));
        for entry in &entries {
            if let Payload::Configuration(configuration) = &entry.payload {
                membership.push(entry.index, (**configuration).clone());
            }
        }
        Log {
            snapshot,
            base,
            entries,
            membership,
            handed: last_index,
            durable: last_index,
            truncations: 0,
            snapshot_is_new: false,
            discard: is_void.then_some(Discard::All),
        }
    }

    pub(crate) fn last_index(&self) -> Index {
        self.base.index + self.entries.len() as Index
    }

    pub(crate) fn last(&self) -> LastEntry {
        self.entries.last().map_or(self.base, |entry| LastEntry { term: entry.term, index: entry.index })
    }

    /// The entry before the first one held.
    pub(crate) fn base(&self) -> LastEntry {
        self.base
    }

    pub(crate) fn snapshot(&self) -> Option<&Snapshot> {
        self.snapshot.as_ref()
    }

    /// The last entry that the snapshot covers; 0 without one.
    pub(crate) fn snapshot_index(&self) -> Index {
        self.snapshot.as_ref().map_or(0, Snapshot::last_index)
    }

    pub(crate) fn membership(&self) -> &Membership {
        &self.membership
    }

    /// The last entry given to storage.
    pub(crate) fn handed(&self) -> Index {
        self.handed
    }

    pub(crate) fn durable(&self) -> Index {
        self.durable
    }

    /// The term of the entry at `index`; `None` after the last entry, and before `base`.
    pub(crate) fn term_at(&self, index: Index) -> Option<Term> {
        match index.checked_sub(self.base.index)? {
            0 => Some(self.base.term),
            // A peer may ask about any index, even one that does not fit in a `usize`.
            nth => self.entries.get(usize::try_from(nth - 1).ok()?).map(|entry| entry.term),
        }
    }

    /// Whether this log has an entry with this `index` and `term`. A compacted entry always agrees: it is committed, so
    /// every leader has the same one (§5.4).
    pub(crate) fn agrees(&self, index: Index, term: Term) -> bool {
        index < self.base.index || self.term_at(index) == Some(term)
    }

    /// At most `max` entries from `from` on; none if `from` is not held.
    pub(crate) fn from(&self, from: Index, max: usize) -> &[Entry] {
        if from <= self.base.index || from > self.last_index() {
            return &[];
        }
        let rest = &self.entries[self.position(from)..];
        &rest[..rest.len().min(max)]
    }

    /// The memory that the entries after `after` and up to `end` take, in bytes.
    pub(crate) fn memory(&self, after: Index, end: Index) -> usize {
        self.from(after + 1, (end - after) as usize).iter().map(Entry::memory).sum()
    }

    /// The entries from `from` on that fit in one AppendEntries; at least one, if there is one.
    pub(crate) fn batch(&self, from: Index, max_entries: usize, max_bytes: usize) -> Vec<Entry> {
        let mut bytes = 0;
        let fits = |entry: &&Entry| {
            let first = bytes == 0;
            bytes += entry.payload.len().max(1);
            first || bytes <= max_bytes
        };
        let candidates = self.from(from, max_entries.max(1));
        let count = candidates.iter().take_while(fits).count();
        candidates[..count].to_vec()
    }

    /// Appends the next entry. Returns whether it brings another configuration.
    pub(crate) fn push(&mut self, entry: Entry) -> bool {
        debug_assert_eq!(entry.index, self.last_index() + 1);
        let configuration = match &entry.payload {
            Payload::Configuration(configuration) => Some((**configuration).clone()),
            Payload::Noop | Payload::Command(_) => None,
        };
        let index = entry.index;
        self.entries.push(entry);
        let is_new = configuration.is_some();
        configuration.into_iter().for_each(|configuration| self.membership.push(index, configuration));
        is_new
    }

    /// Discards the entries from `from` on, and with `rolls_back` their configurations. Returns whether an earlier
    /// configuration is in force again.
    pub(crate) fn truncate(&mut self, from: Index, rolls_back: bool) -> bool {
        self.entries.truncate(self.position(from));
        self.handed = self.handed.min(from - 1);
        self.durable = self.durable.min(from - 1);
        self.truncations += 1;
        rolls_back && self.membership.roll_back(from)
    }

    /// [`Mutant::HandedKeptInBatch`](crate::mutant::Mutant::HandedKeptInBatch).
    pub(crate) fn keep_handed(&mut self, handed: Index) {
        self.handed = handed;
    }

    /// Replaces the beginning of the log by a snapshot of it, but keeps the last `keep` of the covered entries (§7).
    pub(crate) fn compact(&mut self, snapshot: Snapshot, keep: u64) {
        // What is applied was given to storage before, or with the effects that applied it.
        debug_assert!(snapshot.last.index <= self.handed);
        let base = snapshot.last.index.saturating_sub(keep).max(self.base.index);
        let term = self.term_at(base).expect("a snapshot covers entries of this log");
        self.entries.drain(..(base - self.base.index) as usize);
        self.base = LastEntry { term, index: base };
        self.membership.compact(snapshot.last.index);
        self.snapshot = Some(snapshot);
        self.snapshot_is_new = true;
        self.discard = Some(Discard::UpTo(base));
    }

    /// Replaces the whole log, which ends before a leader's snapshot or conflicts with it, by that snapshot (§7).
    pub(crate) fn replace(&mut self, snapshot: Snapshot) {
        self.entries.clear();
        self.base = snapshot.last;
        self.membership = Membership::new(Some(snapshot.configuration.clone()));
        self.handed = self.base.index;
        self.durable = 0;
        self.truncations += 1;
        self.snapshot = Some(snapshot);
        self.snapshot_is_new = true;
        self.discard = Some(Discard::All);
    }

    pub(crate) fn version(&self) -> LogVersion {
        LogVersion { last_index: self.last_index(), truncations: self.truncations }
    }

    /// The write of all that storage has not been given yet, with the hard state if that is new. The first entry may
    /// replace a stored suffix.
    pub(crate) fn hand_over(&mut self, hard_state: Option<HardState>) -> Write {
        let snapshot = self.snapshot.as_ref().filter(|_| std::mem::take(&mut self.snapshot_is_new)).cloned();
        let entries = self.from(self.handed + 1, usize::MAX).to_vec();
        self.handed = self.last_index();
        Write { hard_state, snapshot, discard: self.discard.take(), entries }
    }

    /// Storage has synced the log as it was in that version. A version from before a truncation is ignored: the write
    /// that replaces the discarded suffix is still to be synced, and its sync covers the rest as well. Returns whether
    /// the version counts.
    pub(crate) fn synced(&mut self, version: LogVersion) -> bool {
        let is_current = version.truncations == self.truncations;
        if is_current {
            self.durable = self.durable.max(version.last_index);
        }
        is_current
    }

    /// Where this log conflicts with one that has `term` at `prev_index`; `None` if it has the same entry there (§5.3).
    pub(crate) fn conflict_at(&self, prev_index: Index, term: Term) -> Option<Conflict> {
        if self.agrees(prev_index, term) {
            return None;
        }
        let index = self.last_not_after(LastEntry { term, index: prev_index });
        Some(Conflict { term: self.term_at(index).unwrap_or_default(), index })
    }

    /// The last index, at or before `place.index`, of an entry whose term is at most `place.term`; an index before `base`
    /// if no entry held is such. Another log that has `place` agrees with this one nowhere after it, since terms never
    /// decrease in a log. O(log n).
    pub(crate) fn last_not_after(&self, place: LastEntry) -> Index {
        if self.base.term > place.term {
            return place.index.min(self.base.index.saturating_sub(1));
        }
        let of_terms = self.base.index + self.entries.partition_point(|entry| entry.term <= place.term) as Index;
        place.index.min(of_terms)
    }

    /// The position in the vector of an index that is held, or of the next index.
    fn position(&self, index: Index) -> usize {
        usize::try_from(index - self.base.index - 1).expect("an index of an entry in memory")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Payload;

    fn push(log: &mut Log, term: Term, count: usize) {
        for _ in 0..count {
            log.push(Entry { index: log.last_index() + 1, term, payload: Payload::Noop });
        }
    }

    #[test]
    fn a_sync_vouches_for_nothing_that_came_in_the_place_of_what_it_wrote() {
        let mut log = Log::recovered(None, Recovered::default());
        push(&mut log, 1, 4);
        log.hand_over(None);
        let first = log.version();
        log.truncate(3, true);
        push(&mut log, 2, 2);
        assert_eq!(
            log.hand_over(None).entries.iter().map(|entry| (entry.index, entry.term)).collect::<Vec<_>>(),
            [(3, 2), (4, 2)]
        );
        let second = log.version();
        log.synced(first);
        assert_eq!(log.durable(), 0);
        log.synced(second);
        assert_eq!(log.durable(), 4);
    }

    #[test]
    fn what_is_discarded_is_durable_no_more() {
        let mut log = Log::recovered(None, Recovered::default());
        push(&mut log, 1, 4);
        log.hand_over(None);
        log.synced(log.version());
        log.truncate(2, true);
        push(&mut log, 2, 3);
        assert_eq!((log.durable(), log.last_index()), (1, 4));
    }

    fn snapshot(term: Term, index: Index) -> Snapshot {
        let configuration = Configuration::new([crate::NodeId::new(1).unwrap()]).unwrap();
        Snapshot { last: LastEntry { term, index }, configuration, data: "state".into() }
    }

    fn held(log: &Log) -> Vec<(Index, Term)> {
        log.from(log.base().index + 1, usize::MAX).iter().map(|entry| (entry.index, entry.term)).collect()
    }

    #[test]
    fn a_snapshot_takes_the_place_of_what_it_covers_but_for_what_is_to_stay() {
        for (keep, base, stays) in [(0, 3, vec![(4, 2), (5, 2)]), (2, 1, vec![(2, 1), (3, 1), (4, 2), (5, 2)])] {
            let mut log = Log::recovered(None, Recovered::default());
            push(&mut log, 1, 3);
            push(&mut log, 2, 2);
            log.hand_over(None);
            log.compact(snapshot(1, 3), keep);
            assert_eq!((log.base().index, held(&log)), (base, stays));
            assert_eq!(
                (log.last_index(), log.term_at(5), log.term_at(base), log.term_at(base - 1)),
                (5, Some(2), Some(1), None)
            );
            let write = log.hand_over(None);
            assert_eq!((write.snapshot, write.discard), (Some(snapshot(1, 3)), Some(Discard::UpTo(base))));
            assert!(log.hand_over(None).is_empty());
        }
    }

    #[test]
    fn a_leaders_snapshot_is_durable_when_its_write_is() {
        let mut log = Log::recovered(None, Recovered::default());
        push(&mut log, 1, 4);
        log.hand_over(None);
        let before = log.version();
        log.replace(snapshot(2, 9));
        assert_eq!((log.last(), held(&log)), (LastEntry { term: 2, index: 9 }, vec![]));
        assert_eq!(log.hand_over(None).discard, Some(Discard::All));
        log.synced(before);
        assert_eq!(log.durable(), 0);
        log.synced(log.version());
        assert_eq!(log.durable(), 9);
    }

    #[test]
    fn a_recovered_log_goes_on_after_its_snapshot_or_is_void() {
        let entries = |first: Index, terms: &[Term]| -> Vec<Entry> {
            (first..).zip(terms).map(|(index, term)| Entry { index, term: *term, payload: Payload::Noop }).collect()
        };
        // The snapshot ends with entry 3 of term 2.
        let cases = [
            (entries(1, &[1, 1, 2, 2, 3]), vec![(4, 2), (5, 3)], None),
            (entries(3, &[2, 3]), vec![(4, 3)], None),
            (entries(4, &[3]), vec![(4, 3)], None),
            (vec![], vec![], None),
            (entries(1, &[1, 1]), vec![], Some(Discard::All)),
            (entries(1, &[1, 1, 1, 1]), vec![], Some(Discard::All)),
        ];
        for (stored, held_after, discard) in cases {
            let recovered =
                Recovered { snapshot: Some(snapshot(2, 3)), entries: stored.clone(), ..Recovered::default() };
            let mut log = Log::recovered(None, recovered);
            assert_eq!((held(&log), log.hand_over(None).discard), (held_after, discard), "{stored:?}");
        }
    }
}
