//! `raftianctl heal`: clears all faults on links.

use raftian_rpc::connect::Http;
use raftian_rpc::lab::LabClient as _;

use crate::cli::Context;
use crate::cmd::fault;
use crate::failure::Failure;

/// Clear all partitions and link faults
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  raftianctl heal && raftianctl wait converged")]
pub(crate) struct Args {}

/// Clears them.
pub(crate) async fn run(context: &Context, _: Args) -> Result<(), Failure> {
    let daemon = context.daemon().await?;
    let report = daemon.ask(async |lab: Http| lab.fault_clear(None).await).await?;
    context.output.report(&report, |report| match report.cleared.is_empty() {
        true => "nothing to heal: no faults in force".to_owned(),
        false => fault::cleared(report),
    })
}
