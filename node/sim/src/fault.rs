//! The kinds of faults, and what shows that one of them took effect: a fault that never strikes proves nothing.
//!
//! Invariant: whether a fault is drawn follows from the schedule alone, and that it took effect from what was counted.

use raftian_faults::Effect;

use crate::coverage::{Rare, counted};
use crate::schedule::{Action, Schedule};

counted! {
    /// A kind of fault that a schedule can have.
    Fault {
        /// Messages take time.
        Latency = "latency",
        /// Messages are lost.
        Drop = "drop",
        /// Messages arrive twice.
        Duplicate = "duplicate",
        /// Messages overtake others.
        Reorder = "reorder",
        /// Links are cut.
        Cut = "cut",
        /// Nodes hear late of cuts.
        LateNews = "late_news",
        /// Messages are held up on a link.
        Clog = "clog",
        /// Servers stop at any time.
        Crash = "crash",
        /// Servers stop between two effects.
        CrashAtBoundary = "crash_at_boundary",
        /// Servers stop when they install a snapshot.
        CrashAtInstall = "crash_at_install",
        /// Servers stand still.
        Pause = "pause",
        /// Clocks are too fast or too slow.
        Skew = "skew",
        /// Syncs take long.
        SlowSync = "slow_sync",
        /// Syncs fail.
        SyncFails = "sync_fails",
        /// Disks are full.
        DiskFull = "disk_full",
        /// Bits flip on disks.
        FlipBit = "flip_bit",
        /// Disks are emptied.
        Wipe = "wipe",
        /// Calls are given up.
        CallTimeout = "call_timeout",
        /// Messages from and to clients are lost.
        ClientLoss = "client_loss",
    }
}

impl Fault {
    /// Whether a schedule has it.
    pub fn is_drawn_in(self, schedule: &Schedule) -> bool {
        let Schedule { plan, actions, .. } = schedule;
        let on_links = |is_it: fn(&Effect) -> bool| plan.effects.iter().any(is_it);
        match self {
            Fault::Latency => on_links(|effect| matches!(effect, Effect::Latency { .. })),
            Fault::Drop => on_links(|effect| matches!(effect, Effect::Drop { .. })),
            Fault::Duplicate => on_links(|effect| matches!(effect, Effect::Duplicate { .. })),
            Fault::Reorder => on_links(|effect| matches!(effect, Effect::Reorder { .. })),
            Fault::LateNews => {
                plan.news_us > 0 && actions.iter().any(|timed| Fault::of(&timed.action) == Some(Fault::Cut))
            }
            Fault::Skew => plan.clock_permille.iter().any(|rate| *rate != 1000),
            Fault::CallTimeout => plan.call_timeout,
            Fault::ClientLoss => plan.client_loss_percent > 0,
            _ => actions.iter().any(|timed| Fault::of(&timed.action) == Some(self)),
        }
    }

    /// The fault that an action is, if it is one.
    fn of(action: &Action) -> Option<Fault> {
        match action {
            Action::Cut { .. } | Action::IsolateLeader => Some(Fault::Cut),
            Action::Clog { .. } => Some(Fault::Clog),
            Action::Crash { .. } | Action::CrashAll { .. } => Some(Fault::Crash),
            Action::CrashAtBoundary { .. } => Some(Fault::CrashAtBoundary),
            Action::CrashAtInstall { .. } => Some(Fault::CrashAtInstall),
            Action::Pause(_) => Some(Fault::Pause),
            Action::SyncTakes { .. } => Some(Fault::SlowSync),
            Action::SyncFails(_) => Some(Fault::SyncFails),
            Action::DiskFull { is_full: true, .. } => Some(Fault::DiskFull),
            Action::FlipBit { .. } => Some(Fault::FlipBit),
            Action::Wipe(_) => Some(Fault::Wipe),
            _ => None,
        }
    }

    /// The branches that show that it took effect.
    pub fn shows_as(self) -> &'static [Rare] {
        match self {
            Fault::Latency => &[Rare::MessageDelayed],
            Fault::Drop => &[Rare::MessageLost],
            Fault::Duplicate => &[Rare::MessageTwice],
            Fault::Reorder => &[Rare::MessageOvertook],
            Fault::Cut => &[Rare::LostAtCut],
            Fault::LateNews => &[Rare::RefusedAtCut],
            Fault::Clog => &[Rare::HeldByClog],
            Fault::Crash => &[Rare::CrashedIdle, Rare::WritesLost, Rare::InstallTorn],
            Fault::CrashAtBoundary => &[Rare::CrashedAtWrite, Rare::CrashedAtSync, Rare::CrashedAtSend],
            Fault::CrashAtInstall => &[Rare::CrashedAtInstall],
            Fault::Pause => &[Rare::Resumed],
            Fault::Skew => &[Rare::SkewedClock],
            Fault::SlowSync => &[Rare::SlowSync],
            Fault::SyncFails => &[Rare::SyncFailed],
            Fault::DiskFull => &[Rare::DiskFull],
            Fault::FlipBit => &[Rare::RecordDamaged],
            Fault::Wipe => &[Rare::Wiped],
            Fault::CallTimeout => &[Rare::CallGivenUp],
            Fault::ClientLoss => &[Rare::ClientMessageLost],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Settings, run_seed};

    #[test]
    fn what_a_seed_draws_strikes_and_what_it_does_not_draw_does_not() {
        let quiet = Schedule { seed: 1, plan: crate::Plan::quiet(3), actions: Vec::new(), end_us: 1 };
        assert!(!Fault::ALL.iter().any(|fault| fault.is_drawn_in(&quiet)));
        let reports = (0..20).map(|seed| (Schedule::draw(seed), run_seed(seed, &Settings::default())));
        let faults = [Fault::Drop, Fault::Duplicate, Fault::Skew, Fault::Latency];
        let mut struck = [0; 4];
        for (schedule, report) in reports {
            for (fault, struck) in faults.into_iter().zip(&mut struck) {
                let is_drawn = fault.is_drawn_in(&schedule);
                assert_eq!(report.coverage.drawn(fault), u64::from(is_drawn));
                // At the end links are slow, whatever was drawn. What is drawn to be seldom may not strike in one run.
                let strikes = report.coverage.took_effect(fault) > 0;
                assert!(is_drawn || !strikes || fault == Fault::Latency, "{fault:?}");
                *struck += u64::from(strikes);
            }
        }
        assert!(struck.iter().all(|struck| *struck > 0), "{struck:?}");
    }
}
