//! Changes of the membership that nobody saw the end of: the daemon died, or the time was up.
//!
//! Invariant: what became of them is told by a leader that knows its members to be committed, never guessed; then a node
//! that is no member goes, process and folder, and one that is stays.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use raftian_rpc::control::Membership;
use raftian_rpc::error::LabError;
use raftian_rpc::hint::{Hint, Note};
use raftian_rpc::lab::MemberVerb;
use raftian_rpc::selector::names;
use raftian_rpc::{Configuration, NodeId};
use tokio::time::Instant;

use crate::lab::Lab;
use crate::poll::may_look_again;

/// How long the first leader after a start may take to say who the members are.
const SETTLE: Duration = Duration::from_secs(10);

impl Lab {
    /// Sees to the changes that were open when an earlier daemon, or an earlier call, ended.
    ///
    /// # Errors
    /// Failed when a process or a folder that should go does not.
    pub(crate) async fn settle_open_changes(
        self: &Arc<Lab>,
        deadline: Instant,
        notes: &mut Vec<Note>,
    ) -> Result<(), LabError> {
        let open = self.state().members.open.clone();
        // Whoever has the turn is at it.
        let Some(_turn) = self.free_member_turn().filter(|_| !open.is_empty()) else { return Ok(()) };
        let deadline = deadline.min(Instant::now() + SETTLE);
        let Some(members) = self.settled_members(deadline).await else {
            let nodes: BTreeSet<NodeId> = open.into_keys().collect();
            let nodes = names(&nodes);
            let text = format!("the change of {nodes} was not completed, and no leader says yet what became of it");
            notes.push(Note::new(text).hint(Hint::Start));
            return Ok(());
        };
        for (node, verb) in open {
            let is_member = members.contains(node);
            notes.push(found(verb, node, &members));
            match (verb, is_member) {
                (MemberVerb::Add | MemberVerb::AddLearner, true) => self.player_joins(node, deadline, notes).await,
                (MemberVerb::Add | MemberVerb::AddLearner, false) => self.dismiss(node, deadline).await?,
                (MemberVerb::Remove, false) => {
                    self.dismiss(node, deadline).await?;
                    self.player_leaves(node, deadline, notes).await;
                }
                (MemberVerb::Remove, true) | (MemberVerb::Promote, _) => {}
            }
        }
        self.change(|state| state.members.open.clear());
        self.save()
    }

    /// The members once a leader knows them to be committed and not on their way to others; `None` if none does in time.
    async fn settled_members(&self, deadline: Instant) -> Option<Configuration> {
        loop {
            let view = self.view().await;
            if let Some((_, Membership { configuration, committed: true })) = view.leading()
                && !configuration.is_joint()
            {
                return Some(configuration.clone());
            }
            if !may_look_again(deadline).await {
                return None;
            }
        }
    }
}

/// What became of a change that nobody saw the end of.
fn found(verb: MemberVerb, node: NodeId, members: &Configuration) -> Note {
    let standing = match (members.voters().contains(&node), members.contains(node)) {
        (true, _) => "a voter",
        (false, true) => "a learner",
        (false, false) => "no member",
    };
    let (was, what) = match verb {
        MemberVerb::Add | MemberVerb::AddLearner if standing == "no member" => (
            "added",
            Note::new("no leader had committed it: it is gone again")
                .hint(Hint::AddMember { node, learner: verb == MemberVerb::AddLearner }),
        ),
        MemberVerb::Add if standing == "a learner" => {
            ("added", Note::new("it is a learner").hint(Hint::PromoteMember { node }))
        }
        MemberVerb::Add | MemberVerb::AddLearner => ("added", format!("it is {standing}").into()),
        MemberVerb::Promote => ("promoted", format!("it is {standing}").into()),
        MemberVerb::Remove if standing == "no member" => {
            ("removed", "it is no member any more, and its process and folder are gone".into())
        }
        MemberVerb::Remove => {
            ("removed", Note::new(format!("it is still {standing}")).hint(Hint::RemoveMember { node }))
        }
    };
    what.within(|what| format!("{node} was being {was}, and its end is not known: {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn n(number: u16) -> NodeId {
        NodeId::new(number).unwrap()
    }

    #[test]
    fn what_became_of_an_open_change_is_said_with_what_to_do() {
        let set = |numbers: &[u16]| numbers.iter().copied().map(n).collect::<BTreeSet<_>>();
        let members = Configuration::of(set(&[1, 2, 3]), set(&[]), set(&[4])).unwrap();
        let add = Hint::AddMember { node: n(5), learner: false };
        for (verb, node, says, hint) in [
            (MemberVerb::Add, 3, "being added, and its end is not known: it is a voter", None),
            (MemberVerb::Add, 4, "it is a learner", Some(Hint::PromoteMember { node: n(4) })),
            (MemberVerb::AddLearner, 4, "it is a learner", None),
            (MemberVerb::Add, 5, "it is gone again", Some(add)),
            (MemberVerb::Promote, 4, "being promoted, and its end is not known: it is a learner", None),
            (MemberVerb::Remove, 5, "its process and folder are gone", None),
            (MemberVerb::Remove, 3, "still a voter", Some(Hint::RemoveMember { node: n(3) })),
        ] {
            let note = found(verb, n(node), &members);
            assert!(note.text.contains(says), "{verb:?} n{node}: {note}");
            assert_eq!(note.hints.first(), hint.as_ref(), "{verb:?} n{node}");
        }
    }
}
