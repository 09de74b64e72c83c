//! Raft, the consensus algorithm, as a state machine without input or output.
//!
//! The rules are those of Ongaro and Ousterhout, "In Search of an Understandable Consensus Algorithm (Extended
//! Version)", whose sections are cited as §5.2, and of Ongaro's thesis, cited as thesis §9.6. Names are the paper's.
//!
//! The driver of a [`Server`] gives it inputs: messages from peers ([`Server::receive`]), commands
//! ([`Server::propose`]), reads ([`Server::read`]), changes of the membership ([`Server::propose_configuration`]),
//! snapshots ([`Server::compact`]), the time ([`Server::tick`]), and notice that a write is durable
//! ([`Server::persisted`]). Between inputs the driver takes the effects ([`Server::ready`]) and carries them out:
//!
//! ```text
//!             receive  propose  tick          persisted
//!                 │       │      │                ▲   └──▶ sealed messages ──▶ peers
//!                 ▼       ▼      ▼                │
//!               ┌──────────────────┐   persist    │
//!               │      Server      ├──────────▶ storage (append, then sync)
//!               └────────┬─────────┘
//!                 ready  ├── messages ───────────▶ peers
//!                        └── restore, committed ─▶ application ◀── reads
//! ```
//!
//! Where to read on: [`Server`] dispatches; `follower`, `campaign` and `leader` hold the rules of each role, `progress`
//! what a leader does for one follower, `in_flight` when it sends a request again, `reads` how it confirms reads; `log`
//! is the log and `snapshot` what replaces its beginning; [`Configuration`] is quorum arithmetic, `membership` says
//! which configuration is in force, [`Change`] how it changes; [`Ready`] is the contract with storage. For tests,
//! `rule` names the branches of all these, and `mutant` lists typical mistakes in them.
//!
//! Invariants: the same inputs give the same effects (the only randomness is a generator seeded by hash(run seed, id));
//! no message of a peer can make the core panic; no message leaves before what it promises is durable
//! ([`ready`](Ready)).
//!
//! Deliberately absent: a clock, a socket, a file, a thread, the application's state, and a way to change the voters
//! without a joint configuration.

mod campaign;
mod change;
mod configuration;
mod core;
mod entry;
mod event;
mod follower;
mod id;
mod in_flight;
mod leader;
mod log;
mod membership;
mod message;
mod mutant;
mod options;
mod progress;
mod reads;
mod ready;
mod refusal;
mod rule;
mod server;
mod snapshot;
mod status;
mod writes;

pub use change::{Change, ChangeRefused};
pub use configuration::Configuration;
pub use entry::{Entry, HardState, Payload, Recovered};
pub use event::{Event, RoleKind};
pub use id::{Index, NodeId, ParseNodeIdError, Term};
pub use message::{
    AppendEntries, AppendReply, Body, Conflict, InstallSnapshot, LastEntry, Message, Reply, Request, SnapshotReply,
};
#[cfg(feature = "mutants")]
pub use mutant::Mutant;
pub use options::{Lease, Options, Time};
pub use reads::{ReadOutcome, ReadTicket};
pub use ready::{Discard, Persist, Persisted, Ready, Storage, Write};
pub use refusal::{CompactRefused, Contradiction, MAX_TERM, NotLeader, ProposeRefused, TransferRefused};
#[cfg(feature = "rules")]
pub use rule::{Rule, RuleSet};
pub use server::{Proposed, Server};
pub use snapshot::Snapshot;
pub use status::{Peer, Standing, Status};
