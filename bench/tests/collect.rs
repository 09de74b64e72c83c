//! The collection of evidence from a daemon that pages: logs come back whole, and a silent node is missed.

use std::net::TcpListener;
use std::time::Duration;

use jsonrpsee::RpcModule;
use jsonrpsee::server::ServerHandle;
use raftian_bench::collect::collect;
use raftian_bench::lab::Lab;
use raftian_check::{Operation, Verdict};
use raftian_rpc::error::LabError;
use raftian_rpc::secret::Secret;
use raftian_rpc::serve::{Front, serve};
use serde_json::{Value, json};

/// The commands on both logs, after the no-op of term 1.
const COMMANDS: [&str; 2] =
    [r#"{"client":"a","serial":1,"op":{"attack":1}}"#, r#"{"client":"a","serial":2,"op":{"attack":1}}"#];

/// The digest of a state of one player after those commands.
fn digest() -> String {
    use raftian_check::apps::{AppKind, Entry, Machine, Payload};
    let mut machine = Machine::new(AppKind::Attack, 1).unwrap();
    machine.apply(&Entry { index: 1, term: 1, payload: Payload::Noop });
    for (index, command) in (2..).zip(COMMANDS) {
        machine.apply(&Entry { index, term: 1, payload: Payload::Command(command.into()) });
    }
    machine.digest().to_string()
}

/// A daemon of two nodes whose pages hold one entry each; n2 is silent if told so.
fn daemon(silent: bool) -> (Lab, ServerHandle) {
    let secret = Secret::generate().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let mut module = RpcModule::new(digest());
    module.register_method("lab.wait", |_, _, _| Err::<Value, _>(LabError::TimedOut("n2 lags behind".into()))).unwrap();
    module.register_method("lab.status", |_, _, _| status()).unwrap();
    module.register_method("lab.log", move |params, digest, _| page(&params.parse().unwrap(), digest, silent)).unwrap();
    let handle = serve(listener, secret.clone(), module, Front::default(), |_| {}).unwrap();
    (Lab::at(address, secret).unwrap(), handle)
}

fn status() -> Value {
    let node = |id: &str| json!({"node": id, "state": "running", "reason": null, "address": null, "usage": null, "starts": 1, "server": null});
    json!({
        "lab": "t", "folder": "/t", "app": "attack", "players": 1, "seed": 1, "leader": "n1", "term": 1,
        "nodes": [node("n1"), node("n2")], "faults": [],
        "daemon": {"pid": 1, "cpu_percent": 0.0, "cpu_ms": 0, "memory_bytes": 0},
    })
}

fn page(params: &Value, digest: &str, silent: bool) -> Value {
    let (node, from) = (params[0].as_str().unwrap(), params[1].as_u64().unwrap());
    let resolved = json!({"selector": node, "nodes": [node], "leader": null});
    if silent && node == "n2" {
        return json!({"resolved": resolved, "pages": [], "silent": {"n2": "paused"}});
    }
    let command = match from {
        1 => Value::Null,
        index => serde_json::from_str(COMMANDS[index as usize - 2]).unwrap(),
    };
    let entry = json!({"index": from, "term": 1, "command": command});
    let page = json!({
        "node": node, "snapshot_index": 0, "first_index": 1, "last_index": 3, "commit_index": 3, "last_applied": 3,
        "digest": digest, "entries": [entry],
    });
    json!({"resolved": resolved, "pages": [page], "silent": {}})
}

fn history() -> Vec<Operation> {
    [(1, r#"{"outcome":"hit","player":1,"hp":70}"#), (2, r#"{"outcome":"hit","player":1,"hp":40}"#)]
        .map(|(serial, response)| {
            let text = format!(
                r#"{{"client":"a","serial":{serial},"op":{{"attack":1}},"invoked_ns":{serial}0,"completed_ns":{serial}5,"outcome":{{"ok":{{"index":{},"response":{response}}}}}}}"#,
                serial + 1
            );
            serde_json::from_str(&text).unwrap()
        })
        .into()
}

#[tokio::test]
async fn logs_are_read_page_by_page_and_judged_with_the_history() {
    let (lab, _handle) = daemon(false);
    let evidence = collect(&lab, true, Duration::from_secs(1)).await.unwrap();
    assert_eq!(evidence.replicas.iter().map(|replica| replica.entries.len()).collect::<Vec<_>>(), [3, 3]);
    assert!(evidence.converged.as_ref().unwrap_err().contains("n2 lags behind"));
    let report = evidence.judge(&history());
    assert_eq!(report.verdict, Verdict::Valid, "{:?}", report.findings);
}

#[tokio::test]
async fn a_node_that_does_not_answer_leaves_the_verdict_open() {
    let (lab, _handle) = daemon(true);
    let evidence = collect(&lab, true, Duration::from_secs(1)).await.unwrap();
    assert_eq!((evidence.replicas.len(), evidence.silent.len()), (1, 1));
    assert_eq!(evidence.judge(&history()).verdict, Verdict::Unknown);
}
