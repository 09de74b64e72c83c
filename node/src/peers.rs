//! The links to the other nodes: addresses, clients, and the faults on the way.
//!
//! A call crosses two directed links, there and back. The caller asks the filter about both, so that each message is
//! judged once; a node that is called asks only whether a link is cut, which is the same however often it is asked,
//! and keeps a partition tight while one side has not heard of it yet.
//!
//! Invariant: to the core a fault is silence, never an error it could not have met without the filter.

use std::collections::BTreeMap;
use std::future::pending;
use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use jsonrpsee::core::ClientError;
use raftian_faults::{Filter, Link, Verdict};
use raftian_raft::{Body, Message, NodeId, Reply, Request, Term};
use raftian_rpc::assignment::Framing;
use raftian_rpc::client::MAX_SUBMIT_TIMEOUT_MS;
use raftian_rpc::connect::{self, Http};
use raftian_rpc::control::{Network, NodeConfig};
use raftian_rpc::error::{NodeError, never_sent};
use raftian_rpc::raft::{Append, Chunk, Head, RaftClient as _};
use raftian_rpc::secret::Secret;
use rustix::time::{ClockId, clock_gettime};
use tokio::time::Instant;

use crate::global_lock::GlobalLock;
use crate::{timer, xml};

/// When a client gives up by itself. Every call has a limit of its own, and none is longer.
const CLIENT_TIMEOUT: Duration = Duration::from_millis(MAX_SUBMIT_TIMEOUT_MS + 1_000);

/// The links of one node.
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
    links: Mutex<Links>,
    pub(crate) calls: AtomicU64,
    pub(crate) dropped: AtomicU64,
}

/// A configuration that has come into force.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Configured {
    /// Its version.
    pub(crate) version: u64,
    /// How many link faults it has.
    pub(crate) rules: usize,
}

#[derive(Debug)]
struct Links {
    version: u64,
    clients: BTreeMap<NodeId, (SocketAddr, Http)>,
    filter: Filter,
}

impl Peers {
    /// Links to nobody yet.
    pub(crate) fn new(config: &NodeConfig, lock: GlobalLock) -> Peers {
        // Two nodes must not draw the same luck for the two directions of a link.
        let filter = Filter::new(config.seed.rotate_left(16) ^ u64::from(config.id.number()));
        Peers {
            own: config.id,
            secret: config.secret.clone(),
            // A reply that comes after two of the longest election time-outs finds another term.
            call_timeout: Duration::from_millis(2 * config.timing.election_max_ms),
            framing: config.trim.framing,
            work: Duration::from_micros(config.trim.server_work_us.into()),
            lock,
            links: Mutex::new(Links { version: 0, clients: BTreeMap::new(), filter }),
            calls: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
        }
    }

    /// Takes in addresses and faults. `None` when it has heard of them before.
    ///
    /// # Errors
    /// When an address cannot be called.
    pub(crate) fn configure(&self, network: Network) -> Result<Option<Configured>, NodeError> {
        let mut links = self.links.lock().expect("no panic while the links are locked");
        if network.version <= links.version {
            return Ok(None);
        }
        if let Some((node, address)) = network.addresses.iter().find(|(_, address)| !address.ip().is_loopback()) {
            // The secret goes where calls go.
            let why = format!("{node} is said to listen on {address}, which is not on this machine");
            return Err(NodeError::BadRequest { why });
        }
        for (node, address) in network.addresses {
            let known = links.clients.get(&node).is_some_and(|(known, _)| *known == address);
            if node != self.own && !known {
                let client = connect::http(address, &self.secret, CLIENT_TIMEOUT)
                    .map_err(|error| NodeError::BadRequest { why: format!("cannot call {node}: {error}") })?;
                links.clients.insert(node, (address, client));
            }
        }
        let configured = Configured { version: network.version, rules: network.rules.len() };
        links.filter.set_rules(network.rules);
        links.version = network.version;
        Ok(Some(configured))
    }

    /// The version of the last configuration; 0 before the first.
    pub(crate) fn version(&self) -> u64 {
        self.links.lock().expect("no panic while the links are locked").version
    }

    /// Whether nothing gets through from `from` to `to`.
    pub(crate) fn is_cut(&self, from: NodeId, to: NodeId) -> bool {
        self.links.lock().expect("no panic while the links are locked").filter.is_cut(link(from, to))
    }

