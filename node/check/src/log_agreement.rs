//! State-machine safety (§5.4.3): no index was committed with two contents; and terms never decrease along a log.
//!
//! Every log is compared with the longest committed one, which is enough: two logs that differ at an index cannot both
//! equal a third there. Only the first difference is named, since everything after it follows from it.

use raftian_apps::{Entry, Payload};

use crate::replica::ReplicaLog;
use crate::verdict::{Findings, Invariant, excerpt};

/// Compares every log with the longest committed one, and looks along each for a term that falls.
pub(crate) fn check(logs: &[&ReplicaLog], longest: &ReplicaLog, findings: &mut Findings) {
    for log in logs {
        let mut pairs = longest.committed().iter().zip(log.committed());
        if let Some((ours, theirs)) = pairs.find(|(ours, theirs)| ours != theirs) {
            let text = format!(
                "index {} was committed as {} on {} and as {} on {}",
                ours.index,
                describe(ours),
                longest.node,
                describe(theirs),
                log.node,
            );
            findings.add(Invariant::StateMachineSafety, text);
        }
        let pairs = log.committed().windows(2).map(|pair| (&pair[0], &pair[1]));
        for (earlier, later) in pairs.filter(|(earlier, later)| later.term < earlier.term) {
            let text = format!(
                "on {} the term falls from {} at index {} to {} at index {}",
                log.node, earlier.term, earlier.index, later.term, later.index,
            );
            findings.add(Invariant::TermOrder, text);
        }
    }
}

/// An entry in a few words: `term 3, {"client":…`.
pub(crate) fn describe(entry: &Entry) -> String {
    match &entry.payload {
        Payload::Noop => format!("term {}, no-op", entry.term),
        Payload::Command(bytes) => format!("term {}, {}", entry.term, excerpt(&String::from_utf8_lossy(bytes))),
    }
}
