//! The commands of painters: what a request becomes on its way to the log, and what becomes of it.
//!
//! Each painter has a lane: a client session of its own in the cluster, named after the painter, so that the log says who
//! painted. A session has one command outstanding; what the painter asks for meanwhile goes with the next, and each request
//! hears the outcome of the command it went with. A command whose outcome is unknown is sent again, to another node where
//! the first is gone; its session sees to it that it takes effect once.
//!
//! Invariant: a request that succeeds is committed and applied; one that fails says why.
//!
//! Deliberately absent: knowing painters from one another. A page says who paints, and may say what it likes; the cool-down
//! keeps people patient and programs out of nothing.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use raftian_apps::{CanvasOp, CanvasReply, CanvasReplyKind, Command, MAX_BATCH_PX, Refusal};
use raftian_rpc::Index;
use raftian_rpc::client::{ClientClient as _, Submitted};
use raftian_rpc::error::NodeError;
use serde_json::value::{RawValue, to_raw_value};
use tokio::sync::{Semaphore, oneshot};
use tokio::time::{Instant, sleep, timeout};

use super::board::Pixel;
use super::nodes::Nodes;
use super::report::Counts;
use crate::poll::why;

/// How long a command may take, elections and all.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long one node may take to answer before another is asked.
const ATTEMPT: Duration = Duration::from_secs(2);

/// How long a command waits that a node could not take, before it is sent again.
const PAUSE: Duration = Duration::from_millis(20);

/// The most commands on their way to the nodes.
const MAX_OUTSTANDING: usize = 200;

/// The most pixels of one painter that wait for the command before them.
const MAX_WAITING_PX: usize = 4 * MAX_BATCH_PX;

/// The most lanes; idle ones are closed beyond that.
const MAX_LANES: usize = 8_192;

/// The longest name of a painter in the log, in bytes.
const MAX_NAME_BYTES: usize = 36;

/// All painters.
pub(super) struct Painters {
    nodes: Arc<Nodes>,
    counts: Arc<Counts>,
    /// Tells the sessions of this canvas from those of all others.
    mark: String,
    cool_down: Duration,
    lanes: Mutex<Lanes>,
    outstanding: Semaphore,
    /// The last entry of which a painter was told.
    last: AtomicU64,
}

#[derive(Default)]
struct Lanes {
    of: HashMap<String, Lane>,
    sessions: u64,
}

struct Lane {
    waiting: Vec<Request>,
    waiting_px: usize,
    is_busy: bool,
    /// The session's name, and its next serial.
    session: String,
    serial: u64,
    last: Option<Instant>,
}

struct Request {
    pixels: Vec<Pixel>,
    outcome: oneshot::Sender<Result<Index, String>>,
}

/// Why nothing was painted.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum NotPainted {
    /// The painter has to wait for so long.
    TooSoon(Duration),
    /// The painter asks for more than goes into the log meanwhile.
    TooMuch,
    /// The cluster did not do it, or it is unknown whether it did.
    Failed(String),
}

impl Painters {
    /// Painters of one canvas.
    pub(super) fn new(nodes: Arc<Nodes>, counts: Arc<Counts>, mark: String, cool_down: Duration) -> Painters {
        let (lanes, outstanding) = (Mutex::default(), Semaphore::new(MAX_OUTSTANDING));
        Painters { nodes, counts, mark, cool_down, lanes, outstanding, last: AtomicU64::new(0) }
    }

