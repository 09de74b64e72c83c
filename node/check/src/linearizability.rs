//! Linearizability, judged from outside: whether the operations of a history can be put in an order that respects time
//! and explains what their clients saw (Herlihy and Wing). No log is needed, and none is believed.
//!
//! Each object of the history (a key, a player, a pixel) has a search of its own. An operation with unknown outcome
//! may have taken effect at any time after it was invoked, or never; one that failed or was refused never did. A read
//! that may be stale has no place in such a history.
//!
//! Invariant: the same history and bounds give the same answer; how long that takes is bounded in steps and in memory,
//! shared fairly, so that one hard object does not keep the others from being judged. Deliberately absent: threads, and
//! clocks.

use std::borrow::Cow;
use std::cell::RefCell;
use std::fmt;
use std::iter::once;

use raftian_apps::{AppKind, Machine, Response};
use serde::{Deserialize, Serialize};

use crate::history::{Operation, Outcome};
use crate::judge::Setup;
use crate::model::{attack, canvas, kv};
use crate::objects::{self, Object, Objects};
use crate::replay::Replay;
use crate::search::window::{self, Window};
use crate::search::{Budget, Found, Transition, search};
use crate::verdict::{Verdict, excerpt};

/// How much a judgement may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// The most transitions that are tried; a processor of 2020 tries some forty million in a second.
    pub steps: u64,
    /// The most memory, in bytes, for what was tried on one object. The history itself is not counted.
    pub memory_bytes: usize,
}

/// What the search for an order found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Linearizability {
    /// The objects that operations touched.
    pub objects: u64,
    /// The operations that were looked at: all but those that certainly had no effect.
    pub operations: u64,
    /// The transitions that were tried.
    pub steps: u64,
    /// The objects whose operations have no order.
    pub violated: u64,
    /// Why they have none, for the first ten of them.
    pub violations: Vec<Violation>,
    /// What could not be decided, and why.
    pub undecided: Vec<Undecided>,
}

/// A window of a history that shows that it has no order: narrow, so that neither end of it can go.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Violation {
    /// The object: `key "k"`, `player 3`, `pixel 3,4`.
    pub object: String,
    /// When the first operation of the window was invoked.
    pub from_ns: u64,
    /// When the last operation of the window completed.
    pub to_ns: u64,
    /// How many operations on the object completed in the window.
    pub operations: u64,
    /// The last of them, as they completed, with what their clients were told.
    pub last: Vec<String>,
    /// Whether these operations contradict each other whatever came before the window; else it takes the whole history
    /// up to here to see it.
    pub stands_alone: bool,
}

/// Something that was not decided.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Undecided {
    /// The object, or the operation.
    pub what: String,
    /// Why not.
    pub reason: String,
}

/// How many violations are described.
const DESCRIBED: usize = 10;

/// How many operations of a window are named.
const NAMED: usize = 8;

impl Default for Bounds {
    /// Some five seconds, and half a gibibyte.
    fn default() -> Bounds {
        Bounds { steps: 200_000_000, memory_bytes: 512 << 20 }
    }
}

impl Linearizability {
    /// Valid if every object has an order, violated if one certainly has none.
    pub fn verdict(&self) -> Verdict {
        match (self.violated, &self.undecided[..]) {
            (0, []) => Verdict::Valid,
            (0, _) => Verdict::Unknown,
            _ => Verdict::Violated,
        }
    }
}

/// Judges a history that has every operation of every client. Of the setup only the application and what it started with matter.
pub fn linearizability(history: &[Operation], setup: &Setup, bounds: Bounds) -> Linearizability {
    let all: Vec<&Operation> = history.iter().collect();
    judge_beside_log(&all, setup, bounds, None, None)
}

/// Judges a history whose clients may not have been alone: the log tells what else there was, and what to try first.
/// `first` is the state in which the run began, if that is not the application's first.
pub(crate) fn judge_beside_log<'a>(
    history: &[&'a Operation],
    setup: &Setup,
    bounds: Bounds,
    replay: Option<&'a Replay>,
    first: Option<&Machine>,
) -> Linearizability {
    let judge = Judge { history, bounds, findings: Linearizability::default() };
    match setup.app {
        AppKind::Attack => {
            let initial = |player: &u8| match first {
                None => attack::initial(*player, setup.app_options.players),
                Some(machine) => attack::on_board(*player, &machine.view()),
            };
            let objects =
                objects::cut(setup.app, history, replay, |op, response| attack::read(op, response).map(once), initial);
            judge.judge(objects, |player| format!("player {player}"))
        }
        AppKind::Kv => {
            let reader = RefCell::new(kv::Reader::default());
            let read = |op, response| reader.borrow_mut().read(op, response).map(once);
            let initial = |key: &Cow<'a, str>| {
                first.map_or(kv::Value::Absent, |machine| reader.borrow_mut().in_store(key, machine))
            };
            let objects = objects::cut(setup.app, history, replay, read, initial);
            judge.judge(objects, |key| format!("key {:?}", excerpt(key)))
        }
        AppKind::Canvas => {
            let reader = canvas::Reader::new(setup.app_options.size, history);
            let initial = |place: &canvas::Place| {
                first.map_or(canvas::Pixel::Unpainted, |machine| reader.on_canvas(*place, machine))
            };
            let read = |op, response: Option<&Response>| reader.read(op, response);
            let objects = objects::cut(setup.app, history, replay, read, initial);
            judge.judge(objects, |(x, y)| format!("pixel {x},{y}"))
        }
    }
}

