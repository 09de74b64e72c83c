//! A cluster without a daemon: this program is the parent of its nodes, so that a trial has the processes it measures
//! and no others.
//!
//! Invariants: the node that is meant to lead does, within milliseconds, or the cluster does not start. Nothing is left
//! of it when it is dropped.
//!
//! Deliberately absent: following nodes that fail by themselves; a trial in which one does has failed.

mod cores;
mod display;
mod processes;
mod solo;
mod usage;
mod verdict;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use raftian_rpc::assignment::{Assignment, Cohort, HostedGame, Placement, Trim};
use raftian_rpc::clock::monotonic_ns;
use raftian_rpc::connect::{self, Http};
use raftian_rpc::control::{
    Compaction, ControlClient as _, Counters, Network, NodeConfig, NodeStatus, ReadMode, Timing,
};
use raftian_rpc::faults::{Effect, Rule};
use raftian_rpc::secret::Secret;
use raftian_rpc::{AppKind, NodeId, VERSION};
use raftian_supervise::Seat;
use rustix::process::Signal;

use self::processes::Processes;
use crate::experiments::Bench;
use crate::load::Source;

pub(crate) use self::display::Display;
pub(crate) use self::processes::{Snapshot, Told};
pub(crate) use self::solo::Solo;

/// How long a control call may take.
const CALL_TIMEOUT: Duration = Duration::from_secs(5);

/// The players of every game.
pub(crate) const PLAYERS: u16 = 5;

/// What a cluster is to be.
#[derive(Clone, Debug)]
pub(crate) struct Design {
    /// How many nodes it has.
    pub(crate) nodes: u16,
    /// The node that is to lead.
    pub(crate) leader: NodeId,
    /// Election and heartbeat times.
    pub(crate) timing: Timing,
    /// What is changed about the nodes; the leader alone campaigns first.
    pub(crate) trim: Trim,
    /// The game of the first node, if there is one.
    pub(crate) game: Option<HostedGame>,
    /// How the nodes share one process; `None` gives each its own.
    pub(crate) placement: Option<Placement>,
    /// On how many cores all of it runs; `None` for all.
    pub(crate) cores: Option<usize>,
}

/// A running cluster.
#[derive(Debug)]
pub(crate) struct Cluster {
    processes: Processes,
    folder: PathBuf,
    design: Design,
    secret: Secret,
    seed: u64,
    voters: Vec<NodeId>,
    /// Where each node is called, over all of its processes.
    seats: BTreeMap<NodeId, Arc<Seat>>,
    clients: BTreeMap<NodeId, Http>,
    /// The process of each node that has one of its own.
    numbers: BTreeMap<NodeId, usize>,
    rules: Vec<Rule>,
    version: u64,
}

impl Default for Design {
    /// Three nodes as labs run them, each a process; the first one leads.
    fn default() -> Design {
        Design {
            nodes: 3,
            leader: first(),
            timing: Timing::default(),
            trim: Trim::default(),
            game: None,
            placement: None,
            cores: None,
        }
    }
}

/// The first node: the one that has the game, if there is one.
pub(crate) fn first() -> NodeId {
    node(1)
}

/// The node with this number.
pub(crate) fn node(number: u16) -> NodeId {
    NodeId::new(number).expect("nodes are numbered from one")
}

impl Cluster {
    /// Starts the nodes and waits until all of them follow the one that is to lead.
    ///
    /// # Errors
    /// When a process cannot be spawned, fails, or another node leads.
    pub(crate) async fn start(bench: &Bench, design: Design) -> anyhow::Result<Cluster> {
        let mut cluster = Cluster {
            processes: Processes::new(bench, design.cores),
            folder: bench.folder.clone(),
            secret: Secret::generate().context("the system gives us no random numbers")?,
            seed: bench.seed,
            voters: NodeId::first(design.nodes).collect(),
            seats: BTreeMap::new(),
            clients: BTreeMap::new(),
            numbers: BTreeMap::new(),
            rules: Vec::new(),
            version: 0,
            design,
        };
        cluster.open_seats()?;
        cluster.spawn_all()?;
        let voters = cluster.voters.clone();
        cluster
            .processes
            .until("all nodes to be ready", |told| voters.iter().all(|node| told.ready(*node) > 0).then_some(()))
            .await?;
        cluster.configure().await?;
        let leader = cluster.processes.until("a leader", |told| told.leader_of_all(&voters)).await?;
        let wanted = cluster.design.leader;
        ensure!(leader == wanted, "{leader} leads, and {wanted} should; is the machine too busy?");
        Ok(cluster)
    }

