//! Comparisons of runs whose truth is known.

use super::*;
use crate::analysis::synthetic::{Synthetic, manifest, trial};
use crate::experiments::{Measured, Profile};
use crate::suite::trial::Arm;

const HOSTINGS: [&str; 5] = [BASELINE, CONTROL, "thread", "process", "async"];

/// The arms of E1 without a cap.
fn arms() -> Vec<Arm> {
    let scenes = ["100", "1000"];
    scenes.iter().flat_map(|dots| HOSTINGS.map(|name| Arm::of([("dots", dots), (HOSTING, name)]))).collect()
}

/// A run of six blocks in which each hosting draws 1000 frames per second, those with a server times `factor`.
fn run(seed: u64, noise: f64, factor: f64) -> Run {
    let mut made = Synthetic::new(seed);
    (made.noise, made.block_noise) = (noise, noise);
    made.blocks(1, 6, &arms(), |arm| {
        let has_server = !matches!(arm.level(HOSTING), Some(BASELINE | CONTROL));
        vec![("fps", 1000.0 * if has_server { factor } else { 1.0 })]
    });
    made.run()
}

#[test]
fn a_run_does_not_differ_from_itself() {
    let run = run(1, 0.01, 1.0);
    let comparison = compare(&run, &run);
    assert_eq!(comparison.compared.len(), 8, "the controls are not compared");
    assert_eq!(comparison.count(Verdict::NoEvidence), 8);
    assert!(comparison.compared.iter().all(|one| one.ratio == 1.0 && one.interval.0 < 1.0 && one.interval.1 > 1.0));
    assert!(comparison.skipped.is_empty());
    assert_eq!(comparison.notes, ["both are the same run"]);
}

/// The promise of the correction: of families without a difference few claim any.
#[test]
fn runs_of_the_same_truth_seldom_differ() {
    let wrong = (0..25).filter(|seed| {
        let comparison = compare(&run(100 + seed, 0.01, 1.0), &run(200 + seed, 0.01, 1.0));
        comparison.count(Verdict::NoEvidence) < comparison.compared.len()
    });
    let wrong = wrong.count();
    assert!(wrong <= 3, "{wrong} of 25 pairs of runs that are the same");
}

/// A slowdown of 5 % of everything with a server, at six blocks and a noise of 1 % per trial.
#[test]
fn a_slowdown_of_five_percent_is_found() {
    let (mut found, mut seen, mut wrong) = (0, 0, 0);
    for seed in 0..20 {
        let comparison = compare(&run(300 + seed, 0.01, 1.0), &run(400 + seed, 0.01, 0.95));
        let regressions: Vec<_> = comparison.compared.iter().filter(|one| one.verdict == Verdict::Regression).collect();
        found += usize::from(!regressions.is_empty());
        seen += regressions.len();
        wrong += comparison.count(Verdict::Improvement);
        for one in regressions {
            assert!(WITH_SERVER.contains(&one.arm.level(HOSTING).unwrap()), "{one:?}");
            assert!(one.interval.1 * one.band < 1.0, "what is claimed clears the band: {one:?}");
        }
    }
    assert!(found >= 18, "found in {found} of 20 runs");
    assert!(seen >= 80, "seen in {seen} of 120 arms");
    assert!(wrong <= 2, "{wrong} improvements where there is none");
}

const WITH_SERVER: [&str; 3] = ["thread", "process", "async"];

#[test]
fn claims_and_intervals_never_disagree() {
    for seed in 0..6 {
        let comparison = compare(&run(500 + seed, 0.02, 1.0), &run(600 + seed, 0.02, 0.93));
        for one in &comparison.compared {
            let clears = one.interval.1 < 1.0 / one.band || one.interval.0 > one.band;
            assert_eq!(one.verdict != Verdict::NoEvidence, clears, "{one:?}");
            assert!(one.smallest_effect > one.band);
        }
    }
}

