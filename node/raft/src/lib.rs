//! Raft, the consensus algorithm, as a state machine without input or output.
//!
//! The rules are those of Ongaro and Ousterhout, "In Search of an Understandable Consensus Algorithm (Extended
//! Version)", whose sections are cited as §5.2, and of Ongaro's thesis, cited as thesis §9.6. Names are the paper's.
//!
//! A [`Server`] is fed by its driver: messages from peers ([`Server::receive`]), commands ([`Server::propose`]), the
//! passing of time ([`Server::tick`]), and the news that something is on disk ([`Server::persisted`]). Between inputs
//! the driver takes what is to be done ([`Server::ready`]) and does it:
//!
//! ```text
//!             receive  propose  tick          persisted
//!                 │       │      │                ▲   └──▶ sealed messages ──▶ peers
//!                 ▼       ▼      ▼                │
//!               ┌──────────────────┐   persist    │
//!               │      Server      ├──────────▶ storage (append, then sync)
//!               └────────┬─────────┘
//!                 ready  ├── messages ──▶ peers
//!                        └── committed ─▶ application
//! ```
//!
//! Where to read on: [`Server`] dispatches; `follower`, `campaign` and `leader` hold the rules of each role; `log` is the
//! log; [`Configuration`] is quorum arithmetic; [`Ready`] is the contract with storage.
//!
//! Invariants: same inputs, same effects (the only randomness is a generator seeded by hash(run seed, id)); nothing a
//! peer sends can make the core panic; nothing is said before it is durable ([`ready`](Ready)).
//!
//! Deliberately absent: a clock, a socket, a file, a thread, the application's state. Not yet here: snapshots,
//! membership changes, reads without a log entry, leadership transfer.

mod campaign;
mod configuration;
mod core;
mod entry;
mod event;
mod follower;
mod id;
mod leader;
mod log;
mod message;
mod options;
mod ready;
mod server;

pub use configuration::Configuration;
pub use entry::{Entry, HardState, Payload};
pub use event::{Event, RoleKind};
pub use id::{Index, NodeId, ParseNodeIdError, Term};
pub use message::{AppendEntries, AppendReply, Body, Conflict, LastEntry, Message, Reply, Request};
pub use options::{Options, Time};
pub use ready::{Persist, Persisted, Ready, Storage, Write};
pub use server::{Contradiction, NotLeader, Proposed, Recovered, Server, Status};
