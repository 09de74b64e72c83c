//! A key-value store as replicated state: texts by key.
//!
//! Ops and what they answer (`value` is the value of the key after the op, where the client does not know it anyway):
//!
//! | op | answer |
//! |---|---|
//! | `{"get":"k"}` | `{"outcome":"found","value":"v"}` or `{"outcome":"absent"}` |
//! | `{"set":["k","v"]}` | `{"outcome":"set"}` |
//! | `{"del":"k"}` | `{"outcome":"deleted"}` or `{"outcome":"absent"}` |
//! | `{"cas":["k","old","new"]}` | `{"outcome":"swapped"}`, or `{"outcome":"mismatch","value":"v"}` and nothing changes |
//! | `{"cas":["k",null,"new"]}` | the same, where `null` stands for no value, in the answer too |
//! | `{"incr":["k",-3]}` | `{"outcome":"incremented","value":"39"}`, where no value counts as 0 |
//! | | `{"outcome":"not_an_integer","value":"v"}` or `{"outcome":"overflow","value":"v"}`, and nothing changes |
//!
//! One read is about many keys: `{"list":["from",100]}` answers `{"keys":[["k",2],…],"more":false}`, the first keys from that
//! one on with the bytes of their values, and whether there are others. It is no command, so no history has it.
//!
//! An integer is a 64-bit number as `incr` itself would write it: `7`, not `07` or `+7`.
//!
//! Invariants: keys have 1 to [`MAX_KEY_BYTES`], values at most [`MAX_VALUE_BYTES`]; an op touches one key, and so
//! histories can be judged key by key. Deliberately absent: a limit on the whole, and expiry.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use raftian_raft::Index;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Value, json};

use crate::app::{App, AppKind, NotARead, UnknownOp};
use crate::digest::{Digest, SetDigest};
use crate::response::Response;

/// The longest key, in bytes.
pub const MAX_KEY_BYTES: usize = 1 << 10;

/// The most keys that are listed at once.
pub const MAX_LISTED_KEYS: usize = 1_000;

/// The longest value, in bytes.
pub const MAX_VALUE_BYTES: usize = 1 << 20;

const KNOWN_OPS: &str = r#"{"get":K}, {"set":[K,V]}, {"del":K}, {"cas":[K,V or null,V]} and {"incr":[K,N]}, with a key K of 1 to 1024 bytes, values V of at most 1 MiB and a 64-bit integer N"#;

/// What an op reads like. Keys and values are borrowed from its text where they stand there as they are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KvOp<'a> {
    /// Read the value of a key.
    Get(#[serde(borrow)] Cow<'a, str>),
    /// Set a key to a value, whatever it had.
    Set(#[serde(borrow)] Cow<'a, str>, #[serde(borrow)] Cow<'a, str>),
    /// Remove a key and its value.
    Del(#[serde(borrow)] Cow<'a, str>),
    /// Set a key to the second value if it has the first; `None` is no value.
    Cas(#[serde(borrow)] Cow<'a, str>, Option<Cow<'a, str>>, #[serde(borrow)] Cow<'a, str>),
    /// Add to the integer that is a key's value.
    Incr(#[serde(borrow)] Cow<'a, str>, i64),
}

/// The keys of a store, some at a time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KvList {
    /// So many keys, at most [`MAX_LISTED_KEYS`], in order from that one on.
    List(String, usize),
}

/// Keys, in order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KvListed {
    /// Each with the bytes of its value.
    pub keys: Vec<(String, usize)>,
    /// Whether there are others after the last.
    pub more: bool,
}

/// What came of an op, for example `{"outcome":"found","value":"v"}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KvReply<'a> {
    /// What happened.
    pub outcome: KvReplyKind,
    /// The key's value now, where the outcome calls for one.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub value: Option<Cow<'a, str>>,
}

/// What an op did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KvReplyKind {
    /// The key to get has this value.
    Found,
    /// The key to get or delete has no value.
    Absent,
    /// The key has the new value.
    Set,
    /// The key had a value and has none now.
    Deleted,
    /// The key had the old value and has the new one.
    Swapped,
    /// The key has another value, or none, and keeps it.
    Mismatch,
    /// The key has this new value.
    Incremented,
    /// The key has a value that is no integer, and keeps it.
    NotAnInteger,
    /// The sum is no 64-bit integer: the key keeps its value.
    Overflow,
}

