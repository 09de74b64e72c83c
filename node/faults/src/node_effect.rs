//! What can go wrong inside one node, and which values make sense.
//!
//! Invariant: an effect that was deserialised, or that [`NodeEffect::validate`] has passed, is valid.
//!
//! Deliberately absent: how an effect is carried out. The node does that, at its disk, its clock and its crash points.

use serde::{Deserialize, Serialize};

use crate::effect::{InvalidEffect, check, check_from};
use crate::{CrashPoint, MAX_DELAY_MS};

/// The slowest and the fastest rate of a clock, in thousandths of the true one.
pub const CLOCK_RATES: std::ops::RangeInclusive<u32> = 100..=10_000;

/// The farthest jump of a clock, forward or back: an hour.
pub const MAX_JUMP_MS: i64 = 3_600_000;

/// What goes wrong inside a node while it runs.
///
/// In JSON: `{"kind":"slow_sync","takes_ms":20.0}`, `{"kind":"fail_sync"}`, `{"kind":"full"}`, `{"kind":"hang_sync"}`,
/// `{"kind":"lying_sync"}`, `{"kind":"clock_rate","per_mille":1100}`, `{"kind":"clock_freeze"}`,
/// `{"kind":"clock_jump","by_ms":2000}`, `{"kind":"crash","at":"before-sync","from_index":7,"power_loss":true}` (the last
/// two may be left out).
///
/// Several at once: the slowest `SlowSync` counts; a sync that hangs does so before it fails or lies; one that fails does
/// not lie; rates of clocks multiply, and a frozen clock has none; jumps add up; the first crash point that is reached
/// ends the process.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", try_from = "Unchecked")]
pub enum NodeEffect {
    /// Each sync takes so long at least.
    SlowSync {
        /// From 0 to [`MAX_DELAY_MS`].
        takes_ms: f64,
    },
    /// The next sync fails, once in the life of a process.
    FailSync,
    /// No file can be created or grow: what needs more room fails for want of space.
    Full,
    /// Syncs do not return until the effect ends.
    HangSync,
    /// Syncs return at once and report success, and nothing is synced: a power loss discards what was written.
    LyingSync,
    /// The clock runs at this rate.
    ClockRate {
        /// In thousandths of the true rate, within [`CLOCK_RATES`]: at 1100 it is a tenth too fast.
        per_mille: u32,
    },
    /// The clock stands still. When the effect ends it goes on from where it stood.
    ClockFreeze,
    /// The clock jumps when the effect begins, once in the life of a process. It is a monotonic clock: after a jump back
    /// it stands still until true time has made up for the jump.
    ClockJump {
        /// From -[`MAX_JUMP_MS`] to [`MAX_JUMP_MS`].
        by_ms: i64,
    },
    /// The process ends at a point of its work as if it was killed there.
    Crash {
        /// The point.
        at: CrashPoint,
        /// Only when the log, or at a snapshot the snapshot, reaches this index; at the first occasion if `None`.
        from_index: Option<u64>,
        /// Whether the machine loses its power too, so that what was written since the effect began, and not synced, is
        /// discarded.
        power_loss: bool,
    },
}

/// The part of a node that an effect is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NodePart {
    /// Its disk.
    Disk,
    /// Its clock.
    Clock,
    /// Its process.
    Process,
}

impl NodeEffect {
    /// The part of the node that this is on.
    pub fn part(&self) -> NodePart {
        match self {
            NodeEffect::SlowSync { .. }
            | NodeEffect::FailSync
            | NodeEffect::Full
            | NodeEffect::HangSync
            | NodeEffect::LyingSync => NodePart::Disk,
            NodeEffect::ClockRate { .. } | NodeEffect::ClockFreeze | NodeEffect::ClockJump { .. } => NodePart::Clock,
            NodeEffect::Crash { .. } => NodePart::Process,
        }
    }

    /// Checks every value against its range.
    ///
    /// # Errors
    /// The first value that is out of its range or no number at all.
    pub fn validate(&self) -> Result<(), InvalidEffect> {
        match *self {
            NodeEffect::SlowSync { takes_ms } => check("takes_ms", takes_ms, MAX_DELAY_MS),
            NodeEffect::ClockRate { per_mille } => {
                let (slowest, fastest) = (f64::from(*CLOCK_RATES.start()), f64::from(*CLOCK_RATES.end()));
                check_from("per_mille", f64::from(per_mille), slowest, fastest)
            }
            NodeEffect::ClockJump { by_ms } => {
                check_from("by_ms", by_ms as f64, -(MAX_JUMP_MS as f64), MAX_JUMP_MS as f64)
            }
            NodeEffect::FailSync
            | NodeEffect::Full
            | NodeEffect::HangSync
            | NodeEffect::LyingSync
            | NodeEffect::ClockFreeze
            | NodeEffect::Crash { .. } => Ok(()),
        }
    }
}

