//! `view.*`: what a face shows, as it changes.
//!
//! Invariant: a subscriber that says which event it saw last gets every later one that the daemon remembers, once and in
//! order, and then those that happen.

use jsonrpsee::core::{RpcResult, SubscriptionResult};
use jsonrpsee::proc_macros::rpc;
use raftian_rpc::NodeId;
use raftian_rpc::client::{Consistency, ReadAnswer, Submitted};
use raftian_rpc::lab::Event;
use raftian_rpc::record::Call;
use raftian_rpc::secret::Secret;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::model::View;

/// The methods, served by the daemon beside `lab.*`.
#[rpc(client, server, namespace = "view", namespace_separator = ".")]
pub trait View {
    /// The view when it changes, the events from a number on, and the messages that nodes send (WebSocket only). A subscriber
    /// that lags gets the latest view and no older one; one that lags too far behind with events is dropped, and should
    /// subscribe again from the one after the last it saw.
    #[subscription(name = "watch" => "frame", unsubscribe = "unwatch", item = Frame)]
    async fn watch(&self, request: WatchRequest) -> SubscriptionResult;

    /// Where a page can be opened, once.
    ///
    /// # Errors
    /// When the system has no randomness to give.
    #[method(name = "open")]
    async fn open(&self) -> RpcResult<Opened>;

    /// The key of a page, with which it may connect again: for one that was let in by a ticket.
    #[method(name = "key")]
    async fn key(&self) -> RpcResult<Secret>;

    /// The scenarios that come with raftian: what `raftianctl run --list -o json` prints.
    ///
    /// # Errors
    /// When they cannot be listed.
    #[method(name = "scenarios")]
    async fn scenarios(&self) -> RpcResult<Box<RawValue>>;

    /// Plays a scenario in the simulator: what `raftianctl run NAME --logs -o json` prints.
    ///
    /// # Errors
    /// When there is none of that name, or it takes too long.
    #[method(name = "play")]
    async fn play(&self, name: String) -> RpcResult<Box<RawValue>>;

    /// Hands a client's command to a node, as [`client.submit`](raftian_rpc::client) has it: a page reaches the daemon alone.
    ///
    /// # Errors
    /// Those of the node; a conflict where it does not run.
    #[method(name = "submit")]
    async fn submit(&self, node: NodeId, command: Box<RawValue>, timeout_ms: Option<u64>) -> RpcResult<Submitted>;

    /// Hands a client's read to a node, likewise.
    ///
    /// # Errors
    /// Those of the node; a conflict where it does not run.
    #[method(name = "read")]
    async fn read(
        &self,
        node: NodeId,
        op: Box<RawValue>,
        consistency: Option<Consistency>,
        timeout_ms: Option<u64>,
    ) -> RpcResult<ReadAnswer>;
}

/// What to watch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WatchRequest {
    /// The first event wanted: the one after the last that was seen. 0 for the last hundred.
    #[serde(default)]
    pub since: u64,
    /// Whether messages are wanted too.
    #[serde(default)]
    pub messages: bool,
}

/// What comes.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Frame {
    /// What the lab is like now.
    View(Box<View>),
    /// What happened, in order.
    Events(Vec<Told>),
    /// Messages of nodes that came to an end, in order; of many some.
    Messages {
        /// The messages, and those that tell most before the others.
        seen: Vec<MessageSeen>,
        /// How many there were.
        of: u64,
    },
}

/// Where a page can be opened.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Opened {
    /// The address of the page: `http://127.0.0.1:4000`.
    pub address: String,
    /// What lets one page in, once, within ten minutes.
    pub ticket: Secret,
}

impl Opened {
    /// The address with its ticket, which a browser never sends anywhere: `http://127.0.0.1:4000/#ticket=…`.
    pub fn url(&self) -> String {
        let shown = self.ticket.header();
        format!("{}/#ticket={}", self.address, shown.trim_start_matches("Bearer "))
    }
}

/// An event, and the sentence for it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Told {
    /// It in words.
    pub said: String,
    /// What happened.
    #[serde(flatten)]
    pub event: Event,
}

/// A call of one node by another: a request, and its reply if one came.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct MessageSeen {
    /// The caller.
    pub from: NodeId,
    /// What it sent, to whom, and what came of it.
    #[serde(flatten)]
    pub call: Call,
}
