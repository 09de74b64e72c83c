//! Faults of the clock of a real node: elections stay bounded, and nothing stale is read.

mod support;

use raftian_faults::NodeEffect;
use raftian_rpc::client::Consistency;
use raftian_rpc::control::{
    ByHand, ClockReading, ControlClient as _, Measured, Network, NodeConfig, NodeFault, NodeStatus, ReadMode,
};
use raftian_rpc::error::NodeError;
use raftian_rpc::lab::FaultId;
use raftian_rpc::{AppKind, NodeId, RoleKind};
use support::{Cluster, id, node_error};

fn store(config: &mut NodeConfig) {
    config.app = AppKind::Kv;
}

/// Leaders read by leases, which allow for clocks that differ by a tenth.
fn leases(config: &mut NodeConfig) {
    store(config);
    config.reads = ReadMode::Lease { drift_percent: 10 };
}

async fn set(cluster: &Cluster, node: NodeId, client: &str, value: &str) -> Result<u64, NodeError> {
    let set = cluster.change_key(node, client, 1, &format!(r#"{{"set":["k","{value}"]}}"#)).await;
    set.map(|submitted| submitted.index)
}

/// How many microseconds have passed on the clock of a node since it was read, when so many milliseconds have on the
/// machine's clock; and how many did there.
async fn passed(cluster: &Cluster, node: NodeId, before: ClockReading, at_least_ms: u64) -> (u64, u64) {
    let has_passed = |all: &[NodeStatus]| {
        let now = all.iter().find(|status| status.node == node).unwrap().clock;
        now.at_ns - before.at_ns >= at_least_ms * 1_000_000
    };
    let all = cluster.wait_until("some time", has_passed).await;
    let after = all.iter().find(|status| status.node == node).unwrap().clock;
    ((after.shown_ns - before.shown_ns) / 1_000, (after.at_ns - before.at_ns) / 1_000)
}

/// Waits until another node than this leads, in a later term.
async fn other_leader(cluster: &Cluster, former: NodeId, term: u64) -> NodeStatus {
    let leads = |s: &NodeStatus| s.role == RoleKind::Leader && s.node != former && s.term > term;
    let all = cluster.wait_until("another leader", |all| all.iter().any(leads)).await;
    all.into_iter().find(leads).unwrap()
}

#[tokio::test]
async fn a_clock_that_runs_fast_is_measured_and_its_follower_causes_no_election() {
    let mut cluster = Cluster::start_with(3, store).await;
    let leader = cluster.leader().await;
    let follower = cluster.follower().await;
    let term = cluster.status(leader).await.term;
    cluster.set_inside(follower, &[NodeEffect::ClockRate { per_mille: 1200 }]).await;
    let before = cluster.status(follower).await.clock;
    let (shown_us, true_us) = passed(&cluster, follower, before, 500).await;
    assert!(shown_us.abs_diff(true_us * 12 / 10) <= 2, "{shown_us} µs passed in {true_us} µs");
    let status = cluster.status(follower).await;
    let Measured::Passed { shown_us, true_us } = status.faults[0].measured else { panic!("{:?}", status.faults) };
    assert!(shown_us.abs_diff(true_us * 12 / 10) <= 2, "{shown_us} µs passed in {true_us} µs");
    assert_eq!((status.term, status.leader), (term, Some(leader)));

    cluster.set_inside(follower, &[]).await;
    let before = cluster.status(follower).await.clock;
    let (shown_us, true_us) = passed(&cluster, follower, before, 100).await;
    assert!(shown_us.abs_diff(true_us) <= 2, "{shown_us} µs passed in {true_us} µs");
}

#[tokio::test]
async fn a_follower_whose_clock_jumps_asks_for_pre_votes_and_gets_none() {
    let mut cluster = Cluster::start_with(3, store).await;
    let leader = cluster.leader().await;
    let follower = cluster.follower().await;
    let term = cluster.status(leader).await.term;
    cluster.set_inside(follower, &[NodeEffect::ClockJump { by_ms: 10_000 }]).await;
    let status = cluster.status(follower).await;
    assert_eq!(status.faults[0].measured, Measured::Jumped { by_us: 10_000_000 });
    assert!(status.clock.shown_ns >= 10_000_000_000);
    let last = set(&cluster, leader, "a", "x").await.unwrap();
    for status in cluster.agree(last).await {
        assert_eq!((status.term, status.leader), (term, Some(leader)), "no vote was granted");
    }
}

#[tokio::test]
async fn a_leader_whose_clock_jumps_steps_down_at_most_once() {
    let mut cluster = Cluster::start_with(3, store).await;
    let leader = cluster.leader().await;
    let term = cluster.status(leader).await.term;
    cluster.set_inside(leader, &[NodeEffect::ClockJump { by_ms: 60_000 }]).await;
    let index = loop {
        if let Ok(index) = set(&cluster, cluster.leader().await, "a", "x").await {
            break index;
        }
    };
    for status in cluster.agree(index).await {
        assert!(status.term <= term + 2, "elections are bounded: {status:#?}");
    }
}

#[tokio::test]
async fn a_clock_that_jumps_back_stands_until_true_time_has_made_up_for_it() {
    let mut cluster = Cluster::start_with(3, store).await;
    let follower = cluster.follower().await;
    let before = cluster.status(follower).await.clock;
    cluster.set_inside(follower, &[NodeEffect::ClockJump { by_ms: -400 }]).await;
    let status = cluster.status(follower).await;
    assert_eq!(status.faults[0].measured, Measured::Jumped { by_us: -400_000 });
    assert!(status.clock.shown_ns >= before.shown_ns, "it does not go back");
    let (shown_us, true_us) = passed(&cluster, follower, before, 1000).await;
    assert!(shown_us.abs_diff(true_us - 400_000) <= 2, "{shown_us} µs passed in {true_us} µs");
}

#[tokio::test]
async fn a_leader_whose_clock_stands_is_replaced_and_reads_nothing_stale() {
    let mut cluster = Cluster::start_with(3, store).await;
    let former = cluster.leader().await;
    let term = cluster.status(former).await.term;
    set(&cluster, former, "a", "old").await.unwrap();
    cluster.set_inside(former, &[NodeEffect::ClockFreeze]).await;
    let before = cluster.status(former).await.clock;
    assert_eq!(passed(&cluster, former, before, 50).await.0, 0);
    // Without time it sends no heartbeats; cut off, it hears of no later term either, and believes to lead.
    cluster.isolate(former).await;
    let next = other_leader(&cluster, former, term).await;
    set(&cluster, next.node, "b", "new").await.unwrap();
    assert_eq!(cluster.status(former).await.role, RoleKind::Leader, "its time-outs never come");
    let read = cluster.get(former, "k", Consistency::Linearizable).await;
    assert!(matches!(read, Err(NodeError::TimedOut { .. })), "{read:?}");

    cluster.set_rules(&[]).await;
    cluster.set_inside(former, &[]).await;
    let leader = cluster.leader().await;
    let last = set(&cluster, leader, "c", "newer").await.unwrap();
    cluster.agree(last).await;
}

#[tokio::test]
async fn a_lease_keeps_its_bound_while_clocks_differ_by_no_more_than_it_allows_for() {
    let mut cluster = Cluster::start_with(3, leases).await;
    let former = cluster.leader().await;
    let term = cluster.status(former).await.term;
    set(&cluster, former, "a", "old").await.unwrap();
    // Its time-outs come late, and so does the end of its lease.
    cluster.set_inside(former, &[NodeEffect::ClockRate { per_mille: 910 }]).await;
    assert!(cluster.get(former, "k", Consistency::Linearizable).await.is_ok());
    cluster.isolate(former).await;
    let next = other_leader(&cluster, former, term).await;
    set(&cluster, next.node, "b", "new").await.unwrap();
    let read = cluster.get(former, "k", Consistency::Linearizable).await;
    assert!(read.is_err(), "{read:?}");
}

#[tokio::test]
async fn a_node_that_is_moved_by_hand_has_no_clock_that_could_be_wrong() {
    let cluster = Cluster::start_with(1, |config| config.by_hand = Some(ByHand::default())).await;
    let faults = vec![NodeFault { id: FaultId(1), effect: NodeEffect::ClockFreeze }];
    let network = Network { version: 9, addresses: cluster.addresses.clone(), rules: vec![], faults };
    let refused = cluster.client(id(1)).configure(network).await.map_err(node_error).unwrap_err();
    let why = "n1 is moved by hand, so its clock shows the time of the last step, and can have no fault".to_owned();
    assert_eq!(refused, NodeError::BadRequest { why });
}
