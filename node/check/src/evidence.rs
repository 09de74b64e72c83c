//! Whether there is enough to judge: who is missing, what contradicts itself, what can be used at all.
//!
//! Invariant: the last part of a log that passes has consecutive entries up to its commit index, and so has each earlier
//! part; only such reach the other judges. What is missing between the parts others must have. (For operations see
//! `operations`.)

use std::collections::BTreeSet;

use raftian_apps::{Entry, NodeId};

use crate::committed::CommittedLog;
use crate::replica::ReplicaLog;
use crate::verdict::{Findings, Invariant};

/// Checks that every node of the run is accounted for, and returns the logs that can be judged.
pub(crate) fn usable_logs<'a>(
    replicas: &'a [ReplicaLog],
    nodes: &BTreeSet<NodeId>,
    findings: &mut Findings,
) -> Vec<&'a ReplicaLog> {
    if nodes.is_empty() {
        findings.add(Invariant::Evidence, "nobody said which nodes took part, so none can be missed");
    }
    let mut seen = BTreeSet::new();
    for replica in replicas {
        if !seen.insert(replica.node) {
            findings.add(Invariant::Evidence, format!("{} left more than one log", replica.node));
        }
    }
    for missing in nodes.difference(&seen) {
        findings.add(Invariant::Evidence, format!("{missing} took part and left no log"));
    }
    for stranger in seen.difference(nodes) {
        findings.add(Invariant::Evidence, format!("{stranger} left a log and is not known to have taken part"));
    }
    replicas.iter().filter(|replica| is_usable(replica, findings)).collect()
}

/// Whether the committed log is certainly the whole of it. What was committed is on a majority, so if a majority holds
/// nothing beyond the end of that log, nothing beyond it was committed. A log that was read in part does not tell.
///
/// The majority is that of the last configuration in the log, since nothing more is committed without it (§6); where the
/// log has none, that of all nodes.
pub(crate) fn is_settled(logs: &[&ReplicaLog], committed: &CommittedLog<'_>, nodes: &BTreeSet<NodeId>) -> bool {
    let end = committed.end();
    let within: BTreeSet<NodeId> =
        logs.iter().filter(|log| !log.is_partial && log.end() <= end).map(|log| log.node).collect();
    match committed.configuration() {
        Some(configuration) => configuration.has_quorum(|node| within.contains(&node)),
        None => within.intersection(nodes).count() > nodes.len() / 2,
    }
}

/// Checks that the log put together from all of them has everything that any of them committed.
pub(crate) fn check_complete(logs: &[&ReplicaLog], committed: &CommittedLog<'_>, findings: &mut Findings) {
    let Some(longest) = logs.iter().max_by_key(|log| log.commit_index) else {
        findings.add(Invariant::Evidence, "there is no log to hold the history against");
        return;
    };
    let end = committed.end();
    if end < longest.commit_index {
        let (node, commit, missing) = (longest.node, longest.commit_index, end + 1);
        let text =
            format!("{node} committed up to {commit}, and no log holds index {missing}: it is judged up to {end}");
        findings.add(Invariant::Evidence, text);
    }
}

fn is_usable(replica: &ReplicaLog, findings: &mut Findings) -> bool {
    let node = replica.node;
    let (applied, commit) = (replica.applied_index, replica.commit_index);
    let begins_at_0 = replica.parts().filter_map(<[Entry]>::first).any(|entry| entry.index == 0);
    let end = replica.committed().last().map_or(replica.begin(), |entry| entry.index);
    let mut pairs = replica.parts().flat_map(|part| part.windows(2)).map(|pair| (pair[0].index, pair[1].index));
    let jump = pairs.find(|(earlier, later)| later.checked_sub(*earlier) != Some(1));

    let (invariant, text) = if applied > commit {
        (Invariant::LogShape, format!("{node} applied up to {applied} and committed only up to {commit}"))
    } else if let Some((earlier, later)) = jump {
        (Invariant::LogShape, format!("{node} has index {later} right after index {earlier}"))
    } else if begins_at_0 {
        (Invariant::LogShape, format!("{node} has an entry at index 0, where no log begins"))
    } else if end < commit {
        (Invariant::Evidence, format!("{node} committed up to {commit} and its log ends at {end}"))
    } else {
        return true;
    };
    findings.add(invariant, text);
    false
}
