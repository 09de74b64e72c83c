//! `raftianctl status`: what every node is doing.

#[cfg(test)]
mod tests;

use std::io::{self, IsTerminal as _};
use std::time::Duration;

use raftian_rpc::connect::Http;
use raftian_rpc::lab::{GameChoice, LabClient as _, LabStatus, NodeState};
use raftian_rpc::{AppKind, NodeId, Size};
use raftian_view::{NodeView, View};

use crate::cli::Context;
use crate::failure::Failure;
use crate::output::Paint;
use crate::table::{Align, Cell, Table};
use crate::{advice, units, words};

const EXAMPLES: &str = "\
Examples:
  raftianctl status
  raftianctl status --watch 500ms
  raftianctl status -o json | jq '.nodes[].server.term'

CPU is in percent of one core over about the last second, and with MEMORY the sum over a node's processes. FPS are the \
frames per second of the game beside a server, over the last second. LOG is the last index, SNAPSHOT the last that a \
snapshot stands for. DIGEST stands for the applied state: equal digests, equal states. A pre-candidate asks the others \
whether they would vote for it before it raises its term, so that a node which was cut off deposes nobody. Of a node that does not answer \
the table shows what it last said, and in ROLE what it was. A leader that \
hears no quorum cannot commit, and ROLE says so. A terminal that is too narrow for all columns shows the most important ones.";

/// Characters of a digest that are shown: enough to tell states apart by eye.
const DIGEST_CHARS: usize = 8;

/// The columns that a narrow terminal does without, the first of them first.
const EXPENDABLE: [&str; 7] = ["MEMORY", "CPU %", "DIGEST", "PORT", "SNAPSHOT", "LEADER", "LOG"];

/// Where frames per second stand in the table, where there are any: before the cost.
const FPS_COLUMN: usize = 9;

/// Where the last index of a snapshot stands, where there is one: beside that of the log.
const SNAPSHOT_COLUMN: usize = 8;

/// Show what every node is doing, and what is wrong
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Show it again and again, every second or at another interval
    #[arg(short, long, value_name = "INTERVAL", num_args = 0..=1, default_missing_value = "1s", value_parser = units::duration)]
    watch: Option<Duration>,
}

/// Shows the status, once or until interrupted.
pub(crate) async fn run(context: &Context, args: Args) -> Result<(), Failure> {
    let daemon = context.daemon().await?;
    let output = context.output;
    let Some(interval) = args.watch else {
        let status = daemon.ask(async |lab: Http| lab.status().await).await?;
        return output.report(&status, |status| page(status, output.colour(), output.columns()));
    };
    let redraws = io::stdout().is_terminal() && !output.is_json();
    let mut tick = tokio::time::interval(interval);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        let status = daemon.ask(async |lab: Http| lab.status().await).await?;
        output.report(&status, |status| {
            let page = page(status, output.colour(), output.columns());
            match redraws {
                true => redrawn(&page),
                false => format!("{page}\n"),
            }
        })?;
    }
}

/// The page over the last one, without the flicker of clearing the screen first.
fn redrawn(page: &str) -> String {
    let lines: Vec<&str> = page.lines().collect();
    format!("\x1b[H{}\x1b[K\x1b[J\n", lines.join("\x1b[K\n"))
}

fn page(status: &LabStatus, colour: bool, columns: Option<usize>) -> String {
    let view = View::of(status);
    let mut page = headline(&view);
    page.push('\n');
    if let Some(reason) = view.reasons.first() {
        page.push_str(&format!("{}\n", advice::said(reason)));
    }
    if view.nodes.is_empty() {
        return page;
    }
    page.push_str(&table(&view).fitting(columns, &EXPENDABLE).render(colour));
    for reason in view.reasons.iter().skip(1) {
        page.push_str(&format!("{}\n", advice::said(reason)));
    }
    page.push_str(&state(&view).unwrap_or_default());
    page
}

fn headline(view: &View) -> String {
    let leader = match view.leader {
        Some(leader) => format!("{leader} leads term {}", view.term),
        None if view.term == 0 => "no leader yet".to_owned(),
        None => format!("no leader, highest term {}", view.term),
    };
    let app = view.app.map_or("never started".to_owned(), |app| format!("{app}, seed {}, {leader}", view.seed));
    let daemon = &view.daemon;
    let cpu = daemon.cpu_percent.map_or(String::new(), |percent| format!("{percent:.1} % CPU, "));
    let memory = words::memory(daemon.memory_bytes);
    format!("lab `{}`: {app} (daemon: process {}, {cpu}{memory})", view.lab, daemon.pid)
}

