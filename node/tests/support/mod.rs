//! A cluster of real node processes without a daemon: this test is their parent.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write as _};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use raftian_faults::{Effect, Rule};
use raftian_rpc::assignment::Trim;
use raftian_rpc::connect::{self, Http};
use raftian_rpc::control::{ControlClient as _, Network, NodeConfig, NodeNotice, NodeStatus, Timing};
use raftian_rpc::secret::Secret;
use raftian_rpc::{AppKind, NodeId, RoleKind, VERSION};

/// Long enough for any machine; nothing below waits this long unless it fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A folder that is removed when it is dropped.
pub(crate) struct Scratch(pub(crate) PathBuf);

impl Scratch {
    pub(crate) fn new() -> Scratch {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("raftian-node-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).unwrap();
        Scratch(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// One process, killed when it is dropped.
pub(crate) struct Node {
    pub(crate) child: Child,
    pub(crate) stdin: Option<ChildStdin>,
    pub(crate) notices: mpsc::Receiver<NodeNotice>,
    pub(crate) address: Option<SocketAddr>,
}

impl Node {
    /// Starts a process and gives it `config`, a line of its own.
    pub(crate) fn spawn(config: &str) -> Node {
        let mut child = Command::new(env!("CARGO_BIN_EXE_raftian-node"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        writeln!(stdin, "{config}").unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let (sender, notices) = mpsc::channel();
        thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                let _ = sender.send(serde_json::from_str(&line).expect("every line is a notice"));
            }
        });
        Node { child, stdin: Some(stdin), notices, address: None }
    }

    /// Waits until it listens.
    pub(crate) fn ready(&mut self) -> SocketAddr {
        match self.notices.recv_timeout(PATIENCE).expect("a first notice") {
            NodeNotice::Ready { port, .. } => {
                let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
                self.address = Some(address);
                address
            }
            other => panic!("not ready: {other:?}"),
        }
    }

    pub(crate) fn failure(&mut self) -> String {
        match self.notices.recv_timeout(PATIENCE).expect("a first notice") {
            NodeNotice::Failed { reason } => reason,
            other => panic!("not a failure: {other:?}"),
        }
    }

    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A cluster in a scratch folder.
pub(crate) struct Cluster {
    pub(crate) folder: Scratch,
    pub(crate) secret: Secret,
    pub(crate) nodes: BTreeMap<NodeId, Node>,
    voters: Vec<NodeId>,
    version: u64,
}

pub(crate) fn id(number: u16) -> NodeId {
    NodeId::new(number).unwrap()
}

impl Cluster {
    pub(crate) async fn start(count: u16) -> Cluster {
        let mut cluster = Cluster {
            folder: Scratch::new(),
            secret: Secret::generate().unwrap(),
            nodes: BTreeMap::new(),
            voters: NodeId::first(count).collect(),
            version: 0,
        };
        for node in cluster.voters.clone() {
            cluster.spawn(node);
        }
        cluster.set_rules(&[]).await;
        cluster
    }

    pub(crate) fn node_folder(&self, node: NodeId) -> PathBuf {
        self.folder.0.join(node.to_string())
    }

    pub(crate) fn config(&self, node: NodeId) -> NodeConfig {
        config(node, &self.voters, &self.node_folder(node), &self.secret)
    }

    /// Starts a node and waits until it listens.
    pub(crate) fn spawn(&mut self, node: NodeId) {
        let mut process = Node::spawn(&serde_json::to_string(&self.config(node)).unwrap());
        process.ready();
        self.nodes.insert(node, process);
    }

    /// Tells all nodes where the others are and which links are cut.
    pub(crate) async fn set_rules(&mut self, cuts: &[(NodeId, NodeId)]) {
        self.version += 1;
        let rule = |(from, to): &(NodeId, NodeId)| Rule { from: from.number(), to: to.number(), effect: Effect::CUT };
        let network = Network {
            version: self.version,
            addresses: self.nodes.iter().map(|(id, node)| (*id, node.address.unwrap())).collect(),
            rules: cuts.iter().map(rule).collect(),
        };
        for node in self.nodes.keys() {
            self.client(*node).configure(network.clone()).await.unwrap();
        }
    }

    pub(crate) fn client(&self, node: NodeId) -> Http {
        connect::http(self.nodes[&node].address.unwrap(), &self.secret, PATIENCE).unwrap()
    }

    pub(crate) async fn status(&self, node: NodeId) -> NodeStatus {
        self.client(node).status().await.unwrap()
    }

    /// Asks all nodes again and again until what they say is `good`.
    pub(crate) async fn wait_until(&self, what: &str, good: impl Fn(&[NodeStatus]) -> bool) -> Vec<NodeStatus> {
        let started = Instant::now();
        loop {
            let mut all = Vec::new();
            for node in self.nodes.keys() {
                all.push(self.status(*node).await);
            }
            if good(&all) {
                return all;
            }
            assert!(started.elapsed() < PATIENCE, "{what} did not come about: {all:#?}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Waits until all nodes follow one leader, and names it.
    pub(crate) async fn leader(&self) -> NodeId {
        let agreed = |all: &[NodeStatus]| {
            let leader = all[0].leader;
            leader.is_some() && all.iter().all(|status| status.leader == leader)
        };
        self.wait_until("a leader", agreed).await[0].leader.unwrap()
    }

    /// Waits for a leader of a later term.
    pub(crate) async fn leader_after(&self, term: u64) -> NodeId {
        let agreed = |all: &[NodeStatus]| all.iter().all(|s| s.term > term && s.leader.is_some());
        self.wait_until("a new leader", agreed).await[0].leader.unwrap()
    }

    pub(crate) async fn follower(&self) -> NodeId {
        let all = self.wait_until("a leader", |all| all.iter().all(|status| status.leader.is_some())).await;
        all.iter().find(|status| status.role == RoleKind::Follower).unwrap().node
    }
}

pub(crate) fn config(node: NodeId, voters: &[NodeId], folder: &Path, secret: &Secret) -> NodeConfig {
    NodeConfig {
        version: VERSION.into(),
        id: node,
        voters: voters.to_vec(),
        port: 0,
        expects_log: false,
        folder: folder.to_owned(),
        secret: secret.clone(),
        seed: 1,
        app: AppKind::Attack,
        players: 5,
        timing: Timing::default(),
        game: None,
        trim: Trim::default(),
    }
}
