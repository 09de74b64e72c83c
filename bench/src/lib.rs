//! What a lab is measured with: open-loop load, the collection of evidence, charts, the demo, and the benchmarks of the
//! first figures. A library without a face of its own; `raftianctl` shows it.
//!
//! Invariant: a printed number was measured, and a verdict is the judges', never this crate's.
//!
//! Deliberately absent: starting or stopping a daemon (except by spawning `raftianctl`, in [`figures`]), and any
//! reading of log prose: everything comes from histories, the journal and `lab.*`.

pub mod analysis;
pub mod cancel;
pub mod chart;
mod cluster;
pub mod collect;
pub mod compare;
pub mod demo;
pub mod experiments;
pub mod figures;
pub mod gateway;
pub mod journal;
pub mod lab;
pub mod lab_engine;
pub mod load;
pub mod machine;
pub mod report;
pub mod run;
pub mod stats;
pub mod suite;
pub mod summary;
pub mod timeline;
pub mod whereabouts;
