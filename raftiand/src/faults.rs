//! The fault registry: what is wrong, with which links and nodes, until when, and what was seen of it; and the room of all
//! that is done about faults:
//!
//! | file | subject |
//! |---|---|
//! | `links`, `inside`, `damage` | what is asked for: faults of links, of what is inside nodes, and damage to files |
//! | `partition` | which links a shape cuts |
//! | `life` | how a fault comes into force, and ends |
//! | `look`, `seen_inside` | whether it is in effect, and whether it is gone |
//! | `kept` | faults over a restart of the daemon |
//!
//! Invariant: ids are never given twice in the life of a lab, and the version grows with every change, so that a node which
//! saw the latest version knows all faults.
//!
//! Deliberately absent: telling the nodes (`push.rs`), timers, and looking whether a fault is in effect.

mod damage;
mod inside;
pub(crate) mod kept;
mod life;
mod links;
pub(crate) mod look;
mod partition;
mod seen_inside;

use std::collections::{BTreeMap, BTreeSet};

use raftian_rpc::NodeId;
use raftian_rpc::control::NodeFault;
use raftian_rpc::error::LabError;
use raftian_rpc::faults::{Effect, Rule};
use raftian_rpc::lab::{Fault, FaultId, FaultKind, Proof};
use raftian_rpc::selector::names;

use self::partition::Group;

/// The longest time a fault may be given: a day.
pub(crate) const MAX_FOR_MS: u64 = 86_400_000;

/// The faults in force.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    version: u64,
    last_id: u64,
    in_force: BTreeMap<FaultId, Fault>,
}

impl Faults {
    /// Those of an earlier daemon. No id up to `last_id` is given again, and no node knows of any of them yet.
    pub(crate) fn restored(last_id: u64, faults: Vec<Fault>) -> Faults {
        let in_force = faults.into_iter().map(|fault| (fault.id, fault)).collect();
        Faults { version: 0, last_id, in_force }
    }

    /// The version of the network; see [`Network`](raftian_rpc::control::Network).
    pub(crate) fn version(&self) -> u64 {
        self.version
    }

    /// The last id that was given.
    pub(crate) fn last_id(&self) -> u64 {
        self.last_id
    }

    /// Makes a new version: an address has changed, or a node must be told again.
    pub(crate) fn touch(&mut self) {
        self.version += 1;
    }

    /// The faults that concern a node: inside it, or on its links.
    pub(crate) fn concerning(&self, node: NodeId) -> Vec<FaultId> {
        self.in_force.values().filter(|fault| fault.nodes().contains(&node.name())).map(|fault| fault.id).collect()
    }

    /// One of them.
    pub(crate) fn get(&self, id: FaultId) -> Option<&Fault> {
        self.in_force.get(&id)
    }

    /// The faults in force, in the order they came.
    pub(crate) fn list(&self) -> Vec<Fault> {
        self.in_force.values().cloned().collect()
    }

    /// The faults on links as rules for the nodes.
    pub(crate) fn rules(&self) -> Vec<Rule> {
        self.in_force.values().flat_map(rules_of).collect()
    }

    /// The faults inside a node.
    pub(crate) fn inside(&self, node: NodeId) -> Vec<NodeFault> {
        let inside = self.in_force.values().filter_map(|fault| match &fault.what {
            FaultKind::Nodes { effect, nodes } if nodes.contains(&node.name()) => {
                Some(NodeFault { id: fault.id, effect: *effect })
            }
            _ => None,
        });
        inside.collect()
    }

    /// What goes wrong on a link, but for one fault.
    pub(crate) fn effects_on(&self, link: (NodeId, NodeId), but: FaultId) -> Vec<Effect> {
        let others = self.in_force.values().filter(|fault| fault.id != but);
        others.flat_map(|fault| fault.effects_on(link)).collect()
    }

    /// The other faults on the same links, or on the same part of the same nodes.
    pub(crate) fn overlapping(&self, fault: &Fault) -> Vec<&Fault> {
        let meets = |other: &&Fault| match (&fault.what, &other.what) {
            (FaultKind::Nodes { effect, nodes }, FaultKind::Nodes { effect: other, nodes: others }) => {
                effect.part() == other.part() && !nodes.is_disjoint(others)
            }
            // Those inside nodes have no links.
            _ => !fault.links().is_disjoint(&other.links()),
        };
        self.in_force.values().filter(|other| other.id != fault.id).filter(meets).collect()
    }

    /// The directed links over which nothing gets through, by the names of their ends.
    pub(crate) fn cut_links(&self) -> BTreeSet<(NodeId, NodeId)> {
        let cuts = self.in_force.values().filter(|fault| fault.is_cut());
        cuts.flat_map(Fault::links).collect()
    }

    /// Brings a fault into force from `since_ns` on.
    pub(crate) fn add(&mut self, title: String, what: FaultKind, since_ns: u64, for_ms: Option<u64>) -> Fault {
        self.touch();
        self.last_id += 1;
        let until_ns = for_ms.map(|for_ms| since_ns + for_ms * 1_000_000);
        let id = FaultId(self.last_id);
        let fault = Fault { id, title, what, since_ns, until_ns, injected: false, proof: None };
        self.in_force.insert(fault.id, fault.clone());
        fault
    }

