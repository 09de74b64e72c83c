//! The messages of a node, as it records them when it is asked to (`control.record`): JSON lines in its folder, one for each
//! call that it made and one for each that it served.
//!
//! A call is a request and its reply. The two lines of a call, of the caller and of the node that was called, have its number
//! in common; its caller numbers calls anew when it starts again, so that times tell them apart.
//!
//! Invariants: a line is written when its call ends, so a process that is killed leaves no line of those that were under way.
//! A file has at most [`MAX_BYTES`], and its last line says so where there was more.
//!
//! Beside the file, a node tells of its last calls when it is asked again and again ([`RecentCalls`]), for faces that show
//! messages while they travel.
//!
//! Deliberately absent: what the messages contain, second copies that a fault makes, and what clients ask.

use serde::{Deserialize, Serialize};

use crate::{NodeId, Term};

/// The name of the file. It is there while messages are recorded, also across restarts.
pub const FILE: &str = "messages.jsonl";

/// The most bytes of the file.
pub const MAX_BYTES: u64 = 64 << 20;

/// A line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Record {
    /// The node called a peer.
    Call(Call),
    /// The node was called.
    Served(Served),
    /// There was more, for which there is no room.
    Full,
}

/// A call of a peer, as its caller saw it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Call {
    /// Its number among the caller's.
    pub call: u64,
    /// The peer.
    pub to: NodeId,
    /// What the request is.
    pub what: What,
    /// How many entries it brings.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub entries: u64,
    /// The caller's term.
    pub term: Term,
    /// When the request was sent, on the monotonic clock.
    pub sent_ns: u64,
    /// When the reply was there, or the caller gave up.
    pub ended_ns: u64,
    /// How it ended.
    pub end: End,
}

/// Calls that came to an end lately. One of which a fault dropped a message is told at that moment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecentCalls {
    /// The calls, in order of their ends.
    pub calls: Vec<Call>,
    /// The number of the next one: what to ask for next.
    pub next: u64,
}

/// A call as the node that was called saw it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Served {
    /// Its number among the caller's.
    pub call: u64,
    /// The caller.
    pub from: NodeId,
    /// When the request arrived.
    pub arrived_ns: u64,
    /// When the reply was sent, or it was clear that there is none.
    pub ended_ns: u64,
    /// Whether there was a reply.
    pub is_answered: bool,
}

/// What a request is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// PreVote.
    PreVote,
    /// RequestVote.
    RequestVote,
    /// AppendEntries with entries.
    Append,
    /// AppendEntries without.
    Heartbeat,
    /// InstallSnapshot.
    InstallSnapshot,
    /// TimeoutNow.
    TimeoutNow,
}

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// The reply came.
    Answered,
    /// A fault of the link dropped the request.
    RequestDropped,
    /// A fault of the link dropped the reply.
    ReplyDropped,
    /// No reply came: the peer does not run, refuses, or is too slow.
    Silent,
}

impl What {
    /// Its name in words: `append entries`.
    pub fn name(self) -> &'static str {
        match self {
            What::PreVote => "pre-vote",
            What::RequestVote => "request vote",
            What::Append => "append entries",
            What::Heartbeat => "heartbeat",
            What::InstallSnapshot => "install snapshot",
            What::TimeoutNow => "timeout now",
        }
    }
}

fn is_zero(count: &u64) -> bool {
    *count == 0
}
