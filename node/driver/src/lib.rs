//! What a node does around its consensus core, without input or output.
//!
//! A [`Driver`] owns a server's whole state: the core, the replicated application, and the clients and peers that wait for
//! an answer. Its host feeds it inputs, as they come and as many at a time as there are; then takes its effects, one by one,
//! and carries them out. The node process is one host, with sockets, a storage thread and a clock; the simulator is another
//! one, with virtual ones. So what the simulator proves is what ships.
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
//! Where to read on: [`Driver`] takes inputs, `effects` in it gives effects in their order; [`Effect`] is the list of them;
//! `proposals` and `reads` say who waits for which entry, `calls` which peer waits for which reply; `compactor` when a
//! snapshot is due, and `snapshots` how one is made and restored, elsewhere, as a job; [`Links`] what gets through the
//! links of a node; [`Forwarded`] what a client hears of a question that was passed on to the leader.
//!
//! Invariants: effects come in the order that [`raftian_raft::Ready`] asks for. Nothing is written or applied that rests
//! on a snapshot which is not restored yet. Success is reported only for the very entry that was proposed. Every question
//! that was taken in is answered once, as long as the driver lives.
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
