//! What a lab's status shows that breaks what Raft rests on, for `status` and `doctor`.
//!
//! Invariant: an alarm repeats what nodes have shown; nothing is guessed.

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
    divergence.chain(roll_backs(status)).collect()
}

/// Nodes whose disks went back in time.
fn roll_backs(status: &LabStatus) -> impl Iterator<Item = Alarm> {
    status.nodes.iter().filter_map(|report| {
        let (node, index) = (report.node, report.rolled_back?);
        let name = node.name();
        Some(Alarm {
            text: format!(
                "{node}'s disk went back in time: it had lost what it stored up to index {index}, and may have \
                 forgotten a vote"
            ),
            advice: format!(
                "`raftianctl member remove {node}` and then `raftianctl member add {name}` give it a new one"
            ),
        })
    })
}
