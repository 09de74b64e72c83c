//! What gets through the links of a real node, seen by its only peer, which the test plays: each of the four ways, at the
//! caller and at the node that is called, while one end has not heard of a fault yet.

mod support;

use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use jsonrpsee::core::{RpcResult, SubscriptionResult, async_trait};
use jsonrpsee::server::ServerHandle;
use jsonrpsee::{PendingSubscriptionSink, RpcModule};
use raftian_faults::proof::LinkMeasured;
use raftian_faults::{Effect, Rule};
use raftian_rpc::client::{ClientClient as _, ClientServer, Consistency, ReadAnswer, Submitted, View};
use raftian_rpc::clock::monotonic_ns;
use raftian_rpc::control::{ControlClient, NodeConfig, Probes};
use raftian_rpc::error::NodeError;
use raftian_rpc::raft::{
    Append, AppendAnswer, Chunk, Commands, Head, Last, RaftClient as _, RaftServer, SnapshotAnswer, VoteAnswer,
};
use raftian_rpc::{AppKind, Index, NodeId, Response, RoleKind, Term, serve};
use serde_json::value::RawValue;
use support::{Cluster, PATIENCE, id, node_error, rule};
use tokio::sync::mpsc;
use tokio::time::timeout;

/// The node, and the peer that the test plays.
const NODE: u16 = 1;
const PEER: u16 = 2;

/// A call that the peer got.
#[derive(Debug, PartialEq)]
enum Call {
    PreVote(u64),
    RequestVote(u64),
    AppendEntries(u64),
    Submit(String),
    Read(String),
}

/// The peer: it votes for the node, fails at the first entries that it is sent, takes them the next time, and claims to
/// have applied every command, or not to lead.
#[derive(Clone)]
struct Peer {
    calls: mpsc::UnboundedSender<Call>,
    has_failed: Arc<AtomicBool>,
    refuses: Arc<AtomicBool>,
}

impl Peer {
    fn got(&self, call: Call) {
        self.calls.send(call).unwrap();
    }
}

#[async_trait]
impl RaftServer for Peer {
    async fn pre_vote(&self, head: Head, _: Last) -> RpcResult<VoteAnswer> {
        self.got(Call::PreVote(head.call));
        Ok(VoteAnswer { term: head.term, granted: true })
    }

    async fn request_vote(&self, head: Head, _: Last, _: Option<bool>) -> RpcResult<VoteAnswer> {
        self.got(Call::RequestVote(head.call));
        Ok(VoteAnswer { term: head.term, granted: true })
    }

    async fn append_entries(&self, head: Head, entries: Append) -> RpcResult<AppendAnswer> {
        self.got(Call::AppendEntries(head.call));
        if !entries.commands.0.is_empty() && !self.has_failed.swap(true, Ordering::Relaxed) {
            return Err(NodeError::ShuttingDown { node: id(PEER) }.into());
        }
        let matched = entries.prev_index + entries.commands.0.len() as u64;
        Ok(AppendAnswer { term: head.term, matched: Some(matched), conflict: None })
    }

    async fn install_snapshot(&self, _: Head, _: Chunk) -> RpcResult<SnapshotAnswer> {
        panic!("the node has no snapshot")
    }

    async fn timeout_now(&self, _: Head) -> RpcResult<Term> {
        panic!("the node does not hand over")
    }

    async fn probe(&self, from: NodeId, to: NodeId) -> RpcResult<u64> {
        match self.refuses.load(Ordering::Relaxed) {
            true => Err(NodeError::LinkCut { from, to }.into()),
            false => Ok(monotonic_ns()),
        }
    }

    async fn xml(&self, _: String) -> RpcResult<String> {
        panic!("the node speaks JSON-RPC")
    }
}

#[async_trait]
impl ClientServer for Peer {
    async fn submit(&self, command: Box<RawValue>, _: Option<u64>, by: Option<NodeId>) -> RpcResult<Submitted> {
        assert_eq!(by, Some(id(NODE)));
        self.got(Call::Submit(command.get().to_owned()));
        if self.refuses.load(Ordering::Relaxed) {
            return Err(NodeError::NotLeader { node: id(PEER), leader: None }.into());
        }
        Ok(Submitted { index: 7, term: 1, leader: id(PEER), duplicate: false, response: Response::of(&"done") })
    }

