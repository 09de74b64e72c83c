//! Who votes, and what a quorum of them is.
//!
//! Invariant: every question about quorums is answered here, so that joint consensus (§6) will change this file and
//! no rule elsewhere.

use std::collections::BTreeSet;

use crate::NodeId;

/// The voters of a cluster; at least one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Configuration {
    voters: BTreeSet<NodeId>,
}

impl Configuration {
    /// A configuration of these voters, or `None` if there are none.
    pub fn new(voters: impl IntoIterator<Item = NodeId>) -> Option<Configuration> {
        let voters: BTreeSet<NodeId> = voters.into_iter().collect();
        (!voters.is_empty()).then_some(Configuration { voters })
    }

    /// The voters in order.
    pub fn voters(&self) -> impl Iterator<Item = NodeId> {
        self.voters.iter().copied()
    }

    /// Everybody but `id`.
    pub fn peers_of(&self, id: NodeId) -> impl Iterator<Item = NodeId> {
        self.voters().filter(move |voter| *voter != id)
    }

    /// Whether the voters for whom `agrees` holds are a quorum.
    pub fn has_quorum(&self, agrees: impl Fn(NodeId) -> bool) -> bool {
        self.reached(agrees)
    }

    /// The greatest value that a quorum has reached: the index a quorum stores, the time since which a quorum has
    /// been heard. O(n log n) in the number of voters.
    pub fn reached<T: Ord>(&self, value: impl Fn(NodeId) -> T) -> T {
        let mut values: Vec<T> = self.voters().map(value).collect();
        let quorum = values.len() / 2 + 1;
        values.sort_by(|a, b| b.cmp(a));
        values.swap_remove(quorum - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cluster(count: u16) -> Configuration {
        Configuration::new(NodeId::first(count)).unwrap()
    }

    #[test]
    fn a_quorum_is_more_than_half() {
        for (count, quorum) in [(1, 1), (2, 2), (3, 2), (4, 3), (5, 3), (9, 5)] {
            let has = |votes: u16| cluster(count).has_quorum(|id| id.number() <= votes);
            assert!(has(quorum) && !has(quorum - 1), "{count} voters");
        }
    }

    #[test]
    fn what_a_quorum_has_reached_is_the_median_or_below() {
        let index = |id: NodeId| [7, 3, 9, 1, 5][usize::from(id.number() - 1)];
        assert_eq!(cluster(1).reached(index), 7);
        assert_eq!(cluster(2).reached(index), 3);
        assert_eq!(cluster(3).reached(index), 7);
        assert_eq!(cluster(4).reached(index), 3);
        assert_eq!(cluster(5).reached(index), 5);
    }
}
