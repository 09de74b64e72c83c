//! What makes no sense with a node, whatever its leader says: a change of its membership that can never be, a vote for
//! one that is out of reach.
//!
//! Invariant: pure. A refusal says what is in the way and what removes it.
//!
//! Deliberately absent: the rules of what may follow what (`members.rs`, and in the end the leader's own).

use raftian_rpc::control::Standing;
use raftian_rpc::error::LabError;
use raftian_rpc::hint::{Hint, Note};
use raftian_rpc::lab::{MemberVerb, NodeState};
use raftian_rpc::selector::{self, names};
use raftian_rpc::{Configuration, MAX_NODES, NodeId};

use crate::lab::State;

/// Whether there is anything to do about a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Todo {
    /// There is something to look at.
    Open,
    /// It was removed before.
    GoneAlready,
}

/// The node that is meant by a name: the one there is, or was last; for one to be added, the next of that name. A node
/// that begins anew is never taken for one that had the name before, and promised what it does not know.
pub(crate) fn meant(state: &State, verb: MemberVerb, named: NodeId) -> Result<NodeId, LabError> {
    let members: Vec<NodeId> = state.members.configuration().into_iter().flat_map(Configuration::members).collect();
    let present = state.nodes.keys().chain(&members);
    if let Some(present) = selector::meant(named, present) {
        return Ok(present);
    }
    let Some(last) = selector::meant(named, &state.members.removed) else {
        return match verb {
            MemberVerb::Add | MemberVerb::AddLearner if named != named.name() => {
                let why = format!("the lab numbers the nodes of a name itself, and there was no {named}");
                Err(LabError::usage(why).hint(Hint::AddMember { node: named.name(), learner: false }))
            }
            _ => Ok(named),
        };
    };
    match verb {
        MemberVerb::Add | MemberVerb::AddLearner if named == named.name() => last.next_incarnation().ok_or_else(|| {
            LabError::conflict(format!("{named} has been used {} times, and no more; choose another name", u16::MAX))
        }),
        _ => Ok(last),
    }
}

/// Refuses what makes no sense, whatever the leader says.
pub(crate) fn check(state: &State, verb: MemberVerb, node: NodeId) -> Result<Todo, LabError> {
    let Some(known) = state.nodes.get(&node) else { return check_stranger(state, verb, node) };
    match (verb, known.state) {
        (MemberVerb::Add | MemberVerb::AddLearner | MemberVerb::Promote, NodeState::Paused) => {
            Err(LabError::conflict(format!("{node} is paused")).hint(Hint::Resume { nodes: vec![node] }))
        }
        (MemberVerb::Promote, NodeState::Stopped | NodeState::Killed | NodeState::Failed) => {
            let is = state.is(node);
            Err(LabError::conflict(format!("{node} is {is}")).hint(Hint::Restart { nodes: vec![node] }))
        }
        _ => Ok(Todo::Open),
    }
}

/// The same for a node that this lab does not have.
fn check_stranger(state: &State, verb: MemberVerb, node: NodeId) -> Result<Todo, LabError> {
    match (verb, state.members.standing(node)) {
        (MemberVerb::Remove, Some(_)) => Ok(Todo::Open),
        (_, Some(standing)) => {
            let why = format!(
                "{node} is {}, but this lab has no such node, and a server without its log must not come back under its \
                 name",
                standing_in_words(Some(standing))
            );
            Err(LabError::conflict(why).hint(Hint::RemoveMember { node }))
        }
        (MemberVerb::Remove, None) if state.members.removed.contains(&node) => Ok(Todo::GoneAlready),
        (MemberVerb::Add | MemberVerb::AddLearner, None) if state.members.removed.contains(&node) => {
            let why = format!("{node} was removed, and its log with it; only a new node can have its name");
            Err(LabError::usage(why).hint(Hint::AddMember { node: node.name(), learner: false }))
        }
        (MemberVerb::Remove, None) => Err(LabError::usage(no_such_node(state, node))),
        (MemberVerb::Promote, None) => {
            let add = Hint::AddMember { node: node.name(), learner: false };
            Err(LabError::usage(no_such_node(state, node)).hint(add))
        }
        (MemberVerb::Add | MemberVerb::AddLearner, None) if state.nodes.len() >= usize::from(MAX_NODES) => {
            Err(LabError::conflict(format!("this lab has {MAX_NODES} nodes already, the most a lab may have")))
        }
        (MemberVerb::Add | MemberVerb::AddLearner, None) => Ok(Todo::Open),
    }
}

fn no_such_node(state: &State, node: NodeId) -> String {
    format!("there is no node {node}; this lab has {}", names(&state.ids()))
}

/// What a node is in the cluster, in words that follow "n1 is".
pub(crate) fn standing_in_words(standing: Option<Standing>) -> &'static str {
    match standing {
        Some(Standing::Voter) => "a voter",
        Some(Standing::Learner) => "a learner",
        Some(Standing::Leaving) => "leaving",
        None => "no member",
    }
}

