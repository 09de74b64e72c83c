//! The writes that storage was given: which of them are durable, and for how long it has not answered.
//!
//! Invariant: writes are numbered in the order in which they are given, and become durable in that order.

use std::time::Duration;

use crate::Time;

#[derive(Debug, Default)]
pub(crate) struct Writes {
    /// Numbers of the last write given to storage and of the last one known to be durable.
    handed: u64,
    durable: u64,
    /// While a write is pending: when storage last answered, or was given this write.
    heard: Time,
    /// It is known to the driver that storage does not answer.
    is_silent: bool,
}

impl Writes {
    /// A write is given to storage. Returns its number.
    pub(crate) fn hand(&mut self, now: Time) -> u64 {
        if self.all_are_durable() {
            self.heard = now;
        }
        self.handed += 1;
        self.handed
    }

    /// Storage has answered. Returns for how long it had not, if it was silent.
    ///
    /// # Panics
    /// When writes are reported in another order than they were given: a mistake of the driver.
    pub(crate) fn note_durable(&mut self, number: u64, now: Time) -> Option<Duration> {
        assert_eq!(number, self.durable + 1, "writes must be persisted in order");
        self.durable = number;
        let silence = now.since(std::mem::replace(&mut self.heard, now));
        std::mem::take(&mut self.is_silent).then_some(silence)
    }

    pub(crate) fn all_are_durable(&self) -> bool {
        self.handed == self.durable
    }

    /// For how long storage has not answered, if a write is pending.
    pub(crate) fn silence(&self, now: Time) -> Option<Duration> {
        (!self.all_are_durable()).then(|| now.since(self.heard))
    }

    /// Whether storage counts as silent.
    pub(crate) fn is_silent(&self) -> bool {
        self.is_silent
    }

    /// When storage counts as silent unless it answers before; `None` if it does so already, or no write is pending.
    pub(crate) fn deadline(&self, patience: Duration) -> Option<Time> {
        (!self.all_are_durable() && !self.is_silent).then(|| self.heard + patience)
    }

    /// Time has passed. Returns whether storage counts as silent from now on.
    pub(crate) fn becomes_silent(&mut self, now: Time, patience: Duration) -> bool {
        let is_new = self.deadline(patience).is_some_and(|deadline| now >= deadline);
        self.is_silent |= is_new;
        is_new
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_millis(10);

    fn at(ms: u64) -> Time {
        Time(Duration::from_millis(ms))
    }

    #[test]
    fn storage_is_silent_when_it_has_not_answered_for_too_long_and_that_is_said_once() {
        let mut writes = Writes::default();
        assert!(!writes.becomes_silent(at(100), PATIENCE), "nothing is pending");
        assert_eq!(writes.hand(at(100)), 1);
        assert_eq!(
            (writes.deadline(PATIENCE), writes.silence(at(103))),
            (Some(at(110)), Some(Duration::from_millis(3)))
        );
        assert!(!writes.becomes_silent(at(109), PATIENCE) && writes.becomes_silent(at(110), PATIENCE));
        assert!(!writes.becomes_silent(at(120), PATIENCE) && writes.is_silent());
        assert_eq!(writes.note_durable(1, at(125)), Some(Duration::from_millis(25)));
        assert_eq!((writes.silence(at(130)), writes.is_silent()), (None, false));
    }

    #[test]
    fn storage_that_answers_one_of_several_writes_is_not_silent() {
        let mut writes = Writes::default();
        writes.hand(at(0));
        writes.hand(at(1));
        assert_eq!(writes.note_durable(1, at(9)), None);
        assert!(!writes.becomes_silent(at(18), PATIENCE));
        assert!(writes.becomes_silent(at(19), PATIENCE));
    }
}
