//! A request with content on its way to another server: entries, a commitIndex, or a part of a snapshot.
//!
//! Where an answer is long in coming the request is sent again, and the answer to an earlier copy is as good as one to the
//! last: over a link whose round trip is longer than the leader's patience, it is all that ever comes.
//!
//! Invariant: copies begin at the same place, so what one of them is told is true for all; or more is known to agree since.

use std::ops::RangeInclusive;
use std::time::Duration;

use crate::{Index, Time};

/// The least time that an answer is taken to need, so that a hiccup of a fast network is no loss.
const LEAST_ROUND_TRIP: Duration = Duration::from_micros(250);

/// It is doubted after so many round trips, and each further copy after so many times as long: a disk that is slow all of
/// a sudden is sent few copies.
const PATIENCE: u32 = 4;

#[derive(Debug)]
pub(crate) struct InFlight {
    /// The calls from the first copy to the last. Heartbeats have numbers between them.
    calls: RangeInclusive<u64>,
    /// When the first copy left, and the last.
    began: Time,
    sent: Time,
    copies: u32,
    /// A heartbeat has left to find out whether the server answers at all.
    asked: bool,
    /// The last entry that it brings, or that its snapshot stands for.
    end: Index,
    repeat: Repeat,
}

/// Whether and when a request is to be sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Repeat {
    /// An answer may come.
    NotYet,
    /// The transport has given it up, or the answer made no sense.
    WithHeartbeat,
    AtOnce,
}

impl InFlight {
    /// A copy of `earlier`, or the first of its kind.
    pub(crate) fn new(call: u64, now: Time, end: Index, earlier: Option<InFlight>) -> InFlight {
        let (first, began, copies) =
            earlier.map_or((call, now, 0), |earlier| (*earlier.calls.start(), earlier.began, earlier.copies));
        let (calls, copies) = (first..=call, copies + 1);
        InFlight { calls, began, sent: now, copies, asked: false, end, repeat: Repeat::NotYet }
    }

    /// Whether this call carried it.
    pub(crate) fn is_carried_by(&self, call: u64) -> bool {
        self.calls.contains(&call)
    }

    /// Whether this call carried it last.
    pub(crate) fn is_last(&self, call: u64) -> bool {
        *self.calls.end() == call
    }

    /// Whether nothing of it is missing any more, at a server that has everything up to `match_index`.
    pub(crate) fn is_settled(&self, match_index: Index) -> bool {
        self.end <= match_index
    }

    /// How long the answer to this call took; at most so long, if there were copies between the first and the last.
    pub(crate) fn round_trip(&self, call: u64, now: Time) -> Duration {
        now.since(if self.is_last(call) { self.sent } else { self.began })
    }

    /// After how long it is doubted whether the last copy or its answer has arrived, where an answer takes so long.
    pub(crate) fn doubted_after(&self, round_trip: Duration) -> Duration {
        round_trip.max(LEAST_ROUND_TRIP).saturating_mul(PATIENCE.saturating_pow(self.copies))
    }

    /// Whether it has been under way for so long.
    pub(crate) fn is_overdue(&self, now: Time, after: Duration) -> bool {
        self.repeat == Repeat::NotYet && now.since(self.sent) >= after
    }

    /// When it will have been under way for so long; `None` if somebody has asked.
    pub(crate) fn question_due(&self, after: Duration) -> Option<Time> {
        (self.repeat == Repeat::NotYet && !self.asked).then(|| self.sent + after)
    }

    /// A heartbeat asks.
    pub(crate) fn ask(&mut self) {
        self.asked = true;
    }

    /// Whether this call left after the last copy.
    pub(crate) fn is_before(&self, call: u64) -> bool {
        *self.calls.end() < call
    }

    /// It is to be sent again with the next heartbeat.
    pub(crate) fn put_off(&mut self) {
        self.repeat = Repeat::WithHeartbeat;
    }

    /// It is to be sent again at once.
    pub(crate) fn repeat(&mut self) {
        self.repeat = Repeat::AtOnce;
    }

    /// A heartbeat is due. Says whether it is given up for want of an answer.
    pub(crate) fn beat(&mut self, now: Time, patience: Duration) -> bool {
        let is_given_up = self.is_overdue(now, patience);
        if is_given_up || self.repeat == Repeat::WithHeartbeat {
            self.repeat();
        }
        is_given_up
    }

    /// Whether it is to be sent again now.
    pub(crate) fn is_due(&self) -> bool {
        self.repeat == Repeat::AtOnce
    }
}
