//! What was broken, and when: processes that were down or paused, disks that were silent, links with faults.
//!
//! Invariant: a node that was removed is not broken. Two cuts of the same links, there and back, that begin together are one
//! partition, which ends with the first of them.

use std::collections::BTreeSet;

use raftian_rpc::faults::proof::Outcome;
use raftian_rpc::lab::{Event, Fault, FaultId, Happening, MemberVerb, NodeState, Proof};
use raftian_rpc::selector::names;
use raftian_rpc::{NodeId, RaftEvent};

use super::{Axis, FaultWindow};

/// How close together two cuts begin that are one partition: 100 ms.
const TOGETHER_NS: u64 = 100_000_000;

/// What a window is known by until it closes.
#[derive(Clone, Copy, PartialEq)]
enum Key {
    Down(NodeId),
    Paused(NodeId),
    Disk(NodeId),
    Fault(FaultId),
}

/// A window that has not ended.
struct Open {
    key: Key,
    from_ns: u64,
    label: String,
    /// What was measured of it.
    seen: Vec<String>,
    /// The links that it cuts, while the cut of the way back may follow.
    cut: BTreeSet<(NodeId, NodeId)>,
}

/// What was broken, in order of its beginning.
pub(super) fn windows(events: &[&Event], axis: Axis) -> Vec<FaultWindow> {
    let mut open: Vec<Open> = Vec::new();
    let mut ended_at: Vec<(Open, u64)> = Vec::new();
    let mut leaving: BTreeSet<NodeId> = BTreeSet::new();
    for event in events {
        match &event.what {
            Happening::MemberChanging { verb, node } => {
                match verb {
                    MemberVerb::Remove => leaving.insert(*node),
                    _ => leaving.remove(node),
                };
            }
            Happening::NodeExited { node, state: NodeState::Stopped, .. } if leaving.contains(node) => {}
            Happening::FaultAdded { fault } => add(&mut open, fault, event.at_ns),
            Happening::FaultSeen { id, proof } => {
                if let Some(one) = open.iter_mut().find(|one| one.key == Key::Fault(*id)) {
                    one.seen = seen(proof);
                }
            }
            what => match (opened(what), closed(what)) {
                (Some((key, label)), _) => {
                    open.push(Open { key, from_ns: event.at_ns, label, seen: Vec::new(), cut: BTreeSet::new() });
                }
                (None, Some(key)) => {
                    let (ended, still) = open.into_iter().partition(|other| other.key == key);
                    open = still;
                    ended_at.extend(Vec::into_iter(ended).map(|one| (one, event.at_ns)));
                }
                (None, None) => {}
            },
        }
    }
    ended_at.extend(open.into_iter().map(|one| (one, axis.end_ns)));
    ended_at.sort_by_key(|(one, _)| one.from_ns);
    let window = |(Open { from_ns, label, seen, .. }, to_ns)| {
        let (from_s, to_s) = (axis.at(from_ns), axis.at(to_ns));
        (to_s > from_s).then_some(FaultWindow { from_s, to_s, label, seen })
    };
    ended_at.into_iter().filter_map(window).collect()
}

/// What was measured of a fault, with a word before it where that is not what was wanted.
fn seen(proof: &Proof) -> Vec<String> {
    match proof.outcome {
        Outcome::Confirmed => proof.seen.clone(),
        outcome => [outcome.to_string()].into_iter().chain(proof.seen.iter().cloned()).collect(),
    }
}

/// A fault of links begins. Two that cut the same links in both directions, right after each other, are a partition.
fn add(open: &mut Vec<Open>, fault: &Fault, at_ns: u64) {
    let cut = if fault.is_cut() { fault.links() } else { BTreeSet::new() };
    let is_reverse = |other: &Open| {
        let back: BTreeSet<_> = other.cut.iter().map(|(from, to)| (*to, *from)).collect();
        at_ns - other.from_ns <= TOGETHER_NS && !cut.is_empty() && cut == back
    };
    if let Some(other) = open.iter_mut().find(|other| is_reverse(other)) {
        let side = |end: fn(&(NodeId, NodeId)) -> NodeId| {
            let nodes: BTreeSet<NodeId> = other.cut.iter().map(end).collect();
            names(&nodes.into_iter().collect::<Vec<_>>())
        };
        other.label = short_title(&format!("partition {} | {}", side(|link| link.0), side(|link| link.1)));
        other.cut.clear();
        return;
    }
    let label = match cut.is_empty() {
        true => short_title(&fault.title),
        false => short_title(&fault.title.replacen("drop 100 %", "cut", 1)),
    };
    open.push(Open { key: Key::Fault(fault.id), from_ns: at_ns, label, seen: Vec::new(), cut });
}

fn opened(what: &Happening) -> Option<(Key, String)> {
    match what {
        Happening::NodeExited { node, state, .. } => {
            let label = match state {
                NodeState::Killed => format!("kill {node}"),
                NodeState::Stopped => format!("stop {node}"),
                _ => format!("{node} failed"),
            };
            Some((Key::Down(*node), label))
        }
        Happening::NodePaused { node } => Some((Key::Paused(*node), format!("pause {node}"))),
        Happening::Raft { node, event: RaftEvent::DiskSilent } => {
            Some((Key::Disk(*node), format!("the disk of {node} is silent")))
        }
        _ => None,
    }
}

