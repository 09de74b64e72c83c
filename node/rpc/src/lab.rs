//! `lab.*`: what the daemon does for people and scripts.
//!
//! Invariant: calls that read never start or change anything. A call that changes something blocks until the change
//! is true, or fails with a [`LabError`](crate::error::LabError) that names what is missing; calling it again when
//! all is so already succeeds and says so.

mod damage;
mod divergence;
mod fault;
mod gateway;
mod journal;
mod member;
mod why;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::PathBuf;

use jsonrpsee::core::{RpcResult, SubscriptionResult};
use jsonrpsee::proc_macros::rpc;
use serde::{Deserialize, Serialize};

use crate::assignment::Hosting;
use crate::condition::Condition;
use crate::control::{ByHand, LogPage, NodeStatus, ReadMode, Standing, Timing};
use crate::game::Scene;
use crate::hint::Note;
use crate::selector::Selector;
use crate::{AppKind, AppOptions, Configuration, Index, NodeId, Size, Term};

pub use damage::{DamageReport, DamageRequest};
pub use divergence::{Difference, Divergence};
pub use fault::{
    ClearReport, Fault, FaultEnd, FaultId, FaultKind, FaultReport, FaultRequest, Layout, NetworkRequest,
    NodeFaultRequest, PartitionRequest, Proof,
};
pub use gateway::{
    CanvasClosed, CanvasCounts, CanvasNode, CanvasReport, CanvasRequest, CanvasShare, DEFAULT_CANVAS_PORT, NotAnOrigin,
    Origin, Origins, Strategy,
};
pub use journal::{Event, Happening};
pub use member::{
    MemberReport, MemberRequest, MemberVerb, SnapshotReport, SnapshotRequest, TransferReport, TransferRequest,
};
pub use why::{Question, WhyReport};

/// The methods. All errors are [`LabError`](crate::error::LabError)s.
#[rpc(client, server, namespace = "lab", namespace_separator = ".")]
pub trait Lab {
    /// Who answers.
    #[method(name = "hello")]
    async fn hello(&self) -> RpcResult<Hello>;

    /// Brings the lab up, and waits for a leader.
    #[method(name = "start")]
    async fn start(&self, request: StartRequest) -> RpcResult<StartReport>;

    /// Stops all nodes and then the daemon; with `purge`, removes the lab's folder as well.
    #[method(name = "stop")]
    async fn stop(&self, purge: bool) -> RpcResult<StopReport>;

    /// What every node is doing.
    #[method(name = "status")]
    async fn status(&self) -> RpcResult<LabStatus>;

    /// Where the nodes listen. Changes when a node has to move to another port.
    #[method(name = "addresses")]
    async fn addresses(&self) -> RpcResult<BTreeMap<NodeId, SocketAddr>>;

    /// Kills, pauses, resumes, restarts or stops nodes.
    #[method(name = "act")]
    async fn act(&self, request: ActRequest) -> RpcResult<ActReport>;

    /// Adds, promotes or removes a member of the cluster (§6).
    #[method(name = "member")]
    async fn member(&self, request: MemberRequest) -> RpcResult<MemberReport>;

    /// Hands the lead over to another node (thesis §3.10).
    #[method(name = "transfer")]
    async fn transfer(&self, request: TransferRequest) -> RpcResult<TransferReport>;

    /// Has nodes take a snapshot and discard the log it stands for (§7).
    #[method(name = "snapshot")]
    async fn snapshot(&self, request: SnapshotRequest) -> RpcResult<SnapshotReport>;

    /// Cuts links between groups of nodes.
    #[method(name = "partition")]
    async fn partition(&self, request: PartitionRequest) -> RpcResult<FaultReport>;

    /// Adds a fault to links.
    #[method(name = "fault_add")]
    async fn fault_add(&self, request: FaultRequest) -> RpcResult<FaultReport>;

    /// Puts all nodes into a network by name.
    #[method(name = "network")]
    async fn network(&self, request: NetworkRequest) -> RpcResult<FaultReport>;

    /// Adds a fault inside nodes.
    #[method(name = "node_fault_add")]
    async fn node_fault_add(&self, request: NodeFaultRequest) -> RpcResult<FaultReport>;

