//! The clients of a scenario: each asks in a session of its own, one thing after another, and the script goes on meanwhile.
//!
//! Invariant: an operation is `Failed` only if no attempt can have had an effect, and `Unknown` whenever one might. It ends
//! within the patience of a client times its attempts, and at most one attempt.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use jsonrpsee::core::ClientError;
use raftian_check::{Operation, Outcome};
use raftian_rpc::client::{ClientClient as _, Consistency, MAX_SUBMIT_TIMEOUT_MS, ReadAnswer, Submitted};
use raftian_rpc::clock::monotonic_ns;
use raftian_rpc::connect::Http;
use raftian_rpc::{Index, NodeId, Response, connect};
use raftian_script::{LoadOps, Op, Plan};
use serde_json::value::RawValue;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use super::history::History;
use crate::load::attempt::{Miss, classify};
use crate::whereabouts::Whereabouts;

/// The pause after an attempt that failed.
const PAUSE: Duration = Duration::from_millis(10);

/// What a transport is given on top of what a node may take.
const MARGIN: Duration = Duration::from_millis(500);

/// All clients of a scenario.
#[derive(Debug)]
pub(super) struct Clients {
    wishes: BTreeMap<usize, Wishes>,
    working: JoinSet<()>,
    /// What asks for more all the time.
    load: JoinSet<()>,
    whereabouts: Whereabouts,
    patience: Duration,
    attempts: u32,
    seen: Arc<Seen>,
}

/// The way to a client.
#[derive(Clone, Debug)]
struct Wishes {
    sender: UnboundedSender<Op>,
    /// How many have no outcome yet.
    pending: Arc<AtomicU64>,
}

impl Wishes {
    fn add(&self, op: Op) {
        self.pending.fetch_add(1, Ordering::Relaxed);
        // It listens until it is told to end.
        let _ = self.sender.send(op);
    }
}

/// What they have seen.
#[derive(Debug, Default)]
struct Seen {
    acknowledged: AtomicU64,
    history: Arc<History>,
}

impl Clients {
    pub(super) fn new(plan: &Plan, whereabouts: &Whereabouts, history: Arc<History>) -> Clients {
        Clients {
            wishes: BTreeMap::new(),
            working: JoinSet::new(),
            load: JoinSet::new(),
            whereabouts: whereabouts.clone(),
            patience: Duration::from_micros(plan.client_patience_us),
            attempts: plan.client_attempts,
            seen: Arc::new(Seen { acknowledged: AtomicU64::default(), history }),
        }
    }

    /// The clients of a plan ask for things all the time from now on, if that is wanted.
    pub(super) fn begin_load(&mut self, plan: &Plan, seed: u64) {
        let Some(load) = plan.load else { return };
        let clients: Vec<Wishes> = (0..plan.clients).map(|client| self.client(client).clone()).collect();
        let mut ops = LoadOps::new(seed, plan.app);
        let mut due = tokio::time::interval(Duration::from_micros(load.every_us()));
        self.load.spawn(async move {
            // Each in its turn; one that is still waiting is passed over.
            for wishes in clients.iter().cycle() {
                due.tick().await;
                let op = ops.next();
                let is_free = wishes.pending.load(Ordering::Relaxed) == 0;
                op.filter(|_| is_free).into_iter().for_each(|op| wishes.add(op));
            }
        });
    }

    /// A client wants something, when it has what it wanted before.
    pub(super) fn wish(&mut self, client: usize, op: Op) {
        self.client(client).add(op);
    }

    /// The way to a client, who is there from now on.
    fn client(&mut self, client: usize) -> &Wishes {
        self.wishes.entry(client).or_insert_with(|| {
            let (sender, wished) = unbounded_channel();
            let pending = Arc::new(AtomicU64::new(0));
            let session = Session {
                pending: Arc::clone(&pending),
                client: format!("client-{client}"),
                favourite: client,
                nodes: BTreeMap::new(),
                whereabouts: self.whereabouts.clone(),
                patience: self.patience,
                attempts: self.attempts,
                seen: Arc::clone(&self.seen),
            };
            self.working.spawn(session.run(wished));
            Wishes { sender, pending }
        })
    }

    /// How many operations were acknowledged so far.
    pub(super) fn acknowledged(&self) -> u64 {
        self.seen.acknowledged.load(Ordering::Relaxed)
    }

    /// Waits until all have what they wanted, or have given up.
    pub(super) async fn end(&mut self) {
        self.load.shutdown().await;
        self.wishes.clear();
        while self.working.join_next().await.is_some() {}
    }
}

