//! The committed log, applied once more by a machine that took no part in the run, and held against the history.
//!
//! Invariant: the machine is fed the log and the set-up alone, never what a server or a client said came of it. Clients
//! are believed in one thing: at which index a read that left no entry wants to have read.
//!
//! Deliberately absent: blame. What is odd is noted here and judged elsewhere.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use raftian_apps::{Applied, Command, Digest, Effect, Index, Machine, Response};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::committed::CommittedLog;
use crate::history::{Operation, Outcome};
use crate::judge::Counts;
use crate::operations::Operations;

/// What came of applying a log.
#[derive(Debug, Default)]
pub(crate) struct Replay {
    digests: BTreeMap<Index, Digest>,
    places: Vec<Option<Place>>,
    reads: HashMap<usize, Response>,
    /// Commands that are not of the history, in order.
    pub(crate) others: Vec<Other>,
    /// The commands that were carried out more than once: their names, the first index and another.
    pub(crate) doubled: Vec<(String, Index, Index)>,
}

/// Where an operation stands in the log: at the entry that carried it out, or else at the first that has it.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) index: Index,
    pub(crate) is_executed: bool,
    /// Mostly there is nothing odd, and there are many places.
    pub(crate) odd: Option<Box<Odd>>,
}

/// What is at an operation's place, where that is not what its client knows.
#[derive(Debug)]
pub(crate) struct Odd {
    /// The op, if it is not the one asked for.
    pub(crate) op: Option<Box<RawValue>>,
    /// The response, if the client was told another.
    pub(crate) response: Option<Response>,
}

/// A command that the history does not know.
#[derive(Debug)]
pub(crate) struct Other {
    pub(crate) index: Index,
    pub(crate) command: Command,
    pub(crate) is_executed: bool,
}

impl Replay {
    /// Applies a log to a machine in the state before it, takes the digest at each of the indexes `at` (that before the
    /// log may be among them), and counts.
    pub(crate) fn run(
        log: &CommittedLog<'_>,
        mut machine: Machine,
        at: &BTreeSet<Index>,
        operations: &Operations<'_>,
        counts: &mut Counts,
    ) -> Replay {
        let mut replay = Replay::default();
        replay.places.resize_with(operations.usable.len(), || None);
        let mut acknowledged = acknowledged(&operations.usable).into_iter().peekable();
        while acknowledged.next_if(|(index, _)| *index < machine.last_applied()).is_some() {}
        let mut look = |machine: &Machine, replay: &mut Replay| {
            let index = machine.last_applied();
            if at.contains(&index) {
                replay.digests.insert(index, machine.digest());
            }
            while let Some((_, operation)) = acknowledged.next_if(|(of, _)| *of == index) {
                let is_entry = replay.place(operation).is_some_and(|place| place.index == index);
                if !is_entry && let Ok(response) = machine.query(&operations.usable[operation].op) {
                    replay.reads.insert(operation, response);
                }
            }
        };
        let mut others = HashMap::new();
        look(&machine, &mut replay);
        for entry in log.entries() {
            let applied = machine.apply(entry);
            counts.add_entry(&applied.effect);
            replay.note(applied, operations, &mut others);
            look(&machine, &mut replay);
        }
        replay
    }

    /// The digest at one of the indexes asked for, if the log reaches so far.
    pub(crate) fn digest_at(&self, index: Index) -> Option<Digest> {
        self.digests.get(&index).copied()
    }

    /// Where this operation stands in the log.
    pub(crate) fn place(&self, operation: usize) -> Option<&Place> {
        self.places[operation].as_ref()
    }

    /// The index at which this operation was carried out, if it was.
    pub(crate) fn executed_at(&self, operation: usize) -> Option<Index> {
        self.place(operation).filter(|place| place.is_executed).map(|place| place.index)
    }

    /// What this operation should have been told if it is a read that left no entry.
    pub(crate) fn read(&self, operation: usize) -> Option<&Response> {
        self.reads.get(&operation)
    }

