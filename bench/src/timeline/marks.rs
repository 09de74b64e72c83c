//! What happened at one moment of a run: votes, logs that were cut back, commitments that differ, snapshots, members.

use raftian_rpc::lab::{Event, Happening};
use raftian_rpc::{NodeId, RaftEvent, Term};
use serde::{Deserialize, Serialize};

use super::Axis;

/// The most marks of a run; the first that are more are counted in the last.
const MOST: usize = 5_000;

/// Something that happened at one moment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Mark {
    /// When.
    pub at_s: f64,
    /// At which node.
    pub node: NodeId,
    /// What kind of thing.
    pub kind: MarkKind,
    /// What, in words.
    pub text: String,
}

/// What can happen at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MarkKind {
    /// A vote was granted.
    Vote,
    /// A log had other entries than the leader's, and was cut back.
    Conflict,
    /// What must never be.
    Broken,
    /// Anything else.
    Other,
}

/// Finds them in events that are in order of time.
pub(super) fn marks(events: &[&Event], axis: Axis) -> Vec<Mark> {
    let within = events.iter().filter(|event| axis.has(event.at_ns));
    let mark = |event: &&Event| {
        let (node, kind, text) = told(&event.what)?;
        Some(Mark { at_s: axis.at(event.at_ns), node, kind, text })
    };
    let mut marks: Vec<Mark> = within.filter_map(mark).collect();
    let more = marks.len().saturating_sub(MOST);
    if more > 0 {
        // What is broken is never left out.
        let mut kept = 0;
        marks.retain(|mark| {
            kept += 1;
            kept <= MOST || mark.kind == MarkKind::Broken
        });
        if let Some(last) = marks.last_mut() {
            last.text.push_str(&format!(" (up to {more} more are not shown)"));
        }
    }
    marks
}

/// What is said of a vote.
pub(super) fn vote(candidate: NodeId, term: Term) -> String {
    format!("votes for {candidate} in term {term}")
}

fn told(what: &Happening) -> Option<(NodeId, MarkKind, String)> {
    let (node, event) = match what {
        Happening::Raft { node, event } => (*node, event),
        Happening::Diverged { divergence } => return Some((divergence.one, MarkKind::Broken, divergence.to_string())),
        _ => return None,
    };
    let (kind, text) = match event {
        RaftEvent::Voted { term, candidate } => (MarkKind::Vote, vote(*candidate, *term)),
        RaftEvent::Truncated { from } => {
            (MarkKind::Conflict, format!("discards its entries from index {from} on: they conflict with the leader's"))
        }
        RaftEvent::AcknowledgementDenied { peer, index } => {
            (MarkKind::Broken, format!("is denied by {peer} what it acknowledged up to index {index}"))
        }
        RaftEvent::QuorumLost { term } => {
            (MarkKind::Other, format!("hears from no quorum and steps down from term {term}"))
        }
        RaftEvent::SnapshotTaken { index } => (MarkKind::Other, format!("takes a snapshot up to index {index}")),
        RaftEvent::SnapshotInstalled { index } => (MarkKind::Other, format!("installs a snapshot up to index {index}")),
        RaftEvent::TransferStarted { to } => (MarkKind::Other, format!("transfers leadership to {to}")),
        RaftEvent::TransferAborted { to } => {
            (MarkKind::Other, format!("keeps leading: the transfer to {to} took too long"))
        }
        RaftEvent::Membership { configuration: Some(members) } => {
            let voters: Vec<String> = members.voters().iter().map(ToString::to_string).collect();
            (MarkKind::Other, format!("has the voters {}", voters.join(",")))
        }
        _ => return None,
    };
    Some((node, kind, text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_only_so_many_and_none_that_is_broken_is_left_out() {
        let node: NodeId = "n1".parse().unwrap();
        let event = |seq: u64, event| Event { seq, at_ns: seq, unix_ms: 0, what: Happening::Raft { node, event } };
        let mut events: Vec<Event> =
            (1..=MOST as u64 + 10).map(|seq| event(seq, RaftEvent::Truncated { from: seq })).collect();
        events.push(event(MOST as u64 + 11, RaftEvent::AcknowledgementDenied { peer: node, index: 1 }));
        let events: Vec<&Event> = events.iter().collect();
        let marks = marks(&events, Axis { start_ns: 5, end_ns: 1_000_000 });
        assert_eq!(marks.len(), MOST + 1);
        assert!(
            marks.last().is_some_and(|mark| mark.kind == MarkKind::Broken && mark.text.contains("7 more")),
            "{marks:?}"
        );
        assert!(marks[0].text.contains("index 5 on"), "what was before is not of the run");
    }
}
