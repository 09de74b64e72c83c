//! One client of a load: one command outstanding, the same serial until it is answered or given up.
//!
//! Like a real client it goes to the leader that took its last command, tries the next node at once when one fails it,
//! and waits a little only after a whole round of failures.
//!
//! Invariant: an operation is `Failed` only if no attempt can have had an effect, and `Unknown` whenever one might.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use fastrand::Rng;
use raftian_check::{Operation, Outcome};
use raftian_rpc::NodeId;
use raftian_rpc::client::{ClientClient as _, Submitted};
use raftian_rpc::clock::monotonic_ns;
use raftian_rpc::connect::Http;
use serde_json::value::RawValue;

use super::attempt::{Miss, classify};
use super::pace::Pace;
use super::recorder::Recorder;
use super::workload::Workload;
use crate::cancel::Cancel;

/// The first wait after a round of failures; it doubles with each round.
const FIRST_BACKOFF: Duration = Duration::from_millis(5);

/// The longest wait between rounds.
const LONGEST_BACKOFF: Duration = Duration::from_millis(40);

/// The nodes that clients may ask, replaced as a whole when addresses change.
#[derive(Debug)]
pub(crate) struct Targets(Mutex<Arc<Vec<Target>>>);

/// A node that clients may ask.
pub(crate) type Target = (NodeId, Http);

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
    pub(crate) client: String,
    pub(crate) workload: Workload,
    pub(crate) random: Rng,
    /// The place among the targets of the node to ask next.
    pub(crate) favourite: usize,
}

/// An operation under way.
struct Pending {
    serial: u64,
    op: String,
    intended_ns: u64,
    sent_ns: Option<u64>,
    /// Whether an attempt may have had an effect.
    maybe_applied: bool,
    last_miss: String,
}

impl Targets {
    pub(crate) fn new(nodes: Vec<Target>) -> Targets {
        Targets(Mutex::new(Arc::new(nodes)))
    }

    pub(crate) fn replace(&self, nodes: Vec<Target>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(nodes);
    }

    fn current(&self) -> Arc<Vec<Target>> {
        Arc::clone(&self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Session {
    /// Sends commands when they are due, until the schedule is over or `halt` asks to leave at once.
    pub(crate) async fn run(mut self, shared: Arc<Shared>, halt: Cancel) {
        let halted = halt.cancelled();
        tokio::pin!(halted);
        for serial in 1.. {
            let intended_ns = tokio::select! {
                due = shared.pace.next_due_ns() => match due {
                    Some(due_ns) => due_ns,
                    None => return,
                },
                () = &mut halted => return,
            };
            let op = self.workload.next_op();
            let mut pending =
                Pending { serial, op, intended_ns, sent_ns: None, maybe_applied: false, last_miss: String::new() };
            let outcome = tokio::select! {
                outcome = self.submit(&shared, &mut pending) => Some(outcome),
                () = &mut halted => None,
            };
            let halted = outcome.is_none();
            self.record(&shared, pending, outcome);
            if halted {
                return;
            }
        }
    }

    /// Tries until there is an outcome, or the time for it is up.
    async fn submit(&mut self, shared: &Shared, pending: &mut Pending) -> Outcome {
        let command = self.encode(pending);
        let give_up_ns = pending.intended_ns + u64::try_from(shared.give_up_after.as_nanos()).unwrap_or(u64::MAX / 2);
        let mut attempts = 0;
        let mut backoff = FIRST_BACKOFF;
        loop {
            let now_ns = monotonic_ns();
            if now_ns >= give_up_ns {
                return pending.give_up();
            }
            let targets = shared.targets.current();
            let (_, node) = &targets[self.favourite % targets.len()];
            pending.sent_ns.get_or_insert(now_ns);
            let left_ms = (give_up_ns - now_ns).div_ceil(1_000_000);
            let timeout_ms = shared.attempt_timeout_ms.min(left_ms);
            match node.submit(command.clone(), Some(timeout_ms), None).await {
                Ok(submitted) => {
                    let leader = targets.iter().position(|(node, _)| *node == submitted.leader);
                    self.favourite = leader.unwrap_or(self.favourite);
                    return acknowledged(submitted);
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

    fn encode(&self, pending: &Pending) -> Box<RawValue> {
        let Pending { serial, op, .. } = pending;
        let text = format!(r#"{{"client":"{}","serial":{serial},"op":{op}}}"#, self.client);
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
            client: self.client.clone(),
            serial: pending.serial,
            op: RawValue::from_string(pending.op).expect("an op is JSON"),
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

fn acknowledged(submitted: Submitted) -> Outcome {
    // The session had moved on: this tells nothing of the command itself.
    if submitted.response.get().starts_with(r#"{"error":"stale_serial""#) {
        return Outcome::Unknown { reason: submitted.response.get().to_owned() };
    }
    Outcome::Ok { index: submitted.index, response: submitted.response }
}
