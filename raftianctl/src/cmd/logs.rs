//! `raftianctl logs`: what nodes say: their standard error and their traces.
//!
//! Read from the lab's folder, so that it works for a lab that is down. Only selectors that ask for the state of the lab
//! (`@leader`) take a daemon.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use raftian_rpc::clock::monotonic_ns;
use raftian_rpc::connect::Http;
use raftian_rpc::host_event::HostEvent;
use raftian_rpc::lab::LabClient as _;
use raftian_rpc::selector::Selector;
use raftian_rpc::{NodeId, RaftEvent, selector};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::cli::Context;
use crate::connect::no_daemon;
use crate::failure::{Failure, Kind};
use crate::output::while_read;
use crate::units;
use raftian_view::story;

const EXAMPLES: &str = "\
Examples:
  raftianctl logs
  raftianctl logs n2
  raftianctl logs n2 -f -n 50
  raftianctl logs @leader --type voted --since 1m

Times are UTC. Lines of a node's standard error begin with `stderr`. --type and --since choose among the lines of the trace.";

/// How often files are looked at for more, while following.
const LOOK: Duration = Duration::from_millis(100);

/// As much of the end of a file as is read for its last lines.
const TAIL_BYTES: u64 = 4 * 1024 * 1024;

/// Show what nodes say: their errors, and their turning points
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Which nodes: n3, n1-3, n1,n4, @leader and the like [default: all]
    #[arg(value_name = "SELECTOR")]
    nodes: Option<Selector>,
    /// Go on with new lines as they come
    #[arg(short, long)]
    follow: bool,
    /// How many past lines, of the trace and of the errors of each node
    #[arg(short = 'n', long, value_name = "COUNT", default_value_t = 20)]
    lines: usize,
    /// Only lines of the trace of this type, as `-o json` names their event: role, voted, started, …
    #[arg(long = "type", value_name = "TYPE")]
    kind: Option<String>,
    /// Only lines of the trace from within this time
    #[arg(long, value_name = "TIME", value_parser = units::duration, allow_hyphen_values = true)]
    since: Option<Duration>,
}

/// Where a line comes from, and what it says.
#[derive(Debug, Serialize)]
#[serde(tag = "source", content = "line", rename_all = "snake_case")]
enum Line {
    Trace(Value),
    Stderr(String),
}

/// A line with its node.
#[derive(Debug, Serialize)]
struct Said {
    node: NodeId,
    #[serde(flatten)]
    line: Line,
}

/// The files of one node.
struct Source {
    node: NodeId,
    stderr: Tail,
    trace: Tail,
}

/// Which lines are shown, and how.
struct View {
    kind: Option<String>,
    since_ns: u64,
    /// Whether lines name their node.
    names: bool,
}

/// Shows the lines.
pub(crate) async fn run(context: &Context, args: Args) -> Result<(), Failure> {
    let folder = context.folder()?;
    if !folder.path().exists() {
        return Err(no_daemon(&context.lab, &folder));
    }
    let nodes = match (args.nodes.as_ref().and_then(Selector::as_node), args.nodes) {
        // What is in the folder can be read without a daemon.
        (Some(named), _) => BTreeSet::from([selector::meant(named, &folder.nodes()).unwrap_or(named)]),
        (None, None) => folder.nodes().into_iter().collect(),
        (None, Some(selector)) => {
            let daemon = context.daemon().await?;
            daemon.ask(async |lab: Http| lab.resolve(selector).await).await?.nodes
        }
    };
    let since_ns = args
        .since
        .map_or(0, |since| monotonic_ns().saturating_sub(u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)));
    let view = View { kind: args.kind.map(|kind| kind.replace('-', "_")), since_ns, names: nodes.len() > 1 };
    let mut sources = Vec::new();
    for node in nodes {
        let path = folder.node(node);
        if !path.exists() {
            let why = format!(
                "lab `{}` has no node {node} (there is no {}); see `raftianctl status`",
                context.lab,
                path.display()
            );
            return Err(Failure::new(Kind::Usage, why));
        }
        let (stderr, trace) = (Tail::new(path.join("stderr.log")), Tail::new(path.join("trace.jsonl")));
        sources.push(Source { node, stderr, trace });
    }
    for source in &mut sources {
        let (errors, trace) = source.last(&view, args.lines)?;
        errors.into_iter().chain(trace).try_for_each(|said| show(context, &view, &said))?;
    }
    if args.follow { while_read(follow(context, sources, &view)).await } else { Ok(()) }
}

