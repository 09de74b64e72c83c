//! Commands and reads of the replicated application, through one node or whichever answers.
//!
//! Invariant: a command is carried out once, however often it has to be sent: every try carries the same client and
//! serial (§8). A read changes nothing, so of one that was not answered nothing is said to be open.

use std::net::SocketAddr;
use std::time::Duration;

use jsonrpsee::core::ClientError;
use raftian_check::apps::Command;
use raftian_rpc::client::{ClientClient as _, Consistency, ReadAnswer, Submitted};
use raftian_rpc::connect::{self, Http};
use raftian_rpc::error::{NodeError, not_taken};
use raftian_rpc::hint::Note;
use raftian_rpc::lab::{LabClient as _, LabStatus, NodeState, Question};
use raftian_rpc::selector::{Selector, names};
use raftian_rpc::{AppKind, NodeId, Response};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::value::{RawValue, to_raw_value};
use tokio::time::Instant;

use crate::cli::Context;
use crate::connect::Daemon;
use crate::failure::{Failure, Kind};
use crate::{units, words};

/// How long one node may take before the next is asked; a retry cannot take effect twice.
const ATTEMPT: Duration = Duration::from_secs(1);

/// The pause after no node would take it.
const PAUSE: Duration = Duration::from_millis(50);

/// Which node to ask, and how long to try.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Way {
    /// Ask this node, and no other: n2, or another selector that names one [default: the leader, else any that runs]
    #[arg(long = "as", value_name = "NODE")]
    through: Option<Selector>,
    /// How long to try
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = units::duration, allow_hyphen_values = true)]
    timeout: Duration,
}

/// What came of a command or a read.
#[derive(Debug, Serialize)]
pub(crate) struct Outcome<R> {
    /// Who answered.
    pub(crate) node: NodeId,
    /// Of a command: where it stands in the log. Of a read: the last entry that went into the state it was read from.
    pub(crate) index: u64,
    /// Of a command: the term of its entry.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) term: Option<u64>,
    /// From the first try to the answer, in whole microseconds.
    pub(crate) latency_ms: f64,
    /// What the application says.
    pub(crate) response: R,
}

/// The application of a lab, and the way to it.
pub(crate) struct Asked {
    daemon: Daemon,
    targets: Vec<(NodeId, SocketAddr)>,
    /// The one node that may be asked, if there is only one.
    only: Option<NodeId>,
    timeout: Duration,
}

/// Why one node did not do it.
struct Refusal {
    why: String,
    /// Whether it may be applied nevertheless.
    open: bool,
    /// Whether another node, or a later moment, may be better.
    retry: bool,
}

/// What is being asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asking {
    Command,
    Read,
}

impl Asked {
    /// The daemon of the lab.
    pub(crate) fn daemon(&self) -> &Daemon {
        &self.daemon
    }

    /// The one node that may be asked, if there is only one.
    pub(crate) fn only(&self) -> Option<NodeId> {
        self.only
    }

    /// The lab's application, which must be this one.
    ///
    /// # Errors
    /// When it is another, or there is nobody to ask.
    pub(crate) async fn of(context: &Context, app: AppKind, way: Way) -> Result<Asked, Failure> {
        let daemon = context.daemon().await?;
        let status = daemon.ask(async |lab: Http| lab.status().await).await?;
        if let Some(other) = status.app.filter(|other| *other != app) {
            return Err(other_app(other, app));
        }
        let Way { through, timeout } = way;
        let only = match through {
            Some(selector) => Some(one(&daemon, selector, "a command is given to").await?),
            None => None,
        };
        let targets = targets(&status, only)?;
        Ok(Asked { daemon, targets, only, timeout })
    }

    /// Has a command carried out.
    ///
    /// # Errors
    /// When no node answers for it in time; the text says whether it may still be applied.
    pub(crate) async fn submit<R: DeserializeOwned>(&self, op: String) -> Result<Outcome<R>, Failure> {
        self.submit_as(None, op).await
    }

    /// [`submit`](Asked::submit), on somebody's behalf.
    ///
    /// # Errors
    /// As `submit` has them.
    pub(crate) async fn submit_as<R: DeserializeOwned>(
        &self,
        who: Option<&str>,
        op: String,
    ) -> Result<Outcome<R>, Failure> {
        let command = command(who, op)?;
        let began = Instant::now();
        let ask = async |node: Http, timeout_ms| node.submit(command.clone(), Some(timeout_ms), None).await;
        let (node, Submitted { index, term, response, .. }) = self.ask(Asking::Command, ask).await?;
        Ok(Outcome {
            node,
            index,
            term: Some(term),
            latency_ms: since_ms(began),
            response: understood(node, &response)?,
        })
    }

