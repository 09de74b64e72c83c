//! The faults in effect inside this node: which there are, and what was measured of each.
//!
//! | file | subject |
//! |---|---|
//! | `disk` | what faults do to the operations of the log's disk |
//! | `unsynced` | what a power loss would discard |
//! | `crash` | crash points, and a power loss |
//! | `server_clock` | the clock of the server |
//! | `tally` | how long syncs took |
//!
//! Invariants: while no fault is in effect, an operation of the disk costs one relaxed load more, and nothing is kept. A
//! fault is known by its id: it comes into effect once, however often it is configured.
//!
//! Deliberately absent: faults of links, which the driver's links have; and damage to the files of a node that is down
//! (`damage`).

mod crash;
mod disk;
pub(crate) mod server_clock;
mod tally;
#[cfg(test)]
mod tests;
mod unsynced;

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use raftian_faults::{NodeEffect, NodePart};
use raftian_raft::NodeId;
use raftian_rpc::clock;
use raftian_rpc::control::{Measured, NodeFault, NodeFaultStatus};

use crate::faults::tally::Tally;
use crate::faults::unsynced::Unsynced;

/// The faults of the disk and the process of a node. Those of its clock are with the
/// [`ServerClock`](server_clock::ServerClock).
#[derive(Debug)]
pub(crate) struct Faults {
    node: NodeId,
    /// Whether there are any, or what they did is being made up for.
    are_on: AtomicBool,
    state: Mutex<State>,
    /// The faults in effect are others.
    changed: Condvar,
    unsynced: Mutex<Unsynced>,
    /// The bytes in `unsynced`, to be read without its lock.
    unsynced_bytes: AtomicU64,
}

#[derive(Debug, Default)]
struct State {
    faults: Vec<InEffect>,
    /// Since when each sync that has not returned hangs, on the monotonic clock.
    hanging: Vec<u64>,
}

/// A fault in effect.
#[derive(Debug)]
struct InEffect {
    fault: NodeFault,
    since_ns: u64,
    /// How often it did what it does.
    count: u64,
    /// The syncs since then.
    syncs: Tally,
}

impl Faults {
    /// No faults of a node whose log is in this folder.
    pub(crate) fn new(node: NodeId, folder: PathBuf) -> Faults {
        Faults {
            node,
            are_on: AtomicBool::new(false),
            state: Mutex::default(),
            changed: Condvar::new(),
            unsynced: Mutex::new(Unsynced::new(folder)),
            unsynced_bytes: AtomicU64::new(0),
        }
    }

    /// Puts these faults into effect, and ends all others. Whether [`Faults::settle`] is to be called.
    pub(crate) fn set(&self, faults: &[NodeFault]) -> bool {
        let wanted: Vec<NodeFault> =
            faults.iter().copied().filter(|fault| fault.effect.part() != NodePart::Clock).collect();
        // The locks are taken in this order everywhere.
        let unsynced = self.are_off().then(|| self.unsynced());
        let mut state = self.state();
        let (had_any, had_lies) = (!state.faults.is_empty(), state.has(disk::is_lie));
        state.faults.retain(|known| wanted.contains(&known.fault));
        for fault in wanted {
            if !state.faults.iter().any(|known| known.fault == fault) {
                state.faults.push(InEffect {
                    fault,
                    since_ns: clock::monotonic_ns(),
                    count: 0,
                    syncs: Tally::default(),
                });
            }
        }
        if !state.faults.is_empty() {
            // An operation that was under way when the last faults ended may have left a record.
            unsynced.into_iter().for_each(|mut unsynced| unsynced.clear());
            self.are_on.store(true, Ordering::Relaxed);
        }
        self.changed.notify_all();
        had_any && state.faults.is_empty() || had_lies && !state.has(disk::is_lie)
    }

    /// Faults have ended: what they left unsynced is synced, so that a disk that has lied holds what it promised. This
    /// blocks.
    ///
    /// # Errors
    /// A message for people, when the disk fails.
    pub(crate) fn settle(&self) -> Result<(), String> {
        let mut unsynced = self.unsynced();
        if self.state().has(disk::is_lie) {
            return Ok(());
        }
        unsynced.make_up().map_err(|error| format!("the disk failed when it was to sync what it had not: {error}"))?;
        self.unsynced_bytes.store(0, Ordering::Relaxed);
        let state = self.state();
        if state.faults.is_empty() {
            self.are_on.store(false, Ordering::Relaxed);
        }
        Ok(())
    }

    /// The faults in effect, with what was measured of each.
    pub(crate) fn status(&self) -> Vec<NodeFaultStatus> {
        let state = self.state();
        let measured = |known: &InEffect| match known.fault.effect {
            NodeEffect::SlowSync { .. } => known.syncs.measured(),
            NodeEffect::FailSync => Measured::Failed { syncs: known.count },
            NodeEffect::Full => Measured::Refused { operations: known.count },
            NodeEffect::HangSync => {
                let now_ns = clock::monotonic_ns();
                let longest_ns = state.hanging.iter().map(|since_ns| now_ns.saturating_sub(*since_ns)).max();
                Measured::Hanging {
                    syncs: state.hanging.len() as u64,
                    longest_ms: longest_ns.map(|ns| Duration::from_nanos(ns).as_millis() as u64),
                }
            }
            NodeEffect::LyingSync => {
                Measured::Lied { syncs: known.count, unsynced_bytes: self.unsynced_bytes.load(Ordering::Relaxed) }
            }
            NodeEffect::Crash { .. } => Measured::Armed { passed: known.count },
            NodeEffect::ClockRate { .. } | NodeEffect::ClockFreeze | NodeEffect::ClockJump { .. } => {
                unreachable!("the clock has its faults itself")
            }
        };
        let status = |known: &InEffect| NodeFaultStatus {
            fault: known.fault,
            since_ns: known.since_ns,
            measured: measured(known),
        };
        state.faults.iter().map(status).collect()
    }

    /// Whether nothing is wrong. The order of this read among those of other threads does not matter: an operation that
    /// begins while a fault comes or goes may meet it or not.
    pub(crate) fn are_off(&self) -> bool {
        !self.are_on.load(Ordering::Relaxed)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn unsynced(&self) -> MutexGuard<'_, Unsynced> {
        self.unsynced.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn has(&self, which: impl Fn(&NodeEffect) -> bool) -> bool {
        self.faults.iter().any(|known| which(&known.fault.effect))
    }

    /// Notes that the faults with such an effect did what they do; whether there are any.
    fn count(&mut self, which: impl Fn(&NodeEffect) -> bool) -> bool {
        let those = self.faults.iter_mut().filter(|known| which(&known.fault.effect));
        those.map(|known| known.count += 1).count() > 0
    }
}
