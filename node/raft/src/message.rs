//! The messages of Figures 2 and 13, plus PreVote (thesis §9.6) and TimeoutNow (thesis §3.10).
//!
//! Invariant: every request that is not refused ([`Contradiction`](crate::Contradiction)) gets exactly one reply, which
//! carries the request's `call` number. A transport of requests and replies needs no other state to match them.
//!
//! Deliberately absent: the encoding on the wire (see `raftian-rpc`).

use bytes::Bytes;

use crate::{Configuration, Entry, Index, NodeId, Term};

/// A message between two servers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// The sender.
    pub from: NodeId,
    /// The receiver.
    pub to: NodeId,
    /// The sender's current term. A PreVote carries the term that the sender would enter.
    pub term: Term,
    /// Numbers the sender's requests; a reply repeats the number of its request.
    pub call: u64,
    /// The request or reply.
    pub body: Body,
}

/// A request or a reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// A request; the receiver replies to it.
    Request(Request),
    /// The reply to a request.
    Reply(Reply),
}

/// A request of one server to another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// Asks whether the receiver would vote for the sender in this term. Changes nothing at the receiver (thesis §9.6).
    PreVote(LastEntry),
    /// Asks for the receiver's vote in this term (§5.2).
    RequestVote {
        /// The end of the candidate's log.
        last: LastEntry,
        /// The leader itself started this election with TimeoutNow, so servers need not protect it (thesis §3.10).
        transfer: bool,
    },
    /// Appends these entries; without entries it is a heartbeat (§5.3).
    AppendEntries(AppendEntries),
    /// Brings one chunk of a snapshot (§7).
    InstallSnapshot(InstallSnapshot),
    /// Asks the receiver to start an election at once (thesis §3.10).
    TimeoutNow,
}

/// The last entry of a candidate's log. Voters compare it with their own to see which log is more up-to-date (§5.4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LastEntry {
    /// Its term, compared first: the derived order is the paper's "at least as up-to-date".
    pub term: Term,
    /// Its index.
    pub index: Index,
}

/// The arguments of AppendEntries (Figure 2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppendEntries {
    /// The index of the entry before the new ones.
    pub prev_log_index: Index,
    /// That entry's term.
    pub prev_log_term: Term,
    /// The entries, contiguous from `prev_log_index + 1`.
    pub entries: Vec<Entry>,
    /// The leader's commitIndex.
    pub leader_commit: Index,
}

/// The arguments of InstallSnapshot (Figure 13).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InstallSnapshot {
    /// The last entry that the snapshot covers.
    pub last: LastEntry,
    /// The configuration in force there.
    pub configuration: Configuration,
    /// The size of the whole snapshot's data in bytes.
    pub size: u64,
    /// The offset in bytes of this chunk in the data.
    pub offset: u64,
    /// The bytes of this chunk.
    pub data: Bytes,
}

/// The reply to a [`Request`] of the same kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// Whether the vote would be granted.
    PreVote {
        /// True if it would.
        granted: bool,
    },
    /// Whether the vote is granted.
    RequestVote {
        /// True if it is.
        granted: bool,
    },
    /// Up to which index the logs agree, or where they conflict.
    AppendEntries(AppendReply),
    /// How much of the snapshot has been received.
    InstallSnapshot(SnapshotReply),
    /// The request was received. Whether the receiver follows it, its RequestVote shows.
    TimeoutNow,
}

/// The result of an AppendEntries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AppendReply {
    /// The log agrees with the leader's up to and including this index, durably.
    Matched(Index),
    /// The entry at `prev_log_index` is missing or of another term (end of §5.3).
    Conflict(Conflict),
    /// The sender's term is over; the reply's term says which one it is now.
    StaleTerm,
}

/// The result of an InstallSnapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SnapshotReply {
    /// The first so many bytes of this snapshot have been received; the next chunk must begin there. After a crash or a
    /// newer snapshot the number may be smaller than before.
    Received(u64),
    /// The follower's state includes everything up to this index, durably: there is no more to send.
    Installed(Index),
    /// The sender's term is over; the reply's term says which one it is now.
    StaleTerm,
}

/// Where to look for agreement after a conflict: the follower's last entry at or before `prev_log_index` that is of
/// `prev_log_term` or an earlier term. After it the logs agree nowhere, so the leader can skip whole terms at once (§5.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conflict {
    /// The term of that entry; 0 if there is none.
    pub term: Term,
    /// Its index; 0 if there is none.
    pub index: Index,
}
