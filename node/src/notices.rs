//! Notices on their way to the parent: a bounded queue, and a thread that writes it to standard output.
//!
//! A parent that is stopped (SIGSTOP, a debugger) does not read, and a full pipe blocks its writer. That must not be the
//! task that owns a server's state.
//!
//! Invariant: giving a notice never waits. Where there is no room the oldest notice is dropped and counted, since a
//! later one says more of how things are.

use std::collections::VecDeque;
use std::io::{self, Write as _};
use std::sync::{Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;
use std::time::Duration;

/// The most notices that wait.
const MAX_WAITING: usize = 1024;

/// The queue of this process.
static QUEUE: Queue = Queue::new();

/// Whether its thread has been started.
static WRITER: OnceLock<()> = OnceLock::new();

struct Queue {
    state: Mutex<State>,
    /// A notice has come.
    given: Condvar,
    /// Everything has been written.
    written: Condvar,
}

struct State {
    waiting: VecDeque<Vec<u8>>,
    /// The writer has taken a notice that may not be written yet.
    is_writing: bool,
    dropped: u64,
}

/// Gives a line to the parent.
pub(crate) fn give(line: Vec<u8>) {
    WRITER.get_or_init(|| {
        // Without the thread the notices are dropped once the queue is full, and counted.
        let _ = thread::Builder::new().name("notices".into()).spawn(write_all);
    });
    QUEUE.push(line);
}

/// Waits until all notices have been written, or this much time has passed.
pub(crate) fn flush(patience: Duration) {
    let state = QUEUE.lock();
    let is_busy = |state: &mut State| state.is_writing || !state.waiting.is_empty();
    drop(QUEUE.written.wait_timeout_while(state, patience, is_busy));
}

/// How many notices the parent did not get.
pub(crate) fn dropped() -> u64 {
    QUEUE.lock().dropped
}

fn write_all() {
    loop {
        let line = QUEUE.take();
        let mut output = io::stdout().lock();
        // A parent that is gone needs no notices.
        let _ = output.write_all(&line).and_then(|()| output.flush());
    }
}

impl Queue {
    const fn new() -> Queue {
        let state = State { waiting: VecDeque::new(), is_writing: false, dropped: 0 };
        Queue { state: Mutex::new(state), given: Condvar::new(), written: Condvar::new() }
    }

    fn push(&self, line: Vec<u8>) {
        let mut state = self.lock();
        if state.waiting.len() == MAX_WAITING {
            state.waiting.pop_front();
            state.dropped += 1;
        }
        state.waiting.push_back(line);
        self.given.notify_one();
    }

    /// The next notice; what was taken before has been written.
    fn take(&self) -> Vec<u8> {
        let mut state = self.lock();
        state.is_writing = false;
        loop {
            if let Some(line) = state.waiting.pop_front() {
                state.is_writing = true;
                return line;
            }
            self.written.notify_all();
            state = self.given.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_queue_drops_the_oldest_notices_and_counts_them() {
        let queue = Queue::new();
        for number in 0..MAX_WAITING + 3 {
            queue.push(number.to_string().into_bytes());
        }
        assert_eq!(queue.lock().dropped, 3);
        assert_eq!(queue.take(), b"3");
        assert_eq!(queue.lock().waiting.len(), MAX_WAITING - 1);
    }
}