fn closed(what: &Happening) -> Option<Key> {
    match what {
        Happening::NodeReady { node, .. } => Some(Key::Down(*node)),
        Happening::NodeResumed { node } => Some(Key::Paused(*node)),
        Happening::Raft { node, event: RaftEvent::DiskAnswered { .. } } => Some(Key::Disk(*node)),
        Happening::FaultCleared { id, .. } => Some(Key::Fault(*id)),
        _ => None,
    }
}

/// `partition n5 | n1,n2,n3,n4` → `partition n5 | rest`: the larger of two groups needs no list.
fn short_title(title: &str) -> String {
    let Some(groups) = title.strip_prefix("partition ") else { return title.to_owned() };
    let Some((left, right)) = groups.split_once('|').filter(|(_, right)| !right.contains('|')) else {
        return title.to_owned();
    };
    let size = |group: &str| group.split(',').count();
    match (size(left), size(right)) {
        (few, many) if many > few && many > 2 => format!("partition {} | rest", left.trim()),
        (many, few) if many > few && many > 2 => format!("partition {} | rest", right.trim()),
        _ => title.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use raftian_rpc::faults::Effect;
    use raftian_rpc::lab::FaultKind;

    use super::super::happened::{S, event, exited, node, ready};
    use super::*;

    fn fault(id: u64, title: &str, links: &[(u16, u16)]) -> Happening {
        let links = links.iter().map(|(from, to)| (node(*from), node(*to))).collect();
        let fault = Fault {
            id: FaultId(id),
            title: title.into(),
            what: FaultKind::Links { effect: Effect::CUT, links },
            since_ns: 0,
            until_ns: None,
            injected: true,
            proof: None,
        };
        Happening::FaultAdded { fault }
    }

    fn cleared(id: u64) -> Happening {
        Happening::FaultCleared { id: FaultId(id), expired: false }
    }

    /// The windows of events from second 10 to second 20.
    fn drawn(events: &[Event]) -> Vec<(f64, f64, String)> {
        let events: Vec<&Event> = events.iter().collect();
        let windows = windows(&events, Axis { start_ns: 10 * S, end_ns: 20 * S });
        windows.into_iter().map(|window| (window.from_s, window.to_s, window.label)).collect()
    }

    #[test]
    fn windows_open_and_close_and_the_open_ones_last_to_the_end() {
        let windows = drawn(&[
            event(5, exited(3, NodeState::Killed)),
            event(6, ready(3)),
            event(11, exited(2, NodeState::Killed)),
            event(12, Happening::NodePaused { node: node(4) }),
            event(13, ready(2)),
            event(14, fault(1, "partition n5 | n1,n2,n3,n4", &[])),
            event(16, cleared(1)),
        ]);
        let expected = [(1.0, 3.0, "kill n2"), (2.0, 10.0, "pause n4"), (4.0, 6.0, "partition n5 | rest")];
        assert_eq!(windows, expected.map(|(from, to, label)| (from, to, label.to_owned())));
    }

    #[test]
    fn cuts_there_and_back_that_begin_together_are_one_partition_and_a_cut_one_way_is_a_cut() {
        let there = [(1, 2), (1, 3)];
        let back = [(2, 1), (3, 1)];
        let windows = drawn(&[
            event(11, fault(1, "drop 100 % n1 → n2,n3", &there)),
            event(11, fault(2, "drop 100 % n2,n3 → n1", &back)),
            event(13, cleared(1)),
            event(13, cleared(2)),
            event(14, fault(3, "drop 100 % n1 → n2,n3", &there)),
            event(15, fault(4, "drop 100 % n2,n3 → n1", &back)),
        ]);
        let labels: Vec<&str> = windows.iter().map(|window| window.2.as_str()).collect();
        assert_eq!(labels, ["partition n1 | n2,n3", "cut n1 → n2,n3", "cut n2,n3 → n1"]);
    }

    #[test]
    fn a_window_has_what_was_measured_of_its_fault() {
        let proof = |outcome| Proof { at_ns: 0, outcome, seen: vec!["n1→n2: 9 of 10 lost".into()] };
        let events = [
            event(11, fault(1, "drop 90 %", &[(1, 2)])),
            event(12, Happening::FaultSeen { id: FaultId(1), proof: proof(Outcome::Mismatch) }),
        ];
        let events: Vec<&Event> = events.iter().collect();
        let windows = windows(&events, Axis { start_ns: 10 * S, end_ns: 20 * S });
        assert_eq!(windows[0].seen, ["mismatch", "n1→n2: 9 of 10 lost"]);
    }

    #[test]
    fn a_member_that_is_removed_is_no_fault() {
        let changing = |verb| Happening::MemberChanging { verb, node: node(4) };
        let windows = drawn(&[
            event(11, changing(MemberVerb::Remove)),
            event(12, exited(4, NodeState::Stopped)),
            event(13, exited(3, NodeState::Stopped)),
        ]);
        assert_eq!(windows, [(3.0, 10.0, "stop n3".to_owned())]);
    }

    #[test]
    fn the_larger_of_two_groups_is_the_rest() {
        assert_eq!(short_title("partition n1,n2,n3,n4 | n5"), "partition n5 | rest");
        assert_eq!(short_title("partition n1 | n2"), "partition n1 | n2");
        assert_eq!(short_title("partition n1 | n2,n3 | n4,n5"), "partition n1 | n2,n3 | n4,n5");
        assert_eq!(short_title("latency 50 ms"), "latency 50 ms");
    }
}
