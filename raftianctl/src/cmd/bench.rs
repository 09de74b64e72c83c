//! `raftianctl bench …`: the experiments, from their trials to what can be said of them.
//!
//! Deliberately absent: experiments, statistics and charts, which are the bench library's.

mod compare;
mod list;
mod progress;
mod report;
mod run;

use clap::Subcommand;

use crate::cli::Context;
use crate::failure::{Failure, Kind};
use crate::interrupt::Interrupt;

/// Measure what a consensus server costs the game beside it
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  raftianctl bench list
  raftianctl bench run --out results/mine
  raftianctl bench report results/mine
  raftianctl bench compare results/before results/mine

An experiment (E0, E1, …) asks one question. An arm is one of the settings it compares, a trial one measurement of an \
arm with processes of its own, and a block one trial of every arm, in random order. A run is all blocks of the \
experiments that were asked for, and the folder with their raw data. Report, comparison and charts (`raftianctl plot`) \
are computed from that folder. No lab is needed.")]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

/// What can be done with runs.
#[derive(Debug, Subcommand)]
enum Verb {
    List(list::Args),
    Run(run::Args),
    Report(report::Args),
    Compare(compare::Args),
}

/// Does it.
pub(crate) async fn run(context: &Context, args: Args, mut interrupt: Interrupt) -> Result<u8, Failure> {
    let context = context.clone();
    let work: Box<dyn FnOnce() -> Result<(), Failure> + Send> = match args.verb {
        Verb::Run(args) => return run::run(&context, args, interrupt).await,
        Verb::List(_) => Box::new(move || list::run(&context)),
        Verb::Report(args) => Box::new(move || report::run(&context, &args)),
        Verb::Compare(args) => Box::new(move || compare::run(&context, &args)),
    };
    tokio::select! {
        done = aside(work) => done.map(|()| 0),
        () = interrupt.received() => Err(Failure::new(Kind::Interrupted, "")),
    }
}

/// Does what keeps a core busy, on a thread of its own, so that a Ctrl-C is heard meanwhile. Whoever drops the future
/// lets the thread go on for as long as the program does.
async fn aside<T: Send + 'static>(work: impl FnOnce() -> Result<T, Failure> + Send + 'static) -> Result<T, Failure> {
    let (sender, receiver) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || sender.send(work()));
    receiver.await.unwrap_or_else(|_| Err(Failure::failed("the work broke off; what it said is above")))
}
