//! Planted bugs do not survive: each is found by a story, or within a bounded number of random schedules by the witness or
//! because the cluster does not come to life.
//!
//! `cargo test -p raftian-raft --release --features mutants mutants -- --nocapture` prints what was found, and where.

use std::panic::{self, AssertUnwindSafe};

use raftian_raft::{Mutant, Options};

use crate::edges::STORIES;
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
            Some((place, reason)) => println!("{:<28} {place}: {reason}", format!("{mutant:?}")),
            None => println!("{:<28} survives", format!("{mutant:?}")),
        }
    }
    let survivors: Vec<Mutant> = found.iter().filter(|(_, found)| found.is_none()).map(|(mutant, _)| *mutant).collect();
    assert!(survivors.is_empty(), "nobody notices {survivors:?}");
}

/// Where the bug is found first, and why.
fn hunt(mutant: Mutant) -> Option<(String, String)> {
    let plant = |options: &mut Options| options.mutant = Some(mutant);
    let told = STORIES.iter().find_map(|(name, story)| Some((name.replace('_', " "), broken(|| story(&plant))?)));
    let played = || {
        (0..SEEDS).find_map(|seed| {
            let reason = broken(|| {
                Schedule::new(seed, plant).play();
            })?;
            Some((format!("seed {seed}"), reason))
        })
    };
    told.or_else(played)
}

/// Why a run breaks, if it does.
fn broken(run: impl FnOnce()) -> Option<String> {
    let panic = panic::catch_unwind(AssertUnwindSafe(run)).err()?;
    let reason = panic.downcast_ref::<String>().cloned();
    let reason = reason.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default();
    Some(reason.lines().next().unwrap_or_default().to_owned())
}
