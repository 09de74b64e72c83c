//! `raftianctl kv`: the key-value store.

use std::fs::File;
use std::io::{self, Read};
use std::path::PathBuf;

use raftian_check::apps::{
    KvList, KvListed, KvOp, KvReplyKind, MAX_KEY_BYTES, MAX_LISTED_KEYS, MAX_OP_BYTES, MAX_VALUE_BYTES,
};
use raftian_rpc::AppKind;
use raftian_rpc::client::Consistency;
use serde::{Deserialize, Serialize};

use crate::ask::{Asked, Outcome, Way};
use crate::cli::Context;
use crate::failure::{Failure, Kind};
use crate::table::{Align, Table};
use crate::{units, words};

const EXAMPLES: &str = "\
Examples:
  raftianctl kv set colour blue && raftianctl kv get colour
  raftianctl kv get colour --stale --as n2
  raftianctl kv cas colour blue green
  raftianctl kv incr visits
  raftianctl kv list

For a lab started with `raftianctl start --app kv`. Reads are linearizable unless they are asked to be stale.";

const GET_EXAMPLES: &str = "\
Examples:
  raftianctl kv get colour
  raftianctl kv get colour --stale --as n2
  raftianctl kv get colour || echo 'not set'

The exit code is 1 when there is no such key. A value may be empty: then nothing is printed, and the exit code is 0. A
line feed is added to a value that does not end in one; with -o json the value is what it is, to the byte.

A linearizable read sees every write that was acknowledged before it began; the leader answers it, wherever it is asked.
A stale read is answered by the node that is asked, from the state that this node has.";

const LIST_EXAMPLES: &str = "\
Examples:
  raftianctl kv list
  raftianctl kv list --from m -n 20 --stale --as n2";

const SET_EXAMPLES: &str = "\
Examples:
  raftianctl kv set colour blue
  raftianctl kv set page --file page.html
  cat page.html | raftianctl kv set page -

A value is a text of at most 1 MiB. What is read from a file or from standard input is taken to the byte, line feeds
and all.";

const CAS_EXAMPLES: &str = "\
Examples:
  raftianctl kv cas colour blue green
  raftianctl kv cas lock --absent me

The exit code is 1, and nothing has changed, when the key has another value.";

const INCR_EXAMPLES: &str = "\
Examples:
  raftianctl kv incr visits
  raftianctl kv incr stock -3

The exit code is 1, and nothing has changed, when the value is no integer, or the sum would be too large for 64 bits.";

/// Characters of a value that are shown within a sentence.
const SHOWN_CHARS: usize = 60;

/// Read and write the replicated key-value store
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES, arg_required_else_help = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Print the value of a key
    #[command(after_help = GET_EXAMPLES)]
    Get {
        #[command(flatten)]
        key: Key,
        /// From the state of the node that is asked, which may lag behind
        #[arg(long)]
        stale: bool,
    },
    /// Show the keys, and how large their values are
    #[command(after_help = LIST_EXAMPLES)]
    List {
        /// The first key [default: the first there is]
        #[arg(long, value_name = "KEY", default_value = "", hide_default_value = true)]
        from: String,
        /// How many, at most 1000
        #[arg(short = 'n', long, value_name = "COUNT", default_value_t = 100, value_parser = limit)]
        limit: usize,
        /// From the state of the node that is asked, which may lag behind
        #[arg(long)]
        stale: bool,
        #[command(flatten)]
        way: Way,
    },
    /// Set a key to a value, whatever it had
    #[command(visible_alias = "put", after_help = SET_EXAMPLES)]
    Set {
        #[command(flatten)]
        key: Key,
        /// The value; `-` reads it from standard input
        #[arg(value_name = "VALUE", allow_hyphen_values = true, required_unless_present = "file")]
        value: Option<String>,
        /// Read the value from this file
        #[arg(long, value_name = "PATH", conflicts_with = "value")]
        file: Option<PathBuf>,
    },
    /// Remove a key and its value
    #[command(after_help = "Example:\n  raftianctl kv del colour")]
    Del {
        #[command(flatten)]
        key: Key,
    },
    /// Set a key to a new value if it has the old one (compare and swap)
    #[command(after_help = CAS_EXAMPLES)]
    Cas {
        #[command(flatten)]
        key: Key,
        /// The value it must have; with --absent, the new value
        #[arg(value_name = "OLD", allow_hyphen_values = true)]
        old: String,
        /// The new value
        #[arg(value_name = "NEW", allow_hyphen_values = true)]
        new: Option<String>,
        /// It must have no value: name the new one only
        #[arg(long)]
        absent: bool,
    },
    /// Add to the integer that is a key's value; no value counts as 0
    #[command(after_help = INCR_EXAMPLES)]
    Incr {
        #[command(flatten)]
        key: Key,
        /// How much; less than 0 subtracts
        #[arg(value_name = "BY", default_value_t = 1, value_parser = units::integer, allow_hyphen_values = true)]
        by: i64,
    },
}

