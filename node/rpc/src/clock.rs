//! The machine's monotonic clock: one axis for the events of all processes of a lab.
//!
//! Invariant: never jumps with the wall clock. Deliberately absent: dates; the few there are come from the journal.

use rustix::time::{ClockId, clock_gettime};

/// Nanoseconds of `CLOCK_MONOTONIC`, comparable between the processes of one machine.
pub fn monotonic_ns() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    // Both parts are non-negative by definition of the clock; 2^64 ns are 584 years of uptime.
    now.tv_sec.unsigned_abs() * 1_000_000_000 + now.tv_nsec.unsigned_abs()
}
