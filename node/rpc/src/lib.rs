//! Every JSON-RPC method of raftian in one place: names, parameters, results, error codes, and who may call.
//!
//! | namespace   | served by | called by                 | file          |
//! |-------------|-----------|---------------------------|---------------|
//! | `raft.*`    | a node    | its peers                 | [`raft`]      |
//! | `client.*`  | a node    | clients, and peers that forward for them | [`client`] |
//! | `control.*` | a node    | the daemon                | [`control`]   |
//! | `lab.*`     | the daemon| `raftianctl`, scripts     | [`lab`]       |
//!
//! Invariant: everything is JSON-RPC 2.0 over HTTP/1.1 on loopback, and every call carries the lab's secret
//! ([`secret`]); the guard in [`serve`] turns a stranger away before a body is read.
//!
//! Deliberately absent: behaviour. A handler lives with the state it works on, in the node or the daemon.

pub mod assignment;
pub mod client;
pub mod clock;
pub mod cluster;
pub mod condition;
pub mod connect;
pub mod control;
pub mod error;
pub mod files;
pub mod folder;
pub mod game;
pub mod handover;
pub mod hint;
pub mod host_event;
pub mod lab;
pub mod metrics;
pub mod process;
pub mod raft;
pub mod record;
pub mod secret;
pub mod selector;
pub mod serve;

pub use raftian_apps::{AppKind, AppOptions, Command, MAX_PLAYERS, MAX_SIDE_PX, Response, Size};
pub use raftian_faults as faults;
pub use raftian_raft::{Configuration, Event as RaftEvent, Index, NodeId, RoleKind, Term};

/// The version of the programs; the daemon refuses a node, and the CLI a daemon, of another one.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The most nodes a lab may have. Past this one machine measures itself rather than Raft.
pub const MAX_NODES: u16 = 64;

/// The largest request body a server accepts. An AppendEntries of 1 MiB of commands and the largest single command
/// both fit with room to spare.
pub const MAX_BODY_BYTES: u32 = 8 * 1024 * 1024;
