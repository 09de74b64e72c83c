//! `raftianctl log`: the logs of several nodes side by side.

use std::collections::BTreeSet;

use raftian_check::apps::{CanvasOp, Command, KvOp};
use raftian_rpc::Index;
use raftian_rpc::connect::Http;
use raftian_rpc::control::{LogLine, LogPage};
use raftian_rpc::lab::{LabClient as _, LogReport};
use raftian_rpc::selector::Selector;

use crate::cli::Context;
use crate::connect::Daemon;
use crate::failure::Failure;
use crate::output::Paint;
use crate::table::{Align, Cell, Table};
use crate::words;

const EXAMPLES: &str = "\
Examples:
  raftianctl log
  raftianctl log n2 -n 5
  raftianctl log n1,n4 --from 100 --limit 50

A column for each node, a row for each index: the entry's term, then its command. Where an entry changes who takes part,
a line above it says how. Lines under a row mark how far a node knows the log to be committed, and up to where a snapshot
stands for it; the entries before may be gone. ≠ marks rows in which the nodes differ.";

/// Characters of a command that are shown, where nothing better is known of it.
const COMMAND_CHARS: usize = 24;

/// Characters of a key and of a value that are shown.
const KEY_CHARS: usize = 16;
const VALUE_CHARS: usize = 12;

/// The characters of a line, where standard output is no terminal that says how many fit.
const LINE_CHARS: usize = 100;

/// The fewest characters that the column of a node has: as many as `── committed ──`.
const MIN_CELL_CHARS: usize = 15;

/// The characters in front of the columns of the nodes: the mark, the index, and blanks.
const FRONT_CHARS: usize = 12;

/// Show the logs of nodes side by side, and what is committed
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Which nodes
    #[arg(value_name = "SELECTOR", default_value = "@all")]
    selector: Selector,
    /// The first index [default: so that the last entries are shown]
    #[arg(long, value_name = "INDEX", value_parser = clap::value_parser!(u64).range(1..))]
    from: Option<Index>,
    /// How many entries, at most 4096
    #[arg(
        short = 'n',
        long,
        value_name = "COUNT",
        default_value_t = 20,
        value_parser = clap::value_parser!(u64).range(1..=4096)
    )]
    limit: u64,
}

/// Shows the logs.
pub(crate) async fn run(context: &Context, args: Args) -> Result<(), Failure> {
    let daemon = context.daemon().await?;
    let from = match args.from {
        Some(from) => from,
        None => {
            let status = daemon.ask(async |lab: Http| lab.status().await).await?;
            let last = status.nodes.iter().filter_map(|node| Some(node.server.as_ref()?.last_index)).max();
            (last.unwrap_or(0) + 1).saturating_sub(args.limit).max(1)
        }
    };
    let selector = args.selector;
    let mut report = daemon.ask(async |lab: Http| lab.log(selector, from, args.limit).await).await?;
    for page in &mut report.pages {
        complete(&daemon, page, from, args.limit).await?;
    }
    if report.pages.is_empty() {
        let first = report.silent.iter().next();
        let why =
            first.map_or_else(|| "no node answered".to_owned(), |(node, why)| format!("{node} shows nothing: {why}"));
        return Err(Failure::failed(format!("no log can be read: {why}; see `raftianctl status`")));
    }
    if !context.output.is_json() {
        for (node, reason) in &report.silent {
            context.output.note(&format!("{node} shows nothing: {reason}"));
        }
    }
    let columns = context.output.columns().unwrap_or(LINE_CHARS);
    context.output.data(&report, |report| table(report, from, columns, context.output.colour()))
}

/// Asks for the entries that did not fit into the answer.
async fn complete(daemon: &Daemon, page: &mut LogPage, from: Index, limit: u64) -> Result<(), Failure> {
    loop {
        let next = page.entries.last().map_or(from.max(page.first_index), |last| last.index + 1);
        let lacks = (from + limit).min(page.last_index + 1).saturating_sub(next);
        let more = match lacks {
            0 => return Ok(()),
            _ => daemon.ask(async |lab: Http| lab.log(Selector::node(page.node), next, lacks).await).await?,
        };
        // A node that is gone meanwhile shows what it has shown.
        let Some(more) = more.pages.into_iter().next().filter(|more| !more.entries.is_empty()) else { return Ok(()) };
        page.entries.extend(more.entries);
    }
}

