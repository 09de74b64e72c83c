//! `raftianctl sim peers`: what the test suites of other implementations of Raft test, played here.
//!
//! Invariant: a situation in which this core differs from its source passes when it is as its scenario says, with the
//! reason beside it; the exit code is 1 when any of them is not.

use raftian_script::{Figure, PEERS, nearest, peers_page};
use serde::Serialize;

use crate::cli::Context;
use crate::failure::{Failure, Kind};
use crate::output::Paint;
use crate::table::{Align, Cell, Table};
use crate::words::wrapped;

const EXAMPLES: &str = "\
Examples:
  raftianctl sim peers
  raftianctl sim peers etcd
  raftianctl sim peers toydb__append_pipeline
  raftianctl run toydb__append_pipeline --chart text

A situation holds if this core does what its source expects; if it differs, the reason stands below the table. Either \
way it passes if all is as its scenario says. Exit code 1 if one fails. docs/peers.md is the page about all of them.";

/// Play what the test suites of other implementations of Raft test
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Only the situations of this name, or whose names begin like this
    #[arg(value_name = "NAME")]
    name: Option<String>,
    /// Print the page about all of them instead of playing them
    #[arg(long, conflicts_with = "name")]
    markdown: bool,
}

/// A situation, and what came of it.
#[derive(Debug, Serialize)]
struct Situation {
    /// Its name.
    name: &'static str,
    /// What it is, in a line.
    title: String,
    /// Where it comes from.
    source: String,
    /// Whether this core does what the source expects.
    holds: bool,
    /// If not, what it does instead, and why.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// Whether all was as the scenario says.
    passed: bool,
    /// If not, what was not.
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<String>,
}

/// Plays them, or prints the page.
pub(crate) fn run(context: &Context, args: &Args) -> Result<u8, Failure> {
    let output = context.output;
    if args.markdown {
        return output.document(&peers_page()).map(|()| 0);
    }
    let prefix = args.name.as_deref().unwrap_or_default();
    let wanted = PEERS.iter().filter(|figure| figure.name.starts_with(prefix));
    let situations: Vec<Situation> = wanted.map(|figure| play(*figure)).collect();
    if situations.is_empty() {
        return Err(unknown(prefix));
    }
    output.data(&situations, |situations| describe(situations, output.colour()))?;
    Ok(u8::from(situations.iter().any(|situation| !situation.passed)))
}

fn play(figure: Figure) -> Situation {
    let scenario = figure.scenario();
    let stopped = raftian_sim::play(&scenario).stopped;
    Situation {
        name: figure.name,
        title: scenario.title,
        source: scenario.source,
        holds: scenario.differs.is_empty(),
        reason: Some(scenario.differs).filter(|reason| !reason.is_empty()),
        passed: stopped.is_none(),
        why: stopped.map(|stopped| stopped.to_string()),
    }
}

fn unknown(prefix: &str) -> Failure {
    let hint = match nearest(prefix, PEERS.iter().map(|figure| figure.name)) {
        Some(near) => format!("did you mean `{near}`?"),
        None => "`raftianctl sim peers` plays all of them".to_owned(),
    };
    Failure::new(Kind::Usage, format!("there is no situation whose name begins with `{prefix}`; {hint}"))
}

fn describe(situations: &[Situation], colour: bool) -> String {
    let columns = ["SITUATION", "HERE", "RESULT", "SOURCE"].map(|column| (column, Align::Left));
    let mut table = Table::new(columns);
    for Situation { name, source, holds, passed, .. } in situations {
        let here = if *holds { Cell::from("holds") } else { Cell::painted("differs", Paint::Warn) };
        let result = if *passed { Cell::painted("passed", Paint::Good) } else { Cell::painted("failed", Paint::Bad) };
        table.row([Cell::from(*name), here, result, Cell::from(source.as_str())]);
    }
    let mut text = table.render(colour);
    let reasons = situations.iter().filter_map(|one| Some((one.name, one.reason.as_deref()?)));
    let failures = situations.iter().filter_map(|one| Some((one.name, one.why.as_deref()?)));
    let mut list = |verb: &str, about: &mut dyn Iterator<Item = (&str, &str)>| {
        about.for_each(|(name, why)| text.push_str(&format!("\n{}\n", wrapped(&format!("{name} {verb}: {why}"), 100))));
    };
    list("differs", &mut reasons.into_iter());
    list("failed", &mut failures.into_iter());
    let count = |which: fn(&Situation) -> bool| situations.iter().filter(|situation| which(situation)).count();
    text.push_str(&format!(
        "\n{} situations: {} hold, {} differ; {} passed, {} failed.\n",
        situations.len(),
        count(|one| one.holds),
        count(|one| !one.holds),
        count(|one| one.passed),
        count(|one| !one.passed),
    ));
    text
}
