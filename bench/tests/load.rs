//! The load against nodes that answer as a test wants: what is retried, what it is called in the end, and from when
//! latency counts.

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jsonrpsee::RpcModule;
use jsonrpsee::server::ServerHandle;
use jsonrpsee::types::ErrorObjectOwned;
use raftian_bench::cancel::cancel_pair;
use raftian_bench::lab::Lab;
use raftian_bench::load::{Load, LoadOptions, LoadOutcome, OutcomeKind};
use raftian_bench::run::HistoryFile;
use raftian_bench::whereabouts::Whereabouts;
use raftian_check::Outcome;
use raftian_rpc::NodeId;
use raftian_rpc::error::NodeError;
use raftian_rpc::secret::Secret;
use raftian_rpc::serve::{Front, serve};
use serde_json::{Value, json};

type Answer = Result<(), NodeError>;
type Behaviour = Box<dyn Fn(usize) -> (Duration, Answer) + Send + Sync>;

/// A node that answers call number k as its behaviour says, and remembers what it was asked.
struct MockNode {
    id: NodeId,
    behaviour: Behaviour,
    asked: Mutex<Vec<Value>>,
}

struct Mock {
    lab: Lab,
    nodes: Vec<Arc<MockNode>>,
    /// What the daemon says.
    addresses: Arc<Mutex<BTreeMap<NodeId, SocketAddr>>>,
    daemon: ServerHandle,
    _servers: Vec<ServerHandle>,
}

impl Mock {
    async fn load(&self, options: LoadOptions, history: Option<HistoryFile>) -> Load {
        Load::prepare(&Whereabouts::of(&self.lab).await.unwrap(), options, history).unwrap()
    }
}

fn node(behaviour: impl Fn(usize) -> (Duration, Answer) + Send + Sync + 'static) -> Behaviour {
    Box::new(behaviour)
}

fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

fn mock(behaviours: Vec<Behaviour>) -> Mock {
    let secret = Secret::generate().unwrap();
    let (mut nodes, mut servers, mut addresses) = (Vec::new(), Vec::new(), BTreeMap::new());
    for (number, behaviour) in (1..).zip(behaviours) {
        let (listener, address) = listener();
        let id = NodeId::new(number).unwrap();
        let node = Arc::new(MockNode { id, behaviour, asked: Mutex::default() });
        let mut module = RpcModule::from_arc(Arc::clone(&node));
        module
            .register_async_method(
                "client.submit",
                |params, node, _| async move { submit(&node, params.parse()?).await },
            )
            .unwrap();
        servers.push(serve(listener, secret.clone(), module, Front::default(), |_| {}).unwrap());
        addresses.insert(id, address);
        nodes.push(node);
    }
    let (listener, address) = listener();
    let addresses = Arc::new(Mutex::new(addresses));
    let mut module = RpcModule::from_arc(Arc::clone(&addresses));
    module.register_method("lab.addresses", |_, addresses, _| json!(*addresses.lock().unwrap())).unwrap();
    let daemon = serve(listener, secret.clone(), module, Front::default(), |_| {}).unwrap();
    Mock { lab: Lab::at(address, secret).unwrap(), nodes, addresses, daemon, _servers: servers }
}

async fn submit(node: &MockNode, params: Value) -> Result<Value, ErrorObjectOwned> {
    let number = {
        let mut asked = node.asked.lock().unwrap();
        asked.push(params[0].clone());
        asked.len() - 1
    };
    let (delay, answer) = (node.behaviour)(number);
    tokio::time::sleep(delay).await;
    answer?;
    Ok(json!({"index": number + 1, "term": 1, "leader": node.id, "duplicate": false, "response": {"outcome": "hit"}}))
}

fn options() -> LoadOptions {
    LoadOptions {
        rate_per_s: Some(50.0),
        clients: 1,
        duration: Duration::from_millis(100),
        attempt_timeout: Duration::from_millis(100),
        give_up_after: Duration::from_millis(300),
        ..LoadOptions::default()
    }
}

async fn run(mock: &Mock, options: LoadOptions) -> LoadOutcome {
    let (_canceller, cancel) = cancel_pair();
    let load = mock.load(options, None).await;
    load.run(&|_| {}, &cancel).await.unwrap()
}

fn n(number: u16) -> NodeId {
    NodeId::new(number).unwrap()
}

const AT_ONCE: Duration = Duration::ZERO;

