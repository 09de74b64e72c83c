//! A run: something that was done to a cluster, kept as a folder that can be judged, drawn and handed on without the
//! cluster.
//!
//! ```text
//! ID/
//!   manifest.json      what it is, who made it, when and where; whether it ended, and what its files were then
//!   scenario.resolved  what was played, if a scenario was
//!   events.jsonl       the lab's journal
//!   history.jsonl      what the clients did and saw, an operation per line
//!   logs/nX.jsonl      the log of a node as it was read, and how far the node was then
//!   logs/first.json    the snapshot that the logs begin after, if they do
//!   logs/nX.messages.jsonl  the messages of a node, if they were recorded
//!   verdict.json       what the judges said when it ended
//! ```
//!
//! The way of a run: [`Store::begin`] makes its folder, a [`RunWriter`] and what it gives out write the files while it
//! happens, [`RunWriter::end`] seals them, and only then it is judged. [`Run`] reads one, whole or not.
//!
//! Invariants: only its owner can read a run; evidence is on disk before it is judged; what was cut off is judged as far
//! as it goes, and never called valid.
//!
//! Deliberately absent: the runs of the benchmarks ([`suite`](crate::suite)), which keep measurements and no histories.

mod archive;
mod history;
mod id;
mod jepsen;
mod judgement;
mod logs;
mod manifest;
mod messages;
mod porcupine;
mod read;
mod scratch;
mod store;
mod timeline;
mod writer;

#[cfg(test)]
mod tests;

pub use archive::Unpacked;
pub use history::HistoryFile;
pub use id::RunId;
pub use judgement::{Judgement, Played};
pub use logs::LogFiles;
pub use manifest::{Began, Cluster, Ended, Engine, FORMAT, How, Maker, Manifest, Offered};
pub(crate) use messages::messages_of;
pub use messages::{Message, Messages};
pub use read::{NotARun, Run, spelt};
pub use scratch::remove_all as remove_unfinished;
pub use store::{KEPT, KEPT_BYTES, Listed, State, Store, Unread};
pub use timeline::lab_timeline;
pub use writer::RunWriter;

/// What a run is.
pub(crate) const MANIFEST: &str = "manifest.json";
/// The scenario that was played.
pub(crate) const SCENARIO: &str = "scenario.resolved";
/// The lab's journal.
pub(crate) const EVENTS: &str = "events.jsonl";
/// What the clients did and saw.
pub(crate) const HISTORY: &str = "history.jsonl";
/// The folder of the nodes' logs.
pub(crate) const LOGS: &str = "logs";
/// The snapshot that the logs begin after.
pub(crate) const FIRST: &str = "first.json";
/// What the judges said.
pub(crate) const VERDICT: &str = "verdict.json";
