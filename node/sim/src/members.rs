//! Configurations as the oracle knows them. It does its own arithmetic: whoever judges the core must not ask it.
//!
//! Invariant: nothing here calls a rule of the core, only its accessors.

use std::collections::BTreeSet;

use raftian_raft::{Change, Configuration, NodeId};

use crate::invariant::place;

/// The most nodes there can be: members are bits.
pub(crate) const MAX_NODES: usize = 64;

/// Who takes part, as sets of bits: n1 is the lowest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Members {
    pub(crate) voters: u64,
    pub(crate) outgoing: u64,
    pub(crate) learners: u64,
}

impl Members {
    pub(crate) fn of(configuration: &Configuration) -> Members {
        let bits = |ids: &BTreeSet<NodeId>| ids.iter().fold(0, |bits, id| bits | bit(*id));
        Members {
            voters: bits(configuration.voters()),
            outgoing: bits(configuration.outgoing()),
            learners: bits(configuration.learners()),
        }
    }

    /// Whether those in `agree` are more than half of the voters, and of the outgoing ones if there are any.
    pub(crate) fn is_quorum(self, agree: u64) -> bool {
        is_majority(self.voters, agree) && (self.outgoing == 0 || is_majority(self.outgoing, agree))
    }

    /// Whether it would be one if learners had votes, and some of them are in it.
    pub(crate) fn is_quorum_with_learners(self, agree: u64) -> bool {
        self.learners & agree != 0 && is_majority(self.voters | self.outgoing | self.learners, agree)
    }

    /// All of them.
    pub(crate) fn all(self) -> u64 {
        self.voters | self.outgoing | self.learners
    }

    pub(crate) fn contains(self, id: NodeId) -> bool {
        self.all() & bit(id) != 0
    }

    /// What becomes of settled members when this change is done; who learns does not matter here.
    pub(crate) fn after(self, change: &Change) -> Members {
        let voters = match change {
            Change::AddLearner(_) => self.voters,
            Change::Promote(id) => self.voters | bit(*id),
            Change::Remove(id) => self.voters & !bit(*id),
            Change::Members { voters, .. } => voters.iter().fold(0, |bits, id| bits | bit(*id)),
        };
        Members { voters, outgoing: 0, ..self }
    }

    /// Whether `next` may follow this in a log (§6): C_new after C_old,new; after anything else, C_old,new or other
    /// learners.
    pub(crate) fn may_precede(self, next: Members) -> bool {
        match (self.outgoing == 0, next.outgoing == 0) {
            (true, true) => next.voters == self.voters,
            (true, false) => next.outgoing == self.voters,
            (false, true) => (next.voters, next.learners) == (self.voters, self.learners),
            (false, false) => false,
        }
    }
}

/// The bit of a node.
pub(crate) fn bit(id: NodeId) -> u64 {
    1 << place(id)
}

fn is_majority(voters: u64, agree: u64) -> bool {
    2 * (voters & agree).count_ones() > voters.count_ones()
}

/// `n1 n2 n3`, `n1 n2 | n1 n2 n3` while joint (C_new | C_old), and `n1 + n4` with a learner.
impl std::fmt::Display for Members {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names = |bits: u64| {
            let ids = (0..MAX_NODES).filter(|place| bits & (1 << place) != 0);
            ids.map(|place| format!("n{}", place + 1)).collect::<Vec<_>>().join(" ")
        };
        write!(f, "{}", names(self.voters))?;
        if self.outgoing != 0 {
            write!(f, " | {}", names(self.outgoing))?;
        }
        if self.learners != 0 {
            write!(f, " + {}", names(self.learners))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_joint_quorum_is_one_of_both_halves() {
        let joint = Members { voters: 0b11100, outgoing: 0b00111, learners: 0b100000 };
        assert!(joint.is_quorum(0b01101) && joint.is_quorum(0b11011));
        assert!(!joint.is_quorum(0b100111) && !joint.is_quorum(0b111100) && !joint.is_quorum(0b111010));
        assert!(joint.is_quorum_with_learners(0b111010));
        assert_eq!(joint.to_string(), "n3 n4 n5 | n1 n2 n3 + n6");
    }
}
