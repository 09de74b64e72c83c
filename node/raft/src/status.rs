//! The status of a server, for people and tools.
//!
//! Invariant: reading the status changes nothing.

use std::time::Duration;

use crate::{Configuration, Index, NodeId, RoleKind, Term};

/// A summary of a server's state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// Its role.
    pub role: RoleKind,
    /// Its term.
    pub term: Term,
    /// Its vote in that term.
    pub voted_for: Option<NodeId>,
    /// The leader of that term, if known.
    pub leader: Option<NodeId>,
    /// The last entry that its snapshot covers; 0 without one.
    pub snapshot_index: Index,
    /// The first entry it holds, which the snapshot may cover as well; the one after the last if it holds none.
    pub first_index: Index,
    /// The last entry of its log.
    pub last_index: Index,
    /// The last entry that it knows its disk to hold.
    pub durable_index: Index,
    /// The last entry it knows to be committed.
    pub commit_index: Index,
    /// The configuration in force; `None` for a server that waits to be added.
    pub configuration: Option<Configuration>,
    /// Whether the server knows that this configuration is committed.
    pub configuration_committed: bool,
    /// While a write is pending: the time since the disk last answered, or was given that write.
    pub disk_silence: Option<Duration>,
    /// Others than leaders: the time until it stands for election, unless it hears from a leader (§5.2).
    pub election_in: Option<Duration>,
    /// Leaders only: the time since a quorum was last heard from.
    pub quorum_contact: Option<Duration>,
    /// Leaders only: the server to which leadership is being transferred.
    pub transfer: Option<NodeId>,
    /// Leaders only: all other servers that it sends messages to, in order.
    pub peers: Vec<Peer>,
}

/// What a leader knows of another server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Its name.
    pub id: NodeId,
    /// Its membership.
    pub standing: Standing,
    /// The last entry known to agree, durably.
    pub match_index: Index,
    /// Whether it has denied what it acknowledged in this term, and so counts for no quorum.
    pub denies: bool,
    /// The next entry to send.
    pub next_index: Index,
    /// While it is being sent a snapshot: the bytes received so far, and the size in bytes.
    pub snapshot_bytes: Option<(u64, u64)>,
    /// The time since it was last heard from.
    pub contact: Duration,
}

/// The membership of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It has a vote.
    Voter,
    /// It is sent the log, and has no vote (thesis §4.2.1).
    Learner,
    /// It was removed, and is still sent messages so that it learns of this.
    Leaving,
}
