//! A request with content that was sent to another server and has no reply yet: entries, a commitIndex, or a chunk of a
//! snapshot.
//!
//! If the reply is late the request is sent again, and a reply to an earlier copy counts like one to the last: over a
//! link whose round trip is longer than the leader waits, only such replies ever come.
//!
//! Invariant: all copies begin at the same index, so a reply to one is true for all; or more is known to agree since.

use std::ops::RangeInclusive;
use std::time::Duration;

use crate::{Index, Time};

/// The least round-trip time that is assumed, so that a short delay in a fast network does not count as a loss.
const LEAST_ROUND_TRIP: Duration = Duration::from_micros(250);

/// A request is overdue after so many round trips, and each further copy after so many times as long (exponential
/// back-off): a follower whose disk becomes slow is sent few copies.
const PATIENCE: u32 = 4;

#[derive(Debug)]
pub(crate) struct InFlight {
    /// The calls from the first copy to the last. Heartbeats and requests to other servers have numbers between them.
    calls: RangeInclusive<u64>,
    /// When the first copy was sent, and the last.
    began: Time,
    sent: Time,
    copies: u32,
    /// An extra heartbeat was sent to see whether the server replies at all.
    asked: bool,
    /// The last entry that it brings, or that its snapshot covers.
    end: Index,
    repeat: Repeat,
}

/// Whether and when a request is to be sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Repeat {
    /// A reply may still come.
    NotYet,
    /// With the next heartbeat: the transport has given it up, or the reply made no sense.
    WithHeartbeat,
    /// At once: it counts as lost.
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

    /// Whether this call is one of its copies.
    pub(crate) fn is_carried_by(&self, call: u64) -> bool {
        self.calls.contains(&call)
    }

    /// Whether this call is its last copy.
    pub(crate) fn is_last(&self, call: u64) -> bool {
        *self.calls.end() == call
    }

    /// Whether a server that has all entries up to `match_index` needs nothing of it any more.
    pub(crate) fn is_settled(&self, match_index: Index) -> bool {
        self.end <= match_index
    }

    /// How long the reply to this call took; an upper bound if the call is not the last copy.
    pub(crate) fn round_trip(&self, call: u64, now: Time) -> Duration {
        now.since(if self.is_last(call) { self.sent } else { self.began })
    }

    /// How long after the last copy it is overdue, for this round-trip time.
    pub(crate) fn doubted_after(&self, round_trip: Duration) -> Duration {
        round_trip.max(LEAST_ROUND_TRIP).saturating_mul(PATIENCE.saturating_pow(self.copies))
    }

    /// Whether the last copy was sent at least this long ago, and is not to be repeated yet.
    pub(crate) fn is_overdue(&self, now: Time, after: Duration) -> bool {
        self.repeat == Repeat::NotYet && now.since(self.sent) >= after
    }

    /// When an extra heartbeat is due; `None` if one was sent for this copy already.
    pub(crate) fn question_due(&self, after: Duration) -> Option<Time> {
        (self.repeat == Repeat::NotYet && !self.asked).then(|| self.sent + after)
    }

    /// The extra heartbeat is sent.
    pub(crate) fn ask(&mut self) {
        self.asked = true;
    }

    /// Whether this call was sent after the last copy.
    pub(crate) fn is_before(&self, call: u64) -> bool {
        *self.calls.end() < call
    }

    /// Marks it to be sent again with the next heartbeat.
    pub(crate) fn put_off(&mut self) {
        self.repeat = Repeat::WithHeartbeat;
    }

    /// Marks it to be sent again at once.
    pub(crate) fn repeat(&mut self) {
        self.repeat = Repeat::AtOnce;
    }

    /// The heartbeat interval has elapsed. Returns whether the request counts as lost because no reply came in time.
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
