//! Clients: they want something, wait, try again elsewhere, and remember what they saw.
//!
//! Invariants: a client has one operation outstanding at a time; what it was not told is unknown, never failed; whoever
//! is refused for want of a session goes on under a new name.

use std::collections::VecDeque;

use bytes::Bytes;
use raftian_apps::{Command, Response};
use raftian_check::{Operation, Outcome};
use raftian_raft::Index;
use raftian_script::Op;
use serde_json::value::RawValue;

/// One client.
#[derive(Debug)]
pub(crate) struct Client {
    number: usize,
    /// How often it was refused and took another name.
    life: u32,
    pub(crate) name: String,
    serial: u64,
    pub(crate) wishes: VecDeque<Op>,
    pub(crate) current: Option<Current>,
    /// The node it asks next.
    pub(crate) target: usize,
    /// The nodes it knows, as bits: it asks no others.
    pub(crate) knows: u64,
    /// Whether its first command under a name only reads.
    opens_by_reading: bool,
    /// Whether it asks the same node again, unless it was pointed to another.
    pub(crate) is_stubborn: bool,
}

/// The operation under way.
#[derive(Debug)]
pub(crate) struct Current {
    /// Its place in the history.
    pub(crate) place: usize,
    pub(crate) op: Op,
    pub(crate) serial: u64,
    pub(crate) command: Bytes,
    /// The request that is waited for.
    pub(crate) call: u64,
    pub(crate) attempts: u32,
    /// Whether its last request has not been answered.
    pub(crate) is_open: bool,
    /// Whether what became of an earlier request cannot be known: it may take effect yet.
    pub(crate) is_unknown: bool,
}

/// An operation, as short as it can be told.
#[derive(Debug)]
pub(crate) struct Told {
    client: String,
    serial: u64,
    op: Op,
    invoked: u64,
    completed: Option<u64>,
    ok: Option<(Index, Response)>,
    /// Whether it certainly never took effect and never will.
    is_refused: bool,
}

/// What all clients did and saw.
#[derive(Debug, Default)]
pub(crate) struct History {
    told: Vec<Told>,
    pub(crate) acknowledged: u64,
}

impl Client {
    pub(crate) fn new(number: usize, target: usize, knows: u64, opens_by_reading: bool) -> Client {
        let mut client = Client {
            number,
            life: 0,
            name: String::new(),
            serial: 0,
            wishes: VecDeque::new(),
            current: None,
            target,
            knows,
            opens_by_reading,
            is_stubborn: false,
        };
        client.rename();
        client
    }

    /// Begins the next operation, if it is free and has one. Says whether it did.
    pub(crate) fn begin(&mut self, step: u64, history: &mut History) -> bool {
        if self.current.is_some() {
            return false;
        }
        let Some(&wish) = self.wishes.front() else { return false };
        // Where sessions expire soon, a copy of a first command may come up after its session has gone and be carried out
        // again: so that one changes nothing.
        let opens = self.opens_by_reading && self.serial == 0 && !wish.is_read();
        let op = if opens { Op::Get(0) } else { wish };
        if !opens {
            self.wishes.pop_front();
        }
        // A read opens no session, so it takes no number away from the commands.
        self.serial += u64::from(!op.is_read());
        let serial = self.serial.max(1);
        let json = RawValue::from_string(op.json()).expect("ops are JSON");
        let command = match op.is_read() {
            true => Bytes::from(String::from(Box::<str>::from(json))),
            false => Command::new(self.name.as_str(), serial, json)
                .expect("a small command of a named client")
                .encode()
                .into(),
        };
        let place = history.begin(self.name.clone(), serial, op, step);
        self.current =
            Some(Current { place, op, serial, command, call: 0, attempts: 0, is_open: false, is_unknown: false });
        true
    }

    /// It turns to the node it was pointed to, or to the next one it knows.
    pub(crate) fn turn(&mut self, hint: Option<usize>) {
        let knows = |at: usize| at < 64 && self.knows >> at & 1 == 1;
        let hint = hint.filter(|at| knows(*at) && *at != self.target);
        let next = (1..=64).map(|distance| (self.target + distance) % 64).find(|at| knows(*at));
        self.target = hint.or(next).unwrap_or(self.target);
    }

    /// It wants nothing any more. What is under way stays unknown.
    pub(crate) fn give_up(&mut self) {
        self.wishes.clear();
        self.current = None;
    }

    /// It was refused, and takes a name that nobody has had.
    pub(crate) fn rename(&mut self) {
        self.name = format!("c{}.{}", self.number, self.life);
        (self.life, self.serial) = (self.life + 1, 0);
    }
}

impl History {
    fn begin(&mut self, client: String, serial: u64, op: Op, step: u64) -> usize {
        self.told.push(Told { client, serial, op, invoked: step, completed: None, ok: None, is_refused: false });
        self.told.len() - 1
    }

    pub(crate) fn end(&mut self, place: usize, step: u64, ok: Option<(Index, Response)>) {
        self.acknowledged += u64::from(ok.is_some());
        let told = &mut self.told[place];
        (told.completed, told.ok) = (Some(step), ok);
    }

    /// An operation has ended without effect.
    pub(crate) fn refused(&mut self, place: usize, step: u64) {
        let told = &mut self.told[place];
        (told.completed, told.is_refused) = (Some(step), true);
    }

    /// How many operations were begun.
    pub(crate) fn len(&self) -> usize {
        self.told.len()
    }

    /// The history as its judges read it, with steps for nanoseconds: they order everything.
    pub(crate) fn operations(&self) -> Vec<Operation> {
        let operation = |told: &Told| Operation {
            client: told.client.clone(),
            serial: told.serial,
            op: RawValue::from_string(told.op.json()).expect("ops are JSON"),
            due_ns: None,
            invoked_ns: told.invoked,
            completed_ns: told.completed,
            outcome: match &told.ok {
                Some((index, response)) => Outcome::Ok { index: *index, response: response.clone() },
                None if told.is_refused => Outcome::Failed { reason: "refused by all that were asked".to_owned() },
                None => Outcome::Unknown { reason: "no answer: outcome unknown".to_owned() },
            },
        };
        self.told.iter().map(operation).collect()
    }
}
