//! The lab's metrics: what the daemon knows, and what its nodes say of themselves.
//!
//! Deliberately absent: what happened, which the journal has.

use std::sync::Arc;

use raftian_rpc::VERSION;
use raftian_rpc::lab::{LabStatus, NodeReport, NodeState, ProcessUsage};
use raftian_rpc::metrics::{Exposition, Kind};
use raftian_why::words;

use crate::lab::Lab;

/// The states of a process.
const STATES: [NodeState; 6] = [
    NodeState::Starting,
    NodeState::Running,
    NodeState::Paused,
    NodeState::Stopped,
    NodeState::Killed,
    NodeState::Failed,
];

/// The text of them, as things are now.
pub(crate) async fn text(lab: Arc<Lab>) -> String {
    of(&lab.status().await)
}

fn of(status: &LabStatus) -> String {
    let mut exposition = Exposition::default();
    let LabStatus { nodes, .. } = status;
    let one = |value: f64| [([], value)];
    exposition.metric(
        Kind::Gauge,
        "raftian_build_info",
        "The version of the daemon; always 1.",
        [([("version", VERSION.to_owned())], 1.0)],
    );
    let in_state = |state: NodeState| nodes.iter().filter(|node| node.state == state).count() as f64;
    let states = STATES.map(|state| ([("state", words::state(state).to_owned())], in_state(state)));
    exposition.metric(Kind::Gauge, "raftian_lab_nodes", "Nodes of the lab whose process is in this state.", states);
    let has_leader = f64::from(u8::from(status.leader.is_some()));
    let help = "Whether a node leads with a recent quorum: 1, or 0.";
    exposition.metric(Kind::Gauge, "raftian_lab_has_leader", help, one(has_leader));
    exposition.metric(Kind::Gauge, "raftian_lab_term", "The highest term any node has seen.", one(status.term as f64));
    exposition.metric(Kind::Gauge, "raftian_lab_faults", "Faults in force.", one(status.faults.len() as f64));
    let diverged = f64::from(u8::from(status.divergence.is_some()));
    let help = "Whether nodes were seen to have committed different entries: 1, or 0.";
    exposition.metric(Kind::Gauge, "raftian_lab_diverged", help, one(diverged));
    of_each(&mut exposition, nodes, Kind::Gauge, "raftian_node_up", "Whether the node answers: 1, or 0.", |node| {
        Some(f64::from(u8::from(node.server.is_some())))
    });
    let help = "How often the node was started.";
    of_each(&mut exposition, nodes, Kind::Counter, "raftian_node_starts_total", help, |node| Some(node.starts as f64));
    let daemon = ("daemon".to_owned(), status.daemon);
    let of_nodes = nodes.iter().filter_map(|node| Some((node.node.to_string(), node.usage?)));
    let processes: Vec<(String, ProcessUsage)> = std::iter::once(daemon).chain(of_nodes).collect();
    let of = |value: fn(&ProcessUsage) -> f64| {
        processes.iter().map(move |(name, usage)| ([("process", name.clone())], value(usage)))
    };
    let help = "CPU time since the process started.";
    exposition.metric(Kind::Counter, "raftian_process_cpu_seconds_total", help, of(|usage| usage.cpu_ms as f64 / 1e3));
    let help = "Resident memory of the process.";
    exposition.metric(
        Kind::Gauge,
        "raftian_process_resident_memory_bytes",
        help,
        of(|usage| usage.memory_bytes as f64),
    );
    let servers: Vec<_> = nodes.iter().filter_map(|node| node.server.clone()).collect();
    exposition.nodes(&servers);
    exposition.into_text()
}

fn of_each(
    exposition: &mut Exposition,
    nodes: &[NodeReport],
    kind: Kind,
    name: &str,
    help: &str,
    value: fn(&NodeReport) -> Option<f64>,
) {
    let samples = nodes.iter().filter_map(|node| Some(([("node", node.node.to_string())], value(node)?)));
    exposition.metric(kind, name, help, samples);
}
