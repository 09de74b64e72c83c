//! Scenarios: one plain text form for what a cluster is, what is done to it, and what must be so, by hand or drawn.
//!
//! Invariants: a text that is read and written reads back as the same scenario. A scenario that was read names only nodes
//! that are there. A refusal says line, column, what was expected, and the nearest word.
//!
//! Deliberately absent: a cluster to play one on; that is what an [`Engine`] has.
//!
//! What can be said is on the page that `raftianctl run --grammar` prints, and that follows.
//!
#![doc = include_str!("../../../docs/scenarios.md")]

mod action;
mod condition;
mod engine;
mod figures;
mod former;
mod invariant;
mod kind;
mod load;
mod nemesis;
mod peers;
mod plan;
mod read;
mod run;
mod scenario;
mod schedule;
mod server;
mod setup;
mod view;
mod words;
mod write;

pub use condition::{Condition, Count, Measure, Nodes, READ_FATES, ROLES, ReadFate, Terms, name_of};
pub use engine::{Engine, Halt, Observed, Performed};
pub use figures::{FIGURES, Figure};
pub use invariant::Invariant;
pub use kind::Kind;
pub use load::{Load, LoadOps, MAX_LOAD_PER_S};
pub use nemesis::{Nemesis, Profile};
pub use peers::{PEERS, peers_page};
pub use plan::{Crashes, LinkEffect, MAX_INCARNATIONS, MAX_NODES, Plan, ServerSettings};
pub use raftian_raft::Change;
pub use run::{Moment, News, Stopped, Unwatched, Watch, run, run_at_once};
pub use scenario::{Class, Fate, Label, Lines, Scenario, Statement, Step, Which, Wish};
pub use schedule::{Action, ClockGoes, Op, Part, Schedule, Timed, Whom};
pub use view::{Life, MAX_ENTRIES_SEEN, NodeView};
pub use words::{Micros, Unreadable, nearest};
pub use write::Resolved;

/// All that can be said in a scenario: a page for people, with an example of everything.
pub const GRAMMAR: &str = include_str!("../../../docs/scenarios.md");
