//! From trials to findings: per experiment the tables, the figures and the sentence that says what was found.
//!
//! One file per experiment (`e0` … `e12`); each looks at the trials that count (`evidence`) and puts together what it
//! has to say from the same pieces (`draw`, `words`). What is true of every experiment is said here: too few blocks,
//! failed trials, a busy machine, drift (`caveats`).
//!
//! Invariant: a pure function of a run's raw files; same files, same bytes. A sentence claims only what an interval
//! supports; what could not be concluded is said as well.

pub(crate) mod evidence;
pub mod finding;
pub mod metric;
pub(crate) mod words;

mod arms;
mod caveats;
mod draw;
mod e0;
mod e1;
mod e10;
mod e11;
mod e12;
mod e2;
mod e3;
mod e4;
mod e5;
mod e6;
mod e7;
mod e8;
mod e9;
mod hosting;
#[cfg(test)]
pub(crate) mod synthetic;
#[cfg(test)]
mod tests;

use self::evidence::{Evidence, experiments_in};
use self::finding::{Figure, Finding, Table};
use crate::suite::run::Run;
use crate::suite::trial::ExperimentId;

/// The experiment that reads the costs of all the others' trials.
const COSTS: ExperimentId = ExperimentId(10);

/// The takeaway where there is none.
const NOTHING: &str = "Nothing can be concluded from the trials there are.";

/// What one experiment's file has to say. Without a takeaway nothing could be concluded.
#[derive(Debug, Default)]
struct Part {
    takeaway: Option<String>,
    figures: Vec<Figure>,
    tables: Vec<Table>,
    caveats: Vec<String>,
}

/// What a run says, in the order of its experiments. Experiments without any trial are left out.
pub fn analyse(run: &Run) -> Vec<Finding> {
    let mut experiments = experiments_in(run);
    if run.all().iter().any(|trial| !trial.costs.is_empty()) {
        experiments.insert(COSTS);
    }
    experiments.into_iter().map(|experiment| finding(run, experiment)).collect()
}

fn finding(run: &Run, experiment: ExperimentId) -> Finding {
    let evidence = Evidence::of(run, experiment);
    let part = match experiment.0 {
        0 => e0::find(run, &evidence),
        1 => e1::find(&evidence),
        2 => e2::find(&evidence),
        3 => e3::find(&evidence),
        4 => e4::find(&evidence),
        5 => e5::find(&evidence),
        6 => e6::find(&evidence),
        7 => e7::find(&evidence),
        8 => e8::find(&evidence),
        9 => e9::find(&evidence),
        10 => e10::find(run),
        11 => e11::find(&evidence),
        12 => e12::find(&evidence),
        _ => Part::default(),
    };
    let question = run.manifest().experiment(experiment).map(|planned| planned.question.clone());
    let mut caveats = caveats::caveats(experiment, &evidence);
    caveats.extend(part.caveats);
    let busy = evidence.good.iter().filter(|trial| !trial.conditions.quiet).count();
    Finding {
        experiment,
        question: question.unwrap_or_else(|| e10::QUESTION.to_owned()),
        takeaway: part.takeaway.map_or_else(|| NOTHING.to_owned(), |said| warning(busy, evidence.good.len()) + &said),
        figures: part.figures,
        tables: part.tables,
        caveats,
    }
}

/// What a takeaway begins with, where a busy machine may be all that it tells of.
fn warning(busy: usize, trials: usize) -> String {
    match busy {
        0 => String::new(),
        _ if busy == trials => "Not to be relied on, for every trial met a busy machine: ".to_owned(),
        _ if 2 * busy > trials => {
            format!("To be taken with care, for {busy} of {trials} trials met a busy machine: ")
        }
        _ => String::new(),
    }
}
