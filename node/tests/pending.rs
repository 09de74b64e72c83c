//! What a client of a real node hears of a command that was proposed, and then could not go its way: never that it was
//! applied when it was not, and never that it was not when it may be.

mod support;

use raftian_rpc::NodeId;
use raftian_rpc::client::{ClientClient as _, Submitted};
use raftian_rpc::control::{Compaction, ControlClient as _, NodeConfig, NodeStatus};
use raftian_rpc::error::NodeError;
use serde_json::value::RawValue;
use support::{Cluster, id, node_error};
use tokio::task::JoinHandle;

/// A leader that may hear of no quorum for as long as a test takes, and leads on all the same.
const LEADER: u16 = 1;

/// What a client hears.
type Heard = JoinHandle<Result<Submitted, NodeError>>;

fn leads_on(config: &mut NodeConfig) {
    if config.id == id(LEADER) {
        config.timing.election_min_ms = 50_000;
        config.timing.election_max_ms = 60_000;
        config.trim.campaigns_first = true;
    }
    config.compaction = Compaction { log_bytes: None, keep_entries: 0 };
}

/// A client of the leader that waits for a command of this index, however long it takes.
async fn propose(cluster: &Cluster, client: &str, index: u64) -> Heard {
    let command = format!(r#"{{"client":"{client}","serial":1,"op":{{"attack":3}}}}"#);
    let command = RawValue::from_string(command).unwrap();
    let leader = cluster.client(id(LEADER));
    let heard = tokio::spawn(async move { leader.submit(command, Some(60_000), None).await.map_err(node_error) });
    let is_proposed = |all: &[NodeStatus]| all.iter().any(|s| s.node == id(LEADER) && s.last_index == index);
    cluster.wait_until("a proposal", is_proposed).await;
    heard
}

/// Two commands of a leader that is cut off from the others; their indexes go to a no-op and a command of the next leader,
/// which is named.
async fn replaced(cluster: &mut Cluster) -> ([Heard; 2], NodeId) {
    cluster.hand_over(id(LEADER)).await;
    let same =
        |all: &[NodeStatus]| all.iter().all(|s| s.last_applied == s.last_index && s.last_index == all[0].last_index);
    let status = cluster.wait_until("the same log everywhere", same).await.swap_remove(0);
    cluster.isolate(id(LEADER)).await;
    let next = status.last_index + 1;
    let pending = [propose(cluster, "a", next).await, propose(cluster, "b", next + 1).await];

    let is_next = |s: &NodeStatus| s.node != id(LEADER) && s.leader == Some(s.node) && s.term > status.term;
    let all = cluster.wait_until("the next leader", |all| all.iter().any(is_next)).await;
    let leader = all.into_iter().find(is_next).unwrap().node;
    assert_eq!(cluster.attack(leader, "c", 1).await.unwrap().index, next + 1);
    (pending, leader)
}

#[tokio::test]
async fn commands_whose_indexes_went_to_the_next_leaders_entries_were_replaced() {
    let mut cluster = Cluster::start_with(3, leads_on).await;
    let (pending, _) = replaced(&mut cluster).await;
    cluster.set_rules(&[]).await;
    for heard in pending {
        assert_eq!(heard.await.unwrap().unwrap_err(), NodeError::Replaced);
    }
}

#[tokio::test]
async fn commands_whose_indexes_a_snapshot_covers_have_an_unknown_outcome() {
    let mut cluster = Cluster::start_with(3, leads_on).await;
    let (pending, leader) = replaced(&mut cluster).await;
    cluster.client(leader).snapshot(0).await.unwrap();
    cluster.set_rules(&[]).await;
    for heard in pending {
        let outcome = heard.await.unwrap().unwrap_err();
        assert!(matches!(outcome, NodeError::TimedOut { waited_ms } if waited_ms < 60_000), "{outcome}");
    }
}

#[tokio::test]
async fn a_command_that_is_pending_when_the_node_is_shut_down_has_an_unknown_outcome() {
    let mut cluster = Cluster::start_with(2, leads_on).await;
    cluster.hand_over(id(LEADER)).await;
    let next = cluster.status(id(LEADER)).await.last_index + 1;
    cluster.kill(id(2));
    let heard = propose(&cluster, "a", next).await;
    let node = cluster.nodes.remove(&id(LEADER)).unwrap();
    node.shut_down().await;
    let outcome = heard.await.unwrap().unwrap_err();
    assert!(matches!(outcome, NodeError::TimedOut { .. }), "{outcome}");
}
