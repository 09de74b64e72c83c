//! What can go wrong: on a link, rules in and verdicts out; inside a node, the words for it.
//!
//! A [`NodeEffect`] says what is wrong with the disk, the clock or the process of a node, which carries it out itself.
//! A [`Damage`] is done to the files of one that is down.
//!
//! A [`Link`] is *directed*: what happens from `n1` to `n2` says nothing about the way back, so one-way partitions
//! are as easy to state as symmetric ones. A [`Rule`] puts an [`Effect`] on one link. A [`Filter`] holds the rules in
//! force and gives a [`Verdict`] on each message. The simulator and the real transport ask the same filter.
//!
//! Invariant: the verdict on the k-th message over a link depends on the seed, the link, k, and the rules on that link
//! at that moment, and on nothing else. So a run can be repeated, a fault on one link does not change the luck of
//! another, and a rule that comes and goes does not change the luck of what follows it.
//!
//! Deliberately absent: input, output and time (a delay is only *named* here; who asked for the verdict must wait).

mod crash_point;
mod damage;
mod effect;
mod filter;
mod node_effect;
mod profile;
pub mod proof;

pub use crash_point::CrashPoint;
pub use damage::{Damage, DamagedPart};
pub use effect::{Effect, InvalidEffect, MAX_DELAY_MS};
pub use filter::{Filter, Link, Rule, Verdict};
pub use node_effect::{CLOCK_RATES, MAX_JUMP_MS, NodeEffect, NodePart};
pub use profile::{GEO_PLACES, Profile};
