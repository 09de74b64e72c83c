//! A cluster of real node processes without a daemon: this test is their parent.

#![allow(dead_code, reason = "each test file uses a part of it")]

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use jsonrpsee::core::ClientError;
use raftian_faults::{Effect, NodeEffect, Rule};
use raftian_rpc::assignment::{Assignment, Cohort, Placement, Trim};
use raftian_rpc::client::{ClientClient as _, Consistency, ReadAnswer, Submitted};
use raftian_rpc::connect::{self, Http};
use raftian_rpc::control::{
    ChangeBegun, Compaction, ControlClient as _, MemberChange, Network, NodeConfig, NodeFault, NodeNotice, NodeStatus,
    ReadMode, Timing,
};
use raftian_rpc::error::NodeError;
use raftian_rpc::lab::FaultId;
use raftian_rpc::secret::Secret;
use raftian_rpc::{AppKind, NodeId, RoleKind, VERSION};
use raftian_supervise::{Launch, Process, ProcessEvent, Seat};
use serde_json::value::RawValue;

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
    pub(crate) process: Process,
    seats: Vec<Arc<Seat>>,
    /// For its standard error.
    _folder: Scratch,
}

impl Node {
    /// Starts a process that is to be this, on seats of its own.
    pub(crate) fn assigned(assignment: &Assignment) -> Node {
        let seats = match assignment {
            Assignment::Node(config) => vec![seat(config.id)],
            Assignment::Together(cohort) => cohort.nodes.iter().map(|node| seat(node.id)).collect(),
            _ => Vec::new(),
        };
        Node::seated(assignment, seats)
    }

    /// Starts a process that is to be this, on these seats.
    pub(crate) fn seated(assignment: &Assignment, seats: Vec<Arc<Seat>>) -> Node {
        Node::spawn(Path::new(env!("CARGO_BIN_EXE_raftian-node")), &assignment.to_line(), seats)
    }

    /// Starts a process that is to be a node, on a seat of its own.
    pub(crate) fn of(config: NodeConfig) -> Node {
        Node::assigned(&Assignment::Node(Box::new(config)))
    }

    /// Starts a program and gives it a line and these seats.
    pub(crate) fn spawn(program: &Path, line: &[u8], seats: Vec<Arc<Seat>>) -> Node {
        let folder = Scratch::new();
        let log = folder.0.join("stderr.log");
        let process = Process::spawn(&Launch { program, line, seats: &seats, log: &log, environment: &[] }).unwrap();
        Node { process, seats, _folder: folder }
    }

    /// The number of the process.
    pub(crate) fn pid(&self) -> u32 {
        self.process.group().leader().pid
    }

    /// Waits until a node of it is ready, and says which, and where it is called.
    pub(crate) async fn ready(&mut self) -> (NodeId, SocketAddr) {
        let ready = |notice| match notice {
            NodeNotice::Ready { node, .. } => Some(node),
            _ => None,
        };
        let node = self.told(ready).await;
        (node, self.seats.iter().find(|seat| seat.node() == node).expect("it is one of these").address())
    }

    /// Waits until it says that it cannot go on, and why.
    pub(crate) async fn failure(&mut self) -> String {
        let failed = |notice| match notice {
            NodeNotice::Failed { reason } => Some(reason),
            _ => None,
        };
        self.told(failed).await
    }

    /// Waits for a notice in which `look` finds something.
    pub(crate) async fn told<T>(&mut self, look: impl Fn(NodeNotice) -> Option<T>) -> T {
        loop {
            let heard =
                tokio::time::timeout(PATIENCE, self.process.next()).await.expect("a notice that was waited for");
            let ProcessEvent::Notice(notice) = heard else { panic!("{heard:?}") };
            if let Some(found) = look(notice) {
                return found;
            }
        }
    }