#[tokio::test]
async fn a_healthy_node_answers_everything() {
    let mock = mock(vec![node(|_| (AT_ONCE, Ok(())))]);
    let outcome = run(&mock, options()).await;
    assert_eq!((outcome.summary.n, outcome.summary.ok), (5, 5), "{:?}", outcome.history);
    assert_eq!(outcome.interrupted, None);
    let serials: Vec<u64> = outcome.history.iter().map(|operation| operation.serial).collect();
    assert_eq!(serials, [1, 2, 3, 4, 5]);
}

#[tokio::test]
async fn a_retry_keeps_its_serial_and_goes_to_another_node() {
    let refusing = node(|_| (AT_ONCE, Err(NodeError::NoLeader { node: n(1) })));
    let mock = mock(vec![refusing, node(|_| (AT_ONCE, Ok(())))]);
    let outcome = run(&mock, options()).await;
    assert_eq!(outcome.summary.ok, 5);
    let (first, second) = (mock.nodes[0].asked.lock().unwrap(), mock.nodes[1].asked.lock().unwrap());
    assert_eq!(first[..], second[..1], "the same command");
    assert_eq!((&first[0]["serial"], &second[4]["serial"]), (&json!(1), &json!(5)));
    assert_eq!((first.len(), second.len()), (1, 5), "a client goes to the leader that answered");
}

#[tokio::test]
async fn what_nobody_accepted_has_failed_and_what_somebody_may_have_is_unknown() {
    let refuse = |_| (AT_ONCE, Err(NodeError::NoLeader { node: n(1) }));
    let never = mock(vec![node(refuse)]);
    let outcome = run(&never, LoadOptions { rate_per_s: Some(10.0), ..options() }).await;
    assert!(matches!(&outcome.history[0].outcome, Outcome::Failed { reason } if reason.contains("no leader")));

    let once_lost = mock(vec![node(move |number| match number {
        0 => (AT_ONCE, Err(NodeError::TimedOut { waited_ms: 1 })),
        number => refuse(number),
    })]);
    let outcome = run(&once_lost, LoadOptions { rate_per_s: Some(10.0), ..options() }).await;
    assert!(matches!(outcome.history[0].outcome, Outcome::Unknown { .. }), "{:?}", outcome.history);
}

#[tokio::test]
async fn a_silent_node_makes_operations_unknown_and_a_missing_one_makes_them_fail() {
    let silent = mock(vec![node(|_| (Duration::from_secs(60), Ok(())))]);
    let one = LoadOptions { rate_per_s: Some(10.0), ..options() };
    let outcome = run(&silent, one.clone()).await;
    assert!(matches!(outcome.history[0].outcome, Outcome::Unknown { .. }), "{:?}", outcome.history);

    let gone = mock(vec![node(|_| (AT_ONCE, Ok(())))]);
    gone._servers[0].stop().unwrap();
    gone._servers[0].clone().stopped().await;
    let outcome = run(&gone, one).await;
    assert!(
        matches!(&outcome.history[0].outcome, Outcome::Failed { reason } if reason.contains("nobody listens")),
        "{:?}",
        outcome.history
    );
}

#[tokio::test]
async fn a_refused_command_is_not_tried_again() {
    let mock = mock(vec![node(|_| (AT_ONCE, Err(NodeError::UnknownCommand { why: "no such op".into() })))]);
    let outcome = run(&mock, options()).await;
    assert_eq!((outcome.summary.failed, mock.nodes[0].asked.lock().unwrap().len()), (5, 5));
}

#[tokio::test]
async fn latency_counts_from_the_intended_send_and_the_wait_in_line_is_send_lag() {
    // One client, 20 ms a command, one due every 10 ms: the k-th waits 10·k ms before it is sent.
    let mock = mock(vec![node(|_| (Duration::from_millis(20), Ok(())))]);
    let options = LoadOptions { rate_per_s: Some(100.0), give_up_after: Duration::from_secs(5), ..options() };
    let outcome = run(&mock, options).await;
    let last = outcome.samples.last().unwrap();
    assert_eq!((outcome.samples.len(), last.kind), (10, OutcomeKind::Ok));
    let (lag_ms, latency_ms) = ((last.sent_ns - last.intended_ns) / 1_000_000, last.latency_us() / 1_000);
    assert!(lag_ms >= 90, "{lag_ms} ms");
    assert!(latency_ms >= lag_ms + 20, "{latency_ms} ms");
    let spacing = |k: usize| (outcome.samples[k].intended_ns - outcome.samples[0].intended_ns) / 1_000;
    assert_eq!(spacing(9), 90_000, "intended sends do not depend on answers");
}

