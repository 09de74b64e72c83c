//! The search against two others: `porcupine-rs`, and every order there is, tried one by one.
//!
//! Each history is made by a plan, so that it is valid, and then damaged, so that it may not be. `porcupine-rs` sees
//! only those in which every outcome is known: it knows no operation that may never have taken effect, and answers
//! "illegal" where one is given to it as an operation that never ends.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use porcupine_rs::{Model, check_operations};
use raftian_check::apps::AppKind;
use raftian_check::{Bounds, Operation, Outcome, Setup, Verdict, judge, linearizability};
use serde_json::{Value, json};

use crate::plan::{Plan, Run};

/// A third opinion of what the applications do, as plain as can be: everything by name.
type State = BTreeMap<String, String>;

fn start(app: AppKind, players: u16) -> State {
    let game = (1..=players).map(|player| (player.to_string(), "100".to_owned()));
    if app == AppKind::Attack { game.collect() } else { State::new() }
}

/// What an op answers, and the state after.
fn step(app: AppKind, state: &State, op: &Value) -> (Value, State) {
    let (name, argument) = op.as_object().and_then(|op| op.iter().next()).expect("an op has a name");
    match app {
        AppKind::Attack => play(state, name, argument.as_u64().expect("a player")),
        AppKind::Kv => access(state, name, argument),
        AppKind::Canvas => paint(state, name, argument),
    }
}

fn play(state: &State, name: &str, player: u64) -> (Value, State) {
    let mut after = state.clone();
    let key = player.to_string();
    let hp = state.get(&key).map(|hp| hp.parse::<i64>().expect("hit points"));
    let answer = match (name, hp) {
        ("add", Some(hp)) => json!({"outcome": "already_there", "player": player, "hp": hp}),
        ("add", None) => {
            after.insert(key, "100".to_owned());
            json!({"outcome": "added", "player": player, "hp": 100})
        }
        (_, None) => json!({"outcome": "no_such_player", "player": player}),
        ("del", Some(_)) => {
            after.remove(&key);
            json!({"outcome": "deleted", "player": player})
        }
        (_, Some(hp)) => {
            let left = (hp - 30).max(0);
            after.insert(key, left.to_string());
            let outcome = if hp == 0 {
                "already_dead"
            } else if left == 0 {
                "killed"
            } else {
                "hit"
            };
            json!({"outcome": outcome, "player": player, "hp": left})
        }
    };
    (answer, after)
}

fn access(state: &State, name: &str, argument: &Value) -> (Value, State) {
    let mut after = state.clone();
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let key = text(argument.get(0).unwrap_or(argument)).expect("a key");
    let value = state.get(&key).cloned();
    let answer = match name {
        "get" => value.map_or(json!({"outcome": "absent"}), |value| json!({"outcome": "found", "value": value})),
        "set" => {
            after.insert(key, text(&argument[1]).expect("a value"));
            json!({"outcome": "set"})
        }
        "del" => json!({"outcome": if after.remove(&key).is_some() { "deleted" } else { "absent" }}),
        "cas" if value == text(&argument[1]) => {
            after.insert(key, text(&argument[2]).expect("a value"));
            json!({"outcome": "swapped"})
        }
        "cas" => value.map_or(json!({"outcome": "mismatch"}), |v| json!({"outcome": "mismatch", "value": v})),
        _ => match value.clone().unwrap_or("0".to_owned()).parse::<i64>() {
            Ok(number) => {
                let sum = (number + argument[1].as_i64().expect("a number")).to_string();
                after.insert(key, sum.clone());
                json!({"outcome": "incremented", "value": sum})
            }
            Err(_) => json!({"outcome": "not_an_integer", "value": value}),
        },
    };
    (answer, after)
}

/// On a canvas of 64×64.
fn paint(state: &State, name: &str, argument: &Value) -> (Value, State) {
    let mut after = state.clone();
    let pixels = if name == "pixel" { std::slice::from_ref(argument) } else { argument.as_array().expect("pixels") };
    let coordinate = |pixel: &Value, place: usize| pixel[place].as_u64().expect("a number");
    if pixels.iter().any(|pixel| coordinate(pixel, 0) > 63 || coordinate(pixel, 1) > 63) {
        return (json!({"outcome": "out_of_range", "size": "64x64"}), after);
    }
    let key = |pixel: &Value| format!("{},{}", pixel[0], pixel[1]);
    if name == "pixel" {
        let colour = state.get(&key(argument)).map(|colour| colour.parse::<u32>().expect("a colour"));
        let answer = colour.map(|colour| json!({"outcome": "found", "colour": colour}));
        return (answer.unwrap_or(json!({"outcome": "unpainted"})), after);
    }
    for pixel in pixels {
        after.insert(key(pixel), pixel[2].to_string());
    }
    (json!({"outcome": "painted"}), after)
}

