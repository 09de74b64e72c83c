//! How many connections a server has, and how long each may keep it waiting.
//!
//! A connection is *unproven* until a request on it has shown the lab's secret. Unproven connections are few, must show
//! the secret soon, and give way to newer ones; so a caller without the secret can neither fill the memory nor the
//! descriptors of a server, nor keep others out.
//!
//! Invariant: there are never more connections, nor unproven ones, than [`Limits`] says. What a request costs here is
//! a few atomic operations: the lock is taken once when a connection begins, is proven, and ends.
//!
//! Deliberately absent: sockets and HTTP; see the parent module.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

/// How long an unproven connection may take to show the secret.
pub(super) const PROOF_TIMEOUT: Duration = Duration::from_secs(10);

/// How long the body of a request may take after its header.
pub(super) const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a proven connection may be idle or in the middle of a header. Longer than the 90 s after which our own
/// clients drop an idle connection: a server that drops it first would lose the call that is just being sent.
pub(super) const IDLE_TIMEOUT: Duration = Duration::from_secs(120);

/// From this age on an unproven connection gives way to a newer one, where there is no room for both. Our callers show the
/// secret at once; the older the strangers' may become, the longer a caller waits behind them in the kernel's queue.
const GIVES_WAY_AFTER: Duration = Duration::from_millis(250);

/// The longest time between two looks at a connection's deadline.
const LOOK: Duration = Duration::from_secs(5);

/// The value of a deadline that does not come.
const NEVER: u64 = u64::MAX;

/// How many connections there may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Limits {
    /// In all.
    pub(super) all: usize,
    /// Those that have not shown the secret.
    pub(super) unproven: usize,
}

impl Limits {
    /// The most connections, where there are descriptors enough.
    const MOST: u64 = 16_384;

    /// The fewest connections, however few descriptors there are.
    const FEWEST: u64 = 16;

    /// The most unproven connections. Each may hold a header of 8 KiB and two buffers.
    const MOST_UNPROVEN: usize = 1024;

    /// The descriptors for everything but calls: log segments, traces, pipes, the connections to 63 peers.
    const RESERVE: u64 = 128;

    /// The limits of a process that may open this many descriptors. A call that comes in may be forwarded, which takes
    /// a second descriptor; the reserve is never touched, so the log can always open its next segment.
    pub(super) fn within(descriptors: u64) -> Limits {
        let all = (descriptors.saturating_sub(Limits::RESERVE) / 2).clamp(Limits::FEWEST, Limits::MOST) as usize;
        Limits { all, unproven: Limits::MOST_UNPROVEN.min(all / 2) }
    }
}

/// The connections of one server.
#[derive(Debug)]
pub(super) struct Connections {
    limits: Limits,
    state: Mutex<State>,
    /// One was proven or has ended, so there may be room.
    room: Notify,
    /// Where the deadlines, which are numbers, begin.
    epoch: Instant,
}

#[derive(Debug, Default)]
struct State {
    open: usize,
    /// By number, so the oldest is first.
    unproven: BTreeMap<u64, Unproven>,
    next: u64,
}

#[derive(Debug)]
struct Unproven {
    since: Instant,
    give_way: Arc<Notify>,
}

/// One connection; it ends when this is dropped.
#[derive(Debug)]
pub(super) struct Connection {
    connections: Arc<Connections>,
    number: u64,
    is_proven: AtomicBool,
    /// When the caller must have sent what is awaited, in milliseconds since the epoch.
    deadline_ms: AtomicU64,
    give_way: Arc<Notify>,
}

/// What the next connection has to wait for.
enum Room {
    Yes,
    /// For one that ends or is proven.
    Full,
    /// The same, or until the oldest unproven one must give way.
    At(Instant),
}

impl Connections {
    pub(super) fn new(limits: Limits) -> Arc<Connections> {
        let (state, room, epoch) = (Mutex::default(), Notify::new(), Instant::now());
        Arc::new(Connections { limits, state, room, epoch })
    }

    pub(super) fn limits(&self) -> Limits {
        self.limits
    }

    /// Whether all places are taken by proven connections, so that nothing can give way.
    pub(super) fn are_all_proven(&self) -> bool {
        let state = self.state();
        state.open >= self.limits.all && state.unproven.is_empty()
    }

    /// Waits until there is room for one more.
    pub(super) async fn room(&self) {
        loop {
            // Made before the look: a notification between the two is not missed.
            let changed = self.room.notified();
            match self.look(Instant::now()) {
                Room::Yes => return,
                Room::Full => changed.await,
                Room::At(moment) => tokio::select! {
                    () = changed => {}
                    () = sleep_until(moment) => {}
                },
            }
        }
    }

