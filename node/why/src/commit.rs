//! Why an entry is not committed: who has it, how many must, and what keeps the others.

use std::collections::BTreeSet;

use raftian_rpc::control::{NodeStatus, PeerProgress};
use raftian_rpc::hint::Note;
use raftian_rpc::{Index, NodeId};

use crate::node::trouble;
use crate::{Sight, lead, words};

/// Why the entry at this index is not committed, or that it is.
pub(crate) fn uncommitted(sight: Sight<'_>, index: Index) -> Vec<Note> {
    let known = sight.servers().map(|server| server.commit_index).max().unwrap_or(0);
    if index <= known {
        let with =
            sight.leader().map_or(String::new(), |leader| format!("; {} leads term {}", leader.node, leader.term));
        return vec![Note::new(format!("index {index} is committed: the commit index is {known}{with}"))];
    }
    let Some(leader) = sight.leader() else {
        let first =
            Note::new(format!("index {index} is not committed: the commit index is {known}, and no node leads"));
        return std::iter::once(first).chain(lead::absent(sight)).collect();
    };
    if index > leader.last_index {
        let (leader, last) = (leader.node, leader.last_index);
        return vec![Note::new(format!("there is no index {index}: the log of {leader}, which leads, ends at {last}"))];
    }
    let voters = sight.voters();
    let has: BTreeSet<NodeId> = std::iter::once(leader.node).chain(holders(leader, index)).collect();
    let has: BTreeSet<NodeId> = has.intersection(&voters).copied().collect();
    let needed = sight.status.members.as_ref().map_or(0, |members| members.voters().len() / 2 + 1);
    let is_enough = sight.status.members.as_ref().is_some_and(|members| members.has_quorum(|id| has.contains(&id)));
    let (count, all, names) = (has.len(), voters.len(), words::nodes(&has));
    if is_enough {
        let text = format!(
            "index {index} is not committed yet: {count} of {all} voters have it ({names}), which is enough: it is \
             committed in a moment, or, if it is of an earlier term, with the first entry of term {}",
            leader.term
        );
        return vec![Note::new(text)];
    }
    let have = if count == 1 { "has" } else { "have" };
    let first = Note::new(format!(
        "index {index} is not committed: {count} of {all} voters {have} it ({names}), {needed} are needed"
    ));
    let lacking = voters.difference(&has).filter_map(|id| lacks(sight, leader, *id));
    std::iter::once(first).chain(lacking).collect()
}

/// The peers whose log is known to reach the index, and whose word counts.
fn holders(leader: &NodeStatus, index: Index) -> impl Iterator<Item = NodeId> {
    leader.peers.iter().filter(move |peer| peer.match_index >= index && !peer.denies).map(|peer| peer.node)
}

/// Why a voter lacks an entry.
fn lacks(sight: Sight<'_>, leader: &NodeStatus, id: NodeId) -> Option<Note> {
    if let Some(trouble) = trouble(sight, id) {
        return Some(trouble);
    }
    let PeerProgress { match_index, .. } = leader.peers.iter().find(|peer| peer.node == id)?;
    let behind = words::entries(leader.last_index.saturating_sub(*match_index));
    Some(Note::new(format!(
        "{id} has {match_index} of {} entries, {behind} less than {}",
        leader.last_index, leader.node
    )))
}
