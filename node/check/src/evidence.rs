//! Whether there is enough to judge: who is missing, what contradicts itself, what can be used at all.
//!
//! Invariant: a log that passes has the entries 1 to its commit index, each once and in order, and an operation that
//! passes is the only one of its name and did not end before it began; only such reach the other judges. Deliberately
//! absent: logs that begin after a snapshot; they are reported as not judged.

use std::collections::{BTreeSet, HashSet};

use raftian_apps::NodeId;

use crate::history::{Operation, Outcome};
use crate::replica::ReplicaLog;
use crate::verdict::{Findings, Invariant};

/// Checks that the history is there, and returns the operations that can be judged.
pub(crate) fn usable_operations<'a>(history: &'a [Operation], findings: &mut Findings) -> Vec<&'a Operation> {
    if history.is_empty() {
        findings.add(Invariant::Evidence, "the history is empty: no client asked for anything");
    }
    let mut seen = HashSet::new();
    let mut usable = Vec::with_capacity(history.len());
    for operation in history {
        if !seen.insert((&operation.client, operation.serial)) {
            findings.add(Invariant::Evidence, format!("{operation} is in the history more than once"));
        } else if operation.completed_ns.is_some_and(|completed_ns| completed_ns < operation.invoked_ns) {
            findings.add(Invariant::Evidence, format!("{operation} completed before it was invoked"));
        } else {
            usable.push(operation);
        }
        if operation.completed_ns.is_none() && matches!(operation.outcome, Outcome::Ok { .. }) {
            findings.add(Invariant::Evidence, format!("{operation} was acknowledged and nobody noted when"));
        }
    }
    usable
}

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

/// Whether the longest committed log is certainly the whole of it. What was committed is on a majority, so if a
/// majority holds nothing beyond the end of that log, nothing beyond it was committed.
pub(crate) fn is_settled(logs: &[&ReplicaLog], nodes: &BTreeSet<NodeId>) -> bool {
    let end = logs.iter().map(|log| log.committed().len()).max().unwrap_or(0);
    let within: BTreeSet<NodeId> = logs.iter().filter(|log| log.entries.len() <= end).map(|log| log.node).collect();
    within.intersection(nodes).count() > nodes.len() / 2
}

fn is_usable(replica: &ReplicaLog, findings: &mut Findings) -> bool {
    let (node, committed) = (replica.node, replica.committed());
    let (applied, commit) = (replica.applied_index, replica.commit_index);
    let begin = committed.first().map_or(1, |entry| entry.index);
    let end = committed.last().map_or(0, |entry| entry.index);
    let mut pairs = committed.windows(2).map(|pair| (pair[0].index, pair[1].index));
    let jump = pairs.find(|(earlier, later)| later.checked_sub(*earlier) != Some(1));

    let (invariant, text) = if applied > commit {
        (Invariant::LogShape, format!("{node} applied up to {applied} and committed only up to {commit}"))
    } else if let Some((earlier, later)) = jump {
        (Invariant::LogShape, format!("{node} has index {later} right after index {earlier}"))
    } else if begin != 1 {
        (Invariant::Evidence, format!("{node}'s log begins at {begin}, so what is before cannot be judged"))
    } else if end < commit {
        (Invariant::Evidence, format!("{node} committed up to {commit} and its log ends at {end}"))
    } else {
        return true;
    };
    findings.add(invariant, text);
    false
}
