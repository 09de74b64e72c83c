//! Looking whether faults are in effect, and whether they are gone: by probes over links, and by what nodes have measured
//! inside themselves.
//!
//! Invariant: what is said to be seen was measured, by nodes that run, while nothing else of the network changed. A fault of
//! which nothing can be seen yet, since a node is down or has had no occasion, is looked at again and again.
//!
//! Deliberately absent: what follows from what was measured (`raftian_rpc::faults::proof`, `seen_inside.rs`).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use raftian_rpc::NodeId;
use raftian_rpc::clock::monotonic_ns;
use raftian_rpc::connect::Http;
use raftian_rpc::control::{ControlClient, NodeFault, NodeFaultStatus, NodeStatus, Probes};
use raftian_rpc::faults::proof::{LinkMeasured, Outcome, judge, longest_delay_ms, probes_per_link};
use raftian_rpc::faults::{Effect, NodeEffect};
use raftian_rpc::lab::{Fault, FaultId, FaultKind, Proof};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};

use crate::faults::seen_inside;
use crate::lab::Lab;
use crate::observe::{ask_all, running_clients};

/// How often it is looked at faults of which nothing was seen yet.
const INTERVAL: Duration = Duration::from_millis(500);

/// How long the answer to a probe is waited for, beyond the delay of its link.
const PROBE_PATIENCE_MS: u64 = 500;

/// A fault that delays messages for longer is looked at later, so that adding it does not wait for that.
const LATER_MS: f64 = 1_000.0;

/// A delay beyond this is not waited for at all.
const TOO_LONG_MS: f64 = 4_000.0;

/// How long it is waited, when a fault is added, until the nodes have measured something of it.
const OCCASION: Duration = Duration::from_millis(300);

/// How often they are asked meanwhile.
const ASK_AGAIN: Duration = Duration::from_millis(30);

/// How long a node may take to say what it has measured.
const STATUS_PATIENCE: Duration = Duration::from_millis(500);

/// How often a look is repeated because the network changed meanwhile.
const LOOKS: usize = 3;

/// A directed link, by the names of its ends.
type Ends = (NodeId, NodeId);

/// Looks at faults of which nothing was seen yet, as long as the daemon lives.
pub(crate) async fn keep_looking(lab: Arc<Lab>) {
    let mut tick = interval(INTERVAL);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        lab.look_at_unseen().await;
    }
}

impl Lab {
    /// Looks once at every fault of which nothing was seen yet.
    pub(crate) async fn look_at_unseen(&self) {
        self.look_once(|_| true).await;
    }

    /// Looks once at those inside nodes of which nothing was seen yet: nodes have measured them, and need send nothing.
    pub(crate) async fn look_inside_unseen(&self) {
        self.look_once(is_inside).await;
    }

    async fn look_once(&self, wanted: impl Fn(&Fault) -> bool) {
        let unseen = self.state().faults.list().into_iter().filter(|fault| fault.proof.is_none() && wanted(fault));
        for fault in unseen.collect::<Vec<_>>() {
            self.look(&fault, Duration::ZERO).await;
        }
    }

    /// The faults in force, with what is seen of them now: of one inside nodes, what those have measured since.
    pub(crate) async fn faults_as_seen(&self) -> Vec<Fault> {
        self.look_at_unseen().await;
        let mut faults = self.state().faults.list();
        for fault in &mut faults {
            if let FaultKind::Nodes { effect, nodes } = &fault.what {
                let inside = NodeFault { id: fault.id, effect: *effect };
                let seen = self.look_inside(inside, nodes, Instant::now()).await;
                let outcome = |outcome| self.alone(fault, outcome);
                let proof = seen.map(|(is, seen)| Proof { at_ns: monotonic_ns(), outcome: outcome(is), seen });
                fault.proof = proof.or(fault.proof.take());
            }
        }
        faults
    }

