//! A history, cut into the objects that its operations touch.
//!
//! Invariants: each object has every operation that may have touched it, and an operation that certainly had no effect
//! touches none. What other clients did is taken from the log: the history does not know it. Where the history knows
//! better, the log is not believed.

use std::collections::HashMap;
use std::hash::Hash;

use raftian_apps::{AppKind, Index, Response};
use serde_json::value::RawValue;

use crate::history::{Operation, Outcome};
use crate::linearizability::Undecided;
use crate::replay::Replay;
use crate::search::{Call, Transition};

/// An object and what was done to it.
pub(crate) struct Object<T: Transition> {
    pub(crate) initial: T::State,
    pub(crate) calls: Vec<Call<T>>,
    /// The first index at which the history knows of it.
    begins: Index,
}

/// The objects of a history.
pub(crate) struct Objects<K, T: Transition> {
    pub(crate) by_key: HashMap<K, Object<T>>,
    /// How many operations touched one.
    pub(crate) operations: u64,
    /// The operations that cannot be assigned.
    pub(crate) undecided: Vec<Undecided>,
}

/// Cuts a history. `read` says which objects an op touches and what it did to each, without a response if that is unknown;
/// `initial` is the state in which an object began.
pub(crate) fn cut<'a, K: Eq + Hash, T: Transition, Touched: IntoIterator<Item = (K, T)>>(
    app: AppKind,
    history: &[&'a Operation],
    replay: Option<&'a Replay>,
    mut read: impl FnMut(&'a RawValue, Option<&'a Response>) -> Option<Touched>,
    initial: impl Fn(&K) -> T::State,
) -> Objects<K, T> {
    let mut objects = Objects { by_key: HashMap::new(), operations: 0, undecided: Vec::new() };
    for (place, operation) in history.iter().enumerate() {
        let (completed_ns, response, hint) = match &operation.outcome {
            Outcome::Failed { .. } => continue,
            // What was refused had no effect, and tells nothing of the object.
            Outcome::Ok { response, .. } if response.refusal().is_some() => continue,
            Outcome::Ok { index, response } => (operation.completed_ns, Some(response), Some(*index)),
            // Nobody saw what it read, and it changed nothing.
            Outcome::Unknown { .. } if app.is_read(&operation.op) => continue,
            Outcome::Unknown { .. } => (None, None, replay.and_then(|replay| replay.executed_at(place))),
        };
        let invoked_ns = operation.invoked_ns;
        if completed_ns.is_some_and(|completed_ns| completed_ns < invoked_ns) {
            objects.give_up(operation, "it completed before it was invoked");
        } else if let Some(touched) = read(&operation.op, response) {
            let source = u32::try_from(place).expect("fewer than 2³² operations fit in memory");
            let hint = hint.unwrap_or(Index::MAX);
            let mut touched = touched.into_iter().peekable();
            objects.operations += u64::from(touched.peek().is_some());
            for (key, transition) in touched {
                objects.add(key, Call { source, invoked_ns, completed_ns, hint, transition }, &initial);
            }
        } else {
            objects.give_up(operation, "its op is none of the application");
        }
    }
    for other in replay.into_iter().flat_map(|replay| &replay.others).filter(|other| other.is_executed) {
        for (key, transition) in read(other.command.op(), None).into_iter().flatten() {
            objects.add_other(&key, other.index, transition);
        }
    }
    objects
}

impl<K: Eq + Hash, T: Transition> Objects<K, T> {
    fn add(&mut self, key: K, call: Call<T>, initial: impl Fn(&K) -> T::State) {
        let begin = |key: &K| Object { initial: initial(key), calls: Vec::new(), begins: Index::MAX };
        let object = self.by_key.entry(key).or_insert_with_key(begin);
        object.begins = object.begins.min(call.hint);
        object.calls.push(call);
    }

    /// Adds what another client did. If it stands in the log before all that the history knows of the object, then it
    /// went into the state in which the object begins; else nobody knows when it was asked for.
    fn add_other(&mut self, key: &K, index: Index, transition: T) {
        let Some(object) = self.by_key.get_mut(key) else { return };
        if index < object.begins {
            object.initial = transition.step(object.initial).unwrap_or(object.initial);
        } else {
            // No report will look for its source: it never returned.
            let call = Call { source: u32::MAX, invoked_ns: 0, completed_ns: None, hint: index, transition };
            object.calls.push(call);
        }
    }

    fn give_up(&mut self, operation: &Operation, reason: &str) {
        self.undecided.push(Undecided { what: operation.to_string(), reason: reason.to_owned() });
    }
}
