//! `raftianctl fault add|list|clear`: what goes wrong on single links.

use std::time::Duration;

use clap::Subcommand;
use raftian_rpc::clock::monotonic_ns;
use raftian_rpc::connect::Http;
use raftian_rpc::faults::Effect;
use raftian_rpc::lab::{ClearReport, Fault, FaultId, FaultReport, FaultRequest, LabClient as _};
use raftian_rpc::selector::{Selector, names};

use crate::cli::Context;
use crate::failure::{Failure, Kind};
use crate::table::{Align, Table};
use crate::{units, words};

const EXAMPLES: &str = "\
Examples:
  raftianctl fault add latency --from @leader --to @followers --one-way 50ms
  raftianctl fault add latency --from n1 --to n2 5ms --jitter 10ms --for 30s
  raftianctl fault list
  raftianctl fault clear f1";

const ADD_EXAMPLES: &str = "\
Examples:
  raftianctl fault add latency --from n1 --to n2,n3 50ms --jitter 10ms
  raftianctl fault add drop --from @leader --to @followers --one-way 20%";

const LATENCY_EXAMPLES: &str = "\
Examples:
  raftianctl fault add latency --from @leader --to @followers --one-way 50ms
  raftianctl fault add latency --from n1 --to n2,n3 50ms --jitter 10ms --for 30s";

const DROP_EXAMPLE: &str = "\
Example:
  raftianctl fault add drop --from n1 --to @all 20% --for 30s";

const DUPLICATE_EXAMPLE: &str = "\
Example:
  raftianctl fault add duplicate --from @all --to @all 10% --for 30s";

const REORDER_EXAMPLE: &str = "\
Example:
  raftianctl fault add reorder --from @all --to @all 20% --by 30ms";

/// Add, list and clear faults on the links between nodes
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES, arg_required_else_help = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Make messages late, lose some of them, deliver some twice or out of order
    #[command(subcommand, after_help = ADD_EXAMPLES, arg_required_else_help = true)]
    Add(Add),
    /// Show the faults in force, partitions included
    #[command(after_help = "Example:\n  raftianctl fault list")]
    List,
    /// Clear one fault, or all; as `raftianctl heal` does
    #[command(after_help = "Examples:\n  raftianctl fault clear f1\n  raftianctl fault clear all")]
    Clear {
        /// Which, by the id that `raftianctl fault list` shows; or `all`
        #[arg(value_name = "ID", value_parser = one_or_all)]
        which: Which,
    },
}

#[derive(Debug, Subcommand)]
enum Add {
    /// Make messages late
    #[command(after_help = LATENCY_EXAMPLES)]
    Latency {
        /// How late
        #[arg(value_name = "DELAY", value_parser = units::delay_ms, allow_hyphen_values = true)]
        delay_ms: f64,
        /// How much more or less than that, at random
        #[arg(long, value_name = "TIME", default_value = "0ms", value_parser = units::delay_ms, allow_hyphen_values = true)]
        jitter: f64,
        #[command(flatten)]
        links: Links,
    },
    /// Lose some messages at random
    #[command(visible_alias = "loss", after_help = DROP_EXAMPLE)]
    Drop {
        /// Which share of them
        #[arg(value_name = "SHARE", value_parser = units::probability, allow_hyphen_values = true)]
        probability: f64,
        #[command(flatten)]
        links: Links,
    },
    /// Deliver some messages twice
    #[command(after_help = DUPLICATE_EXAMPLE)]
    Duplicate {
        /// Which share of them
        #[arg(value_name = "SHARE", value_parser = units::probability, allow_hyphen_values = true)]
        probability: f64,
        #[command(flatten)]
        links: Links,
    },
    /// Hold some messages back, so that those after them come first
    #[command(after_help = REORDER_EXAMPLE)]
    Reorder {
        /// Which share of them
        #[arg(value_name = "SHARE", value_parser = units::probability, allow_hyphen_values = true)]
        probability: f64,
        /// For how long at most, at random
        #[arg(long, value_name = "TIME", default_value = "20ms", value_parser = units::delay_ms, allow_hyphen_values = true)]
        by: f64,
        #[command(flatten)]
        links: Links,
    },
}

#[derive(Debug, clap::Args)]
struct Links {
    /// Where the links start
    #[arg(long, value_name = "SELECTOR")]
    from: Selector,
    /// Where they end
    #[arg(long, value_name = "SELECTOR")]
    to: Selector,
    /// Not the way back; without this, links in both directions
    #[arg(long)]
    one_way: bool,
    /// Clear by itself after this time
    #[arg(long = "for", value_name = "TIME", value_parser = units::duration, allow_hyphen_values = true)]
    lasting: Option<Duration>,
}

/// Adds, lists or clears.
pub(crate) async fn run(context: &Context, args: Args) -> Result<(), Failure> {
    match args.verb {
        Verb::Add(Add::Latency { delay_ms, jitter, links }) => {
            add(context, Effect::latency(delay_ms, jitter).map_err(out_of_range)?, links).await
        }
        Verb::Add(Add::Drop { probability, links }) => {
            add(context, Effect::drop(probability).map_err(out_of_range)?, links).await
        }
        Verb::Add(Add::Duplicate { probability, links }) => {
            add(context, Effect::duplicate(probability).map_err(out_of_range)?, links).await
        }
        Verb::Add(Add::Reorder { probability, by, links }) => {
            add(context, Effect::reorder(probability, by).map_err(out_of_range)?, links).await
        }
        Verb::List => {
            let daemon = context.daemon().await?;
            let faults = daemon.ask(async |lab: Http| lab.fault_list().await).await?;
            context.output.report(&faults, |faults| list(faults, monotonic_ns(), context.output.colour()))
        }
        Verb::Clear { which: Which(id) } => clear(context, id).await,
    }
}

