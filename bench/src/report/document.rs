//! What a report says, in order, before it takes a form.
//!
//! Invariant: nothing here depends on anything but the run and its findings: no clock, no machine, no language.

use crate::analysis::finding::{Finding, Table};
use crate::experiments::Profile;
use crate::suite::manifest::Provenance;
use crate::suite::run::Run;
use crate::suite::trial::ExperimentId;

/// The experiment that asks what the original paper asked.
const PAPERS_QUESTION: ExperimentId = ExperimentId(1);

/// The last experiment there is.
const LAST_EXPERIMENT: u8 = 12;

/// How every number of every report was come by.
const METHOD: [&str; 6] = [
    "A trial is one measurement with a fresh set of processes. A block runs every arm of an experiment once, in seeded \
     random order; the blocks of all experiments take turns. Ratios are paired within blocks, so that what changes slowly \
     on the machine meets all arms alike.",
    "Where hostings are compared, the baseline is run twice in every block (A/A). What differs between the two is noise, \
     and stands beside every effect.",
    "Intervals of medians and of paired ratios are exact, from order statistics, at a level of at least 95 % that is \
     named; intervals of unpaired ratios are bootstrapped over trials. Where there are too few trials for an interval, \
     none is given.",
    "Frames per second are frames divided by the time they took. No percentile is given with fewer than ten samples \
     beyond it. The warm-up is recorded and drawn, and not counted. Load is offered open loop: latency counts from the \
     intended send.",
    "Around every trial, load, pressure and stolen time are recorded. A block that met a busy machine, or failed, is \
     repeated where time allows; the last attempt counts, and all are kept.",
    "All raw data are in this run's folder, sealed by digests in its manifest. This report, its charts and its tables are \
     computed from them by `raftianctl bench report`, byte for byte.",
];

/// A report.
#[derive(Debug)]
pub(crate) struct Document<'a> {
    /// The answer to the paper's question.
    pub(crate) answer: String,
    /// Which run it is.
    pub(crate) lead: String,
    /// What was found, experiment by experiment.
    pub(crate) findings: &'a [Finding],
    /// What stays open for the run as a whole.
    pub(crate) open: Vec<String>,
    /// How it was measured.
    pub(crate) method: &'static [&'static str],
    /// How much of it was measured.
    pub(crate) extent: Table,
    /// Where it was measured, and with what.
    pub(crate) machine: Table,
}

/// The answer to the paper's question in a sentence, or that there is none.
pub(crate) fn answer(findings: &[Finding]) -> String {
    match findings.iter().find(|finding| finding.experiment == PAPERS_QUESTION) {
        Some(finding) => first_sentence(&finding.takeaway).to_owned(),
        None => format!(
            "What a consensus server costs the game beside it was not measured: this run has no trial of {PAPERS_QUESTION}."
        ),
    }
}

/// A text up to its first full stop; a point within a number is none.
fn first_sentence(text: &str) -> &str {
    text.find(". ").map_or(text, |stop| &text[..=stop])
}

/// The revision of the source, and whether that is all there is to say.
pub(crate) fn revision(provenance: &Provenance) -> String {
    let Some(revision) = &provenance.revision else { return "unknown revision".to_owned() };
    let short: String = revision.chars().take(10).collect();
    let changes = if provenance.dirty == Some(true) { " with changes" } else { "" };
    format!("revision {short}{changes}")
}

