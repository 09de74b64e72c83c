//! `raftianctl fault add disk|clock|crash`: what goes wrong inside nodes.

use std::time::Duration;

use clap::{Subcommand, ValueEnum};
use raftian_rpc::connect::Http;
use raftian_rpc::faults::{CrashPoint, NodeEffect};
use raftian_rpc::lab::{FaultReport, LabClient as _, NodeFaultRequest};
use raftian_rpc::selector::Selector;

use super::links::out_of_range;
use crate::cli::Context;
use crate::failure::{Failure, Kind};
use crate::{units, words};

const DISK_EXAMPLES: &str = "\
Examples:
  raftianctl fault add disk n2 slow 20ms
  raftianctl fault add disk @leader hangs --for 5s
  raftianctl fault add disk n2 fails
  raftianctl fault add disk n2 full
  raftianctl fault add disk n2 lies

slow: each sync takes so long at least. fails: the next sync fails, and that ends the node. full: no file can grow. \
hangs: syncs do not return until the fault is cleared. lies: syncs return, and nothing is synced, so that \
`raftianctl kill n2 --power-loss` discards what was written.";

const CLOCK_EXAMPLES: &str = "\
Examples:
  raftianctl fault add clock n2 rate 1.1
  raftianctl fault add clock @leader freeze --for 2s
  raftianctl fault add clock n2 jump 2s

rate: it runs so much faster, or slower below 1, than true time. freeze: it stands still. jump: it jumps once, by a time, or \
back by one as -2s; after a jump back it stands still until true time has made up for that.";

const CRASH_EXAMPLES: &str = "\
Examples:
  raftianctl fault add crash --on @leader --at before-sync
  raftianctl fault add crash --on n2 --at after-vote --power-loss
  raftianctl fault add crash --on @leader --at before-sync --when 'index>=7'

Points: before-sync, after-append, after-vote, mid-snapshot, mid-install. A node that gets there ends as if it was killed \
there. The fault ends with the first one; others on which it is may get there before they hear of that.";

/// The effects inside nodes.
#[derive(Debug, Subcommand)]
pub(super) enum InNodes {
    /// Make disks slow, full, or worse
    #[command(after_help = DISK_EXAMPLES)]
    Disk {
        /// Whose disks
        #[arg(value_name = "SELECTOR")]
        on: Selector,
        /// What is wrong with them: slow, fails, full, hangs or lies
        #[arg(value_name = "WHAT", value_enum, hide_possible_values = true)]
        what: DiskFault,
        /// How long a sync takes at least, of a slow one
        #[arg(value_name = "TIME", value_parser = units::delay_ms, required_if_eq("what", "slow"), allow_hyphen_values = true)]
        takes_ms: Option<f64>,
        #[command(flatten)]
        life: Life,
    },
    /// Make clocks run at another rate, stand still, or jump
    #[command(after_help = CLOCK_EXAMPLES)]
    Clock {
        /// Whose clocks
        #[arg(value_name = "SELECTOR")]
        on: Selector,
        /// What is wrong with them: rate, freeze or jump
        #[arg(value_name = "WHAT", value_enum, hide_possible_values = true)]
        what: ClockFault,
        /// The rate, as 1.1; or the time of a jump, as 2s
        #[arg(value_name = "BY", required_if_eq_any([("what", "rate"), ("what", "jump")]), allow_hyphen_values = true)]
        by: Option<String>,
        #[command(flatten)]
        life: Life,
    },
    /// Crash a node at a point of its work
    #[command(after_help = CRASH_EXAMPLES)]
    Crash {
        /// Whom
        #[arg(long, value_name = "SELECTOR")]
        on: Selector,
        /// Where
        #[arg(long, value_name = "POINT")]
        at: CrashPoint,
        /// Only when its log has reached an index: 'index >= 7'
        #[arg(long, value_name = "CONDITION", value_parser = from_index)]
        when: Option<u64>,
        /// What was written since, and not synced, is lost
        #[arg(long)]
        power_loss: bool,
        #[command(flatten)]
        life: Life,
    },
}

/// What can be wrong with a disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum DiskFault {
    Slow,
    Fails,
    Full,
    Hangs,
    Lies,
}

/// What can be wrong with a clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum ClockFault {
    Rate,
    Freeze,
    Jump,
}

/// How long.
#[derive(Debug, clap::Args)]
pub(super) struct Life {
    /// Clear by itself after this time
    #[arg(long = "for", value_name = "TIME", value_parser = units::duration, allow_hyphen_values = true)]
    lasting: Option<Duration>,
}

