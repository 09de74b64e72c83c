//! `control.*`: how the daemon steers and inspects a node, what the two say to each other over the node's pipes, and how a
//! node is moved by hand.
//!
//! Invariant: control calls bypass link faults, so a lab can always be healed.
//!
//! A node is started with an [`Assignment`](crate::assignment::Assignment) as one JSON line on its standard input; the
//! open pipe is its lifeline. It answers with [`NodeNotice`]s, one JSON line each, on its standard output.

mod by_hand;
mod fault;
mod members;
mod probe;
mod timing;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use jsonrpsee::core::RpcResult;
use jsonrpsee::proc_macros::rpc;
use raftian_raft::{Entry, Payload};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::assignment::{HostedGame, Trim};
use crate::cluster::ClusterId;
use crate::faults::Rule;
use crate::game::GameReport;
use crate::host_event::HostEvent;
use crate::record::RecentCalls;
use crate::secret::Secret;
use crate::{AppKind, AppOptions, Configuration, Index, NodeId, RaftEvent, RoleKind, Term};

pub use by_hand::{ByHand, DiskContent, Durable, Move, Sent, Settled, Step, Tuning};
pub use fault::{ClockReading, Damaged, Measured, NodeFault, NodeFaultStatus};
pub use members::{ChangeBegun, MemberChange, Membership, PeerProgress, Standing};
pub use probe::{MAX_PROBE_PATIENCE_MS, MAX_PROBES, Probed, Probes};
pub use timing::Timing;

/// The most entries `control.log` returns at once.
pub const MAX_LOG_PAGE: u64 = 4096;

/// How many of the last entries of its log a node tells the terms of in its status.
pub const RECENT_TERMS: usize = 24;

/// The methods.
#[rpc(client, server, namespace = "control", namespace_separator = ".")]
pub trait Control {
    /// What the node is doing.
    ///
    /// # Errors
    /// When the node is shutting down.
    #[method(name = "status")]
    async fn status(&self) -> RpcResult<NodeStatus>;

    /// Tells the node where its peers are and what is wrong with its links. A node takes part in the cluster from
    /// the first such call on. Calls are idempotent; one with an older `version` than the last is ignored.
    ///
    /// # Errors
    /// When the node is shutting down, or a rule is out of range.
    #[method(name = "configure")]
    async fn configure(&self, network: Network) -> RpcResult<()>;

    /// Sends probes over its links, and says what became of them.
    ///
    /// # Errors
    /// When they are too many, or would be waited for too long.
    #[method(name = "probe")]
    async fn probe(&self, probes: Probes) -> RpcResult<Vec<Probed>>;

    /// A page of the log from `from` on: at most `limit` entries, and at most [`MAX_LOG_PAGE`].
    ///
    /// # Errors
    /// When the node is shutting down.
    #[method(name = "log")]
    async fn log(&self, from: Index, limit: u64) -> RpcResult<LogPage>;

    /// Takes a snapshot of the application and discards the entries it stands for (§7), but for the last
    /// `keep_entries`, which followers that are only just behind may still need. Answers when it is durable.
    ///
    /// # Errors
    /// [`NodeError::Refused`](crate::error::NodeError::Refused) when nothing is applied yet, or nothing since the last;
    /// [`NodeError::Failed`](crate::error::NodeError::Failed) when there is no room for one.
    #[method(name = "snapshot")]
    async fn snapshot(&self, keep_entries: u64) -> RpcResult<SnapshotTaken>;

    /// Begins a change of the membership at the leader (§6). Whether it is completed is seen in [`Membership`].
    ///
    /// # Errors
    /// `NotLeader`; `NotNow` where the same may be asked again in a moment; or `Refused`.
    #[method(name = "change")]
    async fn change(&self, change: MemberChange) -> RpcResult<ChangeBegun>;

    /// Begins to hand the lead over (thesis §3.10). Whether it was is seen by who leads.
    ///
    /// # Errors
    /// `NotLeader`; `NotNow` while another transfer is under way; or `Refused`.
    #[method(name = "transfer")]
    async fn transfer(&self, to: NodeId) -> RpcResult<()>;

    /// Begins to record the node's messages in a file of its folder, across restarts too; or ends that and removes the
    /// file. See [`record`](crate::record).
    ///
    /// # Errors
    /// [`NodeError::Failed`](crate::error::NodeError::Failed) when the file cannot be written or removed.
    #[method(name = "record")]
    async fn record(&self, on: bool) -> RpcResult<()>;

    /// The calls of peers that came to an end since number `since`, as far as they are kept: the last few hundred, from the first
    /// such question on, until nobody has asked for some seconds.
    ///
    /// # Errors
    /// None of its own.
    #[method(name = "recent_calls")]
    async fn recent_calls(&self, since: u64) -> RpcResult<RecentCalls>;

    /// Moves a node that is moved by hand. Answers when all that this causes in the node is done.
    ///
    /// # Errors
    /// [`NodeError::Refused`](crate::error::NodeError::Refused) where the node moves by itself.
    #[method(name = "step")]
    async fn step(&self, step: Step) -> RpcResult<Settled>;