fn table(report: &LogReport, from: Index, line_chars: usize, colour: bool) -> String {
    let pages = &report.pages;
    let cell_chars =
        (line_chars.saturating_sub(FRONT_CHARS) / pages.len().max(1)).saturating_sub(2).max(MIN_CELL_CHARS);
    let mut columns = vec![(String::new(), Align::Left), ("INDEX".to_owned(), Align::Right)];
    columns.extend(pages.iter().map(|page| (page.node.to_string(), Align::Left)));
    let mut table = Table::new(columns);
    // What nobody has any more takes no rows.
    let first = pages.iter().filter_map(|page| page.entries.first()).map(|entry| entry.index).min();
    let from = first.unwrap_or(from).max(from);
    let shown = pages.iter().filter_map(|page| page.entries.last()).map(|entry| entry.index).max();
    marks(pages, from - 1).into_iter().for_each(|row| table.row(row));
    for index in from..=shown.unwrap_or(0) {
        let entries: Vec<Option<&LogLine>> = pages.iter().map(|page| entry_at(page, index)).collect();
        let changes: BTreeSet<String> = entries.iter().flatten().filter_map(|entry| change(entry)).collect();
        changes.into_iter().for_each(|change| table.line(format!("{:10}{index}: {change}", "")));
        let mark = if differ(&entries) { Cell::painted("≠", Paint::Bad) } else { Cell::default() };
        let mut row = vec![mark, index.to_string().into()];
        row.extend(
            entries
                .into_iter()
                .map(|entry| Cell::from(entry.map_or(String::new(), |entry| shortened(&text(entry), cell_chars)))),
        );
        table.row(row);
        marks(pages, index).into_iter().for_each(|row| table.row(row));
    }
    let mut last_rows = vec![("commit", commit as fn(&LogPage) -> String), ("digest", digest)];
    if pages.iter().any(|page| page.snapshot_index > 0) {
        last_rows.push(("snapshot", snapshot));
    }
    for (name, value) in last_rows {
        let mut row = vec![Cell::default(), Cell::painted(name, Paint::Dim)];
        row.extend(pages.iter().map(|page| Cell::painted(value(page), Paint::Dim)));
        table.row(row);
    }
    table.render(colour)
}

fn commit(page: &LogPage) -> String {
    format!("{} of {}", page.commit_index, page.last_index)
}

fn snapshot(page: &LogPage) -> String {
    match page.snapshot_index {
        0 => "none".to_owned(),
        index => format!("up to {index}"),
    }
}

fn digest(page: &LogPage) -> String {
    let digest: String = page.digest.chars().take(8).collect();
    format!("{digest} at {}", page.last_applied)
}

fn entry_at(page: &LogPage, index: Index) -> Option<&LogLine> {
    let at = page.entries.binary_search_by_key(&index, |entry| entry.index).ok()?;
    Some(&page.entries[at])
}

/// What stands under an index in the column of a node, if anything does.
type Mark<'a> = &'a dyn Fn(&LogPage) -> Option<Cell>;

/// The lines under `index`, in the columns of the nodes whose snapshot or whose committed part ends there.
fn marks(pages: &[LogPage], index: Index) -> Vec<Vec<Cell>> {
    let snapshot: Mark<'_> = &|page| {
        let ends = page.snapshot_index == index && index > 0;
        ends.then(|| Cell::painted(format!("── snapshot up to {index} ──"), Paint::Dim))
    };
    let committed: Mark<'_> =
        &|page| (page.commit_index == index).then(|| Cell::painted("── committed ──", Paint::Good));
    let rows = [snapshot, committed].map(|mark| pages.iter().map(mark).collect::<Vec<Option<Cell>>>());
    let marked = rows.into_iter().filter(|row| row.iter().any(Option::is_some));
    let row = |cells: Vec<Option<Cell>>| {
        let cells = cells.into_iter().map(Option::unwrap_or_default);
        [Cell::default(), Cell::default()].into_iter().chain(cells).collect()
    };
    marked.map(row).collect()
}

/// Whether two nodes have different entries at one index. A node that has none yet does not contradict.
fn differ(entries: &[Option<&LogLine>]) -> bool {
    let content = |entry: &LogLine| {
        let command = entry.command.as_ref().map(|command| command.get().to_owned());
        (entry.term, command, entry.configuration.as_ref().map(ToString::to_string))
    };
    entries.iter().flatten().map(|entry| content(entry)).collect::<BTreeSet<_>>().len() > 1
}

/// Who takes part from an entry on, if it says that.
fn change(entry: &LogLine) -> Option<String> {
    entry.configuration.as_ref().map(words::configuration)
}

