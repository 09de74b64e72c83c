//! Which configuration is in force: "a server always uses the latest configuration in its log, regardless of whether
//! the entry is committed" (§6).
//!
//! Invariant: the history has exactly the configurations that are in the log after the snapshot. When `Log` discards an
//! entry with a configuration, it rolls back this history.

use crate::{Configuration, Index};

#[derive(Debug)]
pub(crate) struct Membership {
    /// The configuration before the first change: the one a cluster starts with, or the snapshot's. `None` for a server
    /// that waits to be added.
    first: Option<Configuration>,
    changes: Vec<(Index, Configuration)>,
}

impl Membership {
    pub(crate) fn new(first: Option<Configuration>) -> Membership {
        Membership { first, changes: Vec::new() }
    }

    /// The configuration in force.
    pub(crate) fn active(&self) -> Option<&Configuration> {
        self.changes.last().map(|(_, configuration)| configuration).or(self.first.as_ref())
    }

    /// The configuration before that.
    pub(crate) fn previous(&self) -> Option<&Configuration> {
        self.active_since().checked_sub(1).and_then(|index| self.at(index))
    }

    /// The index of the entry with the configuration in force; 0 when it is older than this history.
    pub(crate) fn active_since(&self) -> Index {
        self.changes.last().map_or(0, |(index, _)| *index)
    }

    /// The configuration that was in force at `index`, which is not before the snapshot.
    pub(crate) fn at(&self, index: Index) -> Option<&Configuration> {
        let until = self.changes.partition_point(|(at, _)| *at <= index);
        self.changes[..until].last().map(|(_, configuration)| configuration).or(self.first.as_ref())
    }

    /// The entry at `index` has a new configuration.
    pub(crate) fn push(&mut self, index: Index, configuration: Configuration) {
        self.changes.push((index, configuration));
    }

    /// The entries from `from` on were discarded. Returns whether another configuration is in force now.
    pub(crate) fn roll_back(&mut self, from: Index) -> bool {
        let before = self.changes.len();
        self.changes.retain(|(index, _)| *index < from);
        self.changes.len() < before
    }

    /// A snapshot covers the entries up to `index`.
    pub(crate) fn compact(&mut self, index: Index) {
        let covered = self.changes.partition_point(|(at, _)| *at <= index);
        if let Some((_, configuration)) = self.changes.drain(..covered).next_back() {
            self.first = Some(configuration);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::NodeId;

    fn first(count: u16) -> Configuration {
        Configuration::new(NodeId::first(count)).unwrap()
    }

    /// Of a cluster that began with three and had four from index 5 on, and five from index 9 on.
    fn membership() -> Membership {
        let mut membership = Membership::new(Some(first(3)));
        membership.push(5, first(4));
        membership.push(9, first(5));
        membership
    }

    #[test]
    fn the_latest_is_in_force_and_goes_with_its_entry() {
        let mut membership = membership();
        assert_eq!((membership.active(), membership.active_since()), (Some(&first(5)), 9));
        assert!(!membership.roll_back(10));
        assert!(membership.roll_back(9));
        assert_eq!((membership.active(), membership.previous()), (Some(&first(4)), Some(&first(3))));
        assert!(membership.roll_back(1));
        assert_eq!((membership.active(), membership.active_since()), (Some(&first(3)), 0));
    }

    #[test]
    fn what_a_snapshot_covers_is_folded_into_one() {
        let mut membership = membership();
        assert_eq!(membership.at(4), Some(&first(3)));
        assert_eq!(membership.at(8), Some(&first(4)));
        membership.compact(8);
        assert_eq!(membership.at(8), Some(&first(4)));
        assert!(membership.roll_back(9));
        assert_eq!((membership.active(), membership.active_since()), (Some(&first(4)), 0));
    }
}