    /// Waits until it has ended: its exit code, and what it still said.
    pub(crate) async fn ended(&mut self) -> (Option<i32>, Vec<NodeNotice>) {
        let mut said = Vec::new();
        loop {
            match tokio::time::timeout(PATIENCE, self.process.next()).await.expect("an end that was waited for") {
                ProcessEvent::Notice(notice) => said.push(notice),
                ProcessEvent::Ended(status) => return (status.expect("nobody else waits for it").code(), said),
                nonsense => panic!("{nonsense:?}"),
            }
        }
    }

    /// Closes its standard input, as a parent that ends does, and waits until it has left in order.
    pub(crate) async fn shut_down(mut self) {
        self.process.close_input();
        assert_eq!(self.ended().await.0, Some(0));
    }
}

/// A seat on some port.
pub(crate) fn seat(node: NodeId) -> Arc<Seat> {
    Seat::open(node, 0).unwrap()
}

/// A cluster in a scratch folder.
pub(crate) struct Cluster {
    pub(crate) folder: Scratch,
    pub(crate) secret: Secret,
    /// The processes, each by its node, or by its first one.
    pub(crate) nodes: BTreeMap<NodeId, Node>,
    /// Where the nodes are called that run.
    pub(crate) addresses: BTreeMap<NodeId, SocketAddr>,
    /// The seats of all nodes that ever ran.
    seats: BTreeMap<NodeId, Arc<Seat>>,
    /// Peers that the test plays itself.
    pub(crate) played: BTreeMap<NodeId, SocketAddr>,
    voters: Vec<NodeId>,
    version: u64,
    /// The faults of links, and those inside each node.
    rules: Vec<Rule>,
    inside: BTreeMap<NodeId, Vec<NodeFault>>,
    adjust: fn(&mut NodeConfig),
}

pub(crate) fn id(number: u16) -> NodeId {
    NodeId::new(number).unwrap()
}

impl Cluster {
    /// A process for each node.
    pub(crate) async fn start(count: u16) -> Cluster {
        Cluster::start_with(count, |_| {}).await
    }

    /// A process for each node, configured as `adjust` leaves it.
    pub(crate) async fn start_with(count: u16, adjust: fn(&mut NodeConfig)) -> Cluster {
        let mut cluster = Cluster::new(count, adjust);
        for node in cluster.voters.clone() {
            cluster.spawn(node).await;
        }
        cluster.set_rules(&[]).await;
        cluster
    }

    /// One process for all nodes.
    pub(crate) async fn start_together(count: u16, placement: Placement) -> Cluster {
        let mut cluster = Cluster::new(count, |_| {});
        let nodes = cluster.voters.iter().map(|node| cluster.config(*node)).collect();
        let mut process = Node::assigned(&Assignment::Together(Cohort { placement, nodes }));
        for _ in 0..count {
            cluster.addresses.extend([process.ready().await]);
        }
        cluster.nodes.insert(id(1), process);
        cluster.set_rules(&[]).await;
        cluster
    }

    /// A cluster of which no process runs yet.
    pub(crate) fn new(count: u16, adjust: fn(&mut NodeConfig)) -> Cluster {
        Cluster {
            folder: Scratch::new(),
            secret: Secret::generate().unwrap(),
            nodes: BTreeMap::new(),
            addresses: BTreeMap::new(),
            seats: BTreeMap::new(),
            played: BTreeMap::new(),
            voters: NodeId::first(count).collect(),
            version: 0,
            rules: Vec::new(),
            inside: BTreeMap::new(),
            adjust,
        }
    }

    pub(crate) fn node_folder(&self, node: NodeId) -> PathBuf {
        self.folder.0.join(node.to_string())
    }

    /// How a node is started: one that the cluster did not begin with waits to be added.
    pub(crate) fn config(&self, node: NodeId) -> NodeConfig {
        let voters = if self.voters.contains(&node) { self.voters.as_slice() } else { &[] };
        let mut config = config(node, voters, &self.node_folder(node), &self.secret);
        (self.adjust)(&mut config);
        config
    }

    /// Where a node is called, whether it runs or not.
    pub(crate) fn seat(&mut self, node: NodeId) -> Arc<Seat> {
        Arc::clone(self.seats.entry(node).or_insert_with(|| seat(node)))
    }