/// An operation as both other judges see it: what was asked, and what was answered if it is known.
type Seen = (Value, Option<Value>);

fn seen(operation: &Operation) -> Seen {
    let op = serde_json::from_str(operation.op.get()).expect("JSON");
    let answer = match &operation.outcome {
        Outcome::Ok { response, .. } => {
            let mut answer: Value = serde_json::from_str(response.get()).expect("JSON");
            // The entry that painted a pixel: only a log can tell.
            answer.as_object_mut().expect("an answer has fields").remove("index");
            Some(answer)
        }
        Outcome::Unknown { .. } | Outcome::Failed { .. } => None,
    };
    (op, answer)
}

/// Whether there is an order, found by trying them all.
fn has_order(app: AppKind, state: &State, left: &[&Operation]) -> bool {
    let is_known = |operation: &Operation| matches!(operation.outcome, Outcome::Ok { .. });
    let ends = left.iter().filter(|operation| is_known(operation)).map(|operation| operation.completed_ns.unwrap());
    let Some(first_end) = ends.min() else { return true };
    left.iter().enumerate().filter(|(_, operation)| operation.invoked_ns <= first_end).any(|(place, operation)| {
        let (op, told) = seen(operation);
        let (answer, after) = step(app, state, &op);
        let rest: Vec<&Operation> =
            left.iter().enumerate().filter(|(other, _)| *other != place).map(|(_, operation)| *operation).collect();
        told.is_none_or(|told| told == answer) && has_order(app, &after, &rest)
    })
}

#[derive(Clone, Debug)]
struct Porcupine<const IS_KV: bool, const PLAYERS: u16>;

impl<const IS_KV: bool, const PLAYERS: u16> Porcupine<IS_KV, PLAYERS> {
    const APP: AppKind = if IS_KV { AppKind::Kv } else { AppKind::Attack };

    fn has_order(history: &[Operation]) -> bool {
        let operation = |operation: &Operation| porcupine_rs::Operation::<Self> {
            client_id: None,
            // Doubled, so that what is called in the nanosecond of a return comes before it here as well.
            call_time: 2 * operation.invoked_ns as i64,
            return_time: 2 * operation.completed_ns.expect("every outcome is known") as i64 + 1,
            op: seen(operation),
            metadata: None,
        };
        check_operations(&history.iter().map(operation).collect::<Vec<_>>())
    }
}

impl<const IS_KV: bool, const PLAYERS: u16> Model for Porcupine<IS_KV, PLAYERS> {
    type State = State;
    type Op = Seen;
    type Metadata = ();

    fn init() -> State {
        start(Self::APP, PLAYERS)
    }

    fn step(state: &State, (op, told): &Seen) -> (bool, State) {
        let (answer, after) = step(Self::APP, state, op);
        (told.as_ref() == Some(&answer), after)
    }
}

/// Damages a history: a response that another operation got, a moment moved, an order of events reversed.
fn damage(history: &mut [Operation], random: &mut fastrand::Rng) {
    let (one, other) = (random.usize(..history.len()), random.usize(..history.len()));
    match random.u8(..4) {
        0 => {
            let outcome = history[one].outcome.clone();
            history[one].outcome = std::mem::replace(&mut history[other].outcome, outcome);
        }
        1 => {
            let outcome = history[other].outcome.clone();
            history[one].outcome = outcome;
        }
        2 => history[one].invoked_ns = history[one].completed_ns.unwrap(),
        _ => history[one].completed_ns = Some(history[one].invoked_ns),
    }
}

/// A history in a few lines, for a failure.
fn describe(history: &[Operation]) -> String {
    history.iter().fold(String::new(), |mut text, operation| {
        let Operation { op, invoked_ns, completed_ns, outcome, .. } = operation;
        let _ = writeln!(text, "{operation} {op} {invoked_ns}–{completed_ns:?} {outcome:?}");
        text
    })
}

fn has_found_order(history: &[Operation], setup: &Setup) -> bool {
    match linearizability(history, setup, Bounds::default()).verdict() {
        Verdict::Valid => true,
        Verdict::Violated => false,
        Verdict::Unknown => panic!("undecided:\n{}", describe(history)),
    }
}

