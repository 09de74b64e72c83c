//! `raftianctl why`: why the lab is as it is.

use raftian_rpc::connect::Http;
use raftian_rpc::lab::{LabClient as _, Question, WhyReport};

use crate::advice;
use crate::cli::Context;
use crate::failure::{Failure, Kind};

const EXAMPLES: &str = "\
Examples:
  raftianctl why
  raftianctl why no-leader
  raftianctl why n3
  raftianctl why f2
  raftianctl why uncommitted 17

Without a question it tells what is wrong now, the most important first. The first line of that is also in `raftianctl \
status`, and in what commands say that waited in vain for a leader.";

/// Say what is wrong, why no node leads, why a node is as it is
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// no-leader, leader, slow, uncommitted INDEX, a node (n3) or a fault (f2)
    #[arg(value_name = "QUESTION", num_args = 0..=2)]
    question: Vec<String>,
}

/// Asks, and prints a line for each reason.
pub(crate) async fn run(context: &Context, args: Args) -> Result<(), Failure> {
    let question = match args.question.is_empty() {
        true => Question::default(),
        false => args.question.join(" ").parse().map_err(|why| Failure::new(Kind::Usage, why))?,
    };
    let daemon = context.daemon().await?;
    let report = daemon.ask(async |lab: Http| lab.why(question).await).await?;
    context.output.report(&report, said)
}

fn said(report: &WhyReport) -> String {
    let lines: Vec<String> = report.reasons.iter().map(advice::said).collect();
    lines.join("\n")
}
