//! Whole Raft clusters in one thread and one seed, with every invariant checked after every step.
//!
//! ```text
//!   seed ──draw──▶ Schedule ──▶ World ──step──▶ Server, Machine, Disk, Network, clients ──▶ RunReport
//!                  (actions)      │                        │
//!                                 └────── Oracle ◀─────────┘   what changed, after every step
//! ```
//!
//! [`run_seed`] plays what a seed draws: a safety phase in which everything goes wrong, then a random core is healed and
//! must come to life, then what clients saw is judged. [`minimise`] cuts a script that breaks something down to what
//! breaks it. A [`World`] can be moved by hand as well, message by message, for lessons, scenarios and tests.
//!
//! Where to read on: [`Schedule`] is the script, `draw` how a seed makes one; `world` is the clockwork, and `settle` in it
//! what becomes of a server's effects; `oracle` is the judge, one file per subject; [`Invariant`] names what it knows.
//!
//! Invariants: the same schedule gives the same [`RunReport::hash`] in every build. Taking an action out of a schedule
//! does not change the luck of anything else: the fate of a message follows from the seed, its link and its number on that
//! link. Nothing a server does can make a run panic: what is wrong is a [`Violation`].
//!
//! Deliberately absent: bytes on disks (`raftian-wal` has its own tests of torn frames and damage), threads, and clocks.

mod client;
mod coverage;
mod disk;
mod draw;
mod invariant;
mod journal;
mod luck;
mod members;
mod network;
mod node;
mod oracle;
mod queue;
mod run;
mod schedule;
mod settings;
mod shadow;
mod world;

pub use coverage::{Coverage, Kind, Outcome, ROLES, Rare};
pub use disk::Disk;
pub use invariant::{Invariant, Violation};
pub use journal::{Happening, What};
pub use queue::MessageId;
pub use run::{RunReport, minimise, run, run_seed};
pub use schedule::{Action, Op, Schedule, Timed, Whom};
#[cfg(feature = "mutants")]
pub use settings::Mutant;
pub use settings::{Plan, Settings};
pub use world::World;
