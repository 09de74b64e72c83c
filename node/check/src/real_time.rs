//! Real-time order, witnessed by the log: what completed before another was invoked stands before it.
//!
//! With the replay of the log this is linearizability, at O(n log n): the log is the order of the effects, the replay
//! shows that the responses fit it, and this judge that it respects time. A read that left no entry stands between the
//! entry at its index and the next.

use raftian_apps::{AppKind, Index};

use crate::history::{Operation, Outcome};
use crate::replay::Replay;
use crate::verdict::{Findings, Invariant};

/// Looks for operations that stand before one completed earlier. Without a replay, unknown operations have no place in
/// the log and are passed over.
pub(crate) fn check(history: &[&Operation], app: AppKind, replay: Option<&Replay>, findings: &mut Findings) {
    let mut placed: Vec<(Index, &Operation)> = history
        .iter()
        .enumerate()
        .filter_map(|(number, operation)| Some((index_of(operation, number, replay)?, *operation)))
        .collect();
    // Only an acknowledged operation has completed: one that timed out may take effect long after.
    let mut completed: Vec<(u64, Index, &Operation)> = placed
        .iter()
        .filter(|(_, operation)| matches!(operation.outcome, Outcome::Ok { .. }))
        .filter_map(|&(index, operation)| Some((operation.completed_ns?, index, operation)))
        .collect();
    placed.sort_by_key(|(_, operation)| operation.invoked_ns);
    completed.sort_by_key(|(completed_ns, ..)| *completed_ns);

    // One sweep through the invocations: of all that had completed by then, the one furthest on in the log decides.
    let mut completed = completed.into_iter().peekable();
    let mut furthest: Option<(Index, &Operation)> = None;
    for (index, operation) in placed {
        while let Some((_, done_index, done)) = completed.next_if(|(at_ns, ..)| *at_ns < operation.invoked_ns) {
            if furthest.is_none_or(|(index, _)| done_index > index) {
                furthest = Some((done_index, done));
            }
        }
        // At the same index only a read may stand after what is there.
        if let Some((done_index, done)) = furthest
            && (done_index > index || done_index == index && !app.is_read(&operation.op))
        {
            let text = format!(
                "{done} (index {done_index}) had completed before {operation} (index {index}) was invoked, \
                 and does not stand before it"
            );
            findings.add(Invariant::RealTimeOrder, text);
        }
    }
}

/// Where the operation took effect: as its client was told, or else as the log shows.
fn index_of(operation: &Operation, number: usize, replay: Option<&Replay>) -> Option<Index> {
    match operation.outcome {
        Outcome::Ok { index, .. } => Some(index),
        Outcome::Unknown { .. } => replay?.executed_at(number),
        Outcome::Failed { .. } => None,
    }
}
