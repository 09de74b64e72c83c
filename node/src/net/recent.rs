//! The last calls of a node, for those who ask again and again, to show messages while they travel.
//!
//! Invariant: where nobody asks, nothing is kept, and a call costs one look at a flag. At most [`KEPT`] calls are kept.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use raftian_rpc::record::{Call, RecentCalls};
use tokio::time::Instant;

/// How many calls are kept.
const KEPT: usize = 512;

/// After how long without a question nothing is kept any more.
const PATIENCE: Duration = Duration::from_secs(3);

/// The last calls.
#[derive(Debug, Default)]
pub(super) struct Recent {
    is_on: AtomicBool,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    calls: VecDeque<Call>,
    /// The number of the next one.
    next: u64,
    asked: Option<Instant>,
}

impl Recent {
    /// Whether calls are kept.
    pub(super) fn is_on(&self) -> bool {
        self.is_on.load(Ordering::Relaxed)
    }

    /// A call came to an end.
    pub(super) fn keep(&self, call: Call) {
        if !self.is_on() {
            return;
        }
        let mut kept = self.lock();
        if kept.asked.is_none_or(|asked| asked.elapsed() > PATIENCE) {
            self.is_on.store(false, Ordering::Relaxed);
            kept.calls.clear();
            return;
        }
        if kept.calls.len() == KEPT {
            kept.calls.pop_front();
        }
        kept.calls.push_back(call);
        kept.next += 1;
    }

    /// The calls since a number, as far as they are kept. From now on some are.
    pub(super) fn since(&self, since: u64) -> RecentCalls {
        let mut kept = self.lock();
        kept.asked = Some(Instant::now());
        self.is_on.store(true, Ordering::Relaxed);
        let first = kept.next - kept.calls.len() as u64;
        let from = since.clamp(first, kept.next) - first;
        let calls = kept.calls.range(from as usize..).copied().collect();
        RecentCalls { calls, next: kept.next }
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().expect("no panic while the calls are locked")
    }
}

#[cfg(test)]
mod tests {
    use raftian_rpc::record::{End, What};

    use super::*;

    fn call(number: u64) -> Call {
        let to = "n2".parse().unwrap();
        Call {
            call: number,
            to,
            what: What::Heartbeat,
            entries: 0,
            term: 1,
            sent_ns: 0,
            ended_ns: 0,
            end: End::Answered,
        }
    }

    #[test]
    fn the_last_calls_are_kept_from_the_first_question_on() {
        let recent = Recent::default();
        recent.keep(call(1));
        assert_eq!(recent.since(0), RecentCalls::default());
        (2..4).for_each(|number| recent.keep(call(number)));
        assert_eq!(recent.since(0), RecentCalls { calls: vec![call(2), call(3)], next: 2 });
        assert_eq!(recent.since(1), RecentCalls { calls: vec![call(3)], next: 2 });
        assert_eq!(
            recent.since(9),
            RecentCalls { calls: Vec::new(), next: 2 },
            "of a node that has started again since"
        );
        (0..KEPT as u64).for_each(|number| recent.keep(call(number)));
        assert_eq!(recent.since(0).calls.len(), KEPT);
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_kept_where_nobody_asks_any_more() {
        let recent = Recent::default();
        recent.since(0);
        tokio::time::advance(PATIENCE * 2).await;
        recent.keep(call(1));
        assert!(!recent.is_on() && recent.since(0).calls.is_empty());
    }
}