fn table(view: &View) -> Table {
    use Align::{Left, Right};
    let plays = view.game != GameChoice::None;
    let compacts = view.nodes.iter().any(|node| node.snapshot_index > 0);
    let mut columns = vec![
        ("NODE", Left),
        ("STATE", Left),
        ("ROLE", Left),
        ("TERM", Right),
        ("LEADER", Left),
        ("COMMIT", Right),
        ("APPLIED", Right),
        ("LOG", Right),
        ("DIGEST", Left),
        ("CPU %", Right),
        ("MEMORY", Right),
        ("PORT", Right),
    ];
    if plays {
        columns.insert(FPS_COLUMN, ("FPS", Right));
    }
    if compacts {
        columns.insert(SNAPSHOT_COLUMN, ("SNAPSHOT", Right));
    }
    let mut table = Table::new(columns);
    for node in &view.nodes {
        let mut row = row(node, view.leader == Some(node.node));
        if plays {
            row.insert(FPS_COLUMN, fps(node));
        }
        if compacts {
            row.insert(SNAPSHOT_COLUMN, snapshot(node));
        }
        table.row(row);
    }
    table
}

/// Frames per second, of a node that runs; a dash before its game has said how it does.
fn fps(node: &NodeView) -> Cell {
    match node.is_old {
        true => Cell::default(),
        false => node.fps.map_or("–".to_owned(), |fps| format!("{fps:.0}")).into(),
    }
}

/// The last index that a snapshot stands for, of a node that has one.
fn snapshot(node: &NodeView) -> Cell {
    match node.snapshot_index {
        0 => Cell::default(),
        index => Cell::painted(index.to_string(), age(node)),
    }
}

/// How what a node says is shown: in the background, if it is old.
fn age(node: &NodeView) -> Paint {
    if node.is_old { Paint::Dim } else { Paint::Plain }
}

fn row(node: &NodeView, leads: bool) -> Vec<Cell> {
    let state = if node.is_silent { "silent" } else { words::state(node.state) };
    let paint = match node.state {
        NodeState::Running if node.is_silent => Paint::Warn,
        NodeState::Running => Paint::Plain,
        NodeState::Starting | NodeState::Paused => Paint::Warn,
        NodeState::Stopped => Paint::Dim,
        NodeState::Killed | NodeState::Failed => Paint::Bad,
    };
    let name_paint = if leads { Paint::Good } else { Paint::Plain };
    let mut row = vec![Cell::painted(node.node.to_string(), name_paint), Cell::painted(state, paint)];
    match node.role {
        Some(role) => {
            row.push(match node.is_old {
                false => Cell::painted(role.words(), name_paint),
                true => Cell::painted(format!("was {}", role.words()), Paint::Dim),
            });
            let numbers = [
                node.term.to_string(),
                node.knows.map_or("–".to_owned(), |leader| leader.to_string()),
                node.commit_index.to_string(),
                node.last_applied.to_string(),
                node.last_index.to_string(),
                node.digest.chars().take(DIGEST_CHARS).collect(),
            ];
            row.extend(numbers.map(|number| Cell::painted(number, age(node))));
        }
        None => row.extend((0..7).map(|_| Cell::default())),
    }
    match &node.usage {
        Some(usage) => {
            row.push(usage.cpu_percent.map_or("–".to_owned(), |percent| format!("{percent:.1}")).into());
            row.push(words::memory(usage.memory_bytes).into());
        }
        None => row.extend([Cell::default(), Cell::default()]),
    }
    row.push(node.address.map_or(String::new(), |address| address.port().to_string()).into());
    row
}

/// The application's state in a line, as the node with the newest sees it.
fn state(view: &View) -> Option<String> {
    let newest = view.nodes.iter().filter(|node| !node.is_old).max_by_key(|node| node.last_applied)?;
    let (node, app_state) = (newest.node, &newest.app_state);
    match view.app? {
        AppKind::Attack => players(node, app_state),
        AppKind::Kv => {
            let count = |name: &str| app_state.get(name).and_then(serde_json::Value::as_u64);
            let keys = match count("keys")? {
                1 => "1 key".to_owned(),
                keys => format!("{keys} keys"),
            };
            Some(format!("store (on {node}): {keys}, {}\n", words::bytes(count("bytes")?)))
        }
        AppKind::Canvas => {
            let size: Size = app_state.get("size")?.as_str()?.parse().ok()?;
            let painted = app_state.get("painted")?.as_u64()?;
            Some(format!("canvas (on {node}): {size}, {painted} of {} pixels painted\n", size.pixels()))
        }
    }
}

/// The hit points of the attack game.
fn players(node: NodeId, state: &serde_json::Value) -> Option<String> {
    let players = state.get("players")?.as_array()?;
    let hp = |player: &serde_json::Value| Some(format!("{}:{}", player.get("player")?, player.get("hp")?));
    let each: Vec<String> = players.iter().filter_map(hp).collect();
    Some(format!("players (number:hp, on {node}): {}\n", each.join(" ")))
}
