//! One node of a lab: a Raft server, its disk, its peers, its clients, the application it replicates, and a game beside
//! it.
//!
//! The way of a command through the files:
//!
//! `service` takes `client.submit` and puts it in the `inbox` → `host` hands it to the driver (`raftian-driver`), which
//! proposes it to the core → the driver's effects go out: to `peers` through the faults of the links, and to `storage`,
//! whose thread syncs meanwhile → peers answer, the sync is reported, both through the inbox → the core commits → the
//! driver applies, and knows who asked → `pending` answers. Where another node leads, the driver says so, and `service`
//! passes the command on, by way of `peers`.
//!
//! A click in the `game` goes over the `port`: `commands` takes it to `service` as one more client, in one of its
//! `lanes`, and `orders` tells the game what was applied. `hosting` decides where the server runs relative to the game; `server` is all of the
//! above but the game, as one future.
//!
//! Invariants: one task owns all state (the host); everything else sends it `Input`s. A failing disk stops the node with
//! one line. The node ends when its parent does.
//!
//! Deliberately absent: consensus rules (`raftian-raft`), what is to be done around them (`raftian-driver`), and what a
//! command means (`raftian-apps`).

mod commands;
mod disk;
mod frames;
mod game;
mod global_lock;
mod host;
mod hosting;
mod inbox;
mod lanes;
mod node;
mod orders;
mod parent;
mod peers;
mod pending;
mod port;
mod server;
mod service;
mod storage;
mod timer;
mod together;
mod trace;
mod xml;

pub use node::run;
