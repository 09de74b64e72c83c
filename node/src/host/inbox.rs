//! Everything that can happen to a host.

use bytes::Bytes;
use raftian_apps::Machine;
use raftian_driver::{Consistency, Route};
use raftian_raft::{Index, Message, NodeId, Persisted, Snapshot};
use raftian_rpc::client::{ReadAnswer, Submitted, View};
use raftian_rpc::control::{ChangeBegun, LogPage, MemberChange, NodeStatus, SnapshotTaken};
use raftian_rpc::error::NodeError;
use raftian_rpc::game::GameReport;
use serde_json::value::RawValue;
use tokio::sync::mpsc;

use crate::host::pending::{Answer, Pending};
use crate::net::peers::Configured;

/// The sending end of a host's inbox. Bounded by what bounds its senders: requests in flight at the RPC server.
pub(crate) type Inbox = mpsc::UnboundedSender<Input>;

/// A host's inbox, both ends.
#[derive(Debug)]
pub(crate) struct Mailbox {
    /// For those who have an input.
    pub(crate) inbox: Inbox,
    /// For the host.
    pub(crate) inputs: mpsc::UnboundedReceiver<Input>,
}

impl Mailbox {
    /// An empty one.
    pub(crate) fn new() -> Mailbox {
        let (inbox, inputs) = mpsc::unbounded_channel();
        Mailbox { inbox, inputs }
    }

    /// What to call so that the host leaves in order.
    pub(crate) fn shutdown(&self) -> impl Fn() + Clone + Send + use<> {
        let inbox = self.inbox.clone();
        // A host that has ended is leaving already.
        move || drop(inbox.send(Input::Shutdown))
    }
}

/// An input to a host.
#[derive(Debug)]
pub(crate) enum Input {
    /// A peer asks.
    Request(Message, Answer<Result<Message, NodeError>>),
    /// A peer has answered.
    Reply(Message),
    /// A peer will not answer this call.
    Lost(NodeId, u64),
    /// A client's command, as JSON.
    Submit(Bytes, Route, Pending<Submitted>),
    /// A client's read, as JSON.
    Read(Box<RawValue>, Consistency, Route, Pending<ReadAnswer>),
    /// Somebody wants a snapshot taken, and so many entries kept all the same.
    Snapshot(u64, Answer<Result<SnapshotTaken, NodeError>>),
    /// The snapshot that was begun is encoded, and written beside the log; or why it came to nothing.
    Staged(Result<Snapshot, String>),
    /// The state of a leader's snapshot, which is to take the application's place; or why it is none.
    Restored(Result<Box<Machine>, String>),
    /// Somebody wants the membership changed.
    Change(MemberChange, Answer<Result<ChangeBegun, NodeError>>),
    /// Somebody wants this other node to lead.
    Transfer(NodeId, Answer<Result<(), NodeError>>),
    /// Writes are durable.
    Persisted(Vec<Persisted>),
    /// The disk has failed.
    StorageFailed(String),
    /// The peers' addresses are known: take part.
    Configured(Configured),
    /// How the game beside it does.
    Game(GameReport),
    /// What is going on?
    Status(Answer<NodeStatus>),
    /// What is in the log?
    Log {
        /// The first index wanted.
        from: Index,
        /// The most entries wanted.
        limit: usize,
        /// Where to.
        answer: Answer<LogPage>,
    },
    /// What does the application look like?
    View(Answer<View>),
    /// Leave in order.
    Shutdown,
}
