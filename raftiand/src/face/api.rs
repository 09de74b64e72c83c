//! `view.*`, served.

use std::net::SocketAddr;
use std::sync::Arc;

use jsonrpsee::core::{ClientError, RpcResult, SubscriptionResult, async_trait};
use jsonrpsee::types::ErrorObjectOwned;
use jsonrpsee::{PendingSubscriptionSink, SubscriptionSink};
use raftian_rpc::NodeId;
use raftian_rpc::client::{ClientClient as _, Consistency, ReadAnswer, Submitted};
use raftian_rpc::connect::Http;
use raftian_rpc::error::LabError;
use raftian_rpc::hint::Hint;
use raftian_rpc::lab::Event;
use raftian_rpc::secret::Secret;
use raftian_rpc::serve::Door;
use raftian_view::{Frame, Opened, Told, ViewServer, WatchRequest, story};
use serde_json::value::{RawValue, to_raw_value};

use super::play::Player;
use super::watch::Watch;
use crate::lab::Lab;

/// How many of the last events one gets who has seen none.
const FIRST_EVENTS: usize = 100;

/// The most events of one frame.
const MAX_EVENTS: usize = 256;

/// The methods.
pub(crate) struct Api {
    /// The lab.
    lab: Arc<Lab>,
    /// Where the daemon listens.
    address: SocketAddr,
    /// Where pages come in.
    door: Arc<Door>,
    /// Who looks at the lab.
    watch: Arc<Watch>,
    player: Player,
}

#[async_trait]
impl ViewServer for Api {
    async fn open(&self) -> RpcResult<Opened> {
        let ticket = self.door.ticket().map_err(|error| LabError::failed(error.to_string()))?;
        Ok(Opened { address: format!("http://{}", self.address), ticket })
    }

    async fn key(&self) -> RpcResult<Secret> {
        Ok(self.door.key())
    }

    async fn watch(&self, pending: PendingSubscriptionSink, request: WatchRequest) -> SubscriptionResult {
        let sink = pending.accept().await?;
        let (mut past, mut live) = self.lab.journal.follow(request.since);
        if request.since == 0 {
            past.drain(..past.len().saturating_sub(FIRST_EVENTS));
        }
        for events in past.chunks(MAX_EVENTS) {
            sink.send(told(events)?).await?;
        }
        let mut views = self.watch.views();
        let mut messages = request.messages.then(|| self.watch.messages());
        loop {
            tokio::select! {
                () = sink.closed() => return Ok(()),
                changed = views.changed() => {
                    changed?;
                    let frame = views.borrow_and_update().clone();
                    send(&sink, frame).await?;
                }
                // A subscriber that lags too far behind gets an error here, which ends its subscription.
                event = live.recv() => {
                    let mut events = vec![event?];
                    while events.len() < MAX_EVENTS && let Ok(event) = live.try_recv() {
                        events.push(event);
                    }
                    sink.send(told(&events)?).await?;
                }
                // Messages that were missed have passed.
                frame = async { messages.as_mut()?.recv().await.ok() }, if messages.is_some() => send(&sink, frame).await?,
            }
        }
    }

    async fn scenarios(&self) -> RpcResult<Box<RawValue>> {
        Ok(self.player.list().await?)
    }

    async fn play(&self, name: String) -> RpcResult<Box<RawValue>> {
        Ok(self.player.play(&name).await?)
    }

    async fn submit(&self, node: NodeId, command: Box<RawValue>, timeout_ms: Option<u64>) -> RpcResult<Submitted> {
        self.client(node)?.submit(command, timeout_ms, None).await.map_err(|error| passed_on(node, error))
    }

    async fn read(
        &self,
        node: NodeId,
        op: Box<RawValue>,
        consistency: Option<Consistency>,
        timeout_ms: Option<u64>,
    ) -> RpcResult<ReadAnswer> {
        self.client(node)?.read(op, consistency, timeout_ms, None).await.map_err(|error| passed_on(node, error))
    }
}

impl Api {
    /// The methods of the daemon that listens there.
    pub(crate) fn new(lab: Arc<Lab>, address: SocketAddr, door: Arc<Door>, watch: Arc<Watch>) -> Api {
        Api { lab, address, door, watch, player: Player::default() }
    }

    /// The way to a node.
    fn client(&self, node: NodeId) -> Result<Http, LabError> {
        let state = self.lab.state();
        let known = state.nodes.get(&node).ok_or_else(|| LabError::usage(format!("there is no node {node}")))?;
        known.client.clone().ok_or_else(|| {
            LabError::conflict(format!("{node} {}", state.is(node))).hint(Hint::Restart { nodes: vec![node] })
        })
    }
}

async fn send(sink: &SubscriptionSink, frame: Option<Arc<RawValue>>) -> SubscriptionResult {
    if let Some(frame) = frame {
        sink.send((*frame).to_owned()).await?;
    }
    Ok(())
}

fn told(events: &[Event]) -> serde_json::Result<Box<RawValue>> {
    let told = events.iter().map(|event| Told { said: story::happening(&event.what), event: event.clone() });
    to_raw_value(&Frame::Events(told.collect()))
}

/// The error of a node as it is; one of the way to it in words.
fn passed_on(node: NodeId, error: ClientError) -> ErrorObjectOwned {
    match error {
        ClientError::Call(error) => error,
        other => LabError::failed(format!("{node} did not answer: {other}")).into(),
    }
}
