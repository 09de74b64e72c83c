//! One node behind an open canvas: the connection to it, the board as it has it, and what it has painted lately.
//!
//! There is one connection for all: it brings the feed of applied commands, carries the commands of painters, and is asked
//! once a second whether the node answers. When it breaks it is made again, and the feed goes on after the last entry that
//! was seen. Where the node has forgotten what came next, its board is read, and what differs counts as painted by the last
//! entry of that state: those who follow have no gap.
//!
//! What is painted is shown at once after a silence; under a load, what comes within a moment goes into one frame. The
//! moment is longer the more clients there are: a message costs a system call for each.
//!
//! Invariant: what a client gets is what this node has applied; the board has it at once, and the frames after a moment.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jsonrpsee::core::client::{Client, Subscription};
use raftian_apps::{CanvasOp, CanvasRead, CanvasRegion, CanvasReply, CanvasReplyKind, MAX_SIDE_PX, Size};
use raftian_rpc::client::{AppliedCommand, ClientClient as _, Consistency};
use raftian_rpc::error::NodeError;
use raftian_rpc::lab::{CanvasNode, NodeState};
use raftian_rpc::{Index, NodeId, connect};
use serde_json::value::to_raw_value;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::board::Board;
use super::frames::{Frame, Frames, Missed, Painted};
use crate::lab::Lab;
use crate::poll::why;

/// How long a node may take to answer a question that needs no consensus.
const PATIENCE: Duration = Duration::from_secs(2);

/// How often a node is asked whether it answers.
const CHECK: Duration = Duration::from_secs(1);

/// How long after a broken connection the next one is tried.
const RETRY: Duration = Duration::from_millis(100);

/// How long one client more makes the shortest time between two frames.
const GAP_PER_CLIENT: Duration = Duration::from_micros(20);

/// The longest time between two frames when there is something to send.
const MAX_GAP: Duration = Duration::from_millis(50);

/// A node behind the canvas.
pub(super) struct Hub {
    /// The node.
    pub(super) node: NodeId,
    view: Mutex<View>,
    /// Told of frames and of the link.
    news: watch::Sender<()>,
    /// Told of the board.
    painted: watch::Sender<()>,
    connections: AtomicUsize,
}

struct View {
    link: Link,
    board: Board,
    frames: Frames,
    /// Whether the board was ever read.
    is_loaded: bool,
}

enum Link {
    /// The node answers, the last time after so long.
    Up(Arc<Client>, Duration),
    /// It does not, for this reason.
    Down(String),
}

/// A client behind a node; it counts until it is dropped.
pub(super) struct Place {
    pub(super) hub: Arc<Hub>,
}

impl Hub {
    /// A node that is not connected yet.
    pub(super) fn new(node: NodeId, size: Size) -> Hub {
        let link = Link::Down("not asked yet".into());
        let view = View { link, board: Board::new(size), frames: Frames::default(), is_loaded: false };
        let (news, painted) = (watch::Sender::new(()), watch::Sender::new(()));
        Hub { node, view: Mutex::new(view), news, painted, connections: AtomicUsize::new(0) }
    }

    /// Keeps the connection for ever. `changed` is told when the node becomes healthy or ceases to be.
    pub(super) async fn keep(self: Arc<Hub>, lab: Arc<Lab>, changed: watch::Sender<()>) {
        loop {
            let why = self.follow(&lab, &changed).await;
            self.show();
            self.view().link = Link::Down(why);
            self.news.send_replace(());
            changed.send_replace(());
            sleep(RETRY).await;
        }
    }

    /// Whether it is healthy, with what it needs to be asked for something.
    pub(super) fn client(&self) -> Option<Arc<Client>> {
        match &self.view().link {
            Link::Up(client, _) => Some(Arc::clone(client)),
            Link::Down(_) => None,
        }
    }

    /// Whether connections may be led to it.
    pub(super) fn is_healthy(&self) -> bool {
        matches!(self.view().link, Link::Up(..))
    }

