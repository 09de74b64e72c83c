//! What a trace of a server tells: the turning points, not every message.

use serde::{Deserialize, Serialize};

use crate::{Configuration, Index, NodeId, Term};

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
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
    /// Another configuration is in force, committed or not (§6).
    Membership {
        /// This one; `None` when the one that is discarded was the first the server heard of.
        configuration: Option<Configuration>,
    },
    /// A snapshot of its own application stands for the beginning of its log now (§7).
    SnapshotTaken {
        /// Up to this index.
        index: Index,
    },
    /// A snapshot of the leader's took the place of its log (§7).
    SnapshotInstalled {
        /// Up to this index.
        index: Index,
    },
    /// A leader has not heard from a quorum for an election timeout and steps down (thesis §6.2).
    QuorumLost {
        /// The term it led.
        term: Term,
    },
    /// A leader lets another server catch up, to hand over to it (thesis §3.10).
    TransferStarted {
        /// The server to lead next.
        to: NodeId,
    },
    /// That took longer than an election time-out, and the leader goes on.
    TransferAborted {
        /// The server that did not take over.
        to: NodeId,
    },
}