    /// What a node that is moved by hand has on its disk.
    ///
    /// # Errors
    /// [`NodeError::Refused`](crate::error::NodeError::Refused) where the node moves by itself.
    #[method(name = "durable")]
    async fn durable(&self) -> RpcResult<Durable>;

    /// Cuts the power of the machine, as far as this node sees: what it wrote since a fault of its disk or its process is in
    /// effect, and did not sync, is discarded, and its process ends at once. So no answer comes; a notice does.
    ///
    /// # Errors
    /// When the node is shutting down.
    #[method(name = "power_loss")]
    async fn power_loss(&self) -> RpcResult<()>;
}

/// Everything a node process must know to start.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct NodeConfig {
    /// The version of the daemon; the node refuses another one than its own.
    pub version: String,
    /// Who the node is.
    pub id: NodeId,
    /// The voters that the cluster began with, itself included; none for a node that waits to be added.
    pub voters: Vec<NodeId>,
    /// Whether the node has been ready before, so that a missing log is a lost one. A server that has forgotten its
    /// votes must not take part again under its old name.
    pub expects_log: bool,
    /// Which cluster its log must belong to; `None` where folders are fresh, and nothing is checked.
    #[serde(default)]
    pub cluster: Option<ClusterId>,
    /// The node's folder: `wal/` and `trace.jsonl` live in it.
    pub folder: PathBuf,
    /// The lab's secret.
    pub secret: Secret,
    /// The seed of the run; each node derives its own from it.
    pub seed: u64,
    /// The replicated application.
    pub app: AppKind,
    /// What the application starts with.
    #[serde(flatten)]
    pub app_options: AppOptions,
    /// Election and heartbeat times.
    pub timing: Timing,
    /// When it takes snapshots by itself.
    #[serde(default)]
    pub compaction: Compaction,
    /// How it answers linearizable reads while it leads; the same for all nodes of a cluster.
    #[serde(default)]
    pub reads: ReadMode,
    /// The game beside the server, if there is one.
    #[serde(default)]
    pub game: Option<HostedGame>,
    /// What a measurement changes.
    #[serde(default)]
    pub trim: Trim,
    /// What is special about a node that is moved by hand; `None` for one that moves by itself.
    #[serde(default)]
    pub by_hand: Option<ByHand>,
}

/// When a node takes a snapshot and discards the entries it stands for (§7).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Compaction {
    /// When the entries since the last snapshot have so many bytes, or before; never if `None`.
    pub log_bytes: Option<u64>,
    /// So many of the last entries are kept all the same, for followers that lack no more than these.
    pub keep_entries: u64,
}

/// How a leader makes sure that it still leads before it answers a read (§8).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReadMode {
    /// It exchanges a round of messages with a quorum (thesis §6.4).
    #[default]
    ReadIndex,
    /// It rests on clocks: for an election time-out after a round nobody else can have been elected (thesis §6.4.1).
    Lease {
        /// By how much the rates of any two nodes' clocks may differ, in percent.
        drift_percent: u8,
    },
}

/// One line of a node's standard output. The two halves of a node whose server runs in a process of its own share it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "notice", rename_all = "snake_case")]
pub enum NodeNotice {
    /// The node has recovered its log and answers.
    Ready {
        /// The node; a process may hold several.
        node: NodeId,
        /// The node's version.
        version: String,
        /// The last index of the log it recovered.
        last_index: Index,
        /// What it cut from a torn log tail, for people; `None` if the log was whole.
        torn_tail: Option<String>,
    },
    /// A turning point of its server.
    Raft {
        /// The node.
        node: NodeId,
        /// When, on the machine's monotonic clock.
        at_ns: u64,
        /// What.
        event: RaftEvent,
    },
    /// What its host saw around its server.
    Host {
        /// The node.
        node: NodeId,
        /// When, on the machine's monotonic clock.
        at_ns: u64,
        /// What.
        event: HostEvent,
    },
    /// The server runs in a process of its own, a child of the one that was started. Comes before that is ready.
    ServerProcess {
        /// Its number.
        pid: u32,
    },
    /// Its game has drawn the first frame.
    Playing {
        /// When, on the machine's monotonic clock.
        at_ns: u64,
    },
    /// The node cannot go on; its process ends with exit code 1 after this line.
    Failed {
        /// The reason, in one line.
        reason: String,
    },
}

/// Where the peers are, and what is wrong with the links and inside the node.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Network {
    /// Grows with every change.
    pub version: u64,
    /// The addresses of all nodes.
    pub addresses: BTreeMap<NodeId, SocketAddr>,
    /// The faults of links in force.
    pub rules: Vec<Rule>,
    /// The faults in force inside the node that receives this. Those that are missing have ended.
    #[serde(default)]
    pub faults: Vec<NodeFault>,
}

