//! Planted bugs do not survive: each is found by the witness, or by the cluster's not coming to life, within a bounded
//! number of random schedules.
//!
//! `cargo test -p raftian-raft --release --features mutants mutants -- --nocapture` prints who found what, and when.

use std::panic::{self, AssertUnwindSafe};

use raftian_raft::Mutant;

use crate::random::Schedule;

/// The most schedules that a bug gets.
const SEEDS: u64 = 5_000;

#[test]
fn no_planted_bug_survives() {
    // Each of them ends in a panic that somebody wants to see once, and not as a failure.
    let hook = panic::take_hook();
    panic::set_hook(Box::new(|_| {}));
    let found: Vec<_> = Mutant::ALL.iter().map(|mutant| (*mutant, hunt(*mutant))).collect();
    panic::set_hook(hook);
    for (mutant, found) in &found {
        match found {
            Some((seed, reason)) => println!("{:<28} seed {seed:>4}  {reason}", format!("{mutant:?}")),
            None => println!("{:<28} survives", format!("{mutant:?}")),
        }
    }
    let survivors: Vec<Mutant> = found.iter().filter(|(_, found)| found.is_none()).map(|(mutant, _)| *mutant).collect();
    assert!(survivors.is_empty(), "nobody notices {survivors:?}");
}

/// The first seed with which somebody notices, and what they say.
fn hunt(mutant: Mutant) -> Option<(u64, String)> {
    (0..SEEDS).find_map(|seed| {
        let schedule = || Schedule::new(seed, |options| options.mutant = Some(mutant)).play();
        let panic = panic::catch_unwind(AssertUnwindSafe(schedule)).err()?;
        let reason = panic.downcast_ref::<String>().cloned();
        let reason = reason.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default();
        Some((seed, reason.lines().next().unwrap_or_default().to_owned()))
    })
}
