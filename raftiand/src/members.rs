//! Who takes part in the cluster, as its leaders tell, and what is still to be done about it.
//!
//! Invariant: of what leaders tell, the word of the latest term counts; a leader that was deposed and does not know it
//! is not believed. Every count of voters in the daemon is a question to the configuration kept here.
//!
//! Deliberately absent: asking the nodes, and changing anything (`change.rs`).

use std::collections::{BTreeMap, BTreeSet};

use raftian_rpc::control::{MemberChange, Membership, Standing};
use raftian_rpc::error::LabError;
use raftian_rpc::hint::Hint;
use raftian_rpc::lab::MemberVerb;
use raftian_rpc::selector::names;
use raftian_rpc::{Configuration, NodeId, Term};
use serde::{Deserialize, Serialize};

/// The members, past and present.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Members {
    /// The configuration in force and the term of the leader that told it; `None` for a lab that was never started.
    told: Option<(Term, Configuration)>,
    /// What was begun and is not known to be done, by node: so that the next daemon can see to it should this one die.
    #[serde(default)]
    pub(crate) open: BTreeMap<NodeId, MemberVerb>,
    /// Those that were removed. A name that is used again stands for another node, so none ever comes back.
    #[serde(default)]
    pub(crate) removed: BTreeSet<NodeId>,
}

/// What to do next on the way to another membership.
#[derive(Debug, PartialEq)]
pub(crate) enum Next {
    /// All is as it should be.
    Done,
    /// This must be asked of the leader.
    Ask(MemberChange),
    /// Somebody else's change, or ours, must be completed first.
    Wait(String),
    /// It can never be.
    Refuse(LabError),
}

impl Members {
    /// The members of a new cluster.
    pub(crate) fn first(voters: u16) -> Members {
        let told = Configuration::new(NodeId::first(voters)).map(|configuration| (0, configuration));
        Members { told, ..Members::default() }
    }

    /// Takes in what the leader of `term` says, and tells whether that is news.
    pub(crate) fn hear(&mut self, term: Term, configuration: &Configuration) -> bool {
        match &self.told {
            Some((latest, _)) if term < *latest => false,
            known => {
                let is_news = known.as_ref().is_none_or(|(_, known)| known != configuration);
                self.told = Some((term, configuration.clone()));
                is_news
            }
        }
    }

    /// Whether what the leader of `term` says is known, and so is that it leads.
    pub(crate) fn has_heard(&self, term: Term, configuration: &Configuration) -> bool {
        self.told.as_ref().is_some_and(|(latest, known)| term <= *latest && configuration == known)
    }

    /// The configuration in force; `None` for a lab that was never started.
    pub(crate) fn configuration(&self) -> Option<&Configuration> {
        self.told.as_ref().map(|(_, configuration)| configuration)
    }

    /// All with a vote; while a change is under way, those with a vote before or after it.
    pub(crate) fn voters(&self) -> BTreeSet<NodeId> {
        let all = self.configuration().into_iter().flat_map(|members| members.voters().union(members.outgoing()));
        all.copied().collect()
    }

    /// What a node is in the cluster; `None` if it has no part in it.
    pub(crate) fn standing(&self, id: NodeId) -> Option<Standing> {
        let members = self.configuration()?;
        match () {
            () if members.voters().contains(&id) => Some(Standing::Voter),
            () if members.learners().contains(&id) => Some(Standing::Learner),
            () if members.outgoing().contains(&id) => Some(Standing::Leaving),
            () => None,
        }
    }
}

/// What `verb` still takes with `node`, where a leader has this membership.
pub(crate) fn next(verb: MemberVerb, node: NodeId, membership: &Membership) -> Next {
    let Membership { configuration: members, committed } = membership;
    if members.is_joint() || !committed {
        return Next::Wait(format!("the change to the members {members} is not committed yet"));
    }
    let (votes, learns) = (members.voters().contains(&node), members.learners().contains(&node));
    match verb {
        MemberVerb::Add | MemberVerb::Promote if votes => Next::Done,
        MemberVerb::Add | MemberVerb::Promote if learns => Next::Ask(MemberChange::Promote(node)),
        MemberVerb::AddLearner if learns => Next::Done,
        MemberVerb::AddLearner if votes => {
            let why = format!("{node} is a voter, and stays one until it is removed");
            Next::Refuse(LabError::conflict(why).hint(Hint::RemoveMember { node }))
        }
        MemberVerb::Add | MemberVerb::AddLearner => Next::Ask(MemberChange::AddLearner(node)),
        MemberVerb::Promote => {
            let why = format!("{node} is not a member of the cluster");
            Next::Refuse(LabError::conflict(why).hint(Hint::AddMember { node, learner: false }))
        }
        MemberVerb::Remove if members.voters().len() == 1 && votes => {
            let why = format!(
                "{node} is the last voter, and a cluster without one could never decide anything again; add or promote \
                 another node first, or end the lab"
            );
            Next::Refuse(LabError::conflict(why).hint(Hint::Purge))
        }
        MemberVerb::Remove if votes || learns => Next::Ask(MemberChange::Remove(node)),
        MemberVerb::Remove => Next::Done,
    }
}

