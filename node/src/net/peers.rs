//! The other nodes: their addresses, clients that call them, and the faults on the way.
//!
//! What gets through is for [`Links`] to say; here it is carried out: a message waits for its delay, a request is sent
//! twice, one that is lost is waited for in vain.
//!
//! Invariant: to the core a fault is silence, never an error that it could not have met without faults.
//!
//! Deliberately absent: a second copy of a reply. A reply travels on the connection of its call, which ends with it.

use std::collections::BTreeMap;
use std::future::pending;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use jsonrpsee::core::ClientError;
use raftian_driver::{Heard, LinkCut, Links, Unanswered};
use raftian_faults::{NodePart, Verdict};
use raftian_raft::{Body, Message, NodeId, Reply, Request, Term};
use raftian_rpc::assignment::Framing;
use raftian_rpc::client::MAX_SUBMIT_TIMEOUT_MS;
use raftian_rpc::connect::{self, Http};
use raftian_rpc::control::{Network, NodeConfig, NodeFault};
use raftian_rpc::error::{NodeError, not_taken};
use raftian_rpc::raft::{self, Head, RaftClient as _};
use raftian_rpc::secret::Secret;
use rustix::time::{ClockId, clock_gettime};
use tokio::time::{Instant, timeout_at};

use crate::experiment::global_lock::GlobalLock;
use crate::experiment::xml;
use crate::net::recorder::Recorder;
use crate::planted::planted;
use crate::timer;

/// When a client gives up by itself. Every call has a limit of its own, and none is longer.
const CLIENT_TIMEOUT: Duration = Duration::from_millis(MAX_SUBMIT_TIMEOUT_MS + 1_000);

/// How long a call of a peer may take where nodes are moved by hand: as long as the one who moves them wants.
const BY_HAND: Duration = Duration::from_secs(24 * 60 * 60);

/// The peers of one node.
#[derive(Debug)]
pub(crate) struct Peers {
    own: NodeId,
    secret: Secret,
    /// After this a call is given up. Longer than the core's own patience: a late reply is still news.
    call_timeout: Duration,
    framing: Framing,
    /// The CPU time that each message is to cost besides, and the lock under which it does; see `Trim`.
    work: Duration,
    lock: GlobalLock,
    /// Whether the node is moved by hand, and has the time of the last step.
    is_by_hand: bool,
    network: Mutex<Known>,
    pub(super) recorder: Recorder,
    pub(crate) calls: AtomicU64,
    pub(crate) dropped: AtomicU64,
}

/// A configuration that has come into force.
#[derive(Clone, Debug)]
pub(crate) struct Configured {
    /// Its version.
    pub(crate) version: u64,
    /// How many link faults it has.
    pub(crate) rules: usize,
    /// The faults inside this node.
    pub(crate) faults: Vec<NodeFault>,
}

/// What is known of the network.
#[derive(Debug)]
struct Known {
    links: Links,
    clients: BTreeMap<NodeId, (SocketAddr, Http)>,
}

impl Peers {
    /// After so long the caller of a peer has given its call up.
    pub(super) fn call_timeout(&self) -> Duration {
        self.call_timeout
    }

    /// No peer is known yet.
    pub(crate) fn new(config: &NodeConfig, lock: GlobalLock) -> Peers {
        let links = planted().in_links(Links::new(config.id, config.seed));
        Peers {
            own: config.id,
            secret: config.secret.clone(),
            call_timeout: match config.by_hand {
                // A reply that comes after two of the longest election time-outs finds another term.
                None => Duration::from_millis(2 * config.timing.election_max_ms),
                Some(_) => BY_HAND,
            },
            framing: config.trim.framing,
            work: Duration::from_micros(config.trim.server_work_us.into()),
            lock,
            is_by_hand: config.by_hand.is_some(),
            network: Mutex::new(Known { links, clients: BTreeMap::new() }),
            recorder: Recorder::new(config.folder.clone()),
            calls: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
        }
    }

