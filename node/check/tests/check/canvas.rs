//! The same judges on a canvas: batches, reads of single pixels, and what only the log can tell of a batch.

use crate::run::{Run, command, json, noop, ok, unknown};
use raftian_check::apps::{AppKind, Entry};
use raftian_check::{Bounds, Invariant, Operation, Outcome, Verdict, linearizability};

const PAINTED: &str = r#"{"outcome":"painted"}"#;
const BOTH_RED: &str = r#"{"paint":[[1,1,7],[2,1,7]]}"#;
const BOTH_BLUE: &str = r#"{"paint":[[1,1,8],[2,1,8]]}"#;
const LEFT: &str = r#"{"pixel":[1,1]}"#;
const RIGHT: &str = r#"{"pixel":[2,1]}"#;
const RED: &str = r#"{"outcome":"found","colour":7,"index":2}"#;
const BLUE: &str = r#"{"outcome":"found","colour":8,"index":3}"#;

fn log() -> Vec<Entry> {
    vec![
        noop(1, 1),
        command(2, 1, "a", 1, BOTH_RED),
        command(3, 1, "b", 1, BOTH_BLUE),
        command(4, 1, "c", 1, r#"{"paint":[[3,3,1],[3,99,1]]}"#),
    ]
}

fn history() -> Vec<Operation> {
    vec![
        // They cross.
        ok("a", 1, BOTH_RED, 10..30, 2, PAINTED),
        ok("b", 1, BOTH_BLUE, 10..30, 3, PAINTED),
        ok("c", 1, r#"{"paint":[[3,3,1],[3,99,1]]}"#, 40..50, 4, r#"{"outcome":"out_of_range","size":"64x64"}"#),
        ok("r", 1, LEFT, 60..70, 4, BLUE),
        ok("r", 2, RIGHT, 80..90, 4, BLUE),
        ok("r", 3, r#"{"pixel":[3,3]}"#, 91..92, 4, r#"{"outcome":"unpainted"}"#),
    ]
}

fn valid() -> Run {
    Run::new(AppKind::Canvas, history(), &log())
}

#[test]
fn a_valid_run_is_valid_with_batches_of_which_one_was_out_of_range() {
    let report = valid().finds(&[]);
    assert_eq!((report.counts.reads, report.counts.acknowledged), (3, 6));
    let found = report.linearizability.unwrap();
    // Two batches and three reads touched three pixels; what was refused touched none.
    assert_eq!((found.objects, found.operations, found.verdict()), (3, 5, Verdict::Valid));
}

#[test]
fn a_read_of_a_colour_that_never_was_is_found() {
    let mut run = valid();
    let never = r#"{"outcome":"found","colour":9,"index":3}"#;
    run.operation("r", 1).outcome = Outcome::Ok { index: 4, response: json(never) };
    run.finds(&[Invariant::ReadFromLog, Invariant::Linearizability]);
}

#[test]
fn a_lost_pixel_is_found() {
    let mut run = valid();
    run.operation("r", 2).outcome = Outcome::Ok { index: 4, response: json(r#"{"outcome":"unpainted"}"#) };
    let report = run.finds(&[Invariant::ReadFromLog, Invariant::Linearizability]);
    assert!(report.to_string().contains("on pixel 2,1 no order explains"), "{report}");
}

#[test]
fn that_a_batch_was_painted_in_part_only_the_log_shows() {
    let mut run = valid();
    run.operation("r", 1).outcome = Outcome::Ok { index: 4, response: json(RED) };
    let setup = run.setup.clone();
    let found = linearizability(&run.history, &setup, Bounds::default());
    assert_eq!(found.verdict(), Verdict::Valid, "each pixel by itself has an order");
    run.finds(&[Invariant::ReadFromLog]);
}

#[test]
fn a_read_that_names_another_entry_is_found_by_the_log() {
    let mut run = valid();
    let other = r#"{"outcome":"found","colour":8,"index":2}"#;
    run.operation("r", 1).outcome = Outcome::Ok { index: 4, response: json(other) };
    run.finds(&[Invariant::ReadFromLog]);
}

#[test]
fn a_batch_that_its_client_never_heard_of_may_have_been_painted() {
    let mut run = valid();
    run.history[1] = unknown("b", 1, BOTH_BLUE, 10);
    run.finds(&[]);
}

#[test]
fn what_others_painted_is_taken_from_the_log_but_not_what_was_out_of_range() {
    let mut run = valid();
    run.setup.history_is_complete = false;
    run.history.drain(..3);
    let report = run.finds(&[]);
    assert_eq!(report.linearizability.unwrap().verdict(), Verdict::Valid);
}
