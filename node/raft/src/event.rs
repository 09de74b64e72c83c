//! What a trace of a server tells: the turning points, not every message.

use serde::{Deserialize, Serialize};

use crate::{Index, NodeId, Term};

/// What a server is in its current term (§5.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RoleKind {
    /// Answers leaders and candidates.
    Follower,
    /// Asks whether an election could be won, before it disturbs anyone with a new term (thesis §9.6).
    PreCandidate,
    /// Asks for votes.
    Candidate,
    /// Handles all commands of its term.
    Leader,
}

/// Something that happened inside a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// It took a role, or learnt of another term or leader.
    Role {
        /// The role it has now.
        role: RoleKind,
        /// Its term.
        term: Term,
        /// The leader it knows of in that term.
        leader: Option<NodeId>,
    },
    /// It gave its vote.
    Voted {
        /// In this term.
        term: Term,
        /// To this candidate.
        candidate: NodeId,
    },
    /// It discarded entries that contradict the leader's (§5.3).
    Truncated {
        /// From this index on.
        from: Index,
    },
    /// A leader has not heard from a quorum for an election timeout and steps down (thesis §6.2).
    QuorumLost {
        /// The term it led.
        term: Term,
    },
}
