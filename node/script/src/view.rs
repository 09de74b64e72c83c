//! What a cluster looks like between two lines of a scenario: each node's role, term and log.
//!
//! Deliberately absent: drawing. A face draws it as it likes.

use raftian_raft::{Index, NodeId, RoleKind, Term};

/// The most entries of a node that are looked at: the last ones.
pub const MAX_ENTRIES_SEEN: usize = 64;

/// A node at a moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeView {
    /// Its name, and which of that name it is.
    pub node: NodeId,
    /// What its process does.
    pub state: Life,
    /// Its term. Of a node that is down, what its disk has or what it said last; likewise all that follows.
    pub term: Term,
    /// The last entry that its snapshot stands for; 0 without one.
    pub snapshot_index: Index,
    /// The index of the first of these entries.
    pub first_index: Index,
    /// The terms of its last entries, [`MAX_ENTRIES_SEEN`] at most.
    pub terms: Vec<Term>,
    /// The last entry that it knows to be committed.
    pub commit_index: Index,
}

/// What the process of a node does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Life {
    /// It runs, in this role.
    Up(RoleKind),
    /// It stands still; this was its role.
    Paused(RoleKind),
    /// It does not run.
    Down,
}

impl NodeView {
    /// The term of the entry at an index, if it is among those that were looked at.
    pub fn term_at(&self, index: Index) -> Option<Term> {
        let place = usize::try_from(index.checked_sub(self.first_index)?).ok()?;
        self.terms.get(place).copied()
    }

    /// The last entry of its log.
    pub fn last_index(&self) -> Index {
        self.snapshot_index.max((self.first_index + self.terms.len() as u64).saturating_sub(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_found_by_index() {
        let node = NodeView {
            node: NodeId::new(1).unwrap(),
            state: Life::Down,
            term: 4,
            snapshot_index: 2,
            first_index: 3,
            terms: vec![2, 4],
            commit_index: 3,
        };
        assert_eq!(
            (node.term_at(2), node.term_at(3), node.term_at(4), node.term_at(5)),
            (None, Some(2), Some(4), None)
        );
        assert_eq!(node.last_index(), 4);
        assert_eq!(NodeView { terms: vec![], ..node }.last_index(), 2);
    }
}