    /// Starts a node and waits until it is ready.
    pub(crate) async fn spawn(&mut self, node: NodeId) {
        let assignment = Assignment::Node(Box::new(self.config(node)));
        let seats = vec![self.seat(node)];
        let mut process = Node::seated(&assignment, seats);
        self.addresses.extend([process.ready().await]);
        self.nodes.insert(node, process);
    }

    /// Kills the process of a node, and forgets where it is called.
    pub(crate) fn kill(&mut self, node: NodeId) {
        self.nodes.remove(&node).unwrap();
        self.addresses.remove(&node);
    }

    /// Kills the process of a node and starts it again, as one that has been ready before.
    pub(crate) async fn restart(&mut self, node: NodeId) {
        if self.nodes.contains_key(&node) {
            self.kill(node);
        }
        self.spawn(node).await;
        self.set_rules(&[]).await;
    }

    /// Tells all nodes where the others are and which links are cut.
    pub(crate) async fn set_rules(&mut self, cuts: &[(NodeId, NodeId)]) {
        let rule = |(from, to): &(NodeId, NodeId)| rule(*from, *to, Effect::CUT);
        self.set_faults(cuts.iter().map(rule).collect()).await;
    }

    /// Tells all nodes where the others are and what is wrong with the links.
    pub(crate) async fn set_faults(&mut self, rules: Vec<Rule>) {
        self.rules = rules;
        self.configure().await;
    }

    /// Sets the faults inside a node.
    pub(crate) async fn set_inside(&mut self, node: NodeId, effects: &[NodeEffect]) {
        let fault = |(id, effect): (u64, &NodeEffect)| NodeFault { id: FaultId(id), effect: *effect };
        self.inside.insert(node, (1..).zip(effects).map(fault).collect());
        self.configure().await;
    }

    async fn configure(&mut self) {
        self.version += 1;
        let addresses: BTreeMap<_, _> = self.addresses.iter().chain(&self.played).map(|(n, at)| (*n, *at)).collect();
        for node in self.addresses.keys() {
            let (addresses, rules) = (addresses.clone(), self.rules.clone());
            let faults = self.inside.get(node).cloned().unwrap_or_default();
            let network = Network { version: self.version, addresses, rules, faults };
            self.client(*node).configure(network).await.unwrap();
        }
    }

    /// Waits until a node has ended by itself, and what is wrong inside it with it: what it still said.
    pub(crate) async fn gone(&mut self, node: NodeId) -> (Option<i32>, Vec<NodeNotice>) {
        let ended = self.nodes.get_mut(&node).unwrap().ended().await;
        self.kill(node);
        self.inside.remove(&node);
        ended
    }

    /// Cuts a node off from all others.
    pub(crate) async fn isolate(&mut self, node: NodeId) {
        let others: Vec<NodeId> = self.addresses.keys().copied().filter(|other| *other != node).collect();
        let cuts: Vec<_> = others.iter().flat_map(|other| [(node, *other), (*other, node)]).collect();
        self.set_rules(&cuts).await;
    }

    pub(crate) fn client(&self, node: NodeId) -> Http {
        connect::http(self.addresses[&node], &self.secret, PATIENCE).unwrap()
    }

    pub(crate) async fn status(&self, node: NodeId) -> NodeStatus {
        self.client(node).status().await.unwrap()
    }

