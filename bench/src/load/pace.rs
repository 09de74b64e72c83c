//! When operations are due: every `1/rate` seconds in an open loop, at once in a closed one.
//!
//! Invariant (open loop): operation k is due at `start + k/rate`, whatever the lab does. One that no session is free
//! to send waits in line, and its wait counts as latency.
//!
//! A thread keeps the time, because the timers of the runtime are a millisecond coarse, which is longer than a commit
//! takes.

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use raftian_rpc::clock::monotonic_ns;
use tokio::sync::Semaphore;

/// The longest the thread sleeps before it looks whether it is still wanted.
const NAP: Duration = Duration::from_millis(20);

/// The schedule of one load.
#[derive(Debug)]
pub(crate) struct Pace {
    start_ns: u64,
    end_ns: AtomicU64,
    interval_ns: Option<f64>,
    next: AtomicU64,
    due: Semaphore,
}

impl Pace {
    /// A schedule from now on for `duration`; without a rate, a closed loop.
    pub(crate) fn new(rate_per_s: Option<f64>, duration: Duration) -> Pace {
        Pace::since(monotonic_ns(), rate_per_s, duration)
    }

    fn since(start_ns: u64, rate_per_s: Option<f64>, duration: Duration) -> Pace {
        let end_ns = start_ns.saturating_add(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX));
        let interval_ns = rate_per_s.map(|rate| 1e9 / rate);
        Pace { start_ns, end_ns: end_ns.into(), interval_ns, next: 0.into(), due: Semaphore::new(0) }
    }

    pub(crate) fn start_ns(&self) -> u64 {
        self.start_ns
    }

    pub(crate) fn end_ns(&self) -> u64 {
        self.end_ns.load(Ordering::Relaxed)
    }

    /// Ends the schedule now: what is due already is still sent, and nothing after it.
    pub(crate) fn stop(&self) {
        self.end_ns.fetch_min(monotonic_ns(), Ordering::Relaxed);
    }

    /// The time at which the caller's next operation is due, once it is; `None` after the last.
    pub(crate) async fn next_due_ns(&self) -> Option<u64> {
        if self.interval_ns.is_none() {
            let now_ns = monotonic_ns();
            return (now_ns < self.end_ns()).then_some(now_ns);
        }
        // A closed semaphore lets everyone through: the schedule is over, and what is left in line is due.
        if let Ok(permit) = self.due.acquire().await {
            permit.forget();
        }
        let due_ns = self.due_ns(self.next.fetch_add(1, Ordering::Relaxed));
        (due_ns < self.end_ns()).then_some(due_ns)
    }

    /// Lets operations through as they become due, until the schedule is over. Blocks: run it on a thread of its own.
    pub(crate) fn keep(&self) {
        if self.interval_ns.is_none() {
            return;
        }
        let mut released = 0;
        loop {
            let now_ns = monotonic_ns();
            let mut count = 0;
            while self.due_ns(released) <= now_ns && self.due_ns(released) < self.end_ns() {
                released += 1;
                count += 1;
            }
            self.due.add_permits(count);
            let next_ns = self.due_ns(released);
            if next_ns >= self.end_ns() {
                return self.due.close();
            }
            thread::sleep(Duration::from_nanos(next_ns.saturating_sub(monotonic_ns())).min(NAP));
        }
    }

    fn due_ns(&self, number: u64) -> u64 {
        // Multiplied, not summed up: no error accumulates over a long run.
        let offset_ns = self.interval_ns.unwrap_or(0.0) * number as f64;
        self.start_ns.saturating_add(offset_ns as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn operations_are_due_at_even_intervals_and_end_with_the_schedule() {
        let pace = Pace::new(Some(1000.0), Duration::from_millis(20));
        thread::scope(|scope| {
            scope.spawn(|| pace.keep());
        });
        let mut offsets_us = Vec::new();
        while let Some(due_ns) = pace.next_due_ns().await {
            assert!(due_ns <= monotonic_ns(), "nothing is let through early");
            offsets_us.push((due_ns - pace.start_ns()) / 1000);
        }
        assert_eq!(offsets_us, (0..20).map(|k| k * 1000).collect::<Vec<_>>());
    }

    #[tokio::test]
    async fn a_stopped_schedule_still_yields_what_was_due() {
        let five_ms_ago = monotonic_ns() - 5_000_000;
        let pace = Pace::since(five_ms_ago, Some(1000.0), Duration::from_secs(3600));
        pace.stop();
        pace.keep();
        let mut count = 0;
        while pace.next_due_ns().await.is_some() {
            count += 1;
        }
        assert!(count >= 5, "{count}");
    }
}
