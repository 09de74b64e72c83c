//! The suite: experiments, the schedule of their trials, and the folder of results that a run leaves behind.
//!
//! Words: a *trial* is one measurement with a fresh set of processes; an *arm* is a combination of factor levels; a
//! *block* runs every arm of an experiment once, in seeded order; ratios are paired within blocks.
//!
//! Invariants: raw before derived: everything in a run's `derived/` is a pure function of the rest of the folder. A
//! finished block is never lost. Same seed and profile, same schedule.

pub mod trial;
