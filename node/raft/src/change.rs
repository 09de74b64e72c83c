//! Changes of the membership: what a leader can be asked for, and the configuration that results (§6; thesis §4).
//!
//! Every change of the voters goes through a joint configuration, of one server or of many. A server becomes a voter
//! only after it has caught up as a learner, so that a change does not cost the cluster its availability (thesis
//! §4.2.1).
//!
//! Invariant: the result is a configuration that may follow the one in force.

use std::collections::BTreeSet;

use thiserror::Error;

use crate::{Configuration, Index, NodeId, NotLeader};

/// A change of the membership.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// A new server is sent the log, without a vote.
    AddLearner(NodeId),
    /// A learner that has caught up gets a vote.
    Promote(NodeId),
    /// A voter or a learner leaves. It may be the leader, which then leads until the change is committed (§6).
    Remove(NodeId),
    /// These are the new members, and all others leave. A voter that is named as a learner loses its vote.
    Members {
        /// Those with a vote.
        voters: BTreeSet<NodeId>,
        /// Those without.
        learners: BTreeSet<NodeId>,
    },
}

/// Why a change was not begun. Nothing was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum ChangeRefused {
    /// Only a leader changes the membership.
    #[error(transparent)]
    NotLeader(#[from] NotLeader),
    /// There is one change at a time (§6).
    #[error("the change of the membership at index {index} is not completed yet; try again when it is")]
    Pending {
        /// Its index in the log.
        index: Index,
    },
    /// The leader does not know yet whether an earlier leader's change is committed: nothing of its own term is.
    #[error("the leader has not committed an entry of its term yet; try again in a moment")]
    TermNotCommitted,
    /// The leader is transferring leadership to another server (thesis §3.10).
    #[error("the lead is being transferred to {to}; try again when that is over")]
    Transferring {
        /// The server to lead next.
        to: NodeId,
    },
    /// It would have to be a member.
    #[error("{node} is not a member; only a learner that was added before can get a vote")]
    Unknown {
        /// The server.
        node: NodeId,
    },
    /// It is a member already.
    #[error("{node} is a member already")]
    Exists {
        /// The server.
        node: NodeId,
    },
    /// It cannot be both.
    #[error("{node} cannot be a voter and a learner at once")]
    VoterAndLearner {
        /// The server.
        node: NodeId,
    },
    /// A cluster without a voter could never decide anything again.
    #[error("no voter would be left; promote another server first")]
    LastVoter,
    /// With its vote the cluster might have to wait for it.
    #[error("{node} lacks the last {behind} entries of the log; try again when it has caught up")]
    Lagging {
        /// The learner.
        node: NodeId,
        /// How many entries it is behind.
        behind: u64,
    },
    /// With its vote the cluster might have to wait for it, perhaps for ever.
    #[error("{node} does not answer; try again when it does")]
    Silent {
        /// The learner.
        node: NodeId,
    },
    /// With its vote the cluster would have to wait for it: it does not count for a quorum.
    #[error("{node} denies what it acknowledged, so its disk went back in time; remove it, and add it anew")]
    Denies {
        /// The learner.
        node: NodeId,
    },
    /// The membership is already as requested.
    #[error("the membership is so already")]
    NothingToDo,
}

impl Change {
    /// The configuration to append. `current` is not joint. `lag` returns how many entries a learner lacks, if these
    /// are too many for it to become a voter; `answers` returns whether it has replied lately, which a new voter must
    /// have.
    pub(crate) fn apply(
        self,
        current: &Configuration,
        lag: impl Fn(NodeId) -> Option<u64>,
        answers: impl Fn(NodeId) -> bool,
    ) -> Result<Configuration, ChangeRefused> {
        let (voters, learners) = self.members(current)?;
        if (&voters, &learners) == (current.voters(), current.learners()) {
            return Err(ChangeRefused::NothingToDo);
        }
        for &node in voters.difference(current.voters()) {
            if !current.learners().contains(&node) {
                return Err(ChangeRefused::Unknown { node });
            }
            if let Some(behind) = lag(node) {
                return Err(ChangeRefused::Lagging { node, behind });
            }
            if !answers(node) {
                return Err(ChangeRefused::Silent { node });
            }
        }
        if let Some(&node) = voters.intersection(&learners).next() {
            return Err(ChangeRefused::VoterAndLearner { node });
        }
        current.towards(voters, learners).ok_or(ChangeRefused::LastVoter)
    }

