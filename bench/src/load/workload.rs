//! What the clients of a load ask for, seeded.
//!
//! The attack game: of six commands four attack, one deletes and one adds a random player of the lab. A player dies at
//! the fourth hit, so with attacks alone nearly all commands would meet the dead; this way about a third of the players
//! are alive.
//!
//! The key-value store: of twenty ops ten read a random key, four set it, three swap what the session last saw there for
//! something else, two add to it and one deletes it. No value is set twice, so that a read tells which write it saw.
//!
//! The canvas: of four ops one reads a random pixel and three paint a stroke, a straight line of so many pixels in one
//! colour that goes on at the other side where the canvas ends. All of it is in the first 64×64 pixels, so that painters meet.
//! A session takes its colours one after another, begun so that others take others for as long as possible: a read then
//! tells which stroke it saw, or nearly always.
//!
//! Invariant: the same seed, session and answers give the same ops.

use std::collections::HashMap;
use std::fmt::Write as _;

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
    Canvas {
        /// The part that is painted on.
        size: (u16, u16),
        stroke_px: usize,
        /// The last colour.
        colour: u32,
    },
}

/// The longest side of the part of a canvas that is painted on.
const PART_PX: u16 = 64;

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
        let LoadOptions { seed, app_options, op_bytes, app, keys, stroke_px, .. } = *options;
        // Neighbouring seeds must not give neighbouring streams.
        let mixed = (seed ^ (session as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15)).wrapping_mul(0xD134_2543_DE82_EF95);
        let app = match app {
            AppKind::Attack => App::Attack { players: app_options.players },
            AppKind::Kv => App::Kv { keys, seen: HashMap::new(), next_value: (session as i64 + 1) << 32 },
            AppKind::Canvas => {
                let size = (app_options.size.width().min(PART_PX), app_options.size.height().min(PART_PX));
                // Far apart, whatever their number: the golden section of all colours.
                App::Canvas { size, stroke_px, colour: (session as u32).wrapping_mul(0x9e_3779) }
            }
        };
        Workload { random: Rng::with_seed(mixed), op_bytes, app }
    }

    /// The next op.
    pub(crate) fn next_op(&mut self) -> Op {
        let (mut text, is_read) = match &mut self.app {
            App::Attack { players } => (attack(&mut self.random, *players), false),
            App::Canvas { size, stroke_px, colour } => canvas(&mut self.random, *size, *stroke_px, colour),
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

fn canvas(random: &mut Rng, (width, height): (u16, u16), stroke_px: usize, colour: &mut u32) -> (String, bool) {
    let (x, y) = (random.u16(0..width), random.u16(0..height));
    if random.u8(0..4) == 0 {
        return (format!(r#"{{"pixel":[{x},{y}]}}"#), true);
    }
    *colour = colour.wrapping_add(1) & 0xff_ffff;
    let (right, down) = [(1, 0), (0, 1), (1, 1)][random.usize(0..3)];
    let mut text = String::from(r#"{"paint":["#);
    let along = |from: u16, step: usize, side: u16| (usize::from(from) + step) % usize::from(side);
    for step in 0..stroke_px {
        let (x, y) = (along(x, right * step, width), along(y, down * step, height));
        let comma = if step == 0 { "" } else { "," };
        let _ = write!(text, "{comma}[{x},{y},{colour}]");
    }
    (text + "]}", false)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use raftian_check::apps::CanvasOp;
    use raftian_rpc::AppOptions;

    use super::*;

    fn workload(app: AppKind, seed: u64, session: usize, op_bytes: usize) -> Workload {
        let options = LoadOptions { app, seed, app_options: 3.into(), keys: 4, op_bytes, ..LoadOptions::default() };
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
    fn a_stroke_has_so_many_pixels_in_one_colour_and_all_on_the_canvas() {
        let size: raftian_rpc::Size = "5x1000".parse().unwrap();
        let app_options = AppOptions { size, ..AppOptions::default() };
        let options = LoadOptions { app: AppKind::Canvas, app_options, stroke_px: 7, ..LoadOptions::default() };
        let mut workload = Workload::new(&options, 3);
        let mut colours = HashSet::new();
        let (mut paints, mut reads) = (0, 0);
        for _ in 0..400 {
            match CanvasOp::parse(&raw(&workload.next_op())).unwrap() {
                CanvasOp::Pixel(x, y) => {
                    reads += 1;
                    assert!(x < 5 && y < 64, "{x} {y}");
                }
                CanvasOp::Paint(pixels) => {
                    paints += 1;
                    assert!(pixels.len() == 7 && pixels.iter().all(|(x, y, _)| *x < 5 && *y < 64), "{pixels:?}");
                    assert!(pixels.iter().all(|(.., colour)| *colour == pixels[0].2), "{pixels:?}");
                    assert!(colours.insert(pixels[0].2), "no colour is used twice");
                }
            }
        }
        assert!(paints > 2 * reads && reads > 50, "{paints} paints and {reads} reads");
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