#[derive(Debug, clap::Args)]
struct Key {
    /// The key: a text of 1 to 1024 bytes
    #[arg(value_name = "KEY", value_parser = key)]
    key: String,
    #[command(flatten)]
    way: Way,
}

/// What the store answers to a read; see `KvReply`, which borrows.
#[derive(Debug, Serialize, Deserialize)]
struct Held {
    outcome: KvReplyKind,
    /// Always said, since no value and an empty one are not the same.
    value: Option<String>,
}

/// What it answers to a write.
#[derive(Debug, Serialize, Deserialize)]
struct Answer {
    outcome: KvReplyKind,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<String>,
}

/// Reads or writes. The exit code is 1 where the answer is no: a read of a key that is not there, or a swap or an addition
/// that found what it did not expect.
pub(crate) async fn run(context: &Context, args: Args) -> Result<u8, Failure> {
    match args.verb {
        Verb::Get { key: Key { key, way }, stale } => get(context, &key, way, stale).await,
        Verb::List { from, limit, stale, way } => list(context, from, limit, stale, way).await.map(|()| 0),
        Verb::Set { key: Key { key, way }, value, file } => {
            let value = value_of(value, file)?;
            write(context, &KvOp::Set(key.into(), value.into()), way).await
        }
        Verb::Del { key: Key { key, way } } => write(context, &KvOp::Del(key.into()), way).await,
        Verb::Cas { key: Key { key, way }, old, new, absent } => {
            let (old, new) = old_and_new(old, new, absent)?;
            write(context, &KvOp::Cas(key.into(), old.map(Into::into), new.into()), way).await
        }
        Verb::Incr { key: Key { key, way }, by } => write(context, &KvOp::Incr(key.into(), by), way).await,
    }
}

async fn list(context: &Context, from: String, limit: usize, stale: bool, way: Way) -> Result<(), Failure> {
    let asked = Asked::of(context, AppKind::Kv, way).await?;
    let op = serde_json::to_string(&KvList::List(from, limit)).expect("texts and numbers become JSON");
    let outcome: Outcome<KvListed> = asked.read(op, consistency(stale)).await?;
    context.output.report(&outcome, |outcome| {
        let KvListed { keys, more } = &outcome.response;
        if keys.is_empty() {
            return "no keys".to_owned();
        }
        let mut table = Table::new([("KEY", Align::Left), ("BYTES", Align::Right)]);
        keys.iter().for_each(|(key, bytes)| table.row([shown(key), bytes.to_string()]));
        let rest = if *more { "There are more: `--from` says where to go on, `-n` how many to show.\n" } else { "" };
        table.render(context.output.colour()) + rest
    })
}

fn consistency(stale: bool) -> Consistency {
    if stale { Consistency::Stale } else { Consistency::Linearizable }
}

fn limit(text: &str) -> Result<usize, String> {
    let number = text.parse().ok().filter(|number| (1..=MAX_LISTED_KEYS).contains(number));
    number.ok_or_else(|| format!("it is a number from 1 to {MAX_LISTED_KEYS}"))
}

async fn get(context: &Context, key: &str, way: Way, stale: bool) -> Result<u8, Failure> {
    let asked = Asked::of(context, AppKind::Kv, way).await?;
    let outcome: Outcome<Held> = asked.read(encode(&KvOp::Get(key.into()))?, consistency(stale)).await?;
    let is_absent = outcome.response.value.is_none();
    if is_absent && !context.output.is_json() {
        context.output.note(&format!("there is no key `{}`", shown(key)));
    }
    let value = |outcome: &Outcome<Held>| outcome.response.value.clone().unwrap_or_default();
    context.output.data(&outcome, value).map(|()| u8::from(is_absent))
}

