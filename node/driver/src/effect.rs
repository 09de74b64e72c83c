//! What a driver wants done, and who waits for its answers.
//!
//! Invariant: an effect that carries somebody who waits is the only one that does; dropping it drops the question.

use bytes::Bytes;
use raftian_apps::{Applied, Response};
use raftian_raft::{Contradiction, Entry, Event, Index, Message, NodeId, Persist, Snapshot, Term};
use serde_json::value::RawValue;

use crate::compactor::{SnapshotRefused, SnapshotTaken};
use crate::driver::{RestoreJob, StageJob};

/// Who waits for the answers of a driver: types of the host's own, which the driver only keeps and gives back.
pub trait Host {
    /// A peer that has called, and waits for the reply.
    type Call: std::fmt::Debug;
    /// A client that waits for the outcome of a command.
    type Command: std::fmt::Debug;
    /// A client that waits to read.
    type Read: std::fmt::Debug;
    /// Somebody who has asked for a snapshot.
    type Snapshot: std::fmt::Debug;
}

/// Something that the host is to do, in the order in which effects come.
#[derive(Debug)]
pub enum Effect<H: Host> {
    /// Call a peer, through the [`Links`](crate::Links); report its reply with [`Driver::reply`], or that none will come
    /// with [`Driver::lost`].
    ///
    /// [`Driver::reply`]: crate::Driver::reply
    /// [`Driver::lost`]: crate::Driver::lost
    Call(Message),
    /// Answer a peer's call, through the [`Links`](crate::Links); or refuse it, because no server that follows the rules
    /// would have made it.
    Reply(H::Call, Result<Message, Contradiction>),
    /// Hand a write to storage, in this order; report with [`Driver::persisted`](crate::Driver::persisted) when it is
    /// durable.
    Write(Persist),
    /// Restore the state of a snapshot, and report with [`Driver::restored`](crate::Driver::restored). If it cannot be
    /// restored, the node must stop; nothing that rests on it has been written.
    Restore(RestoreJob),
    /// Encode a state and write it beside the log, and report with [`Driver::staged`](crate::Driver::staged).
    Stage(StageJob),
    /// A snapshot that stands beside the log is not wanted any more.
    DiscardStaged(Snapshot),
    /// Pass a client's question on to the leader, through the [`Links`](crate::Links), and its answer back.
    Forward {
        /// The leader.
        leader: NodeId,
        /// What was asked, and by whom.
        question: Question<H>,
    },
    /// Tell a client what became of its command.
    Command(H::Command, CommandOutcome),
    /// Tell a client what became of its read.
    Read(H::Read, ReadOutcome),
    /// Tell somebody what became of the snapshot that was asked for.
    Snapshot(H::Snapshot, Result<SnapshotTaken, SnapshotRefused>),
    /// An entry was applied; the state is the one right after it.
    Applied {
        /// The entry.
        entry: Entry,
        /// What it did.
        applied: Applied,
    },
    /// The state was replaced by that of a snapshot; entries were skipped.
    Replaced,
    /// A snapshot of the state was given up, for this reason; the log goes on without it.
    SnapshotGivenUp(String),
    /// A peer sent what no server that follows the rules would send.
    Refused(Contradiction),
    /// Something happened inside the server, for the trace.
    Event(Event),
}

/// What a client asked, on its way to the leader.
#[derive(Debug)]
pub enum Question<H: Host> {
    /// A command.
    Command(Bytes, H::Command),
    /// A read that sees all that was acknowledged before.
    Read(Box<RawValue>, H::Read),
}

/// What became of a command. Only [`CommandOutcome::Unknown`] leaves open whether it may be applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CommandOutcome {
    /// It was applied.
    Applied {
        /// Where it took effect: for a retry, where its first copy stands.
        index: Index,
        /// The term of the entry that brought the answer.
        term: Term,
        /// Whether this was a retry of a command applied before.
        duplicate: bool,
        /// The application's answer.
        response: Response,
    },
    /// Another leader's entry was committed at its index: it never will be (§5.3).
    Replaced,
    /// It was proposed, and what becomes of it cannot be known here any more.
    Unknown,
    /// This server does not lead, and the command was passed on to it: nothing has happened.
    NotLeader {
        /// The leader it knows of.
        leader: Option<NodeId>,
    },
    /// No leader is known that would take it: nothing has happened.
    NoLeader,
}

/// What became of a read. It leaves no trace in any case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReadOutcome {
    /// It was served.
    Served {
        /// The last entry that had gone into the state that answered.
        index: Index,
        /// The application's answer.
        response: Response,
    },
    /// This server does not lead, or leads no more.
    NotLeader {
        /// The leader it knows of.
        leader: Option<NodeId>,
    },
    /// No leader is known that would answer it.
    NoLeader,
    /// The node stops.
    Stopping,
    /// It is not a read of the application, for this reason.
    NotARead(String),
}
