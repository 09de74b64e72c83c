//! The fault registry: which links are disturbed, how, and until when.
//!
//! Invariant: ids are never given twice in the life of a daemon, and the version grows with every change, so that a
//! node which saw the latest version knows all faults.
//!
//! Deliberately absent: telling the nodes (`push.rs`), and timers.

use std::collections::{BTreeMap, BTreeSet};

use raftian_rpc::NodeId;
use raftian_rpc::error::LabError;
use raftian_rpc::faults::{Effect, Rule};
use raftian_rpc::lab::{Fault, FaultId};
use raftian_rpc::selector::names;

use crate::partition::Group;

/// The longest time a fault may be given: a day.
const MAX_FOR_MS: u64 = 86_400_000;

/// The faults in force.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    version: u64,
    last_id: u64,
    in_force: BTreeMap<FaultId, Fault>,
}

impl Faults {
    /// The version of the network; see [`Network`](raftian_rpc::control::Network).
    pub(crate) fn version(&self) -> u64 {
        self.version
    }

    /// Makes a new version: an address has changed, or a node must be told again.
    pub(crate) fn touch(&mut self) {
        self.version += 1;
    }

    /// The faults on the links of a node.
    pub(crate) fn on_links_of(&self, node: NodeId) -> Vec<FaultId> {
        let is_end = |(from, to): &(NodeId, NodeId)| [*from, *to].contains(&node.name());
        self.in_force.values().filter(|fault| fault.links.iter().any(is_end)).map(|fault| fault.id).collect()
    }

    /// The faults in force, in the order they came.
    pub(crate) fn list(&self) -> Vec<Fault> {
        self.in_force.values().cloned().collect()
    }

    /// The faults as rules for the nodes.
    pub(crate) fn rules(&self) -> Vec<Rule> {
        let rules_of = |fault: &Fault| {
            let effect = fault.effect;
            let rule = move |(from, to): (NodeId, NodeId)| Rule { from: from.number(), to: to.number(), effect };
            fault.links.clone().into_iter().map(rule)
        };
        self.in_force.values().flat_map(rules_of).collect()
    }

    /// The directed links over which nothing gets through, by the names of their ends.
    pub(crate) fn cut_links(&self) -> BTreeSet<(NodeId, NodeId)> {
        let cuts = self.in_force.values().filter(|fault| fault.effect == Effect::CUT);
        cuts.flat_map(|fault| fault.links.iter().copied()).collect()
    }

    /// Brings a fault into force from `since_ns` on.
    pub(crate) fn add(
        &mut self,
        title: String,
        effect: Effect,
        links: Vec<(NodeId, NodeId)>,
        since_ns: u64,
        for_ms: Option<u64>,
    ) -> Fault {
        self.touch();
        self.last_id += 1;
        let until_ns = for_ms.map(|for_ms| since_ns + for_ms * 1_000_000);
        let fault = Fault { id: FaultId(self.last_id), title, effect, links, since_ns, until_ns };
        self.in_force.insert(fault.id, fault.clone());
        fault
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
    use super::*;

    fn group(text: &str) -> Group {
        text.split(' ').map(|id| id.parse().unwrap()).collect()
    }

    fn link() -> (NodeId, NodeId) {
        ("n1".parse().unwrap(), "n2".parse().unwrap())
    }

    #[test]
    fn ids_and_versions_grow_and_rules_follow_the_registry() {
        let mut faults = Faults::default();
        let first = faults.add("a".into(), Effect::CUT, vec![link()], 5, Some(2));
        let second = faults.add("b".into(), Effect::latency(50.0, 0.0).unwrap(), vec![link()], 5, None);
        assert_eq!((first.id.to_string(), second.id.to_string(), faults.version()), ("f1".into(), "f2".into(), 2));
        assert_eq!(first.until_ns, Some(2_000_005));
        assert_eq!(faults.rules().len(), 2);
        assert_eq!(faults.cut_links(), [link()].into());
        assert_eq!(faults.clear(Some(first.id)).unwrap(), [first]);
        assert_eq!((faults.rules().len(), faults.version()), (1, 3));
        assert_eq!(faults.add("c".into(), Effect::CUT, vec![link()], 5, None).id, FaultId(3));
    }

    #[test]
    fn clearing_what_is_not_there() {
        let mut faults = Faults::default();
        assert_eq!(faults.clear(None), Ok(vec![]));
        assert_eq!(faults.version(), 0, "nothing changed");
        let none = faults.clear(Some(FaultId(9))).unwrap_err().to_string();
        assert_eq!(none, "there is no fault f9; no fault is in force");
        faults.add("partition n1 | n2".into(), Effect::CUT, vec![link()], 5, None);
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