    /// Looks at a fault that has just come into force, unless that would take long.
    pub(crate) async fn look_at(&self, id: FaultId) {
        let fault = self.state().faults.get(id).cloned();
        let longest_ms = |fault: &Fault| {
            fault.links().iter().map(|link| longest_delay_ms(&fault.effects_on(*link))).fold(0.0, f64::max)
        };
        let is_soon = |fault: &Fault| longest_ms(fault) <= LATER_MS;
        if let Some(fault) = fault.filter(is_soon) {
            self.look(&fault, OCCASION).await;
        }
    }

    async fn look(&self, fault: &Fault, patience: Duration) {
        let seen = match &fault.what {
            FaultKind::Nodes { effect, nodes } => {
                self.look_inside(NodeFault { id: fault.id, effect: *effect }, nodes, Instant::now() + patience).await
            }
            FaultKind::Links { .. } | FaultKind::Network { .. } => self.look_at_links(fault).await,
        };
        if let Some((outcome, seen)) = seen {
            let outcome = self.alone(fault, outcome);
            self.saw(fault.id, Proof { at_ns: monotonic_ns(), outcome, seen });
        }
    }

    /// What a look at a fault inside nodes says of it, where others are on the same part of a node: what is not as this one
    /// wants may be as all of them want.
    fn alone(&self, fault: &Fault, outcome: Outcome) -> Outcome {
        match outcome == Outcome::Mismatch && is_inside(fault) && !self.state().faults.overlapping(fault).is_empty() {
            true => Outcome::Inconclusive,
            false => outcome,
        }
    }

    async fn look_at_links(&self, fault: &Fault) -> Option<(Outcome, Vec<String>)> {
        let (id, links) = (fault.id, fault.links());
        for _ in 0..LOOKS {
            let version = self.state().faults.version();
            let with = |link: &Ends| [self.state().faults.effects_on(*link, id), fault.effects_on(*link)].concat();
            if let Some(link) = links.iter().find(|link| longest_delay_ms(&with(link)) > TOO_LONG_MS) {
                let why = format!("{}→{}: messages are too late to be waited for", link.0, link.1);
                return Some((Outcome::Inconclusive, vec![why]));
            }
            let count = |link: &Ends| probes_per_link(&fault.effects_on(*link), links.len());
            let measured = self.probe(&links.iter().map(|link| (*link, count(link))).collect()).await;
            let state = self.state();
            if state.faults.version() == version {
                let looks = links.iter().map(|link| {
                    let others = state.faults.effects_on(*link, id);
                    (*link, [others.clone(), fault.effects_on(*link)].concat(), others)
                });
                return compare(looks, &measured);
            }
        }
        None
    }

    /// Looks whether these faults, which have been lifted, are gone: what is seen of each.
    pub(crate) async fn look_whether_gone(&self, lifted: &[Fault]) -> Vec<Proof> {
        let mut wanted: BTreeMap<Ends, u32> = BTreeMap::new();
        for fault in lifted {
            let links = fault.links();
            for link in &links {
                let most = wanted.entry(*link).or_default();
                *most = probes_per_link(&fault.effects_on(*link), links.len()).max(*most);
            }
        }
        let slow = |link: &Ends, state: &crate::lab::State| {
            longest_delay_ms(&state.faults.effects_on(*link, FaultId(0))) > LATER_MS
        };
        wanted.retain(|link, _| !slow(link, &self.state()));
        for _ in 1..LOOKS {
            let version = self.state().faults.version();
            let measured = self.probe(&wanted).await;
            let statuses = self.statuses_inside(lifted).await;
            let state = self.state();
            if state.faults.version() == version {
                let running: BTreeSet<NodeId> = state.running().iter().map(|id| id.name()).collect();
                let gone = lifted.iter().map(|fault| {
                    let (outcome, seen) = match &fault.what {
                        FaultKind::Nodes { nodes, .. } => seen_inside::gone(fault.id, nodes, &running, &statuses),
                        FaultKind::Links { .. } | FaultKind::Network { .. } => {
                            let looks = fault.links().into_iter().map(|link| {
                                let rules = state.faults.effects_on(link, fault.id);
                                let others = [rules.clone(), fault.effects_on(link)].concat();
                                (link, rules, others)
                            });
                            compare(looks, &measured).unwrap_or_else(|| nothing("no two of its nodes run"))
                        }
                    };
                    Proof { at_ns: monotonic_ns(), outcome, seen }
                });
                return gone.collect();
            }
        }
        let (outcome, seen) = nothing("the network kept changing");
        lifted.iter().map(|_| Proof { at_ns: monotonic_ns(), outcome, seen: seen.clone() }).collect()
    }

