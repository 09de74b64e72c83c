//! How arms are made and read: factors and levels as words, and the times that go with them.

use std::fmt::Display;
use std::str::FromStr;

use anyhow::Context as _;
use raftian_rpc::assignment::Hosting;

use super::{BASELINE, CONTROL, HOSTING, PlannedArm};
use crate::suite::trial::Arm;

/// The levels of [`HOSTING`] with a server.
pub(super) const WITH_SERVER: [&str; 3] = ["thread", "process", "async"];

/// The levels of [`HOSTING`] without the control.
pub(super) const HOSTINGS: [&str; 4] = [BASELINE, "thread", "process", "async"];

/// The times of an arm, in milliseconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Times {
    /// The warm-up.
    pub(super) warmup_ms: u64,
    /// The measured span.
    pub(super) measure_ms: u64,
    /// About how long starting and stopping takes.
    pub(super) overhead_ms: u64,
}

impl Times {
    /// An arm with these times.
    pub(super) fn plan(self, arm: Arm) -> PlannedArm {
        let Times { warmup_ms, measure_ms, overhead_ms } = self;
        PlannedArm { arm, warmup_ms, measure_ms, overhead_ms }
    }

    /// Games with these times. One without a server has none to wait for and starts in half of the time.
    pub(super) fn plan_games(self, arms: impl IntoIterator<Item = Arm>) -> Vec<PlannedArm> {
        let alone = Times { overhead_ms: self.overhead_ms / 2, ..self };
        let is_alone = |arm: &Arm| matches!(arm.level(HOSTING), Some(BASELINE | CONTROL));
        arms.into_iter().map(|arm| if is_alone(&arm) { alone.plan(arm) } else { self.plan(arm) }).collect()
    }

    /// Arms with these times.
    pub(super) fn plan_all(self, arms: impl IntoIterator<Item = Arm>) -> Vec<PlannedArm> {
        arms.into_iter().map(|arm| self.plan(arm)).collect()
    }
}

/// Each of the arms with each of the levels.
pub(super) fn cross<L: Display>(arms: &[Arm], factor: &str, levels: impl IntoIterator<Item = L>) -> Vec<Arm> {
    let levels = levels.into_iter();
    levels.flat_map(|level| arms.iter().map(move |arm| arm.clone().with(factor, &level))).collect()
}

/// The level of a factor, read.
///
/// # Errors
/// When the arm does not have it, or it is something else.
pub(super) fn level<T: FromStr>(arm: &Arm, factor: &str) -> anyhow::Result<T> {
    let word = arm.level(factor).with_context(|| format!("the arm `{arm}` lacks {factor}"))?;
    word.parse().ok().with_context(|| format!("`{word}` makes no sense as {factor}"))
}

/// Where the server of an arm runs; `None` for a game without one.
///
/// # Errors
/// When the arm does not say it, or it is something else.
pub(super) fn hosting(arm: &Arm) -> anyhow::Result<Option<Hosting>> {
    match arm.level(HOSTING) {
        Some(BASELINE | CONTROL) => Ok(None),
        Some("thread") => Ok(Some(Hosting::Thread)),
        Some("process") => Ok(Some(Hosting::Process)),
        Some("async") => Ok(Some(Hosting::Async)),
        _ => anyhow::bail!("the arm `{arm}` does not say where its server runs"),
    }
}

/// Whether a factor is `on`.
///
/// # Errors
/// When it is neither `on` nor `off`.
pub(super) fn is_on(arm: &Arm, factor: &str) -> anyhow::Result<bool> {
    match arm.level(factor) {
        Some("on") => Ok(true),
        Some("off") => Ok(false),
        _ => anyhow::bail!("the arm `{arm}` does not say whether {factor} is on or off"),
    }
}
