//! One node: its driver, its storage, its clock, and what it is in the middle of.
//!
//! Invariant: what is in memory is gone when the driver is: a crash leaves only the disk.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use raftian_apps::Machine;
use raftian_driver::{Driver, Host, RestoreJob};
use raftian_raft::{Message, NodeId, Options, Persisted, Server, Snapshot, Time};
use raftian_script::Op;

use crate::questions::Questions;
use crate::queue::{Event, MessageId, Request, Via};
use crate::storage::Storage;

/// The simulator as a host of drivers.
#[derive(Debug)]
pub(crate) struct SimHost;

impl Host for SimHost {
    /// The number of the call: the reply goes out on the connection of the one that made it.
    type Call = u64;
    type Command = Asker;
    type Read = Asker;
    type Snapshot = ();
}

/// Who waits for the answer to a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Asker {
    /// Which client; `None` for a step by hand, whose answer is in the state, and for a copy, whose answer is not read.
    pub(crate) client: Option<usize>,
    /// The place of its operation in the history.
    pub(crate) place: u64,
    /// What it wants.
    pub(crate) op: Op,
    /// The node that passed the question on.
    pub(crate) via: Option<Via>,
    /// The number of the question among those that the node took in; 0 before it does.
    pub(crate) number: u64,
}

/// Something that a node takes in with its next turn.
#[derive(Debug)]
pub(crate) enum Input {
    Message(MessageId, Message),
    Ask(Request),
    Persisted(Vec<Persisted>),
    Encoded,
    Restored,
    CallsTimeOut,
    /// A call to this peer was refused or given up.
    CallLost(NodeId, u64),
}

/// A node, running or not.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) options: Options,
    pub(crate) clock: Clock,
    /// `None` while it is down.
    pub(crate) driver: Option<Driver<SimHost>>,
    pub(crate) storage: Storage,
    /// How often it was started: what was meant for an earlier life is dropped.
    pub(crate) epoch: u32,
    /// When it wants to be called, on the clock of the world; `u64::MAX` while it cannot be called.
    pub(crate) deadline_us: u64,
    /// While it is paused, what has arrived.
    pub(crate) paused: Option<Vec<Event>>,
    pub(crate) armed: Option<Armed>,
    /// What has arrived since its last turn, while that takes time; and until when it does.
    pub(crate) inbox: VecDeque<Input>,
    pub(crate) busy_until_us: u64,
    /// When the last sync that it began is done.
    pub(crate) synced_at_us: u64,
    pub(crate) has_turn_planned: bool,
    /// How long its application takes for an entry; and whether it is in the middle of that, with effects left to carry out.
    pub(crate) apply_us: u64,
    pub(crate) is_applying: bool,
    /// How many writes its core has wanted, and how many its driver has handed to the disk.
    pub(crate) wanted: u64,
    pub(crate) handed: u64,
    /// The snapshots that are to be restored: the number of the first write that may rest on each.
    pub(crate) restores: VecDeque<u64>,
    /// A snapshot that is being encoded, and one that is being restored.
    pub(crate) encoding: Option<Snapshot>,
    pub(crate) restoring: Option<(RestoreJob, Machine)>,
    pub(crate) calls: Calls,
    /// The questions that it took in in this life.
    pub(crate) questions: Questions,
}

/// A crash to come: when so many more boundaries are crossed. A boundary is a write handed over, a sync that is done but
/// not yet known, and a message about to leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Armed {
    pub(crate) boundaries: u32,
    /// Only writes that put a leader's snapshot in the place of the log count.
    pub(crate) only_installs: bool,
    /// How many records of what was not synced reach the disk all the same.
    pub(crate) keep: usize,
}

/// The calls that wait for a reply, where a transport gives calls up by itself; and those that it has given up otherwise.
#[derive(Debug, Default)]
pub(crate) struct Calls {
    /// By number: whom it called, and when the call is given up.
    waiting: BTreeMap<u64, (NodeId, u64)>,
    pub(crate) has_timer: bool,
    given_up: BTreeSet<u64>,
}

