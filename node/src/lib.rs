//! One node of a lab: a Raft server, its disk, its peers, its clients, the application it replicates, and a game beside
//! it.
//!
//! The way of a command through the files:
//!
//! `service` takes `client.submit` and puts it in the `inbox` → `driver` proposes it to the core → the core's
//! effects go out: to `peers` through the fault filter, and to `storage`, whose thread syncs meanwhile → peers answer,
//! the sync is reported, both through the inbox → the core commits → `driver` applies → `waiters` finds who asked. A read
//! waits in `readers`, and leaves no entry; `compactor` says when a snapshot takes the place of entries.
//!
//! A click in the `game` goes over the `port`: `commands` takes it to `service` as one more client, in one of its
//! `lanes`, and `orders` tells the game what was applied. `hosting` decides where the server runs relative to the game; `server` is all of the
//! above but the game, as one future.
//!
//! Invariants: one task owns all state (the driver); everything else sends it `Input`s. A failing disk
//! stops the node with one line. The node ends when its parent does.
//!
//! Deliberately absent: consensus rules (`raftian-raft`), and what a command means (`raftian-apps`).

mod commands;
mod compactor;
mod disk;
mod driver;
mod frames;
mod game;
mod global_lock;
mod hosting;
mod inbox;
mod lanes;
mod node;
mod orders;
mod parent;
mod peers;
mod port;
mod readers;
mod server;
mod service;
mod storage;
mod timer;
mod together;
mod trace;
mod waiters;
mod xml;

pub use node::run;
