//! State-machine safety (§5.4.3): no index was committed with two contents; and terms never decrease along a log.
//!
//! Every log is compared with the committed log that was put together from all, which is enough: two logs that differ at
//! an index cannot both equal a third there. Only the first difference is named, since everything after it follows from
//! it.

use raftian_apps::{Entry, NodeId, Payload};

use crate::committed::CommittedLog;
use crate::replica::ReplicaLog;
use crate::verdict::{Findings, Invariant, excerpt};

/// Compares every log with the committed one, and looks along each for a term that falls.
pub(crate) fn check(logs: &[&ReplicaLog], committed: &CommittedLog<'_>, findings: &mut Findings) {
    for log in logs {
        if let Some((ours, theirs)) = log.parts().find_map(|part| first_difference(committed, part)) {
            let text = format!(
                "index {} was committed as {} on {} and as {} on {}",
                ours.index,
                describe(ours),
                holder(logs, ours),
                describe(theirs),
                log.node,
            );
            findings.add(Invariant::StateMachineSafety, text);
        }
        let entries: Vec<&Entry> = log.parts().flatten().collect();
        let pairs = entries.windows(2).map(|pair| (pair[0], pair[1]));
        for (earlier, later) in pairs.filter(|(earlier, later)| later.term < earlier.term) {
            let text = format!(
                "on {} the term falls from {} at index {} to {} at index {}",
                log.node, earlier.term, earlier.index, later.term, later.index,
            );
            findings.add(Invariant::TermOrder, text);
        }
    }
}

fn first_difference<'a>(committed: &CommittedLog<'a>, mut entries: &'a [Entry]) -> Option<(&'a Entry, &'a Entry)> {
    // What a snapshot stands for is held against the others by the state it gives.
    let before = entries.partition_point(|entry| entry.index <= committed.begin());
    entries = &entries[before..];
    while let Some(first) = entries.first() {
        let ours = committed.from(first.index);
        if ours.is_empty() {
            return None;
        }
        let length = ours.len().min(entries.len());
        let (theirs, rest) = entries.split_at(length);
        let difference = ours.iter().zip(theirs).find(|(ours, theirs)| ours != theirs);
        if difference.is_some() {
            return difference;
        }
        entries = rest;
    }
    None
}

/// A node that committed this very entry.
fn holder(logs: &[&ReplicaLog], entry: &Entry) -> NodeId {
    let holds = |log: &&&ReplicaLog| log.parts().flatten().any(|held| std::ptr::eq(held, entry));
    logs.iter().find(holds).expect("the committed log is made of these").node
}

/// An entry in a few words: `term 3, {"client":…`.
pub(crate) fn describe(entry: &Entry) -> String {
    match &entry.payload {
        Payload::Noop => format!("term {}, no-op", entry.term),
        Payload::Configuration(configuration) => format!("term {}, configuration {configuration}", entry.term),
        Payload::Command(bytes) => format!("term {}, {}", entry.term, excerpt(&String::from_utf8_lossy(bytes))),
    }
}
