//! What the search promises whatever it is told to try first, and what windows are.

use super::window::narrow;
use super::*;
use crate::model::kv::{Effect, Value};

const PLENTY: Budget = Budget { steps: 1_000_000, memory_bytes: 1 << 20 };

fn find(calls: &[Call<Effect>], initial: Value) -> Found {
    search(calls, initial, &mut PLENTY.clone())
}

fn random_effect(random: &mut fastrand::Rng) -> Effect {
    let mut value = || match random.u8(..4) {
        0 => Value::Absent,
        number => Value::Integer(number.into()),
    };
    let (one, other) = (value(), value());
    match random.u8(..8) {
        0..3 => Effect::Saw(one),
        3 | 4 => Effect::Set(one),
        5 => Effect::Swapped(one, other),
        6 => Effect::Deleted,
        _ => Effect::Added(1, random.i64(1..4)),
    }
}

fn random_calls(random: &mut fastrand::Rng) -> Vec<Call<Effect>> {
    let count = random.u32(1..10);
    let call = |source| {
        let invoked_ns = random.u64(..20);
        let completed_ns = (random.u8(..3) > 0).then(|| invoked_ns + random.u64(..10));
        let hint = if random.bool() { u64::MAX } else { random.u64(..10) };
        let transition = match completed_ns {
            Some(_) => random_effect(random),
            None if random.bool() => Effect::MaybeSwapped(Value::Integer(1), Value::Integer(random.i64(1..4))),
            None if random.bool() => Effect::MaybeAdded(1),
            None => Effect::Set(Value::Integer(random.i64(1..4))),
        };
        Call { source, invoked_ns, completed_ns, hint, transition }
    };
    (0..count).map(call).collect()
}

#[test]
fn hints_change_no_answer() {
    let mut random = fastrand::Rng::with_seed(3);
    let mut orders = 0;
    for _ in 0..20_000 {
        let calls = random_calls(&mut random);
        let unhinted: Vec<Call<Effect>> = calls.iter().map(|call| Call { hint: u64::MAX, ..*call }).collect();
        let has_order = |calls: &[Call<Effect>]| find(calls, Value::Absent) == Found::Order;
        assert_eq!(has_order(&calls), has_order(&unhinted), "{calls:?}");
        orders += u32::from(has_order(&calls));
    }
    assert!((4_000..16_000).contains(&orders), "{orders} of 20000 have an order");
}

#[test]
fn a_window_has_no_order_and_neither_end_of_it_can_go() {
    let mut random = fastrand::Rng::with_seed(4);
    let mut alone = 0;
    for _ in 0..20_000 {
        let calls = random_calls(&mut random);
        let Found::NoOrder { by_ns } = find(&calls, Value::Absent) else { continue };
        let window = narrow(&calls, Value::Absent, by_ns, &mut PLENTY.clone());
        let mut returned: Vec<Call<Effect>> =
            calls.iter().filter(|call| call.completed_ns.is_some()).copied().collect();
        returned.sort_by_key(|call| (call.completed_ns, call.source));
        let first = returned.iter().position(|call| call.source == window.sources[0]).unwrap();
        let last = first + window.sources.len() - 1;
        assert!(returned[first..=last].iter().map(|call| call.source).eq(window.sources.iter().copied()));

        let has_order = |range: std::ops::Range<usize>| {
            let inside = &returned[range];
            let from_ns = inside.iter().map(|call| call.invoked_ns).min().unwrap_or(u64::MAX);
            let to_ns = inside.last().map_or(0, |call| call.completed_ns.unwrap());
            let is_inside = |call: &Call<Effect>| inside.iter().any(|inside| inside.source == call.source);
            let overlaps =
                |call: &Call<Effect>| call.invoked_ns <= to_ns && call.completed_ns.unwrap_or(to_ns) >= from_ns;
            let around = calls.iter().filter(|call| !is_inside(call) && overlaps(call));
            let around = around.map(|call| Call { completed_ns: None, ..*call });
            let before = if window.stands_alone { Value::Any } else { Value::Absent };
            find(&inside.iter().copied().chain(around).collect::<Vec<_>>(), before) == Found::Order
        };
        assert!(!has_order(first..last + 1), "{window:?} of {calls:?}");
        assert!(has_order(first..last), "{window:?} of {calls:?}");
        assert!(!window.stands_alone || has_order(first + 1..last + 1), "{window:?} of {calls:?}");
        alone += u32::from(window.stands_alone);
    }
    assert!(alone > 1_000, "{alone} windows stand alone");
}

#[test]
fn a_search_ends_where_its_budget_does() {
    let writes = |count: u32| -> Vec<Call<Effect>> {
        let write = |source: u32| {
            let transition = Effect::Set(Value::Integer(source.into()));
            Call { source, invoked_ns: 0, completed_ns: Some(10), hint: 0, transition }
        };
        // Nobody wrote what is read in the end, and there are 20! orders in which that is so.
        let read = Call { source: count, invoked_ns: 20, completed_ns: Some(30), hint: 0, transition: Effect::Deleted };
        let again = Call { source: count + 1, invoked_ns: 40, completed_ns: Some(50), ..read };
        (0..count).map(write).chain([read, again]).collect()
    };
    let calls = writes(20);
    let mut steps = Budget { steps: 10_000, memory_bytes: 1 << 30 };
    assert_eq!(search(&calls, Value::Absent, &mut steps), Found::TooLong);
    assert_eq!(steps.steps, 0);
    let mut memory = Budget { steps: u64::MAX, memory_bytes: 100_000 };
    assert_eq!(search(&calls, Value::Absent, &mut memory), Found::TooLarge);
    assert_eq!(find(&writes(5), Value::Absent), Found::NoOrder { by_ns: 50 });
}

#[test]
fn nothing_at_all_is_in_order() {
    assert_eq!(find(&[], Value::Absent), Found::Order);
    let never = Call { source: 0, invoked_ns: 0, completed_ns: None, hint: 0, transition: Effect::Set(Value::Absent) };
    assert_eq!(find(&[never], Value::Absent), Found::Order);
}
