//! All judges in order, and their common report.
//!
//! Invariant: the judges see only evidence that passed `evidence`, and the same input gives the same report.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use raftian_apps::{AppKind, Effect, NodeId};
use serde::{Deserialize, Serialize};

use crate::history::{Operation, Outcome};
use crate::replay::Replay;
use crate::replica::ReplicaLog;
use crate::verdict::{Finding, Findings, Invariant, Verdict};
use crate::{digests, evidence, exactly_once, log_agreement, real_time};

/// What is known of a run before its evidence is looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Setup {
    /// The application that was replicated.
    pub app: AppKind,
    /// The players it started with.
    pub players: u16,
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
    /// Replica logs that could be judged.
    pub replicas: u64,
    /// Entries of the longest committed log.
    pub committed: u64,
    /// Of these, no-ops.
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
}

/// Judges a run by what its clients saw and its servers committed.
pub fn judge(history: &[Operation], replicas: &[ReplicaLog], setup: &Setup) -> Report {
    let mut findings = Findings::default();
    let nodes: BTreeSet<NodeId> = setup.nodes.iter().copied().collect();
    let operations = evidence::usable_operations(history, &mut findings);
    let logs = evidence::usable_logs(replicas, &nodes, &mut findings);
    let mut counts = count_history(&operations);
    counts.replicas = logs.len() as u64;

    // Reversed, because of equals `max_by_key` takes the last, and reports read better when the first is the measure.
    let replay = match logs.iter().rev().max_by_key(|log| log.commit_index) {
        Some(longest) => {
            log_agreement::check(&logs, longest, &mut findings);
            replay(longest, &logs, setup, &mut findings)
        }
        None => {
            findings.add(Invariant::Evidence, "there is no log to hold the history against");
            None
        }
    };
    if let Some(replay) = &replay {
        count_log(replay, &mut counts);
        digests::check(&logs, replay, &mut findings);
        let settled = evidence::is_settled(&logs, &nodes);
        exactly_once::check(&operations, replay, settled, &mut counts, &mut findings);
        exactly_once::check_nothing_doubled(replay.applied(), &mut findings);
        if setup.history_is_complete {
            // The whole history, since an operation that cannot be judged was still asked for.
            exactly_once::check_nothing_invented(history, replay, &mut findings);
        }
    }
    real_time::check(&operations, replay.as_ref(), &mut findings);

    Report {
        verdict: findings.verdict(),
        counts,
        findings: findings.kept,
        findings_by_invariant: findings.count_by_invariant,
    }
}

fn replay<'a>(
    longest: &'a ReplicaLog,
    logs: &[&ReplicaLog],
    setup: &Setup,
    findings: &mut Findings,
) -> Option<Replay<'a>> {
    let at: BTreeSet<_> = logs.iter().map(|log| log.applied_index).collect();
    Replay::run(longest.committed(), setup, &at)
        .inspect_err(|error| findings.add(Invariant::Evidence, format!("the log cannot be replayed: {error}")))
        .ok()
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

fn count_log(replay: &Replay<'_>, counts: &mut Counts) {
    counts.committed = replay.end();
    for applied in replay.applied() {
        match applied.effect {
            Effect::Noop => counts.noops += 1,
            Effect::Executed(_) => counts.executed += 1,
            Effect::Duplicate { .. } => counts.duplicates += 1,
            Effect::Refused(_) => counts.refused += 1,
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