async fn follow(context: &Context, mut sources: Vec<Source>, view: &View) -> Result<(), Failure> {
    loop {
        tokio::time::sleep(LOOK).await;
        for source in &mut sources {
            let (errors, trace) = source.more(view)?;
            errors.into_iter().chain(trace).try_for_each(|said| show(context, view, &said))?;
        }
    }
}

impl Source {
    /// The last lines there are now, of the errors and of the trace.
    fn last(&mut self, view: &View, count: usize) -> Result<(Vec<Said>, Vec<Said>), Failure> {
        let last = |mut lines: Vec<Said>| lines.split_off(lines.len().saturating_sub(count));
        let errors = self.stderr.last().map_err(|error| self.stderr.unreadable(&error))?;
        let trace = self.trace.last().map_err(|error| self.trace.unreadable(&error))?;
        Ok((last(self.errors(errors)), last(self.traced(view, trace))))
    }

    /// The lines that have come since the last look.
    fn more(&mut self, view: &View) -> Result<(Vec<Said>, Vec<Said>), Failure> {
        let errors = self.stderr.more().map_err(|error| self.stderr.unreadable(&error))?;
        let trace = self.trace.more().map_err(|error| self.trace.unreadable(&error))?;
        Ok((self.errors(errors), self.traced(view, trace)))
    }

    fn errors(&self, lines: Vec<String>) -> Vec<Said> {
        lines.into_iter().map(|text| Said { node: self.node, line: Line::Stderr(text) }).collect()
    }

    fn traced(&self, view: &View, lines: Vec<String>) -> Vec<Said> {
        let values = lines.into_iter().map(trace_line).filter(|value| view.wants(value));
        values.map(|value| Said { node: self.node, line: Line::Trace(value) }).collect()
    }
}

impl View {
    /// Whether a line of the trace is to be shown.
    fn wants(&self, line: &Value) -> bool {
        let is_recent = line.get("at_ns").and_then(Value::as_u64).is_none_or(|at_ns| at_ns >= self.since_ns);
        let kind = line.get("event").and_then(Value::as_str);
        is_recent && self.kind.as_deref().is_none_or(|wanted| kind == Some(wanted))
    }
}

/// A line that is no JSON is half of one, torn when the node was killed; it is shown as it is.
fn trace_line(text: String) -> Value {
    serde_json::from_str(&text).unwrap_or(Value::String(text))
}

fn show(context: &Context, view: &View, said: &Said) -> Result<(), Failure> {
    context.output.data(said, |said| {
        let name = if view.names { format!("{:<5} ", said.node.to_string()) } else { String::new() };
        match &said.line {
            Line::Stderr(text) => format!("{name}stderr         {text}"),
            Line::Trace(value) => format!("{name}{}", traced(value, monotonic_ns(), unix_ms())),
        }
    })
}

/// A line of the trace as a sentence.
fn traced(line: &Value, now_ns: u64, now_unix_ms: u64) -> String {
    let Some(fields) = line.as_object() else { return line.to_string() };
    let time = match fields.get("at_ns").and_then(Value::as_u64) {
        // A time ahead of the clock is from before the machine was started anew.
        Some(at_ns) if at_ns <= now_ns => story::clock(now_unix_ms.saturating_sub((now_ns - at_ns) / 1_000_000)),
        _ => "earlier".to_owned(),
    };
    if let Ok(event) = RaftEvent::deserialize(line) {
        return format!("{time:<13}  {}", story::raft(&event));
    }
    if let Ok(event) = HostEvent::deserialize(line) {
        return format!("{time:<13}  {}", story::host(&event));
    }
    let event = fields.get("event").and_then(Value::as_str).unwrap_or("?");
    let mut text = format!("{time:<13}  {event}");
    for (name, value) in
        fields.iter().filter(|(name, value)| !["at_ns", "node", "event"].contains(&name.as_str()) && !value.is_null())
    {
        text.push_str(&match value {
            Value::String(value) => format!(" {name}={value}"),
            other => format!(" {name}={other}"),
        });
    }
    text
}

