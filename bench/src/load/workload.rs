//! What the clients of a load ask for, seeded.
//!
//! The attack game: of six commands four attack, one deletes and one adds a random player of the lab. A player dies at
//! the fourth hit, so with attacks alone nearly all commands would meet the dead; this way about a third of the players
//! are alive.
//!
//! The key-value store: of twenty ops ten read a random key, four set it, three swap what the session last saw there for
//! something else, two add to it and one deletes it. No value is set twice, so that a read tells which write it saw.
//!
//! Invariant: the same seed, session and answers give the same ops.

use std::collections::HashMap;

use fastrand::Rng;
use raftian_check::apps::{KvOp, KvReply, KvReplyKind};
use raftian_rpc::{AppKind, Response};
use serde_json::value::RawValue;

use super::LoadOptions;

/// The ops of one session.
#[derive(Debug)]
pub(crate) struct Workload {
    random: Rng,
    op_bytes: usize,
    app: App,
}

/// What there is to ask of each application.
#[derive(Debug)]
enum App {
    Attack {
        players: u16,
    },
    Kv {
        keys: u32,
        /// What the session last saw of each key; `None` is no value.
        seen: HashMap<String, Option<String>>,
        /// The next value to set: no other session sets it, and this one only once.
        next_value: i64,
    },
}

/// Something to ask for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Op {
    /// As JSON text.
    pub(crate) text: String,
    /// Whether it only reads, so that it needs no entry in the log.
    pub(crate) is_read: bool,
}

impl Workload {
    /// The ops of session number `session`.
    pub(crate) fn new(options: &LoadOptions, session: usize) -> Workload {
        let LoadOptions { seed, players, op_bytes, app, keys, .. } = *options;
        // Neighbouring seeds must not give neighbouring streams.
        let mixed = (seed ^ (session as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15)).wrapping_mul(0xD134_2543_DE82_EF95);
        let app = match app {
            AppKind::Attack => App::Attack { players },
            AppKind::Kv => App::Kv { keys, seen: HashMap::new(), next_value: (session as i64 + 1) << 32 },
        };
        Workload { random: Rng::with_seed(mixed), op_bytes, app }
    }

    /// The next op.
    pub(crate) fn next_op(&mut self) -> Op {
        let (mut text, is_read) = match &mut self.app {
            App::Attack { players } => (attack(&mut self.random, *players), false),
            App::Kv { keys, seen, next_value } => kv(&mut self.random, *keys, seen, next_value),
        };
        // White space inside the braces belongs to the op, so it is carried and kept like any other byte of it.
        let end = text.pop();
        let blanks = self.op_bytes.saturating_sub(text.len() + 1);
        text.extend(std::iter::repeat_n(' ', blanks).chain(end));
        Op { text, is_read }
    }

    /// Learns from an answer what the next ops can build on.
    pub(crate) fn learn(&mut self, op: &Op, response: &Response) {
        let App::Kv { seen, .. } = &mut self.app else { return };
        let Ok(raw) = RawValue::from_string(op.text.clone()) else { return };
        let (Ok(op), Ok(reply)) = (KvOp::parse(&raw), serde_json::from_str::<KvReply<'_>>(response.get())) else {
            return;
        };
        let value = match (&op, reply.outcome) {
            (KvOp::Set(_, value) | KvOp::Cas(_, _, value), KvReplyKind::Set | KvReplyKind::Swapped) => {
                Some(value.clone().into_owned())
            }
            _ => reply.value.map(std::borrow::Cow::into_owned),
        };
        seen.insert(op.key().clone().into_owned(), value);
    }
}

