//! `raftianctl heal`: clears all faults, or one.

use crate::cli::Context;
use crate::cmd::fault;
use crate::failure::Failure;

/// Clear all partitions and other faults, or one of them
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  raftianctl heal && raftianctl wait converged\n  raftianctl heal f1")]
pub(crate) struct Args {
    /// Only this one, by the id that `raftianctl fault list` shows; or `all`
    #[arg(value_name = "ID", default_value = "all", hide_default_value = true, value_parser = fault::one_or_all)]
    which: fault::Which,
}

/// Clears them.
pub(crate) async fn run(context: &Context, args: Args) -> Result<(), Failure> {
    fault::clear(context, args.which.0).await
}
