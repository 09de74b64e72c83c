//! A run written by hand: what its clients saw and what its servers committed.

use raftian_check::apps::{AppKind, AppOptions, Digest, Entry, Machine, NodeId, Payload, Response, Term};
use raftian_check::{Invariant, Operation, Outcome, ReplicaLog, Report, Setup, Verdict, judge};
use serde_json::value::RawValue;

/// A run of three nodes: n1 and n2 are up to date, n3 lags.
pub(crate) struct Run {
    pub(crate) history: Vec<Operation>,
    pub(crate) replicas: Vec<ReplicaLog>,
    pub(crate) setup: Setup,
}

impl Run {
    /// Five players, if the application has players, and a history that is complete.
    pub(crate) fn new(app: AppKind, history: Vec<Operation>, log: &[Entry]) -> Run {
        let setup = Setup {
            app,
            app_options: AppOptions::default(),
            nodes: NodeId::first(3).collect(),
            history_is_complete: true,
        };
        // n3 lacks the last two entries, and has not applied the last of those it has.
        let (end, behind) = (log.len(), log.len().saturating_sub(2));
        let replica = |node, log: &[Entry], applied| replica(app, node, log, applied);
        let replicas =
            vec![replica(1, log, end), replica(2, log, end), replica(3, &log[..behind], behind.saturating_sub(1))];
        Run { history, replicas, setup }
    }

    pub(crate) fn operation(&mut self, client: &str, serial: u64) -> &mut Operation {
        self.history.iter_mut().find(|o| o.client == client && o.serial == serial).unwrap()
    }

    pub(crate) fn judge(&self) -> Report {
        judge(&self.history, &self.replicas, &self.setup)
    }

    /// Checks that exactly these invariants have findings, and that the verdict follows from them.
    #[track_caller]
    pub(crate) fn finds(&self, invariants: &[Invariant]) -> Report {
        let report = self.judge();
        let mut expected = invariants.to_vec();
        expected.sort();
        assert!(report.findings_by_invariant.keys().eq(&expected), "expected {expected:?} in:\n{report}");
        let verdict = match expected[..] {
            [] => Verdict::Valid,
            [Invariant::Evidence] => Verdict::Unknown,
            _ => Verdict::Violated,
        };
        assert_eq!(report.verdict, verdict, "{report}");
        report
    }
}

pub(crate) fn noop(index: u64, term: Term) -> Entry {
    Entry { index, term, payload: Payload::Noop }
}

pub(crate) fn command(index: u64, term: Term, client: &str, serial: u64, op: &str) -> Entry {
    let text = format!(r#"{{"client":"{client}","serial":{serial},"op":{op}}}"#);
    Entry { index, term, payload: Payload::Command(text.into()) }
}

pub(crate) fn replica(app: AppKind, node: u16, log: &[Entry], applied: usize) -> ReplicaLog {
    ReplicaLog {
        node: NodeId::new(node).unwrap(),
        commit_index: log.len() as u64,
        applied_index: applied as u64,
        digest: digest(app, &log[..applied]),
        entries: log.to_vec(),
        discarded: 0,
        earlier: Vec::new(),
        is_partial: false,
    }
}

pub(crate) fn digest(app: AppKind, log: &[Entry]) -> Digest {
    let mut machine = Machine::new(app, 5).unwrap();
    for entry in log {
        machine.apply(entry);
    }
    machine.digest()
}

pub(crate) fn ok(
    client: &str,
    serial: u64,
    op: &str,
    ns: std::ops::Range<u64>,
    index: u64,
    response: &str,
) -> Operation {
    operation(client, serial, op, ns.start, ns.end, Outcome::Ok { index, response: json(response) })
}

pub(crate) fn unknown(client: &str, serial: u64, op: &str, invoked_ns: u64) -> Operation {
    let outcome = Outcome::Unknown { reason: "time-out".to_owned() };
    operation(client, serial, op, invoked_ns, invoked_ns + 1, outcome)
}

pub(crate) fn failed(client: &str, serial: u64, op: &str, ns: std::ops::Range<u64>) -> Operation {
    operation(client, serial, op, ns.start, ns.end, Outcome::Failed { reason: "unknown op".to_owned() })
}

pub(crate) fn json(text: &str) -> Response {
    serde_json::from_str(text).unwrap()
}

fn operation(client: &str, serial: u64, op: &str, invoked_ns: u64, completed_ns: u64, outcome: Outcome) -> Operation {
    let op = RawValue::from_string(op.to_owned()).unwrap();
    Operation {
        client: client.to_owned(),
        serial,
        op,
        due_ns: None,
        invoked_ns,
        completed_ns: Some(completed_ns),
        outcome,
    }
}