    /// Takes in addresses and faults. `None` when it has heard of them before.
    ///
    /// # Errors
    /// When an address cannot be called.
    pub(crate) fn configure(&self, network: Network) -> Result<Option<Configured>, NodeError> {
        let mut known = self.network();
        if network.version <= known.links.version() {
            return Ok(None);
        }
        if let Some((node, address)) = network.addresses.iter().find(|(_, address)| !address.ip().is_loopback()) {
            // The secret goes where calls go.
            let why = format!("{node} is said to listen on {address}, which is not on this machine");
            return Err(NodeError::BadRequest { why });
        }
        if self.is_by_hand && network.faults.iter().any(|fault| fault.effect.part() == NodePart::Clock) {
            let why = format!(
                "{} is moved by hand, so its clock shows the time of the last step, and can have no fault",
                self.own
            );
            return Err(NodeError::BadRequest { why });
        }
        // Nodes that are gone are not called any more.
        known.clients.retain(|node, _| network.addresses.contains_key(node));
        for (node, address) in network.addresses {
            let is_known = known.clients.get(&node).is_some_and(|(before, _)| *before == address);
            if node != self.own && !is_known {
                let client = connect::http(address, &self.secret, CLIENT_TIMEOUT)
                    .map_err(|error| NodeError::BadRequest { why: format!("cannot call {node}: {error}") })?;
                known.clients.insert(node, (address, client));
            }
        }
        let configured = Configured { version: network.version, rules: network.rules.len(), faults: network.faults };
        known.links.configure(network.version, network.rules);
        Ok(Some(configured))
    }

    /// The version of the last configuration; 0 before the first.
    pub(crate) fn version(&self) -> u64 {
        self.network().links.version()
    }

    // At the node that is called.

    /// Whether a request of a peer may be taken in.
    ///
    /// # Errors
    /// When the link from the peer is cut.
    pub(crate) fn request_arrives(&self, peer: NodeId) -> Result<(), LinkCut> {
        self.network().links.request_arrives(peer)
    }

    /// Whether the reply to a request of a peer may leave.
    ///
    /// # Errors
    /// When the link to the peer is cut.
    pub(crate) fn reply_leaves(&self, peer: NodeId) -> Result<(), LinkCut> {
        self.network().links.reply_leaves(peer)
    }

    // At the caller.

    /// Whether the link to a peer lets a request leave, of a node that is moved by hand.
    pub(crate) fn lets_leave(&self, peer: NodeId) -> bool {
        let is_lost = self.network().links.request_leaves(peer) == Verdict::Drop;
        self.calls.fetch_add(1, Ordering::Relaxed);
        self.dropped.fetch_add(u64::from(is_lost), Ordering::Relaxed);
        !is_lost
    }

    /// What is to become of a probe on its way to a peer.
    pub(super) fn judge_probe(&self, peer: NodeId) -> Verdict {
        self.network().links.request_leaves(peer)
    }

    /// The node itself.
    pub(super) fn own(&self) -> NodeId {
        self.own
    }

    /// Calls a peer: the reply, or `None` when none will come.
    pub(crate) async fn call(self: &Arc<Self>, request: Message) -> Option<Message> {
        let peer = request.to;
        self.calls.fetch_add(1, Ordering::Relaxed);
        let mut noted = self.recorder.sends(&request);
        let exchange = async {
            self.work();
            let copy = || {
                let (peers, request) = (Arc::clone(self), request.clone());
                async move { peers.exchange(request).await }
            };
            let verdict = self.network().links.request_leaves(peer);
            self.recorder.leaves(&mut noted, verdict);
            self.send_copy(verdict, copy);
            self.travel(verdict).await;
            let reply = self.exchange(request).await?;
            let verdict = self.network().links.reply_returns(peer);
            self.recorder.returns(&mut noted, verdict);
            self.travel(verdict).await;
            self.work();
            Some(reply)
        };
        let reply = tokio::time::timeout(self.call_timeout, exchange).await.ok().flatten();
        self.recorder.ended(noted, reply.is_some());
        reply
    }

    /// Passes a client's question on to the leader, and waits for the outcome until `deadline`. `call` is given the
    /// leader and how many milliseconds are left.
    ///
    /// # Errors
    /// What the leader says became of the question; [`NodeError::NoLeader`] when it certainly was not taken in;
    /// [`NodeError::TimedOut`] when that cannot be known. [`raftian_driver::Forwarded`] decides which.
    pub(crate) async fn forward<T: Send, F>(
        &self,
        leader: NodeId,
        deadline: Instant,
        call: impl Fn(Http, u64) -> F,
    ) -> Result<T, NodeError>
    where
        F: Future<Output = Result<T, ClientError>> + Send + 'static,
    {
        let started = Instant::now();
        let no_leader = NodeError::NoLeader { node: self.own };
        let Some(client) = self.client(leader) else { return Err(no_leader) };
        let ask = || {
            let remaining_ms = deadline.saturating_duration_since(Instant::now()).as_millis() as u64;
            call(client.clone(), remaining_ms.max(1))
        };
        let (verdict, forwarded) = self.network().links.question_leaves(leader);
        self.send_copy(verdict, ask);
        let heard = match timeout_at(deadline, self.travel(verdict)).await {
            Err(_) => Heard::NotTaken,
            Ok(()) => {
                let exchange = async {
                    let outcome = ask().await;
                    self.reply_returns(leader).await;
                    outcome
                };
                timeout_at(deadline, exchange).await.map_or(Heard::Silence, heard)
            }
        };
        match forwarded.end(heard) {
            Ok(said) => said,
            Err(Unanswered::NoLeader) => Err(no_leader),
            Err(Unanswered::Unknown) => Err(NodeError::TimedOut { waited_ms: started.elapsed().as_millis() as u64 }),
        }
    }

