//! What faults do to the operations of the log's disk.
//!
//! An operation that makes something durable (a sync of a file; the creation, renaming and removal of one, since that syncs
//! the folder) may hang and be slow. Only the sync of a file fails. While syncs lie, no change reaches the disk.
//!
//! Invariant: an operation that has reported success is not discarded by a power loss, unless syncs lie. For that reason
//! it reports only after it has held the lock of the unsynced changes, which is never given back once the power is lost.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use raftian_faults::NodeEffect;
use raftian_rpc::clock;
use rustix::io::Errno;

use super::{Faults, State};
use crate::faults::unsynced::Unsynced;

impl Faults {
    /// Writes to a file; of a full disk, what it has room for.
    pub(crate) fn write_at(&self, name: &str, file: &File, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let is_full = self.state().has(is_full);
        let mut unsynced = self.unsynced();
        let room = if is_full { file.metadata()?.len().saturating_sub(offset) } else { u64::MAX };
        let (fitting, beyond) = bytes.split_at(bytes.len().min(usize::try_from(room).unwrap_or(usize::MAX)));
        if !fitting.is_empty() {
            unsynced.will_write(name, offset, fitting.len() as u64)?;
            file.write_all_at(fitting, offset)?;
        }
        self.note_bytes(&unsynced);
        drop(unsynced);
        if beyond.is_empty() { Ok(()) } else { Err(self.no_room()) }
    }

    /// Syncs a file, or not.
    pub(crate) fn sync(&self, name: &str, sync: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
        let began = Instant::now();
        self.hang();
        if self.fails() {
            return Err(Errno::IO.into());
        }
        if !self.state().count(is_lie) {
            sync()?;
            let mut unsynced = self.unsynced();
            unsynced.synced(name);
            self.note_bytes(&unsynced);
        }
        self.linger(began);
        Ok(())
    }

    /// Creates a file, or empties it.
    pub(crate) fn create<T>(&self, name: &str, create: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        if self.state().has(is_full) {
            return Err(self.no_room());
        }
        self.change(|unsynced| unsynced.will_create(name), |unsynced| unsynced.synced(name), create)
    }

    /// Renames a file.
    pub(crate) fn rename(&self, from: &str, to: &str, rename: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
        self.change(|unsynced| unsynced.will_rename(from, to), |unsynced| unsynced.moved(from, to), rename)
    }

    /// Removes a file.
    pub(crate) fn remove(&self, name: &str, remove: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
        self.change(|unsynced| unsynced.will_remove(name), |unsynced| unsynced.synced(name), remove)
    }

    /// How many bytes are free, if there are so many without faults.
    pub(crate) fn room(&self, without: u64) -> u64 {
        if self.state().count(is_full) { 0 } else { without }
    }

    /// Changes the folder: durably, or, while syncs lie, so that it can be taken back.
    fn change<T>(
        &self,
        before_a_lie: impl FnOnce(&mut Unsynced) -> io::Result<()>,
        once_durable: impl FnOnce(&mut Unsynced),
        change: impl FnOnce() -> io::Result<T>,
    ) -> io::Result<T> {
        let began = Instant::now();
        self.hang();
        let lies = self.state().count(is_lie);
        let mut unsynced = self.unsynced();
        if lies {
            before_a_lie(&mut unsynced)?;
        }
        let changed = change()?;
        if !lies {
            once_durable(&mut unsynced);
        }
        self.note_bytes(&unsynced);
        drop(unsynced);
        self.linger(began);
        Ok(changed)
    }

    /// Waits as long as syncs hang.
    fn hang(&self) {
        let mut state = self.state();
        if !state.has(is_hang) {
            return;
        }
        let since_ns = clock::monotonic_ns();
        state.hanging.push(since_ns);
        while state.has(is_hang) {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        if let Some(place) = state.hanging.iter().position(|began_ns| *began_ns == since_ns) {
            state.hanging.swap_remove(place);
        }
    }

    /// Whether this sync is the one that fails.
    fn fails(&self) -> bool {
        let mut state = self.state();
        let next = state.faults.iter_mut().find(|known| known.fault.effect == NodeEffect::FailSync && known.count == 0);
        next.map(|known| known.count += 1).is_some()
    }

    /// Waits until what began then has taken as long as it is to take, and notes how long it took.
    fn linger(&self, began: Instant) {
        let mut state = self.state();
        loop {
            let left = state.slowness().saturating_sub(began.elapsed());
            if left.is_zero() {
                break;
            }
            (state, _) = self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner);
        }
        let took = began.elapsed();
        state.faults.iter_mut().for_each(|known| known.syncs.note(took));
    }

    fn no_room(&self) -> io::Error {
        self.state().count(is_full);
        Errno::NOSPC.into()
    }

    fn note_bytes(&self, unsynced: &Unsynced) {
        self.unsynced_bytes.store(unsynced.bytes(), Ordering::Relaxed);
    }
}

impl State {
    /// How long a sync takes at least.
    fn slowness(&self) -> Duration {
        let takes_ms = self.faults.iter().map(|known| match known.fault.effect {
            NodeEffect::SlowSync { takes_ms } => takes_ms,
            _ => 0.0,
        });
        Duration::from_secs_f64(takes_ms.fold(0.0, f64::max) / 1000.0)
    }
}

fn is_full(effect: &NodeEffect) -> bool {
    *effect == NodeEffect::Full
}

pub(super) fn is_lie(effect: &NodeEffect) -> bool {
    *effect == NodeEffect::LyingSync
}

fn is_hang(effect: &NodeEffect) -> bool {
    *effect == NodeEffect::HangSync
}