#[tokio::test]
async fn cancelling_leaves_a_whole_history_and_open_operations_unknown() {
    let mock = mock(vec![node(|number| (if number < 3 { AT_ONCE } else { Duration::from_secs(60) }, Ok(())))]);
    let folder = std::env::temp_dir().join(format!("raftian-bench-cancel-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join("history.jsonl");
    let history = HistoryFile::new(std::fs::File::create(&path).unwrap());
    let long = LoadOptions {
        duration: Duration::from_secs(600),
        attempt_timeout: Duration::from_secs(60),
        give_up_after: Duration::from_secs(600),
        ..options()
    };
    let (canceller, cancel) = cancel_pair();
    let load = mock.load(long, Some(history)).await;
    let live = load.live();
    let watcher = async {
        let third = live.acknowledged_since(0).await;
        while live.completions_since(third.sent_ns).len() < 3 {
            live.acknowledged_since(raftian_rpc::clock::monotonic_ns()).await;
        }
        // The fourth is under way once the node was asked for it.
        while mock.nodes[0].asked.lock().unwrap().len() < 4 {
            tokio::task::yield_now().await;
        }
        canceller.cancel();
    };
    let (outcome, ()) = tokio::join!(load.run(&|_| {}, &cancel), watcher);
    let outcome = outcome.unwrap();
    assert_eq!((outcome.summary.ok, outcome.summary.unknown), (3, 1));
    assert_eq!(outcome.interrupted.as_deref(), Some("interrupted"));
    let written = raftian_check::read_history(&std::fs::read(&path).unwrap()[..]).unwrap();
    assert_eq!((written.len(), written[3].completed_ns), (4, None));
    std::fs::remove_dir_all(&folder).unwrap();
}

#[tokio::test]
async fn a_daemon_that_dies_ends_the_load_with_a_reason() {
    let mock = mock(vec![node(|_| (AT_ONCE, Ok(())))]);
    let (_canceller, cancel) = cancel_pair();
    let long = LoadOptions { duration: Duration::from_secs(600), ..options() };
    let load = mock.load(long, None).await;
    mock.daemon.stop().unwrap();
    let outcome = load.run(&|_| {}, &cancel).await.unwrap();
    assert!(outcome.interrupted.unwrap().contains("daemon"));
    assert!(outcome.summary.ok > 0);
}

#[tokio::test]
async fn a_node_that_moves_is_found_where_it_is() {
    let mock = mock(vec![node(|_| (AT_ONCE, Ok(()))), node(|_| (AT_ONCE, Ok(())))]);
    let elsewhere = mock.addresses.lock().unwrap().remove(&n(2)).unwrap();
    let load = mock.load(LoadOptions { duration: Duration::from_secs(600), ..options() }, None).await;
    let live = load.live();
    let moves = async {
        live.acknowledged_since(0).await;
        assert!(mock.nodes[1].asked.lock().unwrap().is_empty());
        mock.addresses.lock().unwrap().insert(n(1), elsewhere);
        while mock.nodes[1].asked.lock().unwrap().is_empty() {
            live.acknowledged_since(raftian_rpc::clock::monotonic_ns()).await;
        }
        live.stop();
    };
    let (_canceller, cancel) = cancel_pair();
    let (outcome, ()) = tokio::join!(load.run(&|_| {}, &cancel), moves);
    assert_eq!(outcome.unwrap().interrupted, None);
}

#[tokio::test]
async fn a_closed_loop_sends_as_soon_as_it_is_answered() {
    let mock = mock(vec![node(|_| (Duration::from_millis(5), Ok(())))]);
    let closed = LoadOptions { rate_per_s: None, clients: 2, ..options() };
    let outcome = run(&mock, closed).await;
    assert_eq!(outcome.summary.offered_rate_per_s, None);
    // 2 clients × 100 ms / (5 ms and a timer's grain): far more than an open loop of 50/s would send.
    assert!(outcome.summary.ok >= 10, "{}", outcome.summary.ok);
    let in_line = outcome.samples.iter().filter(|sample| sample.intended_ns > sample.sent_ns).count();
    assert_eq!(in_line, 0, "nothing is sent before it is meant to be");
}

#[tokio::test]
async fn nonsense_options_are_refused_in_words() {
    let bad = |change: fn(&mut LoadOptions)| {
        let mut options = options();
        change(&mut options);
        options.validate().unwrap_err()
    };
    assert!(bad(|o| o.rate_per_s = Some(0.0)).contains("rate"));
    assert!(bad(|o| o.rate_per_s = Some(f64::NAN)).contains("rate"));
    assert!(bad(|o| o.clients = 0).contains("clients"));
    assert!(bad(|o| o.duration = Duration::ZERO).contains("duration"));
    assert!(bad(|o| o.app_options.players = 0).contains("player"));
}