    /// The design it was started with.
    pub(crate) fn design(&self) -> &Design {
        &self.design
    }

    /// Where a load finds its nodes.
    pub(crate) fn source(&self) -> Source {
        Source::Fixed { addresses: self.addresses().collect(), secret: self.secret.clone() }
    }

    /// Waits until the game has drawn its first frame, and says when.
    ///
    /// # Errors
    /// When it does not.
    pub(crate) async fn playing_ns(&mut self) -> anyhow::Result<u64> {
        self.processes.until("the first frame", |told| told.playing_ns).await
    }

    /// Waits until what the nodes have told fits.
    ///
    /// # Errors
    /// When it does not come about.
    pub(crate) async fn until<T>(&mut self, what: &str, found: impl FnMut(&Told) -> Option<T>) -> anyhow::Result<T> {
        self.processes.until(what, found).await
    }

    /// What the nodes have told up to now.
    ///
    /// # Errors
    /// When one of them has failed.
    pub(crate) fn told(&mut self) -> anyhow::Result<&Told> {
        self.processes.told()
    }

    /// What all processes have used so far.
    pub(crate) fn snapshot(&self) -> Snapshot {
        self.processes.snapshot()
    }

    /// Puts these rules on the links, on the leader's first.
    ///
    /// # Errors
    /// When a node does not take them.
    pub(crate) async fn set_rules(&mut self, rules: Vec<Rule>) -> anyhow::Result<()> {
        self.rules = rules;
        let network = self.next_network();
        let leader = self.design.leader;
        let others = self.voters.iter().filter(|node| **node != leader);
        for node in std::iter::once(&leader).chain(others) {
            self.client(*node).configure(network.clone()).await.with_context(|| format!("{node} takes no rules"))?;
        }
        Ok(())
    }

    /// Cuts a node off from all others. When this node itself knows of it, nothing of it gets through any more: that
    /// moment is returned, and the others are told after it.
    ///
    /// # Errors
    /// When a node does not take the rules.
    pub(crate) async fn isolate(&mut self, node: NodeId) -> anyhow::Result<u64> {
        let cut = |from: NodeId, to: NodeId| Rule { from: from.number(), to: to.number(), effect: Effect::CUT };
        let others = self.voters.iter().copied().filter(|other| *other != node);
        self.rules = others.flat_map(|other| [cut(node, other), cut(other, node)]).collect();
        let network = self.next_network();
        self.client(node).configure(network.clone()).await.context("the node takes no rules")?;
        let cut_ns = monotonic_ns();
        for other in self.voters.iter().filter(|other| **other != node) {
            self.client(*other).configure(network.clone()).await.context("a node takes no rules")?;
        }
        Ok(cut_ns)
    }

    /// Kills the process of a node.
    ///
    /// # Errors
    /// When it is gone, or does not end.
    pub(crate) async fn kill(&mut self, node: NodeId) -> anyhow::Result<()> {
        let number = self.numbers.remove(&node).with_context(|| format!("{node} has no process"))?;
        self.processes.kill(number).await
    }

    /// Stops or continues the process of a node.
    ///
    /// # Errors
    /// When it is gone.
    pub(crate) fn signal(&self, node: NodeId, signal: Signal) -> anyhow::Result<()> {
        let number = self.numbers.get(&node).with_context(|| format!("{node} has no process"))?;
        self.processes.signal(*number, signal)
    }

    /// Starts the process of a node that was killed, with what it has on disk.
    ///
    /// # Errors
    /// When it does not start.
    pub(crate) async fn restart(&mut self, node: NodeId) -> anyhow::Result<()> {
        let before = self.processes.told()?.ready(node);
        self.spawn_node(node, true)?;
        self.processes.until("the node to be ready again", |told| (told.ready(node) > before).then_some(())).await?;
        self.set_rules(self.rules.clone()).await
    }

    /// Lets the process of a node leave in order, so that everything it has to write is written.
    ///
    /// # Errors
    /// When it does not leave.
    pub(crate) async fn dismiss(&mut self, node: NodeId) -> anyhow::Result<()> {
        let number = self.numbers.remove(&node).with_context(|| format!("{node} has no process"))?;
        self.processes.dismiss(number).await
    }

