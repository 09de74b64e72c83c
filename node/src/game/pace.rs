//! Pacing: when the next frame is due under a cap, and waiting for it without a timer tick of a millisecond.
//!
//! The wait is a kernel timer on an absolute time (`timerfd`), which is not rounded and has no slack. It overshoots by
//! the time a wake-up takes, and the next due time does not depend on it, so the rate stays exact. Blocking and
//! asynchronous games wait on the same kind of timer; neither spins.
//!
//! Invariant: never more frames than the cap; a game that falls behind skips, and does not catch up in a burst.

use std::io;
use std::os::fd::OwnedFd;

use rustix::fd::AsFd;
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
};
use tokio::net::unix::pipe;

const SECOND_NS: u64 = 1_000_000_000;

/// When frames are due.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    /// The time between two frames; `None` without a cap.
    period_ns: Option<u64>,
    /// When the current frame was due.
    due_ns: u64,
}

impl Pace {
    /// At most so many frames per second.
    ///
    /// # Errors
    /// When that is 0.
    pub(crate) fn new(fps_cap: Option<u32>) -> Result<Pace, String> {
        match fps_cap {
            Some(0) => Err("a game capped at 0 frames per second shows nothing; use 1 or more".into()),
            cap => Ok(Pace { period_ns: cap.map(|fps| SECOND_NS.div_ceil(fps.into())), due_ns: 0 }),
        }
    }

    /// When the frame after the one that was finished `now` is due; `None` for at once.
    pub(crate) fn next(&mut self, now_ns: u64) -> Option<u64> {
        self.due_ns = now_ns.max(self.due_ns + self.period_ns?);
        (self.due_ns > now_ns).then_some(self.due_ns)
    }
}

/// A timer for a thread that has nothing else to do.
#[derive(Debug)]
pub(crate) struct Timer(OwnedFd);

impl Timer {
    /// A timer.
    ///
    /// # Errors
    /// When the system gives none.
    pub(crate) fn new() -> Result<Timer, String> {
        create(TimerfdFlags::CLOEXEC).map(Timer)
    }

    /// Blocks until this time of the monotonic clock.
    ///
    /// # Errors
    /// When the system does.
    pub(crate) fn wait(&self, due_ns: u64) -> Result<(), String> {
        set(&self.0, due_ns)?;
        rustix::io::retry_on_intr(|| rustix::io::read(&self.0, &mut [0; 8])).map(drop).map_err(broken)
    }
}

/// A timer for a task among others.
#[derive(Debug)]
pub(crate) struct TaskTimer {
    timer: OwnedFd,
    /// The same timer, as the runtime sees it: something to read from, like a pipe that is written to when the time
    /// has come.
    events: pipe::Receiver,
}

impl TaskTimer {
    /// A timer of the runtime this is called on.
    ///
    /// # Errors
    /// When the system gives none.
    pub(crate) fn new() -> Result<TaskTimer, String> {
        let timer = create(TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK)?;
        let events = timer.try_clone().and_then(pipe::Receiver::from_owned_fd_unchecked);
        Ok(TaskTimer { timer, events: events.map_err(broken)? })
    }

    /// Lets the other tasks run until this time of the monotonic clock.
    ///
    /// # Errors
    /// When the system does.
    pub(crate) async fn wait(&self, due_ns: u64) -> Result<(), String> {
        set(&self.timer, due_ns)?;
        loop {
            self.events.readable().await.map_err(broken)?;
            match self.events.try_read(&mut [0; 8]) {
                Ok(_) => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(broken(error)),
            }
        }
    }
}

fn create(flags: TimerfdFlags) -> Result<OwnedFd, String> {
    timerfd_create(TimerfdClockId::Monotonic, flags).map_err(broken)
}

/// Sets a timer off once, at once if the time has passed.
fn set(timer: impl AsFd, due_ns: u64) -> Result<(), String> {
    let part = |ns: u64| i64::try_from(ns).unwrap_or(i64::MAX);
    // A timer set to 0 never goes off.
    let due_ns = due_ns.max(1);
    let at = Timespec { tv_sec: part(due_ns / SECOND_NS), tv_nsec: part(due_ns % SECOND_NS) };
    let once = Itimerspec { it_interval: Timespec { tv_sec: 0, tv_nsec: 0 }, it_value: at };
    timerfd_settime(timer, TimerfdTimerFlags::ABSTIME, &once).map(drop).map_err(broken)
}

fn broken(error: impl Into<io::Error>) -> String {
    format!("the system gives the game no timer: {}", error.into())
}

#[cfg(test)]
mod tests {
    use raftian_rpc::clock::monotonic_ns;

    use super::*;

    #[test]
    fn frames_are_due_a_period_apart_however_late_they_are_finished() {
        let mut pace = Pace::new(Some(1_000)).unwrap();
        let start_ns = 5 * SECOND_NS;
        assert_eq!(pace.next(start_ns), None);
        assert_eq!(pace.next(start_ns + 300_000), Some(start_ns + 1_000_000));
        // Woken late, but within the period: the next is due where it was.
        assert_eq!(pace.next(start_ns + 1_900_000), Some(start_ns + 2_000_000));
        // A whole period and more behind: at once, and from there.
        assert_eq!(pace.next(start_ns + 7_500_000), None);
        assert_eq!(pace.next(start_ns + 7_600_000), Some(start_ns + 8_500_000));
    }

    #[test]
    fn without_a_cap_every_frame_is_due_at_once() {
        let mut pace = Pace::new(None).unwrap();
        assert_eq!([1, 2, 3].map(|now_ns| pace.next(now_ns)), [None; 3]);
        assert!(Pace::new(Some(0)).unwrap_err().contains("0 frames"));
    }

    #[test]
    fn neither_timer_returns_early() {
        let timer = Timer::new().unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let _inside = runtime.enter();
        let task_timer = TaskTimer::new().unwrap();
        for after_ns in [0, 1, 400_000, 3_000_000] {
            let due_ns = monotonic_ns() + after_ns;
            timer.wait(due_ns).unwrap();
            assert!(monotonic_ns() >= due_ns);
            let due_ns = monotonic_ns() + after_ns;
            runtime.block_on(task_timer.wait(due_ns)).unwrap();
            assert!(monotonic_ns() >= due_ns);
        }
        timer.wait(0).unwrap();
    }
}