    /// Sends so many probes over each of these links of which both ends run, and says what came of them.
    async fn probe(&self, wanted: &BTreeMap<Ends, u32>) -> BTreeMap<Ends, LinkMeasured> {
        let clients: BTreeMap<NodeId, (NodeId, Http)> =
            running_clients(&self.state()).into_iter().map(|(id, client)| (id.name(), (id, client))).collect();
        let mut calls: BTreeMap<(NodeId, u32), Vec<NodeId>> = BTreeMap::new();
        for ((from, to), count) in wanted {
            if let (true, Some((to, _))) = (clients.contains_key(from), clients.get(to)) {
                calls.entry((*from, *count)).or_default().push(*to);
            }
        }
        let mut under_way = JoinSet::new();
        for ((from, count), peers) in calls {
            let client = clients[&from].1.clone();
            under_way.spawn(async move {
                let probes = Probes { peers, count, patience_ms: PROBE_PATIENCE_MS };
                (from, client.probe(probes).await)
            });
        }
        let mut measured = BTreeMap::new();
        for (from, answer) in under_way.join_all().await {
            match answer {
                Ok(probed) => {
                    measured.extend(probed.into_iter().map(|probed| ((from, probed.peer.name()), probed.measured)));
                }
                Err(error) => tracing::warn!("{from} sent no probes: {error}"),
            }
        }
        measured
    }

    /// Asks the nodes in which a fault is what they have measured of it, until each that runs has something to say.
    async fn look_inside(
        &self,
        fault: NodeFault,
        nodes: &BTreeSet<NodeId>,
        deadline: Instant,
    ) -> Option<(Outcome, Vec<String>)> {
        loop {
            let statuses = self.ask(nodes).await;
            let mine = |status: &NodeStatus| -> Option<NodeFaultStatus> {
                status.faults.iter().find(|known| known.fault.id == fault.id).copied()
            };
            let seen: Vec<(Outcome, String)> = statuses
                .iter()
                .filter_map(|(id, status)| {
                    let (outcome, seen) = seen_inside::seen(fault.effect, &mine(status)?.measured)?;
                    Some((outcome, format!("{id}: {seen}")))
                })
                .collect();
            let is_full = !seen.is_empty() && seen.len() == statuses.len();
            if is_full || (Instant::now() >= deadline && !seen.is_empty()) {
                let worst = seen.iter().map(|(outcome, _)| *outcome).max()?;
                return Some((worst, seen.into_iter().map(|(_, words)| words).collect()));
            }
            // A crash has no other proof than that it comes.
            if Instant::now() >= deadline || matches!(fault.effect, NodeEffect::Crash { .. }) {
                return None;
            }
            sleep(ASK_AGAIN).await;
        }
    }

    /// What the nodes say in which these faults were.
    async fn statuses_inside(&self, faults: &[Fault]) -> BTreeMap<NodeId, NodeStatus> {
        let inside = faults.iter().filter(|fault| is_inside(fault));
        let nodes: BTreeSet<NodeId> = inside.flat_map(Fault::nodes).collect();
        if nodes.is_empty() { BTreeMap::new() } else { self.ask(&nodes).await }
    }

    /// What the running ones of these say, by name.
    async fn ask(&self, names: &BTreeSet<NodeId>) -> BTreeMap<NodeId, NodeStatus> {
        let mut clients = running_clients(&self.state());
        clients.retain(|(id, _)| names.contains(&id.name()));
        let asked = ask_all(clients, STATUS_PATIENCE, |client| async move { client.status().await }).await;
        asked.into_iter().filter_map(|(id, answer)| Some((id.name(), answer.ok()?))).collect()
    }
}

