//! `raftianctl partition`: cuts the links between groups of nodes.

use std::time::Duration;

use raftian_rpc::connect::Http;
use raftian_rpc::lab::{FaultReport, LabClient as _, Layout, PartitionRequest};
use raftian_rpc::selector::Selector;

use crate::cli::Context;
use crate::cmd::fault;
use crate::failure::{Failure, Kind};
use crate::{progress, units, words};

const EXAMPLES: &str = "\
Examples:
  raftianctl partition n1,n2 n3,n4,n5
  raftianctl partition @leader @followers --one-way --for 10s
  raftianctl partition --shape isolate=@leader
  raftianctl partition --shape bridge

Shapes:
  isolate=SELECTOR   these on one side, all others on the other
  bridge             two halves that both still reach the one node between them
  ring               every node reaches its two neighbours only
  halves             a majority, and a minority with the leader in it

--one-way cuts only what earlier groups send to later ones. A node in no group keeps all its links.";

/// How long the daemon may wait for the next leader: three of the longest election time-outs that a lab can have.
const PATIENCE: Duration = Duration::from_secs(180);

/// Cut the network between two or more groups of nodes
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Two or more groups that share no node, each a selector
    #[arg(value_name = "GROUP", required_unless_present = "shape", conflicts_with = "shape", num_args = 1..)]
    groups: Vec<Selector>,
    /// How to find the groups, instead of naming them: isolate=SELECTOR, bridge, ring or halves
    #[arg(long, value_name = "SHAPE", value_parser = shape)]
    shape: Option<Layout>,
    /// Cut only the way from earlier groups to later ones
    #[arg(long)]
    one_way: bool,
    /// Heal by itself after this time
    #[arg(long = "for", value_name = "TIME", value_parser = units::duration, allow_hyphen_values = true)]
    lasting: Option<Duration>,
}

/// Cuts the links.
pub(crate) async fn run(context: &Context, args: Args) -> Result<(), Failure> {
    let layout = match args.shape {
        Some(layout) => layout,
        None if args.groups.len() < 2 => {
            let why = format!(
                "a partition needs at least two groups, and `{}` is one; name the others, for instance `'!{}'`, or use \
                 `--shape isolate={}`",
                args.groups[0], args.groups[0], args.groups[0]
            );
            return Err(Failure::new(Kind::Usage, why));
        }
        None => Layout::Groups(args.groups),
    };
    let one_way = args.one_way;
    let request = PartitionRequest { layout, one_way, for_ms: args.lasting.map(words::millis) };
    let daemon = context.daemon().await?;
    let call = daemon.wait(PATIENCE, async |lab: Http| lab.partition(request).await);
    let report = progress::watched(context.output, &daemon, call).await?;
    fault::note_unconfirmed(context, &report);
    context.output.notes(&report.notes);
    context.output.report(&report, |report| summary(report, one_way, args.lasting))
}

fn summary(report: &FaultReport, one_way: bool, lasting: Option<Duration>) -> String {
    let ways = if one_way { "one way" } else { "both ways" };
    let time = fault::lifetime(lasting, "heal");
    let leader = report.leader.as_ref().map_or(String::new(), |leadership| format!("\n{}", words::leads(leadership)));
    let seen = fault::seen(&report.fault);
    format!("{}: {}, {ways}, {time} `raftianctl heal`\n{seen}{leader}", report.fault.id, report.fault.title)
}

fn shape(text: &str) -> Result<Layout, String> {
    match text {
        "bridge" => Ok(Layout::Bridge),
        "ring" => Ok(Layout::Ring),
        "halves" => Ok(Layout::Halves),
        _ => match text.strip_prefix("isolate=") {
            Some(selector) => selector.parse().map(Layout::Isolate).map_err(|error| format!("{error}")),
            None => Err(format!("`{text}` is not a shape; use isolate=SELECTOR, bridge, ring or halves")),
        },
    }
}

#[cfg(test)]
mod tests {
    use raftian_rpc::faults::Effect;
    use raftian_rpc::lab::{Fault, FaultId, FaultKind};

    use super::*;

    #[test]
    fn shapes_are_those_of_the_help() {
        assert!(matches!(shape("isolate=@leader"), Ok(Layout::Isolate(_))));
        assert!(matches!(shape("halves"), Ok(Layout::Halves)));
        for text in ["isolate", "isolate=", "isolate=boss", "star", ""] {
            assert!(shape(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_partition_is_told_with_its_end() {
        let fault = Fault {
            id: FaultId(1),
            title: "partition n1,n5 | n2,n3,n4".into(),
            what: FaultKind::Links { effect: Effect::CUT, links: vec![] },
            since_ns: 0,
            until_ns: None,
            injected: true,
            proof: None,
        };
        let report =
            FaultReport { fault, resolved: vec![], confirmed: Default::default(), leader: None, notes: vec![] };
        assert_eq!(
            summary(&report, false, Some(Duration::from_secs(10))),
            "f1: partition n1,n5 | n2,n3,n4, both ways, for 10 s; heal earlier with `raftianctl heal`\n\
             injected, and not seen yet; `raftianctl fault list` shows when it is"
        );
        assert_eq!(
            summary(&report, true, None),
            "f1: partition n1,n5 | n2,n3,n4, one way, until you heal it with `raftianctl heal`\n\
             injected, and not seen yet; `raftianctl fault list` shows when it is"
        );
    }
}
