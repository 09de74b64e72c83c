//! What can go wrong on a link: rules in, verdicts out.
//!
//! A [`Link`] is *directed*: what happens from `n1` to `n2` says nothing about the way back, so one-way partitions
//! are as easy to state as symmetric ones. A [`Rule`] puts an [`Effect`] on one link. A [`Filter`] holds the rules in
//! force and gives a [`Verdict`] on each message. The simulator and the real transport ask the same filter.
//!
//! Invariant: the verdict on the k-th message over a link depends on the seed, the link, k, and the rules on that link
//! at that moment, and on nothing else. So a run can be repeated, a fault on one link does not change the luck of
//! another, and a rule that comes and goes does not change the luck of what follows it.
//!
//! Deliberately absent: input, output and time (a delay is only *named* here; whoever asked must wait), and the faults of
//! disks, which belong to the disk that plays them.

mod effect;
mod filter;
pub mod proof;

pub use effect::{Effect, InvalidEffect, MAX_DELAY_MS};
pub use filter::{Filter, Link, Rule, Verdict};
