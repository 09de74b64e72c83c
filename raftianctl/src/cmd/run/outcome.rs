//! What came of playing a scenario, and how it is said.

use indicatif::ProgressBar;
use raftian_check::Verdict;
use raftian_script::{Scenario, Statement};
use raftian_sim::{Played, Stopped};
use serde::Serialize;

use super::On;
use super::telling::Line;
use crate::cli::Context;
use crate::cmd::sim::chart;
use crate::failure::Failure;
use crate::keep::KeptAt;

/// What came of playing it once.
#[derive(Debug, Serialize)]
pub(super) struct Outcome {
    /// Its name, or that of its file.
    pub(super) scenario: String,
    /// What it is, in a line.
    pub(super) title: String,
    /// What there is to see in it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) see: String,
    /// What played it.
    pub(super) engine: On,
    /// The seed of its random numbers.
    pub(super) seed: u64,
    /// Whether all was as it must be.
    pub(super) holds: bool,
    /// The line at which it stopped, if it did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) line: Option<usize>,
    /// Why it stopped.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) why: Option<String>,
    /// The invariant that was broken, in the simulator.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) invariant: Option<&'static str>,
    /// The judges' verdict; none where nothing was judged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) verdict: Option<Verdict>,
    /// How long it was: in virtual milliseconds in the simulator.
    pub(super) took_ms: f64,
    /// The hash of all that happened, in the simulator.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) hash: Option<String>,
    /// How many events there were, in the simulator.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) events: Option<u64>,
    /// Its messages, where they are drawn to standard output.
    #[serde(skip)]
    pub(super) chart: Option<String>,
    /// What was done, and when.
    pub(super) lines: Vec<Line>,
    /// Where it is kept, if it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) run: Option<KeptAt>,
}

/// How many runs held.
#[derive(Debug, Default)]
pub(super) struct Tally {
    runs: u64,
    held: u64,
    worst: u8,
}

impl Tally {
    /// A run ended with this exit code.
    pub(super) fn count(&mut self, code: u8) {
        self.runs += 1;
        self.held += u64::from(code == 0);
        self.worst = worse(self.worst, code);
    }

    /// Says how many there were, if several. The exit code is that of the worst.
    pub(super) fn end(self, context: &Context) -> Result<u8, Failure> {
        if self.runs > 1 && !context.output.is_json() {
            context.output.text(&format!("\n{} of {} runs hold\n", self.held, self.runs))?;
        }
        Ok(self.worst)
    }
}

/// The worse of two exit codes: failed, unknown, held.
fn worse(one: u8, other: u8) -> u8 {
    if one == 1 || other == 1 { 1 } else { one.max(other) }
}

/// What the judges say of a scenario that was played in the simulator; none where it does not ask them.
pub(crate) fn verdict_of(scenario: &Scenario, played: &Played) -> Option<Verdict> {
    let is_broken = matches!(played.stopped, Some(Stopped::Broken { .. }));
    let is_judged = scenario.steps.iter().any(|step| step.statement == Statement::Finish);
    match (&played.stopped, played.undecided) {
        _ if is_broken => Some(Verdict::Violated),
        (None, true) => Some(Verdict::Unknown),
        (None, false) if is_judged => Some(Verdict::Valid),
        _ => None,
    }
}

/// Says what came of it. The exit code.
pub(super) fn report(context: &Context, spinner: &ProgressBar, outcome: &Outcome) -> Result<u8, Failure> {
    spinner.suspend(|| chart::tell(context, outcome.chart.clone(), as_json(outcome)?, &summary(outcome)))?;
    Ok(match (outcome.holds, outcome.verdict) {
        (false, _) => Verdict::Violated.exit_code(),
        (true, verdict) => verdict.map_or(0, Verdict::exit_code),
    })
}

fn as_json(outcome: &Outcome) -> Result<serde_json::Value, Failure> {
    serde_json::to_value(outcome)
        .map_err(|error| Failure::failed(format!("the answer cannot be written as JSON: {error}")))
}

fn summary(outcome: &Outcome) -> String {
    let Outcome { engine, why, verdict, took_ms, run, .. } = outcome;
    let time = if *engine == On::Sim { " of virtual time" } else { "" };
    let mut text = match (why, verdict) {
        (Some(why), _) => format!("It does not hold: {why}\n"),
        (None, Some(verdict)) => format!("It holds, in {:.1} s{time}; verdict {verdict}\n", took_ms / 1e3),
        (None, None) => format!("It holds, in {:.1} s{time}; nothing was judged\n", took_ms / 1e3),
    };
    text.extend(run.as_ref().map(|run| format!("Kept as run {}\n", run.words())));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_failed_is_worse_than_what_is_unknown() {
        assert_eq!((worse(0, 3), worse(3, 1), worse(1, 0), worse(0, 0)), (3, 1, 1, 0));
    }
}