/// A clock that is too fast or too slow, or has jumped ahead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Clock {
    /// How much it advances in a second of the world, in milliseconds.
    pub(crate) rate_permille: u64,
    /// How far it is ahead of that, in microseconds: it may have jumped, and its rate may have been another one.
    pub(crate) ahead_us: i64,
}

impl Clock {
    /// What it shows.
    pub(crate) fn time(self, now_us: u64) -> Time {
        Time(Duration::from_micros((now_us * self.rate_permille / 1000).saturating_add_signed(self.ahead_us)))
    }

    /// When it will show this much at the earliest, on the clock of the world.
    pub(crate) fn when(self, time: Time) -> u64 {
        let local_us = time.0.as_nanos().div_ceil(1000) as u64;
        match self.rate_permille {
            0 => u64::MAX,
            rate => (local_us.saturating_add_signed(-self.ahead_us) * 1000).div_ceil(rate),
        }
    }

    /// It jumps ahead to this time, unless it shows a later one.
    pub(crate) fn jump(&mut self, time: Time, now_us: u64) {
        let ahead = time.0.saturating_sub(self.time(now_us).0);
        self.ahead_us += ahead.as_nanos().div_ceil(1000) as i64;
    }

    /// It goes on at another rate from what it shows.
    pub(crate) fn set_rate(&mut self, rate_permille: u64, now_us: u64) {
        let shown_us = self.time(now_us).0.as_micros() as i64;
        self.rate_permille = rate_permille;
        self.ahead_us = shown_us - (now_us * rate_permille / 1000) as i64;
    }
}

impl Calls {
    pub(crate) fn begin(&mut self, call: u64, peer: NodeId, until_us: u64) {
        self.waiting.insert(call, (peer, until_us));
    }

    /// A reply has come. Says whether it was waited for.
    pub(crate) fn end(&mut self, call: u64) -> bool {
        self.waiting.remove(&call).is_some()
    }

    /// A call is given up before its time. Says whether it was not already.
    pub(crate) fn give_up(&mut self, call: u64) -> bool {
        self.waiting.remove(&call);
        self.given_up.insert(call)
    }

    /// Whether a call was given up before its time.
    pub(crate) fn has_given_up(&self, call: u64) -> bool {
        self.given_up.contains(&call)
    }

    /// When the first call is given up.
    pub(crate) fn next_us(&self) -> Option<u64> {
        self.waiting.values().map(|(_, until_us)| *until_us).min()
    }

    /// Takes out a call that has waited for long enough.
    pub(crate) fn take_late(&mut self, now_us: u64) -> Option<(NodeId, u64)> {
        let (&call, &(peer, _)) = self.waiting.iter().find(|(_, (_, until_us))| *until_us <= now_us)?;
        self.waiting.remove(&call);
        Some((peer, call))
    }
}

impl Node {
    pub(crate) fn new(options: Options, rate_permille: u64, storage: Storage) -> Node {
        Node {
            options,
            clock: Clock { rate_permille, ahead_us: 0 },
            driver: None,
            storage,
            epoch: 0,
            deadline_us: u64::MAX,
            paused: None,
            armed: None,
            inbox: VecDeque::new(),
            busy_until_us: 0,
            synced_at_us: 0,
            has_turn_planned: false,
            apply_us: 0,
            is_applying: false,
            wanted: 0,
            handed: 0,
            restores: VecDeque::new(),
            encoding: None,
            restoring: None,
            calls: Calls::default(),
            questions: Questions::default(),
        }
    }

    pub(crate) fn id(&self) -> NodeId {
        self.options.id
    }

    pub(crate) fn is_up(&self) -> bool {
        self.driver.is_some()
    }

    /// Its server, if it is up.
    pub(crate) fn server(&self) -> Option<&Server> {
        self.driver.as_ref().map(Driver::server)
    }

    /// A life begins.
    pub(crate) fn begin(&mut self, driver: Driver<SimHost>) {
        self.driver = Some(driver);
        self.epoch += 1;
    }

    /// A life ends, and with it all that is not on the disk.
    pub(crate) fn end(&mut self) -> Option<Driver<SimHost>> {
        let driver = self.driver.take()?;
        (self.armed, self.paused) = (None, None);
        self.inbox.clear();
        (self.busy_until_us, self.synced_at_us) = (0, 0);
        (self.has_turn_planned, self.is_applying) = (false, false);
        (self.encoding, self.restoring, self.wanted, self.handed) = (None, None, 0, 0);
        self.restores.clear();
        self.calls = Calls::default();
        self.questions = Questions::default();
        self.wind();
        Some(driver)
    }

