//! `client.*`: what a client of the replicated application may ask of any node.
//!
//! A command is JSON text in the envelope of `raftian_apps::Command`. It is encoded once, by the client, and passed
//! through every node and log as it is.

use jsonrpsee::core::{RpcResult, SubscriptionResult};
use jsonrpsee::proc_macros::rpc;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::{Command, Index, NodeId, Response, Term};

/// How long `client.submit` waits for an outcome unless told otherwise.
pub const DEFAULT_SUBMIT_TIMEOUT_MS: u64 = 5_000;

/// The longest wait a client may ask for.
pub const MAX_SUBMIT_TIMEOUT_MS: u64 = 60_000;

/// The methods.
#[rpc(client, server, namespace = "client", namespace_separator = ".")]
pub trait Client {
    /// Proposes a command, or forwards it to the leader, and answers once it is applied.
    ///
    /// `timeout_ms`: 1 to [`MAX_SUBMIT_TIMEOUT_MS`], by default [`DEFAULT_SUBMIT_TIMEOUT_MS`].
    /// `forwarded_by`: set by a node that passes a client's command on; such a command is not forwarded again.
    ///
    /// # Errors
    /// [`NodeError`](crate::error::NodeError).
    #[method(name = "submit")]
    async fn submit(
        &self,
        command: Box<RawValue>,
        timeout_ms: Option<u64>,
        forwarded_by: Option<NodeId>,
    ) -> RpcResult<Submitted>;

    /// Answers an op that only reads, without an entry in the log. Linearizable unless said otherwise: the leader, to
    /// whom it is forwarded, makes sure that it still leads (§8). A stale read is answered by this node at once.
    ///
    /// `timeout_ms` and `forwarded_by` are as for `submit`.
    ///
    /// # Errors
    /// [`NodeError`](crate::error::NodeError); a read changes nothing, so any of them may be tried again.
    #[method(name = "read")]
    async fn read(
        &self,
        op: Box<RawValue>,
        consistency: Option<Consistency>,
        timeout_ms: Option<u64>,
        forwarded_by: Option<NodeId>,
    ) -> RpcResult<ReadAnswer>;

    /// The application's state on this node, which may lag behind the leader's: a stale read.
    ///
    /// # Errors
    /// When the node is shutting down.
    #[method(name = "view")]
    async fn view(&self) -> RpcResult<View>;

    /// Every command that takes effect at this node after the entry at index `after`, once and in order: those that it
    /// has applied already, and then each as it is applied (WebSocket only). A retry of a command takes no effect, and
    /// neither does one that was refused. What comes together comes in one item.
    ///
    /// A subscription ends when its node does, or when the subscriber has fallen so far behind that the node has
    /// forgotten what comes next. In both cases go on, at this node or at another, after the last index you saw.
    ///
    /// # Errors
    /// [`NodeError::Forgotten`](crate::error::NodeError::Forgotten): read the state, and go on after its index.
    #[subscription(name = "follow" => "applied", unsubscribe = "unfollow", item = Vec<AppliedCommand>)]
    async fn follow(&self, after: Index) -> SubscriptionResult;
}

/// The outcome of a command.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Submitted {
    /// Where the command stands in the log; for a retry, where its first copy stands.
    pub index: Index,
    /// The term of the entry that brought the answer; for a retry, of the retry.
    pub term: Term,
    /// The node that took the command into its log: the leader, and a good one to ask next.
    pub leader: NodeId,
    /// Whether this was a retry of a command applied before, so that it had no further effect (§8).
    pub duplicate: bool,
    /// The application's answer.
    pub response: Response,
}

/// A command that took effect, as those who follow a node see it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AppliedCommand {
    /// Where it stands in the log.
    pub index: Index,
    /// The command.
    pub command: Command,
    /// The application's answer.
    pub response: Response,
}

/// What a read promises.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Consistency {
    /// It sees everything that was acknowledged before it began (§8).
    #[default]
    Linearizable,
    /// It sees the state of the node that was asked, which may lag behind.
    Stale,
}

/// The answer to a read.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ReadAnswer {
    /// The node whose state answered.
    pub node: NodeId,
    /// The last entry that had gone into that state.
    pub index: Index,
    /// The application's answer.
    pub response: Response,
}

/// The application's state on one node.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct View {
    /// The node.
    pub node: NodeId,
    /// The last entry that went into this state.
    pub last_applied: Index,
    /// The digest of the state; equal on all nodes at equal `last_applied`.
    pub digest: String,
    /// The state.
    pub state: serde_json::Value,
}
