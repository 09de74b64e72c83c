//! Faults of the disk of a real node while it runs, and what must come of each: nothing is acknowledged that is not on the
//! disk, the node says what is wrong, and the others go on.

mod support;

use jsonrpsee::core::ClientError;
use raftian_faults::NodeEffect;
use raftian_rpc::client::{ClientClient as _, Submitted};
use raftian_rpc::control::{Compaction, ControlClient as _, Measured, NodeConfig, NodeNotice, NodeStatus};
use raftian_rpc::error::NodeError;
use raftian_rpc::host_event::{HostEvent, SLOW_SYNC_US};
use raftian_rpc::{AppKind, NodeId, RaftEvent, RoleKind};
use serde_json::value::RawValue;
use support::{Cluster, id, node_error};
use tokio::task::JoinHandle;

fn store(config: &mut NodeConfig) {
    config.app = AppKind::Kv;
    config.compaction = Compaction { log_bytes: None, keep_entries: 0 };
}

/// A store on one node.
async fn alone() -> Cluster {
    let cluster = Cluster::start_with(1, store).await;
    cluster.leader().await;
    cluster
}

async fn set(cluster: &Cluster, node: NodeId, serial: u64, value: &str) -> Result<Submitted, NodeError> {
    cluster.change_key(node, "a", serial, &format!(r#"{{"set":["k","{value}"]}}"#)).await
}

/// Another client, which waits for its command for as long as it takes.
fn ask(cluster: &Cluster, node: NodeId) -> JoinHandle<Result<Submitted, ClientError>> {
    let command = r#"{"client":"b","serial":1,"op":{"set":["other","b"]}}"#.to_owned();
    let (client, command) = (cluster.client(node), RawValue::from_string(command).unwrap());
    tokio::spawn(async move { client.submit(command, Some(60_000), None).await })
}

/// What a node measures of the only fault inside it.
async fn measured(cluster: &Cluster, node: NodeId) -> Measured {
    let [only] = cluster.status(node).await.faults[..] else { panic!("one fault is in effect") };
    only.measured
}

fn reason(notice: &NodeNotice) -> Option<&str> {
    match notice {
        NodeNotice::Failed { reason } => Some(reason),
        _ => None,
    }
}

fn failures(said: &[NodeNotice]) -> Vec<&str> {
    said.iter().filter_map(reason).collect()
}

fn discarded(said: &[NodeNotice]) -> Option<u64> {
    said.iter().find_map(|notice| match notice {
        NodeNotice::Host { event: HostEvent::PowerLost { discarded_bytes }, .. } => Some(*discarded_bytes),
        _ => None,
    })
}

/// Cuts the power of a node, and waits until it has ended: how many bytes were discarded.
async fn lose_power(cluster: &mut Cluster, node: NodeId) -> u64 {
    let client = cluster.client(node);
    let call = tokio::spawn(async move { client.power_loss().await });
    let (code, said) = cluster.gone(node).await;
    assert_eq!(code, None, "it was killed");
    assert!(call.await.unwrap().is_err(), "no answer comes");
    discarded(&said).expect("it says what is lost")
}

#[tokio::test]
async fn a_sync_that_fails_acknowledges_nothing_and_stops_the_node_with_one_line() {
    let mut cluster = alone().await;
    let node = id(1);
    set(&cluster, node, 1, "x").await.unwrap();
    cluster.set_inside(node, &[NodeEffect::FailSync]).await;
    assert_eq!(measured(&cluster, node).await, Measured::Failed { syncs: 0 });
    let refused = ask(&cluster, node).await.unwrap().map_err(node_error).unwrap_err();
    assert!(matches!(refused, NodeError::TimedOut { .. }), "its outcome is unknown: {refused:?}");
    let (code, said) = cluster.gone(node).await;
    assert_eq!(code, Some(1));
    let file = cluster.node_folder(node).join("wal/00000001.wal");
    let why = format!(
        "could not sync `{}`: Input/output error (os error 5); check the disk, then restart the node",
        file.display()
    );
    assert_eq!(failures(&said), [why]);
    cluster.restart(node).await;
    cluster.leader().await;
    assert_eq!(set(&cluster, node, 1, "x").await.unwrap().index, 2, "what was acknowledged is there");
}

#[tokio::test]
async fn a_leader_whose_disk_is_full_acknowledges_nothing_and_starts_again_when_there_is_room() {
    let mut cluster = Cluster::start_with(3, store).await;
    let leader = cluster.leader().await;
    let before = set(&cluster, leader, 1, "x").await.unwrap().index;
    cluster.agree(before).await;
    let term = cluster.status(leader).await.term;
    cluster.set_inside(leader, &[NodeEffect::Full]).await;
    assert_eq!(measured(&cluster, leader).await, Measured::Refused { operations: 0 });
    let refused = cluster.client(leader).snapshot(0).await.map_err(node_error).unwrap_err();
    let file = cluster.node_folder(leader).join("wal/snapshot.json.new");
    let why = format!(
        "no space left: could not create `{}`; the snapshot was given up, and the log goes on without it; free some \
         room, then ask for another one",
        file.display()
    );
    assert_eq!(refused, NodeError::Failed { why });
    assert_eq!(measured(&cluster, leader).await, Measured::Refused { operations: 1 });
    // There is room for less than this before the end of the file.
    let large = "y".repeat(1_000_000);
    let mut serial = 2;
    while set(&cluster, leader, serial, &large).await.is_ok() {
        serial += 1;
    }
    let (code, said) = cluster.gone(leader).await;
    assert_eq!(code, Some(1));
    let file = cluster.node_folder(leader).join("wal/00000001.wal");
    let why = format!(
        "no space left: could not write `{}`; free some room, then restart the node; nothing acknowledged was lost",
        file.display()
    );
    assert_eq!(failures(&said), [why]);
    let next = cluster.leader_after(term).await;
    let last = set(&cluster, next, serial + 1, "z").await.unwrap().index;
    cluster.restart(leader).await;
    cluster.agree(last).await;
}

#[tokio::test]
async fn a_follower_with_a_slow_disk_lags_and_keeps_hearing_its_leader() {
    let mut cluster = Cluster::start_with(3, store).await;
    let leader = cluster.leader().await;
    let follower = cluster.follower().await;
    let term = cluster.status(leader).await.term;
    cluster.set_inside(follower, &[NodeEffect::SlowSync { takes_ms: 400.0 }]).await;
    for serial in 1..=3 {
        set(&cluster, leader, serial, "x").await.unwrap();
    }
    let last = set(&cluster, leader, 4, "x").await.unwrap().index;
    let slow = |notice| match notice {
        NodeNotice::Host { event: HostEvent::DiskSlow { sync_us }, .. } => Some(sync_us),
        _ => None,
    };
    assert!(cluster.nodes.get_mut(&follower).unwrap().told(slow).await >= SLOW_SYNC_US);
    let has_it = |all: &[NodeStatus]| all.iter().all(|s| s.last_applied >= last);
    cluster.wait_until("a follower that has caught up", has_it).await;
    let is_measured = |all: &[NodeStatus]| all.iter().any(|s| !s.faults.is_empty() && s.disk.pending_ms.is_none());
    let all = cluster.wait_until("a disk that has nothing to do", is_measured).await;
    let slow = all.iter().find(|status| status.node == follower).unwrap();
    let Measured::Syncs { count, shortest_us: Some(shortest_us), median_us: Some(median_us) } = slow.faults[0].measured
    else {
        panic!("{:?}", slow.faults)
    };
    assert!(count > 0 && shortest_us >= 400_000 && median_us >= shortest_us, "{:?}", slow.faults);
    assert!(all.iter().all(|status| status.term == term && status.leader == Some(leader)), "{all:#?}");

    cluster.set_inside(follower, &[]).await;
    assert!(cluster.status(follower).await.faults.is_empty());
}

/// A leader that has this fault commits on the disks of the others, says that its own is silent, and hands over. Who leads
/// then.
async fn hands_over(cluster: &mut Cluster, leader: NodeId, effect: NodeEffect) -> NodeId {
    let before = set(cluster, leader, 1, "x").await.unwrap().index;
    cluster.agree(before).await;
    cluster.set_inside(leader, &[effect]).await;
    set(cluster, leader, 2, "y").await.unwrap();
    let silent = |notice| match notice {
        NodeNotice::Raft { event: RaftEvent::DiskSilent, .. } => Some(()),
        _ => None,
    };
    cluster.nodes.get_mut(&leader).unwrap().told(silent).await;
    let leads = |s: &NodeStatus| s.role == RoleKind::Leader && s.node != leader;
    let all = cluster.wait_until("another leader", |all| all.iter().any(leads)).await;
    all.into_iter().find(leads).unwrap().node
}

#[tokio::test]
async fn a_leader_whose_syncs_take_longer_than_its_patience_says_so_and_hands_over() {
    let mut cluster = Cluster::start_with(3, store).await;
    let leader = cluster.leader().await;
    let next = hands_over(&mut cluster, leader, NodeEffect::SlowSync { takes_ms: 1_500.0 }).await;
    let last = set(&cluster, next, 3, "z").await.unwrap().index;
    cluster.agree(last).await;
}

#[tokio::test]
async fn a_leader_whose_sync_never_returns_says_so_and_hands_over() {
    let mut cluster = Cluster::start_with(3, store).await;
    let leader = cluster.leader().await;
    let next = hands_over(&mut cluster, leader, NodeEffect::HangSync).await;
    let hangs = measured(&cluster, leader).await;
    assert!(matches!(hangs, Measured::Hanging { syncs: 1, longest_ms: Some(1000..) }), "{hangs:?}");
    let last = set(&cluster, next, 3, "z").await.unwrap().index;

    cluster.set_inside(leader, &[]).await;
    let answered = |notice| match notice {
        NodeNotice::Raft { event: RaftEvent::DiskAnswered { after_ms }, .. } => Some(after_ms),
        _ => None,
    };
    assert!(cluster.nodes.get_mut(&leader).unwrap().told(answered).await >= 1000);
    cluster.agree(last).await;
}

#[tokio::test]
async fn a_write_whose_sync_hangs_is_not_acknowledged_and_a_power_loss_discards_it() {
    let mut cluster = alone().await;
    let node = id(1);
    let before = set(&cluster, node, 1, "x").await.unwrap().index;
    cluster.set_inside(node, &[NodeEffect::HangSync]).await;
    let pending = ask(&cluster, node);
    let hangs = |all: &[NodeStatus]| matches!(all[0].faults[0].measured, Measured::Hanging { syncs: 1, .. });
    assert_eq!(cluster.wait_until("a sync that hangs", hangs).await[0].last_index, before + 1);
    assert!(lose_power(&mut cluster, node).await > 0);
    assert!(pending.await.unwrap().is_err());
    cluster.spawn(node).await;
    assert_eq!(cluster.status(node).await.last_index, before);
}

#[tokio::test]
async fn a_power_loss_without_another_fault_is_a_kill() {
    let mut cluster = alone().await;
    let node = id(1);
    let last = set(&cluster, node, 1, "x").await.unwrap().index;
    assert_eq!(lose_power(&mut cluster, node).await, 0);
    cluster.spawn(node).await;
    assert_eq!(cluster.status(node).await.last_index, last);
}

#[tokio::test]
async fn a_power_loss_takes_nothing_that_was_synced() {
    let mut cluster = alone().await;
    let node = id(1);
    // A fault of the disk that changes nothing of it: from now on it is known what is not synced.
    cluster.set_inside(node, &[NodeEffect::SlowSync { takes_ms: 0.0 }]).await;
    let mut last = 0;
    for serial in 1..=20 {
        last = set(&cluster, node, serial, &"x".repeat(100_000)).await.unwrap().index;
    }
    lose_power(&mut cluster, node).await;
    cluster.restart(node).await;
    cluster.leader().await;
    assert_eq!(set(&cluster, node, 20, "x").await.unwrap().index, last);
}

#[tokio::test]
async fn a_log_whose_disk_has_lied_opens_without_what_it_acknowledged_and_cannot_know() {
    let mut cluster = alone().await;
    let node = id(1);
    let durable = set(&cluster, node, 1, "x").await.unwrap().index;
    cluster.set_inside(node, &[NodeEffect::LyingSync]).await;
    for serial in 2..=5 {
        set(&cluster, node, serial, &"y".repeat(400_000)).await.unwrap();
    }
    let lied = measured(&cluster, node).await;
    assert!(matches!(lied, Measured::Lied { syncs: 4.., unsynced_bytes: 1_600_000.. }), "{lied:?}");
    assert!(lose_power(&mut cluster, node).await >= 1_600_000);
    cluster.spawn(node).await;
    let status = cluster.status(node).await;
    assert_eq!((status.last_index, status.commit_index), (durable, 0), "four acknowledged entries are lost");
}

#[tokio::test]
async fn a_follower_whose_disk_has_lied_is_caught_by_its_leader() {
    let mut cluster = Cluster::start_with(3, store).await;
    let leader = cluster.leader().await;
    let liar = cluster.follower().await;
    let before = set(&cluster, leader, 1, "x").await.unwrap().index;
    cluster.agree(before).await;
    cluster.set_inside(liar, &[NodeEffect::LyingSync]).await;
    let last = set(&cluster, leader, 2, "y").await.unwrap().index;
    let acknowledged = |all: &[NodeStatus]| {
        let peers = all.iter().flat_map(|status| &status.peers);
        peers.filter(|peer| peer.node == liar).any(|peer| peer.match_index >= last)
    };
    cluster.wait_until("an acknowledgement", acknowledged).await;
    assert!(lose_power(&mut cluster, liar).await > 0);
    cluster.restart(liar).await;
    let denied = |notice| match notice {
        NodeNotice::Raft { event: RaftEvent::AcknowledgementDenied { peer, index }, .. } => Some((peer, index)),
        _ => None,
    };
    assert_eq!(cluster.nodes.get_mut(&leader).unwrap().told(denied).await, (liar, last));
    cluster.agree(last).await;
}

#[tokio::test]
async fn a_disk_that_has_stopped_lying_holds_what_it_promised() {
    let mut cluster = alone().await;
    let node = id(1);
    cluster.set_inside(node, &[NodeEffect::LyingSync]).await;
    let last = set(&cluster, node, 1, "x").await.unwrap().index;
    cluster.set_inside(node, &[NodeEffect::SlowSync { takes_ms: 0.0 }]).await;
    ask(&cluster, node).await.unwrap().unwrap();
    lose_power(&mut cluster, node).await;
    cluster.restart(node).await;
    cluster.leader().await;
    assert_eq!(set(&cluster, node, 1, "x").await.unwrap().index, last);
}
