//! One lock for the thread that draws and the thread that serves, handed over as CPython does with its own: to show
//! what such a lock costs, with everything else unchanged.
//!
//! A thread that wants the lock waits for it; after [`SWITCH_INTERVAL`] it asks for it. The holder gives it up at its
//! next checkpoint once somebody has asked, and takes it again only when the other has had it. A thread that is about
//! to wait for something else gives it up before.
//!
//! Invariant: at most one thread holds the lock; a thread that ends, even by a panic, does not take it with it
//! ([`Held`]).
//!
//! Deliberately absent: fairness beyond that, as there.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, ThreadId};
use std::time::Duration;

/// How long a thread waits for the lock before it asks for it; CPython's default.
pub(crate) const SWITCH_INTERVAL: Duration = Duration::from_millis(5);

/// A hand on the lock. Without a lock behind it every call does nothing.
#[derive(Clone, Default)]
pub(crate) struct GlobalLock(Option<Arc<Lock>>);

#[derive(Default)]
struct Lock {
    owner: Mutex<Owner>,
    /// Signalled when the lock is given up.
    freed: Condvar,
    /// Signalled when the lock is taken.
    taken: Condvar,
    /// Whether somebody has waited for a whole interval.
    wanted: AtomicBool,
}

#[derive(Default)]
struct Owner {
    thread: Option<ThreadId>,
    /// How often the lock has been taken.
    turns: u64,
}

/// The lock, held until this is dropped, but for the spans in which it is given up.
pub(crate) struct Held(GlobalLock);

impl GlobalLock {
    /// A lock that nobody holds. [`GlobalLock::default`] is none at all.
    pub(crate) fn new() -> GlobalLock {
        GlobalLock(Some(Arc::default()))
    }

    /// Takes the lock, to be given up when the guard is dropped.
    #[must_use]
    pub(crate) fn hold(&self) -> Held {
        self.take();
        Held(self.clone())
    }

    /// Waits for the lock and takes it.
    pub(crate) fn take(&self) {
        if let Some(lock) = &self.0 {
            lock.take(lock.owner());
        }
    }

    /// Gives the lock up, if this thread holds it: before it waits for anything.
    pub(crate) fn give(&self) {
        if let Some(lock) = &self.0 {
            lock.give(&mut lock.owner());
        }
    }

    /// Lets another thread have a turn if one has waited long enough. To be called again and again by whoever holds
    /// the lock and computes; costs one load of an atomic when nobody has asked.
    pub(crate) fn checkpoint(&self) {
        if let Some(lock) = self.0.as_ref().filter(|lock| lock.wanted.load(Ordering::Relaxed)) {
            lock.hand_over();
        }
    }

    /// Waits for something else without the lock.
    pub(crate) fn without<T>(&self, wait: impl FnOnce() -> T) -> T {
        self.give();
        let outcome = wait();
        self.take();
        outcome
    }
}

impl Lock {
    fn owner(&self) -> MutexGuard<'_, Owner> {
        self.owner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self, mut owner: MutexGuard<'_, Owner>) {
        while owner.thread.is_some() {
            let before = owner.turns;
            let (woken, waited) =
                self.freed.wait_timeout(owner, SWITCH_INTERVAL).unwrap_or_else(PoisonError::into_inner);
            owner = woken;
            if waited.timed_out() && owner.thread.is_some() && owner.turns == before {
                self.wanted.store(true, Ordering::Relaxed);
            }
        }
        owner.thread = Some(thread::current().id());
        owner.turns += 1;
        self.wanted.store(false, Ordering::Relaxed);
        self.taken.notify_all();
    }

    fn give(&self, owner: &mut Owner) {
        if owner.thread == Some(thread::current().id()) {
            owner.thread = None;
            self.freed.notify_one();
        }
    }

    fn hand_over(&self) {
        let mut owner = self.owner();
        if owner.thread != Some(thread::current().id()) {
            return;
        }
        self.give(&mut owner);
        let turns = owner.turns;
        // Whoever has asked is on its way to take it.
        owner = self.taken.wait_while(owner, |owner| owner.turns == turns).unwrap_or_else(PoisonError::into_inner);
        self.take(owner);
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.0.give();
    }
}

impl fmt::Debug for GlobalLock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "GlobalLock" } else { "no GlobalLock" })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU32;
    use std::time::Instant;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(20);

    #[test]
    fn whoever_computes_lets_the_other_have_a_turn() {
        let lock = GlobalLock::new();
        let turns = AtomicU32::new(0);
        thread::scope(|scope| {
            let held = lock.hold();
            scope.spawn(|| {
                for _ in 0..3 {
                    let _held = lock.hold();
                    turns.fetch_add(1, Ordering::SeqCst);
                }
            });
            let started = Instant::now();
            while turns.load(Ordering::SeqCst) < 3 && started.elapsed() < PATIENCE {
                lock.checkpoint();
            }
            drop(held);
        });
        assert_eq!(turns.into_inner(), 3);
    }

    #[test]
    fn whoever_waits_for_something_else_gives_it_up() {
        let lock = GlobalLock::new();
        let held = lock.hold();
        let other = lock.clone();
        lock.without(|| thread::spawn(move || drop(other.hold())).join().unwrap());
        drop(held);
    }

    #[test]
    fn a_thread_that_panics_does_not_take_it_with_it() {
        let lock = GlobalLock::new();
        let other = lock.clone();
        let died = thread::spawn(move || {
            let _held = other.hold();
            panic!("as meant");
        });
        assert!(died.join().is_err());
        drop(lock.hold());
    }

    #[test]
    fn two_threads_never_hold_it_at_once() {
        let lock = GlobalLock::new();
        let inside = AtomicU32::new(0);
        thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    for _ in 0..10_000 {
                        let _held = lock.hold();
                        assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0);
                        inside.fetch_sub(1, Ordering::SeqCst);
                    }
                });
            }
        });
    }

    #[test]
    fn without_a_lock_nothing_waits() {
        let none = GlobalLock::default();
        let _first = none.hold();
        let _second = none.hold();
        none.checkpoint();
    }
}
