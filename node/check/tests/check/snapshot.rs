//! Runs that began on servers whose first entries a snapshot had replaced.

use raftian_check::apps::{AppKind, Configuration, Digest, Entry, Machine, Payload, Snapshot};
use raftian_check::{Invariant, LogPart, Operation, Outcome, ReplicaLog, Report, Verdict, judge_after};

use crate::run::{Run, command, json, noop, ok};

/// What was committed before the run: `k` is 7, and `old` has a session.
const BEFORE: usize = 2;

fn log() -> Vec<Entry> {
    vec![
        noop(1, 1),
        command(2, 1, "old", 1, r#"{"set":["k","7"]}"#),
        command(3, 1, "a", 1, r#"{"incr":["k",1]}"#),
        command(4, 1, "old", 1, r#"{"set":["k","7"]}"#),
        noop(5, 2),
        noop(6, 2),
    ]
}

fn history() -> Vec<Operation> {
    vec![
        ok("a", 1, r#"{"incr":["k",1]}"#, 10..20, 3, r#"{"outcome":"incremented","value":"8"}"#),
        ok("r", 1, r#"{"get":"k"}"#, 30..40, 4, r#"{"outcome":"found","value":"8"}"#),
    ]
}

fn snapshot() -> Snapshot {
    let mut machine = Machine::new(AppKind::Kv, 5).unwrap();
    log()[..BEFORE].iter().for_each(|entry| drop(machine.apply(entry)));
    machine.snapshot()
}

/// Nobody holds what the snapshot stands for, and one node not even all that came after.
fn run() -> Run {
    let mut run = Run::new(AppKind::Kv, history(), &log());
    for (replica, first) in run.replicas.iter_mut().zip([BEFORE, BEFORE + 1, BEFORE]) {
        replica.entries.drain(..first);
    }
    run
}

fn judged(run: &Run, snapshot: &Snapshot) -> Report {
    judge_after(Some(snapshot), &run.history, &run.replicas, &run.setup)
}

#[test]
fn what_a_snapshot_stands_for_need_not_be_in_any_log() {
    let run = run();
    let report = judged(&run, &snapshot());
    assert_eq!(report.verdict, Verdict::Valid, "{report}");
    // The repeated command of a session that only the snapshot knows had no further effect.
    assert_eq!((report.counts.committed, report.counts.duplicates, report.counts.reads), (4, 1, 1));
    assert_eq!(run.judge().verdict, Verdict::Unknown, "without the snapshot");
}

#[test]
fn logs_that_reach_further_back_are_judged_from_the_snapshot_too() {
    let whole = Run::new(AppKind::Kv, history(), &log());
    assert_eq!(judged(&whole, &snapshot()).verdict, Verdict::Valid);
}

#[test]
fn what_goes_wrong_after_a_snapshot_is_found() {
    let violated = |change: &dyn Fn(&mut Run), invariant: Invariant| {
        let mut run = run();
        change(&mut run);
        let report = judged(&run, &snapshot());
        assert_eq!(report.verdict, Verdict::Violated, "{report}");
        assert!(report.findings_by_invariant.contains_key(&invariant), "{report}");
    };
    // The search sees it too: it knows that the key began with 7.
    let added = r#"{"outcome":"incremented","value":"9"}"#;
    violated(
        &|run| run.operation("a", 1).outcome = Outcome::Ok { index: 3, response: json(added) },
        Invariant::Linearizability,
    );
    let read_too_old = r#"{"outcome":"found","value":"7"}"#;
    violated(
        &|run| run.operation("r", 1).outcome = Outcome::Ok { index: 4, response: json(read_too_old) },
        Invariant::ReadFromLog,
    );
    violated(&|run| run.replicas[0].entries[0].term = 2, Invariant::StateMachineSafety);
    violated(&|run| run.replicas[1].digest = Digest(0), Invariant::DigestReplay);
}

#[test]
fn a_gap_after_the_snapshot_or_another_snapshot_decides_nothing_good() {
    let mut gap = run();
    for replica in &mut gap.replicas {
        replica.entries.retain(|entry| entry.index > 3);
    }
    assert_eq!(judged(&gap, &snapshot()).verdict, Verdict::Unknown);
    let game = Machine::new(AppKind::Attack, 5).unwrap().snapshot();
    assert_eq!(judged(&run(), &game).verdict, Verdict::Unknown);
    let none: Vec<ReplicaLog> = Vec::new();
    let report = judge_after(Some(&snapshot()), &history(), &none, &run().setup);
    assert_eq!(report.verdict, Verdict::Unknown);
}

/// n1 and n2 discarded entries before they were read, each others; n3 has none left.
fn with_gaps() -> Run {
    let mut run = Run::new(AppKind::Kv, history(), &log());
    for (replica, parted) in run.replicas.iter_mut().zip([2, 4]) {
        let mut after = replica.entries.split_off(parted);
        after.remove(0);
        replica.earlier.push(LogPart(std::mem::replace(&mut replica.entries, after)));
    }
    let (node, ahead) = (run.replicas[2].node, run.replicas[0].clone());
    run.replicas[2] = ReplicaLog { node, discarded: 6, entries: Vec::new(), earlier: Vec::new(), ..ahead };
    run
}

#[test]
fn logs_with_gaps_are_judged_together_if_one_has_what_another_lacks() {
    let report = with_gaps().judge();
    assert_eq!((report.verdict, report.counts.committed), (Verdict::Valid, 6), "{report}");
    assert!(report.linearizability.is_some(), "a majority shows that nothing follows");
}

#[test]
fn what_differs_before_a_gap_is_found() {
    let mut run = with_gaps();
    run.replicas[0].earlier[0].0[1].term = 2;
    run.finds(&[Invariant::StateMachineSafety, Invariant::TermOrder]);
    let mut run = with_gaps();
    run.replicas[1].earlier[0].0.remove(1);
    assert!(run.judge().findings_by_invariant.contains_key(&Invariant::LogShape));
}

#[test]
fn the_quorum_of_the_last_configuration_shows_that_nothing_follows() {
    let mut run = Run::new(AppKind::Kv, history(), &log());
    let alone = Configuration::new(run.setup.nodes[..1].iter().copied()).unwrap();
    for replica in &mut run.replicas {
        if let Some(entry) = replica.entries.get_mut(4) {
            entry.payload = Payload::Configuration(alone.clone().into());
        }
    }
    // The others were removed, and read in part.
    run.replicas[1..].iter_mut().for_each(|replica| replica.is_partial = true);
    assert!(run.finds(&[]).linearizability.is_some());
    run.replicas[0].is_partial = true;
    assert!(run.finds(&[]).linearizability.is_none());
}
