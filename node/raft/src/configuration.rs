//! The members of a cluster, which of them vote, and what a quorum of the voters is (§5.2, §6; thesis §4).
//!
//! Invariants: there is at least one voter, and no learner is a voter. All arithmetic of quorums is here, so that the
//! rules in other files need not distinguish joint configurations.
//!
//! Deliberately absent: which configuration is in force (`membership`), and which may follow which (`change`).

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::NodeId;

/// The members of a cluster: voters and learners.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Unchecked")]
pub struct Configuration {
    voters: BTreeSet<NodeId>,
    /// The voters of C_old while C_old,new is in force; empty otherwise. One of them may become a learner of C_new.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    outgoing: BTreeSet<NodeId>,
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    learners: BTreeSet<NodeId>,
}

/// A configuration as it is received, before it is checked.
#[derive(Deserialize)]
struct Unchecked {
    voters: BTreeSet<NodeId>,
    #[serde(default)]
    outgoing: BTreeSet<NodeId>,
    #[serde(default)]
    learners: BTreeSet<NodeId>,
}

impl Configuration {
    /// A configuration of these voters, or `None` if there are none.
    pub fn new(voters: impl IntoIterator<Item = NodeId>) -> Option<Configuration> {
        Configuration::of(voters.into_iter().collect(), BTreeSet::new(), BTreeSet::new())
    }

    /// A configuration of these voters and learners; a joint one (§6) if there are outgoing voters. `None` if there
    /// are no voters, or if a voter is a learner as well.
    pub fn of(
        voters: BTreeSet<NodeId>,
        outgoing: BTreeSet<NodeId>,
        learners: BTreeSet<NodeId>,
    ) -> Option<Configuration> {
        let is_valid = !voters.is_empty() && voters.is_disjoint(&learners);
        is_valid.then_some(Configuration { voters, outgoing, learners })
    }

    /// The voters, of C_new while the configuration is joint.
    pub fn voters(&self) -> &BTreeSet<NodeId> {
        &self.voters
    }

    /// The voters of C_old while the configuration is joint; otherwise empty.
    pub fn outgoing(&self) -> &BTreeSet<NodeId> {
        &self.outgoing
    }

    /// The members that are sent the log but have no vote (thesis §4.2.1). While the configuration is joint, a voter of
    /// C_old may be among them: it has a vote in C_old and none in C_new.
    pub fn learners(&self) -> &BTreeSet<NodeId> {
        &self.learners
    }

    /// Whether this is C_old,new, in which every decision takes a quorum of both (§6).
    pub fn is_joint(&self) -> bool {
        !self.outgoing.is_empty()
    }

    /// Whether `id` has a vote, in C_old or in C_new.
    pub fn is_voter(&self, id: NodeId) -> bool {
        self.voters.contains(&id) || self.outgoing.contains(&id)
    }

    /// Whether `id` is a member, with a vote or without.
    pub fn contains(&self, id: NodeId) -> bool {
        self.is_voter(id) || self.learners.contains(&id)
    }

    /// All members, in order.
    pub fn members(&self) -> impl Iterator<Item = NodeId> {
        let everybody = self.voters.iter().chain(&self.outgoing).chain(&self.learners);
        everybody.copied().collect::<BTreeSet<NodeId>>().into_iter()
    }

    /// The member with the name of a server that it replaces: a later incarnation. `None` if there is none, or the server
    /// is a member itself.
    pub fn successor_of(&self, id: NodeId) -> Option<NodeId> {
        let is_later = |member: &NodeId| member.name() == id.name() && *member > id;
        if self.contains(id) { None } else { self.members().find(is_later) }
    }

    /// C_old,new for a change from this configuration to another one (§6). If the voters stay the same, no joint step
    /// is needed, and this is C_new: every quorum of the one is a quorum of the other.
    pub(crate) fn towards(&self, voters: BTreeSet<NodeId>, learners: BTreeSet<NodeId>) -> Option<Configuration> {
        let outgoing = if voters == self.voters { BTreeSet::new() } else { self.voters.clone() };
        Configuration::of(voters, outgoing, learners)
    }

