//! A schedule that breaks something is cut down to what breaks it.
//!
//! Invariants: what comes out breaks the same invariant, with no more actions than what went in. Every choice is made by
//! running the candidate, never by guessing.
//!
//! Deliberately absent: fewer nodes, since actions name them.

use crate::invariant::Invariant;
use crate::run::run;
use crate::schedule::Schedule;
use crate::settings::{Plan, Settings};

/// The shortest script found that breaks the same invariant as this schedule, by delta debugging: with fewer actions, a
/// simpler cluster, and rounder times. `None` if it breaks none. At most `max_runs` runs are made.
pub fn minimise(schedule: &Schedule, settings: &Settings, max_runs: usize) -> Option<Schedule> {
    minimise_while(schedule, settings, max_runs, &|| true)
}

/// Like [`minimise`], and comes to an end when `goes_on` says so, with the shortest script found until then.
pub fn minimise_while(
    schedule: &Schedule,
    settings: &Settings,
    max_runs: usize,
    goes_on: &dyn Fn() -> bool,
) -> Option<Schedule> {
    let broken = run(schedule, settings).violation?;
    let mut best = schedule.clone();
    if broken.at_us < best.end_us {
        best.actions.retain(|timed| timed.at_us <= broken.at_us);
    }
    let runs_left = max_runs.saturating_sub(1);
    let mut cutter = Cutter { best, settings, invariant: broken.invariant, runs_left, goes_on };
    cutter.cut_actions();
    cutter.simplify_plan();
    cutter.cut_actions();
    cutter.round_times();
    cutter.end_early();
    Some(cutter.best)
}

/// The parameters that may be as in a quiet plan, one after another.
const SIMPLER: [fn(&mut Plan, Plan); 15] = [
    |plan, _| plan.effects.clear(),
    |plan, _| plan.link_effects.clear(),
    |plan, quiet| plan.stubborn_clients = quiet.stubborn_clients,
    |plan, quiet| plan.clock_permille = quiet.clock_permille,
    |plan, quiet| plan.sync_us = quiet.sync_us,
    |plan, quiet| plan.client_loss_percent = quiet.client_loss_percent,
    |plan, quiet| (plan.client_patience_us, plan.client_attempts) = (quiet.client_patience_us, quiet.client_attempts),
    |plan, quiet| (plan.snapshot_every, plan.keep) = (quiet.snapshot_every, quiet.keep),
    |plan, quiet| plan.max_snapshot_chunk_bytes = quiet.max_snapshot_chunk_bytes,
    |plan, quiet| plan.max_append_entries = quiet.max_append_entries,
    |plan, quiet| plan.lease = quiet.lease,
    |plan, quiet| plan.server_settings = quiet.server_settings,
    |plan, quiet| plan.pre_vote = quiet.pre_vote,
    |plan, quiet| plan.check_quorum = quiet.check_quorum,
    |plan, quiet| {
        (plan.election_timeout, plan.heartbeat_interval) = (quiet.election_timeout, quiet.heartbeat_interval);
    },
];

struct Cutter<'a> {
    best: Schedule,
    settings: &'a Settings,
    invariant: Invariant,
    runs_left: usize,
    goes_on: &'a dyn Fn() -> bool,
}

impl Cutter<'_> {
    fn may_go_on(&self) -> bool {
        self.runs_left > 0 && (self.goes_on)()
    }

    /// Takes the candidate, if it breaks what is to be broken. Says whether it does.
    fn try_out(&mut self, candidate: Schedule) -> bool {
        if !self.may_go_on() {
            return false;
        }
        self.runs_left -= 1;
        let broken = run(&candidate, self.settings).violation;
        let breaks = broken.is_some_and(|violation| violation.invariant == self.invariant);
        if breaks {
            self.best = candidate;
        }
        breaks
    }

    /// Takes out halves, quarters, and so on down to single actions.
    fn cut_actions(&mut self) {
        let mut chunk = self.best.actions.len().div_ceil(2);
        while chunk > 0 && self.may_go_on() {
            let before = self.best.actions.len();
            let mut from = 0;
            while from < self.best.actions.len() && self.may_go_on() {
                let mut shorter = self.best.clone();
                shorter.actions.drain(from..(from + chunk).min(self.best.actions.len()));
                if !self.try_out(shorter) {
                    from += chunk;
                }
            }
            // One more round of single actions, as long as it helps: one may have been kept for the sake of another.
            chunk = if chunk == 1 && self.best.actions.len() < before { 1 } else { chunk / 2 };
        }
    }

    fn simplify_plan(&mut self) {
        for simplify in SIMPLER {
            let mut simpler = self.best.clone();
            let quiet = Plan::quiet(simpler.plan.founders);
            simplify(&mut simpler.plan, quiet);
            if simpler.plan != self.best.plan {
                self.try_out(simpler);
            }
        }
        for at in (0..self.best.plan.effects.len()).rev() {
            let mut simpler = self.best.clone();
            simpler.plan.effects.remove(at);
            self.try_out(simpler);
        }
    }

    /// Times in tenths of a second read best; then hundredths, then thousandths.
    fn round_times(&mut self) {
        for unit_us in [100_000, 10_000, 1_000] {
            let mut rounder = self.best.clone();
            rounder.actions.iter_mut().for_each(|timed| timed.at_us -= timed.at_us % unit_us);
            if self.try_out(rounder) {
                return;
            }
        }
    }

    /// What comes after the violation does not matter.
    fn end_early(&mut self) {
        let Some(violation) = run(&self.best, self.settings).violation else { return };
        if violation.at_us < self.best.end_us {
            let mut earlier = self.best.clone();
            earlier.end_us = (violation.at_us / 1_000 + 1) * 1_000;
            self.try_out(earlier);
        }
    }
}
