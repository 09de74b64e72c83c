//! `raftianctl fault add|list|clear`: what goes wrong on single links, and inside nodes.

mod inside;
mod links;

use std::time::Duration;

use clap::Subcommand;
use raftian_rpc::clock::monotonic_ns;
use raftian_rpc::connect::Http;
use raftian_rpc::faults::proof::Outcome;
use raftian_rpc::lab::{ClearReport, Fault, FaultId, FaultReport, LabClient as _};
use raftian_rpc::selector::names;

use crate::cli::Context;
use crate::failure::Failure;
use crate::table::{Align, Table};
use crate::words;

const EXAMPLES: &str = "\
Examples:
  raftianctl fault add latency --from @leader --to @followers --one-way 50ms
  raftianctl fault add latency --from n1 --to n2 5ms --jitter 10ms --for 30s
  raftianctl fault add disk n2 slow 20ms
  raftianctl fault list
  raftianctl fault clear f1";

const ADD_EXAMPLES: &str = "\
Examples:
  raftianctl fault add latency --from n1 --to n2,n3 50ms --jitter 10ms
  raftianctl fault add drop --from @leader --to @followers --one-way 20%
  raftianctl fault add disk @leader hangs --for 5s
  raftianctl fault add clock n2 rate 1.1
  raftianctl fault add crash --on @leader --at before-sync";

/// Add, list and clear faults of links, disks and clocks
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES, arg_required_else_help = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Disturb links, disks or clocks, or crash a node at a point of its work
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
    #[command(flatten)]
    OnLinks(links::OnLinks),
    #[command(flatten)]
    InNodes(inside::InNodes),
    #[command(flatten)]
    Network(links::Network),
}

/// Adds, lists or clears.
pub(crate) async fn run(context: &Context, args: Args) -> Result<(), Failure> {
    match args.verb {
        Verb::Add(Add::OnLinks(what)) => added(context, links::add(context, what).await?),
        Verb::Add(Add::InNodes(what)) => added(context, inside::add(context, what).await?),
        Verb::Add(Add::Network(what)) => added(context, links::network(context, what).await?),
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
    // Faults are on names.
    let confirmed: std::collections::BTreeSet<_> = report.confirmed.iter().map(|node| node.name()).collect();
    let concerned = report.fault.nodes();
    let silent: std::collections::BTreeSet<_> = concerned.difference(&confirmed).copied().collect();
    if !silent.is_empty() {
        let names = names(&silent);
        context.output.note(&format!(
            "in effect in {names} only later: a paused node learns of it before it runs on, a dead one when it starts"
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

/// `f1: partition n1 | n2 cleared`, and what was seen of that, for each.
fn cleared(report: &ClearReport) -> String {
    let line = |fault: &Fault| {
        let end = report.ends.iter().find(|end| end.id == fault.id).map(|end| {
            let seen = end.gone.seen.join("; ");
            format!("; {} ({seen}): {}", words::gone(end.gone.outcome), end.outcome)
        });
        format!("{}: {} cleared{}\n", fault.id, fault.title, end.unwrap_or_default())
    };
    report.cleared.iter().map(line).collect()
}

/// Says what was added, and what was seen of it.
fn added(context: &Context, (report, lasting): (FaultReport, Option<Duration>)) -> Result<(), Failure> {
    note_unconfirmed(context, &report);
    context.output.notes(&report.notes);
    context.output.report(&report, |report| {
        let Fault { id, title, .. } = &report.fault;
        let links = match report.fault.links().len() {
            0 => String::new(),
            1 => " (1 link)".to_owned(),
            count => format!(" ({count} links)"),
        };
        let time = lifetime(lasting, "clear");
        format!("{id}: {title}{links}, {time} `raftianctl fault clear {id}`\n{}", seen(&report.fault))
    })
}

/// `in effect after 53 ms: n1→n2: 52 ms, wanted 50`, or that nothing was seen yet.
pub(crate) fn seen(fault: &Fault) -> String {
    match &fault.proof {
        Some(proof) => {
            let after = words::spell_ms(proof.at_ns.saturating_sub(fault.since_ns) / 1_000_000);
            format!("{} after {after}: {}", standing(fault), proof.seen.join("; "))
        }
        None => format!("{}, and not seen yet; `raftianctl fault list` shows when it is", standing(fault)),
    }
}

/// How far a fault has come, in a word or two.
fn standing(fault: &Fault) -> &'static str {
    match (&fault.proof, fault.injected) {
        (Some(proof), _) => match proof.outcome {
            Outcome::Confirmed => "in effect",
            Outcome::Inconclusive => "inconclusive",
            Outcome::Mismatch => "mismatch",
        },
        (None, true) => "injected",
        (None, false) => "set up",
    }
}

fn list(faults: &[Fault], now_ns: u64, colour: bool) -> String {
    if faults.is_empty() {
        return "no faults in force".to_owned();
    }
    let mut table = Table::new(["ID", "FAULT", "TIME", "STATE", "SEEN"].map(|name| (name, Align::Left)));
    for fault in faults {
        let seen = fault.proof.as_ref().and_then(|proof| proof.seen.first().cloned()).unwrap_or_default();
        let row =
            [fault.id.to_string(), fault.title.clone(), remaining(fault, now_ns), standing(fault).to_owned(), seen];
        table.row(row);
    }
    table.render(colour)
}

#[cfg(test)]
mod tests {
    use raftian_rpc::faults::Effect;
    use raftian_rpc::lab::{FaultKind, Proof};

    use super::*;

    fn fault(id: u64, until_ns: Option<u64>) -> Fault {
        let link = ("n1".parse().unwrap(), "n2".parse().unwrap());
        let title = "latency 50 ms n1 → n2".into();
        let what = FaultKind::Links { effect: Effect::CUT, links: vec![link] };
        let seen = vec!["n1→n2: 52 ms, wanted 50".to_owned()];
        let proof = until_ns.map(|_| Proof { at_ns: 60_000_000, outcome: Outcome::Confirmed, seen });
        Fault { id: FaultId(id), title, what, since_ns: 0, until_ns, injected: true, proof }
    }

    #[test]
    fn the_list_says_how_long() {
        assert_eq!(list(&[], 0, false), "no faults in force");
        let text = list(&[fault(1, Some(6_240_000_000)), fault(12, None)], 40_000_000, false);
        assert_eq!(
            text,
            "ID   FAULT                  TIME           STATE      SEEN\n\
             f1   latency 50 ms n1 → n2  6.2 s left     in effect  n1→n2: 52 ms, wanted 50\n\
             f12  latency 50 ms n1 → n2  until cleared  injected\n"
        );
    }

    #[test]
    fn what_was_seen_is_told_with_the_time_it_took() {
        assert_eq!(seen(&fault(1, Some(9))), "in effect after 60 ms: n1→n2: 52 ms, wanted 50");
        assert!(seen(&fault(1, None)).starts_with("injected, and not seen yet"));
    }

    #[test]
    fn a_fault_past_its_end_has_no_time_left() {
        assert_eq!(remaining(&fault(1, Some(5)), 10), "0.0 s left");
    }
}