/// The store.
#[derive(Clone, Debug, Default)]
pub struct Kv {
    // Shared texts: a copy of the store, to write a snapshot from, copies no values.
    values: BTreeMap<Arc<str>, Arc<str>>,
    bytes: u64,
    digest: SetDigest,
}

impl<'a> KvOp<'a> {
    /// Reads an op.
    ///
    /// # Errors
    /// When it is not one of this store, or a key or value is too long; the error names the ops.
    pub fn parse(op: &'a RawValue) -> Result<KvOp<'a>, UnknownOp> {
        let known = serde_json::from_str(op.get()).ok().filter(KvOp::is_within_limits);
        known.ok_or_else(|| UnknownOp::new(AppKind::Kv, op, KNOWN_OPS))
    }

    /// The one key it touches.
    pub fn key(&self) -> &Cow<'a, str> {
        match self {
            KvOp::Get(key) | KvOp::Set(key, _) | KvOp::Del(key) | KvOp::Cas(key, ..) | KvOp::Incr(key, _) => key,
        }
    }

    fn is_within_limits(&self) -> bool {
        let is_value = |value: &str| value.len() <= MAX_VALUE_BYTES;
        let are_values = match self {
            KvOp::Get(_) | KvOp::Del(_) | KvOp::Incr(..) => true,
            KvOp::Set(_, value) => is_value(value),
            KvOp::Cas(_, old, new) => old.as_deref().is_none_or(is_value) && is_value(new),
        };
        (1..=MAX_KEY_BYTES).contains(&self.key().len()) && are_values
    }
}

impl Kv {
    /// Whether `op` is an op of this store, whatever the state.
    ///
    /// # Errors
    /// When it is not; the error names those that are.
    pub fn validate(op: &RawValue) -> Result<(), UnknownOp> {
        KvOp::parse(op).map(|_| ())
    }

    /// The store that [`App::save`] saved; `None` when that is no store.
    pub(crate) fn load(state: &RawValue) -> Option<Kv> {
        let values: BTreeMap<String, String> = serde_json::from_str(state.get()).ok()?;
        let mut store = Kv::default();
        for (key, value) in values {
            if !KvOp::Set(key.as_str().into(), value.as_str().into()).is_within_limits() {
                return None;
            }
            store.put(&key, &value);
        }
        Some(store)
    }

    /// The value of a key.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.values.get(key).map(|value| &**value)
    }

    fn carry_out<'a>(&'a mut self, op: &KvOp<'a>) -> KvReply<'a> {
        match op {
            KvOp::Get(key) => self.read(key),
            KvOp::Set(key, value) => {
                self.put(key, value);
                KvReplyKind::Set.alone()
            }
            KvOp::Del(key) => match self.remove(key) {
                true => KvReplyKind::Deleted.alone(),
                false => KvReplyKind::Absent.alone(),
            },
            KvOp::Cas(key, old, new) => {
                if self.get(key) != old.as_deref() {
                    return KvReplyKind::Mismatch.with(self.get(key));
                }
                self.put(key, new);
                KvReplyKind::Swapped.alone()
            }
            KvOp::Incr(key, by) => self.increment(key, *by),
        }
    }

    fn read(&self, key: &str) -> KvReply<'_> {
        match self.get(key) {
            None => KvReplyKind::Absent.alone(),
            value => KvReplyKind::Found.with(value),
        }
    }

    fn increment(&mut self, key: &str, by: i64) -> KvReply<'_> {
        let Some(number) = self.get(key).map_or(Some(0), integer) else {
            return KvReplyKind::NotAnInteger.with(self.get(key));
        };
        let Some(sum) = number.checked_add(by) else {
            return KvReplyKind::Overflow.with(self.get(key));
        };
        self.put(key, &sum.to_string());
        KvReplyKind::Incremented.with(self.get(key))
    }

    fn put(&mut self, key: &str, value: &str) {
        self.bytes += value.len() as u64;
        self.digest.add(record(key, value));
        match self.values.get_mut(key) {
            Some(old) => {
                self.bytes -= old.len() as u64;
                self.digest.remove(record(key, old));
                *old = value.into();
            }
            None => {
                self.bytes += key.len() as u64;
                self.values.insert(key.into(), value.into());
            }
        }
    }

    fn list(&self, from: &str, limit: usize) -> KvListed {
        let mut rest = self.values.range::<str, _>((Bound::Included(from), Bound::Unbounded));
        let first = rest.by_ref().take(limit.min(MAX_LISTED_KEYS));
        let keys = first.map(|(key, value)| (key.to_string(), value.len())).collect();
        KvListed { keys, more: rest.next().is_some() }
    }

    fn remove(&mut self, key: &str) -> bool {
        let Some(old) = self.values.remove(key) else { return false };
        self.bytes -= (key.len() + old.len()) as u64;
        self.digest.remove(record(key, &old));
        true
    }
}

