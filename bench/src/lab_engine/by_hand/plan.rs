//! What the settings of a scenario are for nodes that are moved by hand.

use std::collections::BTreeMap;

use raftian_rpc::NodeId;
use raftian_rpc::control::{ByHand, DiskContent, Tuning};
use raftian_rpc::faults::Effect;
use raftian_script::{LinkEffect, Plan, Scenario, Statement};

/// Snapshots are taken when the log has so many entries, unless a scenario says otherwise; as in the simulator.
const LONGEST_LOG: u64 = 1_000;

/// All nodes, those that may join included, and what is special about each.
pub(crate) fn nodes(scenario: &Scenario) -> BTreeMap<NodeId, ByHand> {
    let plan = &scenario.plan;
    let mut disks: BTreeMap<NodeId, DiskContent> = BTreeMap::new();
    for step in &scenario.steps {
        if let Statement::Disk { node, term, vote, log, snapshot, members } = &step.statement {
            let content = DiskContent {
                term: term.unwrap_or(log.last().copied().unwrap_or(0)),
                vote: *vote,
                log: log.clone(),
                snapshot: *snapshot,
                members: members.clone().into_iter().collect(),
            };
            disks.insert(*node, content);
        }
    }
    let node = |id| (id, ByHand { disk: disks.remove(&id), tuning: tuning(plan, id) });
    NodeId::first(plan.founders + plan.joiners).map(node).collect()
}

fn tuning(plan: &Plan, id: NodeId) -> Tuning {
    let own = plan.server_settings.get(&id).copied().unwrap_or_default();
    Tuning {
        pre_vote: own.pre_vote.unwrap_or(plan.pre_vote),
        check_quorum: own.check_quorum.unwrap_or(plan.check_quorum),
        append_entries: plan.max_append_entries,
        append_bytes: plan.max_append_bytes,
        committed_at_once: plan.max_committed_per_ready,
        uncommitted_bytes: plan.max_uncommitted_bytes,
        disk_patience_us: u64::try_from(plan.disk_patience.as_micros()).unwrap_or(u64::MAX),
        snapshot_chunk_bytes: plan.max_snapshot_chunk_bytes,
        sessions: plan.limits.max_sessions,
        compact_above_bytes: plan.limits.compact_above_bytes,
        snapshot_entries: plan.snapshot_every.unwrap_or(LONGEST_LOG),
        keep_entries: plan.keep,
    }
}

/// How long a message takes, by sender and receiver.
pub(super) fn latencies(plan: &Plan) -> Vec<u64> {
    let count = plan.nodes();
    let of = |effect: &Effect| match effect {
        Effect::Latency { delay_ms, .. } => (delay_ms * 1000.0).round() as u64,
        _ => 0,
    };
    let all: u64 = plan.effects.iter().map(of).sum();
    let mut latencies = vec![all; count * count];
    for LinkEffect { from, to, effect } in &plan.link_effects {
        let (from, to) = (super::place(*from), super::place(*to));
        latencies[from * count + to] += of(effect);
    }
    latencies
}
