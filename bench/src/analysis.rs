//! From trials to findings: per experiment the tables, the figures and the sentence that says what was found.
//!
//! Invariant: a pure function of a run's raw files; same files, same bytes. A sentence claims only what an interval
//! supports; what could not be concluded is said as well.

pub mod finding;