async fn write(context: &Context, op: &KvOp<'_>, way: Way) -> Result<u8, Failure> {
    let encoded = encode(op)?;
    let outcome: Outcome<Answer> = Asked::of(context, AppKind::Kv, way).await?.submit(encoded).await?;
    context.output.data(&outcome, |outcome| summary(op, outcome))?;
    use KvReplyKind::{Mismatch, NotAnInteger, Overflow};
    Ok(u8::from(matches!(outcome.response.outcome, Mismatch | NotAnInteger | Overflow)))
}

fn encode(op: &KvOp<'_>) -> Result<String, Failure> {
    let text = serde_json::to_string(op).map_err(|error| Failure::failed(format!("no JSON: {error}")))?;
    match text.len() <= MAX_OP_BYTES {
        true => Ok(text),
        false => Err(Failure::new(
            Kind::Usage,
            format!(
                "written as JSON this takes {} bytes, and at most {MAX_OP_BYTES} travel in one command; quotation marks, \
                 backslashes and control characters take two bytes or six",
                text.len()
            ),
        )),
    }
}

fn summary(op: &KvOp<'_>, outcome: &Outcome<Answer>) -> String {
    let key = shown(op.key());
    let has = match &outcome.response.value {
        Some(value) => format!("`{key}` is `{}`", shown(value)),
        None => format!("`{key}` has no value"),
    };
    let what = match outcome.response.outcome {
        KvReplyKind::Set => format!("`{key}` set"),
        KvReplyKind::Deleted => format!("`{key}` deleted"),
        KvReplyKind::Swapped => format!("`{key}` swapped"),
        KvReplyKind::Absent => format!("{has}: nothing to delete"),
        KvReplyKind::Mismatch => format!("not swapped: {has}"),
        KvReplyKind::NotAnInteger => format!("not added: {has}, which is no integer"),
        KvReplyKind::Overflow => format!("not added: {has}, and the sum would be too large"),
        KvReplyKind::Incremented | KvReplyKind::Found => has,
    };
    format!("{what} {}", outcome.measured())
}

/// The old value, `None` for no value, and the new one.
fn old_and_new(first: String, second: Option<String>, absent: bool) -> Result<(Option<String>, String), Failure> {
    let (old, new) = match (absent, second) {
        (true, None) => (None, first),
        (false, Some(new)) => (Some(first), new),
        (true, Some(_)) => return Err(usage("with --absent there is no old value to name; give the new one only")),
        (false, None) => return Err(usage("a swap takes the old value and the new one, or --absent and the new one")),
    };
    old.as_deref().map_or(Ok(()), |old| fits(old.len() as u64))?;
    fits(new.len() as u64).map(|()| (old, new))
}

/// The value that was typed, or that a file or standard input holds.
fn value_of(typed: Option<String>, file: Option<PathBuf>) -> Result<String, Failure> {
    match (typed.as_deref(), file) {
        (_, Some(path)) => {
            let name = path.display().to_string();
            let file = File::open(&path).map_err(|error| Failure::unreadable(&name, &error))?;
            whole(file).map_err(|error| Failure::unreadable(&name, &error)).and_then(|bytes| text(bytes, &name))
        }
        (Some("-"), None) => {
            let name = "standard input";
            whole(io::stdin()).map_err(|error| Failure::unreadable(name, &error)).and_then(|bytes| text(bytes, name))
        }
        (typed, None) => {
            let value = typed.unwrap_or_default().to_owned();
            fits(value.len() as u64).map(|()| value)
        }
    }
}

/// What there is to read, and no more than shows that it is too much.
fn whole(source: impl Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    source.take(MAX_VALUE_BYTES as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn text(bytes: Vec<u8>, name: &str) -> Result<String, Failure> {
    fits(bytes.len() as u64)?;
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        usage(&format!(
            "a value is text, and {name} is none: byte {at} is not UTF-8; encode it first, for instance as base64"
        ))
    })
}

