//! One key of the key-value store.

use std::borrow::Cow;
use std::collections::HashMap;

use raftian_apps::{KvOp, KvReply, KvReplyKind, Machine, Response};
use serde_json::value::{RawValue, to_raw_value};

use crate::search::{Makes, Transition};

/// What is known of a key's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Value {
    /// Nothing.
    Any,
    /// There is none.
    Absent,
    /// It is this integer.
    Integer(i64),
    /// It is this text, by its number.
    Text(u32),
}

/// What an op did to its key, as its client was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Effect {
    /// Nothing: the key had, and has, this value.
    Saw(Value),
    /// Whatever it had, it has this now.
    Set(Value),
    /// It had a value, and has none now.
    Deleted,
    /// It had the first and has the second now.
    Swapped(Value, Value),
    /// So much was added, which made this.
    Added(i64, i64),
    /// A swap with unknown outcome.
    MaybeSwapped(Value, Value),
    /// An addition with unknown outcome.
    MaybeAdded(i64),
    /// What no key could have done.
    Impossible,
}

/// Reads ops, and gives the same number to the same text.
#[derive(Debug, Default)]
pub(crate) struct Reader<'a> {
    numbers: HashMap<Cow<'a, str>, u32>,
}

impl<'a> Reader<'a> {
    /// Which key an op touches and what it did; `None` if it is not an op. Without a response the outcome is unknown.
    pub(crate) fn read(&mut self, op: &'a RawValue, response: Option<&'a Response>) -> Option<(Cow<'a, str>, Effect)> {
        let op = KvOp::parse(op).ok()?;
        let key = op.key().clone();
        let effect = match response {
            None => self.untold(op),
            Some(response) => self.told(op, response).unwrap_or(Effect::Impossible),
        };
        Some((key, effect))
    }

    /// What a key has in a store.
    pub(crate) fn in_store(&mut self, key: &str, store: &Machine) -> Value {
        let get = to_raw_value(&KvOp::Get(key.into())).ok();
        let answer = get.and_then(|get| store.query(&get).ok());
        let reply = answer.as_ref().and_then(|answer| serde_json::from_str::<KvReply<'_>>(answer.get()).ok());
        // A store answers every get. Should one not, nothing is known.
        reply.map_or(Value::Any, |reply| self.value(reply.value.map(|value| Cow::Owned(value.into_owned()))))
    }

    fn untold(&mut self, op: KvOp<'a>) -> Effect {
        match op {
            // Nobody saw what it read: that fits anywhere.
            KvOp::Get(_) => Effect::Saw(Value::Any),
            KvOp::Set(_, value) => Effect::Set(self.value(Some(value))),
            KvOp::Del(_) => Effect::Set(Value::Absent),
            KvOp::Cas(_, old, new) => Effect::MaybeSwapped(self.value(old), self.value(Some(new))),
            KvOp::Incr(_, by) => Effect::MaybeAdded(by),
        }
    }

    fn told(&mut self, op: KvOp<'a>, response: &'a Response) -> Option<Effect> {
        let KvReply { outcome, value: told } = serde_json::from_str(response.get()).ok()?;
        let has_value = told.is_some();
        let told = self.value(told);
        match (op, outcome) {
            (KvOp::Get(_), KvReplyKind::Found) if has_value => Some(Effect::Saw(told)),
            (KvOp::Get(_) | KvOp::Del(_), KvReplyKind::Absent) => Some(Effect::Saw(Value::Absent)),
            (KvOp::Set(_, value), KvReplyKind::Set) => Some(Effect::Set(self.value(Some(value)))),
            (KvOp::Del(_), KvReplyKind::Deleted) => Some(Effect::Deleted),
            (KvOp::Cas(_, old, new), KvReplyKind::Swapped) => {
                Some(Effect::Swapped(self.value(old), self.value(Some(new))))
            }
            (KvOp::Cas(_, old, _), KvReplyKind::Mismatch) => (told != self.value(old)).then_some(Effect::Saw(told)),
            (KvOp::Incr(_, by), KvReplyKind::Incremented) => match told {
                Value::Integer(sum) => Some(Effect::Added(by, sum)),
                _ => None,
            },
            (KvOp::Incr(..), KvReplyKind::NotAnInteger) => matches!(told, Value::Text(_)).then_some(Effect::Saw(told)),
            (KvOp::Incr(_, by), KvReplyKind::Overflow) => match told {
                Value::Integer(number) if number.checked_add(by).is_none() => Some(Effect::Saw(told)),
                _ => None,
            },
            _ => None,
        }
    }

    fn value(&mut self, text: Option<Cow<'a, str>>) -> Value {
        let Some(text) = text else { return Value::Absent };
        if let Some(integer) = integer(&text) {
            return Value::Integer(integer);
        }
        let new = u32::try_from(self.numbers.len()).expect("fewer than 2³² texts fit in memory");
        Value::Text(*self.numbers.entry(text).or_insert(new))
    }
}

/// The 64-bit integer that a text is in its shortest form: digits without a leading zero, after a minus if negative.
fn integer(text: &str) -> Option<i64> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let is_short = digits == "0" || !digits.starts_with('0');
    let is_plain = digits.bytes().all(|byte| byte.is_ascii_digit()) && is_short && text != "-0";
    is_plain.then(|| text.parse().ok())?
}

