//! Waiting for a time of the monotonic clock, to the time that a wake-up takes.
//!
//! The wait is a kernel timer on an absolute time (`timerfd`), which is not rounded and has no slack; the timers of the
//! runtime round up to whole milliseconds. A game waits so for its next frame, and a message for the end of its delay.
//!
//! Invariant: a wait never ends early, and never spins.
//!
//! Deliberately absent: a replacement of the runtime's timers. Each wait of a task holds a file descriptor, which would
//! be too much for time-outs that hardly ever run out.

use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use raftian_rpc::clock::monotonic_ns;
use rustix::fd::AsFd;
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
};
use tokio::net::unix::pipe;

const SECOND_NS: u64 = 1_000_000_000;

/// A timer for a thread that has nothing else to do.
#[derive(Debug)]
pub(crate) struct Timer(OwnedFd);

/// A timer for a task among others. To the runtime it is something to read from, like a pipe that is written to when the
/// time has come.
#[derive(Debug)]
pub(crate) struct TaskTimer(pipe::Receiver);

/// Lets the other tasks run for this long. When the system gives no more timers it is the runtime's that is waited for:
/// late rather than never.
pub(crate) async fn sleep(span: Duration) {
    let due_ns = monotonic_ns().saturating_add(u64::try_from(span.as_nanos()).unwrap_or(u64::MAX));
    let exact = async { TaskTimer::new()?.wait(due_ns).await };
    if exact.await.is_err() {
        tokio::time::sleep(span).await;
    }
}

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

impl TaskTimer {
    /// A timer of the runtime this is called on.
    ///
    /// # Errors
    /// When the system gives none.
    pub(crate) fn new() -> Result<TaskTimer, String> {
        let timer = create(TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK)?;
        pipe::Receiver::from_owned_fd_unchecked(timer).map(TaskTimer).map_err(broken)
    }

    /// Lets the other tasks run until this time of the monotonic clock.
    ///
    /// # Errors
    /// When the system does.
    pub(crate) async fn wait(&self, due_ns: u64) -> Result<(), String> {
        set(&self.0, due_ns)?;
        loop {
            self.0.readable().await.map_err(broken)?;
            match self.0.try_read(&mut [0; 8]) {
                Ok(_) => return Ok(()),
                // Not ready after all, as after a wait that was dropped.
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
    format!("the system gives no timer: {}", error.into())
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

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

    // A clock that stands moves on only when a timer of the runtime is waited for, so that one is seen at once.
    #[tokio::test(start_paused = true)]
    async fn a_sleep_waits_for_no_timer_of_the_runtime_and_the_shorter_ends_first() {
        let (began_ns, began) = (monotonic_ns(), Instant::now());
        tokio::select! {
            biased;
            () = sleep(HOUR) => panic!("an hour is over first"),
            () = sleep(Duration::from_micros(400)) => {}
        }
        assert!(monotonic_ns() - began_ns >= 400_000);
        assert_eq!(began.elapsed(), Duration::ZERO);
    }

    #[tokio::test]
    async fn a_timer_waits_again_after_a_wait_that_was_dropped() {
        let timer = TaskTimer::new().unwrap();
        tokio::select! {
            biased;
            waited = timer.wait(u64::MAX) => panic!("it never ends: {waited:?}"),
            () = sleep(Duration::from_micros(100)) => {}
        }
        let due_ns = monotonic_ns() + 200_000;
        timer.wait(due_ns).await.unwrap();
        assert!(monotonic_ns() >= due_ns);
    }
}
