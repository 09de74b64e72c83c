//! The ends of logs, side by side.

use raftian_rpc::control::NodeStatus;
use raftian_rpc::{Index, Term};
use serde::{Deserialize, Serialize};

/// How many entries a [`Tail`] has at most.
pub const TAIL: usize = raftian_rpc::control::RECENT_TERMS;

/// The end of a log: the terms of its last entries.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tail {
    /// The index of the first of them.
    pub from: Index,
    /// Their terms, in order.
    pub terms: Vec<Term>,
}

impl Tail {
    /// The end of a node's log.
    pub(crate) fn of(server: &NodeStatus) -> Tail {
        let terms = server.recent_terms.clone();
        Tail { from: server.last_index + 1 - terms.len() as Index, terms }
    }

    /// The first index at which both have an entry, and of different terms.
    pub fn differs_from(&self, other: &Tail) -> Option<Index> {
        let entries = self.from..self.from + self.terms.len() as Index;
        entries
            .into_iter()
            .find(|index| matches!((self.term(*index), other.term(*index)), (Some(own), Some(other)) if own != other))
    }

    /// The term of an entry, if it is among the last.
    pub fn term(&self, index: Index) -> Option<Term> {
        let place = usize::try_from(index.checked_sub(self.from)?).ok()?;
        self.terms.get(place).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logs_differ_where_both_have_an_entry_of_another_term() {
        let tail = |from, terms: &[Term]| Tail { from, terms: terms.to_vec() };
        let leader = tail(5, &[1, 1, 3, 3]);
        assert_eq!(tail(5, &[1, 1, 2]).differs_from(&leader), Some(7));
        assert_eq!(tail(6, &[1, 3]).differs_from(&leader), None);
        assert_eq!(tail(5, &[1, 1, 3, 3, 3]).differs_from(&leader), None, "longer is not different");
        assert_eq!(tail(1, &[9]).differs_from(&leader), None, "nothing in common");
        assert_eq!(tail(1, &[]).differs_from(&leader), None);
    }
}
