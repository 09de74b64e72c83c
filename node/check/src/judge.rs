//! All judges in order, and their common report.
//!
//! Invariant: the judges see only evidence that passed `evidence`, and the same input gives the same report.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use raftian_apps::{AppKind, AppOptions, Effect, Machine, NodeId, Snapshot};
use serde::{Deserialize, Serialize};

use crate::committed::CommittedLog;
use crate::history::{Operation, Outcome};
use crate::linearizability::{Bounds, Linearizability, judge_beside_log};
use crate::operations::Operations;
use crate::replay::Replay;
use crate::replica::ReplicaLog;
use crate::verdict::{Finding, Findings, Invariant, Verdict};
use crate::{digests, evidence, exactly_once, log_agreement, real_time};

/// What is known of a run before its evidence is looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Setup {
    /// The application that was replicated.
    pub app: AppKind,
    /// What it started with.
    #[serde(flatten)]
    pub app_options: AppOptions,
    /// The nodes that took part: each must have left a log.
    pub nodes: Vec<NodeId>,
    /// Whether the history holds *every* operation of each client it names, so that another command of theirs in the
    /// log is an invention.
    #[serde(default)]
    pub history_is_complete: bool,
}

/// What was judged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Operations in the history that could be judged.
    pub operations: u64,
    /// Of these, acknowledged.
    pub acknowledged: u64,
    /// Of these, reported as failed.
    pub failed: u64,
    /// Of these, without a known outcome.
    pub unknown: u64,
    /// Of the unknown ones, found applied in the log.
    pub unknown_applied: u64,
    /// Of the unknown ones, not found applied in the log.
    pub unknown_lost: u64,
    /// Of the acknowledged ones, reads that left no entry in the log.
    #[serde(default)]
    pub reads: u64,
    /// Replica logs that could be judged.
    pub replicas: u64,
    /// Entries of the committed log, put together from all of them.
    pub committed: u64,
    /// Of these, no-ops and configurations.
    pub noops: u64,
    /// Of these, commands that were carried out.
    pub executed: u64,
    /// Of these, repeated commands that the sessions suppressed.
    pub duplicates: u64,
    /// Of these, refused: stale serials, and what is not a command.
    pub refused: u64,
}

/// What the judges found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// The verdict.
    pub verdict: Verdict,
    /// What it covers.
    pub counts: Counts,
    /// What was found: at most ten of each invariant.
    pub findings: Vec<Finding>,
    /// How many there were in all of each invariant that has any.
    pub findings_by_invariant: BTreeMap<Invariant, u64>,
    /// What the search for an order found; `None` if the logs do not tell who else was at work, so that it was not made.
    #[serde(default)]
    pub linearizability: Option<Linearizability>,
}

/// Judges a run by what its clients saw and its servers committed. Two judges look at the same history: one holds it
/// against the log, the other searches for an order of its own. That the search gives up (see [`Bounds`]) is told in the
/// report, and does not weaken a verdict that the log supports.
pub fn judge(history: &[Operation], replicas: &[ReplicaLog], setup: &Setup) -> Report {
    judge_after(None, history, replicas, setup)
}

