//! `raftianctl disk`: damage to the files of nodes that are down.

use raftian_rpc::connect::Http;
use raftian_rpc::control::Damaged;
use raftian_rpc::faults::Damage;
use raftian_rpc::lab::{DamageReport, DamageRequest, LabClient as _};
use raftian_rpc::selector::Selector;

use crate::cli::Context;
use crate::failure::{Failure, Kind};
use crate::words;

const EXAMPLES: &str = "\
Examples:
  raftianctl kill n2 && raftianctl disk n2 flips entry 3
  raftianctl disk n2 flips hard_state
  raftianctl disk n2 torn
  raftianctl disk n2 kept
  raftianctl disk n2 put_back

flips entry INDEX, flips hard_state, flips snapshot: a bit flips, and the node refuses to start. torn: the log ends with a \
write that was not finished, which the node cuts. wiped: all is removed, and the node must be removed from the cluster. \
kept: a copy is made, and put_back puts it in the place of what is there. For a disk that misbehaves while its node runs, \
see `raftianctl fault add disk`.";

/// Damage the files of a node that is down
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Whose files
    #[arg(value_name = "SELECTOR")]
    on: Selector,
    /// What happens to them: flips PART, torn, wiped, kept or put_back
    #[arg(value_name = "WHAT", required = true, num_args = 1..=3)]
    what: Vec<String>,
}

/// Has it done.
pub(crate) async fn run(context: &Context, args: Args) -> Result<(), Failure> {
    let damage: Damage = args.what.join(" ").parse().map_err(|why| Failure::new(Kind::Usage, why))?;
    let request = DamageRequest { on: args.on, damage };
    let daemon = context.daemon().await?;
    let report = daemon.ask(async |lab: Http| lab.damage(request).await).await?;
    context.output.report(&report, summary)
}

fn summary(report: &DamageReport) -> String {
    let line = |(node, damaged): (&raftian_rpc::NodeId, &Damaged)| format!("{node}: disk {}\n", words::damage(damaged));
    report.done.iter().map(line).collect()
}
