//! The judges of what a run left behind: what its clients saw (the history) and what its servers committed.
//!
//! [`judge()`] is the whole of it: histories and replica logs in, a [`Report`] out. Each judge is one file and knows one
//! thing: `evidence` (is there enough to judge?), `log_agreement`, `digests`, `exactly_once`, `real_time`. Their common
//! ground is `replay`: the committed log, applied once more by an independent machine.
//!
//! Beside them stands a judge that sees the history alone: [`linearizability()`] searches for an order that explains
//! what the clients saw (`search`), with objects of its own (`model`).
//!
//! The invariant of the crate: **a verdict is never better than its evidence.** What was not seen makes a verdict
//! unknown, never valid; a time-out is unknown, never failed.
//!
//! Deliberately absent: running anything; and reads that may be stale, which promise nothing and belong in no history.

mod committed;
mod digests;
mod evidence;
mod exactly_once;
mod history;
mod judge;
mod linearizability;
mod log_agreement;
mod model;
mod objects;
mod operations;
mod real_time;
mod replay;
mod replica;
mod search;
mod verdict;

pub use history::{HistoryError, Operation, Outcome, read_history, write_operation};
pub use judge::{Counts, Report, Setup, judge, judge_after};
pub use linearizability::{Bounds, Linearizability, Undecided, Violation, linearizability};
pub use raftian_apps as apps;
pub use replica::{LogPart, LogRecord, ReplicaLog, Standing};
pub use verdict::{Finding, Invariant, Verdict};
