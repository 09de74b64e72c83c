//! The suite: experiments, the schedule of their trials, and the folder of results that a run leaves behind.
//!
//! Words: a *trial* is one measurement with a fresh set of processes; an *arm* is a combination of factor levels; a
//! *block* runs every arm of an experiment once, in seeded order; ratios are paired within blocks.
//!
//! The way of a run: `schedule` (what is done in which order) → `runner` (does it, at a quiet time: `gate`) → `store`
//! (the folder while it grows, with its `manifest` as the commit record) → `run` (the folder as analyses read it).
//!
//! Invariants: raw before derived: everything in a run's `derived/` is a pure function of the rest of the folder. A
//! finished block is never lost. Same seed and profile, same schedule.

pub mod gate;
pub mod manifest;
pub mod provenance;
pub mod run;
pub mod runner;
pub mod schedule;
pub mod store;
pub mod trial;

#[cfg(test)]
mod mock;
mod raw;