/// `2 attack 3`: the term and the command.
fn text(entry: &LogLine) -> String {
    let command = match (&entry.command, &entry.configuration) {
        (_, Some(_)) => "members".to_owned(),
        (None, None) => "no-op".to_owned(),
        (Some(raw), None) => match Command::parse(raw.get().as_bytes()) {
            Ok(command) => match (KvOp::parse(command.op()), CanvasOp::parse(command.op())) {
                (Ok(op), _) => spelt(&op),
                (_, Ok(op)) => painted(&op),
                _ => short(command.op().get()),
            },
            Err(_) => shortened(raw.get(), COMMAND_CHARS),
        },
    };
    format!("{} {command}", entry.term)
}

/// `{"attack":3}` as `attack 3`; other ops as they are.
fn short(op: &str) -> String {
    match serde_json::from_str(op) {
        Ok(serde_json::Value::Object(fields)) if fields.len() == 1 => {
            let (name, value) = fields.iter().next().expect("one field");
            shortened(&format!("{name} {value}"), COMMAND_CHARS)
        }
        _ => shortened(op, COMMAND_CHARS),
    }
}

/// An op of the key-value store as people say it: `set colour = "red"`, `incr hits by 1`.
fn spelt(op: &KvOp<'_>) -> String {
    let key = words::escaped(&shortened(op.key(), KEY_CHARS));
    match op {
        KvOp::Get(_) => format!("get {key}"),
        KvOp::Set(_, value) => format!("set {key} = {}", quoted(value)),
        KvOp::Del(_) => format!("del {key}"),
        KvOp::Cas(_, None, new) => format!("cas {key}: no value → {}", quoted(new)),
        KvOp::Cas(_, Some(old), new) => format!("cas {key}: {} → {}", quoted(old), quoted(new)),
        KvOp::Incr(_, by) => format!("incr {key} by {by}"),
    }
}

/// An op of a canvas as people say it: `paint 3,4 #ff0000`, of a batch the first pixel and how many there are.
fn painted(op: &CanvasOp) -> String {
    match op {
        CanvasOp::Pixel(x, y) => format!("pixel {x},{y}"),
        CanvasOp::Paint(pixels) => {
            let first = pixels.first().map(|(x, y, colour)| format!("{x},{y} {colour}")).unwrap_or_default();
            let others = if pixels.len() == 1 { String::new() } else { format!(" and {} more", pixels.len() - 1) };
            format!("paint {first}{others}")
        }
    }
}

/// A value on one line; of a long one the beginning and the size.
fn quoted(value: &str) -> String {
    match value.chars().count() > VALUE_CHARS {
        false => format!("{value:?}"),
        true => format!("{:?} ({})", shortened(value, VALUE_CHARS), words::bytes(value.len() as u64)),
    }
}

