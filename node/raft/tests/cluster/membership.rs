//! What the witness knows of configurations. It does its own arithmetic: whoever judges the core must not ask it.
//!
//! Invariant: nothing here calls a rule of the core, only its accessors.

use std::collections::BTreeSet;

use raftian_raft::{Configuration, Entry, Index, NodeId, Payload};

/// Whether those for whom `agrees` holds are more than half of the voters, and of the outgoing ones if there are any.
pub(crate) fn is_quorum(configuration: &Configuration, agrees: impl Fn(NodeId) -> bool) -> bool {
    let more_than_half = |voters: &BTreeSet<NodeId>| 2 * voters.iter().filter(|id| agrees(**id)).count() > voters.len();
    more_than_half(configuration.voters())
        && (configuration.outgoing().is_empty() || more_than_half(configuration.outgoing()))
}

/// The configuration that an entry brings.
pub(crate) fn brought(entry: &Entry) -> Option<&Configuration> {
    match &entry.payload {
        Payload::Configuration(configuration) => Some(configuration),
        Payload::Noop | Payload::Command(_) => None,
    }
}

/// The configurations in a log, which begins at index 1, up to `index`; the latest first.
pub(crate) fn history(log: &[Entry], index: Index) -> impl Iterator<Item = (Index, &Configuration)> {
    let until = log.len().min(index as usize);
    log[..until].iter().rev().filter_map(|entry| Some((entry.index, brought(entry)?)))
}

/// Whether `next` may follow `previous` in a log (§6): C_new after C_old,new; after anything else, C_old,new or other
/// learners.
pub(crate) fn may_follow(previous: &Configuration, next: &Configuration) -> bool {
    match (previous.outgoing().is_empty(), next.outgoing().is_empty()) {
        (true, true) => next.voters() == previous.voters(),
        (true, false) => next.outgoing() == previous.voters(),
        (false, true) => (next.voters(), next.learners()) == (previous.voters(), previous.learners()),
        (false, false) => false,
    }
}