    /// Asks all nodes again and again until what they say is `good`.
    pub(crate) async fn wait_until(&self, what: &str, good: impl Fn(&[NodeStatus]) -> bool) -> Vec<NodeStatus> {
        let started = Instant::now();
        loop {
            let mut all = Vec::new();
            for node in self.addresses.keys() {
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

    /// Attacks player 3 through a node.
    pub(crate) async fn attack(&self, node: NodeId, client: &str, serial: u64) -> Result<Submitted, NodeError> {
        let command = format!(r#"{{"client":"{client}","serial":{serial},"op":{{"attack":3}}}}"#);
        self.submit(node, command).await
    }

    /// Has a key-value store carry something out through a node.
    pub(crate) async fn change_key(
        &self,
        node: NodeId,
        client: &str,
        serial: u64,
        op: &str,
    ) -> Result<Submitted, NodeError> {
        self.submit(node, format!(r#"{{"client":"{client}","serial":{serial},"op":{op}}}"#)).await
    }

    async fn submit(&self, node: NodeId, command: String) -> Result<Submitted, NodeError> {
        let submitted = self.client(node).submit(RawValue::from_string(command).unwrap(), Some(2_000), None).await;
        submitted.map_err(node_error)
    }

    /// Reads a key through a node.
    pub(crate) async fn get(&self, node: NodeId, key: &str, consistency: Consistency) -> Result<ReadAnswer, NodeError> {
        let op = RawValue::from_string(format!(r#"{{"get":"{key}"}}"#)).unwrap();
        self.client(node).read(op, Some(consistency), Some(1_000), None).await.map_err(node_error)
    }

    /// Has the leader begin a change of the membership, as soon as it can.
    pub(crate) async fn change(&self, leader: NodeId, change: MemberChange) -> Result<ChangeBegun, NodeError> {
        let started = Instant::now();
        loop {
            match self.client(leader).change(change.clone()).await.map_err(node_error) {
                Err(NodeError::NotNow { why }) => assert!(started.elapsed() < PATIENCE, "{change:?}: {why}"),
                outcome => return outcome,
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Has the lead handed to a node, however often that must be asked for.
    pub(crate) async fn hand_over(&self, to: NodeId) {
        let started = Instant::now();
        loop {
            let from = self.leader().await;
            if from == to {
                return;
            }
            assert!(started.elapsed() < PATIENCE, "{to} does not lead");
            match self.client(from).transfer(to).await.map_err(node_error) {
                Ok(()) | Err(NodeError::NotNow { .. } | NodeError::NotLeader { .. }) => {}
                Err(other) => panic!("{from} to {to}: {other}"),
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Waits until all nodes know this membership to be committed: `n1 n2 + n3`.
    pub(crate) async fn members(&self, expected: &str) -> Vec<NodeStatus> {
        let is_so = |status: &NodeStatus| {
            status.membership.as_ref().is_some_and(|m| m.committed && m.configuration.to_string() == expected)
        };
        self.wait_until(expected, |all| all.iter().all(is_so)).await
    }

    /// Waits until all nodes have applied as much, with the same outcome.
    pub(crate) async fn agree(&self, index: u64) -> Vec<NodeStatus> {
        let agreed = |all: &[NodeStatus]| all.iter().all(|s| s.last_applied >= index && s.digest == all[0].digest);
        self.wait_until("agreement", agreed).await
    }

    pub(crate) async fn follower(&self) -> NodeId {
        let all = self.wait_until("a leader", |all| all.iter().all(|status| status.leader.is_some())).await;
        all.iter().find(|status| status.role == RoleKind::Follower).unwrap().node
    }
}

/// A fault on the link from one node to another.
pub(crate) fn rule(from: NodeId, to: NodeId, effect: Effect) -> Rule {
    Rule { from: from.number(), to: to.number(), effect }
}

/// What a node answered.
pub(crate) fn node_error(error: ClientError) -> NodeError {
    NodeError::from_client(&error).unwrap_or_else(|| panic!("{error}"))
}

pub(crate) fn config(node: NodeId, voters: &[NodeId], folder: &Path, secret: &Secret) -> NodeConfig {
    NodeConfig {
        version: VERSION.into(),
        id: node,
        voters: voters.to_vec(),
        expects_log: false,
        cluster: None,
        folder: folder.to_owned(),
        secret: secret.clone(),
        seed: 1,
        app: AppKind::Attack,
        app_options: raftian_rpc::AppOptions::default(),
        timing: Timing::default(),
        compaction: Compaction::default(),
        reads: ReadMode::default(),
        game: None,
        trim: Trim::default(),
        by_hand: None,
    }
}
