//! The members of a cluster as its nodes know them, and what is to become of them (§6).
//!
//! Deliberately absent: what a person asks for; see [`lab`](crate::lab).

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::{Configuration, Index, NodeId, Term};

/// Who takes part in the cluster (§6).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Membership {
    /// Voters and learners; while a change of the voters is under way, the outgoing voters too.
    pub configuration: Configuration,
    /// Whether it is known to be committed, by a server that has committed an entry of its own term as well. A change is
    /// completed when it is, and is not joint.
    pub committed: bool,
}

/// How far another server is, as its leader knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerProgress {
    /// The node.
    pub node: NodeId,
    /// What it is in the cluster.
    pub standing: Standing,
    /// The last entry it is known to have durably.
    pub match_index: Index,
    /// Whether it has denied what it acknowledged to this leader, so that its disk went back in time: it counts for no
    /// quorum until it is removed and added again.
    #[serde(default)]
    pub denies: bool,
    /// While it is sent a snapshot: how many bytes it has, and how many there are.
    pub snapshot_bytes: Option<(u64, u64)>,
}

/// What a node is in the cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// It has a vote.
    Voter,
    /// It is sent the log, and has no vote (thesis §4.2.1).
    Learner,
    /// It has been removed, and is still sent what tells it so.
    Leaving,
}

/// What is to become of the members.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MemberChange {
    /// A new server is sent the log, without a vote.
    AddLearner(NodeId),
    /// A learner that has caught up gets a vote.
    Promote(NodeId),
    /// A voter or a learner leaves.
    Remove(NodeId),
    /// These are the members.
    Members {
        /// The voters.
        voters: BTreeSet<NodeId>,
        /// The learners.
        learners: BTreeSet<NodeId>,
    },
}

/// A change of the membership that has begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangeBegun {
    /// Where it stands in the log.
    pub index: Index,
    /// The leader's term.
    pub term: Term,
}
