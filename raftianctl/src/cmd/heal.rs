//! `raftianctl heal`: clears all faults on links, or one.

use raftian_rpc::lab::FaultId;

use crate::cli::Context;
use crate::cmd::fault;
use crate::failure::Failure;

/// Clear all partitions and link faults, or one of them
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  raftianctl heal && raftianctl wait converged\n  raftianctl heal f1")]
pub(crate) struct Args {
    /// Only this one, by the id that `raftianctl fault list` shows [default: all]
    #[arg(value_name = "ID")]
    id: Option<FaultId>,
}

/// Clears them.
pub(crate) async fn run(context: &Context, args: Args) -> Result<(), Failure> {
    fault::clear(context, args.id).await
}
