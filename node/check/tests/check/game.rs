//! The judges' teeth: one run of the attack game that is valid, and for every invariant the ways to break it.
//!
//! Each test changes the valid run in one place and names *all* the invariants that must be found broken.

use crate::run::{Run, command, digest, failed, json, noop, ok, replica, unknown};
use raftian_check::apps::{AppKind, Digest, Entry};
use raftian_check::{Counts, Invariant, Outcome, Report};
use serde_json::value::RawValue;

fn valid() -> Run {
    with_log(&valid_log())
}

/// The same clients, but this is what the servers committed.
fn with_log(log: &[Entry]) -> Run {
    let history = vec![
        ok("a", 1, r#"{"attack":3}"#, 10..20, 2, r#"{"outcome":"hit","player":3,"hp":70}"#),
        unknown("c", 1, r#"{"add":6}"#, 15),
        ok("b", 1, r#"{"attack":3}"#, 5..40, 5, r#"{"outcome":"hit","player":3,"hp":40}"#),
        ok("a", 2, r#"{"attack":1}"#, 30..60, 6, r#"{"outcome":"hit","player":1,"hp":70}"#),
        unknown("c", 2, r#"{"del":6}"#, 50),
        failed("b", 2, r#"{"heal":1}"#, 70..75),
    ];
    Run::new(AppKind::Attack, history, log)
}

fn valid_log() -> Vec<Entry> {
    vec![
        noop(1, 1),
        command(2, 1, "a", 1, r#"{"attack":3}"#),
        command(3, 1, "c", 1, r#"{"add":6}"#),
        noop(4, 2),
        command(5, 2, "b", 1, r#"{"attack":3}"#),
        command(6, 2, "a", 2, r#"{"attack":1}"#),
        command(7, 2, "a", 2, r#"{"attack":1}"#),
    ]
}

// ---- a run that kept its promises

#[test]
fn a_valid_run_is_valid_and_everything_in_it_is_counted() {
    let report = valid().finds(&[]);
    let expected = Counts {
        operations: 6,
        acknowledged: 3,
        failed: 1,
        unknown: 2,
        unknown_applied: 1,
        unknown_lost: 1,
        reads: 0,
        replicas: 3,
        committed: 7,
        noops: 2,
        executed: 4,
        duplicates: 1,
        refused: 0,
    };
    assert_eq!(report.counts, expected);
    assert_eq!(
        report.to_string(),
        "verdict: valid\n\
         operations: 6 (3 acknowledged, 1 failed, 2 unknown of which 1 applied and 1 lost)\n\
         committed: 7 (4 executed, 1 duplicates suppressed, 0 refused, 2 no-ops) on 3 replicas"
    );
}

#[test]
fn a_report_survives_its_json() {
    let mut run = valid();
    run.replicas[1].digest = Digest(1);
    let report = run.judge();
    let text = serde_json::to_string(&report).unwrap();
    assert_eq!(serde_json::from_str::<Report>(&text).unwrap(), report);
}

#[test]
fn a_retry_that_arrives_after_the_next_command_is_refused_and_harmless() {
    let mut log = valid_log();
    log.push(command(8, 2, "a", 1, r#"{"attack":3}"#));
    let report = with_log(&log).finds(&[]);
    assert_eq!(report.counts.refused, 1);
}

#[test]
fn an_unknown_command_that_the_log_refused_counts_as_lost() {
    let mut log = valid_log();
    log.push(command(8, 2, "a", 4, r#"{"attack":5}"#));
    log.push(command(9, 2, "a", 3, r#"{"attack":4}"#));
    let mut run = with_log(&log);
    run.history.push(unknown("a", 3, r#"{"attack":4}"#, 80));
    run.history.push(ok("a", 4, r#"{"attack":5}"#, 90..95, 8, r#"{"outcome":"hit","player":5,"hp":70}"#));
    let report = run.finds(&[]);
    assert_eq!((report.counts.unknown_lost, report.counts.refused), (2, 1));
}

#[test]
fn a_response_that_was_reformatted_on_its_way_is_the_same_response() {
    let mut run = valid();
    let response = json(r#"{ "hp": 70, "outcome": "hit", "player": 3 }"#);
    run.operation("a", 1).outcome = Outcome::Ok { index: 2, response };
    run.finds(&[]);
}

// ---- logs

#[test]
fn two_commands_at_one_index_break_state_machine_safety() {
    let mut run = valid();
    run.replicas[1].entries[2] = command(3, 1, "d", 1, r#"{"add":7}"#);
    let report = run.finds(&[Invariant::StateMachineSafety]);
    let text = &report.findings[0].text;
    for part in ["index 3", "n1", "n2", r#"{"add":6}"#, r#"{"add":7}"#] {
        assert!(text.contains(part), "no {part} in: {text}");
    }
}

#[test]
fn two_terms_at_one_index_break_state_machine_safety() {
    let mut run = valid();
    run.replicas[1].entries[2].term = 2;
    run.finds(&[Invariant::StateMachineSafety]);
}

#[test]
fn entries_that_are_not_committed_may_differ() {
    let mut run = valid();
    run.replicas[0].entries.push(noop(8, 3));
    run.replicas[1].entries.push(command(8, 2, "d", 1, "0"));
    run.finds(&[]);
}

#[test]
fn a_term_that_falls_breaks_term_order() {
    let mut log = valid_log();
    log[6].term = 1;
    with_log(&log).finds(&[Invariant::TermOrder]);
}

#[test]
fn a_gap_or_a_repetition_breaks_the_shape_of_a_log() {
    for (place, index) in [(3, 5), (3, 3), (6, u64::MAX), (1, 0)] {
        let mut run = valid();
        run.replicas[1].entries[place].index = index;
        run.finds(&[Invariant::LogShape]);
    }
}

#[test]
fn applying_what_is_not_committed_breaks_the_shape_of_a_log() {
    let mut run = valid();
    run.replicas[1].applied_index = 8;
    run.finds(&[Invariant::LogShape]);
}

// ---- applied state

#[test]
fn a_state_of_its_own_is_neither_the_others_nor_the_replays() {
    let mut run = valid();
    run.replicas[1].digest = Digest(1);
    run.finds(&[Invariant::DigestAgreement, Invariant::DigestReplay]);
}

#[test]
fn a_wrong_state_that_all_agree_on_is_found_by_the_replay() {
    let mut run = valid();
    run.replicas[0].digest = Digest(1);
    run.replicas[1].digest = Digest(1);
    run.finds(&[Invariant::DigestReplay]);
}

#[test]
fn a_wrong_state_of_a_node_that_lags_is_found_at_its_own_applied_index() {
    let mut run = valid();
    run.replicas[2].digest = run.replicas[0].digest;
    let report = run.finds(&[Invariant::DigestReplay]);
    assert!(report.findings[0].text.contains("at applied index 4"), "{report}");
}

// ---- exactly once

#[test]
fn an_acknowledged_command_that_the_log_replaced_is_lost() {
    let mut log = valid_log();
    log[5] = noop(6, 2);
    log.truncate(6);
    let report = with_log(&log).finds(&[Invariant::AcknowledgedDurable]);
    assert!(report.findings[0].text.contains("a#2 was acknowledged at index 6"), "{report}");
}

#[test]
fn an_acknowledged_command_beyond_the_logs_of_a_majority_is_lost() {
    let mut run = with_log(&valid_log()[..5]);
    run.finds(&[Invariant::AcknowledgedDurable]);
    run.replicas.remove(0);
    run.finds(&[Invariant::AcknowledgedDurable, Invariant::Evidence]);
}

#[test]
fn an_acknowledged_command_beyond_the_logs_at_hand_may_be_in_one_that_is_missing() {
    let mut run = with_log(&valid_log()[..5]);
    run.replicas.truncate(1);
    run.finds(&[Invariant::Evidence]);
}

#[test]
fn an_acknowledged_command_that_a_majority_holds_may_be_committed_without_its_knowledge() {
    let mut run = with_log(&valid_log()[..5]);
    for replica in &mut run.replicas[..2] {
        replica.entries = valid_log();
    }
    run.finds(&[Invariant::Evidence]);
}

#[test]
fn a_doubled_effect_shows_in_index_response_and_state() {
    let mut run = valid();
    let mut without_sessions = valid_log();
    without_sessions[6] = command(7, 2, "a", 3, r#"{"attack":1}"#);
    for replica in &mut run.replicas[..2] {
        replica.digest = digest(AppKind::Attack, &without_sessions);
    }
    let response = json(r#"{"outcome":"hit","player":1,"hp":40}"#);
    run.operation("a", 2).outcome = Outcome::Ok { index: 7, response };
    run.finds(&[Invariant::AppliedOnce, Invariant::FirstResponse, Invariant::DigestReplay, Invariant::Linearizability]);
}

#[test]
fn acknowledging_a_retry_at_its_own_index_is_found() {
    let mut run = valid();
    let response = json(r#"{"outcome":"hit","player":1,"hp":70}"#);
    run.operation("a", 2).outcome = Outcome::Ok { index: 7, response };
    run.finds(&[Invariant::AppliedOnce]);
}

#[test]
fn a_response_that_the_application_never_gave_is_found() {
    let mut run = valid();
    let response = json(r#"{"outcome":"hit","player":3,"hp":10}"#);
    run.operation("a", 1).outcome = Outcome::Ok { index: 2, response };
    run.finds(&[Invariant::FirstResponse, Invariant::Linearizability]);
}

#[test]
fn a_failed_command_that_was_applied_is_found() {
    let mut run = valid();
    run.operation("b", 1).outcome = Outcome::Failed { reason: "no leader".to_owned() };
    run.finds(&[Invariant::FailedNotApplied]);
}

#[test]
fn a_command_nobody_asked_for_is_found_if_the_history_is_complete() {
    let mut log = valid_log();
    log.push(command(8, 2, "a", 3, r#"{"attack":1}"#));
    let mut run = with_log(&log);
    run.finds(&[Invariant::NothingInvented]);
    run.setup.history_is_complete = false;
    run.finds(&[]);
}

#[test]
fn a_command_of_a_client_outside_the_history_is_nobodys_business() {
    let mut log = valid_log();
    log.push(command(8, 2, "visitor", 1, r#"{"attack":1}"#));
    with_log(&log).finds(&[]);
}

#[test]
fn a_command_changed_on_its_way_is_found() {
    let mut run = valid();
    run.operation("c", 1).op = RawValue::from_string(r#"{"add":7}"#.to_owned()).unwrap();
    run.setup.history_is_complete = false;
    run.finds(&[Invariant::NothingInvented]);
}

// ---- real time

#[test]
fn a_command_that_overtakes_one_completed_before_it_was_invoked_is_found() {
    let mut run = valid();
    (run.operation("a", 1).invoked_ns, run.operation("a", 1).completed_ns) = (41, Some(42));
    let report = run.finds(&[Invariant::RealTimeOrder, Invariant::Linearizability]);
    assert!(report.findings[0].text.starts_with("b#1 (index 5) had completed before a#1 (index 2)"), "{report}");
}

#[test]
fn an_unknown_command_that_took_effect_before_it_was_invoked_is_found() {
    let mut run = valid();
    (run.operation("c", 1).invoked_ns, run.operation("c", 1).completed_ns) = (100, None);
    run.finds(&[Invariant::RealTimeOrder]);
}

#[test]
fn a_command_that_timed_out_may_take_effect_after_later_ones() {
    let mut run = valid();
    (run.operation("c", 1).invoked_ns, run.operation("c", 1).completed_ns) = (1, Some(2));
    run.finds(&[]);
}

#[test]
fn commands_that_touch_in_time_may_stand_in_any_order() {
    let mut run = valid();
    (run.operation("a", 1).invoked_ns, run.operation("a", 1).completed_ns) = (40, Some(42));
    run.finds(&[]);
}

// ---- evidence

#[test]
fn an_empty_history_proves_nothing() {
    let mut run = valid();
    run.history.clear();
    run.finds(&[Invariant::Evidence]);
}

#[test]
fn a_missing_replica_leaves_the_verdict_unknown_and_is_named() {
    let mut run = valid();
    run.replicas.pop();
    let report = run.finds(&[Invariant::Evidence]);
    assert_eq!(report.to_string().lines().last(), Some("evidence: n3 took part and left no log"));
}

#[test]
fn a_missing_replica_does_not_excuse_what_was_seen() {
    let mut run = valid();
    run.replicas.pop();
    run.operation("b", 1).outcome = Outcome::Failed { reason: "no leader".to_owned() };
    run.finds(&[Invariant::Evidence, Invariant::FailedNotApplied]);
}

#[test]
fn without_any_log_the_history_is_still_held_against_time() {
    let mut run = valid();
    run.replicas.clear();
    run.finds(&[Invariant::Evidence]);
    (run.operation("a", 1).invoked_ns, run.operation("a", 1).completed_ns) = (41, Some(42));
    run.finds(&[Invariant::Evidence, Invariant::RealTimeOrder]);
}

#[test]
fn logs_that_cannot_be_accounted_for_leave_the_verdict_unknown() {
    let mut stranger = valid();
    stranger.replicas.push(replica(AppKind::Attack, 4, &valid_log(), 7));
    stranger.finds(&[Invariant::Evidence]);

    let mut twice = valid();
    twice.replicas.push(replica(AppKind::Attack, 1, &valid_log(), 7));
    twice.finds(&[Invariant::Evidence]);

    let mut nobody_expected = valid();
    nobody_expected.setup.nodes.clear();
    nobody_expected.finds(&[Invariant::Evidence]);
}

#[test]
fn a_log_that_begins_after_a_snapshot_is_judged_if_another_has_the_beginning() {
    let mut run = valid();
    run.replicas[0].entries.drain(..4);
    run.finds(&[]);
    run.replicas[0].entries[1] = command(6, 2, "a", 2, r#"{"attack":2}"#);
    run.finds(&[Invariant::StateMachineSafety]);
}

#[test]
fn a_log_whose_beginning_nobody_has_leaves_the_verdict_unknown() {
    let mut run = valid();
    for replica in &mut run.replicas {
        replica.entries.drain(..2);
    }
    let report = run.finds(&[Invariant::Evidence]);
    assert!(report.to_string().contains("no log holds index 1"), "{report}");
}

#[test]
fn a_log_without_its_end_leaves_the_verdict_unknown() {
    let mut run = valid();
    run.replicas[1].entries.pop();
    run.finds(&[Invariant::Evidence]);
}

#[test]
fn a_history_that_contradicts_itself_is_not_held_against_the_servers() {
    let mut twice = valid();
    let mut again = twice.operation("a", 1).clone();
    (again.invoked_ns, again.completed_ns) = (100, Some(110));
    twice.history.push(again);
    twice.finds(&[Invariant::Evidence]);

    let mut backwards = valid();
    (backwards.operation("a", 1).invoked_ns, backwards.operation("a", 1).completed_ns) = (99, Some(98));
    backwards.finds(&[Invariant::Evidence]);

    let mut timeless = valid();
    timeless.operation("a", 1).completed_ns = None;
    timeless.finds(&[Invariant::Evidence]);
}

#[test]
fn a_setup_that_no_application_takes_leaves_the_verdict_unknown() {
    let mut run = valid();
    run.setup.app_options.players = 65;
    run.finds(&[Invariant::Evidence]);
}

#[test]
fn a_flood_of_findings_is_cut_and_the_rest_is_counted() {
    let mut run = valid();
    for serial in 1..=50 {
        run.history.push(ok("z", serial, "0", 1..1000, 1, "0"));
    }
    let report = run.finds(&[Invariant::AcknowledgedDurable]);
    assert_eq!(report.findings.len(), 10);
    assert_eq!(report.to_string().lines().last(), Some("acknowledged_durable: … and 40 more"));
}
