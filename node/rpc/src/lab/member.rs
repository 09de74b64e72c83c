//! `lab.member`, `lab.transfer`, `lab.snapshot`: who takes part, who leads, and what of the log is kept.
//!
//! Invariant: each answers when what it says is committed or durable, or fails and names what is missing.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Leadership, Resolution};
use crate::control::SnapshotTaken;
use crate::hint::Note;
use crate::selector::Selector;
use crate::{Configuration, Index, NodeId};

/// What is to become of a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MemberVerb {
    /// A new node is started, catches up as a learner, and gets a vote.
    Add,
    /// A new node is started and stays a learner: it is sent the log, and has no vote (thesis §4.2.1).
    AddLearner,
    /// A learner gets a vote, once it has caught up.
    Promote,
    /// A node leaves the cluster; its process is stopped and its folder removed.
    Remove,
}

/// Do this to that member.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct MemberRequest {
    /// What.
    pub verb: MemberVerb,
    /// To whom: a selector that names one node. For the first two a plain name, of a node that does not exist yet.
    pub node: Selector,
    /// How long it may take, in milliseconds.
    pub timeout_ms: u64,
}

/// A membership that is committed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct MemberReport {
    /// What was done.
    pub verb: MemberVerb,
    /// To whom.
    pub node: NodeId,
    /// Whether anything had to be done.
    pub changed: bool,
    /// Who takes part now.
    pub configuration: Configuration,
    /// Where in the log the last change that it took begins; `None` if it took none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub index: Option<Index>,
    /// How long it took, in milliseconds.
    pub after_ms: u64,
    /// Who leads now, where the leader was removed.
    pub leader: Option<Leadership>,
    /// What a person should know: that the node caught up by a snapshot, that one failure more would stop the cluster.
    pub notes: Vec<Note>,
}

/// Hand the lead over.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TransferRequest {
    /// To whom: a selector that names one node.
    pub to: Selector,
    /// How long it may take, in milliseconds.
    pub timeout_ms: u64,
}

/// A lead that was handed over.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TransferReport {
    /// Whom the selector named.
    pub resolved: Resolution,
    /// Who led before.
    pub from: NodeId,
    /// Whether anything had to be done.
    pub changed: bool,
    /// Who leads now.
    pub leader: Leadership,
}

/// Take snapshots.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SnapshotRequest {
    /// On which nodes.
    pub selector: Selector,
    /// So many of the last entries are kept all the same.
    pub keep_entries: u64,
    /// How long it may take, in milliseconds.
    pub timeout_ms: u64,
}

/// Snapshots that are durable.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SnapshotReport {
    /// Whom the selector named.
    pub resolved: Resolution,
    /// What was taken.
    pub taken: Vec<SnapshotTaken>,
    /// Who was left as it is, and why: nothing was applied since its last, or it does not run.
    pub refused: BTreeMap<NodeId, String>,
    /// Who was to take one and failed, and why.
    pub failed: BTreeMap<NodeId, String>,
}