/// Why a leader does not reach a node, if the daemon knows that it does not.
pub(crate) fn unreachable_why(state: &State, leader: NodeId, node: NodeId) -> Option<Note> {
    if !state.running().contains(&node) {
        return Some(format!("{node} is {}", state.is(node)).into());
    }
    let cut = state.faults.cut_links();
    let (one, other) = (leader.name(), node.name());
    let is_cut = cut.contains(&(one, other)) || cut.contains(&(other, one));
    is_cut.then(|| Note::new(format!("the link between {leader} and {node} is cut")).hint(Hint::Heal))
}

#[cfg(test)]
mod tests {
    use raftian_rpc::faults::Effect;
    use raftian_rpc::lab::FaultKind;

    use super::*;
    use crate::members::Members;
    use crate::node::Node;

    fn n(number: u16) -> NodeId {
        NodeId::new(number).unwrap()
    }

    fn lab(nodes: u16) -> State {
        let mut state = State { members: Members::first(nodes), ..State::default() };
        state.nodes = NodeId::first(nodes).map(|id| (id, Node::new(false))).collect();
        state
    }

    #[test]
    fn what_can_never_be_is_refused_before_anything_is_done() {
        let mut state = lab(3);
        let note = |state: &State, verb, node| check(state, verb, n(node)).unwrap_err().into_note();
        let refused = |state: &State, verb, node| note(state, verb, node).text;
        assert!(refused(&state, MemberVerb::Remove, 9).contains("there is no node n9; this lab has n1,n2,n3"));
        let add = Hint::AddMember { node: n(4), learner: false };
        assert_eq!(note(&state, MemberVerb::Promote, 4).hints, [add]);
        state.nodes.get_mut(&n(2)).unwrap().state = NodeState::Paused;
        assert_eq!(note(&state, MemberVerb::Promote, 2).hints, [Hint::Resume { nodes: vec![n(2)] }]);
        state.nodes.get_mut(&n(2)).unwrap().state = NodeState::Killed;
        assert!(refused(&state, MemberVerb::Promote, 2).contains("n2 is killed"));
        assert_eq!(check(&state, MemberVerb::Remove, n(2)), Ok(Todo::Open), "the dead can be removed");
        assert!(refused(&lab(MAX_NODES), MemberVerb::Add, MAX_NODES + 1).contains("64 nodes already"));
        // A voter without a process: its lab.json was lost, or somebody else has told the leader of it.
        let four = Configuration::new(NodeId::first(4)).unwrap();
        assert!(state.members.hear(1, &four));
        assert_eq!(check(&state, MemberVerb::Remove, n(4)), Ok(Todo::Open));
        for verb in [MemberVerb::Add, MemberVerb::AddLearner, MemberVerb::Promote] {
            assert!(refused(&state, verb, 4).contains("n4 is a voter, but this lab has no such node"));
        }
        state.members.removed.insert(n(9));
        assert_eq!(check(&state, MemberVerb::Remove, n(9)), Ok(Todo::GoneAlready));
    }

    #[test]
    fn a_name_that_is_used_again_stands_for_another_node() {
        let mut state = lab(3);
        let id = |text: &str| -> NodeId { text.parse().unwrap() };
        let text = |state: &State, verb, named: &str| meant(state, verb, id(named)).map(|node| node.to_string());
        for verb in [MemberVerb::Add, MemberVerb::Promote, MemberVerb::Remove] {
            assert_eq!(text(&state, verb, "n2").as_deref(), Ok("n2"), "there is one");
            assert_eq!(text(&state, verb, "n9").as_deref(), Ok("n9"), "there never was one");
        }
        state.nodes.remove(&n(2));
        state.members.hear(1, &Configuration::new([n(1), n(3)]).unwrap());
        state.members.removed.insert(n(2));
        assert_eq!(text(&state, MemberVerb::Remove, "n2").as_deref(), Ok("n2"), "it has gone already");
        assert_eq!(text(&state, MemberVerb::AddLearner, "n2").as_deref(), Ok("n2.2"));
        state.nodes.insert(id("n2.2"), Node::new(true));
        for verb in [MemberVerb::Add, MemberVerb::Promote, MemberVerb::Remove] {
            assert_eq!(text(&state, verb, "n2").as_deref(), Ok("n2.2"), "there is one");
        }
        state.nodes.remove(&id("n2.2"));
        state.members.removed.insert(id("n2.2"));
        assert_eq!(text(&state, MemberVerb::Add, "n2").as_deref(), Ok("n2.3"));
        for named in ["n2.2", "n2.4", "n9.2"] {
            let why = meant(&state, MemberVerb::Add, id(named)).and_then(|node| check(&state, MemberVerb::Add, node));
            let add = Hint::AddMember { node: id(named).name(), learner: false };
            assert_eq!(why.unwrap_err().into_note().hints, [add], "{named}");
        }
    }

    #[test]
    fn who_is_out_of_reach_is_known_by_its_process_and_its_links() {
        let mut state = lab(2);
        assert_eq!(unreachable_why(&state, n(1), n(2)), Some("n2 is stopped".into()));
        state.nodes.get_mut(&n(2)).unwrap().state = NodeState::Running;
        assert_eq!(unreachable_why(&state, n(1), n(2)), None);
        let what = FaultKind::Links { effect: Effect::CUT, links: vec![(n(2), n(1))] };
        state.faults.add("cut".into(), what, 0, None);
        assert_eq!(unreachable_why(&state, n(1), n(2)).unwrap().hints, [Hint::Heal]);
    }
}