    /// Paints pixels that are on the canvas, and says at which entry.
    ///
    /// # Errors
    /// When they were not painted, or that is unknown.
    pub(super) async fn paint(self: &Arc<Painters>, user: &str, pixels: Vec<Pixel>) -> Result<Index, NotPainted> {
        let painter = name(user);
        let (outcome, heard) = oneshot::channel();
        let begins = {
            let mut lanes = self.lanes();
            let lane = lanes.lane(&painter, &self.mark);
            if let Some(left) = lane.last.and_then(|last| self.cool_down.checked_sub(last.elapsed()))
                && !left.is_zero()
            {
                return Err(NotPainted::TooSoon(left));
            }
            if lane.waiting_px + pixels.len() > MAX_WAITING_PX {
                return Err(NotPainted::TooMuch);
            }
            lane.waiting_px += pixels.len();
            lane.last = Some(Instant::now());
            lane.waiting.push(Request { pixels, outcome });
            !std::mem::replace(&mut lane.is_busy, true)
        };
        if begins {
            // A task of its own: the request may be dropped by a caller that hangs up.
            tokio::spawn(Arc::clone(self).work(painter));
        }
        let failed = |why: String| NotPainted::Failed(why);
        heard.await.map_err(|_| failed("the canvas was closed".into()))?.map_err(failed)
    }

    /// The last entry of which a painter was told that it painted.
    pub(super) fn last(&self) -> Index {
        self.last.load(Ordering::Relaxed)
    }

    /// Sends what waits in a lane, command by command, until nothing does.
    async fn work(self: Arc<Painters>, painter: String) {
        while let Some((requests, pixels, session, serial)) = self.next(&painter) {
            let count = pixels.len() as u64;
            let outcome = self.send(&painter, &CanvasOp::Paint(pixels), session, serial).await;
            match &outcome {
                Ok(index) => {
                    self.last.fetch_max(*index, Ordering::Relaxed);
                    self.counts.pixels.fetch_add(count, Ordering::Relaxed);
                    self.counts.commands.fetch_add(1, Ordering::Relaxed);
                }
                Err(_) => drop(self.counts.failed.fetch_add(requests.len() as u64, Ordering::Relaxed)),
            }
            for request in requests {
                // A caller that has gone meanwhile hears nothing.
                let _ = request.outcome.send(outcome.clone());
            }
        }
    }

    /// What goes into the next command of a lane. The lane is idle when there is nothing.
    fn next(&self, painter: &str) -> Option<(Vec<Request>, Vec<Pixel>, String, u64)> {
        let mut lanes = self.lanes();
        let lane = lanes.of.get_mut(painter)?;
        let mut total = 0;
        let fits = |request: &&Request| {
            total += request.pixels.len();
            total <= MAX_BATCH_PX
        };
        let taken = lane.waiting.iter().take_while(fits).count();
        if taken == 0 {
            lane.is_busy = false;
            return None;
        }
        let requests: Vec<Request> = lane.waiting.drain(..taken).collect();
        let pixels: Vec<Pixel> = requests.iter().flat_map(|request| request.pixels.iter().copied()).collect();
        lane.waiting_px -= pixels.len();
        lane.serial += 1;
        Some((requests, pixels, lane.session.clone(), lane.serial))
    }

    /// Has one command applied. A session that the cluster does not know any more is replaced by a new one.
    async fn send(&self, painter: &str, op: &CanvasOp, session: String, serial: u64) -> Result<Index, String> {
        let deadline = Instant::now() + PATIENCE;
        let (mut session, mut serial) = (session, serial);
        loop {
            let submitted = self.submit(&encode(&session, serial, op)?, deadline).await?;
            match submitted.response.refusal() {
                None => {
                    let reply: Option<CanvasReply> = serde_json::from_str(submitted.response.get()).ok();
                    let is_painted = reply.is_some_and(|reply| reply.outcome == CanvasReplyKind::Painted);
                    let why = || format!("the canvas answered {}", submitted.response);
                    return is_painted.then_some(submitted.index).ok_or_else(why);
                }
                // It was not carried out: a session is opened by its first command alone.
                Some(Refusal::NoSession) if serial > 1 => {
                    (session, serial) = self.lanes().new_session(painter, &self.mark);
                }
                Some(_) => return Err(format!("the cluster refused it: {}", submitted.response)),
            }
        }
    }

