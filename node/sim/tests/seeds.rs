//! Seeds are clean, and the same everywhere.

use raftian_sim::{Coverage, Rare, Settings, draw, run, run_seed};

#[test]
fn the_first_seeds_are_clean_and_reach_what_is_rare() {
    let mut coverage = Coverage::default();
    for seed in 0..100 {
        let report = run_seed(seed, &Settings::default());
        assert_eq!(report.violation, None, "{report}");
        assert!(report.acknowledged > 0, "{report}");
        coverage.add(&report.coverage);
    }
    let rare = [Rare::WriteTorn, Rare::SnapshotInstalled, Rare::Duplicate, Rare::ReadServed, Rare::ChangeBegun];
    for rare in rare.into_iter().chain([Rare::StartRefused, Rare::StaleSerial]) {
        assert!(coverage.rare(rare) > 0, "{} was never reached", rare.name());
    }
}

/// The hashes are those of a debug *and* of a release build: this test passes in both.
#[test]
fn a_seed_has_one_hash() {
    let hashes = [0, 1, 2, 3, 4].map(|seed| run_seed(seed, &Settings::default()).hash);
    assert_eq!(hashes.map(|hash| format!("{hash:016x}")), HASHES);
}

/// They change with every change of the core, of the draws, or of the trace: then these are the new ones.
const HASHES: [&str; 5] =
    ["32312e6474503ccd", "e1e926f111e58843", "1fe5c235f5c175ff", "c6c3f0397b875707", "a05badf82c6b080d"];

#[test]
fn a_schedule_without_an_action_is_another_run_and_a_run_can_be_repeated() {
    let mut schedule = draw(7);
    let first = run(&schedule, &Settings::default());
    assert_eq!(run(&schedule, &Settings::default()), first);
    schedule.actions.remove(0);
    assert_ne!(run(&schedule, &Settings::default()).hash, first.hash);
}
