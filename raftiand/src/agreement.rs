//! Whether all nodes have committed the same: they are asked twice a second, and compared.
//!
//! An entry that two nodes have applied at one index must be the same on both, and so must their states when they have
//! applied equally much (§5.4.3). And a log that a node recovers must not end before what its disk was seen to hold. Nodes that a bug, a forged log or a disk that went back in time has led apart do not
//! notice it themselves: the daemon does, whatever the cause.
//!
//! Invariant: an alarm is proved by what two nodes say of themselves. It stays until the daemon ends.
//!
//! Deliberately absent, since they cannot be seen so: nodes that do not run or answer; entries before the end of a
//! snapshot of one of the two, until both have applied equally much; and entries that differ where neither the entry at the
//! compared index nor the state does.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use raftian_rpc::control::{ControlClient as _, LogLine, LogPage};
use raftian_rpc::lab::{Difference, Divergence, Happening};
use raftian_rpc::{Index, NodeId, Term};
use tokio::time::MissedTickBehavior;

use crate::lab::Lab;
use crate::observe::{ask_all, running_clients};

/// How often nodes are compared.
const INTERVAL: Duration = Duration::from_millis(500);

/// How long a node may take to show an entry.
const PATIENCE: Duration = Duration::from_millis(200);

/// Compares the nodes of a lab again and again.
pub(crate) async fn keep_watch(lab: Arc<Lab>) {
    let mut look = tokio::time::interval(INTERVAL);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        look.tick().await;
        if lab.state().divergence.is_some() {
            continue;
        }
        if let Some(divergence) = lab.compare().await {
            tracing::error!("{divergence}");
            lab.journal.record(Happening::Diverged { divergence });
            lab.change(|state| state.divergence = Some(divergence));
        }
    }
}

impl Lab {
    /// Two nodes that have committed different entries, if there are any.
    async fn compare(&self) -> Option<Divergence> {
        let heads = self.look_at_logs().await;
        if heads.len() < 2 {
            return None;
        }
        if let Some(found) = states_differ(&heads) {
            return Some(found);
        }
        let ends: BTreeSet<Index> = heads.iter().map(|page| page.last_applied).filter(|index| *index > 0).collect();
        for index in ends {
            let pages = self.pages(index, 1).await;
            if let Some(found) = entries_differ(&pages, index) {
                return Some(found);
            }
        }
        None
    }

    /// Where the log of each node that runs and answers ends, without entries. Remembers what its disk holds for good, so
    /// that an old log is known for one after a restart.
    pub(crate) async fn look_at_logs(&self) -> Vec<LogPage> {
        let heads = self.pages(1, 0).await;
        // No change that anybody waits for.
        let mut state = self.state();
        for page in &heads {
            if let Some(node) = state.nodes.get_mut(&page.node) {
                node.holds(page.durable_index.min(page.commit_index));
            }
        }
        drop(state);
        heads
    }

    /// A page of the log of each node that runs and answers.
    async fn pages(&self, from: Index, limit: u64) -> Vec<LogPage> {
        let clients = running_clients(&self.state());
        let asked = ask_all(clients, PATIENCE, move |client| async move { client.log(from, limit).await }).await;
        asked.into_values().flatten().collect()
    }
}

/// Nodes that have applied equally much, and have different states.
fn states_differ(heads: &[LogPage]) -> Option<Divergence> {
    let mut known: BTreeMap<Index, (NodeId, &str)> = BTreeMap::new();
    heads.iter().find_map(|page| {
        let (one, digest) = *known.entry(page.last_applied).or_insert((page.node, &page.digest));
        let difference = Difference::State;
        (digest != page.digest).then_some(Divergence { one, other: page.node, index: page.last_applied, difference })
    })
}

