//! The effects of a driver, and the outcomes of requests.
//!
//! Invariant: a pending request is in exactly one place; dropping the effect that carries it drops the request.

use bytes::Bytes;
use raftian_apps::{Applied, Response};
use raftian_raft::{Contradiction, Entry, Event, Index, Message, NodeId, Persist, Snapshot, Term};
use serde_json::value::RawValue;

use crate::compactor::{SnapshotRefused, SnapshotTaken};
use crate::driver::{RestoreJob, StageJob};

/// The host's types for pending requests. The driver only keeps their values and gives them back with the answer.
pub trait Host {
    /// A call of a peer that waits for its reply.
    type Call: std::fmt::Debug;
    /// A command of a client that waits for its outcome.
    type Command: std::fmt::Debug;
    /// A read of a client that waits for its outcome.
    type Read: std::fmt::Debug;
    /// A request for a snapshot that waits for its outcome.
    type Snapshot: std::fmt::Debug;
}

/// What the host must do, in the order in which effects come.
#[derive(Debug)]
pub enum Effect<H: Host> {
    /// Send a request to a peer, through the [`Links`](crate::Links). Report the reply with [`Driver::reply`], or that
    /// none will come with [`Driver::lost`].
    ///
    /// [`Driver::reply`]: crate::Driver::reply
    /// [`Driver::lost`]: crate::Driver::lost
    Call(Message),
    /// Reply to a peer's call, through the [`Links`](crate::Links); or refuse it, because no server that follows the
    /// rules would have sent it.
    Reply(H::Call, Result<Message, Contradiction>),
    /// Give a write to storage, in this order. Report with [`Driver::persisted`](crate::Driver::persisted) when it is
    /// durable.
    Write(Persist),
    /// Restore the state of a snapshot, and report with [`Driver::restored`](crate::Driver::restored). If it cannot be
    /// restored, the node must stop; nothing that depends on it has been written.
    Restore(RestoreJob),
    /// Encode a state and write it beside the log, and report with [`Driver::staged`](crate::Driver::staged).
    Stage(StageJob),
    /// Remove a staged snapshot, which is no longer needed.
    DiscardStaged(Snapshot),
    /// Forward a client's request to the leader, through the [`Links`](crate::Links), and return the answer.
    Forward {
        /// The leader.
        leader: NodeId,
        /// The request.
        question: Question<H>,
    },
    /// Report the outcome of a command to its client.
    Command(H::Command, CommandOutcome),
    /// Report the outcome of a read to its client.
    Read(H::Read, ReadOutcome),
    /// Report the outcome of a request for a snapshot.
    Snapshot(H::Snapshot, Result<SnapshotTaken, SnapshotRefused>),
    /// An entry was applied. The driver's machine is in the state right after it.
    Applied {
        /// The entry.
        entry: Entry,
        /// The result.
        applied: Applied,
    },
    /// A snapshot has replaced the state; the entries that it covers were not applied one by one.
    Replaced,
    /// A snapshot of the state failed, for this reason; the log continues without it.
    SnapshotGivenUp(String),
    /// A peer sent a message that no server that follows the rules would send.
    Refused(Contradiction),
    /// Something happened inside the server, for the trace.
    Event(Event),
}

/// A client's request that is forwarded to the leader.
#[derive(Debug)]
pub enum Question<H: Host> {
    /// A command.
    Command(Bytes, H::Command),
    /// A linearizable read.
    Read(Box<RawValue>, H::Read),
}

/// The outcome of a command. Only with [`CommandOutcome::Unknown`] it may or may not be applied later.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CommandOutcome {
    /// It was applied.
    Applied {
        /// The index at which it took effect: for a retry, that of its first copy.
        index: Index,
        /// The term of the entry that was proposed.
        term: Term,
        /// Whether this was a retry of a command applied before.
        duplicate: bool,
        /// The application's answer.
        response: Response,
    },
    /// Another leader's entry was committed at its index, so it will never be applied (§5.3).
    Replaced,
    /// It was proposed, and this server can no longer learn its outcome.
    Unknown,
    /// This server does not lead, and the command was forwarded to it: it was not proposed.
    NotLeader {
        /// The leader, if this server knows it.
        leader: Option<NodeId>,
    },
    /// No leader is known that takes commands: it was not proposed.
    NoLeader,
    /// Too many commands wait for a quorum to store them: it was not proposed.
    TooMuchUncommitted {
        /// The memory that they take, in bytes.
        bytes: usize,
    },
}

/// The outcome of a read, which never changes the state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReadOutcome {
    /// It was served.
    Served {
        /// The last entry applied to the state that answered.
        index: Index,
        /// The application's answer.
        response: Response,
    },
    /// This server does not lead, or no longer does.
    NotLeader {
        /// The leader, if this server knows it.
        leader: Option<NodeId>,
    },
    /// No leader is known that could answer it.
    NoLeader,
    /// The node stops.
    Stopping,
    /// The operation is not a read of the application, for this reason.
    NotARead(String),
}