/// What a node is doing.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct NodeStatus {
    /// The node.
    pub node: NodeId,
    /// The process that its server runs in.
    pub pid: u32,
    /// What it is in its term.
    pub role: RoleKind,
    /// Its term.
    pub term: Term,
    /// The leader it knows of in that term.
    pub leader: Option<NodeId>,
    /// Leaders only: how long ago a quorum was last heard from; recent contact is what makes a claim to lead good.
    pub quorum_contact_ms: Option<u64>,
    /// Others than leaders: how long until it stands for election, unless it hears from a leader.
    #[serde(default)]
    pub election_in_ms: Option<u64>,
    /// Who takes part, as far as it knows; `None` for a node that waits to be added.
    pub membership: Option<Membership>,
    /// Leaders only: the node that the lead is being handed to.
    pub transfer: Option<NodeId>,
    /// Leaders only: how far the others are.
    #[serde(default)]
    pub peers: Vec<PeerProgress>,
    /// The last entry that its snapshot stands for; 0 without one.
    pub snapshot_index: Index,
    /// The first entry it holds; the one after the last if it holds none.
    pub first_index: Index,
    /// The last entry of its log.
    pub last_index: Index,
    /// The terms of the last entries that it holds, at most [`RECENT_TERMS`].
    #[serde(default)]
    pub recent_terms: Vec<Term>,
    /// The last entry known to be committed.
    pub commit_index: Index,
    /// The last entry applied to its application.
    pub last_applied: Index,
    /// The digest of the application's state.
    pub digest: String,
    /// The application's state.
    pub state: serde_json::Value,
    /// The version of the last [`Network`] it took in.
    pub network_version: u64,
    /// How its disk does.
    #[serde(default)]
    pub disk: DiskStatus,
    /// Its clock.
    #[serde(default)]
    pub clock: ClockReading,
    /// The faults in effect inside it.
    #[serde(default)]
    pub faults: Vec<NodeFaultStatus>,
    /// What it has counted since it started.
    pub counters: Counters,
    /// What its game last said of itself; `None` without a game.
    #[serde(default)]
    pub game: Option<GameReport>,
}

/// How the disk of a node does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiskStatus {
    /// While a write is pending: how long ago the disk last answered, or was given that write.
    pub pending_ms: Option<u64>,
    /// How long a write and its sync took lately, in microseconds: an average in which each weighs an eighth, or the last
    /// one if that was faster; 0 if there was none for ten seconds.
    pub sync_us: u64,
}

/// A snapshot that is durable.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotTaken {
    /// The node.
    pub node: NodeId,
    /// The last entry it stands for.
    pub last_index: Index,
    /// That entry's term.
    pub last_term: Term,
    /// The size of the application's part, in bytes.
    pub bytes: u64,
    /// How many entries were discarded.
    pub discarded: u64,
}

/// Counts since a node started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counters {
    /// Commands proposed to its own log.
    pub proposed: u64,
    /// Commands passed on to a leader.
    pub forwarded: u64,
    /// Entries applied.
    pub applied: u64,
    /// Calls made to peers.
    pub calls: u64,
    /// Calls and replies that link faults dropped.
    pub dropped: u64,
    /// Syncs of its log.
    pub syncs: u64,
    /// Snapshots of its own application that it took.
    #[serde(default)]
    pub snapshots: u64,
    /// Reads it answered from its state without an entry in the log.
    #[serde(default)]
    pub reads: u64,
    /// Notices that its process dropped because its parent did not read them.
    #[serde(default)]
    pub notices_dropped: u64,
}

/// A part of a node's log.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LogPage {
    /// The node.
    pub node: NodeId,
    /// The last entry that its snapshot stands for; 0 without one.
    pub snapshot_index: Index,
    /// The term of that entry; 0 without one.
    #[serde(default)]
    pub snapshot_term: Term,
    /// The first entry it holds; the one after the last if it holds none.
    pub first_index: Index,
    /// The last entry of its log.
    pub last_index: Index,
    /// The last entry that its disk is known to hold.
    #[serde(default)]
    pub durable_index: Index,
    /// The last entry known to be committed.
    pub commit_index: Index,
    /// The last entry applied.
    pub last_applied: Index,
    /// The digest of the state after that entry.
    pub digest: String,
    /// The entries, in order, from the first index asked for on, or from the first that is held.
    pub entries: Vec<LogLine>,
}

/// One entry as people and judges read it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LogLine {
    /// Its index.
    pub index: Index,
    /// Its term.
    pub term: Term,
    /// The command; `None` for a leader's no-op and for a configuration.
    pub command: Option<Box<RawValue>>,
    /// The configuration that is in force from here on (§6).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub configuration: Option<Configuration>,
}

impl LogLine {
    /// The entry, as the core has it.
    pub fn entry(&self) -> Entry {
        let payload = match (&self.command, &self.configuration) {
            (Some(command), _) => Payload::Command(command.get().to_owned().into()),
            (None, Some(configuration)) => Payload::Configuration(configuration.clone().into()),
            (None, None) => Payload::Noop,
        };
        Entry { index: self.index, term: self.term, payload }
    }
}

impl Default for Compaction {
    /// At 64 MiB, and 1,000 entries are kept.
    fn default() -> Compaction {
        Compaction { log_bytes: Some(64 << 20), keep_entries: 1_000 }
    }
}
