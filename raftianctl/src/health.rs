//! What a lab's status shows that breaks what Raft rests on, for `status` and `doctor`.
//!
//! Invariant: an alarm repeats what nodes have shown; nothing is guessed.

use raftian_rpc::control::Standing;
use raftian_rpc::lab::LabStatus;

/// Something that is wrong with a cluster.
pub(crate) struct Alarm {
    /// What.
    pub(crate) text: String,
    /// What to do about it.
    pub(crate) advice: String,
}

/// All of them.
pub(crate) fn alarms(status: &LabStatus) -> Vec<Alarm> {
    let divergence = status.divergence.iter().map(|divergence| Alarm {
        text: format!("{divergence}: what one of them acknowledged is lost on the other"),
        advice: "keep the lab's folder; `raftianctl log @all` shows the logs side by side".to_owned(),
    });
    divergence.chain(denials(status)).collect()
}

/// Followers that deny what they acknowledged to their leader.
fn denials(status: &LabStatus) -> impl Iterator<Item = Alarm> {
    let leader = status.nodes.iter().filter(|node| status.leader == Some(node.node));
    let peers = leader.filter_map(|node| node.server.as_ref()).flat_map(|server| &server.peers);
    peers.filter(|peer| peer.denies && peer.standing != Standing::Leaving).map(|peer| {
        let (node, name) = (peer.node, peer.node.name());
        Alarm {
            text: format!(
                "{node} denies what it acknowledged: its disk went back in time, and it counts for no quorum"
            ),
            advice: format!(
                "`raftianctl member remove {node}` and then `raftianctl member add {name}` give it a new one"
            ),
        }
    })
}