impl App for Kv {
    fn kind(&self) -> AppKind {
        AppKind::Kv
    }

    fn apply(&mut self, _: Index, op: &RawValue) -> Response {
        match KvOp::parse(op) {
            Ok(op) => Response::of(&self.carry_out(&op)),
            Err(_) => Response::unknown_op(),
        }
    }

    fn query(&self, op: &RawValue) -> Result<Response, NotARead> {
        match KvOp::parse(op) {
            Ok(KvOp::Get(key)) => Ok(Response::of(&self.read(&key))),
            _ => match serde_json::from_str(op.get()) {
                Ok(KvList::List(from, limit)) => Ok(Response::of(&self.list(&from, limit))),
                Err(_) => Err(NotARead::new(AppKind::Kv, op, r#"whose reads are {"get":K} and {"list":[K,N]}"#)),
            },
        }
    }

    fn view(&self) -> Value {
        json!({ "keys": self.values.len(), "bytes": self.bytes })
    }

    fn digest(&self) -> Digest {
        self.digest.digest()
    }

    fn save(&self) -> Box<RawValue> {
        to_raw_value(self).expect("texts serialise")
    }

    fn copy(&self) -> Box<dyn App> {
        Box::new(self.clone())
    }
}

/// `{"key":"value",…}`, ordered by key.
impl Serialize for Kv {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.values.iter().map(|(key, value)| (&**key, &**value)))
    }
}

impl KvReplyKind {
    fn alone(self) -> KvReply<'static> {
        KvReply { outcome: self, value: None }
    }

    fn with(self, value: Option<&str>) -> KvReply<'_> {
        KvReply { outcome: self, value: value.map(Cow::Borrowed) }
    }
}

fn record(key: &str, value: &str) -> Digest {
    Digest::of_parts(&[key.as_bytes(), value.as_bytes()])
}

