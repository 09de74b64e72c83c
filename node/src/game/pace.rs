//! Pacing: when the next frame is due under a cap.
//!
//! What a wait for a frame overshoots by does not move the next due time, so the rate stays exact. Blocking and
//! asynchronous games wait on the same kind of timer ([`crate::timer`]).
//!
//! Invariant: never more frames than the cap; a game that falls behind skips, and does not catch up in a burst.

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

#[cfg(test)]
mod tests {
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
}