    fn look(&self, now: Instant) -> Room {
        let mut state = self.state();
        if state.open < self.limits.all && state.unproven.len() < self.limits.unproven {
            return Room::Yes;
        }
        let Some(oldest) = state.unproven.first_entry() else { return Room::Full };
        let due = oldest.get().since + GIVES_WAY_AFTER;
        if now < due {
            return Room::At(due);
        }
        // There is room once its task has ended.
        oldest.remove().give_way.notify_one();
        Room::Full
    }

    /// Waits until a connection has been proven or has ended.
    pub(super) async fn changed(&self) {
        self.room.notified().await;
    }

    /// Counts a connection that has just been accepted.
    pub(super) fn begin(self: &Arc<Self>) -> Connection {
        let give_way = Arc::new(Notify::new());
        let mut state = self.state();
        let number = state.next;
        state.next += 1;
        state.open += 1;
        state.unproven.insert(number, Unproven { since: Instant::now(), give_way: Arc::clone(&give_way) });
        drop(state);
        let (is_proven, deadline_ms) = (AtomicBool::new(false), AtomicU64::new(NEVER));
        let connection = Connection { connections: Arc::clone(self), number, is_proven, deadline_ms, give_way };
        connection.expect_within(PROOF_TIMEOUT);
        connection
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Connection {
    /// A request has shown the secret.
    pub(super) fn prove(&self) {
        if !self.is_proven.swap(true, Ordering::Relaxed) {
            self.connections.state().unproven.remove(&self.number);
            self.connections.room.notify_one();
        }
    }

    /// The caller has to send something within this time.
    pub(super) fn expect_within(&self, time: Duration) {
        let deadline = self.connections.epoch.elapsed() + time;
        self.deadline_ms.store(deadline.as_millis() as u64, Ordering::Relaxed);
    }

    /// The caller has sent everything, and waits for us.
    pub(super) fn expect_nothing(&self) {
        self.deadline_ms.store(NEVER, Ordering::Relaxed);
    }

    /// Returns when the connection should be closed: the caller is late, or must give way.
    pub(super) async fn is_over(&self) {
        tokio::select! {
            () = self.give_way.notified() => {}
            () = self.is_late() => {}
        }
    }

    async fn is_late(&self) {
        loop {
            let now = Instant::now();
            let deadline_ms = self.deadline_ms.load(Ordering::Relaxed);
            // A deadline may be put forward while we sleep, hence the looks.
            let next = match deadline_ms {
                NEVER => now + LOOK,
                _ => self.connections.epoch + Duration::from_millis(deadline_ms),
            };
            if next <= now {
                return;
            }
            sleep_until(next.min(now + LOOK)).await;
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        let mut state = self.connections.state();
        state.open -= 1;
        state.unproven.remove(&self.number);
        drop(state);
        self.connections.room.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limits_leave_descriptors_for_the_log_and_for_forwarding() {
        assert_eq!(Limits::within(1_048_576), Limits { all: 16_384, unproven: 1024 });
        assert_eq!(Limits::within(1024), Limits { all: 448, unproven: 224 });
        assert_eq!(Limits::within(256), Limits { all: 64, unproven: 32 });
        assert_eq!(Limits::within(0), Limits { all: 16, unproven: 8 });
    }

    #[tokio::test(start_paused = true)]
    async fn an_old_unproven_connection_gives_way_and_a_proven_one_does_not() {
        let connections = Connections::new(Limits { all: 3, unproven: 2 });
        let (first, second) = (connections.begin(), connections.begin());
        first.prove();
        connections.room().await;
        let third = connections.begin();
        let began = Instant::now();
        let waiting = tokio::spawn({
            let connections = Arc::clone(&connections);
            async move { connections.room().await }
        });
        second.is_over().await;
        assert_eq!(began.elapsed(), GIVES_WAY_AFTER);
        assert!(!waiting.is_finished(), "there is room once it has ended");
        drop(second);
        waiting.await.unwrap();
        let fourth = connections.begin();
        third.prove();
        fourth.prove();
        assert!(connections.are_all_proven());
        drop(first);
        connections.room().await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_late_caller_is_noticed_in_every_part_of_a_request() {
        let connections = Connections::new(Limits::within(1024));
        let connection = connections.begin();
        let late_after = async || {
            let began = Instant::now();
            connection.is_over().await;
            began.elapsed()
        };
        let about = |time| time..=time + Duration::from_millis(2);
        assert!(about(PROOF_TIMEOUT - Duration::from_millis(1)).contains(&late_after().await));
        connection.prove();
        for time in [BODY_TIMEOUT, IDLE_TIMEOUT] {
            connection.expect_within(time);
            assert!(about(time - Duration::from_millis(1)).contains(&late_after().await));
        }
        connection.expect_nothing();
        let patience = 10 * IDLE_TIMEOUT;
        assert!(tokio::time::timeout(patience, connection.is_over()).await.is_err(), "a slow answer is not its fault");
    }
}
