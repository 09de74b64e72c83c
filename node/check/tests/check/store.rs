//! The same judges on the key-value store: reads that leave no entry, clients that are refused, and clients that the
//! history does not know.

use crate::run::{Run, command, json, noop, ok, unknown};
use raftian_check::apps::{AppKind, Configuration, Entry, NodeId, Payload};
use raftian_check::{Bounds, Invariant, Operation, Outcome, Verdict, linearizability};

const SET: &str = r#"{"outcome":"set"}"#;
const ONE: &str = r#"{"outcome":"found","value":"1"}"#;
const TWO: &str = r#"{"outcome":"found","value":"2"}"#;
const GET: &str = r#"{"get":"k"}"#;

fn valid() -> Run {
    Run::new(AppKind::Kv, history(), &log())
}

fn log() -> Vec<Entry> {
    vec![
        noop(1, 1),
        command(2, 1, "a", 1, r#"{"set":["k","1"]}"#),
        command(3, 1, "b", 1, GET),
        command(4, 1, "a", 2, r#"{"cas":["k","1","2"]}"#),
        command(5, 1, "c", 1, r#"{"incr":["n",7]}"#),
    ]
}

fn history() -> Vec<Operation> {
    vec![
        ok("a", 1, r#"{"set":["k","1"]}"#, 10..20, 2, SET),
        ok("b", 1, GET, 15..30, 3, ONE),
        ok("a", 2, r#"{"cas":["k","1","2"]}"#, 40..50, 4, r#"{"outcome":"swapped"}"#),
        unknown("c", 1, r#"{"incr":["n",7]}"#, 45),
        // The reads of r left no entry.
        ok("r", 1, GET, 60..70, 4, TWO),
        ok("r", 2, r#"{"get":"n"}"#, 80..90, 5, r#"{"outcome":"found","value":"7"}"#),
    ]
}

#[test]
fn a_valid_run_is_valid_with_reads_in_the_log_and_beside_it() {
    let report = valid().finds(&[]);
    assert_eq!((report.counts.reads, report.counts.acknowledged, report.counts.unknown_applied), (2, 5, 1));
    let found = report.linearizability.unwrap();
    assert_eq!((found.objects, found.operations, found.verdict()), (2, 6, Verdict::Valid));
}

#[test]
fn a_read_of_a_value_that_never_was_is_found() {
    let mut run = valid();
    run.operation("r", 1).outcome = Outcome::Ok { index: 4, response: json(r#"{"outcome":"found","value":"3"}"#) };
    run.finds(&[Invariant::ReadFromLog, Invariant::Linearizability]);
}

#[test]
fn a_stale_read_is_found_though_the_value_once_was() {
    let mut run = valid();
    run.operation("r", 1).outcome = Outcome::Ok { index: 3, response: json(ONE) };
    let report = run.finds(&[Invariant::RealTimeOrder, Invariant::Linearizability]);
    let text = report.to_string();
    assert!(text.contains("a#2 (index 4) had completed before r#1 (index 3) was invoked"), "{text}");
    assert!(text.contains(r#"on key "k" no order explains the 2 operations from 40 to 70 ns, whatever came before"#));
}

#[test]
fn a_read_that_names_the_wrong_index_is_found_though_the_value_is_right() {
    let mut run = valid();
    run.operation("r", 2).outcome = Outcome::Ok { index: 4, response: json(r#"{"outcome":"found","value":"7"}"#) };
    run.finds(&[Invariant::ReadFromLog]);
}

#[test]
fn a_read_may_be_as_old_as_the_last_command_that_completed_before_it() {
    let mut run = valid();
    run.operation("r", 1).invoked_ns = 51;
    run.finds(&[]);
}

#[test]
fn a_command_that_was_read_before_it_was_invoked_is_found() {
    let mut run = valid();
    (run.operation("a", 2).invoked_ns, run.operation("a", 2).completed_ns) = (75, Some(78));
    run.finds(&[Invariant::RealTimeOrder, Invariant::Linearizability]);
}

#[test]
fn a_read_of_the_uncommitted_is_found() {
    let mut run = valid();
    run.history.push(unknown("c", 2, r#"{"set":["n","8"]}"#, 92));
    run.history.push(ok("r", 3, r#"{"get":"n"}"#, 95..99, 5, r#"{"outcome":"found","value":"8"}"#));
    // The search cannot know that the write is not in the log, and so it might explain the read.
    run.finds(&[Invariant::ReadFromLog]);
}

#[test]
fn a_write_that_is_not_in_the_log_is_lost_where_a_read_need_not_be_there() {
    let mut run = valid();
    run.history.push(ok("r", 3, r#"{"set":["z","1"]}"#, 92..95, 6, SET));
    run.finds(&[Invariant::AcknowledgedDurable]);
}

#[test]
fn what_other_clients_did_explains_what_these_saw() {
    let others = [
        command(1, 1, "x", 1, r#"{"set":["k","0"]}"#),
        command(2, 1, "a", 1, r#"{"cas":["k","0","1"]}"#),
        command(3, 1, "y", 1, r#"{"incr":["k",4]}"#),
    ];
    let mut history = vec![
        ok("a", 1, r#"{"cas":["k","0","1"]}"#, 10..20, 2, r#"{"outcome":"swapped"}"#),
        ok("r", 1, GET, 30..40, 3, r#"{"outcome":"found","value":"5"}"#),
    ];
    Run::new(AppKind::Kv, history.clone(), &others).finds(&[]);
    history[1].outcome = Outcome::Ok { index: 3, response: json(r#"{"outcome":"found","value":"6"}"#) };
    Run::new(AppKind::Kv, history, &others).finds(&[Invariant::ReadFromLog, Invariant::Linearizability]);
    // What another did before all that the history knows of is certain.
    let late = vec![ok("r", 1, GET, 30..40, 3, r#"{"outcome":"absent"}"#)];
    Run::new(AppKind::Kv, late, &others).finds(&[Invariant::ReadFromLog, Invariant::Linearizability]);
}

#[test]
fn what_others_may_have_done_beyond_the_logs_at_hand_is_not_held_against_the_servers() {
    let mut run = Run::new(AppKind::Kv, history(), &log());
    run.history.push(ok("r", 3, GET, 96..99, 6, r#"{"outcome":"found","value":"9"}"#));
    run.replicas.truncate(1);
    let report = run.finds(&[Invariant::Evidence]);
    assert_eq!(report.linearizability, None);
}

#[test]
fn without_a_log_that_is_whole_no_search_is_made_since_others_may_have_been_at_work() {
    let mut run = valid();
    run.operation("r", 1).outcome = Outcome::Ok { index: 4, response: json(r#"{"outcome":"found","value":"3"}"#) };
    run.replicas.clear();
    assert_eq!(run.finds(&[Invariant::Evidence]).linearizability, None);
}

#[test]
fn a_client_that_was_refused_for_want_of_a_session_had_no_effect() {
    let mut run_log = log();
    run_log.push(command(6, 1, "d", 2, r#"{"set":["k","9"]}"#));
    let mut run = Run::new(AppKind::Kv, history(), &run_log);
    run.history.push(ok("d", 2, r#"{"set":["k","9"]}"#, 92..95, 6, r#"{"error":"no_session"}"#));
    run.history.push(ok("r", 3, GET, 96..99, 6, TWO));
    assert_eq!(run.finds(&[]).counts.refused, 1);
}

#[test]
fn a_command_that_was_refused_and_then_carried_out_is_judged_where_it_was_carried_out() {
    let mut run_log = log();
    run_log.push(command(6, 1, "d", 2, r#"{"set":["k","9"]}"#));
    run_log.push(command(7, 1, "d", 1, r#"{"set":["k","8"]}"#));
    run_log.push(command(8, 1, "d", 2, r#"{"set":["k","9"]}"#));
    let mut run = Run::new(AppKind::Kv, history(), &run_log);
    run.history.push(unknown("d", 1, r#"{"set":["k","8"]}"#, 91));
    run.history.push(ok("d", 2, r#"{"set":["k","9"]}"#, 92..95, 8, SET));
    run.finds(&[]);
}

#[test]
fn a_configuration_is_an_entry_without_effect() {
    let mut run_log = log();
    let configuration = Configuration::new(NodeId::first(3)).unwrap();
    run_log.push(Entry { index: 6, term: 1, payload: Payload::Configuration(configuration.into()) });
    let report = Run::new(AppKind::Kv, history(), &run_log).finds(&[]);
    assert_eq!(report.counts.noops, 2);
}

#[test]
fn an_op_of_another_application_leaves_the_search_undecided() {
    let mut run = valid();
    run.operation("a", 1).op = serde_json::from_str(r#"{"attack":1}"#).unwrap();
    let found = linearizability(&run.history, &run.setup, Bounds::default());
    assert_eq!(found.undecided[0].to_string(), "a#1: its op is none of the application");
    // Without its value the read of it has no explanation.
    assert_eq!(found.verdict(), Verdict::Violated);
}

#[test]
fn a_search_that_is_given_up_is_told_and_does_not_weaken_the_verdict_of_the_log() {
    let run = valid();
    let found = linearizability(&run.history, &run.setup, Bounds { steps: 2, memory_bytes: 1 << 20 });
    assert_eq!(found.verdict(), Verdict::Unknown);
    assert_eq!(found.undecided[0].to_string(), r#"key "k": the search was given up: it took too many steps"#);
    let mut report = run.judge();
    report.linearizability = Some(found);
    let text = report.to_string();
    assert!(text.starts_with("verdict: valid\n") && text.contains("\nnot decided by search: key \"k\""), "{text}");
}

#[test]
fn every_object_that_has_no_order_is_counted_and_ten_are_described() {
    let lie = |key: u64| {
        let op = format!(r#"{{"get":"{key}"}}"#);
        ok("r", key + 1, &op, 10 * key..10 * key + 5, 0, ONE)
    };
    let history: Vec<Operation> = (0..12).map(lie).collect();
    let found = linearizability(&history, &valid().setup, Bounds::default());
    assert_eq!((found.violated, found.violations.len(), found.verdict()), (12, 10, Verdict::Violated));
    let first = &found.violations[0];
    assert_eq!((first.from_ns, first.to_ns, first.operations, first.stands_alone), (0, 5, 1, false));
    assert_eq!(first.last, [r#"r#1 {"get":"0"} → {"outcome":"found","value":"1"}"#]);
}