    /// Calls a peer: the reply, or `None` when none will come.
    pub(crate) async fn call(&self, request: Message) -> Option<Message> {
        let peer = request.to;
        self.calls.fetch_add(1, Ordering::Relaxed);
        let exchange = async {
            self.work();
            self.travel(self.own, peer).await;
            let reply = self.exchange(request).await?;
            self.travel(peer, self.own).await;
            self.work();
            Some(reply)
        };
        tokio::time::timeout(self.call_timeout, exchange).await.ok().flatten()
    }

    /// Passes a client's question on to the leader, and waits for the outcome until `deadline`. `call` is given the
    /// leader and how many milliseconds are left.
    ///
    /// # Errors
    /// Whatever the leader answers; [`NodeError::NoLeader`] when the question certainly did not arrive;
    /// [`NodeError::TimedOut`] when that cannot be known.
    pub(crate) async fn forward<T, F: Future<Output = Result<T, ClientError>>>(
        &self,
        leader: NodeId,
        deadline: Instant,
        call: impl FnOnce(Http, u64) -> F,
    ) -> Result<T, NodeError> {
        let started = Instant::now();
        let unknown = || NodeError::TimedOut { waited_ms: started.elapsed().as_millis() as u64 };
        let unreachable = NodeError::NoLeader { node: self.own };
        let Some(client) = self.client(leader) else { return Err(unreachable) };
        if tokio::time::timeout_at(deadline, self.travel(self.own, leader)).await.is_err() {
            return Err(unreachable);
        }
        let remaining_ms = deadline.saturating_duration_since(Instant::now()).as_millis() as u64;
        let exchange = async {
            let outcome = call(client, remaining_ms.max(1)).await;
            self.travel(leader, self.own).await;
            outcome
        };
        match tokio::time::timeout_at(deadline, exchange).await {
            Err(_) => Err(unknown()),
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => Err(match NodeError::from_client(&error) {
                Some(NodeError::NotLeader { .. } | NodeError::LinkCut { .. } | NodeError::ShuttingDown { .. }) => {
                    unreachable
                }
                Some(other) => other,
                None if never_sent(&error) => unreachable,
                None => unknown(),
            }),
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

    /// Lets a message cross a link: at once, later, or never.
    async fn travel(&self, from: NodeId, to: NodeId) {
        let verdict = self.links.lock().expect("no panic while the links are locked").filter.judge(link(from, to));
        match verdict {
            Verdict::Pass => {}
            // A call is answered once: whether it arrives once or twice, its caller hears of the first.
            Verdict::Delay(delay) | Verdict::Twice(delay, _) => timer::sleep(delay).await,
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
            None => call(&self.client(head.to)?, head, request).await?,
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

    fn client(&self, node: NodeId) -> Option<Http> {
        let links = self.links.lock().expect("no panic while the links are locked");
        links.clients.get(&node).map(|(_, client)| client.clone())
    }

    fn address(&self, node: NodeId) -> Option<SocketAddr> {
        let links = self.links.lock().expect("no panic while the links are locked");
        links.clients.get(&node).map(|(address, _)| *address)
    }
}

/// Calls a peer: the term and the reply, or `None` when it gives none.
async fn call(client: &Http, head: Head, request: Request) -> Option<(Term, Reply)> {
    match request {
        Request::PreVote(last) => {
            let answer = client.pre_vote(head, last.into()).await.ok()?;
            Some((answer.term, Reply::PreVote { granted: answer.granted }))
        }
        Request::RequestVote { last, transfer } => {
            let answer = client.request_vote(head, last.into(), transfer.then_some(true)).await.ok()?;
            Some((answer.term, Reply::RequestVote { granted: answer.granted }))
        }
        Request::AppendEntries(append) => {
            let answer = client.append_entries(head, Append::from(append)).await.ok()?;
            Some((answer.term, Reply::AppendEntries(answer.into())))
        }
        Request::InstallSnapshot(part) => {
            let answer = client.install_snapshot(head, Chunk::from(part)).await.ok()?;
            Some((answer.term, Reply::InstallSnapshot(answer.into())))
        }
        Request::TimeoutNow => Some((client.timeout_now(head).await.ok()?, Reply::TimeoutNow)),
    }
}

/// What this thread has computed so far.
fn cpu_time() -> Duration {
    let used = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(used.tv_sec.unsigned_abs(), used.tv_nsec.unsigned_abs() as u32)
}

fn link(from: NodeId, to: NodeId) -> Link {
    Link { from: from.number(), to: to.number() }
}