impl Transition for Effect {
    type State = Value;

    const ANY: Value = Value::Any;

    fn step(&self, before: Value) -> Option<Value> {
        let is = |value: Value| before == value || before == Value::Any;
        match *self {
            Effect::Saw(Value::Any) => Some(before),
            Effect::Saw(value) => is(value).then_some(value),
            Effect::Set(value) => Some(value),
            Effect::Deleted => (before != Value::Absent).then_some(Value::Absent),
            Effect::Swapped(old, new) => is(old).then_some(new),
            Effect::Added(by, sum) => match before {
                Value::Any => Some(Value::Integer(sum)),
                _ => (number(before)?.checked_add(by) == Some(sum)).then_some(Value::Integer(sum)),
            },
            Effect::MaybeSwapped(old, new) => Some(if is(old) { new } else { before }),
            Effect::MaybeAdded(by) => {
                Some(number(before).and_then(|number| number.checked_add(by)).map_or(before, Value::Integer))
            }
            Effect::Impossible => None,
        }
    }

    fn needs(&self) -> Option<Value> {
        match *self {
            Effect::Saw(value) | Effect::Swapped(value, _) => Some(value),
            // What counts for 0 may be no value.
            Effect::Added(by, sum) if by != sum => sum.checked_sub(by).map(Value::Integer),
            _ => None,
        }
    }

    fn makes(&self) -> Makes<Value> {
        match *self {
            Effect::Saw(_) | Effect::Impossible => Makes::Nothing,
            Effect::Swapped(old, new) if old == new => Makes::Nothing,
            Effect::Added(0, sum) if sum != 0 => Makes::Nothing,
            Effect::Set(value) | Effect::Swapped(_, value) | Effect::MaybeSwapped(_, value) => Makes::One(value),
            Effect::Deleted => Makes::One(Value::Absent),
            Effect::Added(_, sum) => Makes::One(Value::Integer(sum)),
            Effect::MaybeAdded(_) => Makes::Any,
        }
    }
}