    /// Notes what an entry did. `others` are the commands that the history does not know and that were carried out.
    fn note(&mut self, applied: Applied, operations: &Operations<'_>, others: &mut HashMap<(String, u64), Index>) {
        let (Some(command), Some(response)) = (&applied.command, applied.response()) else { return };
        let (index, client, serial) = (applied.index, command.client(), command.serial());
        let is_executed = matches!(applied.effect, Effect::Executed(_));
        let known = operations.place(client, serial);
        let executed_before = match known {
            Some(operation) => self.executed_at(operation),
            None => others.get(&(client.to_owned(), serial)).copied(),
        };
        if is_executed && let Some(first) = executed_before {
            self.doubled.push((format!("{client}#{serial}"), first, index));
        }
        let Some(operation) = known else {
            if is_executed && executed_before.is_none() {
                others.insert((client.to_owned(), serial), index);
            }
            self.others.extend(applied.command.map(|command| Other { index, command, is_executed }));
            return;
        };
        if self.places[operation].is_none() || is_executed && executed_before.is_none() {
            let odd = odd(operations.usable[operation], command, response).map(Box::new);
            self.places[operation] = Some(Place { index, is_executed, odd });
        }
    }
}

/// Equal as JSON: on its way a text may have been parsed and written again.
pub(crate) fn is_same_json(one: &str, other: &str) -> bool {
    let parse = |text| serde_json::from_str::<Value>(text).ok();
    one == other || parse(one).is_some_and(|value| Some(value) == parse(other))
}

/// The acknowledged operations by the index they were told.
fn acknowledged(operations: &[&Operation]) -> Vec<(Index, usize)> {
    let index = |(place, operation): (usize, &&Operation)| match operation.outcome {
        Outcome::Ok { index, .. } => Some((index, place)),
        Outcome::Failed { .. } | Outcome::Unknown { .. } => None,
    };
    let mut acknowledged: Vec<(Index, usize)> = operations.iter().enumerate().filter_map(index).collect();
    acknowledged.sort_unstable();
    acknowledged
}

fn odd(operation: &Operation, command: &Command, replayed: &Response) -> Option<Odd> {
    let op = (!is_same_json(operation.op.get(), command.op().get())).then(|| command.op().to_owned());
    let told = match &operation.outcome {
        Outcome::Ok { response, .. } => Some(response),
        Outcome::Failed { .. } | Outcome::Unknown { .. } => None,
    };
    let response = told.filter(|told| !is_same_json(told.get(), replayed.get())).map(|_| replayed.clone());
    (op.is_some() || response.is_some()).then_some(Odd { op, response })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn applied(index: Index, client: &str, serial: u64, is_executed: bool) -> Applied {
        let text = format!(r#"{{"client":"{client}","serial":{serial},"op":{{"attack":3}}}}"#);
        let response = Response::of(&index);
        let effect = if is_executed { Effect::Executed(response) } else { Effect::Refused(response) };
        Applied { index, command: Command::parse(text.as_bytes()).ok(), effect }
    }

    fn operation(client: &str, serial: u64) -> Operation {
        let (client, op) = (client.to_owned(), RawValue::from_string(r#"{"attack":3}"#.to_owned()).unwrap());
        let outcome = Outcome::Unknown { reason: String::new() };
        Operation { client, serial, op, due_ns: None, invoked_ns: 0, completed_ns: None, outcome }
    }

    #[test]
    fn a_command_stands_where_it_was_carried_out_or_else_where_it_came_first() {
        let history = [("a", 1), ("a", 2), ("b", 2)].map(|(client, serial)| operation(client, serial));
        let operations = Operations::of(&history, &mut Default::default());
        let mut replay = Replay::default();
        replay.places.resize_with(3, || None);
        let mut others = HashMap::new();
        for entry in [
            applied(1, "a", 2, false),
            applied(2, "a", 1, true),
            applied(3, "a", 2, true),
            applied(4, "b", 2, false),
            applied(5, "b", 2, false),
            applied(6, "a", 1, true),
            applied(7, "z", 1, true),
            applied(8, "z", 1, true),
        ] {
            replay.note(entry, &operations, &mut others);
        }
        let indexes: Vec<Index> = replay.places.iter().flatten().map(|place| place.index).collect();
        assert_eq!(indexes, [2, 3, 4]);
        assert_eq!((replay.executed_at(1), replay.executed_at(2)), (Some(3), None));
        assert_eq!(replay.doubled, [("a#1".to_owned(), 2, 6), ("z#1".to_owned(), 7, 8)]);
        assert_eq!(replay.others.iter().map(|other| other.index).collect::<Vec<_>>(), [7, 8]);
    }
}
