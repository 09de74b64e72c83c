//! A moment of a scenario as faces show it: the view model, of nodes that are played.
//!
//! Invariant: what a scenario does not know of its nodes, such as processes and rates, is that of nothing.

use raftian_rpc::RoleKind;
use raftian_rpc::lab::NodeState;
use raftian_script::{Life, NodeView as Played};
use raftian_view::{NodeView, Role, Tail, View};

/// What faces show of these nodes.
pub(super) fn view(name: &str, nodes: &[Played]) -> View {
    let claims = nodes.iter().filter(|node| node.state == Life::Up(RoleKind::Leader));
    let leader = claims.max_by_key(|node| node.term);
    let reference = leader.or_else(|| nodes.iter().max_by_key(|node| (node.terms.last(), node.last_index())));
    let tail = |node: &Played| Tail { from: node.first_index, terms: node.terms.clone() };
    let reference = reference.map(tail);
    let shown = nodes.iter().map(|node| {
        let (state, role) = match node.state {
            Life::Up(role) => (NodeState::Running, Some(role)),
            Life::Paused(role) => (NodeState::Paused, Some(role)),
            Life::Down => (NodeState::Killed, None),
        };
        let tail = tail(node);
        NodeView {
            state,
            role: Some(role.map_or(Role::Follower, Role::from)),
            is_old: role.is_none(),
            term: node.term,
            snapshot_index: node.snapshot_index,
            last_index: node.last_index(),
            commit_index: node.commit_index,
            last_applied: node.commit_index,
            differs_at: reference.as_ref().and_then(|reference| tail.differs_from(reference)),
            tail,
            ..NodeView::of_nothing(node.node)
        }
    });
    View {
        leader: leader.map(|node| node.node),
        term: nodes.iter().map(|node| node.term).max().unwrap_or(0),
        nodes: shown.collect(),
        ..View::of_nothing(name)
    }
}
