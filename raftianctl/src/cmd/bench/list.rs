//! `raftianctl bench list`: what can be measured, and how long that takes.

use raftian_bench::experiments::{self, Experiment, Profile};
use raftian_bench::suite::schedule::PlannedExperiment;
use raftian_bench::suite::trial::ExperimentId;
use serde::Serialize;

use crate::cli::Context;
use crate::failure::Failure;
use crate::output::Output;
use crate::table::{Align, Table};
use crate::words::spell_ms;

/// List the experiments, what each asks, and how long it takes
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  raftianctl bench list
  raftianctl bench list -o json

QUICK and PAPER are the profiles of `raftianctl bench run`: about how long the experiment takes with each, and beside it \
in how many TRIALS.")]
pub(crate) struct Args {}

/// An experiment.
#[derive(Debug, Serialize)]
struct Listed {
    id: ExperimentId,
    question: &'static str,
    quick: Effort,
    paper: Effort,
}

/// What a profile makes of an experiment.
#[derive(Debug, Serialize)]
struct Effort {
    arms: usize,
    blocks: u32,
    trials: usize,
    /// About how long all of it takes.
    total_ms: u64,
}

/// Lists them.
pub(crate) fn run(context: &Context) -> Result<(), Failure> {
    let all = experiments::all().iter().map(|one| Listed::of(one.as_ref())).collect::<Result<Vec<_>, _>>()?;
    context.output.data(&all, |all| table(all, context.output))
}

impl Listed {
    fn of(experiment: &dyn Experiment) -> Result<Listed, Failure> {
        let effort = |profile| PlannedExperiment::of(experiment, profile, None).map(|planned| Effort::of(&planned));
        Ok(Listed {
            id: experiment.id(),
            question: experiment.question(),
            quick: effort(Profile::Quick)?,
            paper: effort(Profile::Paper)?,
        })
    }
}

impl Effort {
    fn of(planned: &PlannedExperiment) -> Effort {
        let (arms, blocks) = (planned.plan.arms.len(), planned.plan.blocks);
        Effort { arms, blocks, trials: arms * blocks as usize, total_ms: planned.total_ms() }
    }
}

fn table(all: &[Listed], output: Output) -> String {
    let columns = [("ID", Align::Left), ("QUICK", Align::Right), ("TRIALS", Align::Right), ("PAPER", Align::Right)];
    let mut table = Table::new([&columns[..], &[("TRIALS", Align::Right), ("QUESTION", Align::Left)]].concat());
    for listed in all {
        let Listed { id, question, quick, paper } = listed;
        let [quick_ms, paper_ms] = [quick, paper].map(|effort| spell_ms(effort.total_ms / 1_000 * 1_000));
        let [quick, paper] = [quick, paper].map(|effort| effort.trials.to_string());
        table.row([id.to_string(), quick_ms, quick, paper_ms, paper, (*question).to_owned()]);
    }
    let total = |effort: fn(&Listed) -> &Effort| spell_ms(all.iter().map(|listed| effort(listed).total_ms).sum());
    let (quick, paper) = (total(|listed| &listed.quick), total(|listed| &listed.paper));
    format!("{}\nall: about {quick} in profile quick, {paper} in profile paper\n", table.render(output.colour()))
}
