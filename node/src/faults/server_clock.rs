//! The clock of a server: its time-outs, heartbeats and leases rest on it, and on no other.
//!
//! It follows the machine's monotonic clock, at another rate or not at all where a fault says so. The times at which
//! something was seen (events, causes), and how long callers and calls wait, are the machine's all the same.
//!
//! When a clock is frozen no time-out comes, however long the node waits: a leader sends no heartbeats, and a follower does
//! not stand for election. It takes in messages and answers them. At another rate, a wait takes as long as the clock needs.
//!
//! Invariant: it never goes back. After a jump back it shows the same time until the machine's clock has made up for it.

use std::time::Duration;

use raftian_faults::{NodeEffect, NodePart};
use raftian_raft::Time;
use raftian_rpc::clock;
use raftian_rpc::control::{ClockReading, Measured, NodeFault, NodeFaultStatus};
use tokio::time::Instant;

/// The true rate, in millionths of it.
const TRUE_PPM: u128 = 1_000_000;

/// However many faults there are, no clock is faster: a thousand times.
const FASTEST_PPM: u128 = 1_000 * TRUE_PPM;

/// A clock that begins at 0.
#[derive(Debug)]
pub(crate) struct ServerClock {
    began: Instant,
    /// The same on the machine's clock.
    began_ns: u64,
    /// When its rate last changed, and what it showed then, in nanoseconds; negative where it has jumped back.
    base: Duration,
    base_ns: i128,
    rate_ppm: u128,
    /// What it has shown already.
    floor_ns: u128,
    faults: Vec<InEffect>,
}

/// A fault in effect, and what the clock and the machine's showed when it came into effect.
#[derive(Debug)]
struct InEffect {
    fault: NodeFault,
    since_ns: u64,
    shown_ns: i128,
    jumped_ns: i128,
}

impl ServerClock {
    pub(crate) fn new() -> ServerClock {
        ServerClock {
            began: Instant::now(),
            began_ns: clock::monotonic_ns(),
            base: Duration::ZERO,
            base_ns: 0,
            rate_ppm: TRUE_PPM,
            floor_ns: 0,
            faults: Vec::new(),
        }
    }

    /// What it shows.
    pub(crate) fn now(&self) -> Time {
        self.shows_at(self.began.elapsed())
    }

    /// When it will show this time; `None` if never, as it goes now.
    pub(crate) fn when(&self, time: Time) -> Option<Instant> {
        let wanted_ns = time.0.as_nanos();
        if wanted_ns <= self.floor_ns {
            return Some(self.began + self.base);
        }
        let missing_ns = (wanted_ns as i128 - self.base_ns).max(0) as u128;
        if self.rate_ppm == 0 {
            return (missing_ns == 0).then_some(self.began + self.base);
        }
        let after_ns = (missing_ns * TRUE_PPM).div_ceil(self.rate_ppm);
        Some(self.began + self.base + duration(after_ns))
    }

    /// What it shows, and when.
    pub(crate) fn reading(&self) -> ClockReading {
        let elapsed = self.began.elapsed();
        ClockReading { shown_ns: self.shows_at(elapsed).0.as_nanos() as u64, at_ns: self.ns_at(elapsed) }
    }

    /// Puts these faults into effect, and ends all others.
    pub(crate) fn set(&mut self, faults: &[NodeFault]) {
        let elapsed = self.began.elapsed();
        self.set_at(elapsed, faults);
    }

    /// The faults in effect, with what was measured of each.
    pub(crate) fn status(&self) -> Vec<NodeFaultStatus> {
        let elapsed = self.began.elapsed();
        let (now_ns, true_ns) = (self.raw_ns(elapsed), self.ns_at(elapsed));
        let measured = |known: &InEffect| match known.fault.effect {
            NodeEffect::ClockJump { .. } => Measured::Jumped { by_us: (known.jumped_ns / 1000) as i64 },
            _ => Measured::Passed {
                shown_us: ((now_ns - known.shown_ns) / 1000) as u64,
                true_us: true_ns.saturating_sub(known.since_ns) / 1000,
            },
        };
        let status = |known: &InEffect| NodeFaultStatus {
            fault: known.fault,
            since_ns: known.since_ns,
            measured: measured(known),
        };
        self.faults.iter().map(status).collect()
    }

    fn set_at(&mut self, elapsed: Duration, faults: &[NodeFault]) {
        let wanted: Vec<NodeFault> =
            faults.iter().copied().filter(|fault| fault.effect.part() == NodePart::Clock).collect();
        self.floor_ns = self.shows_at(elapsed).0.as_nanos();
        (self.base_ns, self.base) = (self.raw_ns(elapsed), elapsed);
        self.faults.retain(|known| wanted.contains(&known.fault));
        for fault in wanted {
            if self.faults.iter().any(|known| known.fault == fault) {
                continue;
            }
            let before_ns = self.base_ns;
            if let NodeEffect::ClockJump { by_ms } = fault.effect {
                self.base_ns += i128::from(by_ms) * 1_000_000;
            }
            self.faults.push(InEffect {
                fault,
                since_ns: self.ns_at(elapsed),
                shown_ns: self.base_ns,
                jumped_ns: self.base_ns - before_ns,
            });
        }
        let rate = |rate_ppm: u128, known: &InEffect| match known.fault.effect {
            NodeEffect::ClockRate { per_mille } => (rate_ppm * u128::from(per_mille) / 1000).min(FASTEST_PPM),
            NodeEffect::ClockFreeze => 0,
            _ => rate_ppm,
        };
        self.rate_ppm = self.faults.iter().fold(TRUE_PPM, rate);
    }

