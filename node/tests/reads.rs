//! Reads from real nodes without an entry in the log: linearizable ones see the last write or nothing, stale ones what
//! their node has.

mod support;

use raftian_rpc::AppKind;
use raftian_rpc::client::{ClientClient as _, Consistency};
use raftian_rpc::control::{NodeConfig, NodeStatus, ReadMode};
use raftian_rpc::error::NodeError;
use serde_json::value::RawValue;
use support::{Cluster, id, node_error};

fn store(config: &mut NodeConfig) {
    config.app = AppKind::Kv;
}

fn leased(config: &mut NodeConfig) {
    store(config);
    config.reads = ReadMode::Lease { drift_percent: 10 };
}

fn found(value: u64) -> String {
    format!(r#"{{"outcome":"found","value":"{value}"}}"#)
}

async fn a_read_sees_what_was_written_before(adjust: fn(&mut NodeConfig)) {
    let cluster = Cluster::start_with(3, adjust).await;
    cluster.leader().await;
    for value in 1..=30 {
        let (writer, reader) = (id((value % 3) as u16 + 1), id((value / 3 % 3) as u16 + 1));
        let written = cluster.change_key(writer, "a", value, &format!(r#"{{"set":["k","{value}"]}}"#)).await.unwrap();
        let read = cluster.get(reader, "k", Consistency::Linearizable).await.unwrap();
        assert_eq!((read.response.get(), read.node), (found(value).as_str(), written.leader));
        assert!(read.index >= written.index);
    }
    let leader = cluster.leader().await;
    let status = cluster.status(leader).await;
    assert_eq!(status.last_index, 31, "reads leave no entries: {status:#?}");
    assert_eq!(status.counters.reads, 30);
}

#[tokio::test]
async fn a_linearizable_read_sees_what_was_written_before() {
    a_read_sees_what_was_written_before(store).await;
}

#[tokio::test]
async fn a_leased_read_sees_what_was_written_before() {
    a_read_sees_what_was_written_before(leased).await;
}

async fn a_leader_that_was_replaced_reads_nothing(adjust: fn(&mut NodeConfig)) {
    let mut cluster = Cluster::start_with(3, adjust).await;
    let old = cluster.leader().await;
    cluster.change_key(old, "a", 1, r#"{"set":["k","1"]}"#).await.unwrap();
    let term = cluster.status(old).await.term;
    cluster.isolate(old).await;
    let replaced = |all: &[NodeStatus]| {
        all.iter().all(|status| status.node == old || (status.term > term && status.leader.is_some()))
    };
    let all = cluster.wait_until("a leader beyond the partition", replaced).await;
    let new = all.iter().find(|status| status.node != old).and_then(|status| status.leader).unwrap();
    cluster.change_key(new, "a", 2, r#"{"set":["k","2"]}"#).await.unwrap();

    let refused = cluster.get(old, "k", Consistency::Linearizable).await.unwrap_err();
    assert!(matches!(refused, NodeError::TimedOut { .. } | NodeError::NoLeader { .. }), "{refused}");
    let stale = cluster.get(old, "k", Consistency::Stale).await.unwrap();
    assert_eq!((stale.node, stale.response.get()), (old, found(1).as_str()));

    cluster.set_rules(&[]).await;
    cluster.leader().await;
    let read = cluster.get(old, "k", Consistency::Linearizable).await.unwrap();
    assert_eq!(read.response.get(), found(2));
}

#[tokio::test]
async fn a_leader_that_was_replaced_and_does_not_know_reads_nothing() {
    a_leader_that_was_replaced_reads_nothing(store).await;
}

#[tokio::test]
async fn a_leader_whose_lease_is_over_reads_nothing() {
    a_leader_that_was_replaced_reads_nothing(leased).await;
}

#[tokio::test]
async fn what_is_no_read_is_refused() {
    let cluster = Cluster::start_with(1, store).await;
    let leader = cluster.leader().await;
    for (op, timeout_ms) in [(r#"{"set":["k","v"]}"#, 1_000), ("7", 1_000), (r#"{"get":"k"}"#, 0)] {
        let op = RawValue::from_string(op.into()).unwrap();
        let refused =
            cluster.client(leader).read(op, None, Some(timeout_ms), None).await.map_err(node_error).unwrap_err();
        assert!(matches!(refused, NodeError::BadRequest { .. }), "{refused}");
    }
    assert_eq!(cluster.status(leader).await.last_index, 1);
}

/// Calls leave only where something is asked: heartbeats are rarer than a test is long.
fn silent(config: &mut NodeConfig) {
    store(config);
    config.trim.campaigns_first = config.id == id(1);
    config.timing.heartbeat_ms = 20_000;
    (config.timing.election_min_ms, config.timing.election_max_ms) = (50_000, 60_000);
}

#[tokio::test]
async fn a_read_that_is_pending_when_the_node_is_shut_down_hears_of_it_at_once() {
    let mut cluster = Cluster::start_with(2, silent).await;
    let is_settled = |all: &[NodeStatus]| all.iter().all(|status| status.last_applied == 1);
    cluster.wait_until("the first entry everywhere", is_settled).await;
    let calls = cluster.status(id(1)).await.counters.calls;
    cluster.kill(id(2));
    let client = cluster.client(id(1));
    let get = RawValue::from_string(r#"{"get":"k"}"#.into()).unwrap();
    let heard = tokio::spawn(async move { client.read(get, None, Some(60_000), None).await.map_err(node_error) });
    cluster.wait_until("a round for the read", |all| all.iter().any(|status| status.counters.calls > calls)).await;
    cluster.nodes.remove(&id(1)).unwrap().shut_down().await;
    assert_eq!(heard.await.unwrap().unwrap_err(), NodeError::ShuttingDown { node: id(1) });
}
