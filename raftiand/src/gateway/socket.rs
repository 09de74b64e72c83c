//! The WebSocket of one client: what is painted, from the node behind it, and from another one when that dies.
//!
//! | the client sends | and gets |
//! |---|---|
//! | `{"type":"connect","content":{"user_id":"…"}}` | `{"type":"connected","content":{"node":{"id":"n1","role":"LEADER"}}}` |
//! | `{"type":"ping"}` | `{"type":"pong","content":{"status":"ok"}}` |
//! | anything else | `{"type":"error","message":"…"}` |
//!
//! From then on it gets each pixel that is committed. That is Distri-place. With `/ws?format=binary` a client gets binary
//! frames (see `frames.rs`) at once, without a `connect`, and two texts more: `{"type":"node","content":{"node":{…},"index":7}}`
//! for the node that it is behind now, and how far that is; and `{"type":"resync","content":{"index":7}}` when it has missed
//! something: load the board, and pass over what comes of entries that it has. `?after=N`, in both formats, begins after
//! that entry instead of now. A client of Distri-place that has missed something is `connected` once more, which has its
//! page load all pixels.
//!
//! A client that does not read is dropped: its socket is closed with code 1013 and the reason. It comes back with `after`.
//!
//! Invariant: a client gets everything that is painted after where it began, once and in order, whatever happens to the node
//! behind it; or it hears that it has missed something.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::Extension;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade};
use axum::extract::{Query, State};
use axum::response::Response;
use futures_util::SinkExt as _;
use raftian_rpc::{Index, NodeId, RoleKind};
use serde::Deserialize;
use serde_json::json;
use tokio::sync::watch;
use tokio::time::timeout;

use super::frames::{Form, Missed};
use super::hub::{Hub, Place};
use super::{Connection, Shared};

/// The longest message of a client, in bytes.
const MAX_MESSAGE_BYTES: usize = 4 * 1024;

/// The bytes that are gathered for one system call.
const WRITE_BUFFER_BYTES: usize = 32 * 1024;

/// The most bytes that wait to be written to a client. More than the largest message of ours has to fit in.
const MAX_WRITE_BUFFER_BYTES: usize = 16 << 20;

/// How long a client may read nothing while there is something to read.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long the reason for a drop may take to leave.
const FAREWELL: Duration = Duration::from_millis(200);

/// The code of a WebSocket that is closed because its client is too slow: try again later.
const TOO_SLOW: u16 = 1013;

/// What the address of a WebSocket may ask for.
#[derive(Deserialize)]
pub(super) struct Asked {
    after: Option<Index>,
    format: Option<Format>,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Format {
    Json,
    Binary,
}

/// What a client says.
#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
enum Said {
    Connect {},
    Ping {},
}

/// Makes a WebSocket of a request.
pub(super) async fn upgrade(
    State(shared): State<Arc<Shared>>,
    Extension(connection): Extension<Arc<Connection>>,
    Query(asked): Query<Asked>,
    upgrade: WebSocketUpgrade,
) -> Response {
    let upgrade = upgrade
        .max_message_size(MAX_MESSAGE_BYTES)
        .max_frame_size(MAX_MESSAGE_BYTES)
        .read_buffer_size(MAX_MESSAGE_BYTES)
        .write_buffer_size(WRITE_BUFFER_BYTES)
        // What is queued beside our own messages are the answers to pings: a client that does not read them is not let to
        // fill the memory with them.
        .max_write_buffer_size(MAX_WRITE_BUFFER_BYTES);
    upgrade.on_upgrade(move |socket| async move {
        let form = if matches!(asked.format, Some(Format::Binary)) { Form::Binary } else { Form::Json };
        let begins = form == Form::Binary || asked.after.is_some();
        let client =
            Client { shared, socket, form, seen: asked.after, begins, greets: false, place: None, said_none: false };
        // What a client does wrong concerns it alone.
        let _ = client.run().await;
        drop(connection);
    })
}

/// One client.
struct Client {
    shared: Arc<Shared>,
    socket: WebSocket,
    form: Form,
    /// The last entry that it has; `None` until it begins.
    seen: Option<Index>,
    /// Whether it wants to begin.
    begins: bool,
    /// Whether it waits to be told the node behind it.
    greets: bool,
    place: Option<Place>,
    /// Whether it was told that there is no node.
    said_none: bool,
}

/// The client has gone, or was dropped.
struct Gone;

impl Client {
    async fn run(mut self) -> Result<(), Gone> {
        loop {
            let mut news = self.settle().await?;
            self.catch_up().await?;
            tokio::select! {
                message = self.socket.recv() => match message {
                    Some(Ok(message)) => self.hear(&message).await?,
                    _ => return Err(Gone),
                },
                changed = news.changed() => changed.map_err(|_| Gone)?,
            }
        }
    }

