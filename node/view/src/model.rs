//! The view model: what a face shows of a lab at a moment, as data.
//!
//! Invariant: everything here is said of one moment; what a face needs to compute from two of them ([`Rates`]) is computed
//! before. Names of fields are those of the Raft paper.

use std::net::SocketAddr;

use raftian_rpc::control::{Standing, Timing};
use raftian_rpc::faults::Effect;
use raftian_rpc::hint::Note;
use raftian_rpc::lab::{FaultId, GameChoice, NodeState, ProcessUsage};
use raftian_rpc::{AppKind, AppOptions, Configuration, Index, NodeId, Term};
use serde::{Deserialize, Serialize};

use crate::tail::Tail;

/// What a face shows of a lab.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct View {
    /// The lab's name.
    pub lab: String,
    /// The replicated application; `None` for a lab that was never started.
    pub app: Option<AppKind>,
    /// What the application was started with.
    #[serde(flatten)]
    pub app_options: Option<AppOptions>,
    /// The game beside each server.
    pub game: GameChoice,
    /// The seed of the lab.
    pub seed: u64,
    /// Election and heartbeat times.
    pub timing: Timing,
    /// The node that leads with a recent quorum.
    pub leader: Option<NodeId>,
    /// The highest term that any node has seen.
    pub term: Term,
    /// What is wrong, the most important first: the first is the reason line.
    pub reasons: Vec<Note>,
    /// Who takes part.
    pub members: Option<Configuration>,
    /// The nodes, in order.
    pub nodes: Vec<NodeView>,
    /// The faults in force.
    pub faults: Vec<FaultView>,
    /// The directed links on which something is wrong.
    pub links: Vec<LinkView>,
    /// What happens in a second.
    pub rates: Rates,
    /// The daemon's own process.
    pub daemon: ProcessUsage,
}

/// A node.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct NodeView {
    /// The node.
    pub node: NodeId,
    /// What its process does.
    pub state: NodeState,
    /// That it runs, and does not answer.
    pub is_silent: bool,
    /// Why it does not run.
    pub reason: Option<Note>,
    /// What it is in the cluster; `None` for one that is no member.
    pub standing: Option<Standing>,
    /// What it does in its term, or did when it last answered; `None` where it has said nothing.
    pub role: Option<Role>,
    /// Whether what follows is old: the node does not answer now.
    pub is_old: bool,
    /// Its term.
    pub term: Term,
    /// The leader it knows of.
    pub knows: Option<NodeId>,
    /// How long until it stands for election, in milliseconds, unless it hears from a leader.
    pub election_in_ms: Option<u64>,
    /// The last entry that its snapshot stands for.
    pub snapshot_index: Index,
    /// The last entry of its log.
    pub last_index: Index,
    /// The last entry it knows to be committed.
    pub commit_index: Index,
    /// The last entry it has applied.
    pub last_applied: Index,
    /// The end of its log.
    pub tail: Tail,
    /// The first index at which its log has another term than the leader's, or than that of the newest log where nobody
    /// leads.
    pub differs_at: Option<Index>,
    /// The digest of its application's state.
    pub digest: String,
    /// Its application's state in short; what it is, depends on the application.
    pub app_state: serde_json::Value,
    /// What its processes use; `None` where there are none.
    pub usage: Option<ProcessUsage>,
    /// Where it listens.
    pub address: Option<SocketAddr>,
    /// How long a write and its sync took lately, in microseconds.
    pub sync_us: u64,
    /// Frames per second of its game.
    pub fps: Option<f64>,
    /// The faults in effect inside it.
    pub faults: Vec<FaultId>,
}

/// What a node does in its term, as people see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// It follows.
    Follower,
    /// It asks whether it would get votes.
    PreCandidate,
    /// It asks for votes.
    Candidate,
    /// It leads.
    Leader,
    /// It takes itself for the leader, and has not heard from a quorum for an election time-out: it cannot commit.
    LeaderWithoutQuorum,
    /// It follows without a vote.
    Learner,
    /// It is about to leave the cluster.
    Leaving,
    /// It takes no part.
    NoMember,
}

/// A fault in force.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FaultView {
    /// Its number.
    pub id: FaultId,
    /// What it is, in words: `partition n1,n5 | n2,n3,n4`.
    pub title: String,
    /// Whether it was seen to be in effect, in words.
    pub seen: Option<String>,
    /// When it ends by itself, on the machine's monotonic clock.
    pub until_ns: Option<u64>,
}

/// A directed link on which something is wrong.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LinkView {
    /// Where it starts.
    pub from: NodeId,
    /// Where it ends.
    pub to: NodeId,
    /// Whether nothing comes through.
    pub is_cut: bool,
    /// What is wrong.
    pub effects: Vec<Effect>,
    /// The faults that do it.
    pub faults: Vec<FaultId>,
}

/// What happens in a second, over about the last one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Rates {
    /// Entries committed.
    pub commits: f64,
    /// Calls between nodes.
    pub calls: f64,
    /// Messages that faults dropped.
    pub dropped: f64,
    /// Syncs of logs.
    pub syncs: f64,
}

impl Role {
    /// It in words.
    pub fn words(self) -> &'static str {
        match self {
            Role::Follower => "follower",
            Role::PreCandidate => "pre-candidate",
            Role::Candidate => "candidate",
            Role::Leader => "leader",
            Role::LeaderWithoutQuorum => "leader, no quorum",
            Role::Learner => "learner",
            Role::Leaving => "leaving",
            Role::NoMember => "no member",
        }
    }
}
