//! The pending proposals: the clients whose commands are in the log and not applied yet.
//!
//! Invariant: success is reported only for exactly the entry that was proposed, found by index *and* term: the entry
//! that commits at an index may be another leader's (§5.3). Every proposal that was added is returned once.

use std::collections::BTreeMap;

use raftian_apps::Applied;
use raftian_raft::{Entry, Index, Proposed, Term};

use crate::effect::CommandOutcome;
use crate::mutant::{Mutant, Planted};

/// The pending proposals, by the index of their entries.
#[derive(Debug)]
pub(crate) struct Proposals<C> {
    by_index: BTreeMap<Index, Proposal<C>>,
    planted: Planted,
}

#[derive(Debug)]
struct Proposal<C> {
    term: Term,
    client: C,
}

impl<C> Proposals<C> {
    pub(crate) fn new(planted: Planted) -> Proposals<C> {
        Proposals { by_index: BTreeMap::new(), planted }
    }

    /// Adds the client of a proposed entry. Returns the client of an earlier proposal at the same index: this log has
    /// another entry there now, but the logs of other servers may still have the earlier one.
    pub(crate) fn add(&mut self, proposed: Proposed, client: C) -> Option<C> {
        let earlier = self.by_index.insert(proposed.first, Proposal { term: proposed.term, client });
        earlier.filter(|_| !self.planted.has(Mutant::ForgetsDisplacedProposal)).map(|proposal| proposal.client)
    }

    /// An entry was applied. Returns the client of the proposal at its index, and the outcome of its command.
    pub(crate) fn applied(&mut self, entry: &Entry, applied: &Applied) -> Option<(C, CommandOutcome)> {
        let Proposal { term, client } = self.by_index.remove(&entry.index)?;
        if term != entry.term && self.planted.has(Mutant::AwaitsReplacedEntry) {
            self.by_index.insert(Index::MAX - entry.index, Proposal { term, client });
            return None;
        }
        let is_it = term == entry.term || self.planted.has(Mutant::AnswersByIndex);
        let outcome = match applied.response().filter(|_| is_it) {
            Some(response) => CommandOutcome::Applied {
                index: applied.effect_index(),
                term: entry.term,
                duplicate: applied.is_duplicate(),
                response: response.clone(),
            },
            None => CommandOutcome::Replaced,
        };
        Some((client, outcome))
    }

    /// A snapshot has replaced the entries up to `index`. The outcome of the proposals there cannot be known here.
    /// Returns their clients, in the order of the log.
    pub(crate) fn skipped(&mut self, index: Index) -> impl Iterator<Item = C> + use<C> {
        let later = self.by_index.split_off(&(index + 1));
        let mut skipped = std::mem::replace(&mut self.by_index, later);
        if self.planted.has(Mutant::ForgetsSkippedProposals) {
            skipped.clear();
        }
        skipped.into_values().map(|proposal| proposal.client)
    }

    /// Removes and returns all clients, in the order of the log.
    pub(crate) fn take_all(&mut self) -> impl Iterator<Item = C> + use<C> {
        std::mem::take(&mut self.by_index).into_values().map(|proposal| proposal.client)
    }

    pub(crate) fn len(&self) -> usize {
        self.by_index.len()
    }
}

#[cfg(test)]
mod tests {
    use raftian_apps::{AppKind, Machine};
    use raftian_raft::Payload;

    use super::*;

    fn proposals(added: &[(Index, Term)]) -> Proposals<Index> {
        let mut proposals = Proposals::new(Planted::default());
        for &(first, term) in added {
            assert_eq!(proposals.add(Proposed { term, first }, first), None);
        }
        proposals
    }

    /// The first entry of a log, a command of this term, and the result of applying it.
    fn apply(term: Term) -> (Entry, Applied) {
        let command = r#"{"client":"a","serial":1,"op":{"set":["k","v"]}}"#;
        let entry = Entry { index: 1, term, payload: Payload::Command(command.into()) };
        let applied = Machine::new(AppKind::Kv, 1).unwrap().apply(&entry);
        (entry, applied)
    }

    #[test]
    fn success_is_reported_for_the_entry_of_the_same_term_and_no_other() {
        let (entry, applied) = apply(3);
        let outcome = |term| proposals(&[(1, term)]).applied(&entry, &applied).unwrap().1;
        assert!(matches!(outcome(3), CommandOutcome::Applied { index: 1, term: 3, duplicate: false, .. }));
        assert_eq!((outcome(2), outcome(4)), (CommandOutcome::Replaced, CommandOutcome::Replaced));
        assert!(proposals(&[(2, 3)]).applied(&entry, &applied).is_none(), "a proposal at another index");
    }

    #[test]
    fn an_entry_that_is_no_command_of_a_client_is_not_its_success() {
        let entry = Entry { index: 1, term: 3, payload: Payload::Noop };
        let applied = Machine::new(AppKind::Kv, 1).unwrap().apply(&entry);
        assert_eq!(proposals(&[(1, 3)]).applied(&entry, &applied), Some((1, CommandOutcome::Replaced)));
    }

    #[test]
    fn a_displaced_proposal_comes_out_when_another_one_takes_its_index() {
        let mut proposals = proposals(&[(4, 1)]);
        assert_eq!(proposals.add(Proposed { term: 3, first: 4 }, 99), Some(4));
        assert_eq!(proposals.take_all().collect::<Vec<_>>(), [99]);
        assert_eq!(proposals.len(), 0);
    }

    #[test]
    fn what_a_snapshot_covers_comes_out_and_the_rest_stays() {
        let mut proposals = proposals(&[(4, 1), (5, 1), (6, 1)]);
        assert_eq!(proposals.skipped(5).collect::<Vec<_>>(), [4, 5]);
        assert_eq!((proposals.len(), proposals.take_all().collect::<Vec<_>>()), (1, vec![6]));
    }
}
