//! Planted bugs do not survive: each makes some history of the log fail, within a bounded number of them.
//!
//! `cargo test -p raftian-wal --features mutants --test mutants -- --nocapture` prints what found them, and when.

mod common;
#[path = "common/history.rs"]
mod history;

use std::panic::{self, AssertUnwindSafe};

use raftian_wal::Mutant;

/// The most histories that a bug gets.
const SEEDS: u64 = 1_500;

#[test]
fn no_planted_bug_survives() {
    // Each of them ends in a panic that somebody wants to see once, and not as a failure.
    let hook = panic::take_hook();
    panic::set_hook(Box::new(|_| {}));
    let found: Vec<_> = Mutant::ALL.iter().map(|mutant| (*mutant, hunt(*mutant))).collect();
    panic::set_hook(hook);
    for (mutant, found) in &found {
        match found {
            Some((seed, reason)) => println!("{:<24} seed {seed:>4}  {reason:.180}", format!("{mutant:?}")),
            None => println!("{:<24} survives", format!("{mutant:?}")),
        }
    }
    let survivors: Vec<Mutant> = found.iter().filter(|(_, found)| found.is_none()).map(|(mutant, _)| *mutant).collect();
    assert!(survivors.is_empty(), "no history fails with {survivors:?}");
}

/// The first seed whose history fails, and how.
fn hunt(mutant: Mutant) -> Option<(u64, String)> {
    (0..SEEDS).find_map(|seed| {
        let play = || history::play(seed, |options| options.mutant = Some(mutant));
        let panic = panic::catch_unwind(AssertUnwindSafe(play)).err()?;
        let reason = panic.downcast_ref::<String>().cloned();
        let reason = reason.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default();
        Some((seed, reason.lines().next().unwrap_or_default().to_owned()))
    })
}
