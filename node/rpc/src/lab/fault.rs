//! `lab.partition`, `lab.fault_*`: what is wrong with the links, and inside the nodes.
//!
//! Invariant: a fault is what goes wrong, and a set of directed links or of nodes, whatever it was asked for by; all kinds live
//! the same life.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{Leadership, Resolution};
use crate::NodeId;
use crate::faults::proof::Outcome;
use crate::faults::{Effect, NodeEffect, Profile};
use crate::hint::Note;
use crate::selector::Selector;

/// Which groups to separate.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PartitionRequest {
    /// How the groups are found.
    pub layout: Layout,
    /// Cut only the links *from* earlier groups *to* later ones.
    pub one_way: bool,
    /// Heal after this many milliseconds; never if `None`.
    pub for_ms: Option<u64>,
}

/// How a partition divides the nodes.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Layout {
    /// Two or more disjoint groups; all links between different groups are cut. Nodes in no group keep all links.
    Groups(Vec<Selector>),
    /// These nodes on one side, all others on the other.
    Isolate(Selector),
    /// Two halves that both still reach the one node between them.
    Bridge,
    /// Every node reaches its two neighbours only.
    Ring,
    /// A majority and a minority; the leader, if there is one, in the minority.
    Halves,
}

/// A fault to be added to the links from some nodes to others.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct FaultRequest {
    /// What goes wrong.
    pub effect: Effect,
    /// Where the links start.
    pub from: Selector,
    /// Where they end.
    pub to: Selector,
    /// Not the way back.
    pub one_way: bool,
    /// Clear after this many milliseconds; never if `None`.
    pub for_ms: Option<u64>,
}

/// The number of a fault in the registry; written `f3`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct FaultId(pub u64);

/// A network by name that all nodes are to be in.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct NetworkRequest {
    /// The network.
    pub profile: Profile,
    /// Clear after this many milliseconds; never if `None`.
    pub for_ms: Option<u64>,
}

/// A fault to be added inside some nodes.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct NodeFaultRequest {
    /// What goes wrong.
    pub effect: NodeEffect,
    /// In whom.
    pub on: Selector,
    /// Clear after this many milliseconds; never if `None`.
    pub for_ms: Option<u64>,
}

/// A fault in force. Its life: it is set up here, injected into the nodes, seen to be in effect, lifted, and seen to be gone.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Fault {
    /// Its number.
    pub id: FaultId,
    /// What it is, in words: `partition n1,n5 | n2,n3,n4`.
    pub title: String,
    /// What goes wrong, and where.
    #[serde(flatten)]
    pub what: FaultKind,
    /// When it was added, on the machine's monotonic clock.
    pub since_ns: u64,
    /// When it will be cleared, on the same clock; `None` if only on demand.
    pub until_ns: Option<u64>,
    /// Whether every node concerned that runs has confirmed it.
    #[serde(default)]
    pub injected: bool,
    /// What was seen of it; `None` as long as nothing could be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proof: Option<Proof>,
}

/// What goes wrong, and where. The nodes concerned are known by name: a fault outlives a node, and holds for the next one of
/// its name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum FaultKind {
    /// On links.
    Links {
        /// What goes wrong on each.
        effect: Effect,
        /// The directed links concerned, by the names of their ends.
        links: Vec<(NodeId, NodeId)>,
    },
    /// On links, each with effects of its own: a network by name.
    Network {
        /// The network.
        profile: Profile,
        /// What goes wrong on each directed link, by the names of its ends.
        effects: Vec<(NodeId, NodeId, Effect)>,
    },
    /// Inside nodes.
    Nodes {
        /// What goes wrong in each.
        effect: NodeEffect,
        /// The names of the nodes concerned.
        nodes: BTreeSet<NodeId>,
    },
}

/// What was seen of a fault: that it is in effect, or that it is gone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proof {
    /// When, on the machine's monotonic clock.
    pub at_ns: u64,
    /// Whether it is so.
    pub outcome: Outcome,
    /// What was measured, and what was wanted: `n1→n2: 52 ms, wanted 50`.
    pub seen: Vec<String>,
}

/// A fault that was added.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct FaultReport {
    /// The fault.
    pub fault: Fault,
    /// The selectors it came from, and what they named.
    pub resolved: Vec<Resolution>,
    /// The nodes that have confirmed it. Paused nodes learn of it before they run on, dead ones when they start.
    pub confirmed: BTreeSet<NodeId>,
    /// Partitions only: who leads on the side that can have a leader, counted from the cut.
    pub leader: Option<Leadership>,
    /// What a person should know, for instance that no side can have a leader.
    pub notes: Vec<Note>,
}

/// Faults that were cleared.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ClearReport {
    /// The faults; none if there were none.
    pub cleared: Vec<Fault>,
    /// How each of them ended.
    #[serde(default)]
    pub ends: Vec<FaultEnd>,
}

/// The end of a fault.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FaultEnd {
    /// Its number.
    pub id: FaultId,
    /// Confirmed if it was seen to be in effect, and then to be gone.
    pub outcome: Outcome,
    /// What was seen of its end.
    pub gone: Proof,
}

impl Fault {
    /// The directed links it is on, with what it does there; none if it is inside nodes.
    pub fn on_links(&self) -> Vec<(NodeId, NodeId, Effect)> {
        match &self.what {
            FaultKind::Links { effect, links } => links.iter().map(|(from, to)| (*from, *to, *effect)).collect(),
            FaultKind::Network { effects, .. } => effects.clone(),
            FaultKind::Nodes { .. } => Vec::new(),
        }
    }

    /// The directed links it is on.
    pub fn links(&self) -> BTreeSet<(NodeId, NodeId)> {
        self.on_links().into_iter().map(|(from, to, _)| (from, to)).collect()
    }

    /// What it does to messages on a link.
    pub fn effects_on(&self, link: (NodeId, NodeId)) -> Vec<Effect> {
        self.on_links().into_iter().filter(|(from, to, _)| (*from, *to) == link).map(|(_, _, effect)| effect).collect()
    }

    /// Whether it lets nothing through.
    pub fn is_cut(&self) -> bool {
        matches!(self.what, FaultKind::Links { effect: Effect::CUT, .. })
    }

    /// The names of all nodes concerned: those it is in, or the ends of its links.
    pub fn nodes(&self) -> BTreeSet<NodeId> {
        match &self.what {
            FaultKind::Nodes { nodes, .. } => nodes.clone(),
            _ => self.links().into_iter().flat_map(|(from, to)| [from, to]).collect(),
        }
    }
}

impl fmt::Display for FaultId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("f{}", self.0))
    }
}

impl FromStr for FaultId {
    type Err = String;

    fn from_str(text: &str) -> Result<FaultId, String> {
        let number = text.strip_prefix('f').and_then(|digits| digits.parse().ok());
        number.map(FaultId).ok_or_else(|| format!("`{text}` is not a fault id; they are f1, f2 and so on"))
    }
}

impl TryFrom<String> for FaultId {
    type Error = String;

    fn try_from(text: String) -> Result<FaultId, String> {
        text.parse()
    }
}

impl From<FaultId> for String {
    fn from(id: FaultId) -> String {
        id.to_string()
    }
}
