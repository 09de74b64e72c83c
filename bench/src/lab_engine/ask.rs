//! What is asked by hand: commands, reads, other members, another leader. One node is asked, whoever leads, and the script
//! goes on.
//!
//! Invariant: what a node has not refused within [`TAKES`] it has taken. Every command is one operation of a client of its
//! own in the history, as is every read.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jsonrpsee::core::ClientError;
use raftian_check::{Operation, Outcome};
use raftian_rpc::clock::monotonic_ns;
use raftian_rpc::connect::Http;
use raftian_rpc::control::{ControlClient as _, MemberChange};
use raftian_rpc::error::NodeError;
use raftian_rpc::{AppKind, NodeId};
use raftian_script::{Change, Halt, ReadFate};
use serde_json::value::RawValue;
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use super::act::Asked;
use super::clients::send;
use super::history::History;
use super::{LabEngine, PATIENCE};
use crate::cancel::{Cancel, Canceller, cancel_pair};
use crate::load::attempt::{Miss, classify};

/// How long a node has to refuse.
const TAKES: Duration = Duration::from_millis(100);

/// The longest that an answer is waited for, as long as nodes allow.
const LONGEST_MS: u64 = 60_000;

/// What was asked for by hand.
#[derive(Debug)]
pub(super) struct Hands {
    asked: u64,
    /// The last command of each name: its client, and what it wants.
    commands: BTreeMap<String, (String, String)>,
    reads: Arc<Mutex<Vec<ReadFate>>>,
    history: Arc<History>,
    pending: JoinSet<()>,
    canceller: Canceller,
    cancel: Cancel,
}

impl Hands {
    pub(super) fn new(history: Arc<History>) -> Hands {
        let (canceller, cancel) = cancel_pair();
        Hands {
            asked: 0,
            commands: BTreeMap::new(),
            reads: Arc::default(),
            history,
            pending: JoinSet::new(),
            canceller,
            cancel,
        }
    }

    /// What became of a read, counted from 1 on; `None` if there was none.
    pub(super) fn read_fate(&self, number: usize) -> Option<ReadFate> {
        lock(&self.reads).get(number.checked_sub(1)?).copied()
    }

    /// Nothing is waited for any more.
    pub(super) fn cancel(&self) {
        self.canceller.cancel();
    }

    /// Ends what is still waited for.
    pub(super) async fn end(&mut self) {
        self.cancel();
        while self.pending.join_next().await.is_some() {}
    }
}

