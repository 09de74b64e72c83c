//! `control.*`: how the daemon steers and inspects a node, and what the two say to each other over the node's pipes.
//!
//! Invariant: control calls bypass link faults, so a lab can always be healed.
//!
//! A node is started with an [`Assignment`](crate::assignment::Assignment) as one JSON line on its standard input; the
//! open pipe is its lifeline. It answers with [`NodeNotice`]s, one JSON line each, on its standard output.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use jsonrpsee::core::RpcResult;
use jsonrpsee::proc_macros::rpc;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::assignment::{HostedGame, Trim};
use crate::faults::Rule;
use crate::game::GameReport;
use crate::secret::Secret;
use crate::{AppKind, Index, NodeId, RaftEvent, RoleKind, Term};

/// The most entries `control.log` returns at once.
pub const MAX_LOG_PAGE: u64 = 4096;

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

    /// A page of the log from `from` on: at most `limit` entries, and at most [`MAX_LOG_PAGE`].
    ///
    /// # Errors
    /// When the node is shutting down.
    #[method(name = "log")]
    async fn log(&self, from: Index, limit: u64) -> RpcResult<LogPage>;
}

/// Everything a node process must know to start.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct NodeConfig {
    /// The version of the daemon; the node refuses another one than its own.
    pub version: String,
    /// Who the node is.
    pub id: NodeId,
    /// The voters of the cluster, itself included.
    pub voters: Vec<NodeId>,
    /// The loopback port to listen on; 0 lets the system choose.
    pub port: u16,
    /// Whether the node has been ready before, so that a missing log is a lost one. A server that has forgotten its
    /// votes must not take part again under its old name.
    pub expects_log: bool,
    /// The node's folder: `wal/` and `trace.jsonl` live in it.
    pub folder: PathBuf,
    /// The lab's secret.
    pub secret: Secret,
    /// The seed of the run; each node derives its own from it.
    pub seed: u64,
    /// The replicated application.
    pub app: AppKind,
    /// How many players an attack game starts with.
    pub players: u16,
    /// Election and heartbeat times.
    pub timing: Timing,
    /// The game beside the server, if there is one.
    #[serde(default)]
    pub game: Option<HostedGame>,
    /// What a measurement changes.
    #[serde(default)]
    pub trim: Trim,
}

/// The time-outs of a cluster (§5.6: broadcast time ≪ election time-out).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timing {
    /// The shortest election time-out.
    pub election_min_ms: u64,
    /// The end of the range that election time-outs are drawn from, itself excluded.
    pub election_max_ms: u64,
    /// The interval of a leader's heartbeats.
    pub heartbeat_ms: u64,
}

/// One line of a node's standard output. The two halves of a node whose server runs in a process of its own share it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "notice", rename_all = "snake_case")]
pub enum NodeNotice {
    /// The node has recovered its log and listens.
    Ready {
        /// The node; a process may hold several.
        node: NodeId,
        /// The node's version.
        version: String,
        /// The port it listens on.
        port: u16,
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

/// Where the peers are and what is wrong with the links.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Network {
    /// Grows with every change.
    pub version: u64,
    /// The addresses of all nodes.
    pub addresses: BTreeMap<NodeId, SocketAddr>,
    /// The faults in force.
    pub rules: Vec<Rule>,
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
    /// The last entry of its log.
    pub last_index: Index,
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
    /// What it has counted since it started.
    pub counters: Counters,
    /// What its game last said of itself; `None` without a game.
    #[serde(default)]
    pub game: Option<GameReport>,
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
}

/// A part of a node's log.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LogPage {
    /// The node.
    pub node: NodeId,
    /// The last entry of its log.
    pub last_index: Index,
    /// The last entry known to be committed.
    pub commit_index: Index,
    /// The last entry applied.
    pub last_applied: Index,
    /// The digest of the state after that entry.
    pub digest: String,
    /// The entries, in order.
    pub entries: Vec<LogLine>,
}

/// One entry as people and judges read it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LogLine {
    /// Its index.
    pub index: Index,
    /// Its term.
    pub term: Term,
    /// The command; `None` for a leader's no-op.
    pub command: Option<Box<RawValue>>,
}

impl Default for Timing {
    /// The paper's (§9.3): 150–300 ms, with a heartbeat of 50 ms.
    fn default() -> Timing {
        Timing { election_min_ms: 150, election_max_ms: 300, heartbeat_ms: 50 }
    }
}

impl Timing {
    /// Checks what was typed: 1 ms ≤ heartbeat < shortest election time-out < longest ≤ 60 s.
    ///
    /// # Errors
    /// A sentence that says which bound does not hold.
    pub fn validate(self) -> Result<Timing, String> {
        let Timing { election_min_ms, election_max_ms, heartbeat_ms } = self;
        if heartbeat_ms == 0 {
            return Err("the heartbeat interval must be at least 1 ms".into());
        }
        if election_min_ms <= heartbeat_ms {
            return Err(format!(
                "the shortest election time-out ({election_min_ms} ms) must exceed the heartbeat interval \
                 ({heartbeat_ms} ms), or followers stand for election between heartbeats"
            ));
        }
        if election_max_ms <= election_min_ms {
            return Err(format!(
                "the election time-out range {election_min_ms}–{election_max_ms} ms is empty; its end must be larger"
            ));
        }
        if election_max_ms > 60_000 {
            return Err(format!("election time-outs end at 60000 ms; {election_max_ms} ms is longer"));
        }
        Ok(self)
    }
}
