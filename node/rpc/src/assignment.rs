//! What a node program is started as: one JSON line on its standard input, which stays open as its lifeline. The sockets on
//! which nodes are called come with it ([`handover`](crate::handover)).
//!
//! Invariant: hosting changes *where* a server runs, never which code it runs.
//!
//! Deliberately absent: what only a measurement asks for has a neutral default, so that the daemon need not know of it.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::control::NodeConfig;
use crate::game::GameConfig;
use crate::secret::Secret;
use crate::{NodeId, VERSION};

/// What a process of the node program is to be.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "run", rename_all = "snake_case")]
pub enum Assignment {
    /// A node: a server, and beside it a game if the configuration has one.
    Node(Box<NodeConfig>),
    /// The server of a node whose game is the parent process: standard input is one end of a socket pair, and what
    /// follows on it, both ways, are their commands and orders.
    Server(Box<NodeConfig>),
    /// A game without a server: the baseline of every comparison.
    Game(SoloConfig),
    /// Several nodes in one process.
    Together(Cohort),
    /// A window onto a running node.
    Window(WindowConfig),
}

/// Where a node's server runs relative to its game loop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Hosting {
    /// On an operating system thread of its own.
    Thread,
    /// In a child process, connected by a socket pair.
    Process,
    /// As an asynchronous task on the thread that draws the frames.
    Async,
}

impl fmt::Display for Hosting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Hosting::Thread => "thread",
            Hosting::Process => "process",
            Hosting::Async => "async",
        })
    }
}

/// A game beside a server.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HostedGame {
    /// Where the server runs.
    pub hosting: Hosting,
    /// The game.
    pub game: GameConfig,
}

/// A game without a server.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SoloConfig {
    /// The version of whoever starts it.
    pub version: String,
    /// How many players stand on the board of the attack scene.
    pub players: u16,
    /// The game.
    pub game: GameConfig,
}

/// Several nodes in one process, to see what processes cost.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Cohort {
    /// What each node gets.
    pub placement: Placement,
    /// The nodes; none of them has a game.
    pub nodes: Vec<NodeConfig>,
}

/// How the nodes of a process share it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Placement {
    /// A thread with a runtime for each.
    Threads,
    /// All are tasks of one single-threaded runtime.
    Tasks,
}

/// A window onto a running node, or one picture of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct WindowConfig {
    /// The version of whoever starts it.
    pub version: String,
    /// The node.
    pub node: NodeId,
    /// Where it listens.
    pub address: SocketAddr,
    /// The lab's secret.
    pub secret: Secret,
    /// The most frames per second; `None` for as many as the machine draws.
    pub fps_cap: Option<u32>,
    /// Instead of a window: draw one frame into this PNG file and end.
    pub picture: Option<PathBuf>,
}

/// How much of a promise a node's disk keeps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Durability {
    /// Every promise is synced before it is made.
    #[default]
    Synced,
    /// Nothing is synced, and no sync counted: only to measure what syncing costs. A power cut loses votes and
    /// entries.
    Unsynced,
}

/// How messages between servers are framed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Framing {
    /// JSON-RPC over connections that stay open.
    #[default]
    JsonRpc,
    /// As the original did it: each message as an XML-RPC document, over a connection of its own. The document rides
    /// as the one parameter of `raft.xml`.
    XmlRpc,
}

/// What a measurement may change about a node; the default is a node as labs run it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trim {
    /// Whether the server stands for election the moment it is configured, so that a trial knows its leader.
    pub campaigns_first: bool,
    /// Whether it syncs.
    pub durability: Durability,
    /// How it frames messages.
    pub framing: Framing,
    /// Whether game and server take turns as two threads of one Python interpreter do: one lock, given away on
    /// request every 5 ms and whenever the server waits. Only with [`Hosting::Thread`].
    pub global_lock: bool,
    /// The CPU time, in microseconds, for which the server computes over each message to a peer and over each reply, as
    /// a slower program would.
    #[serde(default)]
    pub server_work_us: u32,
}

impl Assignment {
    /// The version of whoever starts the process.
    pub fn version(&self) -> &str {
        match self {
            Assignment::Node(node) | Assignment::Server(node) => &node.version,
            Assignment::Game(game) => &game.version,
            Assignment::Together(cohort) => cohort.nodes.first().map_or(VERSION, |node| &node.version),
            Assignment::Window(window) => &window.version,
        }
    }

    /// How many listening sockets the process needs: one for each node, in the order in which they are named.
    pub fn listeners(&self) -> usize {
        match self {
            Assignment::Node(_) | Assignment::Server(_) => 1,
            Assignment::Together(cohort) => cohort.nodes.len(),
            Assignment::Game(_) | Assignment::Window(_) => 0,
        }
    }

    /// The line for the standard input of the process, with its end.
    pub fn to_line(&self) -> Vec<u8> {
        let mut line = serde_json::to_vec(self).expect("assignments have string keys only");
        line.push(b'\n');
        line
    }
}