/// Whether a fault is inside nodes, and not on links.
fn is_inside(fault: &Fault) -> bool {
    matches!(fault.what, FaultKind::Nodes { .. })
}

fn nothing(why: &str) -> (Outcome, Vec<String>) {
    (Outcome::Inconclusive, vec![why.to_owned()])
}

/// Links on which the same is wanted, and would be otherwise.
struct Alike {
    rules: Vec<Effect>,
    others: Vec<Effect>,
    links: Vec<Ends>,
    measured: LinkMeasured,
}

/// Compares what was measured on links with the rules on each, and with what would hold otherwise. `None` where nothing was
/// measured.
fn compare(
    looks: impl Iterator<Item = (Ends, Vec<Effect>, Vec<Effect>)>,
    measured: &BTreeMap<Ends, LinkMeasured>,
) -> Option<(Outcome, Vec<String>)> {
    let mut groups: Vec<Alike> = Vec::new();
    let mut unseen = Vec::new();
    for (link, rules, others) in looks {
        let Some(measured) = measured.get(&link) else {
            unseen.push(link);
            continue;
        };
        match groups.iter_mut().find(|group| group.rules == rules && group.others == others) {
            Some(group) => {
                group.links.push(link);
                group.measured.add(measured.clone());
            }
            None => groups.push(Alike { rules, others, links: vec![link], measured: measured.clone() }),
        }
    }
    let judged: Vec<(Outcome, String)> = groups
        .iter()
        .map(|group| {
            let (outcome, words) = judge(&group.measured, &group.rules, &group.others);
            (outcome, format!("{}: {words}", spelled(&group.links)))
        })
        .collect();
    let worst = judged.iter().map(|(outcome, _)| *outcome).max()?;
    let rest = (!unseen.is_empty()).then(|| format!("{}: not looked at, since an end does not run", spelled(&unseen)));
    Some((worst, judged.into_iter().map(|(_, words)| words).chain(rest).collect()))
}

/// `n1→n2`, `n1→n2, n2→n1`, or `12 links`.
fn spelled(links: &[Ends]) -> String {
    match links {
        [_] | [_, _] => links.iter().map(|(from, to)| format!("{from}→{to}")).collect::<Vec<_>>().join(", "),
        many => format!("{} links", many.len()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(from: u16, to: u16) -> Ends {
        (NodeId::new(from).unwrap(), NodeId::new(to).unwrap())
    }

    fn looks(links: &[Ends]) -> impl Iterator<Item = (Ends, Vec<Effect>, Vec<Effect>)> {
        links.iter().map(|link| (*link, vec![Effect::CUT], Vec::new())).collect::<Vec<_>>().into_iter()
    }

    #[test]
    fn links_of_the_same_rules_are_looked_at_together_and_those_without_an_end_are_named() {
        let lost = LinkMeasured { lost: 5, ..LinkMeasured::default() };
        let links = [link(1, 2), link(2, 1), link(1, 3)];
        let measured = links[..2].iter().map(|link| (*link, lost.clone())).collect();
        let (outcome, seen) = compare(looks(&links), &measured).unwrap();
        assert_eq!(outcome, Outcome::Confirmed);
        assert_eq!(seen, ["n1→n2, n2→n1: 10 of 10 probes lost", "n1→n3: not looked at, since an end does not run"]);
        assert!(compare(looks(&links), &BTreeMap::new()).is_none());
    }

    #[test]
    fn one_link_that_is_not_as_it_should_be_is_a_mismatch() {
        let lost = LinkMeasured { lost: 5, ..LinkMeasured::default() };
        let through = LinkMeasured { delays_us: vec![300; 5], ..LinkMeasured::default() };
        let measured = [(link(1, 2), lost), (link(2, 1), through)].into();
        let (outcome, seen) = compare(looks(&[link(1, 2), link(2, 1)]), &measured).unwrap();
        assert_eq!((outcome, seen), (Outcome::Mismatch, vec!["n1→n2, n2→n1: 5 of 10 probes lost".to_owned()]));
    }
}