/// Judges a run that began on servers whose first entries were gone already, in favour of this snapshot. The snapshot is
/// believed if it is whole: what led to it was not part of the run.
pub fn judge_after(
    snapshot: Option<&Snapshot>,
    history: &[Operation],
    replicas: &[ReplicaLog],
    setup: &Setup,
) -> Report {
    let mut findings = Findings::default();
    let nodes: BTreeSet<NodeId> = setup.nodes.iter().copied().collect();
    let operations = Operations::of(history, &mut findings);
    let logs = evidence::usable_logs(replicas, &nodes, &mut findings);
    let mut counts = count_history(&operations.usable);
    counts.replicas = logs.len() as u64;

    let committed = CommittedLog::of(&logs, snapshot.map_or(0, Snapshot::last_applied));
    evidence::check_complete(&logs, &committed, &mut findings);
    log_agreement::check(&logs, &committed, &mut findings);
    let settled = evidence::is_settled(&logs, &committed, &nodes);
    let first = first_state(snapshot, setup);
    // The search knows by itself how a new application begins.
    let restored = first.as_ref().ok().filter(|_| snapshot.is_some()).cloned();
    let replay = match first {
        _ if logs.is_empty() => None,
        Ok(machine) => {
            let at: BTreeSet<_> = logs.iter().map(|log| log.applied_index).collect();
            Some(Replay::run(&committed, machine, &at, &operations, &mut counts))
        }
        Err(why) => {
            findings.add(Invariant::Evidence, format!("the log cannot be replayed: {why}"));
            None
        }
    };
    if let Some(replay) = &replay {
        digests::check(&logs, replay, &mut findings);
        exactly_once::check(&operations, replay, &committed, settled, &mut counts, &mut findings);
        exactly_once::check_nothing_doubled(replay, &mut findings);
        if setup.history_is_complete {
            exactly_once::check_nothing_invented(&operations, replay, &mut findings);
        }
    }
    real_time::check(&operations.usable, setup.app, replay.as_ref(), &mut findings);
    // Only a log that is certainly whole tells for certain who else was at work.
    let linearizability = replay
        .as_ref()
        .filter(|_| settled)
        .map(|replay| judge_beside_log(&operations.usable, setup, Bounds::default(), Some(replay), restored.as_ref()));
    for violation in linearizability.iter().flat_map(|found| &found.violations) {
        findings.add(Invariant::Linearizability, violation.to_string());
    }

    Report {
        verdict: findings.verdict(),
        counts,
        findings: findings.kept,
        findings_by_invariant: findings.count_by_invariant,
        linearizability,
    }
}

/// The state before the first entry of the log.
fn first_state(snapshot: Option<&Snapshot>, setup: &Setup) -> Result<Machine, String> {
    match snapshot {
        None => Machine::new(setup.app, setup.app_options).map_err(|error| error.to_string()),
        Some(snapshot) => Machine::restore(setup.app, snapshot.clone()).map_err(|error| error.to_string()),
    }
}

fn count_history(history: &[&Operation]) -> Counts {
    let mut counts = Counts { operations: history.len() as u64, ..Counts::default() };
    for operation in history {
        match operation.outcome {
            Outcome::Ok { .. } => counts.acknowledged += 1,
            Outcome::Failed { .. } => counts.failed += 1,
            Outcome::Unknown { .. } => counts.unknown += 1,
        }
    }
    counts
}

impl Counts {
    /// Counts an entry of the committed log.
    pub(crate) fn add_entry(&mut self, effect: &Effect) {
        self.committed += 1;
        match effect {
            Effect::Noop => self.noops += 1,
            Effect::Executed(_) => self.executed += 1,
            Effect::Duplicate { .. } => self.duplicates += 1,
            Effect::Refused(_) => self.refused += 1,
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts = &self.counts;
        writeln!(f, "verdict: {}", self.verdict)?;
        writeln!(
            f,
            "operations: {} ({} acknowledged, {} failed, {} unknown of which {} applied and {} lost)",
            counts.operations,
            counts.acknowledged,
            counts.failed,
            counts.unknown,
            counts.unknown_applied,
            counts.unknown_lost,
        )?;
        write!(
            f,
            "committed: {} ({} executed, {} duplicates suppressed, {} refused, {} no-ops) on {} replicas",
            counts.committed, counts.executed, counts.duplicates, counts.refused, counts.noops, counts.replicas,
        )?;
        for undecided in self.linearizability.iter().flat_map(|found| &found.undecided) {
            write!(f, "\nnot decided by search: {undecided}")?;
        }
        for finding in &self.findings {
            write!(f, "\n{finding}")?;
        }
        for (invariant, count) in &self.findings_by_invariant {
            let kept = self.findings.iter().filter(|finding| finding.invariant == *invariant).count() as u64;
            if *count > kept {
                write!(f, "\n{invariant}: … and {} more", count - kept)?;
            }
        }
        Ok(())
    }
}
