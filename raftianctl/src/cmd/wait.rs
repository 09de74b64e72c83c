//! `raftianctl wait`: blocks until a condition holds.

use std::time::Duration;

use raftian_rpc::condition::Condition;
use raftian_rpc::connect::Http;
use raftian_rpc::lab::{LabClient as _, WaitReport};

use crate::cli::Context;
use crate::failure::Failure;
use crate::{progress, units, words};

const EXAMPLES: &str = "\
Examples:
  raftianctl wait leader
  raftianctl wait converged --timeout 30s
  raftianctl wait 'commit>=100'

Conditions:
  leader     a node leads with a quorum
  stable     all that run follow one leader, and have for an election time-out
  converged  stable, and all have applied the same entries, digests equal
  commit>=N  the leader's commitIndex is at least N";

/// Wait until there is a leader, stability, agreement or a commit
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// leader, stable, converged, or commit>=N (in quotes, for the shell's sake)
    #[arg(value_name = "CONDITION")]
    condition: Condition,
    /// How long to wait; then the exit code is 124
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = units::duration, allow_hyphen_values = true)]
    timeout: Duration,
}

/// Waits.
pub(crate) async fn run(context: &Context, args: Args) -> Result<(), Failure> {
    let daemon = context.daemon().await?;
    let (condition, timeout_ms) = (args.condition, words::millis(args.timeout));
    let call = daemon.wait(args.timeout, async |lab: Http| lab.wait(condition, timeout_ms).await);
    let report = progress::watched(context.output, &daemon, call).await?;
    context.output.report(&report, summary)
}

fn summary(report: &WaitReport) -> String {
    let WaitReport { condition, after_ms, leader, term, commit_index } = report;
    let leader = leader.map_or("there is no leader".to_owned(), |leader| format!("{leader} leads term {term}"));
    let when = match after_ms {
        0 => "already".to_owned(),
        _ => format!("after {}", words::spell_ms(*after_ms)),
    };
    format!("{condition} {when}: {leader}, commit index {commit_index}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_came_true_is_told_in_a_line() {
        let report = WaitReport {
            condition: Condition::Commit(10),
            after_ms: 12,
            leader: "n5".parse().ok(),
            term: 2,
            commit_index: 14,
        };
        assert_eq!(summary(&report), "commit>=10 after 12 ms: n5 leads term 2, commit index 14");
        let at_once = WaitReport { after_ms: 0, ..report };
        assert_eq!(summary(&at_once), "commit>=10 already: n5 leads term 2, commit index 14");
    }
}
