//! One client of a load: one operation outstanding, the same serial until it is answered or given up.
//!
//! Whoever has lost its session, or never got one, goes on under a new name: its old one is refused. Reads go under a name of their own: they leave no entry in the log, and so must not use up the serials by which
//! its session there is known.
//!
//! Like a real client it goes to the leader that took its last command, tries the next node at once when one fails it,
//! and waits a little only after a whole round of failures.
//!
//! Invariant: an operation is `Failed` only if no attempt can have had an effect, and `Unknown` whenever one might.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use fastrand::Rng;
use jsonrpsee::core::ClientError;
use raftian_check::{Operation, Outcome};
use raftian_rpc::client::{ClientClient as _, Consistency, ReadAnswer, Submitted};
use raftian_rpc::clock::monotonic_ns;
use raftian_rpc::connect::Http;
use raftian_rpc::{Index, NodeId, Response};
use serde_json::value::RawValue;

use super::attempt::{Miss, classify};
use super::pace::Pace;
use super::recorder::Recorder;
use super::workload::{Op, Workload};
use crate::cancel::Cancel;

/// The first wait after a round of failures; it doubles with each round.
const FIRST_BACKOFF: Duration = Duration::from_millis(5);

/// The longest wait between rounds.
const LONGEST_BACKOFF: Duration = Duration::from_millis(40);

/// The nodes that clients may ask, replaced as a whole when addresses change.
#[derive(Debug)]
pub(crate) struct Targets(Mutex<Arc<Vec<Target>>>);

/// A node that clients may ask.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) node: NodeId,
    pub(crate) address: SocketAddr,
    pub(crate) client: Http,
}

/// What all sessions of a load share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) pace: Pace,
    pub(crate) recorder: Recorder,
    pub(crate) targets: Targets,
    pub(crate) attempt_timeout_ms: u64,
    pub(crate) give_up_after: Duration,
}

/// A client.
#[derive(Debug)]
pub(crate) struct Session {
    /// Who it is.
    pub(crate) client: String,
    /// The name of its present session.
    pub(crate) name: String,
    pub(crate) workload: Workload,
    pub(crate) random: Rng,
    /// The place among the targets of the node to ask next.
    pub(crate) favourite: usize,
}

/// An operation under way.
struct Pending {
    serial: u64,
    op: Op,
    intended_ns: u64,
    sent_ns: Option<u64>,
    /// Whether an attempt may have had an effect.
    maybe_applied: bool,
    /// Whether the client is refused under its name.
    is_disowned: bool,
    last_miss: String,
}

impl Targets {
    pub(crate) fn new(nodes: Vec<Target>) -> Targets {
        Targets(Mutex::new(Arc::new(nodes)))
    }

    pub(crate) fn replace(&self, nodes: Vec<Target>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(nodes);
    }

