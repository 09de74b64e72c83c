//! One node of a lab: a Raft server, its disk, its peers, its clients, and the application it replicates.
//!
//! The way of a command through the files:
//!
//! `service` takes `client.submit` and puts it in the `inbox` → `driver` proposes it to the core → the core's
//! effects go out: to `peers` through the fault filter, and to `storage`, whose thread syncs meanwhile → peers answer,
//! the sync is reported, both through the inbox → the core commits → `driver` applies → `waiters` finds who asked.
//!
//! Invariants: one task owns all state (the driver); everything else sends it `Input`s. A failing disk
//! stops the node with one line. The node ends when its parent does.
//!
//! Deliberately absent: consensus rules (`raftian-raft`), and what a command means (`raftian-apps`).

mod driver;
mod inbox;
mod node;
mod parent;
mod peers;
mod service;
mod storage;
mod trace;
mod waiters;

pub use node::run;
