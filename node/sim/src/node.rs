//! One node: its server, its application, its disk, its clock, and what it is in the middle of.
//!
//! Invariant: what is in memory is gone when the server is: a crash leaves the disk alone.

use raftian_apps::Machine;
use raftian_raft::{Index, NodeId, Options, Persist, Server, Term, Time};
use std::time::Duration;

use crate::disk::Disk;
use crate::queue::Event;

/// A node, running or not.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) options: Options,
    pub(crate) clock: Clock,
    /// `None` while it is down.
    pub(crate) server: Option<Server>,
    pub(crate) machine: Machine,
    pub(crate) disk: Disk,
    /// How often it was started: what was meant for an earlier life finds nobody.
    pub(crate) epoch: u32,
    /// When it wants to be called, on the clock of the world; `u64::MAX` while nobody can call it.
    pub(crate) deadline_us: u64,
    /// While it is paused, what has arrived.
    pub(crate) paused: Option<Vec<Event>>,
    /// What waits for the disk, and what the disk is busy with.
    pub(crate) waiting: Vec<Persist>,
    pub(crate) syncing: Vec<Persist>,
    pub(crate) syncs: u64,
    /// How its disk is.
    pub(crate) health: Health,
    pub(crate) armed: Option<Armed>,
    pub(crate) waiters: Vec<Waiter>,
    pub(crate) reads: Vec<Read>,
}

/// How a disk is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Health {
    /// How long a sync takes; `None` if it takes until somebody says so.
    pub(crate) sync_us: Option<u64>,
    /// The next sync fails.
    pub(crate) fails: bool,
    /// There is no room for a write.
    pub(crate) is_full: bool,
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

/// A client waits for an entry.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Waiter {
    pub(crate) index: Index,
    pub(crate) term: Term,
    pub(crate) client: usize,
    pub(crate) op: u64,
}

/// A client waits for a read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Read {
    pub(crate) ticket: u64,
    /// From which index on it may be served, once that is known.
    pub(crate) index: Option<Index>,
    pub(crate) client: usize,
    pub(crate) op: u64,
}

/// A clock that is too fast or too slow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Clock {
    /// How much it advances in a second of the world, in milliseconds.
    pub(crate) rate_permille: u64,
}

impl Clock {
    /// What it shows.
    pub(crate) fn time(self, now_us: u64) -> Time {
        Time(Duration::from_micros(now_us * self.rate_permille / 1000))
    }

    /// When it will show this much at the earliest, on the clock of the world.
    pub(crate) fn when(self, time: Time) -> u64 {
        let local_us = time.0.as_nanos().div_ceil(1000) as u64;
        (local_us * 1000).div_ceil(self.rate_permille)
    }
}

impl Node {
    pub(crate) fn new(options: Options, rate_permille: u64, machine: Machine, sync_us: Option<u64>) -> Node {
        Node {
            options,
            clock: Clock { rate_permille },
            server: None,
            machine,
            disk: Disk::default(),
            epoch: 0,
            deadline_us: u64::MAX,
            paused: None,
            waiting: Vec::new(),
            syncing: Vec::new(),
            syncs: 0,
            health: Health { sync_us, fails: false, is_full: false },
            armed: None,
            waiters: Vec::new(),
            reads: Vec::new(),
        }
    }

    pub(crate) fn id(&self) -> NodeId {
        self.options.id
    }

    pub(crate) fn is_up(&self) -> bool {
        self.server.is_some()
    }

    /// Sets when it wants to be called.
    pub(crate) fn wind(&mut self) {
        self.deadline_us = match (&self.server, &self.paused) {
            (Some(server), None) => self.clock.when(server.deadline()),
            _ => u64::MAX,
        };
    }

    /// A boundary is crossed. Says how many records are kept if it crashes there.
    pub(crate) fn cross(&mut self, is_install: bool) -> Option<usize> {
        let armed = self.armed.as_mut().filter(|armed| is_install || !armed.only_installs)?;
        armed.boundaries = armed.boundaries.saturating_sub(1);
        let keep = armed.keep;
        (armed.boundaries == 0).then(|| {
            self.armed = None;
            keep
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_has_come_when_its_time_is_here_and_not_a_microsecond_before() {
        for rate_permille in [800, 953, 1000, 1047, 1200] {
            let clock = Clock { rate_permille };
            for local_us in [1, 7, 149_999, 150_000, 3_600_000_001] {
                let when = clock.when(Time(Duration::from_micros(local_us)));
                assert!(clock.time(when) >= Time(Duration::from_micros(local_us)));
                assert!(clock.time(when - 1) < Time(Duration::from_micros(local_us)));
            }
        }
    }
}