    /// The faults in force.
    #[method(name = "fault_list")]
    async fn fault_list(&self) -> RpcResult<Vec<Fault>>;

    /// Clears one fault; without an id, all of them (heal).
    #[method(name = "fault_clear")]
    async fn fault_clear(&self, id: Option<FaultId>) -> RpcResult<ClearReport>;

    /// Damages the files of nodes that are down.
    #[method(name = "damage")]
    async fn damage(&self, request: DamageRequest) -> RpcResult<DamageReport>;

    /// Waits until a condition holds.
    #[method(name = "wait")]
    async fn wait(&self, condition: Condition, timeout_ms: u64) -> RpcResult<WaitReport>;

    /// What a selector names at this moment.
    #[method(name = "resolve")]
    async fn resolve(&self, selector: Selector) -> RpcResult<Resolution>;

    /// Why things are as they are.
    #[method(name = "why")]
    async fn why(&self, question: Question) -> RpcResult<WhyReport>;

    /// A page of the logs of some nodes (see [`control`](crate::control)).
    #[method(name = "log")]
    async fn log(&self, selector: Selector, from: Index, limit: u64) -> RpcResult<LogReport>;

    /// Opens the canvas to painters, until it is closed or the daemon ends.
    #[method(name = "canvas_serve")]
    async fn canvas_serve(&self, request: CanvasRequest) -> RpcResult<CanvasReport>;

    /// The canvas that is open, if one is.
    #[method(name = "canvas_status")]
    async fn canvas_status(&self) -> RpcResult<Option<CanvasReport>>;

    /// An address under which painters come in.
    #[method(name = "canvas_share")]
    async fn canvas_share(&self, read_only: bool) -> RpcResult<CanvasShare>;

    /// Closes the canvas to painters; the nodes go on.
    #[method(name = "canvas_close")]
    async fn canvas_close(&self) -> RpcResult<CanvasClosed>;

    /// The last `limit` events of the journal.
    #[method(name = "events")]
    async fn events(&self, limit: u64) -> RpcResult<Vec<Event>>;

    /// The journal from event `since` on, and then every new event as it happens (WebSocket only). A subscriber that
    /// lags too far behind is dropped and should subscribe again from the one after the last `seq` it saw.
    #[subscription(name = "subscribe" => "event", unsubscribe = "unsubscribe", item = Event)]
    async fn follow(&self, since: u64) -> SubscriptionResult;
}

/// Who a daemon is.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Hello {
    /// The daemon's version.
    pub version: String,
    /// The lab's name.
    pub lab: String,
    /// The lab's folder.
    pub folder: PathBuf,
    /// The daemon's process.
    pub pid: u32,
    /// Whether nodes have been started.
    pub started: bool,
}

/// How the daemon can be found: the content of `daemon.json` in the lab's folder, written when it listens.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DaemonFile {
    /// The daemon's version.
    pub version: String,
    /// The daemon's process.
    pub pid: u32,
    /// Where it listens.
    pub address: SocketAddr,
}

/// What kind of lab is wanted. What is `None` keeps the value of the lab's last start, else the default.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct StartRequest {
    /// How many nodes: 1 to [`MAX_NODES`](crate::MAX_NODES); by default 5. A lab that has nodes is asked for as many as
    /// it has now, or it is a conflict: members come and go by [`Lab::member`](LabClient::member) alone.
    pub nodes: Option<u16>,
    /// The replicated application; by default the attack game.
    pub app: Option<AppKind>,
    /// How many players an attack game has; by default one per node.
    pub players: Option<u16>,
    /// How large a canvas is; by default 64×64.
    pub size: Option<Size>,
    /// The seed of the run; by default 1.
    pub seed: Option<u64>,
    /// Election and heartbeat times; by default the paper's.
    pub timing: Option<Timing>,
    /// After how many bytes of log a node takes a snapshot; by default 64 MiB. 0 is never.
    pub snapshot_bytes: Option<u64>,
    /// How leaders answer linearizable reads; by default by a round of messages.
    pub reads: Option<ReadMode>,
    /// The game beside each server; by default none.
    pub game: Option<GameChoice>,
    /// The node that stands for election at once when the lab is first started, so that it most likely leads the first
    /// term; by default none.
    #[serde(default)]
    pub first_leader: Option<NodeId>,
    /// The nodes of a lab that is moved by hand, when it is first started: of those beyond the first `nodes` each waits to
    /// be added. A lab moves by itself where there are none.
    #[serde(default)]
    pub by_hand: BTreeMap<NodeId, ByHand>,
    /// Whether to return when the nodes are up, without waiting for a leader.
    pub no_wait: bool,
    /// How long all of it may take, in milliseconds.
    pub timeout_ms: u64,
}