    pub(crate) fn current(&self) -> Arc<Vec<Target>> {
        Arc::clone(&self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Session {
    /// Sends commands when they are due, until the schedule is over or `halt` asks to leave at once.
    pub(crate) async fn run(mut self, shared: Arc<Shared>, halt: Cancel) {
        let halted = halt.cancelled();
        tokio::pin!(halted);
        let (mut commands, mut reads, mut renamed) = (0, 0, 1);
        loop {
            let intended_ns = tokio::select! {
                due = shared.pace.next_due_ns() => match due {
                    Some(due_ns) => due_ns,
                    None => return,
                },
                () = &mut halted => return,
            };
            let op = self.workload.next_op();
            let count = if op.is_read { &mut reads } else { &mut commands };
            *count += 1;
            let mut pending = Pending {
                serial: *count,
                op,
                intended_ns,
                sent_ns: None,
                maybe_applied: false,
                is_disowned: false,
                last_miss: String::new(),
            };
            let outcome = tokio::select! {
                outcome = self.carry_out(&shared, &mut pending) => Some(outcome),
                () = &mut halted => None,
            };
            if let Some(Outcome::Ok { response, .. }) = &outcome {
                self.workload.learn(&pending.op, response);
            }
            let halted = outcome.is_none();
            // A session is opened by its first command, and by no other.
            let never_opened = commands == 1 && !pending.op.is_read && !matches!(outcome, Some(Outcome::Ok { .. }));
            let is_over = pending.is_disowned || never_opened;
            self.record(&shared, pending, outcome);
            if halted {
                return;
            }
            if is_over {
                self.name = format!("{}.{renamed}", self.client);
                (commands, renamed) = (0, renamed + 1);
            }
        }
    }

    /// Tries until there is an outcome, or the time for it is up.
    async fn carry_out(&mut self, shared: &Shared, pending: &mut Pending) -> Outcome {
        let asked = self.encode(pending);
        let give_up_ns = pending.intended_ns + u64::try_from(shared.give_up_after.as_nanos()).unwrap_or(u64::MAX / 2);
        let mut attempts = 0;
        let mut backoff = FIRST_BACKOFF;
        loop {
            let now_ns = monotonic_ns();
            if now_ns >= give_up_ns {
                return pending.give_up();
            }
            let targets = shared.targets.current();
            let Target { client, .. } = &targets[self.favourite % targets.len()];
            pending.sent_ns.get_or_insert(now_ns);
            let left_ms = (give_up_ns - now_ns).div_ceil(1_000_000);
            let timeout_ms = shared.attempt_timeout_ms.min(left_ms);
            match ask(client, asked.clone(), pending.op.is_read, timeout_ms).await {
                Ok((leader, index, response)) => {
                    let leader = targets.iter().position(|target| target.node == leader);
                    self.favourite = leader.unwrap_or(self.favourite);
                    if response.refusal().is_none() {
                        return Outcome::Ok { index, response };
                    }
                    // Of the attempts before, this tells nothing.
                    (pending.is_disowned, pending.last_miss) = (true, response.get().to_owned());
                    return pending.give_up();
                }
                Err(error) => match classify(&error) {
                    Miss::Refused(reason) => {
                        pending.last_miss = reason;
                        return pending.give_up();
                    }
                    Miss::NotApplied(reason) => pending.last_miss = reason,
                    Miss::Lost(reason) => (pending.maybe_applied, pending.last_miss) = (true, reason),
                },
            }
            self.favourite = self.favourite.wrapping_add(1);
            attempts += 1;
            if attempts % targets.len() == 0 {
                // Half of it at random: clients that failed together should not come back together.
                tokio::time::sleep(backoff.mul_f64(0.5 + 0.5 * self.random.f64())).await;
                backoff = (backoff * 2).min(LONGEST_BACKOFF);
            }
        }
    }

    /// A command in its envelope, or a read as it is.
    fn encode(&self, pending: &Pending) -> Box<RawValue> {
        let Pending { serial, op: Op { text, is_read }, .. } = pending;
        let text = match is_read {
            true => text.clone(),
            false => format!(r#"{{"client":"{}","serial":{serial},"op":{text}}}"#, self.name),
        };
        RawValue::from_string(text).expect("a plain name, a number and an op make JSON")
    }

    fn record(&self, shared: &Shared, pending: Pending, outcome: Option<Outcome>) {
        let now_ns = monotonic_ns();
        // Halted before it was sent: it never was an operation.
        if outcome.is_none() && pending.sent_ns.is_none() {
            return;
        }
        let completed_ns = outcome.is_some().then_some(now_ns);
        let outcome = outcome.unwrap_or_else(|| Outcome::Unknown { reason: "the load was interrupted".into() });
        let operation = Operation {
            client: if pending.op.is_read { format!("{}-reads", self.client) } else { self.name.clone() },
            serial: pending.serial,
            op: RawValue::from_string(pending.op.text).expect("an op is JSON"),
            due_ns: Some(pending.intended_ns),
            invoked_ns: pending.sent_ns.unwrap_or(now_ns),
            completed_ns,
            outcome,
        };
        shared.recorder.record(operation, pending.intended_ns, now_ns);
    }
}

impl Pending {
    fn give_up(&mut self) -> Outcome {
        let reason = std::mem::take(&mut self.last_miss);
        match (self.sent_ns, self.maybe_applied) {
            (None, _) => Outcome::Failed { reason: "never sent: all clients were busy until its time was up".into() },
            (Some(_), false) => Outcome::Failed { reason },
            (Some(_), true) => Outcome::Unknown { reason },
        }
    }
}

/// Asks a node once: who is good to ask next, at which index it took effect or was read, and the answer.
async fn ask(
    node: &Http,
    asked: Box<RawValue>,
    is_read: bool,
    timeout_ms: u64,
) -> Result<(NodeId, Index, Response), ClientError> {
    if is_read {
        let ReadAnswer { node, index, response } =
            node.read(asked, Some(Consistency::Linearizable), Some(timeout_ms), None).await?;
        return Ok((node, index, response));
    }
    let Submitted { leader, index, response, .. } = node.submit(asked, Some(timeout_ms), None).await?;
    Ok((leader, index, response))
}
