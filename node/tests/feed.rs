//! Following what a real node applies: from the past into the present, across the death of a node, and after a state
//! came that the follower has not seen.

mod support;

use jsonrpsee::core::client::{Client, Subscription};
use raftian_rpc::client::{AppliedCommand, ClientClient as _, Consistency};
use raftian_rpc::control::{Compaction, ControlClient as _, NodeConfig};
use raftian_rpc::error::NodeError;
use raftian_rpc::{AppKind, Index, NodeId, connect};
use support::{Cluster, PATIENCE, id, node_error};

fn store(config: &mut NodeConfig) {
    config.app = AppKind::Kv;
    config.compaction = Compaction { log_bytes: None, keep_entries: 0 };
}

/// A subscription, and the connection that it lives on.
struct Followed {
    _client: Client,
    feed: Subscription<Vec<AppliedCommand>>,
}

impl Followed {
    async fn begin(cluster: &Cluster, node: NodeId, after: Index) -> Result<Followed, NodeError> {
        let address = cluster.addresses[&node];
        let client = connect::websocket(address, &cluster.secret, PATIENCE).await.unwrap();
        let feed = client.follow(after).await.map_err(node_error)?;
        Ok(Followed { _client: client, feed })
    }

    /// Takes what comes until this index has come; `None` if the subscription ends before.
    async fn up_to(&mut self, index: Index) -> Option<Vec<Index>> {
        let mut seen = Vec::new();
        while seen.last() < Some(&index) {
            let item = tokio::time::timeout(PATIENCE, self.feed.next()).await.expect("an item that was waited for")?;
            seen.extend(item.unwrap().into_iter().map(|command| command.index));
        }
        Some(seen)
    }

    async fn has_ended(mut self) -> bool {
        self.up_to(Index::MAX).await.is_none()
    }
}

async fn set(cluster: &Cluster, node: NodeId, client: &str, serial: u64) -> Index {
    cluster.change_key(node, client, serial, r#"{"set":["k","v"]}"#).await.unwrap().index
}

#[tokio::test]
async fn a_follower_sees_each_command_once_though_the_node_that_it_follows_dies() {
    let mut cluster = Cluster::start_with(3, store).await;
    let leader = cluster.leader().await;
    let first = set(&cluster, leader, "a", 1).await;
    let retried = cluster.change_key(leader, "a", 1, r#"{"set":["k","v"]}"#).await.unwrap();
    assert!(retried.duplicate);
    let second = set(&cluster, leader, "a", 2).await;
    let (one, other) = (id(leader.number() % 3 + 1), id((leader.number() + 1) % 3 + 1));

    let mut followed = Followed::begin(&cluster, one, 0).await.unwrap();
    assert_eq!(followed.up_to(second).await.unwrap(), [first, second], "a retry has no effect");
    let third = set(&cluster, leader, "a", 3).await;
    assert_eq!(followed.up_to(third).await.unwrap(), [third]);

    cluster.kill(one);
    assert!(followed.has_ended().await);
    let fourth = set(&cluster, leader, "a", 4).await;
    let mut followed = Followed::begin(&cluster, other, third).await.unwrap();
    assert_eq!(followed.up_to(fourth).await.unwrap(), [fourth]);

    // A node that starts again has its past from its log.
    cluster.spawn(one).await;
    cluster.set_rules(&[]).await;
    let mut followed = Followed::begin(&cluster, one, first).await.unwrap();
    assert_eq!(followed.up_to(fourth).await.unwrap(), [second, third, fourth]);
}

#[tokio::test]
async fn who_asks_for_what_only_a_snapshot_has_reads_the_state_and_goes_on_from_there() {
    let mut cluster = Cluster::start_with(1, store).await;
    let leader = cluster.leader().await;
    let before = set(&cluster, leader, "a", 1).await;
    cluster.client(leader).snapshot(0).await.unwrap();
    cluster.restart(leader).await;
    cluster.leader().await;
    let refused = Followed::begin(&cluster, leader, 0).await.err().expect("the snapshot has it");
    assert_eq!(refused, NodeError::Forgotten { node: leader, up_to: before });

    let state = cluster.get(leader, "k", Consistency::Stale).await.unwrap();
    assert!(state.index >= before);
    let next = set(&cluster, leader, "a", 2).await;
    let mut followed = Followed::begin(&cluster, leader, state.index).await.unwrap();
    assert_eq!(followed.up_to(next).await.unwrap(), [next]);
}

#[tokio::test]
async fn a_follower_of_a_node_that_leaves_does_not_hold_it_up() {
    let mut cluster = Cluster::start_with(1, store).await;
    let leader = cluster.leader().await;
    let followed = Followed::begin(&cluster, leader, 0).await.unwrap();
    cluster.nodes.remove(&leader).unwrap().shut_down().await;
    assert!(followed.has_ended().await);
}