/// What a value counts for in an addition.
fn number(value: Value) -> Option<i64> {
    match value {
        Value::Absent => Some(0),
        Value::Integer(number) => Some(number),
        Value::Any | Value::Text(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What an op with this answer allows: the states after each of absent, 5, 7 and a text.
    #[track_caller]
    fn check(op: &str, response: Option<&str>, after: [Option<Value>; 4]) {
        let op = RawValue::from_string(op.to_owned()).unwrap();
        let text = RawValue::from_string(r#"{"set":["k","text"]}"#.to_owned()).unwrap();
        let response: Option<Response> = response.map(|text| serde_json::from_str(text).unwrap());
        let mut reader = Reader::default();
        assert_eq!(reader.read(&text, None).unwrap().1, Effect::Set(TEXT));
        let (key, effect) = reader.read(&op, response.as_ref()).unwrap();
        assert_eq!(key, "k");
        assert_eq!([Value::Absent, FIVE, SEVEN, TEXT].map(|before| effect.step(before)), after, "{op} {response:?}");
    }

    const TEXT: Value = Value::Text(0);
    const FIVE: Value = Value::Integer(5);
    const SEVEN: Value = Value::Integer(7);
    const NEVER: [Option<Value>; 4] = [None; 4];

    #[test]
    fn a_read_fits_where_the_value_is() {
        check(r#"{"get":"k"}"#, Some(r#"{"outcome":"found","value":"text"}"#), [None, None, None, Some(TEXT)]);
        check(r#"{"get":"k"}"#, Some(r#"{"outcome":"found","value":"5"}"#), [None, Some(FIVE), None, None]);
        check(r#"{"get":"k"}"#, Some(r#"{"outcome":"absent"}"#), [Some(Value::Absent), None, None, None]);
        check(r#"{"get":"k"}"#, Some(r#"{"outcome":"found","value":"05"}"#), NEVER);
    }

    #[test]
    fn a_write_fits_anywhere_and_a_deletion_where_there_is_a_value() {
        check(r#"{"set":["k","7"]}"#, Some(r#"{"outcome":"set"}"#), [Some(SEVEN); 4]);
        check(r#"{"set":["k","7"]}"#, None, [Some(SEVEN); 4]);
        let absent = Some(Value::Absent);
        check(r#"{"del":"k"}"#, Some(r#"{"outcome":"deleted"}"#), [None, absent, absent, absent]);
        check(r#"{"del":"k"}"#, Some(r#"{"outcome":"absent"}"#), [absent, None, None, None]);
        check(r#"{"del":"k"}"#, None, [absent; 4]);
    }

    #[test]
    fn a_swap_fits_where_the_old_value_is() {
        let (cas, swapped) = (r#"{"cas":["k","5","7"]}"#, Some(r#"{"outcome":"swapped"}"#));
        check(cas, swapped, [None, Some(SEVEN), None, None]);
        check(r#"{"cas":["k",null,"7"]}"#, swapped, [Some(SEVEN), None, None, None]);
        check(cas, Some(r#"{"outcome":"mismatch","value":"7"}"#), [None, None, Some(SEVEN), None]);
        check(cas, Some(r#"{"outcome":"mismatch"}"#), [Some(Value::Absent), None, None, None]);
        check(cas, Some(r#"{"outcome":"mismatch","value":"5"}"#), NEVER);
        check(cas, None, [Some(Value::Absent), Some(SEVEN), Some(SEVEN), Some(TEXT)]);
    }

    #[test]
    fn an_addition_fits_where_the_sum_is_right() {
        let incr = r#"{"incr":["k",2]}"#;
        check(incr, Some(r#"{"outcome":"incremented","value":"7"}"#), [None, Some(SEVEN), None, None]);
        check(r#"{"incr":["k",7]}"#, Some(r#"{"outcome":"incremented","value":"7"}"#), [Some(SEVEN), None, None, None]);
        check(incr, Some(r#"{"outcome":"not_an_integer","value":"text"}"#), [None, None, None, Some(TEXT)]);
        check(incr, Some(r#"{"outcome":"not_an_integer","value":"7"}"#), NEVER);
        check(incr, Some(r#"{"outcome":"overflow","value":"7"}"#), NEVER);
        let nine = Some(Value::Integer(9));
        check(incr, None, [Some(Value::Integer(2)), Some(SEVEN), nine, Some(TEXT)]);
    }

    #[test]
    fn an_answer_that_does_not_belong_to_the_op_is_impossible() {
        for response in [r#"{"outcome":"set"}"#, r#"{"outcome":"found"}"#, r#"{"outcome":"swapped"}"#, "7"] {
            check(r#"{"get":"k"}"#, Some(response), NEVER);
        }
    }

    #[test]
    fn from_any_state_an_answer_tells_the_state_after() {
        assert_eq!(Effect::Saw(FIVE).step(Value::Any), Some(FIVE));
        assert_eq!(Effect::Added(2, 7).step(Value::Any), Some(SEVEN));
        assert_eq!(Effect::Swapped(FIVE, SEVEN).step(Value::Any), Some(SEVEN));
        assert_eq!(Effect::MaybeAdded(2).step(Value::Any), Some(Value::Any));
    }

    #[test]
    fn integers_are_those_of_the_store() {
        for (text, number) in [("0", 0), ("-1", -1), ("9223372036854775807", i64::MAX)] {
            assert_eq!(integer(text), Some(number));
        }
        for text in ["", "-", "-0", "+1", "01", "-01", "1.0", "9223372036854775808", " 1", "1a"] {
            assert_eq!(integer(text), None, "{text:?}");
        }
    }
}
