//! `raftianctl snapshot`: nodes write their state down and discard the log that led to it.

use std::time::Duration;

use raftian_rpc::connect::Http;
use raftian_rpc::lab::{LabClient as _, SnapshotReport, SnapshotRequest};
use raftian_rpc::selector::Selector;

use crate::cli::Context;
use crate::failure::Failure;
use crate::table::{Align, Table};
use crate::{progress, units, words};

const EXAMPLES: &str = "\
Examples:
  raftianctl snapshot
  raftianctl snapshot @leader && raftianctl log
  raftianctl snapshot --keep 1000

A snapshot is a readable JSON file in the node's folder. Nodes also take snapshots by themselves, see `raftianctl start \
--snapshot-bytes`, and then keep 1,000 entries. During a `raftianctl load` keep as many, or its judges may miss some.";

/// Have nodes take a snapshot and discard the log it stands for
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Which nodes
    #[arg(value_name = "SELECTOR", default_value = "@all")]
    selector: Selector,
    /// Keep so many of the last entries all the same, for followers and readers that are only just behind
    #[arg(long, value_name = "ENTRIES", default_value_t = 0)]
    keep: u64,
    /// How long it may take
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = units::duration, allow_hyphen_values = true)]
    timeout: Duration,
}

/// Takes snapshots.
pub(crate) async fn run(context: &Context, args: Args) -> Result<(), Failure> {
    let Args { selector, keep, timeout } = args;
    let request = SnapshotRequest { selector, keep_entries: keep, timeout_ms: words::millis(timeout) };
    let daemon = context.daemon().await?;
    let call = daemon.wait(timeout, async |lab: Http| lab.snapshot(request).await);
    let report = progress::watched(context.output, &daemon, call).await?;
    if !context.output.is_json() {
        for (node, why) in &report.refused {
            context.output.note(&format!("{node} takes none: {why}"));
        }
    }
    context.output.report(&report, |report| table(report, context.output.colour()))?;
    match report.failed.is_empty() {
        true => Ok(()),
        false => Err(Failure::failed(failures(&report))),
    }
}

/// Who failed, and why.
fn failures(report: &SnapshotReport) -> String {
    let each: Vec<String> = report.failed.iter().map(|(node, why)| format!("{node} took no snapshot: {why}")).collect();
    each.join("; ")
}

fn table(report: &SnapshotReport, colour: bool) -> String {
    if report.taken.is_empty() {
        return if report.failed.is_empty() { "nothing to do".to_owned() } else { String::new() };
    }
    let mut table = Table::new([
        ("NODE", Align::Left),
        ("UP TO", Align::Right),
        ("TERM", Align::Right),
        ("SIZE", Align::Right),
        ("DISCARDED", Align::Right),
    ]);
    for taken in &report.taken {
        table.row([
            taken.node.to_string(),
            taken.last_index.to_string(),
            taken.last_term.to_string(),
            words::bytes(taken.bytes),
            format!("{} entries", taken.discarded),
        ]);
    }
    table.render(colour)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use raftian_rpc::control::SnapshotTaken;
    use raftian_rpc::lab::Resolution;

    use super::*;

    #[test]
    fn snapshots_stand_in_a_table() {
        let node = "n2".parse().unwrap();
        let taken = SnapshotTaken { node, last_index: 1_200, last_term: 3, bytes: 2_048, discarded: 1_200 };
        let resolved = Resolution { selector: "n2".parse().unwrap(), nodes: [node].into(), leader: None };
        let (refused, failed) = (BTreeMap::new(), BTreeMap::new());
        let mut report = SnapshotReport { resolved, taken: vec![taken], refused, failed };
        let expected = "NODE  UP TO  TERM    SIZE     DISCARDED\nn2     1200     3  2.0 kB  1200 entries\n";
        assert_eq!(table(&report, false), expected);
        report.taken.clear();
        assert_eq!(table(&report, false), "nothing to do");
        report.failed.insert(node, "no space left on device".into());
        assert_eq!(table(&report, false), "", "there was something to do");
        assert_eq!(failures(&report), "n2 took no snapshot: no space left on device");
    }
}
