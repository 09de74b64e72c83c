//! Configurations as the oracle knows them. It does its own arithmetic: whoever judges the core must not ask it.
//!
//! Invariant: nothing here calls a rule of the core, only its accessors.

use std::array;
use std::collections::BTreeSet;
use std::ops::{BitAnd, BitOr, Not};

use raftian_raft::{Change, Configuration, NodeId};
use raftian_script::{MAX_INCARNATIONS, MAX_NODES};

use crate::invariant::place;
use crate::random::random;

/// Servers, each known by its name and its incarnation: of every incarnation the names, n1 as the lowest bit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ids([u64; MAX_INCARNATIONS]);

/// Who takes part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Members {
    pub(crate) voters: Ids,
    pub(crate) outgoing: Ids,
    pub(crate) learners: Ids,
}

impl Ids {
    pub(crate) fn contains(self, id: NodeId) -> bool {
        !(self & bit(id)).is_empty()
    }

    pub(crate) fn is_empty(self) -> bool {
        self == Ids::default()
    }

    pub(crate) fn hash(self) -> u64 {
        random(self.0)
    }

    fn count(self) -> u32 {
        self.0.iter().map(|names| names.count_ones()).sum()
    }

    /// All of them, in the order of their names.
    fn iter(self) -> impl Iterator<Item = NodeId> {
        let all = (1..=MAX_NODES as u16).flat_map(|name| (1..=MAX_INCARNATIONS as u16).map(move |nth| (name, nth)));
        all.filter_map(|(name, nth)| NodeId::of(name, nth)).filter(move |id| self.contains(*id))
    }

    /// Their names, as the first incarnations of them.
    fn names(self) -> Ids {
        let mut names = Ids::default();
        names.0[0] = self.0.iter().fold(0, |all, names| all | names);
        names
    }
}

impl Members {
    pub(crate) fn of(configuration: &Configuration) -> Members {
        let ids = |ids: &BTreeSet<NodeId>| ids.iter().copied().collect();
        Members {
            voters: ids(configuration.voters()),
            outgoing: ids(configuration.outgoing()),
            learners: ids(configuration.learners()),
        }
    }

    /// Whether those in `agree` are more than half of the voters, and of the outgoing ones if there are any.
    pub(crate) fn is_quorum(self, agree: Ids) -> bool {
        is_majority(self.voters, agree) && (self.outgoing.is_empty() || is_majority(self.outgoing, agree))
    }

    /// Whether it would be one if learners had votes, and some of them are in it.
    pub(crate) fn is_quorum_with_learners(self, agree: Ids) -> bool {
        !(self.learners & agree).is_empty() && is_majority(self.voters | self.outgoing | self.learners, agree)
    }

    /// Whether it would be one if an incarnation of a name stood for all of that name, and some other than a member is in it.
    pub(crate) fn is_quorum_by_name(self, agree: Ids) -> bool {
        let Members { voters, outgoing, learners } = self;
        let by_name = Members { voters: voters.names(), outgoing: outgoing.names(), learners: learners.names() };
        let others = agree & !self.all();
        !(others.names() & self.all().names()).is_empty() && by_name.is_quorum(agree.names())
    }

    /// All of them.
    pub(crate) fn all(self) -> Ids {
        self.voters | self.outgoing | self.learners
    }

    pub(crate) fn contains(self, id: NodeId) -> bool {
        self.all().contains(id)
    }

    /// Whether a later incarnation of this server's name is a member, and it is not.
    pub(crate) fn has_successor_of(self, id: NodeId) -> bool {
        let later = &self.all().0[usize::from(id.incarnation())..];
        !self.contains(id) && later.iter().any(|names| names >> place(id) & 1 == 1)
    }

    /// What becomes of settled members when this change is done; who learns does not matter here.
    pub(crate) fn after(self, change: &Change) -> Members {
        let voters = match change {
            Change::AddLearner(_) => self.voters,
            Change::Promote(id) => self.voters | bit(*id),
            Change::Remove(id) => self.voters & !bit(*id),
            Change::Members { voters, .. } => voters.iter().copied().collect(),
        };
        Members { voters, outgoing: Ids::default(), ..self }
    }