/// The integer that a text is, if it is one as it would be written.
fn integer(text: &str) -> Option<i64> {
    text.parse().ok().filter(|number: &i64| number.to_string() == text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(json: &str) -> Box<RawValue> {
        RawValue::from_string(json.to_owned()).unwrap()
    }

    /// Applies the ops to an empty store and compares each response's text.
    #[track_caller]
    fn check(script: &[(&str, &str)]) -> Kv {
        let mut store = Kv::default();
        for (op, response) in script {
            assert_eq!(store.apply(1, &raw(op)).get(), *response, "to {op}");
        }
        store
    }

    #[test]
    fn a_value_is_found_until_it_is_deleted() {
        check(&[
            (r#"{"get":"k"}"#, r#"{"outcome":"absent"}"#),
            (r#"{"set":["k","v"]}"#, r#"{"outcome":"set"}"#),
            (r#"{"get":"k"}"#, r#"{"outcome":"found","value":"v"}"#),
            (r#"{"set":["k",""]}"#, r#"{"outcome":"set"}"#),
            (r#"{"get":"k"}"#, r#"{"outcome":"found","value":""}"#),
            (r#"{"get":"K"}"#, r#"{"outcome":"absent"}"#),
            (r#"{"del":"k"}"#, r#"{"outcome":"deleted"}"#),
            (r#"{"del":"k"}"#, r#"{"outcome":"absent"}"#),
            (r#"{"get":"k"}"#, r#"{"outcome":"absent"}"#),
        ]);
    }

    #[test]
    fn keys_are_listed_in_order_from_one_on() {
        let store = check(&[
            (r#"{"set":["b","22"]}"#, r#"{"outcome":"set"}"#),
            (r#"{"set":["a",""]}"#, r#"{"outcome":"set"}"#),
            (r#"{"set":["c","1"]}"#, r#"{"outcome":"set"}"#),
        ]);
        let listed = |op: &str| store.query(&raw(op)).unwrap().get().to_owned();
        assert_eq!(listed(r#"{"list":["",2]}"#), r#"{"keys":[["a",0],["b",2]],"more":true}"#);
        assert_eq!(listed(r#"{"list":["b",9]}"#), r#"{"keys":[["b",2],["c",1]],"more":false}"#);
        assert_eq!(listed(r#"{"list":["d",9]}"#), r#"{"keys":[],"more":false}"#);
        assert!(Kv::validate(&raw(r#"{"list":["",2]}"#)).is_err(), "it is no command");
    }

    #[test]
    fn a_swap_needs_the_old_value() {
        check(&[
            (r#"{"cas":["k","a","b"]}"#, r#"{"outcome":"mismatch"}"#),
            (r#"{"cas":["k",null,"a"]}"#, r#"{"outcome":"swapped"}"#),
            (r#"{"cas":["k",null,"b"]}"#, r#"{"outcome":"mismatch","value":"a"}"#),
            (r#"{"cas":["k","a","b"]}"#, r#"{"outcome":"swapped"}"#),
            (r#"{"cas":["k","a","c"]}"#, r#"{"outcome":"mismatch","value":"b"}"#),
            (r#"{"get":"k"}"#, r#"{"outcome":"found","value":"b"}"#),
        ]);
    }

    #[test]
    fn numbers_count_from_nothing_and_never_wrap() {
        check(&[
            (r#"{"incr":["k",5]}"#, r#"{"outcome":"incremented","value":"5"}"#),
            (r#"{"incr":["k",-7]}"#, r#"{"outcome":"incremented","value":"-2"}"#),
            (r#"{"set":["k","9223372036854775807"]}"#, r#"{"outcome":"set"}"#),
            (r#"{"incr":["k",1]}"#, r#"{"outcome":"overflow","value":"9223372036854775807"}"#),
            (r#"{"incr":["k",-1]}"#, r#"{"outcome":"incremented","value":"9223372036854775806"}"#),
            (r#"{"set":["k","-9223372036854775808"]}"#, r#"{"outcome":"set"}"#),
            (r#"{"incr":["k",-1]}"#, r#"{"outcome":"overflow","value":"-9223372036854775808"}"#),
        ]);
    }

    #[test]
    fn what_incr_would_not_write_is_no_integer() {
        for text in ["", "a", "07", "+7", "-0", "7 ", "1e3", "1.0", "9223372036854775808"] {
            let not_an_integer = format!(r#"{{"outcome":"not_an_integer","value":"{text}"}}"#);
            check(&[
                (&format!(r#"{{"set":["k","{text}"]}}"#), r#"{"outcome":"set"}"#),
                (r#"{"incr":["k",1]}"#, &not_an_integer),
                (r#"{"get":"k"}"#, &format!(r#"{{"outcome":"found","value":"{text}"}}"#)),
            ]);
        }
    }

    #[test]
    fn what_is_not_an_op_is_refused_by_shape_and_ignored_when_applied() {
        let text = |bytes: usize| "x".repeat(bytes);
        for op in [
            "null",
            "{}",
            r#""get""#,
            r#"{"get":""}"#,
            r#"{"get":7}"#,
            r#"{"get":["k"]}"#,
            r#"{"get":"k","del":"k"}"#,
            r#"{"set":"k"}"#,
            r#"{"set":["k"]}"#,
            r#"{"set":["k",null]}"#,
            r#"{"set":["k","v","w"]}"#,
            r#"{"cas":["k","v"]}"#,
            r#"{"cas":["k","v",null]}"#,
            r#"{"incr":["k"]}"#,
            r#"{"incr":["k","1"]}"#,
            r#"{"incr":["k",1.0]}"#,
            r#"{"incr":["k",9223372036854775808]}"#,
            r#"{"put":["k","v"]}"#,
            &format!(r#"{{"get":"{}"}}"#, text(MAX_KEY_BYTES + 1)),
            &format!(r#"{{"set":["k","{}"]}}"#, text(MAX_VALUE_BYTES + 1)),
            &format!(r#"{{"cas":["k","{}","v"]}}"#, text(MAX_VALUE_BYTES + 1)),
            &format!(r#"{{"cas":["k",null,"{}"]}}"#, text(MAX_VALUE_BYTES + 1)),
        ] {
            let shown: String = op.chars().take(80).collect();
            assert!(Kv::validate(&raw(op)).is_err(), "{shown}");
            let mut store = check(&[(r#"{"set":["k","v"]}"#, r#"{"outcome":"set"}"#)]);
            let digest = store.digest();
            assert_eq!(store.apply(1, &raw(op)), Response::unknown_op(), "{shown}");
            assert_eq!((store.digest(), store.view()), (digest, json!({"keys": 1, "bytes": 2})), "{shown}");
        }
        let (key, value) = (text(MAX_KEY_BYTES), text(MAX_VALUE_BYTES));
        assert_eq!(Kv::validate(&raw(&format!(r#"{{"set":["{key}","{value}"]}}"#))), Ok(()));
    }

    #[test]
    fn keys_and_values_are_any_text() {
        let store = check(&[
            (r#"{"set":["ключ \"1\"","a\nb\u0000"]}"#, r#"{"outcome":"set"}"#),
            (r#"{"get":"\u043a\u043b\u044e\u0447 \"1\""}"#, r#"{"outcome":"found","value":"a\nb\u0000"}"#),
        ]);
        assert_eq!(store.get("ключ \"1\""), Some("a\nb\0"));
    }

    #[test]
    fn a_query_reads_and_refuses_what_writes() {
        let store = check(&[(r#"{"set":["k","v"]}"#, r#"{"outcome":"set"}"#)]);
        let found = store.query(&raw(r#"{"get":"k"}"#)).unwrap();
        assert_eq!(found.get(), r#"{"outcome":"found","value":"v"}"#);
        assert_eq!(store.query(&raw(r#"{"get":"l"}"#)).unwrap().get(), r#"{"outcome":"absent"}"#);
        for op in [r#"{"set":["k","v"]}"#, r#"{"cas":["k","v","v"]}"#, r#"{"incr":["k",0]}"#, r#"{"del":"l"}"#, "1"] {
            let error = store.query(&raw(op)).unwrap_err().to_string();
            assert!(error.contains(r#"reads are {"get":K}"#), "{error}");
        }
    }

    #[test]
    fn the_digest_and_the_view_depend_on_the_values_and_not_on_their_history() {
        let set = |pairs: &[(&str, &str)]| {
            let mut store = Kv::default();
            for (key, value) in pairs {
                store.put(key, value);
            }
            (store.digest(), store.view())
        };
        let mut store = Kv::default();
        for (key, value) in [("a", "1"), ("b", "22"), ("c", "3"), ("a", "44")] {
            store.put(key, value);
        }
        assert!(store.remove("c"));
        assert_eq!((store.digest(), store.view()), set(&[("b", "22"), ("a", "44")]));
        assert_eq!(store.view(), json!({"keys": 2, "bytes": 6}));
        assert_ne!(store.digest(), set(&[("a", "22"), ("b", "44")]).0);
        assert_ne!(store.digest(), set(&[("b", "22"), ("a", "45")]).0);
    }

    #[test]
    fn a_store_is_saved_as_the_object_it_is() {
        let mut store = Kv::default();
        for (key, value) in [("b", "2"), ("a", "x\"y")] {
            store.put(key, value);
        }
        let saved = store.save();
        assert_eq!(saved.get(), r#"{"a":"x\"y","b":"2"}"#);
        let loaded = Kv::load(&saved).unwrap();
        assert_eq!((loaded.digest(), loaded.view()), (store.digest(), store.view()));
        for bad in ["[]", r#"{"a":1}"#, r#"{"":"1"}"#] {
            assert!(Kv::load(&raw(bad)).is_none(), "{bad}");
        }
    }
}
