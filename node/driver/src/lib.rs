//! What a node does around its consensus core, without input or output.
//!
//! A [`Driver`] owns the whole state of a server: the core, the replicated application, and the pending requests of
//! clients and peers. Its host gives it all inputs that have arrived, then takes its effects, one by one, and carries
//! them out. The node process is one host, with sockets, a storage thread and a clock; the simulator is another, with
//! virtual ones. So the simulator tests the code that ships.
//!
//! ```text
//!   host                                   driver
//!   a peer's call, a client's command ──▶ request, submit, read …   ──▶ raftian_raft::Server
//!   a reply, a call given up          ──▶ reply, lost
//!   a sync is done                    ──▶ persisted
//!   a state is encoded or decoded     ──▶ staged, restored
//!   time passes                       ──▶ tick, then turn             ──▶ Server::ready
//!   sockets, disk, clients            ◀── next_effect, until there is none
//! ```
//!
//! Where to read on: [`Driver`] takes inputs, its module `effects` gives effects in order; [`Effect`] lists them;
//! `proposals` and `reads` hold the pending requests of clients, `calls` those of peers; `compactor` says when a
//! snapshot is due, and `snapshots` how one is made and restored by a job of the host; [`Links`] decides which messages
//! pass the links of a node; [`Forwarded`] what a client hears of a request that was forwarded to the leader.
//!
//! Invariants: effects come in the order that [`raftian_raft::Ready`] requires. Nothing that depends on a snapshot is
//! written or applied before that snapshot is restored. Success is reported only for exactly the entry that was
//! proposed. Every request that the driver has taken is answered once, as long as the driver exists.
//!
//! Deliberately absent: a clock, a socket, a file, a thread, and decisions on consensus.

mod calls;
mod compactor;
mod driver;
mod effect;
mod forward;
mod links;
mod mutant;
mod proposals;
mod reads;

pub use compactor::{Compaction, SnapshotRefused, SnapshotTaken};
pub use driver::{Consistency, Counters, Driver, Options, Route};
pub use driver::{RestoreJob, StageJob};
pub use effect::{CommandOutcome, Effect, Host, Question, ReadOutcome};
pub use forward::{Forwarded, Heard, Unanswered};
pub use links::{LinkCut, Links};
#[cfg(feature = "mutants")]
pub use mutant::Mutant;
