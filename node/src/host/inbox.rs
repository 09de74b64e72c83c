//! The inputs of a host, and its inbox.
//!
//! Invariant: all that changes a server's state comes through the inbox, one input after the other.

use bytes::Bytes;
use raftian_apps::Machine;
use raftian_driver::{Consistency, Route};
use raftian_raft::{Index, Message, NodeId, Persisted, Snapshot};
use raftian_rpc::client::{ReadAnswer, Submitted, View};
use raftian_rpc::control::{ChangeBegun, Durable, LogPage, MemberChange, NodeStatus, SnapshotTaken, Step};
use raftian_rpc::error::NodeError;
use raftian_rpc::game::GameReport;
use serde_json::value::RawValue;
use tokio::sync::mpsc;

use crate::host::by_hand::Stepped;
use crate::host::pending::{Answer, Pending};
use crate::net::peers::Configured;

/// The sending end of a host's inbox. The channel has no bound of its own: the RPC server limits the requests in
/// flight, and each call of the host to a peer puts in one input, and ends after a time-out.
pub(crate) type Inbox = mpsc::UnboundedSender<Input>;

/// A host's inbox, both ends.
#[derive(Debug)]
pub(crate) struct Mailbox {
    /// The sending end.
    pub(crate) inbox: Inbox,
    /// The receiving end, for the host.
    pub(crate) inputs: mpsc::UnboundedReceiver<Input>,
}

impl Mailbox {
    /// An empty mailbox.
    pub(crate) fn new() -> Mailbox {
        let (inbox, inputs) = mpsc::unbounded_channel();
        Mailbox { inbox, inputs }
    }

    /// A function that asks the host to shut down.
    pub(crate) fn shutdown(&self) -> impl Fn() + Clone + Send + use<> {
        let inbox = self.inbox.clone();
        // A host that has ended needs no request.
        move || drop(inbox.send(Input::Shutdown))
    }
}

/// An input to a host.
#[derive(Debug)]
pub(crate) enum Input {
    /// A request of a peer.
    Request(Message, Answer<Result<Message, NodeError>>),
    /// A request of a peer was refused at the door.
    TurnedAway,
    /// A reply of a peer.
    Reply(Message),
    /// No reply to this call will come.
    Lost(NodeId, u64),
    /// A client's command, as JSON.
    Submit(Bytes, Route, Pending<Submitted>),
    /// A client's read, as JSON.
    Read(Box<RawValue>, Consistency, Route, Pending<ReadAnswer>),
    /// A request for a snapshot; this many of the entries that it covers are kept.
    Snapshot(u64, Answer<Result<SnapshotTaken, NodeError>>),
    /// The snapshot in progress was encoded and written beside the log; or why that failed.
    Staged(Result<Snapshot, String>),
    /// The restored state of a leader's snapshot, which replaces that of the application; or why it is not valid.
    Restored(Result<Box<Machine>, String>),
    /// A request to change the membership.
    Change(MemberChange, Answer<Result<ChangeBegun, NodeError>>),
    /// A request to transfer leadership to this node.
    Transfer(NodeId, Answer<Result<(), NodeError>>),
    /// Writes are durable.
    Persisted(Vec<Persisted>),
    /// The disk has failed.
    StorageFailed(String),
    /// The peers' addresses are known: from now on time-outs count.
    Configured(Configured),
    /// A report of the game beside it.
    Game(GameReport),
    /// A request for the node's status.
    Status(Answer<NodeStatus>),
    /// A request for a page of the log.
    Log {
        /// The first index wanted.
        from: Index,
        /// The most entries wanted.
        limit: usize,
        /// Where the answer goes.
        answer: Answer<LogPage>,
    },
    /// A request for the application's state.
    View(Answer<View>),
    /// A step by hand.
    Step(Step, Stepped),
    /// A request for what is on the disk, of a node that is moved by hand.
    Durable(Answer<Result<Durable, NodeError>>),
    /// The power is lost. There is no answer.
    PowerLoss,
    /// A request to shut down.
    Shutdown,
}
