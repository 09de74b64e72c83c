//! A node that is moved by hand: it looks at no clock, sends no message and syncs no disk unless it is told to.
//!
//! Nothing else of it is different: its core, its driver, its log and its methods are those of any node. The messages that
//! it wants to send are given to the caller of `control.step`, as [`Letter`]s: a request arrives when the `raft.*` method
//! that it names is called at its receiver, and a reply when it is given to the node that sent the request. So messages
//! outlive the process that sent them, as those on a network do.
//!
//! Invariant: a [`Step`] is answered when all that it causes in the node is done, so that what comes of many steps depends
//! on their order alone, and not on how fast the machine is.
//!
//! Deliberately absent: what becomes of a letter. The program that moves the nodes is their network.

use raftian_apps::Limits;
use raftian_raft::Options;
use serde::{Deserialize, Serialize};

use super::LogPage;
use crate::raft::Letter;
use crate::{Configuration, Index, NodeId, Term};

/// What is special about a node that is moved by hand.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ByHand {
    /// What is on its disk when it starts for the first time; an empty log if `None`.
    pub disk: Option<DiskContent>,
    /// Settings that other nodes of a lab do not have.
    pub tuning: Tuning,
}

/// What is on a disk.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiskContent {
    /// The node's term.
    pub term: Term,
    /// Its vote in that term.
    pub vote: Option<NodeId>,
    /// The terms of its entries, from index 1 on: configurations, or no-ops.
    pub log: Vec<Term>,
    /// A snapshot stands for the entries up to here; 0 without one.
    pub snapshot: Index,
    /// The entries that are configurations. A list, since the indexes are no strings.
    pub members: Vec<(Index, Configuration)>,
}

/// Settings of the core, the driver and the application.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tuning {
    /// Whether it asks before it campaigns.
    pub pre_vote: bool,
    /// Whether a leader that hears no quorum steps down.
    pub check_quorum: bool,
    /// The most entries in an AppendEntries.
    pub append_entries: usize,
    /// The most bytes of commands in one.
    pub append_bytes: usize,
    /// The most committed entries that are handed out at once.
    pub committed_at_once: usize,
    /// A leader with more bytes of entries that are not committed refuses commands.
    pub uncommitted_bytes: usize,
    /// A disk that does not answer for so long counts as silent, in microseconds.
    pub disk_patience_us: u64,
    /// The most bytes in a part of a snapshot.
    pub snapshot_chunk_bytes: usize,
    /// The most sessions of clients that are kept.
    pub sessions: usize,
    /// A state with more bytes of JSON is stored in compact form.
    pub compact_above_bytes: usize,
    /// A snapshot is taken after so many entries.
    pub snapshot_entries: u64,
    /// The entries that stay behind it.
    pub keep_entries: u64,
}

impl Default for Tuning {
    /// What other nodes have, but that no snapshot is taken by itself.
    fn default() -> Tuning {
        let core = Options::new(NodeId::first(1).next().expect("there is a first"), None, 0);
        let limits = Limits::default();
        Tuning {
            pre_vote: core.pre_vote,
            check_quorum: core.check_quorum,
            append_entries: core.max_append_entries,
            append_bytes: core.max_append_bytes,
            committed_at_once: core.max_committed_per_ready,
            uncommitted_bytes: core.max_uncommitted_bytes,
            disk_patience_us: core.disk_patience.as_micros() as u64,
            snapshot_chunk_bytes: core.max_snapshot_chunk_bytes,
            sessions: limits.max_sessions,
            compact_above_bytes: limits.compact_above_bytes,
            snapshot_entries: u64::MAX,
            keep_entries: 0,
        }
    }
}

/// Something that a node is to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// What its clock shows, in microseconds since it started. It never goes back.
    pub at_us: u64,
    /// Whether it looks at its clock after what it takes in, as other nodes do; else time-outs wait for [`Move::Tick`].
    pub looks: bool,
    /// What is to be done.
    pub what: Move,
}

/// What a node can be told to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Move {
    /// To finish what it is doing.
    Settle,
    /// The same, when so many requests of peers and questions of clients have come since it started; stale reads do not
    /// count.
    Take(u64),
    /// To look at its clock.
    Tick,
    /// To take in the reply to a call that it wanted to make.
    Hear(Letter),
    /// To hear that no reply will come to a call.
    GiveUp {
        /// Whom it called.
        peer: NodeId,
        /// The number of the call.
        call: u64,
    },
    /// To write and sync the first of the writes that wait for its disk.
    Sync {
        /// How many.
        writes: u64,
    },
    /// To take a snapshot, and to keep so many of the entries that it stands for.
    Snapshot {
        /// How many.
        keep_entries: u64,
    },
}

/// How a node stands after a step.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Settled {
    /// The requests that it wanted to send since it was last asked, in order.
    pub sent: Vec<Sent>,
    /// How many calls of peers and questions of clients it has not answered.
    pub unanswered: u64,
    /// The writes that wait for its disk, in order: how many records each has, which may be none.
    pub writes: Vec<u64>,
    /// When it wants to look at its clock, on that clock; `None` before it knows its peers.
    pub deadline_us: Option<u64>,
    /// The entries that it has applied since it was last asked, and how far it is with them; `None` if there are none.
    pub applied: Option<LogPage>,
}

/// A request that a node wanted to send.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sent {
    /// The request.
    pub letter: Letter,
    /// Whether the link that it was to leave on loses it.
    pub is_lost: bool,
}

/// What a node has on its disk and in its hard state.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Durable {
    /// For whom it has voted in its term, durably or not.
    pub vote: Option<NodeId>,
    /// The terms of the entries that are durable.
    pub log: Vec<Term>,
}