    /// Whether `next` may follow this in a log (§6): C_new after C_old,new; after anything else, C_old,new or other
    /// learners.
    pub(crate) fn may_precede(self, next: Members) -> bool {
        match (self.outgoing.is_empty(), next.outgoing.is_empty()) {
            (true, true) => next.voters == self.voters,
            (true, false) => next.outgoing == self.voters,
            (false, true) => (next.voters, next.learners) == (self.voters, self.learners),
            (false, false) => false,
        }
    }
}

/// This server alone.
///
/// # Panics
/// When there are more names or incarnations in the simulator than bits.
pub(crate) fn bit(id: NodeId) -> Ids {
    let mut alone = Ids::default();
    alone.0[usize::from(id.incarnation()) - 1] = 1 << place(id);
    alone
}

fn is_majority(voters: Ids, agree: Ids) -> bool {
    2 * (voters & agree).count() > voters.count()
}

impl FromIterator<NodeId> for Ids {
    fn from_iter<T: IntoIterator<Item = NodeId>>(ids: T) -> Ids {
        ids.into_iter().fold(Ids::default(), |all, id| all | bit(id))
    }
}

impl BitOr for Ids {
    type Output = Ids;

    fn bitor(self, other: Ids) -> Ids {
        Ids(array::from_fn(|nth| self.0[nth] | other.0[nth]))
    }
}

impl BitAnd for Ids {
    type Output = Ids;

    fn bitand(self, other: Ids) -> Ids {
        Ids(array::from_fn(|nth| self.0[nth] & other.0[nth]))
    }
}

impl Not for Ids {
    type Output = Ids;

    fn not(self) -> Ids {
        Ids(self.0.map(|names| !names))
    }
}

/// `n1 n2 n3`, `n1 n2 | n1 n2 n3` while joint (C_new | C_old), and `n1 + n4` with a learner.
impl std::fmt::Display for Members {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names = |ids: Ids| ids.iter().map(|id| id.to_string()).collect::<Vec<_>>().join(" ");
        write!(f, "{}", names(self.voters))?;
        if !self.outgoing.is_empty() {
            write!(f, " | {}", names(self.outgoing))?;
        }
        if !self.learners.is_empty() {
            write!(f, " + {}", names(self.learners))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(ids: &str) -> Ids {
        ids.split_whitespace().map(|id| id.parse::<NodeId>().unwrap()).collect()
    }

    #[test]
    fn a_joint_quorum_is_one_of_both_halves() {
        let joint = Members { voters: ids("n3 n4 n5"), outgoing: ids("n1 n2 n3"), learners: ids("n6") };
        assert!(joint.is_quorum(ids("n1 n3 n4")) && joint.is_quorum(ids("n1 n2 n4 n5")));
        for few in ["n1 n2 n3 n6", "n3 n4 n5 n6", "n2 n4 n5 n6"] {
            assert!(!joint.is_quorum(ids(few)), "{few}");
        }
        assert!(joint.is_quorum_with_learners(ids("n2 n4 n5 n6")));
        assert_eq!(joint.to_string(), "n3 n4 n5 | n1 n2 n3 + n6");
    }

    #[test]
    fn another_incarnation_is_another_server() {
        let members = Members { voters: ids("n1 n2.2 n3"), outgoing: Ids::default(), learners: Ids::default() };
        assert!(members.is_quorum(ids("n1 n2.2")) && !members.is_quorum_by_name(ids("n1 n2.2")));
        for other in ["n1 n2", "n1 n2.3"] {
            assert!(!members.is_quorum(ids(other)) && members.is_quorum_by_name(ids(other)), "{other}");
        }
        assert!(!members.is_quorum_by_name(ids("n2")) && !members.is_quorum_by_name(ids("n1 n4.2")));
        assert_eq!(members.to_string(), "n1 n2.2 n3");
    }
}
