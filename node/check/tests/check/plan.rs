//! A run that never happened: concurrent clients of one correct server, in made-up time.
//!
//! Invariant: the history has an order, that of the log, and the same plan gives the same run.

use raftian_check::apps::{AppKind, Digest, Effect, Entry, Machine, NodeId, Payload};
use raftian_check::{Operation, Outcome, ReplicaLog, Setup};
use serde_json::value::RawValue;

/// What is to happen.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    /// What the clients use.
    pub(crate) app: AppKind,
    /// How many clients there are, each with one operation at a time.
    pub(crate) clients: usize,
    /// How many operations.
    pub(crate) operations: usize,
    /// Over how many keys or players.
    pub(crate) objects: u32,
    /// How many different values are written.
    pub(crate) values: u32,
    /// How many of a hundred operations end without an outcome; half of them take effect.
    pub(crate) unknown_percent: u32,
    /// Where the accidents come from.
    pub(crate) seed: u64,
}

/// What came of it.
#[derive(Debug)]
pub(crate) struct Run {
    /// What the clients saw.
    pub(crate) history: Vec<Operation>,
    /// What three servers committed.
    pub(crate) replicas: Vec<ReplicaLog>,
    /// What is known of the run.
    pub(crate) setup: Setup,
}

impl Plan {
    /// Makes it happen.
    pub(crate) fn run(self) -> Run {
        let players = u16::try_from(self.objects.min(64)).expect("at most 64");
        let mut random = fastrand::Rng::with_seed(self.seed);
        let mut machine = Machine::new(self.app, players).expect("a board of at most 64");
        let mut entries = Vec::new();
        let mut history = Vec::with_capacity(self.operations);
        let mut clients = vec![Client::default(); self.clients];
        let mut now_ns = 0;
        while history.len() < self.operations {
            now_ns += 10;
            let number = random.usize(..self.clients);
            let client = &mut clients[number];
            if client.free_at_ns >= now_ns {
                continue;
            }
            let longest_ns = 10 * self.clients as u64;
            let invoked_ns = random.u64(client.free_at_ns.max(now_ns.saturating_sub(longest_ns))..=now_ns);
            let completed_ns = random.u64(now_ns..=now_ns + longest_ns);
            client.free_at_ns = completed_ns + 1;
            client.serial += 1;
            let (client, serial) = (format!("c{number}"), client.serial);
            let op = self.op(&mut random);
            // A client whose first command is lost has no session: it would be refused for ever.
            let is_unknown = serial > 1 && random.u32(..100) < self.unknown_percent;
            let outcome = if is_unknown && random.bool() {
                unknown()
            } else {
                let index = entries.len() as u64 + 1;
                let json = format!(r#"{{"client":"{client}","serial":{serial},"op":{op}}}"#);
                let entry = Entry { index, term: 1, payload: Payload::Command(json.into()) };
                let applied = machine.apply(&entry);
                entries.push(entry);
                match applied.effect {
                    Effect::Executed(response) if !is_unknown => Outcome::Ok { index, response },
                    Effect::Executed(_) => unknown(),
                    other => panic!("every command is new: {other:?}"),
                }
            };
            let op = RawValue::from_string(op).expect("an op is JSON");
            let completed_ns = Some(completed_ns);
            history.push(Operation { client, serial, op, due_ns: None, invoked_ns, completed_ns, outcome });
        }
        let nodes: Vec<NodeId> = NodeId::first(3).collect();
        let replicas = nodes.iter().map(|node| replica(*node, &entries, machine.digest())).collect();
        Run {
            history,
            replicas,
            setup: Setup { app: self.app, app_options: players.into(), nodes, history_is_complete: true },
        }
    }

    fn op(&self, random: &mut fastrand::Rng) -> String {
        let (object, value) = (random.u32(..self.objects), random.u32(..self.values));
        match (self.app, random.u32(..20)) {
            (AppKind::Attack, 0..3) => format!(r#"{{"add":{}}}"#, object % 64 + 1),
            (AppKind::Attack, 3..5) => format!(r#"{{"del":{}}}"#, object % 64 + 1),
            (AppKind::Attack, _) => format!(r#"{{"attack":{}}}"#, object % 64 + 1),
            (AppKind::Kv, 0..10) => format!(r#"{{"get":"k{object}"}}"#),
            (AppKind::Kv, 10..15) => format!(r#"{{"set":["k{object}","{value}"]}}"#),
            (AppKind::Kv, 15) => format!(r#"{{"del":"k{object}"}}"#),
            (AppKind::Kv, 16) => format!(r#"{{"set":["k{object}","text {value}"]}}"#),
            (AppKind::Kv, 17) => format!(r#"{{"cas":["k{object}",null,"{value}"]}}"#),
            (AppKind::Kv, 18) => format!(r#"{{"cas":["k{object}","{}","{value}"]}}"#, random.u32(..self.values)),
            (AppKind::Kv, _) => format!(r#"{{"incr":["k{object}",{}]}}"#, random.i32(-2..=2)),
            (AppKind::Canvas, 0..10) => format!(r#"{{"pixel":[{object},1]}}"#),
            (AppKind::Canvas, 10..12) => format!(r#"{{"paint":[[{object},1,{value}],[64,1,1]]}}"#),
            (AppKind::Canvas, 12..15) => format!(r#"{{"paint":[[{object},0,{value}],[{object},1,{value}]]}}"#),
            (AppKind::Canvas, _) => format!(r#"{{"paint":[[{object},1,{value}]]}}"#),
        }
    }
}

impl Run {
    /// The history, without what the servers said of their log.
    pub(crate) fn without_indexes(&self) -> Vec<Operation> {
        let mut history = self.history.clone();
        for operation in &mut history {
            if let Outcome::Ok { index, .. } = &mut operation.outcome {
                *index = 0;
            }
        }
        history
    }
}

#[derive(Clone, Debug, Default)]
struct Client {
    serial: u64,
    free_at_ns: u64,
}

fn unknown() -> Outcome {
    Outcome::Unknown { reason: "time-out".to_owned() }
}

fn replica(node: NodeId, entries: &[Entry], digest: Digest) -> ReplicaLog {
    let end = entries.len() as u64;
    ReplicaLog {
        node,
        commit_index: end,
        applied_index: end,
        digest,
        entries: entries.to_vec(),
        discarded: 0,
        earlier: Vec::new(),
        is_partial: false,
    }
}