fn attack(random: &mut Rng, players: u16) -> String {
    let player = random.u16(1..=players);
    let name = match random.u8(0..6) {
        0 => "del",
        1 => "add",
        _ => "attack",
    };
    format!(r#"{{"{name}":{player}}}"#)
}

fn kv(random: &mut Rng, keys: u32, seen: &HashMap<String, Option<String>>, next_value: &mut i64) -> (String, bool) {
    let key = format!("k{}", random.u32(0..keys));
    let mut new = || {
        *next_value += 1;
        next_value.to_string()
    };
    match random.u8(0..20) {
        0..10 => (format!(r#"{{"get":"{key}"}}"#), true),
        10..14 => (format!(r#"{{"set":["{key}","{}"]}}"#, new()), false),
        14..17 => {
            let old = match seen.get(&key) {
                Some(Some(value)) => format!(r#""{value}""#),
                _ => "null".to_owned(),
            };
            (format!(r#"{{"cas":["{key}",{old},"{}"]}}"#, new()), false)
        }
        17..19 => (format!(r#"{{"incr":["{key}",{}]}}"#, random.i64(-9..=9)), false),
        _ => (format!(r#"{{"del":"{key}"}}"#), false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn workload(app: AppKind, seed: u64, session: usize, op_bytes: usize) -> Workload {
        let options = LoadOptions { app, seed, players: 3, keys: 4, op_bytes, ..LoadOptions::default() };
        Workload::new(&options, session)
    }

    fn raw(op: &Op) -> Box<RawValue> {
        RawValue::from_string(op.text.clone()).unwrap()
    }

    #[test]
    fn the_same_seed_gives_the_same_ops_and_another_session_gives_others() {
        for app in AppKind::ALL {
            let ops = |seed, session| {
                let mut workload = workload(app, seed, session, 0);
                (0..50).map(|_| workload.next_op()).collect::<Vec<_>>()
            };
            assert_eq!(ops(7, 0), ops(7, 0));
            assert_ne!(ops(7, 0), ops(7, 1));
            assert_ne!(ops(7, 0), ops(8, 0));
        }
    }

    #[test]
    fn every_op_is_one_of_the_application_and_as_long_as_asked() {
        for (app, op_bytes) in AppKind::ALL.into_iter().flat_map(|app| [0, 16, 1000].map(|bytes| (app, bytes))) {
            let mut workload = workload(app, 1, 0, op_bytes);
            for _ in 0..200 {
                let op = workload.next_op();
                assert_eq!(app.validate(&raw(&op)), Ok(()));
                assert_eq!(app.is_read(&raw(&op)), op.is_read, "{}", op.text);
                assert!(op.text.len() >= op_bytes && (op_bytes < 1000 || op.text.len() == op_bytes), "{}", op.text);
            }
        }
    }

    #[test]
    fn attacks_name_players_of_the_lab() {
        let mut workload = workload(AppKind::Attack, 1, 0, 0);
        for _ in 0..200 {
            let op: serde_json::Value = serde_json::from_str(&workload.next_op().text).unwrap();
            let player = op.as_object().unwrap().values().next().unwrap().as_u64().unwrap();
            assert!((1..=3).contains(&player), "{op}");
        }
    }

    #[test]
    fn a_swap_starts_from_what_was_seen() {
        let mut workload = workload(AppKind::Kv, 1, 0, 0);
        let told = Response::of(&KvReply { outcome: KvReplyKind::Found, value: Some("seen".into()) });
        for key in 0..4 {
            workload.learn(&Op { text: format!(r#"{{"get":"k{key}"}}"#), is_read: true }, &told);
        }
        let swaps: Vec<Op> = (0..100).map(|_| workload.next_op()).filter(|op| op.text.contains("cas")).collect();
        assert!(!swaps.is_empty() && swaps.iter().all(|op| op.text.contains(r#","seen","#)), "{swaps:?}");
        let last = swaps.last().unwrap();
        workload.learn(last, &Response::of(&KvReply { outcome: KvReplyKind::Swapped, value: None }));
        let raw = raw(last);
        let KvOp::Cas(key, _, new) = KvOp::parse(&raw).unwrap() else { panic!("{last:?}") };
        let App::Kv { seen, .. } = &workload.app else { unreachable!() };
        assert_eq!(seen[&*key].as_deref(), Some(&*new));
    }
}
