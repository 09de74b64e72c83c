//! Whole Raft clusters in one thread and one seed, with every invariant checked after every step.
//!
//! ```text
//!   seed ──draw──▶ Schedule ──▶ World ──step──▶ Driver, Wal, Links (all as they ship), clients ──▶ RunReport
//!                  (actions)      │                        │
//!                                 └────── Oracle ◀─────────┘   what changed, after every step
//! ```
//!
//! [`run_seed`] plays what a seed draws: a safety phase in which everything goes wrong, then a random core is healed and
//! must come to life, then what clients saw is judged. A run ends with the first invariant that is broken, unless
//! [`hear_out`] wants to know what every judge would say if it were the only one. [`minimise`] cuts a script that breaks
//! something down to what breaks it. A [`World`] can be moved by hand as well, message by message, for lessons and tests;
//! [`play`] does so as a scenario says, and every schedule is one.
//!
//! Where to read on: [`draw`] makes the script of a seed; `world` is the clockwork: `turn` in it feeds a node's driver, and
//! `effects` carries out what it wants; `storage` is a log on a disk in memory; `oracle` is the judge, one file per subject;
//! [`raftian_script::Invariant`] names what it knows.
//!
//! Invariants: the same schedule gives the same [`RunReport::hash`] in every build. Taking an action out of a schedule
//! changes nothing for anything else: the fate of a message follows from the seed, its link and its number on that
//! link. Nothing a server does can make a run panic: what is wrong is a [`Violation`].
//!
//! Deliberately absent: a driver, a log or a filter of its own; threads, and clocks.

pub mod chart;
mod check;
mod client;
mod coverage;
mod draw;
mod fault;
mod invariant;
mod journal;
mod load;
mod log_model;
mod members;
mod minimise;
mod network;
mod node;
mod oracle;
mod play;
mod questions;
mod queue;
mod random;
mod rules;
mod run;
mod settings;
mod storage;
mod tally;
mod view;
mod world;
#[cfg(feature = "mutants")]
pub mod zoo;

pub use coverage::{Coverage, Outcome, ROLES, Rare};
pub use draw::{DRAWS, draw};
pub use fault::Fault;
pub use invariant::Violation;
pub use journal::{Happening, What};
pub use minimise::{minimise, minimise_while};
pub use play::{MAX_EVENTS, Played, Stopped, play, play_watched};
pub use queue::MessageId;
#[cfg(feature = "mutants")]
pub use raftian_planted::Mutant;
pub use raftian_raft::{Rule, RuleSet};
pub use rules::Followed;
pub use run::{RunReport, hear_out, run, run_seed, watch};
pub use settings::{NotPlanted, Settings};
pub use tally::Tally;
pub use world::{Held, World};