fn fits(bytes: u64) -> Result<(), Failure> {
    match bytes <= MAX_VALUE_BYTES as u64 {
        true => Ok(()),
        false => Err(usage("a value has at most 1 MiB (1,048,576 bytes), and this one has more")),
    }
}

fn usage(why: &str) -> Failure {
    Failure::new(Kind::Usage, why)
}

fn key(text: &str) -> Result<String, String> {
    match text.len() {
        1..=MAX_KEY_BYTES => Ok(text.to_owned()),
        bytes => Err(format!("a key has 1 to {MAX_KEY_BYTES} bytes, and this one has {bytes}")),
    }
}

/// A key or a value within a sentence.
fn shown(text: &str) -> String {
    match text.chars().count() > SHOWN_CHARS {
        true => words::escaped(&text.chars().take(SHOWN_CHARS - 1).chain(['…']).collect::<String>()),
        false => words::escaped(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(op: &KvOp<'_>, outcome: KvReplyKind, value: Option<&'static str>) -> String {
        let response = Answer { outcome, value: value.map(Into::into) };
        let outcome = Outcome { node: "n1".parse().unwrap(), index: 9, term: Some(2), latency_ms: 1.84, response };
        summary(op, &outcome)
    }

    #[test]
    fn what_came_of_a_write_is_told_in_a_line() {
        let set = KvOp::Set("k".into(), "v".into());
        assert_eq!(told(&set, KvReplyKind::Set, None), "`k` set (index 9, term 2, 1.8 ms)");
        let odd = KvOp::Set("k\n2\u{1b}".into(), "v".into());
        assert!(told(&odd, KvReplyKind::Set, None).starts_with(r"`k\n2\u{1b}` set ("));
        let cas = KvOp::Cas("k".into(), None, "v".into());
        assert!(told(&cas, KvReplyKind::Mismatch, Some("b")).starts_with("not swapped: `k` is `b` ("));
        assert!(told(&cas, KvReplyKind::Mismatch, Some("b\n")).starts_with(r"not swapped: `k` is `b\n` ("));
        assert!(told(&cas, KvReplyKind::Mismatch, None).starts_with("not swapped: `k` has no value ("));
        let incr = KvOp::Incr("k".into(), 2);
        assert!(told(&incr, KvReplyKind::Incremented, Some("42")).starts_with("`k` is `42` ("));
        assert!(told(&incr, KvReplyKind::NotAnInteger, Some("x")).contains("no integer"));
        assert!(told(&KvOp::Del("k".into()), KvReplyKind::Absent, None).contains("nothing to delete"));
    }

    #[test]
    fn a_swap_has_an_old_value_or_none() {
        let values = |first: &str, second: Option<&str>, absent| {
            old_and_new(first.to_owned(), second.map(str::to_owned), absent)
        };
        assert_eq!(values("a", Some("b"), false), Ok((Some("a".into()), "b".into())));
        assert_eq!(values("b", None, true), Ok((None, "b".into())));
        assert!(values("b", None, false).unwrap_err().message().contains("--absent"));
        assert!(values("a", Some("b"), true).unwrap_err().message().contains("no old value"));
    }

    #[test]
    fn values_are_texts_within_limits() {
        let read = |bytes: &[u8]| whole(bytes).map_err(|error| error.to_string()).map(|bytes| text(bytes, "it"));
        let largest = vec![b'x'; MAX_VALUE_BYTES];
        assert_eq!(read(&largest).unwrap().unwrap().len(), MAX_VALUE_BYTES);
        assert_eq!(read(b"a\n\n").unwrap().unwrap(), "a\n\n");
        let too_long = vec![b'x'; MAX_VALUE_BYTES + 1];
        assert!(read(&too_long).unwrap().unwrap_err().message().contains("at most 1 MiB"));
        assert!(read(b"ab\xff").unwrap().unwrap_err().message().contains("byte 2 is not UTF-8"));
        let full_of_quotes = KvOp::Set("k".into(), "\"".repeat(MAX_VALUE_BYTES).into());
        assert!(encode(&full_of_quotes).unwrap_err().message().contains("written as JSON this takes 2097"));
        assert!(key("").is_err() && key(&"k".repeat(MAX_KEY_BYTES + 1)).is_err());
    }
}