    /// The last entry of its board.
    pub(super) fn index(&self) -> Index {
        self.view().board.index()
    }

    /// Does something with its board, if it was read.
    pub(super) fn with_board<T>(&self, look: impl FnOnce(&mut Board) -> T) -> Option<T> {
        let mut view = self.view();
        view.is_loaded.then(|| look(&mut view.board))
    }

    /// What was painted after an entry.
    ///
    /// # Errors
    /// When not all of it is known any more.
    pub(super) fn after(&self, seen: Index) -> Result<Vec<Arc<Frame>>, Missed> {
        self.view().frames.after(seen)
    }

    /// Says when there may be something new: frames, or that it is not healthy any more.
    pub(super) fn news(&self) -> watch::Receiver<()> {
        self.news.subscribe()
    }

    /// Waits until its board has an entry.
    pub(super) async fn reaches(&self, index: Index) {
        let mut painted = self.painted.subscribe();
        while self.index() < index && painted.changed().await.is_ok() {}
    }

    /// How many clients are behind it.
    pub(super) fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }

    /// What people may know of it.
    pub(super) fn report(&self) -> CanvasNode {
        let view = self.view();
        let (healthy, check) = match &view.link {
            Link::Up(_, took) => (true, format!("answered in {:.1} ms", took.as_secs_f64() * 1e3)),
            Link::Down(why) => (false, why.clone()),
        };
        let (index, connections) = (view.board.index(), self.connections());
        CanvasNode { node: self.node, healthy, check, role: None, index, connections }
    }

    /// Connects, and takes in what comes until that is over; says why it is.
    async fn follow(&self, lab: &Lab, changed: &watch::Sender<()>) -> String {
        let address = match running_at(lab, self.node) {
            Ok(address) => address,
            Err(why) => return why,
        };
        let begun = Instant::now();
        let connected = timeout(PATIENCE, async {
            let client = connect::websocket(address, &lab.secret, PATIENCE).await.map_err(|error| why(&error))?;
            let feed = self.subscribe(&client).await?;
            Ok::<_, String>((Arc::new(client), feed))
        });
        let (client, feed) = match connected.await {
            Err(_) => return format!("no answer within {} s", PATIENCE.as_secs()),
            Ok(Err(why)) => return why,
            Ok(Ok(connected)) => connected,
        };
        self.view().link = Link::Up(Arc::clone(&client), begun.elapsed());
        changed.send_replace(());
        tokio::select! {
            why = self.take(feed) => why,
            why = self.check(&client) => why,
            why = ceases_to_run(lab, self.node) => why,
        }
    }

    /// Follows what the node applies, after the state that is known.
    async fn subscribe(&self, client: &Client) -> Result<Subscription<Vec<AppliedCommand>>, String> {
        loop {
            if !self.view().is_loaded {
                self.load(client).await?;
            }
            let seen = self.index();
            match client.follow(seen).await {
                Ok(feed) => return Ok(feed),
                Err(error) => match NodeError::from_client(&error) {
                    Some(NodeError::Forgotten { .. }) => self.load(client).await?,
                    _ => return Err(why(&error)),
                },
            }
        }
    }

    /// Reads the node's board. What differs from the one that was known counts as painted by its last entry.
    async fn load(&self, client: &Client) -> Result<(), String> {
        let (index, region) = read(client, MAX_SIDE_PX).await?;
        let mut view = self.view();
        if view.is_loaded && index <= view.board.index() {
            return Err("its state is older than what it has told".into());
        }
        let pixels = view.board.replace(index, &region).ok_or("its canvas has another size")?;
        if !std::mem::replace(&mut view.is_loaded, true) {
            view.frames = Frames::from(index);
        } else if !pixels.is_empty() {
            view.frames.gather(Painted { index, pixels });
            view.frames.close();
        }
        drop(view);
        self.painted.send_replace(());
        self.news.send_replace(());
        Ok(())
    }

    /// Takes in what the node applies; says why there is no more.
    async fn take(&self, mut feed: Subscription<Vec<AppliedCommand>>) -> String {
        let mut next_frame = Instant::now();
        loop {
            let waits = self.view().frames.has_gathered();
            tokio::select! {
                item = feed.next() => match item {
                    Some(Ok(commands)) => self.paint(commands.iter().filter_map(painted)),
                    Some(Err(error)) => return format!("it said what no node says: {error}"),
                    None => return "the connection was closed".into(),
                },
                () = sleep_until(next_frame), if waits => {}
            }
            if Instant::now() >= next_frame && self.show() {
                let clients = u32::try_from(self.connections()).unwrap_or(u32::MAX);
                next_frame = Instant::now() + GAP_PER_CLIENT.saturating_mul(clients).min(MAX_GAP);
            }
        }
    }

    fn paint(&self, painted: impl Iterator<Item = Painted>) {
        let mut view = self.view();
        for painted in painted {
            view.board.paint(painted.index, &painted.pixels);
            view.frames.gather(painted);
        }
        drop(view);
        self.painted.send_replace(());
    }

    /// Makes a frame of what has been painted since the last one, if anything was.
    fn show(&self) -> bool {
        let has_shown = self.view().frames.close();
        if has_shown {
            self.news.send_replace(());
        }
        has_shown
    }

    /// Asks the node again and again whether it answers; says so when it does not.
    async fn check(&self, client: &Arc<Client>) -> String {
        loop {
            sleep(CHECK).await;
            let begun = Instant::now();
            match timeout(PATIENCE, read(client, 0)).await {
                Ok(Ok(_)) => self.view().link = Link::Up(Arc::clone(client), begun.elapsed()),
                Ok(Err(why)) => return why,
                Err(_) => return format!("no answer within {} s", PATIENCE.as_secs()),
            }
        }
    }

    fn view(&self) -> MutexGuard<'_, View> {
        self.view.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// A client comes to be behind this node.
    pub(super) fn behind(hub: Arc<Hub>) -> Place {
        hub.connections.fetch_add(1, Ordering::Relaxed);
        Place { hub }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.hub.connections.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What a command painted, if it did.
fn painted(AppliedCommand { index, command, response }: &AppliedCommand) -> Option<Painted> {
    let reply: CanvasReply = serde_json::from_str(response.get()).ok()?;
    match (serde_json::from_str(command.op().get()).ok()?, reply.outcome) {
        (CanvasOp::Paint(pixels), CanvasReplyKind::Painted) => Some(Painted { index: *index, pixels }),
        _ => None,
    }
}

/// Reads the upper left of the node's canvas, and says which entry was its last.
async fn read(client: &Client, side_px: u16) -> Result<(Index, CanvasRegion), String> {
    let op = to_raw_value(&CanvasRead::Region(0, 0, side_px, side_px)).map_err(|error| error.to_string())?;
    let answer = client.read(op, Some(Consistency::Stale), None, None).await.map_err(|error| why(&error))?;
    let region = serde_json::from_str(answer.response.get()).map_err(|_| "it answered what no canvas is")?;
    Ok((answer.index, region))
}

/// Where a node is called.
///
/// # Errors
/// When it does not run, as the daemon knows.
fn running_at(lab: &Lab, id: NodeId) -> Result<std::net::SocketAddr, String> {
    let state = lab.state();
    match state.nodes.get(&id) {
        Some(node) if node.state == NodeState::Running => node.address().ok_or_else(|| "nobody listens for it".into()),
        _ => Err(format!("it is {}", state.is(id))),
    }
}

/// Waits until the daemon knows that the node does not run any more.
async fn ceases_to_run(lab: &Lab, id: NodeId) -> String {
    let mut changes = lab.changes();
    loop {
        changes.mark_unchanged();
        if let Err(why) = running_at(lab, id) {
            return why;
        }
        if changes.changed().await.is_err() {
            return "the lab has ended".into();
        }
    }
}
