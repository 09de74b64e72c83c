//! A node of a simulated cluster as somebody who watches a scenario sees it.

use raftian_raft::{Entry, NodeId};
use raftian_script::{Life, MAX_ENTRIES_SEEN, NodeView};

use crate::world::World;

/// A node as it is; `None` for one that waits to be added, and has nothing on its disk.
pub(crate) fn view(world: &World, id: NodeId) -> Option<NodeView> {
    let seen = |node, state, term, snapshot_index, entries: &[Entry], commit_index| {
        let last = &entries[entries.len().saturating_sub(MAX_ENTRIES_SEEN)..];
        let first_index = last.first().map_or(snapshot_index + 1, |entry| entry.index);
        let terms = last.iter().map(|entry| entry.term).collect();
        NodeView { node, state, term, snapshot_index, first_index, terms, commit_index }
    };
    if let Some(server) = world.server(id) {
        let status = server.status();
        if status.configuration.is_none() && status.last_index == 0 {
            return None;
        }
        let state = if world.is_paused(id) { Life::Paused(status.role) } else { Life::Up(status.role) };
        let entries = server.entries(status.first_index, usize::MAX);
        return Some(seen(server.id(), state, status.term, status.snapshot_index, entries, status.commit_index));
    }
    let disk = world.durable(id)?.ok()?;
    let snapshot_index = disk.snapshot.map_or(0, |snapshot| snapshot.last.index);
    Some(seen(id, Life::Down, disk.hard_state.term, snapshot_index, &disk.entries, snapshot_index))
}