    /// Has a read answered.
    ///
    /// # Errors
    /// When no node answers in time.
    pub(crate) async fn read<R: DeserializeOwned>(
        &self,
        op: String,
        consistency: Consistency,
    ) -> Result<Outcome<R>, Failure> {
        let op = RawValue::from_string(op).map_err(|error| Failure::failed(format!("no JSON: {error}")))?;
        let began = Instant::now();
        let ask = async |node: Http, timeout_ms| node.read(op.clone(), Some(consistency), Some(timeout_ms), None).await;
        let (_, ReadAnswer { node, index, response }) = self.ask(Asking::Read, ask).await?;
        Ok(Outcome { node, index, term: None, latency_ms: since_ms(began), response: understood(node, &response)? })
    }

    /// Tries the nodes in turn until one answers or the time is up.
    async fn ask<T>(
        &self,
        what: Asking,
        attempt: impl AsyncFn(Http, u64) -> Result<T, ClientError>,
    ) -> Result<(NodeId, T), Failure> {
        let Asked { daemon, targets, only, timeout } = self;
        let deadline = Instant::now() + *timeout;
        let mut open = false;
        for (place, (node, address)) in targets.iter().enumerate().cycle() {
            let left = deadline.saturating_duration_since(Instant::now());
            let patience = if only.is_some() { left } else { left.min(ATTEMPT) };
            // The node gives up a little earlier, so that its own words arrive.
            let answer = match connect::http(*address, &daemon.secret, patience + Duration::from_millis(200)) {
                Ok(client) => attempt(client, words::millis(patience).max(1)).await,
                Err(error) => Err(error),
            };
            let refusal = match answer {
                Ok(answer) => return Ok((*node, answer)),
                Err(error) => refusal(*node, &error),
            };
            open |= refusal.open && what == Asking::Command;
            let late = Instant::now() + PAUSE >= deadline;
            if only.is_some() || !refusal.retry || late {
                let kind = if refusal.open || late { Kind::TimedOut } else { Kind::Failed };
                let reason = if refusal.retry { self.reason().await } else { None };
                return Err(match reason {
                    None => Failure::new(kind, refusal.in_words(what, open)),
                    Some(Note { text, hints }) => {
                        Failure::new(kind, format!("{}; {text}", refusal.in_words(what, open))).hinting(hints)
                    }
                });
            }
            if place + 1 == targets.len() {
                tokio::time::sleep(PAUSE).await;
            }
        }
        unreachable!("there is at least one target")
    }
}

impl Asked {
    /// Why nothing came of it: what is wrong with the node that was to be asked, or with the lab if it has no leader.
    async fn reason(&self) -> Option<Note> {
        let reasons = match self.only {
            Some(node) => {
                let question = Question::Node(node);
                self.daemon.ask(async |lab: Http| lab.why(question).await).await.ok()?.reasons
            }
            None => {
                let status = self.daemon.ask(async |lab: Http| lab.status().await).await.ok()?;
                if status.leader.is_none() { status.reasons } else { Vec::new() }
            }
        };
        reasons.into_iter().next()
    }
}

impl<R> Outcome<R> {
    /// `(index 12, term 2, 1.8 ms)`.
    pub(crate) fn measured(&self) -> String {
        let term = self.term.map_or(String::new(), |term| format!("term {term}, "));
        format!("(index {}, {term}{:.1} ms)", self.index, self.latency_ms)
    }
}

fn since_ms(began: Instant) -> f64 {
    began.elapsed().as_micros() as f64 / 1e3
}

/// What a command for one application says in a lab of another: wrong usage, so that nobody takes it for an answer.
pub(crate) fn other_app(is: AppKind, wanted: AppKind) -> Failure {
    let named = |app| match app {
        AppKind::Attack => "the attack game",
        AppKind::Kv => "the key-value store",
        AppKind::Canvas => "a canvas",
    };
    let why = format!(
        "this lab replicates {}, not {}; start one that does with `raftianctl start --app {wanted} --lab NAME`",
        named(is),
        named(wanted)
    );
    Failure::new(Kind::Usage, why)
}

fn understood<R: DeserializeOwned>(node: NodeId, response: &Response) -> Result<R, Failure> {
    serde_json::from_str(response.get())
        .map_err(|_| Failure::failed(format!("{node} answered what the application never says: {response}")))
}

fn command(who: Option<&str>, op: String) -> Result<Box<RawValue>, Failure> {
    let op = RawValue::from_string(op);
    // Each command has a session of its own, so that several can be on their way.
    let session = fastrand::u64(..);
    let client = who.map_or_else(|| format!("cli-{session:016x}"), |who| format!("{who}:{session:016x}"));
    let command = op.map_err(|error| error.to_string()).and_then(|op| {
        let command = Command::new(client, 1, op).map_err(|error| error.to_string())?;
        to_raw_value(&command).map_err(|error| error.to_string())
    });
    command.map_err(|why| Failure::failed(format!("the command cannot be written: {why}")))
}