fn unix_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}

/// A file of lines that grows.
struct Tail {
    path: PathBuf,
    /// How far it has been read.
    offset: u64,
    /// A line that has no end yet.
    partial: Vec<u8>,
}

impl Tail {
    fn new(path: PathBuf) -> Tail {
        Tail { path, offset: 0, partial: Vec::new() }
    }

    /// The lines at the end of the file. A file that is not there has none.
    fn last(&mut self) -> io::Result<Vec<String>> {
        self.offset = self.length()?.saturating_sub(TAIL_BYTES);
        self.more()
    }

    /// The lines that have come to their end since the last look.
    fn more(&mut self) -> io::Result<Vec<String>> {
        let length = self.length()?;
        if length < self.offset {
            // Put aside and begun anew.
            (self.offset, self.partial) = (0, Vec::new());
        }
        if length == self.offset {
            return Ok(Vec::new());
        }
        let mut file = File::open(&self.path)?;
        file.seek(SeekFrom::Start(self.offset))?;
        self.offset += file.take(length - self.offset).read_to_end(&mut self.partial)? as u64;
        let end = self.partial.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        let rest = self.partial.split_off(end);
        let whole = std::mem::replace(&mut self.partial, rest);
        Ok(String::from_utf8_lossy(&whole).lines().map(str::to_owned).collect())
    }

    fn length(&self) -> io::Result<u64> {
        match self.path.metadata() {
            Ok(metadata) => Ok(metadata.len()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
            Err(error) => Err(error),
        }
    }

    fn unreadable(&self, error: &io::Error) -> Failure {
        Failure::failed(format!("{} cannot be read: {error}", self.path.display()))
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, OpenOptions};
    use std::io::Write as _;

    use serde_json::json;

    use super::*;

    #[test]
    fn a_growing_file_is_read_line_by_line() {
        let path = std::env::temp_dir().join(format!("raftianctl-tail-{}", std::process::id()));
        let mut tail = Tail::new(path.clone());
        assert!(tail.last().unwrap().is_empty());
        let mut file = OpenOptions::new().create(true).append(true).open(&path).unwrap();
        file.write_all(b"one\ntwo\nthr").unwrap();
        assert_eq!(tail.last().unwrap(), ["one", "two"]);
        file.write_all(b"ee\n").unwrap();
        assert_eq!(tail.more().unwrap(), ["three"]);
        assert!(tail.more().unwrap().is_empty());
        fs::write(&path, "new\n").unwrap();
        assert_eq!(tail.more().unwrap(), ["new"]);
        fs::remove_file(&path).unwrap();
    }

    #[test]
    fn lines_are_chosen_by_type_and_time() {
        let view = |kind: Option<&str>, since_ns| View { kind: kind.map(str::to_owned), since_ns, names: false };
        let line = json!({"at_ns": 9, "node": "n2", "event": "voted", "term": 3, "candidate": "n1"});
        assert!(view(None, 0).wants(&line) && view(Some("voted"), 9).wants(&line));
        assert!(!view(Some("role"), 0).wants(&line) && !view(None, 10).wants(&line));
    }

    #[test]
    fn a_trace_is_told_in_sentences() {
        let line = json!({"at_ns": 1_000_000_000, "node": "n2", "event": "voted", "term": 3, "candidate": "n1"});
        assert_eq!(traced(&line, 2_000_000_000, 86_401_000), "00:00:00.000Z  votes for n1 in term 3");
        let line = json!({"at_ns": 9, "node": "n2", "event": "started", "port": 4000, "torn_tail": null});
        assert_eq!(traced(&line, 8, 0), "earlier        started port=4000");
        assert_eq!(traced(&json!("{\"at_"), 8, 0), "\"{\\\"at_\"");
    }
}