/// One fault, or all of them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Which(pub(crate) Option<FaultId>);

/// Reads which.
pub(crate) fn one_or_all(text: &str) -> Result<Which, String> {
    if text == "all" { Ok(Which(None)) } else { text.parse().map(|id| Which(Some(id))) }
}

/// Clears a fault, or all.
pub(crate) async fn clear(context: &Context, id: Option<FaultId>) -> Result<(), Failure> {
    let daemon = context.daemon().await?;
    let report = daemon.ask(async |lab: Http| lab.fault_clear(id).await).await?;
    context.output.report(&report, |report| match (report.cleared.is_empty(), id) {
        (true, Some(id)) => format!("{id}: no such fault in force; see `raftianctl fault list`"),
        (true, None) => "nothing to heal: no faults in force".to_owned(),
        (false, _) => cleared(report),
    })
}

/// Says which of the nodes concerned do not know of a fault yet.
pub(crate) fn note_unconfirmed(context: &Context, report: &FaultReport) {
    if context.output.is_json() {
        return;
    }
    for resolution in report.resolved.iter().filter(|resolution| resolution.selector.is_dynamic()) {
        context.output.note(&words::resolved(resolution));
    }
    let ends = report.fault.links.iter().flat_map(|(from, to)| [*from, *to]);
    // Links are between names.
    let confirmed: std::collections::BTreeSet<_> = report.confirmed.iter().map(|node| node.name()).collect();
    let silent: std::collections::BTreeSet<_> = ends.filter(|node| !confirmed.contains(node)).collect();
    if !silent.is_empty() {
        let names = names(&silent);
        context.output.note(&format!(
            "not yet known to {names}: a paused node learns of it before it runs on, a dead one when it starts"
        ));
    }
}

/// `for 10 s; heal earlier with`, or `until you heal it with`, to be followed by a command.
pub(crate) fn lifetime(lasting: Option<Duration>, verb: &str) -> String {
    match lasting {
        Some(time) => format!("for {}; {verb} earlier with", words::spell_ms(words::millis(time))),
        None => format!("until you {verb} it with"),
    }
}

/// The time a fault has left: `6.2 s left`, or `until cleared`.
pub(crate) fn remaining(fault: &Fault, now_ns: u64) -> String {
    match fault.until_ns {
        Some(until_ns) => format!("{:.1} s left", until_ns.saturating_sub(now_ns) as f64 / 1e9),
        None => "until cleared".to_owned(),
    }
}

/// `f1 partition n1 | n2 cleared`, a line for each.
fn cleared(report: &ClearReport) -> String {
    report.cleared.iter().map(|fault| format!("{}: {} cleared\n", fault.id, fault.title)).collect()
}

async fn add(context: &Context, effect: Effect, links: Links) -> Result<(), Failure> {
    let Links { from, to, one_way, lasting } = links;
    let request = FaultRequest { effect, from, to, one_way, for_ms: lasting.map(words::millis) };
    let daemon = context.daemon().await?;
    let report = daemon.ask(async |lab: Http| lab.fault_add(request).await).await?;
    note_unconfirmed(context, &report);
    context.output.report(&report, |report| {
        let Fault { id, title, links, .. } = &report.fault;
        let (count, time) = (links.len(), lifetime(lasting, "clear"));
        let plural = if count == 1 { "" } else { "s" };
        format!("{id}: {title} ({count} link{plural}), {time} `raftianctl fault clear {id}`")
    })
}

fn list(faults: &[Fault], now_ns: u64, colour: bool) -> String {
    if faults.is_empty() {
        return "no faults in force".to_owned();
    }
    let mut table =
        Table::new([("ID", Align::Left), ("FAULT", Align::Left), ("LINKS", Align::Right), ("TIME", Align::Left)]);
    for fault in faults {
        let count = fault.links.len().to_string();
        table.row([fault.id.to_string(), fault.title.clone(), count, remaining(fault, now_ns)]);
    }
    table.render(colour)
}

fn out_of_range(error: raftian_rpc::faults::InvalidEffect) -> Failure {
    Failure::new(Kind::Usage, error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(id: u64, until_ns: Option<u64>) -> Fault {
        let link = ("n1".parse().unwrap(), "n2".parse().unwrap());
        let title = "latency 50 ms n1 → n2".into();
        Fault { id: FaultId(id), title, effect: Effect::CUT, links: vec![link], since_ns: 0, until_ns }
    }

    #[test]
    fn the_list_says_how_long() {
        assert_eq!(list(&[], 0, false), "no faults in force");
        let text = list(&[fault(1, Some(6_240_000_000)), fault(12, None)], 40_000_000, false);
        assert_eq!(
            text,
            "ID   FAULT                  LINKS  TIME\nf1   latency 50 ms n1 → n2      1  6.2 s left\nf12  latency 50 ms n1 → n2      1  \
             until cleared\n"
        );
    }

    #[test]
    fn a_fault_past_its_end_has_no_time_left() {
        assert_eq!(remaining(&fault(1, Some(5)), 10), "0.0 s left");
    }
}