/// Adds a fault inside nodes.
pub(super) async fn add(context: &Context, what: InNodes) -> Result<(FaultReport, Option<Duration>), Failure> {
    let usage = |why: String| Failure::new(Kind::Usage, why);
    let (effect, on, life) = match what {
        InNodes::Disk { on, what, takes_ms, life } => (disk(what, takes_ms).map_err(usage)?, on, life),
        InNodes::Clock { on, what, by, life } => (clock(what, by.as_deref()).map_err(usage)?, on, life),
        InNodes::Crash { on, at, when: from_index, power_loss, life } => {
            (NodeEffect::Crash { at, from_index, power_loss }, on, life)
        }
    };
    effect.validate().map_err(out_of_range)?;
    let request = NodeFaultRequest { effect, on, for_ms: life.lasting.map(words::millis), no_wait: false };
    let daemon = context.daemon().await?;
    Ok((daemon.ask(async |lab: Http| lab.node_fault_add(request).await).await?, life.lasting))
}

fn disk(what: DiskFault, takes_ms: Option<f64>) -> Result<NodeEffect, String> {
    let effect = match (what, takes_ms) {
        (DiskFault::Slow, Some(takes_ms)) => return Ok(NodeEffect::SlowSync { takes_ms }),
        (DiskFault::Slow, None) => return Err("say how long a sync takes: `slow 20ms`".to_owned()),
        (_, Some(_)) => return Err("only a slow disk takes a time: `slow 20ms`".to_owned()),
        (DiskFault::Fails, None) => NodeEffect::FailSync,
        (DiskFault::Full, None) => NodeEffect::Full,
        (DiskFault::Hangs, None) => NodeEffect::HangSync,
        (DiskFault::Lies, None) => NodeEffect::LyingSync,
    };
    Ok(effect)
}

fn clock(what: ClockFault, by: Option<&str>) -> Result<NodeEffect, String> {
    match (what, by) {
        (ClockFault::Freeze, None) => Ok(NodeEffect::ClockFreeze),
        (ClockFault::Freeze, Some(_)) => Err("a clock that stands still takes no number: `freeze`".to_owned()),
        (ClockFault::Rate, by) => {
            let rate = by.and_then(|by| by.parse::<f64>().ok()).filter(|rate| (0.1..=10.0).contains(rate));
            let rate = rate.ok_or("say at which rate, from 0.1 to 10, as in `rate 1.1`: a tenth too fast")?;
            Ok(NodeEffect::ClockRate { per_mille: (rate * 1e3).round() as u32 })
        }
        (ClockFault::Jump, by) => {
            let by = by.ok_or("say by how much, as in `jump 2s`, or back as in `jump -2s`")?;
            let (sign, time) = by.strip_prefix('-').map_or((1, by), |time| (-1, time));
            let ms = i64::try_from(words::millis(units::duration(time)?)).unwrap_or(i64::MAX);
            Ok(NodeEffect::ClockJump { by_ms: sign * ms })
        }
    }
}

/// `index >= 7`.
fn from_index(text: &str) -> Result<u64, String> {
    let number = text.trim().strip_prefix("index").and_then(|rest| rest.trim().strip_prefix(">="));
    let number = number.and_then(|number| number.trim().parse().ok());
    number.ok_or_else(|| format!("`{text}` is no condition here; say 'index >= 7'"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_takes_a_time_if_it_is_slow_and_only_then() {
        assert_eq!(disk(DiskFault::Slow, Some(20.0)), Ok(NodeEffect::SlowSync { takes_ms: 20.0 }));
        assert_eq!(disk(DiskFault::Hangs, None), Ok(NodeEffect::HangSync));
        assert!(disk(DiskFault::Slow, None).is_err() && disk(DiskFault::Full, Some(1.0)).is_err());
    }

    #[test]
    fn a_clock_has_a_rate_or_jumps_either_way() {
        assert_eq!(clock(ClockFault::Rate, Some("1.1")), Ok(NodeEffect::ClockRate { per_mille: 1_100 }));
        assert_eq!(clock(ClockFault::Jump, Some("2s")), Ok(NodeEffect::ClockJump { by_ms: 2_000 }));
        assert_eq!(clock(ClockFault::Jump, Some("-500ms")), Ok(NodeEffect::ClockJump { by_ms: -500 }));
        for (what, by) in [
            (ClockFault::Rate, "fast"),
            (ClockFault::Rate, "NaN"),
            (ClockFault::Jump, "far"),
            (ClockFault::Freeze, "1"),
        ] {
            assert!(clock(what, Some(by)).is_err(), "{by}");
        }
    }

    #[test]
    fn a_crash_waits_for_an_index() {
        assert_eq!(from_index("index >= 7"), Ok(7));
        assert_eq!(from_index("index>=7"), Ok(7));
        assert!(from_index("term >= 7").is_err() && from_index("index > 7").is_err());
    }
}