/// Nodes that have applied different entries at this index.
fn entries_differ(pages: &[LogPage], index: Index) -> Option<Divergence> {
    let applied = pages.iter().filter(|page| page.last_applied >= index);
    let known: Vec<(NodeId, Known<'_>)> =
        applied.filter_map(|page| Some((page.node, Known::of(page, index)?))).collect();
    let pairs = known.iter().enumerate().flat_map(|(nth, one)| known[nth + 1..].iter().map(move |other| (one, other)));
    let mut differing = pairs.filter(|((_, one), (_, other))| one.differs_from(other));
    let ((one, _), (other, _)) = differing.next()?;
    Some(Divergence { one: *one, other: *other, index, difference: Difference::Entry })
}

/// What a node shows of an entry: all of it, or its term where a snapshot ends with it.
enum Known<'a> {
    Entry(&'a LogLine),
    Term(Term),
}

impl Known<'_> {
    fn of(page: &LogPage, index: Index) -> Option<Known<'_>> {
        match page.entries.first().filter(|line| line.index == index) {
            Some(line) => Some(Known::Entry(line)),
            None => (page.snapshot_index == index).then_some(Known::Term(page.snapshot_term)),
        }
    }

    fn term(&self) -> Term {
        match self {
            Known::Entry(line) => line.term,
            Known::Term(term) => *term,
        }
    }

    fn differs_from(&self, other: &Known<'_>) -> bool {
        let command = |line: &LogLine| line.command.as_ref().map(|command| command.get().to_owned());
        let differs = match (self, other) {
            (Known::Entry(one), Known::Entry(other)) => {
                (command(one), &one.configuration) != (command(other), &other.configuration)
            }
            _ => false,
        };
        differs || self.term() != other.term()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(number: u16, last_applied: Index, digest: &str, entry: Option<(Index, u64, &str)>) -> LogPage {
        let line = |(index, term, command): (Index, u64, &str)| LogLine {
            index,
            term,
            command: serde_json::from_str(command).unwrap(),
            configuration: None,
        };
        LogPage {
            node: NodeId::new(number).unwrap(),
            snapshot_index: 0,
            snapshot_term: 0,
            first_index: 1,
            last_index: 9,
            durable_index: 9,
            commit_index: last_applied,
            last_applied,
            digest: digest.to_owned(),
            entries: entry.map(line).into_iter().collect(),
        }
    }

    #[test]
    fn states_are_compared_where_two_nodes_have_applied_equally_much() {
        let heads = [page(1, 7, "a", None), page(2, 6, "b", None), page(3, 7, "a", None)];
        assert_eq!(states_differ(&heads), None);
        let heads = [page(1, 7, "a", None), page(2, 6, "b", None), page(3, 7, "c", None)];
        let found = states_differ(&heads).unwrap();
        assert_eq!(found.to_string(), "n1 and n3 have both applied all up to index 7, and their states differ");
    }

    #[test]
    fn entries_are_compared_where_both_have_applied_them_and_still_hold_them() {
        let (one, other) = (Some((5, 2, "1")), Some((5, 3, "1")));
        let found = entries_differ(&[page(1, 7, "a", one), page(2, 5, "b", other)], 5).unwrap();
        assert_eq!(found.to_string(), "n1 and n2 have committed different entries at index 5");
        assert!(entries_differ(&[page(1, 7, "a", one), page(2, 5, "b", Some((5, 2, "2")))], 5).is_some());
        for other in [page(2, 4, "b", other), page(2, 5, "b", None), page(2, 5, "b", Some((6, 3, "1")))] {
            assert_eq!(
                entries_differ(&[page(1, 7, "a", one), other], 5),
                None,
                "not applied, discarded, or another one"
            );
        }
        assert_eq!(entries_differ(&[page(1, 7, "a", one), page(2, 5, "b", one)], 5), None);
        // Of the entry that a snapshot ends with, the term is known.
        let ends = |snapshot_term| LogPage { snapshot_index: 5, snapshot_term, ..page(2, 5, "b", None) };
        assert!(entries_differ(&[page(1, 7, "a", one), ends(3)], 5).is_some());
        assert_eq!(entries_differ(&[page(1, 7, "a", one), ends(2)], 5), None);
    }
}