/// The shape of an effect on the wire, before its values are checked.
#[derive(Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
enum Unchecked {
    SlowSync {
        takes_ms: f64,
    },
    FailSync {},
    Full {},
    HangSync {},
    LyingSync {},
    ClockRate {
        per_mille: u32,
    },
    ClockFreeze {},
    ClockJump {
        by_ms: i64,
    },
    Crash {
        at: CrashPoint,
        #[serde(default)]
        from_index: Option<u64>,
        #[serde(default)]
        power_loss: bool,
    },
}

impl TryFrom<Unchecked> for NodeEffect {
    type Error = InvalidEffect;

    fn try_from(unchecked: Unchecked) -> Result<NodeEffect, InvalidEffect> {
        let effect = match unchecked {
            Unchecked::SlowSync { takes_ms } => NodeEffect::SlowSync { takes_ms },
            Unchecked::FailSync {} => NodeEffect::FailSync,
            Unchecked::Full {} => NodeEffect::Full,
            Unchecked::HangSync {} => NodeEffect::HangSync,
            Unchecked::LyingSync {} => NodeEffect::LyingSync,
            Unchecked::ClockRate { per_mille } => NodeEffect::ClockRate { per_mille },
            Unchecked::ClockFreeze {} => NodeEffect::ClockFreeze,
            Unchecked::ClockJump { by_ms } => NodeEffect::ClockJump { by_ms },
            Unchecked::Crash { at, from_index, power_loss } => NodeEffect::Crash { at, from_index, power_loss },
        };
        effect.validate().map(|()| effect)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_effect_has_its_form_in_json_and_reads_back_as_written() {
        let crash = |at, from_index, power_loss| NodeEffect::Crash { at, from_index, power_loss };
        for (effect, part, json) in [
            (NodeEffect::SlowSync { takes_ms: 20.5 }, NodePart::Disk, r#"{"kind":"slow_sync","takes_ms":20.5}"#),
            (NodeEffect::FailSync, NodePart::Disk, r#"{"kind":"fail_sync"}"#),
            (NodeEffect::Full, NodePart::Disk, r#"{"kind":"full"}"#),
            (NodeEffect::HangSync, NodePart::Disk, r#"{"kind":"hang_sync"}"#),
            (NodeEffect::LyingSync, NodePart::Disk, r#"{"kind":"lying_sync"}"#),
            (NodeEffect::ClockRate { per_mille: 1100 }, NodePart::Clock, r#"{"kind":"clock_rate","per_mille":1100}"#),
            (NodeEffect::ClockFreeze, NodePart::Clock, r#"{"kind":"clock_freeze"}"#),
            (NodeEffect::ClockJump { by_ms: -2000 }, NodePart::Clock, r#"{"kind":"clock_jump","by_ms":-2000}"#),
            (
                crash(CrashPoint::BeforeSync, Some(7), true),
                NodePart::Process,
                r#"{"kind":"crash","at":"before-sync","from_index":7,"power_loss":true}"#,
            ),
        ] {
            assert_eq!(serde_json::to_string(&effect).unwrap(), json);
            assert_eq!(serde_json::from_str::<NodeEffect>(json).unwrap(), effect, "{json}");
            assert_eq!(effect.part(), part, "{json}");
        }
        let short = serde_json::from_str::<NodeEffect>(r#"{"kind":"crash","at":"after-vote"}"#).unwrap();
        assert_eq!(short, crash(CrashPoint::AfterVote, None, false));
    }

    #[test]
    fn what_arrives_from_outside_is_checked() {
        let refusal = |json| serde_json::from_str::<NodeEffect>(json).unwrap_err().to_string();
        for (json, why) in [
            (r#"{"kind":"slow_sync","takes_ms":-1}"#, "`takes_ms` is -1, but must be a number from 0 to 60000"),
            (r#"{"kind":"clock_rate","per_mille":99}"#, "`per_mille` is 99, but must be a number from 100 to 10000"),
            (
                r#"{"kind":"clock_jump","by_ms":-3600001}"#,
                "`by_ms` is -3600001, but must be a number from -3600000 to 3600000",
            ),
            (r#"{"kind":"full","bytes":1}"#, "unknown field `bytes`"),
            (r#"{"kind":"crash","at":"before-lunch"}"#, "unknown variant `before-lunch`"),
            (r#"{"kind":"tape_loop"}"#, "unknown variant `tape_loop`"),
        ] {
            let message = refusal(json);
            assert!(message.contains(why), "{json}: {message}");
        }
    }
}
