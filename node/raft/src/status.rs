//! What a server says of itself when asked.

use std::time::Duration;

use crate::{Configuration, Index, NodeId, RoleKind, Term};

/// What a server is doing.
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
    /// The last entry that its snapshot stands for; 0 without one.
    pub snapshot_index: Index,
    /// The first entry it holds, which the snapshot may cover as well; the one after the last if it holds none.
    pub first_index: Index,
    /// The last entry of its log.
    pub last_index: Index,
    /// The last entry it knows to be committed.
    pub commit_index: Index,
    /// The configuration in force; `None` for a server that waits to be added.
    pub configuration: Option<Configuration>,
    /// Whether it knows that configuration to be committed.
    pub configuration_committed: bool,
    /// Leaders only: how long ago a quorum was heard from.
    pub quorum_contact: Option<Duration>,
    /// Leaders only: the server that the lead is being transferred to.
    pub transfer: Option<NodeId>,
    /// Leaders only: everybody else, in order.
    pub peers: Vec<Peer>,
}

/// What a leader knows of another server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Who it is.
    pub id: NodeId,
    /// What it is in the cluster.
    pub standing: Standing,
    /// The last entry known to agree, durably.
    pub match_index: Index,
    /// The next entry to send.
    pub next_index: Index,
    /// While it is being sent a snapshot: how many bytes it has, and how many there are.
    pub snapshot_bytes: Option<(u64, u64)>,
    /// How long ago it was heard from.
    pub contact: Duration,
}

/// What a server is in a cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It has a vote.
    Voter,
    /// It is sent the log, and has no vote (thesis §4.2.1).
    Learner,
    /// It has been removed, and is still told so.
    Leaving,
}