    /// The voters and the learners after the change.
    fn members(self, current: &Configuration) -> Result<(BTreeSet<NodeId>, BTreeSet<NodeId>), ChangeRefused> {
        let (mut voters, mut learners) = (current.voters().clone(), current.learners().clone());
        match self {
            Change::AddLearner(node) if current.contains(node) => return Err(ChangeRefused::Exists { node }),
            Change::Promote(node) | Change::Remove(node) if !current.contains(node) => {
                return Err(ChangeRefused::Unknown { node });
            }
            Change::AddLearner(node) => drop(learners.insert(node)),
            Change::Promote(node) => {
                learners.remove(&node);
                voters.insert(node);
            }
            Change::Remove(node) => {
                learners.remove(&node);
                voters.remove(&node);
            }
            Change::Members { voters, learners } => return Ok((voters, learners)),
        }
        Ok((voters, learners))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn n(number: u16) -> NodeId {
        NodeId::new(number).unwrap()
    }

    fn set(numbers: &[u16]) -> BTreeSet<NodeId> {
        numbers.iter().copied().map(n).collect()
    }

    fn members(voters: &[u16], learners: &[u16]) -> Change {
        Change::Members { voters: set(voters), learners: set(learners) }
    }

    /// What comes of a change where n1 n2 n3 vote, n4 has caught up, n5 lacks nine entries, and n8 is silent.
    fn outcome(change: Change) -> Result<String, ChangeRefused> {
        let current = Configuration::of(set(&[1, 2, 3]), set(&[]), set(&[4, 5, 8])).unwrap();
        let lag = |id| (id == n(5)).then_some(9);
        change.apply(&current, lag, |id| id != n(8)).map(|configuration| configuration.to_string())
    }

    #[test]
    fn other_learners_need_no_joint_configuration_and_other_voters_do() {
        let cases = [
            (Change::AddLearner(n(6)), "n1 n2 n3 + n4 n5 n6 n8"),
            (Change::Remove(n(4)), "n1 n2 n3 + n5 n8"),
            (Change::Promote(n(4)), "n1 n2 n3 n4 | n1 n2 n3 + n5 n8"),
            (Change::Remove(n(1)), "n2 n3 | n1 n2 n3 + n4 n5 n8"),
            (members(&[4], &[]), "n4 | n1 n2 n3"),
            (members(&[1, 2], &[3, 7]), "n1 n2 | n1 n2 n3 + n3 n7"),
        ];
        for (change, expected) in cases {
            assert_eq!(outcome(change.clone()).as_deref(), Ok(expected), "{change:?}");
        }
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let cases = [
            (Change::AddLearner(n(1)), ChangeRefused::Exists { node: n(1) }),
            (Change::AddLearner(n(4)), ChangeRefused::Exists { node: n(4) }),
            (Change::Promote(n(6)), ChangeRefused::Unknown { node: n(6) }),
            (Change::Remove(n(6)), ChangeRefused::Unknown { node: n(6) }),
            (Change::Promote(n(1)), ChangeRefused::NothingToDo),
            (Change::Promote(n(5)), ChangeRefused::Lagging { node: n(5), behind: 9 }),
            (Change::Promote(n(8)), ChangeRefused::Silent { node: n(8) }),
            (members(&[1, 2, 3], &[4, 5, 8]), ChangeRefused::NothingToDo),
            (members(&[1, 6], &[]), ChangeRefused::Unknown { node: n(6) }),
            (members(&[1, 5], &[]), ChangeRefused::Lagging { node: n(5), behind: 9 }),
            (members(&[1, 2], &[2]), ChangeRefused::VoterAndLearner { node: n(2) }),
            (members(&[], &[1, 2, 3]), ChangeRefused::LastVoter),
        ];
        for (change, expected) in cases {
            assert_eq!(outcome(change.clone()), Err(expected), "{change:?}");
        }
    }

    #[test]
    fn the_last_voter_stays() {
        let alone = Configuration::new([n(1)]).unwrap();
        assert_eq!(Change::Remove(n(1)).apply(&alone, |_| None, |_| true), Err(ChangeRefused::LastVoter));
    }
}
