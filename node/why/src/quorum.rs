//! That no leader is possible: too few voters run, or the links between them are cut.
//!
//! Invariant: what is said here is certain. It follows from which processes run and which links are cut, not from what
//! nodes say; as long as nothing is done about it, no node will lead.

use std::collections::{BTreeMap, BTreeSet};

use raftian_rpc::hint::{Hint, Note};
use raftian_rpc::lab::{Fault, NodeState};
use raftian_rpc::{Configuration, NodeId};

use crate::{Sight, words};

/// Why no node can lead, if it is certain that none can.
pub fn impossible(sight: Sight<'_>) -> Option<Note> {
    if sight.status.nodes.is_empty() {
        return Some(Note::new("no leader: this lab has no nodes yet").hint(Hint::Start));
    }
    let members = sight.status.members.as_ref()?;
    // A node that is starting will run in a moment.
    let up = sight.in_states(&[NodeState::Running, NodeState::Starting]);
    if let Some(half) = halves(members).find(|half| up.intersection(half).count() <= half.len() / 2) {
        return Some(too_few(sight, members, half, &up));
    }
    let reaches = |node: &NodeId| members.has_quorum(|peer| up.contains(&peer) && sight.are_linked(*node, peer));
    let can_lead = up.iter().filter(|node| members.is_voter(**node)).any(reaches);
    (!can_lead).then(|| cut_apart(sight, members, &up))
}

/// The sets of voters of which each must agree: two while the members change (§6).
fn halves(members: &Configuration) -> impl Iterator<Item = &BTreeSet<NodeId>> {
    [members.voters(), members.outgoing()].into_iter().filter(|half| !half.is_empty())
}

fn too_few(sight: Sight<'_>, members: &Configuration, half: &BTreeSet<NodeId>, up: &BTreeSet<NodeId>) -> Note {
    let down: BTreeSet<NodeId> = half.difference(up).copied().collect();
    let (count, all, needed) = (half.len() - down.len(), half.len(), half.len() / 2 + 1);
    let text = match half.first() {
        Some(only) if all == 1 && !members.is_joint() => {
            let state = sight.report(*only).map_or(NodeState::Stopped, |report| report.state);
            format!("no leader: {only} is the only voter and {}", sight.how_it_went(*only, state))
        }
        _ => {
            let what = match (members.is_joint(), half == members.voters()) {
                (true, true) => "new voters",
                (true, false) => "old voters",
                (false, _) if all == sight.status.nodes.len() => "nodes",
                (false, _) => "voters",
            };
            let both = match members.is_joint() {
                true => "; while the members change, it takes a majority of the old voters and of the new ones",
                false => "",
            };
            format!("no leader: {count} of {all} {what} run, {needed} are needed ({}){both}", sight.gone(&down))
        }
    };
    let hint = sight.bring_back(&down, needed - count);
    Note { text, hints: hint.into_iter().collect() }
}

/// Enough voters run, and none of them reaches enough of the others.
fn cut_apart(sight: Sight<'_>, members: &Configuration, up: &BTreeSet<NodeId>) -> Note {
    let voters = sight.voters();
    let needed = members.voters().len() / 2 + 1;
    let cuts: Vec<&Fault> = sight.cuts().collect();
    let faults: Vec<String> = cuts
        .iter()
        .map(|fault| format!("{}: {}, for {}", fault.id, fault.title, words::spell_ms(sight.ms_since(fault.since_ns))))
        .collect();
    let text = format!(
        "no leader: {} of {} {} run, but none of them reaches {needed} ({})",
        up.intersection(&voters).count(),
        voters.len(),
        if voters.len() == sight.status.nodes.len() { "nodes" } else { "voters" },
        faults.join("; ")
    );
    match cuts[..] {
        [fault] => Note::new(text).hint(Hint::ClearFault { id: fault.id }),
        _ => Note::new(text).hint(Hint::Heal),
    }
}

impl<'a> Sight<'a> {
    /// The faults that let nothing through.
    pub(crate) fn cuts(&self) -> impl Iterator<Item = &'a Fault> + use<'a> {
        self.status.faults.iter().filter(|fault| fault.is_cut())
    }

    /// Whether two nodes can talk: no fault cuts the link between them in either direction.
    pub(crate) fn are_linked(&self, one: NodeId, other: NodeId) -> bool {
        one == other || self.cuts().all(|fault| !is_between(fault, one, other))
    }

    /// Those of these that do not run, and what became of them: `n1, n2, n4 were killed 12 s ago`.
    pub(crate) fn gone(&self, nodes: &BTreeSet<NodeId>) -> String {
        let mut groups: BTreeMap<(String, &str), BTreeSet<NodeId>> = BTreeMap::new();
        for node in nodes {
            let (when, how) = match self.report(*node) {
                None => (String::new(), "without a process in this lab"),
                Some(report) => {
                    let how = words::state(report.state);
                    let went = self.went(*node).filter(|went| went.state == report.state);
                    (went.map_or(String::new(), |went| words::ago(self.ms_since(went.at_ns))), how)
                }
            };
            groups.entry((when, how)).or_default().insert(*node);
        }
        let mut groups: Vec<_> = groups.into_iter().collect();
        groups.sort_by_key(|(_, nodes)| nodes.first().copied());
        let phrases = groups.iter().map(|((when, how), nodes)| {
            let (count, names) = (nodes.len(), words::nodes(nodes));
            match (when.as_str(), *how) {
                ("", how) => format!("{names} {} {how}", if count == 1 { "is" } else { "are" }),
                (when, "failed") => format!("{names} failed {when}"),
                ("just now", how) => format!("{names} {how} just now"),
                (when, how) => format!("{names} {} {how} {when}", words::was(count)),
            }
        });
        phrases.collect::<Vec<_>>().join(", ")
    }

    /// How to bring back so many of these; the paused first, since they have forgotten nothing.
    pub(crate) fn bring_back(&self, down: &BTreeSet<NodeId>, count: usize) -> Option<Hint> {
        let are = |is_meant: fn(NodeState) -> bool| -> Vec<NodeId> {
            let meant = down.iter().filter(|id| self.report(**id).is_some_and(|report| is_meant(report.state)));
            meant.take(count).copied().collect()
        };
        let (paused, dead) = (
            are(|state| state == NodeState::Paused),
            are(|state| matches!(state, NodeState::Killed | NodeState::Stopped | NodeState::Failed)),
        );
        match (paused.is_empty(), dead.is_empty()) {
            (false, _) => Some(Hint::Resume { nodes: paused }),
            (true, false) => Some(Hint::Restart { nodes: dead }),
            (true, true) => None,
        }
    }
}

/// Whether a fault is on a link between these two, in either direction. Links are between names.
pub(crate) fn is_between(fault: &Fault, one: NodeId, other: NodeId) -> bool {
    let (one, other) = (one.name(), other.name());
    fault.links().iter().any(|link| *link == (one, other) || *link == (other, one))
}
