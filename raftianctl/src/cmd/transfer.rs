//! `raftianctl transfer-leader`: transfers leadership, without a crash.

use std::time::Duration;

use raftian_rpc::connect::Http;
use raftian_rpc::lab::{LabClient as _, TransferReport, TransferRequest};
use raftian_rpc::selector::Selector;

use crate::cli::Context;
use crate::failure::Failure;
use crate::{progress, units, words};

const EXAMPLES: &str = "\
Examples:
  raftianctl transfer-leader n3
  raftianctl transfer-leader n3 --timeout 5s

The leader lets the other catch up, and then has it stand for election at once. Commands wait meanwhile; none is lost.";

/// Hand the lead over to another node
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// To whom: a selector that names one node
    #[arg(value_name = "SELECTOR")]
    to: Selector,
    /// How long it may take
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = units::duration, allow_hyphen_values = true)]
    timeout: Duration,
}

/// Hands the lead over.
pub(crate) async fn run(context: &Context, args: Args) -> Result<(), Failure> {
    let request = TransferRequest { to: args.to, timeout_ms: words::millis(args.timeout) };
    let daemon = context.daemon().await?;
    let call = daemon.wait(args.timeout, async |lab: Http| lab.transfer(request).await);
    let report = progress::watched(context.output, &daemon, call).await?;
    context.output.report(&report, summary)
}

fn summary(report: &TransferReport) -> String {
    let TransferReport { resolved, from, changed, leader } = report;
    let to = words::resolved(resolved);
    match changed {
        true => format!("{to}: {}, handed over by {from}", words::leads(leader)),
        false => format!("{to}: leads term {} already", leader.term),
    }
}

#[cfg(test)]
mod tests {
    use raftian_rpc::lab::{Leadership, Resolution};

    use super::*;

    #[test]
    fn a_lead_that_was_handed_over_is_told_in_a_line() {
        let n3 = "n3".parse().unwrap();
        let resolved = Resolution { selector: "n3".parse().unwrap(), nodes: [n3].into(), leader: None };
        let leader = Leadership { leader: n3, term: 5, after_ms: 12 };
        let mut report = TransferReport { resolved, from: "n1".parse().unwrap(), changed: true, leader };
        assert_eq!(summary(&report), "n3: n3 leads term 5 after 12 ms, handed over by n1");
        report.changed = false;
        assert_eq!(summary(&report), "n3: leads term 5 already");
    }
}
