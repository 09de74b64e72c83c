//! The messages of Figures 2 and 13, plus PreVote (thesis §9.6) and TimeoutNow (thesis §3.10).
//!
//! Invariant: every request gets exactly one reply, which carries the request's `call` number. A transport that
//! speaks in calls needs no other state to match them.
//!
//! Deliberately absent: how a message looks on a wire (`raftian-rpc` knows).

use bytes::Bytes;

use crate::{Configuration, Entry, Index, NodeId, Term};

/// A message between two servers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Who sends it.
    pub from: NodeId,
    /// Who shall receive it.
    pub to: NodeId,
    /// The sender's current term. A PreVote carries the term it *would* start.
    pub term: Term,
    /// Numbers the sender's requests; a reply repeats the number of its request.
    pub call: u64,
    /// What it says.
    pub body: Body,
}

/// A request or a reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// A request; it wants a reply.
    Request(Request),
    /// The reply to one.
    Reply(Reply),
}

/// What one server asks of another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// Would you vote for me in this term? Changes nothing at the receiver (thesis §9.6).
    PreVote(LastEntry),
    /// Vote for me in this term (§5.2).
    RequestVote {
        /// The end of the candidate's log.
        last: LastEntry,
        /// The leader itself wants this election, so nobody need protect it (thesis §3.10).
        transfer: bool,
    },
    /// Append these entries; with none of them, a heartbeat (§5.3).
    AppendEntries(AppendEntries),
    /// Keep this part of a snapshot (§7).
    InstallSnapshot(InstallSnapshot),
    /// Start an election at once (thesis §3.10).
    TimeoutNow,
}

/// The last entry of a candidate's log, by which voters judge how up to date it is (§5.4.1).
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
    /// The last entry the snapshot stands for.
    pub last: LastEntry,
    /// The configuration in force there.
    pub configuration: Configuration,
    /// The size of the whole snapshot's data in bytes.
    pub size: u64,
    /// Where in it this chunk begins.
    pub offset: u64,
    /// The chunk.
    pub data: Bytes,
}

/// The answer to a [`Request`] of the same kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// Whether a vote would be given.
    PreVote {
        /// True if it would.
        granted: bool,
    },
    /// Whether the vote is given.
    RequestVote {
        /// True if it is.
        granted: bool,
    },
    /// How far the log agrees now.
    AppendEntries(AppendReply),
    /// How much of the snapshot is here.
    InstallSnapshot(SnapshotReply),
    /// It was read. Whether it was followed is seen by the election.
    TimeoutNow,
}

/// What became of an AppendEntries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AppendReply {
    /// The log agrees with the leader's up to and including this index, durably.
    Matched(Index),
    /// The entry at `prev_log_index` is missing or of another term (end of §5.3).
    Conflict(Conflict),
    /// The sender's term is over; the reply's term says which one it is now.
    StaleTerm,
}

/// What became of an InstallSnapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SnapshotReply {
    /// So many bytes of the beginning of this snapshot are here; the next chunk is to begin there. After a crash or a
    /// newer snapshot they may be fewer than before.
    Received(u64),
    /// The follower's state includes everything up to this index, durably: there is no more to send.
    Installed(Index),
    /// The sender's term is over; the reply's term says which one it is now.
    StaleTerm,
}

/// Where a follower's log departs from the leader's, told so that the leader can skip a whole term at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conflict {
    /// The term of the follower's entry at `prev_log_index`; `None` where its log is shorter than that.
    pub term: Option<Term>,
    /// The first index the follower holds of that term; where its log is shorter, the index after its last.
    pub index: Index,
}