/// Whether nodes have a game beside their server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GameChoice {
    /// Servers alone.
    #[default]
    None,
    /// A game loop in every node.
    Hosted {
        /// Where the server runs.
        hosting: Hosting,
        /// What the game draws.
        scene: Scene,
        /// The most frames per second; `None` for as many as the machine draws.
        fps_cap: Option<u32>,
    },
}

impl std::fmt::Display for GameChoice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            GameChoice::None => f.write_str("no game"),
            GameChoice::Hosted { hosting, scene, fps_cap: None } => write!(f, "{scene} in hosting {hosting}, uncapped"),
            GameChoice::Hosted { hosting, scene, fps_cap: Some(cap) } => {
                write!(f, "{scene} in hosting {hosting}, {cap} fps at most")
            }
        }
    }
}

/// A lab that is up.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct StartReport {
    /// The lab's name.
    pub lab: String,
    /// Whether anything had to be started.
    pub changed: bool,
    /// The nodes that run.
    pub nodes: Vec<NodeId>,
    /// The nodes started by this call.
    pub started: Vec<NodeId>,
    /// Who leads, since when; `None` with `no_wait`.
    pub leader: Option<Leadership>,
    /// What a person should know: a torn log tail that was cut, a port that had to change, orphans cleaned up.
    pub notes: Vec<Note>,
}

/// A leader and how long it took to get one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leadership {
    /// Who leads.
    pub leader: NodeId,
    /// The term it leads.
    pub term: Term,
    /// From the start of the command (the signal, for `kill`) to the leader's election; 0 if it led before.
    pub after_ms: u64,
}

/// A lab that is down.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct StopReport {
    /// The nodes that were running.
    pub stopped: Vec<NodeId>,
    /// Nodes that did not leave when asked and were killed.
    pub killed: Vec<NodeId>,
    /// The folder that was removed, if any.
    pub purged: Option<PathBuf>,
    /// What a person should know: that `lab.json` could not be brought up to date.
    pub notes: Vec<Note>,
}

/// What every node is doing.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LabStatus {
    /// The lab's name.
    pub lab: String,
    /// The lab's folder.
    pub folder: PathBuf,
    /// The replicated application; `None` for a lab that was never started.
    pub app: Option<AppKind>,
    /// What the application was started with; judges replay the log from there.
    #[serde(flatten)]
    pub app_options: Option<AppOptions>,
    /// The game beside each server; none in a lab that was never started.
    #[serde(default)]
    pub game: GameChoice,
    /// The seed of the run.
    pub seed: u64,
    /// Election and heartbeat times.
    #[serde(default)]
    pub timing: Timing,
    /// What is wrong or under way, the most important first; that all is well, if nothing is. The first is the *reason
    /// line*.
    #[serde(default)]
    pub reasons: Vec<Note>,
    /// The node that leads with a recent quorum, and its term.
    pub leader: Option<NodeId>,
    /// The highest term any node has seen.
    pub term: Term,
    /// Who takes part in the cluster, as the leader last said; `None` for a lab that was never started. A member that
    /// is not among the nodes has no process in this lab.
    #[serde(default)]
    pub members: Option<Configuration>,
    /// The nodes, in order.
    pub nodes: Vec<NodeReport>,
    /// The faults in force.
    pub faults: Vec<Fault>,
    /// Nodes that have committed different entries, which must never be; the first that this daemon saw.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub divergence: Option<Divergence>,
    /// The daemon's own process.
    pub daemon: ProcessUsage,
}

