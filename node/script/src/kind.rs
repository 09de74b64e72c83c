//! The kinds of messages, by name.

use raftian_raft::{Body, Message, Reply, Request};

/// A kind of message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Would you vote for me?
    PreVote,
    /// Vote for me.
    RequestVote,
    /// Append entries.
    Append,
    /// Append nothing.
    Heartbeat,
    /// A part of a snapshot.
    InstallSnapshot,
    /// Start an election.
    TimeoutNow,
    /// The reply to a PreVote.
    PreVoteReply,
    /// The reply to a RequestVote.
    VoteReply,
    /// The reply to an AppendEntries.
    AppendReply,
    /// The reply to an InstallSnapshot.
    SnapshotReply,
    /// The reply to a TimeoutNow.
    TimeoutNowReply,
}

/// All of them, with their names.
const NAMES: [(Kind, &str); 11] = [
    (Kind::PreVote, "pre_vote"),
    (Kind::RequestVote, "request_vote"),
    (Kind::Append, "append"),
    (Kind::Heartbeat, "heartbeat"),
    (Kind::InstallSnapshot, "install_snapshot"),
    (Kind::TimeoutNow, "timeout_now"),
    (Kind::PreVoteReply, "pre_vote_reply"),
    (Kind::VoteReply, "vote_reply"),
    (Kind::AppendReply, "append_reply"),
    (Kind::SnapshotReply, "snapshot_reply"),
    (Kind::TimeoutNowReply, "timeout_now_reply"),
];

impl Kind {
    /// All of them.
    pub const ALL: &[Kind] = &[
        Kind::PreVote,
        Kind::RequestVote,
        Kind::Append,
        Kind::Heartbeat,
        Kind::InstallSnapshot,
        Kind::TimeoutNow,
        Kind::PreVoteReply,
        Kind::VoteReply,
        Kind::AppendReply,
        Kind::SnapshotReply,
        Kind::TimeoutNowReply,
    ];

    /// Its name.
    pub fn name(self) -> &'static str {
        NAMES[self as usize].1
    }

    /// The kind of a message.
    pub fn of(message: &Message) -> Kind {
        match &message.body {
            Body::Request(Request::PreVote(_)) => Kind::PreVote,
            Body::Request(Request::RequestVote { .. }) => Kind::RequestVote,
            Body::Request(Request::AppendEntries(append)) if append.entries.is_empty() => Kind::Heartbeat,
            Body::Request(Request::AppendEntries(_)) => Kind::Append,
            Body::Request(Request::InstallSnapshot(_)) => Kind::InstallSnapshot,
            Body::Request(Request::TimeoutNow) => Kind::TimeoutNow,
            Body::Reply(Reply::PreVote { .. }) => Kind::PreVoteReply,
            Body::Reply(Reply::RequestVote { .. }) => Kind::VoteReply,
            Body::Reply(Reply::AppendEntries(_)) => Kind::AppendReply,
            Body::Reply(Reply::InstallSnapshot(_)) => Kind::SnapshotReply,
            Body::Reply(Reply::TimeoutNow) => Kind::TimeoutNowReply,
        }
    }
}
