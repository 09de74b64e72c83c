//! Events of a server for its trace: changes of its state, not every message.
//!
//! Deliberately absent: messages, appends and commits.

use serde::{Deserialize, Serialize};

use crate::{Configuration, Index, NodeId, Term};

/// The role of a server in its current term (§5.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RoleKind {
    /// Replies to leaders and candidates.
    Follower,
    /// Asks for pre-votes, before it starts an election with a new term (thesis §9.6).
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
    /// It took a role, or learned of another term or leader.
    Role {
        /// The role it has now.
        role: RoleKind,
        /// Its term.
        term: Term,
        /// The leader of that term, if it is known.
        leader: Option<NodeId>,
    },
    /// It granted its vote.
    Voted {
        /// In this term.
        term: Term,
        /// To this candidate.
        candidate: NodeId,
    },
    /// It discarded entries that conflict with the leader's (§5.3).
    Truncated {
        /// From this index on.
        from: Index,
    },
    /// Another configuration is in force, committed or not (§6).
    Membership {
        /// The configuration; `None` when the discarded one was the first that the server received.
        configuration: Option<Configuration>,
    },
    /// A snapshot of its own application has replaced the beginning of its log (§7).
    SnapshotTaken {
        /// Up to this index.
        index: Index,
    },
    /// A leader's snapshot has replaced its log (§7).
    SnapshotInstalled {
        /// Up to this index.
        index: Index,
    },
    /// A leader has not heard from a quorum for an election time-out and steps down (thesis §6.2).
    QuorumLost {
        /// The term it led.
        term: Term,
    },
    /// Its disk was given a write and has not answered for [`Options::disk_patience`](crate::Options::disk_patience).
    DiskSilent,
    /// Its disk answers again.
    DiskAnswered {
        /// After so long, in milliseconds.
        after_ms: u64,
    },
    /// A leader has begun to transfer leadership (thesis §3.10).
    TransferStarted {
        /// The server to lead next.
        to: NodeId,
    },
    /// The transfer took longer than an election time-out, and the leader keeps leading.
    TransferAborted {
        /// The server that did not become leader.
        to: NodeId,
    },
    /// A follower has denied what it acknowledged to this leader in its term, so its disk went back in time (§5.3). It
    /// counts for no quorum of this leader until it is removed and added again.
    AcknowledgementDenied {
        /// The follower.
        peer: NodeId,
        /// What it had acknowledged: its log was durable up to this index.
        index: Index,
    },
}
