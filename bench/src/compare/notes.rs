//! What must be known of two runs before a difference between them is believed.
//!
//! Invariant: says what differs besides the code, as far as the manifests and the trials tell.

use super::{Compared, Verdict};
use crate::analysis::words::{count, list, percent};
use crate::experiments::{BASELINE, HOSTING};
use crate::machine::Machine;
use crate::stats::median;
use crate::suite::manifest::Manifest;
use crate::suite::run::Run;

/// At least this many claims all in one direction look like a machine that changed.
const MANY: usize = 4;

pub(super) fn notes(a: &Run, b: &Run, compared: &[Compared]) -> Vec<String> {
    let (first, second) = (a.manifest(), b.manifest());
    if first == second {
        return vec!["both are the same run".to_owned()];
    }
    let mut notes = manifests(first, second);
    for (name, run) in [("first", a), ("second", b)] {
        let trials = run.all();
        let busy = trials.iter().filter(|trial| !trial.conditions.quiet).count();
        if busy > 0 {
            notes.push(format!("the machine was not quiet before {} of the {name} run", count(busy, "trial")));
        }
        let failed = trials.iter().filter(|trial| trial.failed.is_some()).count();
        if failed > 0 {
            notes.push(format!("{} of the {name} run failed", count(failed, "trial")));
        }
    }
    notes.extend(direction(compared));
    notes
}

fn manifests(a: &Manifest, b: &Manifest) -> Vec<String> {
    let mut notes = Vec::new();
    if a.profile != b.profile {
        notes.push(
            "the runs have different profiles: their trials are not equally long, nor always the same".to_owned(),
        );
    }
    let differences = differences(&a.provenance.machine, &b.provenance.machine);
    if !differences.is_empty() {
        notes.push(format!("the machines differ in {}; a difference may be theirs", list(&differences)));
    }
    for (name, manifest) in [("first", a), ("second", b)] {
        if !manifest.provenance.machine.optimised {
            notes.push(format!("the {name} run was made by a debug build"));
        }
        if manifest.provenance.dirty == Some(true) {
            notes.push(format!("the {name} run was made from a tree with changes that its revision has not"));
        }
    }
    notes
}

fn differences(a: &Machine, b: &Machine) -> Vec<String> {
    let facts = [
        ("processor", a.cpu != b.cpu),
        ("cores", a.cores != b.cores),
        ("kernel", a.kernel != b.kernel),
        ("memory", a.memory_bytes != b.memory_bytes),
        ("file system", a.file_system != b.file_system),
        ("governor", a.governor != b.governor),
        ("clock source", a.clock_source != b.clock_source),
        ("hypervisor", a.virtualisation != b.virtualisation),
    ];
    facts.into_iter().filter(|(_, differs)| *differs).map(|(name, _)| name.to_owned()).collect()
}

/// Whether what was claimed points to the machine rather than to the server.
fn direction(compared: &[Compared]) -> Vec<String> {
    let mut notes = Vec::new();
    let of = |verdict: Verdict| compared.iter().filter(move |one| one.verdict == verdict);
    let (worse, better) = (of(Verdict::Regression).count(), of(Verdict::Improvement).count());
    if worse.max(better) >= MANY && worse.min(better) == 0 {
        let logs: Vec<f64> = compared.iter().map(|one| one.ratio.ln().abs()).collect();
        let typical = median(&logs).map_or(0.0, |log| log.exp() - 1.0);
        notes.push(format!(
            "all {} point the same way, the median over all comparisons being {} %: look for what changed for all, such as the machine",
            count(worse.max(better), "claim"),
            percent(typical)
        ));
    }
    let without_server =
        compared.iter().any(|one| one.arm.level(HOSTING) == Some(BASELINE) && one.verdict != Verdict::NoEvidence);
    if without_server {
        notes.push("the game without a server changed: that is the machine or the drawing, not a server".to_owned());
    }
    notes
}