/// One node, seen from the daemon.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct NodeReport {
    /// The node.
    pub node: NodeId,
    /// What its process is doing.
    pub state: NodeState,
    /// What it is in the cluster, as the leader last said; `None` before there was one.
    pub standing: Option<Standing>,
    /// Why it is not running, for people.
    pub reason: Option<Note>,
    /// Where it listens, once it has.
    pub address: Option<SocketAddr>,
    /// What its process uses; `None` when there is none.
    pub usage: Option<ProcessUsage>,
    /// How often it has been started.
    pub starts: u64,
    /// That its disk went back in time: entries up to this index, which it had stored and others may rest on, are gone
    /// from it. So it stays until the node is removed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rolled_back: Option<Index>,
    /// What it says of itself; `None` when it does not answer.
    pub server: Option<NodeStatus>,
    /// What it said when it last answered, where it does not now; `None` where the daemon has not asked it since the
    /// daemon was started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<NodeStatus>,
}

/// The state of a node's process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NodeState {
    /// Spawned, not yet listening.
    Starting,
    /// Running.
    Running,
    /// Stopped by SIGSTOP.
    Paused,
    /// Asked to leave, and gone.
    Stopped,
    /// Killed by us.
    Killed,
    /// Gone by itself.
    Failed,
}

/// What a process uses.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct ProcessUsage {
    /// The process.
    pub pid: u32,
    /// Percent of one core over the last sampling interval (about a second); `None` before there was one.
    pub cpu_percent: Option<f32>,
    /// CPU time since its start, in milliseconds.
    pub cpu_ms: u64,
    /// Resident memory, in bytes.
    pub memory_bytes: u64,
}

/// A verb for nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// SIGKILL: a crash.
    Kill,
    /// SIGSTOP.
    Pause,
    /// SIGCONT.
    Resume,
    /// Start it with what is on its disk, if it does not run.
    Start,
    /// Stop it if it runs, then start it with what is on its disk.
    Restart,
    /// The same, one after another, the leader last, and each waits for a leader.
    RollingRestart,
    /// A crash that takes with it what is known not to be synced.
    PowerLoss,
    /// SIGTERM: leave in order.
    Stop,
}

/// Do this to those.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ActRequest {
    /// What.
    pub action: Action,
    /// To whom.
    pub selector: Selector,
    /// Whether to return at once, without waiting for the next leader.
    pub no_wait: bool,
    /// How long it may take, in milliseconds.
    pub timeout_ms: u64,
}

/// What was done to whom.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ActReport {
    /// What.
    pub action: Action,
    /// Whom the selector named.
    pub resolved: Resolution,
    /// The nodes whose state changed.
    pub changed: BTreeSet<NodeId>,
    /// The nodes that this cannot be done to, for instance pausing a dead one. All others were so already.
    pub unfit: BTreeSet<NodeId>,
    /// Who leads afterwards, where leadership changed or was waited for.
    pub leader: Option<Leadership>,
    /// What a person should know, for instance that the rest cannot elect a leader.
    pub notes: Vec<Note>,
}

/// What a selector was found to name.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Resolution {
    /// The selector as typed.
    pub selector: Selector,
    /// The nodes it named.
    pub nodes: BTreeSet<NodeId>,
    /// The leader and term at that moment, where the selector looked at it.
    pub leader: Option<(NodeId, Term)>,
}

/// A condition that holds.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct WaitReport {
    /// The condition.
    pub condition: Condition,
    /// How long it took to become true; 0 if it was so at the first look.
    pub after_ms: u64,
    /// Who leads.
    pub leader: Option<NodeId>,
    /// The term.
    pub term: Term,
    /// The leader's commitIndex.
    pub commit_index: Index,
}

/// Logs side by side.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LogReport {
    /// Whom the selector named.
    pub resolved: Resolution,
    /// The pages of those that answered. Those of several nodes may be shorter than was asked for, even empty, where they
    /// would not fit into one answer: ask for the rest node by node.
    pub pages: Vec<LogPage>,
    /// Those that did not answer, and why.
    pub silent: BTreeMap<NodeId, String>,
}
