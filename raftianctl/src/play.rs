//! Commands of the attack game, through one node or whichever answers.
//!
//! Invariant: a command is carried out once, however often it has to be sent: every try carries the same client and
//! serial (§8).

use std::net::SocketAddr;
use std::time::Duration;

use jsonrpsee::core::ClientError;
use raftian_check::apps::{Command, Reply, ReplyKind};
use raftian_rpc::NodeId;
use raftian_rpc::client::{ClientClient as _, Submitted};
use raftian_rpc::connect::{self, Http};
use raftian_rpc::error::{NodeError, never_sent};
use raftian_rpc::lab::{LabClient as _, LabStatus, NodeState};
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};
use tokio::time::Instant;

use crate::cli::Context;
use crate::connect::Daemon;
use crate::failure::{Failure, Kind};
use crate::{units, words};

/// How long one node may take before the next is asked; a retry cannot hit twice.
const ATTEMPT: Duration = Duration::from_secs(1);

/// The pause after no node would take it.
const PAUSE: Duration = Duration::from_millis(50);

/// Which node to ask, and how long to try.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(crate) struct Way {
    /// Send it to this node, and to no other [default: the leader, else any that runs]
    #[arg(long = "as", value_name = "NODE")]
    through: Option<NodeId>,
    /// How long to try
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = units::duration, allow_hyphen_values = true)]
    timeout: Duration,
}

/// What came of a command.
#[derive(Debug, Serialize)]
pub(crate) struct Outcome {
    /// Who answered.
    node: NodeId,
    index: u64,
    term: u64,
    /// From the first try to the answer.
    latency_ms: f64,
    response: Reply,
}

/// Why one node did not carry out the command.
struct Refusal {
    why: String,
    /// Whether it may be applied nevertheless.
    open: bool,
    /// Whether another node, or a later moment, may be better.
    retry: bool,
}

/// Has a command of the game carried out.
///
/// # Errors
/// When no node answers for it in time; the text says whether it may still be applied.
pub(crate) async fn play(context: &Context, op: String, way: Way) -> Result<Outcome, Failure> {
    let daemon = context.daemon().await?;
    let status = daemon.ask(async |lab: Http| lab.status().await).await?;
    let targets = targets(&status, way.through)?;
    let command = command(op)?;
    let began = Instant::now();
    let (node, submitted) = submit(&daemon, &targets, &command, way).await?;
    let latency_ms = began.elapsed().as_secs_f64() * 1e3;
    let Submitted { index, term, response, .. } = submitted;
    let response = serde_json::from_str(response.get())
        .map_err(|_| Failure::failed(format!("{node} answered what the attack game never says: {response}")))?;
    Ok(Outcome { node, index, term, latency_ms, response })
}

/// The outcome in a line.
pub(crate) fn summary(outcome: &Outcome) -> String {
    let Outcome { index, term, latency_ms, response: Reply { outcome, player, hp }, .. } = outcome;
    let hp = hp.unwrap_or(0);
    let what = match outcome {
        ReplyKind::Hit => format!("player {player} hit: hp {hp}"),
        ReplyKind::Killed => format!("player {player} killed: hp {hp}"),
        ReplyKind::AlreadyDead => format!("player {player} is already dead: nothing happened"),
        ReplyKind::NoSuchPlayer => format!(
            "player {player} is not on the board: nothing happened; `raftianctl player add {player}` puts one there"
        ),
        ReplyKind::Added => format!("player {player} joins: hp {hp}"),
        ReplyKind::AlreadyThere => format!("player {player} is on the board already: nothing happened"),
        ReplyKind::Deleted => format!("player {player} leaves"),
    };
    format!("{what} (index {index}, term {term}, {latency_ms:.1} ms)")
}

fn command(op: String) -> Result<Box<RawValue>, Failure> {
    let op = RawValue::from_string(op);
    let client = format!("cli-{:016x}", fastrand::u64(..));
    let command = op.map_err(|error| error.to_string()).and_then(|op| {
        let command = Command::new(client, 1, op).map_err(|error| error.to_string())?;
        to_raw_value(&command).map_err(|error| error.to_string())
    });
    command.map_err(|why| Failure::failed(format!("the command cannot be written: {why}")))
}

/// The nodes to ask, in order: that one, or all that run.
///
/// # Errors
/// When there is none.
pub(crate) fn targets(status: &LabStatus, through: Option<NodeId>) -> Result<Vec<(NodeId, SocketAddr)>, Failure> {
    if let Some(wanted) = through {
        let Some(node) = status.nodes.iter().find(|report| report.node == wanted) else {
            let known: Vec<NodeId> = status.nodes.iter().map(|report| report.node).collect();
            let known = raftian_rpc::selector::names(&known);
            return Err(Failure::new(Kind::Usage, format!("there is no node {wanted}; this lab has {known}")));
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

/// Tries the nodes in turn until one answers for the command or the time is up.
async fn submit(
    daemon: &Daemon,
    targets: &[(NodeId, SocketAddr)],
    command: &RawValue,
    way: Way,
) -> Result<(NodeId, Submitted), Failure> {
    let deadline = Instant::now() + way.timeout;
    let mut open = false;
    for (place, (node, address)) in targets.iter().enumerate().cycle() {
        let left = deadline.saturating_duration_since(Instant::now());
        let patience = if way.through.is_some() { left } else { left.min(ATTEMPT) };
        let refusal = match attempt(daemon, *address, command, patience).await {
            Ok(submitted) => return Ok((*node, submitted)),
            Err(error) => refusal(*node, &error),
        };
        open |= refusal.open;
        let late = Instant::now() + PAUSE >= deadline;
        if way.through.is_some() || !refusal.retry || late {
            let kind = if refusal.open || late { Kind::TimedOut } else { Kind::Failed };
            let rest = if open { "; the command may still be applied" } else { "; it was not applied" };
            return Err(Failure::new(kind, format!("{}{rest}", refusal.why)));
        }
        if place + 1 == targets.len() {
            tokio::time::sleep(PAUSE).await;
        }
    }
    unreachable!("there is at least one target")
}

async fn attempt(
    daemon: &Daemon,
    address: SocketAddr,
    command: &RawValue,
    patience: Duration,
) -> Result<Submitted, ClientError> {
    // The node gives up a little earlier, so that its own words arrive.
    let client = connect::http(address, &daemon.secret, patience + Duration::from_millis(200))?;
    client.submit(command.to_owned(), Some(words::millis(patience).max(1)), None).await
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
        None => {
            let why = format!("{node} does not answer ({error})");
            Refusal { why, open: !never_sent(error), retry: true }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(kind: ReplyKind, hp: Option<u8>) -> Outcome {
        let response = Reply { outcome: kind, player: 3, hp };
        Outcome { node: "n2".parse().unwrap(), index: 12, term: 2, latency_ms: 1.84, response }
    }

    #[test]
    fn an_attack_is_told_in_a_line() {
        assert_eq!(summary(&outcome(ReplyKind::Hit, Some(70))), "player 3 hit: hp 70 (index 12, term 2, 1.8 ms)");
        assert!(summary(&outcome(ReplyKind::AlreadyDead, Some(0))).starts_with("player 3 is already dead"));
        assert!(summary(&outcome(ReplyKind::NoSuchPlayer, None)).contains("not on the board"));
    }

    #[test]
    fn a_command_is_one_that_nodes_understand() {
        let command = Command::parse(command(r#"{"attack":3}"#.to_owned()).unwrap().get().as_bytes()).unwrap();
        assert_eq!((command.serial(), command.op().get()), (1, r#"{"attack":3}"#));
    }
}