impl LabEngine {
    /// Gives a node a command that adds one to the key of this name; where there are no keys, it attacks or
    /// paints.
    pub(super) async fn propose(&mut self, at: NodeId, name: &str) -> Asked {
        let op = match self.app {
            AppKind::Kv => format!(r#"{{"incr":["{name}",1]}}"#),
            AppKind::Attack => r#"{"attack":1}"#.to_owned(),
            AppKind::Canvas => r#"{"paint":[[0,0,1]]}"#.to_owned(),
        };
        let client = self.next_client();
        self.hands.commands.insert(name.to_owned(), (client.clone(), op.clone()));
        self.ask(at, Question { client, op, read: None, is_again: false }).await
    }

    /// Gives a node the last command of this name once more, as its client would.
    pub(super) async fn retry(&mut self, at: NodeId, name: &str) -> Asked {
        let Some((client, op)) = self.hands.commands.get(name).cloned() else {
            return Err(Halt::Failed(format!("no command {name} was proposed before")));
        };
        self.ask(at, Question { client, op, read: None, is_again: true }).await
    }

    /// Gives a node a read; the attack game has none.
    pub(super) async fn read(&mut self, at: NodeId) -> Asked {
        let place = {
            let mut reads = lock(&self.hands.reads);
            reads.push(ReadFate::Waiting);
            reads.len() - 1
        };
        let client = self.next_client();
        let op = match self.app {
            AppKind::Canvas => r#"{"pixel":[0,0]}"#.to_owned(),
            AppKind::Kv | AppKind::Attack => r#"{"get":"k0"}"#.to_owned(),
        };
        let outcome = self.ask(at, Question { client, op, read: Some(place), is_again: false }).await?;
        if outcome.is_err() {
            // One that was refused is none, and has no number; it has been answered, and no later one is on its way.
            lock(&self.hands.reads).truncate(place);
        }
        Ok(outcome)
    }

    /// Asks this node itself for a change of the members, whoever leads. A new node is started first, so there the daemon
    /// is asked, if this node leads.
    pub(super) async fn change_via(&self, at: NodeId, change: &Change) -> Asked {
        let wanted = match *change {
            Change::Promote(id) => MemberChange::Promote(id),
            Change::Remove(id) => MemberChange::Remove(id),
            _ => {
                let leader = self.view().await?.leader().map(|(leader, _)| leader);
                return match leader == Some(at) {
                    true => self.change(change).await,
                    false => {
                        Ok(Err(leader.map_or("there is no leader".to_owned(), |leader| format!("{leader} leads"))))
                    }
                };
            }
        };
        let node = match self.node(at, PATIENCE).await? {
            Ok(node) => node,
            Err(why) => return Ok(Err(why)),
        };
        Ok(node.change(wanted).await.map(|_| None).map_err(|error| said(&error)))
    }

    /// Asks this node itself to hand over, whoever leads.
    pub(super) async fn transfer_via(&self, at: NodeId, to: NodeId) -> Asked {
        let node = match self.node(at, PATIENCE).await? {
            Ok(node) => node,
            Err(why) => return Ok(Err(why)),
        };
        Ok(node.transfer(to).await.map(|()| None).map_err(|error| said(&error)))
    }

    /// Everything that is asked by hand is asked by a client of its own.
    fn next_client(&mut self) -> String {
        self.hands.asked += 1;
        format!("by-hand-{}", self.hands.asked)
    }

    async fn ask(&mut self, at: NodeId, question: Question) -> Asked {
        let node = match &self.by_hand {
            Some(by_hand) => by_hand.patient(at).ok_or_else(|| "it is down".to_owned()),
            None => self.node(at, Duration::from_millis(LONGEST_MS) + TAKES).await?,
        };
        let node = match node {
            Ok(node) => node,
            Err(why) => return Ok(Err(why)),
        };
        let (tell, mut told) = oneshot::channel();
        // A simulator never hears of what a node took with it.
        let lost = if self.by_hand.is_some() { ReadFate::Waiting } else { ReadFate::Failed };
        let asking = Asking { node, at, question, lost };
        let hands = &mut self.hands;
        let (reads, history) = (Arc::clone(&hands.reads), Arc::clone(&hands.history));
        let asking = asking.run(hands.cancel.clone(), tell, reads, history);
        if let Some(by_hand) = &mut self.by_hand {
            if !by_hand.question(at, asking).await? {
                return Ok(Err("it is down or paused".to_owned()));
            }
            return Ok(match told.try_recv() {
                Ok(Some(why)) => Err(why),
                Ok(None) => Ok(None),
                Err(_) => Ok(Some("not answered yet".to_owned())),
            });
        }
        hands.pending.spawn(asking);
        Ok(match tokio::time::timeout(TAKES, told).await {
            Ok(Ok(Some(why))) => Err(why),
            Ok(_) => Ok(None),
            Err(_) => Ok(Some("not answered yet".to_owned())),
        })
    }
}

/// What is asked.
struct Question {
    client: String,
    op: String,
    /// The place among the reads, if it is one.
    read: Option<usize>,
    /// Whether this is the attempt of a client that has asked before; the history has the first one.
    is_again: bool,
}

/// One question on its way.
struct Asking {
    node: Http,
    at: NodeId,
    question: Question,
    /// What a read is whose answer is lost.
    lost: ReadFate,
}

impl Asking {
    /// Tells why the node refused, if it did, and notes what became of it.
    async fn run(
        self,
        cancel: Cancel,
        tell: oneshot::Sender<Option<String>>,
        reads: Arc<Mutex<Vec<ReadFate>>>,
        history: Arc<History>,
    ) {
        let Asking { node, at, question: Question { client, op, read, is_again }, lost } = self;
        let invoked_ns = monotonic_ns();
        // As if it were passed on by another node, it is not passed on again: this one node is meant.
        let answer = tokio::select! {
            answer = send(&node, &client, 1, &op, read.is_some(), LONGEST_MS, Some(at)) => Some(answer),
            () = cancel.cancelled() => None,
        };
        let mut refusal = None;
        let (outcome, fate) = match answer {
            Some(Ok((_, index, response))) => (Outcome::Ok { index, response }, ReadFate::Served),
            Some(Err(error)) => match classify(&error) {
                Miss::Lost(reason) => (Outcome::Unknown { reason }, lost),
                Miss::NotApplied(reason) | Miss::Refused(reason) => {
                    refusal = Some(said(&error));
                    (Outcome::Failed { reason }, ReadFate::Failed)
                }
            },
            None => (Outcome::Unknown { reason: "the scenario ended first".to_owned() }, ReadFate::Waiting),
        };
        let completed_ns = (!matches!(fate, ReadFate::Waiting)).then(monotonic_ns);
        if !is_again {
            let op = RawValue::from_string(op).expect("an op is JSON");
            history.push(Operation { client, serial: 1, op, due_ns: None, invoked_ns, completed_ns, outcome });
        }
        if let Some(read) = read {
            lock(&reads)[read] = fate;
        }
        // Nobody waits any more where the node took long.
        let _ = tell.send(refusal);
    }
}

/// What a node says, or what else went wrong.
fn said(error: &ClientError) -> String {
    NodeError::from_client(error).map_or_else(|| error.to_string(), |error| error.to_string())
}

fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing that holds the lock can panic half-way, so a poisoned lock guards whole data.
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}