    async fn read(
        &self,
        op: Box<RawValue>,
        consistency: Option<Consistency>,
        _: Option<u64>,
        by: Option<NodeId>,
    ) -> RpcResult<ReadAnswer> {
        assert_eq!((consistency, by), (Some(Consistency::Linearizable), Some(id(NODE))));
        self.got(Call::Read(op.get().to_owned()));
        Ok(ReadAnswer { node: id(PEER), index: 7, response: Response::of(&"read") })
    }

    async fn view(&self) -> RpcResult<View> {
        panic!("the node does not look")
    }

    async fn follow(&self, _: PendingSubscriptionSink, _: Index) -> SubscriptionResult {
        panic!("the node follows by its log")
    }
}

/// The node and its peer.
struct Pair {
    cluster: Cluster,
    calls: mpsc::UnboundedReceiver<Call>,
    /// Whether the peer says that it does not lead.
    refuses: Arc<AtomicBool>,
    /// The peer's server; it ends with this.
    _server: ServerHandle,
}

const COMMAND: &str = r#"{"client":"a","serial":1,"op":{"set":["k","v"]}}"#;

/// What is wrong with one of the two links.
fn to_peer(effect: Effect) -> Vec<Rule> {
    vec![rule(id(NODE), id(PEER), effect)]
}

fn to_node(effect: Effect) -> Vec<Rule> {
    vec![rule(id(PEER), id(NODE), effect)]
}

fn duplicate() -> Effect {
    Effect::duplicate(1.0).unwrap()
}

fn store(config: &mut NodeConfig) {
    config.app = AppKind::Kv;
}

/// It does not stand for election, for as long as a test takes.
fn follow(config: &mut NodeConfig) {
    store(config);
    config.timing.election_min_ms = 50_000;
    config.timing.election_max_ms = 60_000;
}

/// It leads from the beginning, and would wait for a minute for the reply to a call that it does not know to have failed.
fn lead(config: &mut NodeConfig) {
    follow(config);
    config.trim.campaigns_first = true;
}

impl Pair {
    /// The node and its peer, or the node alone with one that is no voter; with these faults, of which the peer has not
    /// heard.
    async fn start(voters: u16, adjust: fn(&mut NodeConfig), rules: Vec<Rule>) -> Pair {
        let mut cluster = Cluster::new(voters, adjust);
        let (sender, calls) = mpsc::unbounded_channel();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let mut methods = RpcModule::new(());
        let refuses = Arc::default();
        let peer = Peer { calls: sender, has_failed: Arc::default(), refuses: Arc::clone(&refuses) };
        methods.merge(RaftServer::into_rpc(peer.clone())).unwrap();
        methods.merge(ClientServer::into_rpc(peer)).unwrap();
        let server = serve::serve(listener, cluster.secret.clone(), methods, serve::Front::default(), |_| {}).unwrap();
        cluster.spawn(id(NODE)).await;
        cluster.played.insert(id(PEER), address);
        cluster.set_faults(rules).await;
        Pair { cluster, calls, refuses, _server: server }
    }

    /// The next call that the peer gets.
    async fn call(&mut self) -> Call {
        timeout(PATIENCE, self.calls.recv()).await.expect("a call that was waited for").unwrap()
    }

    /// The peer says that it leads this term.
    async fn lead(&self, term: Term) -> Result<AppendAnswer, NodeError> {
        let head = Head { from: id(PEER), to: id(NODE), term, call: term };
        let nothing = Append {
            prev_index: 0,
            prev_term: 0,
            commit: 0,
            terms: Vec::new(),
            commands: Commands::default(),
            configurations: Default::default(),
        };
        self.cluster.client(id(NODE)).append_entries(head, nothing).await.map_err(node_error)
    }

    /// What comes of probes of the node to its peer, under these faults.
    async fn probed(&mut self, rules: Vec<Rule>) -> LinkMeasured {
        self.cluster.set_faults(rules).await;
        let probes = Probes { peers: vec![id(PEER)], count: 5, patience_ms: 10_000 };
        let probed = ControlClient::probe(&self.cluster.client(id(NODE)), probes).await.unwrap();
        assert_eq!(probed.len(), 1);
        probed.into_iter().next().unwrap().measured
    }

