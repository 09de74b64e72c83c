//! A schedule that breaks something is cut down to what breaks it.
//!
//! Invariants: what comes out breaks the same invariant, with no more actions than what went in. Every choice is made by
//! running the candidate, never by guessing.
//!
//! Deliberately absent: fewer nodes and clients, and another application, since actions name them; and another bug than
//! the planted one, which is what is looked for.

use raftian_script::{Action, Invariant, Plan, Schedule};

use crate::run::run;
use crate::settings::Settings;

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
    cutter.simplify_actions();
    cutter.round_times();
    cutter.end_early();
    Some(cutter.best)
}

/// Makes some parameters as they are in a quiet plan.
type Simplify = fn(&mut Plan, Plan);

/// The parameters that may be as in a quiet plan, one after another. Those that rest on each other go together.
const SIMPLER: [Simplify; 28] = [
    |plan, quiet| plan.load = quiet.load,
    |plan, quiet| plan.effects = quiet.effects,
    |plan, quiet| plan.link_effects = quiet.link_effects,
    |plan, quiet| plan.news_us = quiet.news_us,
    |plan, quiet| plan.call_timeout = quiet.call_timeout,
    |plan, quiet| plan.forwarding = quiet.forwarding,
    |plan, quiet| plan.stubborn_clients = quiet.stubborn_clients,
    |plan, quiet| plan.client_loss_percent = quiet.client_loss_percent,
    |plan, quiet| (plan.client_patience_us, plan.client_attempts) = (quiet.client_patience_us, quiet.client_attempts),
    |plan, quiet| plan.clock_permille = quiet.clock_permille,
    |plan, quiet| plan.turn_us = quiet.turn_us,
    |plan, quiet| plan.job_us = quiet.job_us,
    |plan, quiet| plan.sync_us = quiet.sync_us,
    |plan, quiet| plan.crashes = quiet.crashes,
    |plan, quiet| plan.segment_bytes = quiet.segment_bytes,
    |plan, quiet| (plan.snapshot_every, plan.keep) = (quiet.snapshot_every, quiet.keep),
    |plan, quiet| plan.max_snapshot_chunk_bytes = quiet.max_snapshot_chunk_bytes,
    |plan, quiet| plan.max_append_entries = quiet.max_append_entries,
    |plan, quiet| plan.max_append_bytes = quiet.max_append_bytes,
    |plan, quiet| plan.max_committed_per_ready = quiet.max_committed_per_ready,
    |plan, quiet| plan.max_uncommitted_bytes = quiet.max_uncommitted_bytes,
    |plan, quiet| plan.disk_patience = quiet.disk_patience,
    |plan, quiet| plan.limits = quiet.limits,
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
        for at in (0..self.best.plan.link_effects.len()).rev() {
            let mut simpler = self.best.clone();
            simpler.plan.link_effects.remove(at);
            self.try_out(simpler);
        }
    }

    /// A crash leaves nothing of what was not synced, and a snapshot no entries that it covers.
    fn simplify_actions(&mut self) {
        for at in 0..self.best.actions.len() {
            let mut simpler = self.best.clone();
            match &mut simpler.actions[at].action {
                Action::Crash { keep, .. }
                | Action::CrashAtBoundary { keep, .. }
                | Action::CrashAtInstall { keep, .. }
                | Action::CrashAll { keep } => *keep = 0,
                Action::Compact { keep, .. } => *keep = 0,
                _ => {}
            }
            if simpler != self.best {
                self.try_out(simpler);
            }
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
            earlier.actions.retain(|timed| timed.at_us < earlier.end_us);
            self.try_out(earlier);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::Duration;

    use raftian_apps::{AppKind, Limits};
    use raftian_faults::Effect;
    use raftian_raft::{Lease, NodeId};
    use raftian_script::{Crashes, LinkEffect, Load, ServerSettings};

    use super::*;

    /// A plan in which nothing is as in a quiet one. It names every parameter, so that a new one must be named here.
    fn busy() -> Plan {
        let [n1, n2] = [1, 2].map(|number| NodeId::new(number).unwrap());
        let switched = ServerSettings { pre_vote: Some(false), check_quorum: None };
        let effect = Effect::latency(100.0, 10.0).unwrap();
        Plan {
            load: Some(Load { per_s: 20 }),
            app: AppKind::Attack,
            founders: 5,
            joiners: 1,
            election_timeout: Duration::from_millis(50)..Duration::from_millis(100),
            heartbeat_interval: Duration::from_millis(10),
            pre_vote: false,
            check_quorum: false,
            lease: Some(Lease { drift_percent: 10 }),
            server_settings: BTreeMap::from([(n1, switched)]),
            max_append_entries: 1,
            max_append_bytes: 100,
            max_committed_per_ready: 1,
            max_uncommitted_bytes: 1,
            disk_patience: Duration::from_millis(1),
            max_snapshot_chunk_bytes: 100,
            limits: Limits { max_sessions: 1, max_remembered_bytes: 1, compact_above_bytes: 1 },
            snapshot_every: Some(5),
            keep: 1,
            effects: vec![effect],
            link_effects: vec![LinkEffect { from: n1, to: n2, effect }],
            sync_us: Some(100..200),
            segment_bytes: 512,
            crashes: Crashes::Torn,
            turn_us: 300,
            job_us: 2_000,
            news_us: 20_000,
            call_timeout: true,
            forwarding: true,
            clock_permille: vec![953],
            clients: 1,
            stubborn_clients: 1,
            client_patience_us: 50_000,
            client_attempts: 2,
            client_loss_percent: 1,
        }
    }

    /// The parameters of a plan with their values, as they are written for debugging.
    fn fields(plan: &Plan) -> Vec<String> {
        let is_field = |line: &str| line.starts_with(|c: char| c.is_ascii_lowercase());
        let mut fields: Vec<String> = Vec::new();
        for line in format!("{plan:#?}").lines().filter_map(|line| line.strip_prefix("    ")) {
            match fields.last_mut().filter(|_| !is_field(line)) {
                Some(field) => field.push_str(line),
                None => fields.push(line.to_owned()),
            }
        }
        fields
    }

    #[test]
    fn every_parameter_is_simplified_or_deliberately_not() {
        let (busy, quiet) = (busy(), Plan::quiet(3));
        let same: Vec<_> = fields(&busy).into_iter().filter(|field| fields(&quiet).contains(field)).collect();
        assert!(same.is_empty(), "give each a value that it does not have in a quiet plan: {same:?}");
        let mut simple = busy.clone();
        SIMPLER.iter().for_each(|simplify| simplify(&mut simple, quiet.clone()));
        let Plan { app, founders, joiners, clients, .. } = busy;
        assert_eq!(simple, Plan { app, founders, joiners, clients, ..quiet });
    }

    #[test]
    fn settings_are_the_planted_bug_alone_which_stays() {
        let Settings {
            #[cfg(feature = "mutants")]
                mutant: _,
        } = Settings::default();
    }
}