    /// Sees to it that a healthy node is behind the client, if there is one; and says what to wait for.
    async fn settle(&mut self) -> Result<watch::Receiver<()>, Gone> {
        if let Some(place) = &self.place {
            let news = place.hub.news();
            if place.hub.is_healthy() {
                self.greet().await?;
                return Ok(news);
            }
        }
        let nodes = self.shared.nodes.changes();
        let Some(hub) = self.shared.nodes.pick(self.seen.unwrap_or(0)) else {
            self.place = None;
            if !std::mem::replace(&mut self.said_none, true) {
                self.say(&json!({ "type": "error", "message": "no node is healthy; wait" })).await?;
            }
            return Ok(nodes);
        };
        self.said_none = false;
        let news = hub.news();
        if self.seen.is_some() {
            self.shared.counts.moved.fetch_add(u64::from(self.place.is_some()), Ordering::Relaxed);
        }
        self.place = Some(Place::behind(Arc::clone(&hub)));
        if self.form == Form::Binary {
            let node = self.node(hub.node);
            self.say(&json!({ "type": "node", "content": { "node": node, "index": hub.index() } })).await?;
        }
        self.greet().await?;
        if self.seen.is_some_and(|seen| self.has_missed(&hub, seen)) {
            self.resync(hub.node, hub.index()).await?;
        }
        Ok(news)
    }

    /// Whether a client that has all up to this entry is to load the board: not all that came since is known, or no node has
    /// come so far, so that it is the entry of another lab.
    fn has_missed(&self, hub: &Hub, seen: Index) -> bool {
        let freshest = self.shared.nodes.freshest().map_or(0, |freshest| freshest.index());
        seen > freshest || hub.after(seen).is_err()
    }

    /// Tells the client of the node behind it, if it waits for that; it begins now unless it has.
    async fn greet(&mut self) -> Result<(), Gone> {
        let Some(place) = &self.place else { return Ok(()) };
        let (node, index) = (place.hub.node, place.hub.index());
        if self.begins {
            let seen = *self.seen.get_or_insert(index);
            self.begins = false;
            if self.has_missed(&place.hub, seen) {
                self.resync(node, index).await?;
            }
        }
        if std::mem::take(&mut self.greets) {
            self.say_connected(node).await?;
        }
        Ok(())
    }

    /// The client has missed something, and is to load the board: it begins anew.
    async fn resync(&mut self, node: NodeId, index: Index) -> Result<(), Gone> {
        self.seen = Some(index);
        match self.form {
            Form::Binary => self.say(&json!({ "type": "resync", "content": { "index": index } })).await,
            Form::Json => self.say_connected(node).await,
        }
    }

    /// Sends what the node has painted that the client does not have.
    async fn catch_up(&mut self) -> Result<(), Gone> {
        let (Some(seen), Some(place)) = (self.seen, &self.place) else { return Ok(()) };
        match place.hub.after(seen) {
            Ok(frames) => {
                let Some(last) = frames.last().map(|frame| frame.index()) else { return Ok(()) };
                let (socket, form) = (&mut self.socket, self.form);
                let sent = timeout(PATIENCE, async {
                    for message in frames.iter().flat_map(|frame| frame.messages(form)) {
                        socket.feed(message).await.map_err(|_| Gone)?;
                    }
                    socket.flush().await.map_err(|_| Gone)
                });
                match sent.await {
                    Ok(sent) => sent?,
                    Err(_) => return self.drop_with("you have read nothing for 10 s").await,
                }
                self.seen = Some(last);
                Ok(())
            }
            Err(Missed) => self.drop_with("you read more slowly than others paint").await,
        }
    }

    /// Closes the socket of a client that is too slow, with the reason.
    async fn drop_with(&mut self, reason: &'static str) -> Result<(), Gone> {
        self.shared.counts.dropped.fetch_add(1, Ordering::Relaxed);
        let close = Message::Close(Some(CloseFrame { code: TOO_SLOW, reason: reason.into() }));
        // It most likely does not read this either.
        let _ = timeout(FAREWELL, self.socket.send(close)).await;
        Err(Gone)
    }

    async fn hear(&mut self, message: &Message) -> Result<(), Gone> {
        let said = match message {
            Message::Text(text) => serde_json::from_str(text.as_str()).map_err(|error| error.to_string()),
            Message::Binary(_) => Err("write text".to_owned()),
            Message::Close(_) => return Err(Gone),
            // The library answers.
            Message::Ping(_) | Message::Pong(_) => return Ok(()),
        };
        match said {
            Ok(Said::Connect {}) => {
                (self.greets, self.begins) = (true, self.seen.is_none());
                Ok(())
            }
            Ok(Said::Ping {}) => self.say(&json!({ "type": "pong", "content": { "status": "ok" } })).await,
            Err(why) => self.say(&json!({ "type": "error", "message": format!("not understood: {why}") })).await,
        }
    }

    async fn say_connected(&mut self, node: NodeId) -> Result<(), Gone> {
        let node = self.node(node);
        self.say(&json!({ "type": "connected", "content": { "node": node } })).await
    }

    fn node(&self, node: NodeId) -> serde_json::Value {
        let role = match self.shared.nodes.role(node) {
            Some(RoleKind::Leader) => "LEADER",
            Some(RoleKind::Candidate | RoleKind::PreCandidate) => "CANDIDATE",
            _ => "FOLLOWER",
        };
        json!({ "id": node, "role": role })
    }

    async fn say(&mut self, message: &serde_json::Value) -> Result<(), Gone> {
        let mut socket = Pin::new(&mut self.socket);
        match timeout(PATIENCE, socket.send(Message::Text(message.to_string().into()))).await {
            Ok(sent) => sent.map_err(|_| Gone),
            Err(_) => self.drop_with("you have read nothing for 10 s").await,
        }
    }
}