    /// C_new, when this is C_old,new.
    pub(crate) fn settled(&self) -> Configuration {
        Configuration { outgoing: BTreeSet::new(), ..self.clone() }
    }

    /// Whether the voters for whom `agrees` holds are a quorum: more than half, of both halves if joint.
    pub fn has_quorum(&self, agrees: impl Fn(NodeId) -> bool) -> bool {
        self.reached(agrees)
    }

    /// The greatest value that a quorum has reached, such as the last index that a quorum stores. O(n log n) in the
    /// number of voters.
    pub fn reached<T: Ord>(&self, value: impl Fn(NodeId) -> T) -> T {
        let voters = reached_in(&self.voters, &value);
        match self.is_joint() {
            true => voters.min(reached_in(&self.outgoing, &value)),
            false => voters,
        }
    }
}

/// The greatest value that more than half of these have reached.
fn reached_in<T: Ord>(voters: &BTreeSet<NodeId>, value: impl Fn(NodeId) -> T) -> T {
    let mut values: Vec<T> = voters.iter().copied().map(value).collect();
    let quorum = values.len() / 2 + 1;
    values.sort_unstable_by(|a, b| b.cmp(a));
    values.swap_remove(quorum - 1)
}

/// `n1 n2 n3`, `n1 n2 | n1 n2 n3` while joint (C_new | C_old), and `n1 + n4` with a learner.
impl fmt::Display for Configuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = |ids: &BTreeSet<NodeId>| ids.iter().map(NodeId::to_string).collect::<Vec<_>>().join(" ");
        write!(f, "{}", names(&self.voters))?;
        if self.is_joint() {
            write!(f, " | {}", names(&self.outgoing))?;
        }
        if !self.learners.is_empty() {
            write!(f, " + {}", names(&self.learners))?;
        }
        Ok(())
    }
}

impl TryFrom<Unchecked> for Configuration {
    type Error = &'static str;

    fn try_from(unchecked: Unchecked) -> Result<Configuration, &'static str> {
        let Unchecked { voters, outgoing, learners } = unchecked;
        Configuration::of(voters, outgoing, learners).ok_or("a configuration needs a voter, and no voter is a learner")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cluster(count: u16) -> Configuration {
        Configuration::new(NodeId::first(count)).unwrap()
    }

    fn set(numbers: &[u16]) -> BTreeSet<NodeId> {
        numbers.iter().map(|number| NodeId::new(*number).unwrap()).collect()
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

    #[test]
    fn a_joint_quorum_is_one_of_both_halves_and_learners_are_in_neither() {
        let joint = Configuration::of(set(&[3, 4, 5]), set(&[1, 2, 3]), set(&[6])).unwrap();
        let has = |agree: &[u16]| joint.has_quorum(|id| agree.contains(&id.number()));
        assert!(has(&[1, 3, 4]) && has(&[1, 2, 4, 5]));
        assert!(!has(&[1, 2, 3, 6]), "more than half of C_old alone");
        assert!(!has(&[3, 4, 5, 6]), "more than half of C_new alone");
        assert!(!has(&[2, 4, 5, 6]), "a majority of all, but not of C_old");
        assert_eq!(joint.settled(), Configuration::of(set(&[3, 4, 5]), set(&[]), set(&[6])).unwrap());
    }

    #[test]
    fn what_is_not_a_configuration_is_not_read_as_one() {
        assert_eq!(Configuration::new([]), None);
        assert_eq!(Configuration::of(set(&[1, 2]), set(&[]), set(&[2])), None);
        // An outgoing voter may stay as a learner.
        assert!(Configuration::of(set(&[1]), set(&[1, 2]), set(&[2])).is_some());
    }
}
