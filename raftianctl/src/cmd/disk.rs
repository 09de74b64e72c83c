//! `raftianctl disk`: damage to the files of nodes that are down.

use raftian_rpc::connect::Http;
use raftian_rpc::control::Damaged;
use raftian_rpc::faults::Damage;
use raftian_rpc::lab::{DamageReport, DamageRequest, LabClient as _};
use raftian_rpc::selector::Selector;

use crate::cli::Context;
use crate::failure::{Failure, Kind};

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
    let line = |(node, damaged): (&raftian_rpc::NodeId, &Damaged)| format!("{node}: disk {}\n", done(damaged));
    report.done.iter().map(line).collect()
}

/// `flips entry 3, in 00000001.wal at byte 120`.
pub(crate) fn done(damaged: &Damaged) -> String {
    let name = damaged.file.as_ref().and_then(|file| file.file_name()).map(|name| name.to_string_lossy().into_owned());
    match (name, damaged.offset) {
        (Some(name), Some(offset)) => format!("{}, in {name} at byte {offset}", damaged.damage),
        _ => damaged.damage.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn damage_is_told_with_its_place() {
        let damage: Damage = "flips entry 3".parse().unwrap();
        let file = Some("/lab/nodes/n2/wal/00000001.wal".into());
        let damaged = Damaged { damage, file, offset: Some(120), length: Some(40) };
        assert_eq!(done(&damaged), "flips entry 3, in 00000001.wal at byte 120");
        let wiped = Damaged { damage: Damage::Wiped, file: None, offset: None, length: None };
        assert_eq!(done(&wiped), "wiped");
    }
}