/// Compares the judges on valid and damaged histories; both kinds of answer must come up often.
#[track_caller]
fn compare(plans: impl Iterator<Item = Plan>, other: impl Fn(&[Operation], &Setup) -> bool) {
    let (mut valid, mut violated) = (0, 0);
    for plan in plans {
        let mut random = fastrand::Rng::with_seed(plan.seed);
        let Run { mut history, setup, .. } = plan.run();
        for _ in 0..4 {
            let expected = other(&history, &setup);
            assert_eq!(has_found_order(&history, &setup), expected, "{plan:?}:\n{}", describe(&history));
            *(if expected { &mut valid } else { &mut violated }) += 1;
            // What to try first is a guess, and a wrong one changes nothing.
            let mut shuffled = history.clone();
            for operation in &mut shuffled {
                if let Outcome::Ok { index, .. } = &mut operation.outcome {
                    *index = random.u64(0..5);
                }
            }
            assert_eq!(has_found_order(&shuffled, &setup), expected, "{plan:?}:\n{}", describe(&shuffled));
            damage(&mut history, &mut random);
        }
    }
    assert!(valid > 400 && violated > 400, "{valid} valid and {violated} violated histories");
}

fn plans(app: AppKind, count: u64, operations: usize, unknown_percent: u32) -> impl Iterator<Item = Plan> {
    (0..count).map(move |seed| {
        let clients = 2 + seed as usize % 5;
        Plan { app, clients, operations, objects: 2, values: 3, unknown_percent, seed }
    })
}

#[test]
fn porcupine_agrees_on_a_store() {
    compare(plans(AppKind::Kv, 500, 14, 0), |history, _| Porcupine::<true, 0>::has_order(history));
}

#[test]
fn porcupine_agrees_on_a_game() {
    compare(plans(AppKind::Attack, 500, 14, 0), |history, _| Porcupine::<false, 2>::has_order(history));
}

#[test]
fn trying_every_order_agrees_on_a_store_with_unknown_outcomes() {
    compare(plans(AppKind::Kv, 1000, 7, 40), every_order);
}

#[test]
fn trying_every_order_agrees_on_a_game_with_unknown_outcomes() {
    compare(plans(AppKind::Attack, 1000, 7, 40), every_order);
}

#[test]
fn trying_every_order_agrees_on_a_canvas_with_unknown_outcomes() {
    compare(plans(AppKind::Canvas, 1000, 7, 40), every_order);
}

fn every_order(history: &[Operation], setup: &Setup) -> bool {
    has_order(setup.app, &start(setup.app, setup.app_options.players), &history.iter().collect::<Vec<_>>())
}

#[test]
fn a_long_run_of_a_correct_server_is_valid_to_both_judges_whatever_the_clients_do_not_know() {
    for app in AppKind::ALL {
        for (operations, clients, objects, unknown_percent) in
            [(5_000, 3, 1, 0), (5_000, 64, 1, 5), (5_000, 64, 40, 20), (40_000, 8, 1, 20)]
        {
            let plan = Plan { app, clients, operations, objects, values: 1_000, unknown_percent, seed: 11 };
            let run = plan.run();
            let report = judge(&run.history, &run.replicas, &run.setup);
            assert_eq!(report.verdict, Verdict::Valid, "{plan:?}: {report}");
            let found = report.linearizability.as_ref().expect("the log is whole");
            assert_eq!(found.verdict(), Verdict::Valid, "{plan:?}: {report}");
            // Next to nothing is tried twice, or this would not be so.
            assert!(found.steps < 15 * operations as u64, "{plan:?}: {} steps", found.steps);
        }
    }
}

#[test]
fn what_nobody_was_told_is_found_where_it_is_needed_without_a_log_to_go_by() {
    for app in AppKind::ALL {
        let plan =
            Plan { app, clients: 16, operations: 1_000, objects: 1, values: 1_000, unknown_percent: 20, seed: 12 };
        let run = plan.run();
        let found = linearizability(&run.history, &run.setup, Bounds::default());
        assert_eq!(found.verdict(), Verdict::Valid, "{plan:?}: {found:?}");
        assert!(found.steps < 5_000, "{plan:?}: {} steps", found.steps);
    }
}

#[test]
fn an_order_is_found_without_anything_to_go_by() {
    let plan = Plan { operations: 5_000, ..plans(AppKind::Kv, 1, 0, 0).next().expect("one plan") };
    for (app, clients) in [(AppKind::Kv, 16), (AppKind::Attack, 16), (AppKind::Canvas, 16)] {
        let run = Plan { app, clients, objects: 1, ..plan }.run();
        assert!(has_found_order(&run.without_indexes(), &run.setup));
    }
}