    /// The machine's clock after this time.
    fn ns_at(&self, elapsed: Duration) -> u64 {
        self.began_ns + elapsed.as_nanos() as u64
    }

    fn shows_at(&self, elapsed: Duration) -> Time {
        Time(duration(u128::try_from(self.raw_ns(elapsed)).unwrap_or(0).max(self.floor_ns)))
    }

    /// What it would show if it could go back.
    fn raw_ns(&self, elapsed: Duration) -> i128 {
        let passed_ns = elapsed.saturating_sub(self.base).as_nanos() * self.rate_ppm / TRUE_PPM;
        self.base_ns + passed_ns as i128
    }
}

fn duration(ns: u128) -> Duration {
    Duration::from_nanos(u64::try_from(ns).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use raftian_rpc::lab::FaultId;

    use super::*;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn fault(id: u64, effect: NodeEffect) -> NodeFault {
        NodeFault { id: FaultId(id), effect }
    }

    fn shows(clock: &ServerClock, elapsed_ms: u64) -> u64 {
        clock.shows_at(ms(elapsed_ms)).0.as_millis() as u64
    }

    /// After how long a clock will show a time, both in milliseconds.
    fn wait(clock: &ServerClock, shown_ms: u64) -> Option<u64> {
        clock.when(Time(ms(shown_ms))).map(|at| (at - clock.began).as_millis() as u64)
    }

    #[test]
    fn without_faults_it_follows_the_machine() {
        let clock = ServerClock::new();
        assert_eq!((shows(&clock, 0), shows(&clock, 250)), (0, 250));
        assert_eq!(wait(&clock, 300), Some(300));
    }

    #[test]
    fn at_another_rate_waits_take_as_long_as_it_needs() {
        let mut clock = ServerClock::new();
        clock.set_at(ms(100), &[fault(1, NodeEffect::ClockRate { per_mille: 2000 })]);
        assert_eq!((shows(&clock, 100), shows(&clock, 150)), (100, 200));
        assert_eq!(wait(&clock, 300), Some(200));
        let half = fault(2, NodeEffect::ClockRate { per_mille: 500 });
        clock.set_at(ms(150), &[fault(1, NodeEffect::ClockRate { per_mille: 2000 }), half]);
        assert_eq!(shows(&clock, 160), 210, "the rates multiply");
        clock.set_at(ms(160), &[half]);
        assert_eq!((shows(&clock, 180), wait(&clock, 230)), (220, Some(200)));
    }

    #[test]
    fn a_frozen_clock_never_comes_to_a_deadline_and_goes_on_from_where_it_stood() {
        let mut clock = ServerClock::new();
        clock.set_at(ms(100), &[fault(1, NodeEffect::ClockFreeze)]);
        assert_eq!((shows(&clock, 5000), wait(&clock, 101)), (100, None));
        assert_eq!(wait(&clock, 100), Some(100), "a deadline that has passed is there");
        clock.set_at(ms(5000), &[]);
        assert_eq!((shows(&clock, 5010), wait(&clock, 120)), (110, Some(5020)));
    }

    #[test]
    fn it_jumps_once_for_each_fault() {
        let mut clock = ServerClock::new();
        let jump = fault(1, NodeEffect::ClockJump { by_ms: 2000 });
        clock.set_at(ms(100), &[jump]);
        clock.set_at(ms(110), &[jump, fault(2, NodeEffect::ClockRate { per_mille: 1000 })]);
        assert_eq!(shows(&clock, 120), 2120);
        assert_eq!(clock.faults[0].jumped_ns, 2_000_000_000);
        clock.set_at(ms(130), &[]);
        assert_eq!(shows(&clock, 140), 2140, "it does not jump back when the fault ends");
    }

    #[test]
    fn after_a_jump_back_it_stands_until_true_time_has_made_up_for_it() {
        let mut clock = ServerClock::new();
        clock.set_at(ms(100), &[fault(1, NodeEffect::ClockJump { by_ms: -500 })]);
        assert_eq!((shows(&clock, 100), shows(&clock, 599), shows(&clock, 650)), (100, 100, 150));
        assert_eq!(wait(&clock, 150), Some(650));
        assert_eq!(clock.faults[0].jumped_ns, -500_000_000);
        clock.set_at(ms(300), &[]);
        assert_eq!((shows(&clock, 599), shows(&clock, 650)), (100, 150));
    }
}