/// One client.
struct Session {
    client: String,
    /// How many wishes have no outcome yet.
    pending: Arc<AtomicU64>,
    /// The place among the nodes of the one to ask next.
    favourite: usize,
    /// The nodes that it has asked, by where they listen.
    nodes: BTreeMap<std::net::SocketAddr, Http>,
    whereabouts: Whereabouts,
    patience: Duration,
    attempts: u32,
    seen: Arc<Seen>,
}

impl Session {
    async fn run(mut self, mut wished: UnboundedReceiver<Op>) {
        let mut name = self.client.clone();
        let (mut commands, mut reads, mut renamed) = (0, 0, 1);
        while let Some(op) = wished.recv().await {
            let count = if op.is_read() { &mut reads } else { &mut commands };
            *count += 1;
            let serial = *count;
            let invoked_ns = monotonic_ns();
            let (outcome, is_disowned) = self.carry_out(&name, serial, op).await;
            let is_done = matches!(outcome, Outcome::Ok { .. });
            let client = if op.is_read() { format!("{}-reads", self.client) } else { name.clone() };
            let json = RawValue::from_string(op.json()).expect("an op is JSON");
            let completed_ns = Some(monotonic_ns());
            let operation = Operation { client, serial, op: json, due_ns: None, invoked_ns, completed_ns, outcome };
            self.seen.history.push(operation);
            self.seen.acknowledged.fetch_add(u64::from(is_done), Ordering::Relaxed);
            self.pending.fetch_sub(1, Ordering::Relaxed);
            // A session is opened by its first command, and by no other.
            if is_disowned || (commands == 1 && !op.is_read() && !is_done) {
                name = format!("{}.{renamed}", self.client);
                (commands, renamed) = (0, renamed + 1);
            }
        }
    }

    /// Tries until there is an outcome, or the time for it is up. Says also whether its session is refused.
    async fn carry_out(&mut self, name: &str, serial: u64, op: Op) -> (Outcome, bool) {
        let deadline = Instant::now() + self.patience * self.attempts;
        let (mut maybe_applied, mut last) = (false, "no node listens".to_owned());
        let given_up = |maybe_applied, reason| match maybe_applied {
            true => Outcome::Unknown { reason },
            false => Outcome::Failed { reason },
        };
        while Instant::now() < deadline {
            match self.node() {
                Ok(node) => {
                    let patience_ms = u64::try_from(self.patience.as_millis()).unwrap_or(u64::MAX);
                    let patience_ms = patience_ms.clamp(1, MAX_SUBMIT_TIMEOUT_MS);
                    match send(&node, name, serial, &op.json(), op.is_read(), patience_ms, None).await {
                        Ok((_, index, response)) if response.refusal().is_none() => {
                            return (Outcome::Ok { index, response }, false);
                        }
                        // Of the attempts before, this tells nothing.
                        Ok((.., response)) => return (given_up(maybe_applied, response.get().to_owned()), true),
                        Err(error) => match classify(&error) {
                            Miss::Refused(reason) => return (given_up(maybe_applied, reason), false),
                            Miss::NotApplied(reason) => last = reason,
                            Miss::Lost(reason) => (maybe_applied, last) = (true, reason),
                        },
                    }
                }
                Err(error) => last = error.to_string(),
            }
            self.favourite = self.favourite.wrapping_add(1);
            sleep(PAUSE).await;
        }
        (given_up(maybe_applied, last), false)
    }

    /// The node to ask next.
    fn node(&mut self) -> anyhow::Result<Http> {
        let addresses = self.whereabouts.addresses();
        anyhow::ensure!(!addresses.is_empty(), "no node listens");
        let (_, address) = addresses[self.favourite % addresses.len()];
        if let Some(node) = self.nodes.get(&address) {
            return Ok(node.clone());
        }
        let node = connect::http(address, &self.whereabouts.lab().secret, self.patience + MARGIN)?;
        Ok(self.nodes.entry(address).or_insert(node).clone())
    }
}

/// Asks a node once: who took it, at which index it took effect or was read, and the answer.
pub(super) async fn send(
    node: &Http,
    client: &str,
    serial: u64,
    op: &str,
    is_read: bool,
    timeout_ms: u64,
    forwarded_by: Option<NodeId>,
) -> Result<(NodeId, Index, Response), ClientError> {
    let json = |text| RawValue::from_string(text).expect("a plain name, a number and an op make JSON");
    if is_read {
        let ReadAnswer { node, index, response } =
            node.read(json(op.to_owned()), Some(Consistency::Linearizable), Some(timeout_ms), forwarded_by).await?;
        return Ok((node, index, response));
    }
    let command = json(format!(r#"{{"client":"{client}","serial":{serial},"op":{op}}}"#));
    let Submitted { leader, index, response, .. } = node.submit(command, Some(timeout_ms), forwarded_by).await?;
    Ok((leader, index, response))
}