/// The one node of a lab that a selector names; `purpose` comes before "one node".
///
/// # Errors
/// When it names none, or several.
pub(crate) async fn one(daemon: &Daemon, selector: Selector, purpose: &str) -> Result<NodeId, Failure> {
    let asked = selector.clone();
    let named = daemon.ask(async |lab: Http| lab.resolve(asked).await).await?.nodes;
    let mut ids = named.iter().copied();
    match (ids.next(), ids.next()) {
        (Some(node), None) => Ok(node),
        _ => {
            let why = format!("`{selector}` names {}, and {purpose} one node: choose one of them", names(&named));
            Err(Failure::new(Kind::Usage, why))
        }
    }
}

/// The nodes to ask, in order: that one, or all that run.
///
/// # Errors
/// When there is none.
pub(crate) fn targets(status: &LabStatus, through: Option<NodeId>) -> Result<Vec<(NodeId, SocketAddr)>, Failure> {
    if let Some(wanted) = through {
        let Some(node) = status.nodes.iter().find(|report| report.node == wanted) else {
            return Err(Failure::new(Kind::Conflict, format!("{wanted} has just gone")));
        };
        return match (node.state, node.address) {
            (NodeState::Running, Some(address)) => Ok(vec![(wanted, address)]),
            (NodeState::Paused, _) => {
                let why = format!("{wanted} is paused and would not answer; `raftianctl resume {wanted}` first");
                Err(Failure::new(Kind::Conflict, why))
            }
            _ => {
                let why = format!("{wanted} is not running; `raftianctl restart {wanted}` first");
                Err(Failure::new(Kind::Conflict, why))
            }
        };
    }
    let running = status.nodes.iter().filter(|report| report.state == NodeState::Running);
    let mut nodes: Vec<(NodeId, SocketAddr)> =
        running.filter_map(|report| Some((report.node, report.address?))).collect();
    nodes.sort_by_key(|(node, _)| (status.leader != Some(*node), *node));
    match nodes.is_empty() {
        true => Err(Failure::new(
            Kind::Conflict,
            "no node is running; `raftianctl start` brings back the dead, and `raftianctl resume @all` the paused",
        )),
        false => Ok(nodes),
    }
}

impl Refusal {
    /// This last refusal in words; `open` says whether this attempt or an earlier one may have had an effect.
    fn in_words(&self, what: Asking, open: bool) -> String {
        let why = &self.why;
        match (what, open) {
            (Asking::Read, _) => why.clone(),
            (Asking::Command, true) if self.open => format!("{why}; the command may still be applied"),
            (Asking::Command, true) => {
                format!("no outcome: an earlier attempt may still be applied, and the last one was refused ({why})")
            }
            (Asking::Command, false) => format!("{why}; it was not applied"),
        }
    }
}

fn refusal(node: NodeId, error: &ClientError) -> Refusal {
    match NodeError::from_client(error) {
        Some(NodeError::TimedOut { waited_ms }) => Refusal {
            why: format!("{node} has no outcome after {}", words::spell_ms(waited_ms)),
            open: true,
            retry: true,
        },
        Some(error @ (NodeError::UnknownCommand { .. } | NodeError::BadRequest { .. })) => {
            Refusal { why: error.to_string(), open: false, retry: false }
        }
        Some(error) => Refusal { why: error.to_string(), open: false, retry: true },
        None => match not_taken(error) {
            Some(why) => Refusal { why: format!("{node} {why}"), open: false, retry: true },
            None => Refusal { why: format!("{node} does not answer ({error})"), open: true, retry: true },
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_of_the_last_attempt_promises_nothing_for_an_earlier_one() {
        let last = Refusal { why: "n1 takes no more: nothing has happened".into(), open: false, retry: true };
        let words = last.in_words(Asking::Command, true);
        assert!(words.starts_with("no outcome: an earlier attempt may still be applied, and the last one"), "{words}");
        assert_eq!(last.in_words(Asking::Command, false), "n1 takes no more: nothing has happened; it was not applied");
        let silent = Refusal { open: true, ..last };
        assert!(silent.in_words(Asking::Command, true).ends_with("; the command may still be applied"));
    }

    #[test]
    fn a_command_is_one_that_nodes_understand() {
        for who in [None, Some("alice")] {
            let command = command(who, r#"{"attack":3}"#.to_owned()).unwrap();
            let command = Command::parse(command.get().as_bytes()).unwrap();
            assert_eq!((command.serial(), command.op().get()), (1, r#"{"attack":3}"#));
            assert!(command.on_behalf_of().starts_with(who.unwrap_or("cli-")), "{}", command.client());
        }
    }

    #[test]
    fn whoever_asks_for_another_application_is_told_how_to_get_it() {
        let failure = other_app(AppKind::Attack, AppKind::Kv);
        let line = failure.line(false).unwrap();
        assert_eq!(
            line,
            "raftianctl: this lab replicates the attack game, not the key-value store; start one that does with \
             `raftianctl start --app kv --lab NAME`"
        );
        assert_eq!(failure.kind(), Kind::Usage, "`kv get x || …` must not take it for `no such key`");
    }
}