    /// Sets when it wants to be called.
    pub(crate) fn wind(&mut self) {
        let deadline = self.driver.as_ref().and_then(Driver::deadline);
        self.deadline_us = match (deadline, &self.paused) {
            // What has gathered comes before the clock; then a turn is planned already.
            (Some(_), None) if self.has_turn_planned => u64::MAX,
            (Some(deadline), None) => self.clock.when(deadline).max(self.busy_until_us),
            _ => u64::MAX,
        };
    }

    /// A boundary is crossed. Says what has come if it crashes there.
    pub(crate) fn cross(&mut self, is_install: bool) -> Option<Armed> {
        let armed = self.armed.as_mut().filter(|armed| is_install || !armed.only_installs)?;
        armed.boundaries = armed.boundaries.saturating_sub(1);
        self.armed.take_if(|armed| armed.boundaries == 0)
    }
}

impl Asker {
    /// A step by hand.
    pub(crate) const HAND: Asker = Asker { client: None, place: 0, op: Op::Read(0), via: None, number: 0 };
}

impl From<&Request> for Asker {
    fn from(request: &Request) -> Asker {
        let client = (!request.is_copy).then_some(request.client);
        Asker { client, place: request.place, op: request.op, via: request.via, number: 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_has_come_when_its_time_is_here_and_not_a_microsecond_before() {
        for rate_permille in [800, 953, 1000, 1047, 1200] {
            for (ahead_us, local_us) in [(0, 1), (5, 7), (0, 149_999), (0, 150_000), (33_333, 3_600_000_001)] {
                let clock = Clock { rate_permille, ahead_us };
                let when = clock.when(Time(Duration::from_micros(local_us)));
                assert!(clock.time(when) >= Time(Duration::from_micros(local_us)));
                assert!(clock.time(when - 1) < Time(Duration::from_micros(local_us)));
            }
        }
    }

    #[test]
    fn a_clock_that_jumps_to_a_time_shows_it_and_goes_on_from_there() {
        let mut clock = Clock { rate_permille: 953, ahead_us: 0 };
        clock.jump(Time(Duration::from_nanos(200_000_500)), 70_001);
        assert_eq!(clock.time(70_001), Time(Duration::from_micros(200_001)));
        clock.jump(Time(Duration::from_millis(100)), 80_001);
        assert_eq!(clock.time(80_001).since(clock.time(70_001)), Duration::from_micros(9_530));
    }

    #[test]
    fn a_clock_of_another_rate_goes_on_from_what_it_shows() {
        let mut clock = Clock { rate_permille: 1_000, ahead_us: 0 };
        let shown = |clock: Clock, now_us| clock.time(now_us).0.as_micros();
        for (rate, now_us) in [(2_000, 1_000), (500, 2_000), (0, 3_000), (1_000, 9_000)] {
            let before = shown(clock, now_us);
            clock.set_rate(rate, now_us);
            assert_eq!(shown(clock, now_us), before);
            assert_eq!(shown(clock, now_us + 100), before + 100 * u128::from(rate) / 1_000);
        }
        assert_eq!(Clock { rate_permille: 0, ahead_us: 5 }.when(Time(Duration::from_micros(9))), u64::MAX);
    }

    #[test]
    fn a_call_is_answered_or_given_up_once() {
        let peer = NodeId::new(2).unwrap();
        let mut calls = Calls::default();
        for (call, until_us) in [(3, 30), (4, 20), (5, 40)] {
            calls.begin(call, peer, until_us);
        }
        assert_eq!((calls.next_us(), calls.take_late(19)), (Some(20), None));
        assert_eq!(
            (calls.take_late(30), calls.take_late(30), calls.take_late(30)),
            (Some((peer, 3)), Some((peer, 4)), None)
        );
        assert!(calls.end(5) && !calls.end(5) && !calls.end(3));
        assert_eq!(calls.next_us(), None);
    }
}
