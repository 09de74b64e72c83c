//! Crashes of a real node at points of its work: what it had promised before is there when it starts again, and it had
//! promised nothing else.

mod support;

use raftian_faults::{CrashPoint, NodeEffect};
use raftian_rpc::client::ClientClient as _;
use raftian_rpc::control::{Compaction, ControlClient as _, Measured, NodeConfig, NodeNotice, NodeStatus};
use raftian_rpc::host_event::HostEvent;
use raftian_rpc::lab::FaultId;
use raftian_rpc::{Index, NodeId};
use raftian_wal::{RealDisk, Recovered, Wal};
use serde_json::value::RawValue;
use support::Cluster;

fn on_demand(config: &mut NodeConfig) {
    config.compaction = Compaction { log_bytes: None, keep_entries: 0 };
}

/// A crash with the power, so that what is there afterwards was synced.
fn crash(at: CrashPoint) -> NodeEffect {
    NodeEffect::Crash { at, from_index: None, power_loss: true }
}

/// What is on the disk of a node that is down.
fn recovered(cluster: &Cluster, node: NodeId) -> Recovered {
    let disk = RealDisk::open(cluster.node_folder(node).join("wal")).unwrap();
    Wal::open(disk, node).unwrap().1
}

/// A client that asks a node for something and does not care for the answer.
fn ask(cluster: &Cluster, node: NodeId, client: &str) {
    let command = format!(r#"{{"client":"{client}","serial":1,"op":{{"attack":3}}}}"#);
    let (client, command) = (cluster.client(node), RawValue::from_string(command).unwrap());
    tokio::spawn(async move { client.submit(command, Some(60_000), None).await });
}

/// Has an entry committed that a follower has acknowledged, so that all that it wrote before is synced.
async fn acknowledged(cluster: &Cluster, leader: NodeId, follower: NodeId) {
    let index = cluster.attack(leader, "first", 1).await.unwrap().index;
    let is_known = |all: &[NodeStatus]| {
        let peers = all.iter().flat_map(|status| &status.peers);
        peers.filter(|peer| peer.node == follower).any(|peer| peer.match_index >= index)
    };
    cluster.wait_until("an acknowledgement", is_known).await;
}

/// Waits until a node has crashed at this point, by its first fault: the index that it says, and what it said before.
async fn crashed(cluster: &mut Cluster, node: NodeId, point: CrashPoint) -> (Index, Vec<NodeNotice>) {
    let (code, said) = cluster.gone(node).await;
    assert_eq!(code, None, "it was killed");
    let crashing = |notice: &NodeNotice| match notice {
        NodeNotice::Host { node: of, event: HostEvent::Crashing { fault, at, index }, .. } => {
            Some((*of, *fault, *at, *index))
        }
        _ => None,
    };
    let found: Vec<_> = said.iter().filter_map(crashing).collect();
    let &[(of, fault, at, index)] = &found[..] else { panic!("{said:?}") };
    assert_eq!((of, fault, at), (node, FaultId(1), point));
    (index, said)
}

#[tokio::test]
async fn a_crash_before_a_sync_with_the_power_loses_what_was_not_acknowledged() {
    let mut cluster = Cluster::start(1).await;
    let node = cluster.leader().await;
    let before = cluster.attack(node, "a", 1).await.unwrap().index;
    let effect = NodeEffect::Crash { at: CrashPoint::BeforeSync, from_index: Some(before + 2), power_loss: true };
    cluster.set_inside(node, &[effect]).await;
    cluster.attack(node, "a", 2).await.unwrap();
    assert_eq!(cluster.status(node).await.faults[0].measured, Measured::Armed { passed: 1 });
    ask(&cluster, node, "b");
    let (index, said) = crashed(&mut cluster, node, CrashPoint::BeforeSync).await;
    assert_eq!(index, before + 2);
    let lost = |notice: &NodeNotice| {
        matches!(notice, NodeNotice::Host { event: HostEvent::PowerLost { discarded_bytes: 1.. }, .. })
    };
    assert!(said.iter().any(lost), "{said:?}");
    cluster.spawn(node).await;
    assert_eq!(cluster.status(node).await.last_index, before + 1, "what was acknowledged, and no more");
}

#[tokio::test]
async fn a_follower_that_crashes_after_its_append_still_has_it_and_had_not_acknowledged_it() {
    let mut cluster = Cluster::start(3).await;
    let leader = cluster.leader().await;
    let follower = cluster.follower().await;
    acknowledged(&cluster, leader, follower).await;
    cluster.set_inside(follower, &[crash(CrashPoint::AfterAppend)]).await;
    let last = cluster.attack(leader, "a", 1).await.unwrap().index;
    let (index, _) = crashed(&mut cluster, follower, CrashPoint::AfterAppend).await;
    assert_eq!(index, last);
    let peers = cluster.status(leader).await.peers;
    let known = peers.iter().find(|peer| peer.node == follower).unwrap();
    assert!(known.match_index < last, "{known:?}");
    assert_eq!(recovered(&cluster, follower).entries.last().map(|entry| entry.index), Some(last));
    cluster.restart(follower).await;
    cluster.agree(last).await;
}

#[tokio::test]
async fn a_leader_that_crashes_after_its_append_has_sent_no_answer() {
    let mut cluster = Cluster::start(1).await;
    let node = cluster.leader().await;
    // Its no-op is on the disk, so that the next sync is that of the command.
    cluster.agree(1).await;
    cluster.set_inside(node, &[crash(CrashPoint::AfterAppend)]).await;
    let unknown = {
        let client = cluster.client(node);
        let command = RawValue::from_string(r#"{"client":"a","serial":1,"op":{"attack":3}}"#.to_owned()).unwrap();
        tokio::spawn(async move { client.submit(command, Some(60_000), None).await })
    };
    let (index, _) = crashed(&mut cluster, node, CrashPoint::AfterAppend).await;
    assert!(unknown.await.unwrap().is_err());
    cluster.restart(node).await;
    cluster.leader().await;
    let retried = cluster.attack(node, "a", 1).await.unwrap();
    assert_eq!((retried.index, retried.duplicate), (index, true), "it was durable, and is applied once");
}

#[tokio::test]
async fn a_vote_outlives_a_crash_right_after_it() {
    let mut cluster = Cluster::start(3).await;
    let leader = cluster.leader().await;
    let voter = cluster.follower().await;
    let term = cluster.status(leader).await.term;
    acknowledged(&cluster, leader, voter).await;
    cluster.set_inside(voter, &[crash(CrashPoint::AfterVote)]).await;
    cluster.kill(leader);
    crashed(&mut cluster, voter, CrashPoint::AfterVote).await;
    // It may have died before its parent heard of the vote, so the disk alone is asked.
    let durable = recovered(&cluster, voter).hard_state;
    assert!(durable.term > term, "{durable:?}");
    assert!(
        durable.voted_for.is_some_and(|candidate| candidate != leader),
        "the dead leader stands for nothing: {durable:?}"
    );
    cluster.spawn(voter).await;
    assert!(cluster.status(voter).await.term >= durable.term);
    cluster.restart(leader).await;
    cluster.leader_after(term).await;
}

#[tokio::test]
async fn a_crash_amid_a_snapshot_leaves_the_log_as_it_was() {
    let mut cluster = Cluster::start_with(1, on_demand).await;
    let node = cluster.leader().await;
    let last = cluster.attack(node, "a", 1).await.unwrap().index;
    cluster.set_inside(node, &[crash(CrashPoint::MidSnapshot)]).await;
    let client = cluster.client(node);
    tokio::spawn(async move { client.snapshot(0).await });
    let (index, _) = crashed(&mut cluster, node, CrashPoint::MidSnapshot).await;
    assert_eq!(index, last);
    let staged = cluster.node_folder(node).join("wal/snapshot.json.new");
    assert!(staged.exists(), "it was written, and not in force");
    cluster.restart(node).await;
    assert!(!staged.exists());
    let status = cluster.status(node).await;
    assert_eq!((status.snapshot_index, status.first_index), (0, 1));
}

#[tokio::test]
async fn a_follower_that_crashes_amid_an_install_is_sent_the_snapshot_again() {
    let mut cluster = Cluster::start_with(3, on_demand).await;
    let leader = cluster.leader().await;
    let follower = cluster.follower().await;
    cluster.kill(follower);
    let last = cluster.attack(leader, "a", 1).await.unwrap().index;
    cluster.client(leader).snapshot(0).await.unwrap();
    // It is not sent anything before the fault is in effect there.
    cluster.set_rules(&[(leader, follower)]).await;
    cluster.spawn(follower).await;
    cluster.set_inside(follower, &[crash(CrashPoint::MidInstall)]).await;
    cluster.set_rules(&[]).await;
    let (index, _) = crashed(&mut cluster, follower, CrashPoint::MidInstall).await;
    assert_eq!(index, last);
    cluster.restart(follower).await;
    let installed = |all: &[NodeStatus]| all.iter().any(|s| s.node == follower && s.snapshot_index == last);
    cluster.wait_until("an installed snapshot", installed).await;
    cluster.agree(last).await;
}
