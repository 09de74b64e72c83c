//! One node of a lab: a Raft server, its disk, its peers, its clients, the application it replicates, and a game beside
//! it.
//!
//! | room | subject |
//! |---|---|
//! | `host` | the task that owns the server's state and runs the driver (`raftian-driver`); its inbox, its disk |
//! | `net` | what the node asks of others (`peers`), and what others ask of it (`service`) |
//! | `game`, `game_link` | the game, and the two queues between it and its server |
//! | `hosting` | where the server runs relative to the game; `server` is all of a server as one future |
//! | `faults` | the faults in effect inside the node: at its disk, its clock, its process |
//! | `damage` | damage to the files of a node that is down |
//! | `experiment`, `planted` | what only measurements put into a node, and what only tests of the judges do |
//! | `node`, `parent`, `notices`, `trace`, `timer` | the process, and what all rooms use |
//!
//! The way of a command through the files:
//!
//! `net/service` takes `client.submit` and puts it in the `host/inbox` → `host` hands it to the driver, which proposes it
//! to the core → the driver's effects go out: to `net/peers`, through the faults of the links, and to `host/storage`, whose
//! thread syncs meanwhile → peers answer, the sync is reported, both through the inbox → the core commits → the driver
//! applies, and knows who asked → `host/pending` answers. Where another node leads, the driver says so, and `net/service`
//! passes the command on, by way of `net/peers`.
//!
//! A click in the `game` goes over the `game_link/port`: `commands` takes it to `net/service` as one more client, in one of
//! its `lanes`; `orders` puts what was applied on the way back.
//!
//! Invariants: one task owns all state (the host); everything else sends it inputs. A failing disk stops the node with one
//! line. The node ends when its parent does.
//!
//! Deliberately absent: consensus rules (`raftian-raft`), what is to be done around them (`raftian-driver`), and what a
//! command means (`raftian-apps`).

mod damage;
mod experiment;
mod faults;
mod game;
mod game_link;
mod host;
mod hosting;
mod net;
mod node;
mod notices;
mod parent;
mod planted;
mod timer;
mod trace;

pub use damage::damage;
pub use node::run;
