//! What happened in a lab, in order: the lines of `events.jsonl`, and what `lab.follow` streams.
//!
//! Invariant: `seq` grows by one from line to line; times are those of the machine's monotonic clock, so that lines of
//! all nodes can be put side by side.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use super::{Action, Divergence, Fault, FaultEnd, FaultId, MemberVerb, NodeState, Proof, Resolution};
use crate::control::Damaged;
use crate::host_event::HostEvent;
use crate::{Index, NodeId, RaftEvent};

/// An entry of the journal (`events.jsonl`).
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Event {
    /// Numbered from 1 within the life of a lab.
    pub seq: u64,
    /// When, on the machine's monotonic clock.
    pub at_ns: u64,
    /// When, in milliseconds since 1970, for people.
    pub unix_ms: u64,
    /// What.
    #[serde(flatten)]
    pub what: Happening,
}

/// What can stand in the journal.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Happening {
    /// The daemon took charge of the lab.
    DaemonStarted {
        /// Its process.
        pid: u32,
        /// Processes of an earlier daemon that had to be ended.
        orphans: Vec<u32>,
    },
    /// The daemon leaves.
    DaemonStopped,
    /// A node's process was started.
    NodeSpawned {
        /// The node.
        node: NodeId,
        /// Its process.
        pid: u32,
    },
    /// A node listens.
    NodeReady {
        /// The node.
        node: NodeId,
        /// Where.
        address: SocketAddr,
        /// The last entry it found on its disk.
        last_index: Index,
        /// The torn tail it cut, if any.
        torn_tail: Option<String>,
    },
    /// A node's game has drawn its first frame, at the time the node says.
    NodePlaying {
        /// The node.
        node: NodeId,
    },
    /// A node came back without committed entries that its disk had held.
    NodeRolledBack {
        /// The node.
        node: NodeId,
        /// Up to which index its disk had held them.
        held: Index,
        /// Where its log ends now.
        last_index: Index,
    },
    /// A node's process ended.
    NodeExited {
        /// The node.
        node: NodeId,
        /// Killed, stopped or failed.
        state: NodeState,
        /// How, in words.
        reason: String,
    },
    /// A node's process was stopped by SIGSTOP.
    NodePaused {
        /// The node.
        node: NodeId,
    },
    /// A node's process goes on.
    NodeResumed {
        /// The node.
        node: NodeId,
    },
    /// A turning point of a node's server, at the time the node says.
    Raft {
        /// The node.
        node: NodeId,
        /// What.
        event: RaftEvent,
    },
    /// What the host of a node's server saw around it, at the time the node says.
    Host {
        /// The node.
        node: NodeId,
        /// What.
        event: HostEvent,
    },
    /// Somebody did something to nodes.
    Acted {
        /// What.
        action: Action,
        /// Whom the selector named.
        resolved: Resolution,
    },
    /// Somebody wants another membership. What came of it, the servers' own events tell.
    MemberChanging {
        /// What.
        verb: MemberVerb,
        /// To whom.
        node: NodeId,
    },
    /// Somebody wants another leader. What came of it, the servers' own events tell.
    Transferring {
        /// Whom the selector named.
        resolved: Resolution,
    },
    /// Two nodes were seen to have committed different entries, which must never be.
    Diverged {
        /// Which, and where.
        divergence: Divergence,
    },
    /// The files of a node that is down were damaged on purpose.
    Damaged {
        /// The node.
        node: NodeId,
        /// What was done to them, and where.
        damaged: Damaged,
    },
    /// A fault came into force.
    FaultAdded {
        /// The fault.
        fault: Fault,
    },
    /// It was looked whether a fault is in effect.
    FaultSeen {
        /// Its number.
        id: FaultId,
        /// What was seen.
        proof: Proof,
    },
    /// A fault was cleared.
    FaultCleared {
        /// Its number.
        id: FaultId,
        /// Whether its time was up, or it has done what it does once.
        expired: bool,
    },
    /// It was looked whether a cleared fault is gone.
    FaultEnded {
        /// How it ended.
        end: FaultEnd,
    },
}