/// What a person should know of the margin that is left: nothing, while one failure more would do no harm.
pub(crate) fn margin(members: &Configuration, running: &BTreeSet<NodeId>) -> Option<String> {
    let voters = members.voters();
    let (up, needed) = (voters.intersection(running).count(), voters.len() / 2 + 1);
    (up <= needed).then(|| match voters.len() {
        1 => format!("{} is the only voter: the cluster stops when it fails", names(voters)),
        all => format!(
            "{up} of {all} voters ({}) run, and it takes {needed}: one failure more stops the cluster",
            names(voters)
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(numbers: &[u16]) -> BTreeSet<NodeId> {
        numbers.iter().map(|number| NodeId::new(*number).unwrap()).collect()
    }

    fn members(voters: &[u16], outgoing: &[u16], learners: &[u16]) -> Configuration {
        Configuration::of(set(voters), set(outgoing), set(learners)).unwrap()
    }

    fn n(number: u16) -> NodeId {
        NodeId::new(number).unwrap()
    }

    #[test]
    fn the_latest_leader_is_believed() {
        let mut known = Members::first(3);
        assert!(known.hear(4, &members(&[1, 2], &[], &[])));
        assert!(!known.hear(3, &members(&[1, 2, 3], &[], &[])), "a deposed leader");
        assert!(!known.hear(5, &members(&[1, 2], &[], &[])), "no news");
        assert!(!known.hear(4, &members(&[1, 2], &[], &[3])), "deposed since the leader of term 5 spoke");
        assert!(known.hear(5, &members(&[1, 2], &[], &[3])));
        assert_eq!(known.voters(), set(&[1, 2]));
    }

    #[test]
    fn while_a_change_is_under_way_all_who_have_a_vote_count() {
        let mut known = Members::first(3);
        known.hear(1, &members(&[2, 3], &[1, 2, 3], &[4]));
        assert_eq!(known.voters(), set(&[1, 2, 3]));
        let standings = [1, 2, 4, 5].map(|number| known.standing(n(number)));
        assert_eq!(standings, [Some(Standing::Leaving), Some(Standing::Voter), Some(Standing::Learner), None]);
    }

    #[test]
    fn each_verb_goes_on_from_where_the_cluster_stands() {
        let settled = |voters: &[u16], learners: &[u16]| Membership {
            configuration: members(voters, &[], learners),
            committed: true,
        };
        let three = settled(&[1, 2, 3], &[4]);
        for (verb, node, expected) in [
            (MemberVerb::Add, 5, Next::Ask(MemberChange::AddLearner(n(5)))),
            (MemberVerb::Add, 4, Next::Ask(MemberChange::Promote(n(4)))),
            (MemberVerb::Add, 3, Next::Done),
            (MemberVerb::AddLearner, 5, Next::Ask(MemberChange::AddLearner(n(5)))),
            (MemberVerb::AddLearner, 4, Next::Done),
            (MemberVerb::Promote, 4, Next::Ask(MemberChange::Promote(n(4)))),
            (MemberVerb::Promote, 3, Next::Done),
            (MemberVerb::Remove, 3, Next::Ask(MemberChange::Remove(n(3)))),
            (MemberVerb::Remove, 4, Next::Ask(MemberChange::Remove(n(4)))),
            (MemberVerb::Remove, 5, Next::Done),
        ] {
            assert_eq!(next(verb, n(node), &three), expected, "{verb:?} n{node}");
        }
        let refused = |verb, node, membership| match next(verb, n(node), &membership) {
            Next::Refuse(error) => error.to_string(),
            other => panic!("{other:?}"),
        };
        assert!(refused(MemberVerb::AddLearner, 3, three.clone()).contains("n3 is a voter"));
        assert!(refused(MemberVerb::Promote, 5, three.clone()).contains("n5 is not a member"));
        assert!(refused(MemberVerb::Remove, 1, settled(&[1], &[2])).contains("last voter"));
        let joint = Membership { configuration: members(&[2, 3], &[1, 2, 3], &[]), committed: true };
        assert!(matches!(next(MemberVerb::Remove, n(1), &joint), Next::Wait(_)));
        let open = Membership { committed: false, ..three };
        assert!(matches!(next(MemberVerb::Add, n(3), &open), Next::Wait(_)));
    }

    #[test]
    fn a_thin_margin_is_told() {
        let told = |voters: &[u16], running: &[u16]| margin(&members(voters, &[], &[]), &set(running));
        assert_eq!(told(&[1, 2, 3], &[1, 2, 3, 4]), None);
        let both = told(&[1, 2], &[1, 2]).unwrap();
        assert_eq!(both, "2 of 2 voters (n1,n2) run, and it takes 2: one failure more stops the cluster");
        assert_eq!(told(&[2], &[2, 3]).unwrap(), "n2 is the only voter: the cluster stops when it fails");
        let some = told(&[1, 2, 3], &[1, 3]).unwrap();
        assert_eq!(some, "2 of 3 voters (n1,n2,n3) run, and it takes 2: one failure more stops the cluster");
    }
}