impl<'a> Document<'a> {
    /// The report of a run.
    pub(crate) fn of(run: &Run, findings: &'a [Finding]) -> Document<'a> {
        let manifest = run.manifest();
        let profile = match manifest.profile {
            Profile::Quick => "quick",
            Profile::Paper => "paper",
        };
        let lead = format!(
            "A run of the {profile} profile with seed {}, begun {}: {} trials.",
            manifest.seed,
            utc(manifest.provenance.started_unix_ms),
            run.all().len()
        );
        Document {
            answer: answer(findings),
            lead,
            findings,
            open: open(run, findings),
            method: &METHOD,
            extent: extent(run),
            machine: machine(&manifest.provenance),
        }
    }
}

/// What the run as a whole leaves open.
fn open(run: &Run, findings: &[Finding]) -> Vec<String> {
    let mut open: Vec<String> = run.remarks().into_iter().map(|remark| sentence(&remark)).collect();
    let asked = |id: &ExperimentId| findings.iter().any(|finding| finding.experiment == *id);
    let missing: Vec<String> =
        (0..=LAST_EXPERIMENT).map(ExperimentId).filter(|id| !asked(id)).map(|id| id.to_string()).collect();
    if !missing.is_empty() {
        open.push(format!("Without a trial in this run, and so without an answer: {}.", missing.join(", ")));
    }
    let provenance = &run.manifest().provenance;
    if !provenance.machine.optimised {
        open.push("The programs were built without optimisations: no number here says what raftian can do.".to_owned());
    }
    if let Some(host) = &provenance.machine.virtualisation {
        open.push(format!("The machine is a guest ({host}): what its neighbours did is seen only as stolen time."));
    }
    open.push(
        "All processes share one machine and its loopback network. Absolute numbers belong to this machine; what can be \
         carried elsewhere are the ratios between arms of one run, and the reasons for them."
            .to_owned(),
    );
    open
}

fn sentence(remark: &str) -> String {
    let mut letters = remark.chars();
    let first: String = letters.next().map(|letter| letter.to_uppercase().collect()).unwrap_or_default();
    format!("{first}{}.", letters.as_str())
}

fn extent(run: &Run) -> Table {
    let row = |planned: &crate::suite::schedule::PlannedExperiment| {
        let id = planned.id;
        let all = run.all().iter().filter(|trial| trial.experiment == id);
        let repeated = all.clone().filter(|trial| trial.attempt > 0).count();
        let busy = run.trials(id).filter(|trial| !trial.conditions.quiet).count();
        vec![
            id.to_string(),
            planned.plan.arms.len().to_string(),
            format!("{} of {}", run.blocks_done(id), planned.plan.blocks),
            run.trials(id).count().to_string(),
            run.failed(id).count().to_string(),
            run.left_out(id).count().to_string(),
            repeated.to_string(),
            busy.to_string(),
        ]
    };
    Table {
        title: "What was measured".into(),
        columns: [
            "experiment",
            "arms",
            "blocks",
            "trials that count",
            "failed",
            "left out",
            "repetitions",
            "on a busy machine",
        ]
        .map(Into::into)
        .into(),
        rows: run.manifest().experiments.iter().map(row).collect(),
    }
}

fn machine(provenance: &Provenance) -> Table {
    let machine = &provenance.machine;
    let told = |value: Option<String>| value.unwrap_or_else(|| "not told".to_owned());
    let load = machine.load_average.map(|[one, five, fifteen]| format!("{one:.2}, {five:.2}, {fifteen:.2}"));
    let build = if machine.optimised { "release build" } else { "debug build" };
    let mut rows = vec![
        ("processor", told(machine.cpu.clone())),
        ("cores", told(machine.cores.map(|cores| cores.to_string()))),
        ("memory", told(machine.memory_bytes.map(|bytes| format!("{:.1} GiB", bytes as f64 / f64::from(1 << 30))))),
        ("system", format!("{} {}", machine.os, machine.kernel.as_deref().unwrap_or("of unknown release"))),
        ("guest of", machine.virtualisation.clone().unwrap_or_else(|| "nothing, as far as it tells".to_owned())),
        ("frequency governor", told(machine.governor.clone())),
        ("clock source", told(machine.clock_source.clone())),
        ("file system of the data", told(machine.file_system.clone())),
        ("load average before (1, 5, 15 min)", told(load)),
        ("raftian", format!("{} ({build})", machine.version)),
        ("source", revision(provenance)),
        ("compiler", told(provenance.rustc.clone())),
        ("command", provenance.argv.join(" ")),
    ];
    let digests = provenance.sha256.iter().map(|(name, digest)| (format!("SHA-256 of {name}"), digest.clone()));
    let mut table: Vec<Vec<String>> = rows.drain(..).map(|(name, value)| vec![name.to_owned(), value]).collect();
    table.extend(digests.map(|(name, value)| vec![name, value]));
    Table { title: "The machine and the programs".into(), columns: vec!["what".into(), "value".into()], rows: table }
}

/// A moment as `2026-11-21 09:14 UTC`.
fn utc(unix_ms: u64) -> String {
    let (days, minutes) = (unix_ms / 86_400_000, unix_ms / 60_000 % 1_440);
    let (year, month, day) = date(days);
    format!("{year}-{month:02}-{day:02} {:02}:{:02} UTC", minutes / 60, minutes % 60)
}

/// Year, month and day of a day since 1970-01-01.
fn date(days: u64) -> (u64, u64, u64) {
    let is_leap = |year: u64| year.is_multiple_of(4) && !year.is_multiple_of(100) || year.is_multiple_of(400);
    // Whole cycles of the calendar first, so that no moment takes long.
    let (mut year, mut left) = (1970 + days / 146_097 * 400, days % 146_097);
    while left >= 365 + u64::from(is_leap(year)) {
        left -= 365 + u64::from(is_leap(year));
        year += 1;
    }
    let lengths = [31, 28 + u64::from(is_leap(year)), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let mut month = 1;
    for length in lengths {
        if left < length {
            break;
        }
        left -= length;
        month += 1;
    }
    (year, month, left + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_dates() {
        assert_eq!(utc(0), "1970-01-01 00:00 UTC");
        assert_eq!(utc(951_782_400_000), "2000-02-29 00:00 UTC");
        assert_eq!(utc(1_735_689_599_999), "2024-12-31 23:59 UTC");
        assert_eq!(date(146_097), (2370, 1, 1));
        assert!(utc(u64::MAX).ends_with("UTC"));
    }

    #[test]
    fn a_sentence_ends_at_its_full_stop() {
        assert_eq!(first_sentence("It costs 0.4 % (n = 6). At 100 dots, 0.5 %."), "It costs 0.4 % (n = 6).");
        assert_eq!(first_sentence("It costs 0.4 %"), "It costs 0.4 %");
    }

    #[test]
    fn a_run_without_the_papers_question_says_so() {
        assert!(answer(&[]).contains("not measured") && answer(&[]).contains("E1"));
    }
}