#[test]
fn less_of_what_should_be_low_is_an_improvement() {
    let latency = |seed, us| {
        let mut made = Synthetic::new(seed);
        let arm = Arm::of([("fsync", "on"), ("payload_bytes", "16")]);
        made.blocks(5, 12, &[arm], |_| vec![("commit_us_p50", us)]);
        made.run()
    };
    let comparison = compare(&latency(1, 500.0), &latency(2, 300.0));
    assert_eq!((comparison.compared.len(), comparison.count(Verdict::Improvement)), (1, 1));
    let back = compare(&latency(2, 300.0), &latency(1, 500.0));
    assert_eq!(back.count(Verdict::Regression), 1);
    assert_eq!(comparison.compared[0].band, 1.0, "there is no A/A of latencies");
}

#[test]
fn what_one_run_lacks_is_counted() {
    let mut few = Synthetic::new(1);
    few.blocks(1, 2, &arms()[..3], |_| vec![("fps", 1000.0)]);
    let comparison = compare(&run(1, 0.01, 1.0), &few.run());
    assert_eq!((comparison.compared.len(), comparison.skipped.len()), (0, 8));
    let whys: Vec<&str> = comparison.skipped.iter().map(|skipped| skipped.why.as_str()).collect();
    assert!(whys.contains(&"the second run lacks it") && whys.iter().any(|why| why.contains("too few")), "{whys:?}");
}

#[test]
fn trials_without_a_valid_history_count_for_nothing() {
    let arm = Arm::of([("nodes", "3")]);
    let side = |verdict: &str| {
        let mut made = Synthetic::new(3);
        for block in 0..6 {
            let measured = Measured {
                metrics: [("commit_us_p50".to_owned(), 400.0 + f64::from(block))].into(),
                verdict: Some(verdict.to_owned()),
                ..Measured::default()
            };
            made.add(trial(7, arm.clone(), block, 0), &measured);
        }
        made.run()
    };
    assert_eq!(compare(&side("valid"), &side("valid")).compared.len(), 1);
    let comparison = compare(&side("valid"), &side("violated"));
    assert!(comparison.compared.is_empty() && comparison.skipped.len() == 1, "{comparison:?}");
}

#[test]
fn what_differs_besides_the_code_is_noted() {
    let mut other = manifest(2, &[]);
    other.profile = Profile::Paper;
    other.provenance.machine.cores = Some(64);
    let comparison = compare(&run(1, 0.01, 1.0), &Run::in_memory(other));
    let notes = comparison.notes.join("\n");
    assert!(notes.contains("profiles") && notes.contains("cores"), "{notes}");
}

/// The run on another day, when the machine draws a tenth less of everything.
#[test]
fn a_slower_machine_is_told_from_a_slower_server() {
    let slower = {
        let mut made = Synthetic::new(9);
        made.block_noise = 0.01;
        made.blocks(1, 6, &arms(), |_| vec![("fps", 900.0)]);
        made.run()
    };
    let comparison = compare(&run(8, 0.01, 1.0), &slower);
    for one in &comparison.compared {
        let is_baseline = one.arm.level(HOSTING) == Some(BASELINE);
        let expected = if is_baseline { Verdict::Regression } else { Verdict::NoEvidence };
        assert_eq!((one.verdict, one.scale == Scale::Absolute), (expected, is_baseline), "{one:?}");
    }
    let notes = comparison.notes.join("\n");
    assert!(notes.contains("without a server changed"), "{notes}");
}

#[test]
fn claims_that_all_point_the_same_way_are_suspicious() {
    let latencies = |seed, us| {
        let mut made = Synthetic::new(seed);
        let nodes: Vec<Arm> = ["1", "3", "5", "7"].iter().map(|nodes| Arm::of([("nodes", nodes)])).collect();
        made.blocks(7, 12, &nodes, |_| vec![("commit_us_p50", us)]);
        made.run()
    };
    let notes = compare(&latencies(1, 400.0), &latencies(2, 500.0)).notes.join("\n");
    assert!(notes.contains("all 4 claims point the same way, the median over all comparisons being 2"), "{notes}");
}
