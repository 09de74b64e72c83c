//! Applied state: replicas at the same applied index agree, and agree with the replay of the committed log.
//!
//! Both are asked, because each sees what the other cannot: replicas may agree on a state that the log does not give,
//! and where they differ, the comparison names the two that do.

use std::collections::BTreeMap;

use raftian_apps::Index;

use crate::replay::Replay;
use crate::replica::ReplicaLog;
use crate::verdict::{Findings, Invariant};

/// Compares the digests. The replay must have taken one at the applied index of every log that it reaches.
pub(crate) fn check(logs: &[&ReplicaLog], replay: &Replay, findings: &mut Findings) {
    let mut first_at: BTreeMap<Index, &ReplicaLog> = BTreeMap::new();
    for log in logs {
        let index = log.applied_index;
        let first = *first_at.entry(index).or_insert(log);
        if log.digest != first.digest {
            let text = format!(
                "at applied index {index} the state is {} on {} and {} on {}",
                first.digest, first.node, log.digest, log.node,
            );
            findings.add(Invariant::DigestAgreement, text);
        }
        if let Some(replayed) = replay.digest_at(index).filter(|replayed| log.digest != *replayed) {
            let text = format!(
                "at applied index {index} the state is {} on {}; a replay of the log gives {replayed}",
                log.digest, log.node,
            );
            findings.add(Invariant::DigestReplay, text);
        }
    }
}