fn shortened(text: &str, limit: usize) -> String {
    match text.chars().count() > limit {
        true => text.chars().take(limit - 1).chain(['…']).collect(),
        false => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use raftian_rpc::lab::Resolution;
    use raftian_rpc::{Configuration, NodeId};
    use serde_json::value::RawValue;

    use super::*;

    fn entry(index: Index, term: u64, op: Option<&str>) -> LogLine {
        let command = |op| RawValue::from_string(format!(r#"{{"client":"c","serial":1,"op":{op}}}"#)).unwrap();
        LogLine { index, term, command: op.map(command), configuration: None }
    }

    fn page(node: &str, commit_index: Index, entries: Vec<LogLine>) -> LogPage {
        LogPage {
            node: node.parse().unwrap(),
            snapshot_index: 0,
            snapshot_term: 0,
            first_index: entries.first().map_or(1, |entry| entry.index),
            last_index: entries.last().map_or(0, |entry| entry.index),
            durable_index: commit_index,
            commit_index,
            last_applied: commit_index,
            digest: "3fa9c1d27788".into(),
            entries,
        }
    }

    #[test]
    fn logs_stand_side_by_side_with_what_differs_and_what_is_committed() {
        let attack = Some(r#"{"attack":3}"#);
        let pages = vec![
            page("n1", 2, vec![entry(1, 1, None), entry(2, 1, attack), entry(3, 1, attack)]),
            page("n2", 1, vec![entry(1, 1, None), entry(2, 1, attack), entry(3, 2, None)]),
            page("n3", 0, vec![entry(1, 1, None)]),
        ];
        let resolved = Resolution { selector: "@all".parse().unwrap(), nodes: BTreeSet::new(), leader: None };
        let report = LogReport { resolved, pages, silent: Default::default() };
        let expected = "    INDEX  n1               n2               n3
                                             ── committed ──
        1  1 no-op          1 no-op          1 no-op
                            ── committed ──
        2  1 attack 3       1 attack 3
           ── committed ──
≠       3  1 attack 3       2 no-op
   commit  2 of 3           1 of 3           0 of 1
   digest  3fa9c1d2 at 2    3fa9c1d2 at 1    3fa9c1d2 at 0
";
        assert_eq!(table(&report, 1, 100, false), expected);
    }

    #[test]
    fn compaction_and_configurations_are_in_words() {
        let set = |ids: &[&str]| ids.iter().map(|id| id.parse().unwrap()).collect::<BTreeSet<NodeId>>();
        let members = Configuration::of(set(&["n1", "n2"]), set(&[]), set(&["n3"]));
        let change = LogLine { configuration: members, ..entry(8, 2, None) };
        let attack = Some(r#"{"attack":3}"#);
        let mut pages = vec![
            page("n1", 8, vec![entry(7, 2, attack), change.clone()]),
            page("n2", 8, vec![change]),
            page("n3", 8, vec![]),
        ];
        for (page, snapshot_index) in pages.iter_mut().zip([0, 7, 8]) {
            (page.snapshot_index, page.last_index) = (snapshot_index, 8);
        }
        let resolved = Resolution { selector: "@all".parse().unwrap(), nodes: BTreeSet::new(), leader: None };
        let report = LogReport { resolved, pages, silent: Default::default() };
        let expected = "       INDEX  n1                            n2                            n3
           7  2 attack 3
                                            ── snapshot up to 7 ──
          8: voters n1,n2 + learner n3
           8  2 members   2 members
                                                                          ── snapshot up to 8 ──
              ── committed ──               ── committed ──               ── committed ──
      commit  8 of 8                        8 of 8                        8 of 8
      digest  3fa9c1d2 at 8                 3fa9c1d2 at 8                 3fa9c1d2 at 8
    snapshot  none                          up to 7                       up to 8
";
        let told = table(&report, 1, 100, false);
        assert!(told.contains("\n          8: voters n1,n2 + learner n3\n"), "{told}");
        let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(words(&told), words(expected), "{told}");
    }

    #[test]
    fn seven_nodes_fit_where_their_marks_do_and_five_fit_into_100_columns() {
        let long = Some(r#"{"set":["a-key-that-is-long","and a long value"]}"#);
        let report = |nodes: u16| {
            let pages = (1..=nodes).map(|node| page(&format!("n{node}"), 1, vec![entry(1, 1, long)])).collect();
            let resolved = Resolution { selector: "@all".parse().unwrap(), nodes: BTreeSet::new(), leader: None };
            LogReport { resolved, pages, silent: Default::default() }
        };
        let widest = |text: &str| text.lines().map(|line| line.chars().count()).max().unwrap_or(0);
        assert!(widest(&table(&report(5), 1, 100, false)) <= 100);
        assert!(widest(&table(&report(3), 1, 80, false)) <= 80);
        assert!(table(&report(7), 1, 80, false).contains("── committed ──"));
        assert!(table(&report(1), 1, 100, false).contains(r#"1 set a-key-that-is-l… = "and a long …" (16 B)"#));
    }

    #[test]
    fn long_commands_are_cut() {
        let long = format!(r#"{{"unheard":"{}"}}"#, "é".repeat(100));
        assert_eq!(text(&entry(1, 2, Some(&long))).chars().count(), COMMAND_CHARS + 2);
        assert_eq!(text(&entry(1, 2, Some("[1,2]"))), "2 [1,2]");
    }

    #[test]
    fn ops_of_the_store_are_told_as_people_say_them() {
        let long = "é".repeat(1_000);
        for (op, told) in [
            (r#"{"set":["colour","red"]}"#, r#"2 set colour = "red""#),
            (r#"{"set":["lines","a\n\"b\""]}"#, r#"2 set lines = "a\n\"b\"""#),
            (r#"{"set":["k\n2","red"]}"#, r#"2 set k\n2 = "red""#),
            (r#"{"del":"\u001b[31m"}"#, r"2 del \u{1b}[31m"),
            (r#"{"del":"colour"}"#, "2 del colour"),
            (r#"{"incr":["hits",1]}"#, "2 incr hits by 1"),
            (r#"{"incr":["hits",-3]}"#, "2 incr hits by -3"),
            (r#"{"cas":["lock",null,"me"]}"#, r#"2 cas lock: no value → "me""#),
            (r#"{"cas":["colour","red","blue"]}"#, r#"2 cas colour: "red" → "blue""#),
            (&format!(r#"{{"set":["page","{long}"]}}"#), r#"2 set page = "ééééééééééé…" (2.0 kB)"#),
        ] {
            assert_eq!(text(&entry(1, 2, Some(op))), told);
        }
    }
}