    /// What all nodes together have counted.
    ///
    /// # Errors
    /// When a node does not answer.
    pub(crate) async fn counters(&self) -> anyhow::Result<Counters> {
        let mut sum = Counters::default();
        for status in self.statuses().await? {
            let Counters { proposed, forwarded, applied, calls, dropped, syncs, snapshots, reads, notices_dropped } =
                status.counters;
            sum.proposed += proposed;
            sum.forwarded += forwarded;
            sum.applied += applied;
            sum.calls += calls;
            sum.dropped += dropped;
            sum.syncs += syncs;
            sum.snapshots += snapshots;
            sum.reads += reads;
            sum.notices_dropped += notices_dropped;
        }
        Ok(sum)
    }

    /// What a node is doing.
    ///
    /// # Errors
    /// When it does not answer.
    pub(crate) async fn status(&self, node: NodeId) -> anyhow::Result<NodeStatus> {
        self.client(node).status().await.with_context(|| format!("{node} does not answer"))
    }

    /// A control call that changes nothing, to see how long one takes.
    ///
    /// # Errors
    /// When the node does not answer.
    pub(crate) async fn ping(&self, node: NodeId) -> anyhow::Result<()> {
        // An older version than the last is ignored.
        let network = Network { version: 0, addresses: BTreeMap::new(), rules: Vec::new(), faults: Vec::new() };
        self.client(node).configure(network).await.with_context(|| format!("{node} does not answer"))
    }

    /// Has somebody listen for every node, and learns to call it.
    fn open_seats(&mut self) -> anyhow::Result<()> {
        for node in &self.voters {
            let seat = Seat::open(*node, 0).context("nothing can listen on 127.0.0.1")?;
            self.clients.insert(*node, connect::http(seat.address(), &self.secret, CALL_TIMEOUT)?);
            self.seats.insert(*node, seat);
        }
        Ok(())
    }

    fn addresses(&self) -> impl Iterator<Item = (NodeId, SocketAddr)> {
        self.seats.iter().map(|(node, seat)| (*node, seat.address()))
    }

    fn spawn_all(&mut self) -> anyhow::Result<()> {
        let Some(placement) = self.design.placement else {
            return self.voters.clone().into_iter().try_for_each(|node| self.spawn_node(node, false));
        };
        let nodes = self.voters.iter().map(|node| self.config(*node, false)).collect();
        let assignment = Assignment::Together(Cohort { placement, nodes });
        let seats: Vec<Arc<Seat>> = self.seats.values().cloned().collect();
        self.processes.spawn("nodes", &assignment, &seats)?;
        Ok(())
    }

    fn spawn_node(&mut self, node: NodeId, expects_log: bool) -> anyhow::Result<()> {
        let assignment = Assignment::Node(Box::new(self.config(node, expects_log)));
        let seats = [Arc::clone(&self.seats[&node])];
        let number = self.processes.spawn(&node.to_string(), &assignment, &seats)?;
        self.numbers.insert(node, number);
        Ok(())
    }

    fn config(&self, node: NodeId, expects_log: bool) -> NodeConfig {
        let Design { leader, timing, trim, .. } = self.design;
        NodeConfig {
            version: VERSION.into(),
            id: node,
            voters: self.voters.clone(),
            expects_log,
            cluster: None,
            folder: self.folder.join(node.to_string()),
            secret: self.secret.clone(),
            seed: self.seed,
            app: AppKind::Attack,
            app_options: PLAYERS.into(),
            timing,
            // The judges read whole logs.
            compaction: Compaction { log_bytes: None, ..Compaction::default() },
            reads: ReadMode::default(),
            game: self.design.game.clone().filter(|_| node == first()),
            trim: Trim { campaigns_first: node == leader && !expects_log, ..own_trim(trim, node) },
            by_hand: None,
        }
    }

    /// Tells all nodes for the first time: the leader last, since it asks for votes at once.
    async fn configure(&mut self) -> anyhow::Result<()> {
        let network = self.next_network();
        let leader = self.design.leader;
        let others = self.voters.iter().filter(|node| **node != leader);
        for node in others.chain([&leader]) {
            self.client(*node).configure(network.clone()).await.with_context(|| format!("{node} does not answer"))?;
        }
        Ok(())
    }

    fn next_network(&mut self) -> Network {
        self.version += 1;
        Network {
            version: self.version,
            addresses: self.addresses().collect(),
            rules: self.rules.clone(),
            faults: Vec::new(),
        }
    }

    fn client(&self, node: NodeId) -> &Http {
        &self.clients[&node]
    }
}

/// The lock is between a game and its server, so nodes without a game have none; and what their servers compute would
/// only be in the way of the one that has.
fn own_trim(trim: Trim, node: NodeId) -> Trim {
    if node == first() { trim } else { Trim { global_lock: false, server_work_us: 0, ..trim } }
}