    /// These nodes have confirmed the latest version, and those run. Takes note of the faults that all running ones of whom
    /// they concern have confirmed.
    pub(crate) fn confirmed(&mut self, confirmed: &BTreeSet<NodeId>, running: &BTreeSet<NodeId>) {
        for fault in self.in_force.values_mut().filter(|fault| !fault.injected) {
            let concerned = fault.nodes();
            let mut up = running.iter().filter(|id| concerned.contains(&id.name())).peekable();
            fault.injected = up.peek().is_some() && up.all(|id| confirmed.contains(id));
        }
    }

    /// Takes note of what was seen of a fault, the first time. Says whether it was.
    pub(crate) fn saw(&mut self, id: FaultId, proof: &Proof) -> bool {
        let Some(fault) = self.in_force.get_mut(&id).filter(|fault| fault.proof.is_none()) else { return false };
        fault.proof = Some(proof.clone());
        true
    }

    /// Takes one fault out of force, or all of them.
    ///
    /// # Errors
    /// Usage for a fault that is not in force, naming those that are.
    pub(crate) fn clear(&mut self, id: Option<FaultId>) -> Result<Vec<Fault>, LabError> {
        let cleared: Vec<Fault> = match id {
            None => std::mem::take(&mut self.in_force).into_values().collect(),
            Some(id) => match self.in_force.remove(&id) {
                Some(fault) => vec![fault],
                None => return Err(LabError::usage(format!("there is no fault {id}; {}", self.in_words()))),
            },
        };
        if !cleared.is_empty() {
            self.touch();
        }
        Ok(cleared)
    }

    fn in_words(&self) -> String {
        match self.in_force.is_empty() {
            true => "no fault is in force".into(),
            false => {
                let faults: Vec<String> = self.in_force.values().map(|f| format!("{} ({})", f.id, f.title)).collect();
                format!("in force: {}", faults.join(", "))
            }
        }
    }
}

fn rules_of(fault: &Fault) -> Vec<Rule> {
    let rule = |(from, to, effect): (NodeId, NodeId, Effect)| Rule { from: from.number(), to: to.number(), effect };
    fault.on_links().into_iter().map(rule).collect()
}

/// Checks for how long a fault is wanted.
///
/// # Errors
/// Usage when that is no time at all, or more than a day.
pub(crate) fn check_for_ms(for_ms: Option<u64>) -> Result<(), LabError> {
    match for_ms {
        Some(0) => Err(LabError::usage("a fault cannot last 0 ms; leave the time out for one without end")),
        Some(for_ms) if for_ms > MAX_FOR_MS => {
            Err(LabError::usage("a fault lasts at most 24 h; leave the time out for one without end"))
        }
        _ => Ok(()),
    }
}

/// A fault in words: `latency 50±10 ms n1 → n2,n3`, `drop 30 % n1 ↔ n2`.
pub(crate) fn title(effect: Effect, from: &Group, to: &Group, one_way: bool) -> String {
    let what = match effect {
        // Rounded to what a person reads; binary fractions of a percent are noise.
        Effect::Drop { probability } => format!("drop {} %", (probability * 1e6).round() / 1e4),
        Effect::Latency { delay_ms, jitter_ms: 0.0 } => format!("latency {delay_ms} ms"),
        Effect::Latency { delay_ms, jitter_ms } => format!("latency {delay_ms}±{jitter_ms} ms"),
        Effect::Duplicate { probability } => format!("duplicate {} %", (probability * 1e6).round() / 1e4),
        Effect::Reorder { probability, by_ms } => {
            format!("reorder {} % by {by_ms} ms", (probability * 1e6).round() / 1e4)
        }
    };
    let arrow = if one_way { '→' } else { '↔' };
    // A node has no link to itself: `n1 ↔ @all` means all others.
    let to: Group = if from.len() == 1 { to - from } else { to.clone() };
    format!("{what} {} {arrow} {}", names(from), names(&to))
}

#[cfg(test)]
mod tests {
    use raftian_rpc::faults::NodeEffect;

    use super::*;

    fn group(text: &str) -> Group {
        text.split(' ').map(|id| id.parse().unwrap()).collect()
    }

    fn link() -> (NodeId, NodeId) {
        ("n1".parse().unwrap(), "n2".parse().unwrap())
    }

    fn cut() -> FaultKind {
        FaultKind::Links { effect: Effect::CUT, links: vec![link()] }
    }

    fn late(delay_ms: f64) -> FaultKind {
        FaultKind::Links { effect: Effect::latency(delay_ms, 0.0).unwrap(), links: vec![link()] }
    }

    fn inside(effect: NodeEffect, nodes: &str) -> FaultKind {
        FaultKind::Nodes { effect, nodes: group(nodes) }
    }

