//! Who waits for which entry.
//!
//! Invariant: success is reported only for the very entry that was proposed, told by index *and* term: the entry that
//! commits at an index may be another leader's (§5.3).

use std::collections::BTreeMap;

use raftian_apps::Applied;
use raftian_raft::{Entry, Index, NodeId, Term};
use raftian_rpc::client::Submitted;
use raftian_rpc::error::NodeError;
use tokio::time::Instant;

use crate::inbox::Answer;

#[derive(Debug, Default)]
pub(crate) struct Waiters {
    by_index: BTreeMap<Index, Waiter>,
}

#[derive(Debug)]
struct Waiter {
    term: Term,
    since: Instant,
    answer: Answer<Result<Submitted, NodeError>>,
}

impl Waiters {
    /// Somebody waits for the entry of `term` at `index`. Whoever waited for an earlier entry there has lost it.
    pub(crate) fn add(&mut self, index: Index, term: Term, answer: Answer<Result<Submitted, NodeError>>) {
        let waiter = Waiter { term, since: Instant::now(), answer };
        if let Some(earlier) = self.by_index.insert(index, waiter) {
            // This log holds another entry there now, but the earlier one may live on in other logs.
            earlier.give_up();
        }
    }

    /// An entry has been applied on this node, `own`.
    pub(crate) fn applied(&mut self, own: NodeId, entry: &Entry, applied: &Applied) {
        let Some(waiter) = self.by_index.remove(&entry.index) else { return };
        let outcome = match applied.response() {
            Some(response) if waiter.term == entry.term => Ok(Submitted {
                index: applied.effect_index(),
                term: entry.term,
                leader: own,
                duplicate: applied.is_duplicate(),
                response: response.clone(),
            }),
            _ => Err(NodeError::Replaced),
        };
        // An asker that has left meanwhile is told nothing.
        let _ = waiter.answer.send(outcome);
    }

    /// A snapshot took the place of the entries up to `index`. What became of them nobody here can tell any more.
    pub(crate) fn skipped(&mut self, index: Index) {
        let later = self.by_index.split_off(&(index + 1));
        std::mem::replace(&mut self.by_index, later).into_values().for_each(Waiter::give_up);
    }

    /// Nobody will know any more.
    pub(crate) fn give_up(&mut self) {
        for waiter in std::mem::take(&mut self.by_index).into_values() {
            waiter.give_up();
        }
    }
}

impl Waiter {
    fn give_up(self) {
        let waited_ms = self.since.elapsed().as_millis() as u64;
        let _ = self.answer.send(Err(NodeError::TimedOut { waited_ms }));
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;

    use super::*;

    #[test]
    fn whoever_waits_for_an_entry_that_was_skipped_is_told_that_nobody_knows() {
        let mut waiters = Waiters::default();
        let mut answered = [4, 5, 6].map(|index| {
            let (answer, answered) = oneshot::channel();
            waiters.add(index, 1, answer);
            answered
        });
        waiters.skipped(5);
        for answered in &mut answered[..2] {
            assert!(matches!(answered.try_recv(), Ok(Err(NodeError::TimedOut { .. }))));
        }
        assert!(answered[2].try_recv().is_err(), "it may come up yet");
    }
}
