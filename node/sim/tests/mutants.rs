//! Every planted bug breaks a named invariant, within a bounded number of seeds.
//!
//! `cargo test -p raftian-sim --release --features mutants --test mutants -- --nocapture` prints what broke, and when.

use std::collections::BTreeSet;
use std::panic;

use raftian_sim::{Invariant, Mutant, RunReport, Schedule, Settings, minimise, run, run_seed};

/// The most seeds that a bug gets.
const SEEDS: u64 = 3_000;

/// The invariants that some planted bug breaks. The others are shown to have teeth where the oracle is.
const TEETH: &[Invariant] = &[
    Invariant::ElectionSafety,
    Invariant::ElectionQuorum,
    Invariant::LogMatching,
    Invariant::LeaderCompleteness,
    Invariant::StateMachineSafety,
    Invariant::DurableQuorum,
    Invariant::CommitOwnTerm,
    Invariant::DurableBeforeSend,
    Invariant::SnapshotTruth,
    Invariant::ConfigurationTruth,
    Invariant::LearnersDoNotCount,
    Invariant::ReadIndexFresh,
    Invariant::ReadRound,
    Invariant::ExactlyOnce,
    Invariant::Liveness,
];

#[test]
fn no_planted_bug_survives() {
    // Some of them make a server panic, which is told as a violation and need not be printed.
    let hook = panic::take_hook();
    panic::set_hook(Box::new(|_| {}));
    let found: Vec<(Mutant, Option<RunReport>)> = Mutant::all().map(|mutant| (mutant, hunt(mutant))).collect();
    panic::set_hook(hook);
    for (mutant, report) in &found {
        let told = match report {
            Some(report) => format!("seed {:>4}: {}", report.seed, report.violation.as_ref().expect("it was found")),
            None => "survives".to_owned(),
        };
        println!("{:<34} {told}", format!("{mutant:?}"));
    }
    let broken: BTreeSet<Invariant> =
        found.iter().flat_map(|(_, report)| report).flat_map(|report| &report.violation).map(|v| v.invariant).collect();
    let toothless: Vec<&Invariant> = TEETH.iter().filter(|invariant| !broken.contains(invariant)).collect();
    assert!(toothless.is_empty(), "no bug breaks {toothless:?}");
    let survivors: Vec<Mutant> =
        found.iter().filter(|(_, report)| report.is_none()).map(|(mutant, _)| *mutant).collect();
    assert!(survivors.is_empty(), "nobody notices {survivors:?}");
}

fn hunt(mutant: Mutant) -> Option<RunReport> {
    let settings = Settings { mutant: Some(mutant) };
    (0..SEEDS).map(|seed| run_seed(seed, &settings)).find(|report| report.violation.is_some())
}

#[test]
fn a_script_that_breaks_something_is_cut_down_and_still_breaks_it() {
    let settings = Settings { mutant: Some(Mutant::Raft(raftian_raft::Mutant::NoUpToDateCheck)) };
    let report = (0..SEEDS).map(|seed| run_seed(seed, &settings)).find(|report| report.violation.is_some());
    let report = report.expect("the bug is found");
    let schedule = Schedule::draw(report.seed);
    let script = minimise(&schedule, &settings, 500).expect("it breaks something");
    assert!(script.actions.len() * 10 < schedule.actions.len(), "{} actions are left", script.actions.len());
    let broken = |report: &RunReport| report.violation.as_ref().map(|violation| violation.invariant);
    assert_eq!(broken(&run(&script, &settings)), broken(&report));
    assert!(minimise(&schedule, &Settings::default(), 500).is_none(), "without the bug nothing is broken");
}