    #[test]
    fn a_node_is_told_of_what_is_wrong_inside_it_and_not_of_others() {
        let mut faults = Faults::default();
        faults.add("a".into(), inside(NodeEffect::HangSync, "n1 n2"), 0, None);
        faults.add("b".into(), inside(NodeEffect::ClockFreeze, "n2"), 0, None);
        let ids = |node: &str| faults.inside(node.parse().unwrap()).iter().map(|fault| fault.id.0).collect::<Vec<_>>();
        assert_eq!((ids("n1"), ids("n2"), ids("n2.2"), ids("n3")), (vec![1], vec![1, 2], vec![1, 2], vec![]));
        assert!(faults.rules().is_empty());
    }

    #[test]
    fn faults_overlap_on_a_link_or_on_the_same_part_of_a_node() {
        let mut faults = Faults::default();
        for what in [cut(), late(5.0), inside(NodeEffect::HangSync, "n1 n2"), inside(NodeEffect::ClockFreeze, "n1")] {
            faults.add("x".into(), what, 0, None);
        }
        let slow = faults.add("x".into(), inside(NodeEffect::SlowSync { takes_ms: 5.0 }, "n2 n3"), 0, None);
        let meets =
            |id| faults.overlapping(faults.get(FaultId(id)).unwrap()).iter().map(|f| f.id.0).collect::<Vec<_>>();
        assert_eq!(
            (meets(1), meets(2), meets(3), meets(4), meets(slow.id.0)),
            (vec![2], vec![1], vec![5], vec![], vec![3])
        );
    }

    #[test]
    fn a_fault_is_injected_when_all_running_nodes_concerned_have_confirmed_it() {
        let mut faults = Faults::default();
        let id = faults.add("x".into(), cut(), 0, None).id;
        let mut told = |confirmed: &str, running: &str| {
            let set = |text: &str| if text.is_empty() { Group::new() } else { group(text) };
            faults.confirmed(&set(confirmed), &set(running));
            faults.get(id).unwrap().injected
        };
        assert!(!told("", "") && !told("n3", "n3") && !told("n1", "n1 n2"));
        assert!(told("n1 n3", "n1 n3"), "n2 learns of it when it starts");
    }

    #[test]
    fn ids_of_an_earlier_daemon_are_not_given_again() {
        let mut before = Faults::default();
        let kept = before.add("a".into(), cut(), 5, None);
        before.add("b".into(), cut(), 5, None);
        let mut faults = Faults::restored(before.last_id(), vec![kept]);
        assert_eq!((faults.list().len(), faults.add("c".into(), cut(), 9, None).id), (1, FaultId(3)));
    }

    #[test]
    fn ids_and_versions_grow_and_rules_follow_the_registry() {
        let mut faults = Faults::default();
        let first = faults.add("a".into(), cut(), 5, Some(2));
        let second = faults.add("b".into(), late(50.0), 5, None);
        assert_eq!((first.id.to_string(), second.id.to_string(), faults.version()), ("f1".into(), "f2".into(), 2));
        assert_eq!(first.until_ns, Some(2_000_005));
        assert_eq!(faults.rules().len(), 2);
        assert_eq!(faults.cut_links(), [link()].into());
        assert_eq!(faults.clear(Some(first.id)).unwrap(), [first]);
        assert_eq!((faults.rules().len(), faults.version()), (1, 3));
        assert_eq!(faults.add("c".into(), cut(), 5, None).id, FaultId(3));
    }

    #[test]
    fn clearing_what_is_not_there() {
        let mut faults = Faults::default();
        assert_eq!(faults.clear(None), Ok(vec![]));
        assert_eq!(faults.version(), 0, "nothing changed");
        let none = faults.clear(Some(FaultId(9))).unwrap_err().to_string();
        assert_eq!(none, "there is no fault f9; no fault is in force");
        faults.add("partition n1 | n2".into(), cut(), 5, None);
        let some = faults.clear(Some(FaultId(9))).unwrap_err().to_string();
        assert_eq!(some, "there is no fault f9; in force: f1 (partition n1 | n2)");
    }

    #[test]
    fn titles_say_what_where_and_which_way() {
        let (one, two) = (group("n1"), group("n2 n3"));
        assert_eq!(title(Effect::latency(50.0, 10.0).unwrap(), &one, &two, true), "latency 50±10 ms n1 → n2,n3");
        assert_eq!(title(Effect::latency(0.5, 0.0).unwrap(), &one, &two, true), "latency 0.5 ms n1 → n2,n3");
        assert_eq!(title(Effect::drop(0.3).unwrap(), &one, &two, false), "drop 30 % n1 ↔ n2,n3");
        assert_eq!(title(Effect::drop(0.07).unwrap(), &one, &two, false), "drop 7 % n1 ↔ n2,n3");
    }

    #[test]
    fn a_fault_lasts_at_least_a_moment_and_at_most_a_day() {
        assert!(check_for_ms(Some(0)).is_err() && check_for_ms(Some(u64::MAX)).is_err());
        assert!(check_for_ms(Some(1)).is_ok() && check_for_ms(None).is_ok());
    }
}