struct Judge<'a> {
    history: &'a [&'a Operation],
    bounds: Bounds,
    findings: Linearizability,
}

impl Judge<'_> {
    fn judge<K, T: Transition>(mut self, objects: Objects<K, T>, name: impl Fn(&K) -> String) -> Linearizability {
        let Objects { by_key, operations, undecided } = objects;
        (self.findings.objects, self.findings.operations) = (by_key.len() as u64, operations);
        self.findings.undecided = undecided;
        let mut objects: Vec<(String, Object<T>)> =
            by_key.into_iter().map(|(key, object)| (name(&key), object)).collect();
        // The small ones first: what they leave of their share goes to the large ones.
        objects.sort_unstable_by_key(|(_, object)| (object.calls.len(), object.calls[0].source));
        let mut violated = Vec::new();
        let shares = (1..=objects.len() as u64).rev();
        for ((name, object), left) in objects.into_iter().zip(shares) {
            let found = self.spend(left, |budget| search(&object.calls, object.initial, budget));
            match found {
                Found::Order => {}
                Found::NoOrder { by_ns } => violated.push((name, object, by_ns)),
                Found::TooLong => self.give_up(name, "the search was given up: it took too many steps"),
                Found::TooLarge => self.give_up(name, "the search was given up: it took too much memory"),
            }
        }
        self.findings.violated = violated.len() as u64;
        violated.sort_unstable_by_key(|(.., by_ns)| *by_ns);
        violated.truncate(DESCRIBED);
        let shares = (1..=violated.len() as u64).rev();
        for ((name, object, by_ns), left) in violated.into_iter().zip(shares) {
            let Object { initial, calls, .. } = object;
            let window = self.spend(left, |budget| window::narrow(&calls, initial, by_ns, budget));
            self.findings.violations.push(self.describe(name, window));
        }
        self.findings
    }

    /// Spends what is the share of one of `left` in what may yet be spent.
    fn spend<R>(&mut self, left: u64, search: impl FnOnce(&mut Budget) -> R) -> R {
        let steps = self.bounds.steps.saturating_sub(self.findings.steps) / left;
        let mut budget = Budget { steps, memory_bytes: self.bounds.memory_bytes };
        let result = search(&mut budget);
        self.findings.steps += steps - budget.steps;
        result
    }

    fn give_up(&mut self, what: String, reason: &str) {
        self.findings.undecided.push(Undecided { what, reason: reason.to_owned() });
    }

    fn describe(&self, object: String, window: Window) -> Violation {
        let Window { sources, from_ns, to_ns, stands_alone } = window;
        let last = &sources[sources.len().saturating_sub(NAMED)..];
        let last = last.iter().map(|source| describe(self.history[*source as usize])).collect();
        Violation { object, from_ns, to_ns, operations: sources.len() as u64, last, stands_alone }
    }
}

/// An operation with what its client was told, in a few words.
fn describe(operation: &Operation) -> String {
    let asked = excerpt(operation.op.get());
    match &operation.outcome {
        Outcome::Ok { response, .. } => format!("{operation} {asked} → {}", excerpt(response.get())),
        Outcome::Failed { .. } | Outcome::Unknown { .. } => format!("{operation} {asked}"),
    }
}

impl fmt::Display for Undecided {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.what, self.reason)
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Violation { object, from_ns, to_ns, operations, last, stands_alone } = self;
        write!(f, "on {object} no order explains ")?;
        match operations {
            1 => write!(f, "the operation")?,
            count => write!(f, "the {count} operations")?,
        }
        write!(f, " from {from_ns} to {to_ns} ns")?;
        f.write_str(if *stands_alone { ", whatever came before: " } else { " after all that came before: " })?;
        if *operations > last.len() as u64 {
            f.write_str("…; ")?;
        }
        f.write_str(&last.join("; "))
    }
}