    /// Computes for as long as a message is to cost, and gives way as an interpreter does.
    fn work(&self) {
        if self.work.is_zero() {
            return;
        }
        let end = cpu_time() + self.work;
        while cpu_time() < end {
            self.lock.checkpoint();
        }
    }

    /// Where the link doubles what is on its way to a peer, asks the peer once more. The answer to that is not read, as if
    /// the network had lost it.
    fn send_copy<F>(&self, verdict: Verdict, copy: impl FnOnce() -> F)
    where
        F: Future<Output: Send> + Send + 'static,
    {
        if let Verdict::Twice(_, delay) = verdict {
            let (limit, copy) = (self.call_timeout, copy());
            tokio::spawn(async move {
                late(delay).await;
                let _ = tokio::time::timeout(limit, copy).await;
            });
        }
    }

    /// Lets the reply of a peer cross the link back.
    async fn reply_returns(&self, peer: NodeId) {
        let verdict = self.network().links.reply_returns(peer);
        self.travel(verdict).await;
    }

    /// Lets a message cross a link: at once, later, or never.
    async fn travel(&self, verdict: Verdict) {
        match verdict {
            Verdict::Pass => {}
            Verdict::Delay(delay) | Verdict::Twice(delay, _) => late(delay).await,
            Verdict::Drop => {
                self.dropped.fetch_add(1, Ordering::Relaxed);
                pending::<()>().await;
            }
        }
    }

    async fn exchange(&self, message: Message) -> Option<Message> {
        let head = Head::of(&message);
        let Body::Request(request) = message.body else { return None };
        let document = match self.framing {
            Framing::JsonRpc => None,
            Framing::XmlRpc => xml::write_call(head, &request),
        };
        let (term, reply) = match document {
            None => raft::call(&self.client(head.to)?, head, request).await.ok()?,
            Some(document) => self.call_in_xml(head.to, document, &request).await?,
        };
        Some(head.reply(term, reply))
    }

    /// Calls a peer as XML-RPC does: a document there, a document back, and a connection for each call.
    async fn call_in_xml(&self, peer: NodeId, document: String, request: &Request) -> Option<(Term, Reply)> {
        let client = connect::http(self.address(peer)?, &self.secret, CLIENT_TIMEOUT).ok()?;
        let response = client.xml(document).await.ok()?;
        // What is no response is no reply: to the core, silence.
        xml::read_response(&response, request).ok()
    }

    /// What calls a peer, if its address is known.
    pub(super) fn client(&self, node: NodeId) -> Option<Http> {
        self.network().clients.get(&node).map(|(_, client)| client.clone())
    }

    fn address(&self, node: NodeId) -> Option<SocketAddr> {
        self.network().clients.get(&node).map(|(address, _)| *address)
    }

    fn network(&self) -> MutexGuard<'_, Known> {
        self.network.lock().expect("no panic while the network is locked")
    }
}

/// What the leader's answer to a question that was passed on means.
fn heard<T>(outcome: Result<T, ClientError>) -> Heard<Result<T, NodeError>> {
    let error = match outcome {
        Ok(answer) => return Heard::Answer(Ok(answer)),
        Err(error) => error,
    };
    match NodeError::from_client(&error) {
        Some(NodeError::NotLeader { .. } | NodeError::LinkCut { .. } | NodeError::ShuttingDown { .. }) => {
            Heard::NotTaken
        }
        Some(other) => Heard::Failure(Err(other)),
        None if not_taken(&error).is_some() => Heard::NotTaken,
        None => Heard::Silence,
    }
}

/// Waits for as long as a message is late.
pub(super) async fn late(delay: Duration) {
    if !delay.is_zero() {
        timer::sleep(delay).await;
    }
}

/// What this thread has computed so far.
fn cpu_time() -> Duration {
    let used = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(used.tv_sec.unsigned_abs(), used.tv_nsec.unsigned_abs() as u32)
}
