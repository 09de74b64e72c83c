//! The kinds of faults, and what shows that one of them took effect: a fault that never strikes proves nothing.
//!
//! Invariant: whether a fault is drawn follows from the schedule alone, and that it took effect from what was counted.

use raftian_faults::Effect;
use raftian_script::{Action, Schedule};

use crate::coverage::{Rare, counted};

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
        /// Messages take longer on some links than on others.
        SlowLink = "slow_link",
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
        /// Disks are emptied, and other servers of the same names begin.
        Wipe = "wipe",
        /// Disks are replaced by earlier copies.
        PutBack = "put_back",
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
        let on_all = |is_it: fn(&Effect) -> bool| plan.effects.iter().any(is_it);
        let on_some = |is_it: fn(&Effect) -> bool| plan.link_effects.iter().any(|on| is_it(&on.effect));
        let on_links = |is_it: fn(&Effect) -> bool| on_all(is_it) || on_some(is_it);
        match self {
            Fault::Latency => on_all(|effect| matches!(effect, Effect::Latency { .. })),
            Fault::SlowLink => on_some(|effect| matches!(effect, Effect::Latency { .. })),
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
            Action::Clock { .. } => Some(Fault::Skew),
            Action::SyncFails(_) => Some(Fault::SyncFails),
            Action::DiskFull { is_full: true, .. } => Some(Fault::DiskFull),
            Action::FlipBit { .. } => Some(Fault::FlipBit),
            Action::Wipe(_) => Some(Fault::Wipe),
            Action::PutBackDisk(_) => Some(Fault::PutBack),
            _ => None,
        }
    }

    /// The branches that show that it took effect.
    pub fn shows_as(self) -> &'static [Rare] {
        match self {
            Fault::Latency => &[Rare::MessageDelayed],
            Fault::Drop => &[Rare::MessageLost],
            Fault::Duplicate => &[Rare::MessageTwice],
            Fault::Reorder => &[Rare::OvertookHeldBack],
            Fault::Cut => &[Rare::LostAtCut],
            Fault::LateNews => &[Rare::NewsWasLate],
            Fault::SlowLink => &[Rare::SlowedByLink],
            Fault::Clog => &[Rare::HeldByClog],
            Fault::Crash => &[Rare::Crashed],
            Fault::CrashAtBoundary => &[Rare::CrashedAtWrite, Rare::CrashedAtSync, Rare::CrashedAtSend],
            Fault::CrashAtInstall => &[Rare::CrashedAtInstall],
            Fault::Pause => &[Rare::Resumed],
            Fault::Skew => &[Rare::SkewedClock],
            Fault::SlowSync => &[Rare::SlowSync],
            Fault::SyncFails => &[Rare::SyncFailed],
            Fault::DiskFull => &[Rare::DiskFull],
            Fault::FlipBit => &[Rare::RecordDamaged],
            Fault::Wipe => &[Rare::Wiped],
            Fault::PutBack => &[Rare::DiskPutBack],
            Fault::CallTimeout => &[Rare::CallGivenUp],
            Fault::ClientLoss => &[Rare::ClientMessageLost],
        }
    }
}

#[cfg(test)]
mod tests {

    use raftian_script::{LinkEffect, Plan, Timed, Whom};

    use super::*;
    use crate::draw::draw;
    use crate::invariant::id_at;
    use crate::{Coverage, Settings, run, run_seed};

    #[test]
    fn what_a_seed_draws_strikes_and_what_it_does_not_draw_does_not() {
        let quiet = Schedule { seed: 1, plan: Plan::quiet(3), actions: Vec::new(), end_us: 1 };
        assert!(!Fault::ALL.iter().any(|fault| fault.is_drawn_in(&quiet)));
        let mut all = Coverage::default();
        for seed in 0..60 {
            let (schedule, report) = (draw(seed), run_seed(seed, &Settings::default()));
            for fault in Fault::ALL.iter().copied() {
                let is_drawn = fault.is_drawn_in(&schedule);
                assert_eq!(report.coverage.drawn(fault), u64::from(is_drawn));
                assert!(is_drawn || report.coverage.took_effect(fault) == 0, "{fault:?}");
            }
            all.add(&report.coverage);
        }
        let idle = Fault::ALL.iter().filter(|fault| all.took_effect(**fault) == 0).collect::<Vec<_>>();
        assert!(idle.is_empty(), "{idle:?}");
    }

    /// A schedule with these faults, and nothing that could show some of them.
    fn idle(plan: Plan, actions: Vec<Action>) -> Coverage {
        let actions = actions.into_iter().map(|action| Timed { at_us: 500_000, action }).collect();
        run(&Schedule { seed: 1, plan, actions, end_us: 1_000_000 }, &Settings::default()).coverage
    }

    #[test]
    fn a_fault_that_never_takes_effect_counts_nothing_whatever_the_healing_does() {
        let (latency, reorder) = (Effect::latency(0.0, 0.0).unwrap(), Effect::reorder(0.0, 50.0).unwrap());
        let slow = LinkEffect { from: id_at(0), to: id_at(1), effect: latency };
        let plan = Plan { effects: vec![latency, reorder], link_effects: vec![slow], news_us: 1, ..Plan::quiet(3) };
        // There is nothing to stop at a server that installs no snapshot, and no copy to put back.
        let node = id_at(0);
        let actions = [Action::CrashAtInstall { node, keep: 0 }, Action::PutBackDisk(node), Action::Wipe(node)];
        let cut = Action::Cut { from: node, to: node };
        let coverage = idle(plan, actions.into_iter().chain([cut]).collect());
        let drawn = Fault::ALL.iter().filter(|fault| coverage.drawn(**fault) > 0);
        let struck = drawn.map(|fault| (*fault, coverage.took_effect(*fault))).collect::<Vec<_>>();
        assert!(struck.len() == 8 && struck.iter().all(|(_, effects)| *effects == 0), "{struck:?}");
    }

    #[test]
    fn jitter_does_not_count_as_reordering_and_a_crash_between_effects_is_no_other_crash() {
        let effects = vec![Effect::latency(40.0, 40.0).unwrap(), Effect::reorder(0.0, 50.0).unwrap()];
        let node = Whom::Node(id_at(1));
        let down = Action::Crash { node: Whom::Node(id_at(2)), keep: 0 };
        let boundary = Action::CrashAtBoundary { node, boundaries: 1, keep: 0 };
        let coverage = idle(Plan { effects, ..Plan::quiet(3) }, vec![boundary, down.clone(), down]);
        assert!(coverage.rare(Rare::MessageOvertook) > 0, "jitter alone has messages overtake others");
        let effects = [Fault::Latency, Fault::Reorder, Fault::Crash, Fault::CrashAtBoundary];
        let effects = effects.map(|fault| coverage.took_effect(fault));
        assert!(effects[0] > 0 && effects[1..] == [0, 1, 1], "{effects:?}");
    }
}
