//! The tests of the core, in one program: it links once, and all of it shares one cluster.
//!
//! - [`transcript`] plays the stories in `transcripts/`, one scenario per file.
//! - [`paper`] follows the sections of the Raft paper.
//! - [`hostile`] sends what no server would send.
//! - [`random`] plays seeded schedules of faults.
//!
//! All of them run on [`cluster`], which checks the invariants of the paper after every step.

mod cluster;
mod hostile;
mod paper;
mod random;
mod transcript;
