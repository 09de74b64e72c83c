//! The tests of the core, in one program: it links once, and all of it shares one cluster.
//!
//! - [`transcript`] plays the stories in `transcripts/`, one scenario per file.
//! - [`paper`] follows the sections of the Raft paper, [`thesis`] what came after its core.
//! - [`hostile`] sends what no server would send.
//! - [`edges`] tells what the random schedules hardly ever reach.
//! - [`random`] plays seeded schedules of faults.
//! - `rules`, with the feature of that name, asks which rules the random schedules have not reached.
//! - `mutants`, with the feature of that name, shows that planted bugs do not survive those.
//!
//! All of them run on [`cluster`], which checks the invariants of the paper after every step.

mod cluster;
mod edges;
mod hostile;
#[cfg(feature = "mutants")]
mod mutants;
mod paper;
mod random;
#[cfg(feature = "rules")]
mod rules;
mod thesis;
mod transcript;
