//! `raftianctl logs`: what a node says: its standard error and its trace.
//!
//! Read from the lab's folder, so that it works for a lab that is down.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use raftian_rpc::clock::monotonic_ns;
use raftian_rpc::{NodeId, RaftEvent, selector};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::cli::Context;
use crate::connect::no_daemon;
use crate::failure::{Failure, Kind};
use crate::output::while_read;
use crate::story;

const EXAMPLES: &str = "\
Examples:
  raftianctl logs n2
  raftianctl logs n2 -f -n 50

Times are UTC. Lines of the node's standard error begin with `stderr`.";

/// How often files are looked at for more, while following.
const LOOK: Duration = Duration::from_millis(100);

/// As much of the end of a file as is read for its last lines.
const TAIL_BYTES: u64 = 4 * 1024 * 1024;

/// Show what a node says: its errors, and its turning points
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Which node
    #[arg(value_name = "NODE")]
    node: NodeId,
    /// Go on with new lines as they come
    #[arg(short, long)]
    follow: bool,
    /// How many past lines, of the trace and of the errors each
    #[arg(short = 'n', long, value_name = "COUNT", default_value_t = 20)]
    lines: usize,
}

/// Where a line comes from, and what it says.
#[derive(Debug, Serialize)]
#[serde(tag = "source", content = "line", rename_all = "snake_case")]
enum Line {
    Trace(Value),
    Stderr(String),
}

/// Shows the lines.
pub(crate) async fn run(context: &Context, args: Args) -> Result<(), Failure> {
    let folder = context.folder()?;
    let node = folder.node(selector::meant(args.node, &folder.nodes()).unwrap_or(args.node));
    if !folder.path().exists() {
        return Err(no_daemon(&context.lab));
    }
    if !node.exists() {
        let why = format!(
            "lab `{}` has no node {} (there is no {}); see `raftianctl status`",
            context.lab,
            args.node,
            node.display()
        );
        return Err(Failure::new(Kind::Usage, why));
    }
    let mut trace = Tail::new(node.join("trace.jsonl"));
    let mut stderr = Tail::new(node.join("stderr.log"));
    for (tail, line) in [(&mut stderr, stderr_line as fn(String) -> Line), (&mut trace, trace_line)] {
        let lines = tail.last(args.lines).map_err(|error| tail.unreadable(&error))?;
        lines.into_iter().try_for_each(|text| show(context, &line(text)))?;
    }
    if args.follow { while_read(follow(context, stderr, trace)).await } else { Ok(()) }
}

async fn follow(context: &Context, mut stderr: Tail, mut trace: Tail) -> Result<(), Failure> {
    loop {
        tokio::time::sleep(LOOK).await;
        for (tail, line) in [(&mut stderr, stderr_line as fn(String) -> Line), (&mut trace, trace_line)] {
            let lines = tail.more().map_err(|error| tail.unreadable(&error))?;
            lines.into_iter().try_for_each(|text| show(context, &line(text)))?;
        }
    }
}

fn stderr_line(text: String) -> Line {
    Line::Stderr(text)
}

/// A line that is no JSON is half of one, torn when the node was killed; it is shown as it is.
fn trace_line(text: String) -> Line {
    Line::Trace(serde_json::from_str(&text).unwrap_or(Value::String(text)))
}

fn show(context: &Context, line: &Line) -> Result<(), Failure> {
    context.output.data(line, |line| match line {
        Line::Stderr(text) => format!("stderr         {text}"),
        Line::Trace(value) => traced(value, monotonic_ns(), unix_ms()),
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

    /// The last `count` lines there are now. A file that is not there has none.
    fn last(&mut self, count: usize) -> io::Result<Vec<String>> {
        let length = self.length()?;
        self.offset = length.saturating_sub(TAIL_BYTES);
        let mut lines = self.more()?;
        Ok(lines.split_off(lines.len().saturating_sub(count)))
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
        assert!(tail.last(5).unwrap().is_empty());
        let mut file = OpenOptions::new().create(true).append(true).open(&path).unwrap();
        file.write_all(b"one\ntwo\nthr").unwrap();
        assert_eq!(tail.last(1).unwrap(), ["two"]);
        file.write_all(b"ee\n").unwrap();
        assert_eq!(tail.more().unwrap(), ["three"]);
        assert!(tail.more().unwrap().is_empty());
        fs::write(&path, "new\n").unwrap();
        assert_eq!(tail.more().unwrap(), ["new"]);
        fs::remove_file(&path).unwrap();
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