    /// A client of the node has a command.
    async fn submit(&self, by: Option<NodeId>) -> Result<Submitted, NodeError> {
        let command = RawValue::from_string(COMMAND.into()).unwrap();
        self.cluster.client(id(NODE)).submit(command, Some(500), by).await.map_err(node_error)
    }

    /// A client of the node wants to read.
    async fn read(&self, by: Option<NodeId>) -> Result<ReadAnswer, NodeError> {
        let op = RawValue::from_string(r#"{"get":"k"}"#.into()).unwrap();
        self.cluster.client(id(NODE)).read(op, None, Some(500), by).await.map_err(node_error)
    }
}

#[tokio::test]
async fn a_reply_on_a_cut_link_is_not_heard_though_the_peer_has_sent_it() {
    let mut pair = Pair::start(2, store, to_node(Effect::CUT)).await;
    for _ in 0..3 {
        let call = pair.call().await;
        assert!(matches!(call, Call::PreVote(_)), "the vote that it was promised did not arrive, but {call:?}");
    }
    pair.cluster.set_faults(Vec::new()).await;
    while matches!(pair.call().await, Call::PreVote(_)) {}
    let status = pair.cluster.wait_until("a leader", |all| all[0].role == RoleKind::Leader).await;
    assert!(status[0].counters.dropped >= 2, "{status:#?}");
}

#[tokio::test]
async fn a_request_on_a_link_that_doubles_arrives_twice_and_is_answered_once() {
    let mut pair = Pair::start(2, store, to_peer(duplicate())).await;
    let mut once = Vec::new();
    // Each call of the node has a number of its own.
    while let call = pair.call().await
        && !once.contains(&call)
    {
        once.push(call);
        assert!(once.len() < 100, "each came once: {once:?}");
    }
    pair.cluster.wait_until("a leader", |all| all[0].role == RoleKind::Leader).await;
    assert_eq!(pair.submit(None).await.unwrap().leader, id(NODE));
}

#[tokio::test]
async fn entries_whose_call_failed_are_sent_again_soon() {
    let pair = Pair::start(2, lead, Vec::new()).await;
    pair.cluster.wait_until("its first entry", |all| all[0].last_applied == 1).await;
}

#[tokio::test]
async fn a_question_that_a_follower_passes_on_crosses_two_links() {
    let mut pair = Pair::start(2, follow, Vec::new()).await;
    pair.lead(1).await.unwrap();
    let asked = || (Call::Submit(COMMAND.into()), Call::Read(r#"{"get":"k"}"#.into()));
    assert_eq!(pair.submit(None).await.unwrap().response.get(), r#""done""#);
    assert_eq!(pair.read(None).await.unwrap().response.get(), r#""read""#);
    assert_eq!((pair.call().await, pair.call().await), asked());

    pair.cluster.set_faults(to_peer(Effect::CUT)).await;
    let certainly_not = NodeError::NoLeader { node: id(NODE) };
    assert_eq!(pair.submit(None).await.unwrap_err(), certainly_not);
    assert_eq!(pair.read(None).await.unwrap_err(), certainly_not);
    assert!(pair.calls.try_recv().is_err(), "neither arrived");

    pair.cluster.set_faults(to_node(Effect::CUT)).await;
    assert!(matches!(pair.submit(None).await, Err(NodeError::TimedOut { .. })));
    assert!(matches!(pair.read(None).await, Err(NodeError::TimedOut { .. })));
    assert_eq!((pair.call().await, pair.call().await), asked(), "both arrived");

    pair.cluster.set_faults(to_peer(duplicate())).await;
    assert_eq!(pair.submit(None).await.unwrap().response.get(), r#""done""#);
    assert_eq!([pair.call().await, pair.call().await], [asked().0, asked().0]);
    assert_eq!(pair.read(None).await.unwrap().response.get(), r#""read""#);
    assert_eq!([pair.call().await, pair.call().await], [asked().1, asked().1]);
}

#[tokio::test]
async fn nothing_is_certain_of_a_command_whose_copy_may_be_on_its_way() {
    let mut pair = Pair::start(2, follow, Vec::new()).await;
    pair.lead(1).await.unwrap();
    pair.refuses.store(true, Ordering::Relaxed);
    assert_eq!(pair.submit(None).await.unwrap_err(), NodeError::NoLeader { node: id(NODE) });
    pair.cluster.set_faults(to_peer(duplicate())).await;
    assert!(matches!(pair.submit(None).await, Err(NodeError::TimedOut { .. })));

    let late = Effect::latency(60_000.0, 0.0).unwrap();
    pair.cluster.set_faults(to_peer(late)).await;
    assert_eq!(pair.submit(None).await.unwrap_err(), NodeError::NoLeader { node: id(NODE) });
    let late_and_doubled = [late, duplicate()].into_iter().flat_map(to_peer).collect();
    pair.cluster.set_faults(late_and_doubled).await;
    assert!(matches!(pair.submit(None).await, Err(NodeError::TimedOut { .. })));
}

#[tokio::test]
async fn a_node_refuses_what_crosses_a_cut_link_of_which_its_caller_has_not_heard() {
    let mut pair = Pair::start(2, follow, to_peer(Effect::CUT)).await;
    let (from_node, from_peer) = ((id(NODE), id(PEER)), (id(PEER), id(NODE)));
    let cut = |(from, to)| NodeError::LinkCut { from, to };
    assert_eq!(pair.lead(5).await.unwrap_err(), cut(from_node));
    assert_eq!(pair.cluster.status(id(NODE)).await.term, 5, "the request was taken in, and the reply lost");

    pair.cluster.set_faults(to_node(Effect::CUT)).await;
    assert_eq!(pair.lead(6).await.unwrap_err(), cut(from_peer));
    assert_eq!(pair.cluster.status(id(NODE)).await.term, 5, "the request was lost");
}

#[tokio::test]
async fn a_leader_answers_no_question_that_was_passed_on_over_a_cut_link() {
    let mut pair = Pair::start(1, store, to_node(Effect::CUT)).await;
    pair.cluster.wait_until("a leader", |all| all[0].last_applied == 1).await;
    let lost = NodeError::LinkCut { from: id(PEER), to: id(NODE) };
    assert_eq!(pair.submit(Some(id(PEER))).await.unwrap_err(), lost);
    assert_eq!(pair.read(Some(id(PEER))).await.unwrap_err(), lost);
    assert_eq!(pair.cluster.status(id(NODE)).await.last_index, 1, "the command was lost");

    // An error other than this one would be a promise that nothing has happened.
    pair.cluster.set_faults(to_peer(Effect::CUT)).await;
    assert!(matches!(pair.submit(Some(id(PEER))).await, Err(NodeError::TimedOut { .. })));
    assert!(matches!(pair.read(Some(id(PEER))).await, Err(NodeError::TimedOut { .. })));
    assert_eq!(pair.cluster.status(id(NODE)).await.last_applied, 2, "the answer was lost");
}

#[tokio::test]
async fn a_probe_crosses_one_link_as_a_request_does_and_no_fault_holds_up_its_answer() {
    let mut pair = Pair::start(1, store, Vec::new()).await;
    let through = pair.probed(Vec::new()).await;
    assert_eq!((through.lost, through.doubled, through.silent, through.delays_us.len()), (0, 0, 0, 5));
    let lost = LinkMeasured { lost: 5, ..LinkMeasured::default() };
    assert_eq!(pair.probed(to_peer(Effect::CUT)).await, lost);
    assert_eq!(pair.probed(to_node(Effect::CUT)).await.delays_us.len(), 5, "that link is another one");
    let late = pair.probed(to_peer(Effect::latency(30.0, 0.0).unwrap())).await;
    assert!(late.delays_us.len() == 5 && late.delays_us.iter().all(|us| *us >= 30_000), "{late:?}");
    assert_eq!(pair.probed(to_peer(duplicate())).await.doubled, 5);
    pair.refuses.store(true, Ordering::Relaxed);
    assert_eq!(pair.probed(Vec::new()).await, lost, "the peer has heard of a cut before the node");
    assert_eq!(pair.cluster.status(id(NODE)).await.counters.calls, 0, "probes are no calls of its server");
    let too_many = Probes { peers: Vec::new(), count: 1_001, patience_ms: 1 };
    let refused = ControlClient::probe(&pair.cluster.client(id(NODE)), too_many).await.unwrap_err();
    assert!(matches!(node_error(refused), NodeError::BadRequest { .. }));
}