    /// Sends a command to one node after another, until one answers what has become of it.
    async fn submit(&self, command: &RawValue, deadline: Instant) -> Result<Submitted, String> {
        let _permit = self.outstanding.acquire().await.map_err(|_| "the canvas was closed")?;
        let mut reason = "no node is healthy".to_owned();
        loop {
            let Some(hub) = self.nodes.place(0, deadline).await else { return Err(reason) };
            let left = deadline.saturating_duration_since(Instant::now());
            let patience = left.min(ATTEMPT);
            if let Some(client) = hub.client() {
                let patience_ms = Some(patience.as_millis().max(1) as u64);
                match timeout(patience, client.submit(command.to_owned(), patience_ms, None)).await {
                    Ok(Ok(submitted)) => return Ok(submitted),
                    Ok(Err(error)) => {
                        reason = format!("{}: {}", hub.node, why(&error));
                        let said = NodeError::from_client(&error);
                        if matches!(said, Some(NodeError::UnknownCommand { .. } | NodeError::BadRequest { .. })) {
                            return Err(reason);
                        }
                    }
                    Err(_) => reason = format!("{}: no outcome in time; it may still be painted", hub.node),
                }
            }
            if Instant::now() + PAUSE >= deadline {
                return Err(reason);
            }
            sleep(PAUSE).await;
        }
    }

    fn lanes(&self) -> MutexGuard<'_, Lanes> {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lanes {
    /// The lane of a painter, which is opened if there is none.
    fn lane(&mut self, painter: &str, mark: &str) -> &mut Lane {
        if self.of.len() >= MAX_LANES && !self.of.contains_key(painter) {
            self.of.retain(|_, lane| lane.is_busy);
        }
        let number = self.sessions;
        self.of.entry(painter.to_owned()).or_insert_with(|| {
            self.sessions += 1;
            let session = format!("{painter}:{mark}.{number}");
            Lane { waiting: Vec::new(), waiting_px: 0, is_busy: false, session, serial: 0, last: None }
        })
    }

    /// Gives a lane another session, whose first command is the next one.
    fn new_session(&mut self, painter: &str, mark: &str) -> (String, u64) {
        let session = format!("{painter}:{mark}.{}", self.sessions);
        self.sessions += 1;
        if let Some(lane) = self.of.get_mut(painter) {
            (lane.session, lane.serial) = (session.clone(), 1);
        }
        (session, 1)
    }
}

/// A painter's name as it can stand in the log, before the `:` behind which the session is named.
fn name(user: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '_' };
    let name: String = user.chars().take(MAX_NAME_BYTES).map(plain).collect();
    if name.is_empty() { "anonymous".into() } else { name }
}

fn encode(session: &str, serial: u64, op: &CanvasOp) -> Result<Box<RawValue>, String> {
    let op = to_raw_value(op).map_err(|error| error.to_string())?;
    let command = Command::new(session, serial, op).map_err(|error| error.to_string())?;
    to_raw_value(&command).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use raftian_apps::MAX_CLIENT_BYTES;

    use super::*;

    #[test]
    fn a_name_is_what_can_stand_in_the_log_however_long_it_is() {
        assert_eq!((name("alice"), name("ä b:c"), name("")), ("alice".into(), "__b_c".into(), "anonymous".into()));
        let longest = format!("{}:{}.{}", name(&"é".repeat(200)), "0".repeat(8), u64::MAX / 1_000_000);
        assert!(longest.len() <= MAX_CLIENT_BYTES, "{longest}");
    }

    #[test]
    fn a_lane_that_was_closed_is_opened_again_with_another_session() {
        let mut lanes = Lanes::default();
        let first = lanes.lane("a", "3f9a1c22").session.clone();
        assert_eq!((first.as_str(), &lanes.lane("a", "3f9a1c22").session), ("a:3f9a1c22.0", &first));
        for number in 0..MAX_LANES {
            lanes.lane(&format!("p{number}"), "3f9a1c22");
        }
        assert!(lanes.of.len() <= MAX_LANES);
        assert_ne!(lanes.lane("a", "3f9a1c22").session, first);
        let (session, serial) = lanes.new_session("a", "3f9a1c22");
        assert_eq!((serial, &lanes.of["a"].session, lanes.of["a"].serial), (1, &session, 1));
    }
}
