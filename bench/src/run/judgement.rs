//! `verdict.json`: what the judges say of a run, and what that rests on.
//!
//! Invariant: a verdict is valid only where nothing is missing. What could not be seen stands beside it, in words.

use std::collections::BTreeMap;

use raftian_check::{Report, Verdict};
use raftian_rpc::NodeId;
use serde::{Deserialize, Serialize};

use crate::collect::Evidence;
use crate::summary::Summary;

/// What is said of a run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Judgement {
    /// The verdict; `None` where nothing was judged.
    pub verdict: Option<Verdict>,
    /// What keeps the verdict from being valid though nothing wrong was found: what was cut off, changed, or not awaited.
    pub limits: Vec<String>,
    /// The nodes whose logs were judged.
    pub logs: Vec<NodeId>,
    /// The nodes whose logs could not be read, and why.
    pub silent: BTreeMap<NodeId, String>,
    /// How long the nodes took to agree in the end, in milliseconds.
    pub converged_after_ms: Option<u64>,
    /// What the judges found.
    pub report: Option<Report>,
    /// How the load fared, where there was one.
    pub summary: Option<Summary>,
    /// What came of the scenario, where one was played.
    pub played: Option<Played>,
}

/// What came of playing a scenario.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Played {
    /// Whether all was as the scenario says.
    pub holds: bool,
    /// The line at which it stopped, if it did.
    pub line: Option<usize>,
    /// Why it stopped.
    pub why: Option<String>,
    /// How long it was: in virtual milliseconds in the simulator.
    pub took_ms: f64,
    /// The hash of all that happened, in the simulator.
    pub hash: Option<String>,
}

impl Judgement {
    /// The judges' report on this evidence, of which some things are missing.
    pub fn of(evidence: &Evidence, report: Report, mut limits: Vec<String>) -> Judgement {
        if let Err(missing) = &evidence.converged {
            limits.push(format!("agreement of the nodes: {missing}"));
        }
        let verdict = match report.verdict {
            Verdict::Valid if !limits.is_empty() => Verdict::Unknown,
            verdict => verdict,
        };
        Judgement {
            verdict: Some(verdict),
            limits,
            logs: evidence.replicas.iter().map(|replica| replica.node).collect(),
            silent: evidence.silent.clone(),
            converged_after_ms: evidence.converged.as_ref().ok().copied(),
            report: Some(report),
            ..Judgement::default()
        }
    }
}
