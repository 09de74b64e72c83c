//! The messages of real nodes are recorded when that is asked for: from both ends, across restarts, and with what a fault
//! made of them.

mod support;

use std::fs;

use raftian_rpc::NodeId;
use raftian_rpc::control::ControlClient as _;
use raftian_rpc::record::{Call, End, FILE, Record, Served, What};
use support::{Cluster, id};

/// What a node has recorded.
fn records(cluster: &Cluster, node: NodeId) -> Vec<Record> {
    let text = fs::read_to_string(cluster.node_folder(node).join(FILE)).unwrap_or_default();
    // The last line may be about to be written.
    text.split_inclusive('\n')
        .filter(|line| line.ends_with('\n'))
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn calls(cluster: &Cluster, node: NodeId) -> Vec<Call> {
    let call = |record| if let Record::Call(call) = record { Some(call) } else { None };
    records(cluster, node).into_iter().filter_map(call).collect()
}

fn served(cluster: &Cluster, node: NodeId) -> Vec<Served> {
    let served = |record| if let Record::Served(served) = record { Some(served) } else { None };
    records(cluster, node).into_iter().filter_map(served).collect()
}

#[tokio::test]
async fn messages_are_recorded_at_both_ends_also_after_a_restart_until_that_is_ended() {
    let mut cluster = Cluster::start(3).await;
    let leader = cluster.leader().await;
    let follower = cluster.follower().await;
    for node in [leader, follower] {
        cluster.client(node).record(true).await.unwrap();
    }
    cluster.attack(leader, "a", 1).await.unwrap();
    let is_append = |call: &Call| {
        call.to == follower && call.what == What::Append && call.entries == 1 && call.end == End::Answered
    };
    let pair = |cluster: &Cluster| {
        let call = calls(cluster, leader).into_iter().find(is_append)?;
        served(cluster, follower).into_iter().find(|by| by.from == leader && by.call == call.call).map(|by| (call, by))
    };
    cluster.wait_until("an append at both ends", |_| pair(&cluster).is_some()).await;
    let (call, by) = pair(&cluster).unwrap();
    assert!(
        by.is_answered && call.sent_ns < by.arrived_ns && by.arrived_ns < by.ended_ns && by.ended_ns < call.ended_ns
    );

    cluster.restart(follower).await;
    let before = served(&cluster, follower).len();
    cluster.wait_until("it goes on", |_| served(&cluster, follower).len() > before).await;
    cluster.client(follower).record(false).await.unwrap();
    assert!(!cluster.node_folder(follower).join(FILE).exists());
}

#[tokio::test]
async fn a_message_that_a_fault_drops_is_recorded_as_dropped() {
    let mut cluster = Cluster::start(3).await;
    let leader = cluster.leader().await;
    cluster.client(leader).record(true).await.unwrap();
    let [there, back] = [1, 2, 3].map(id).into_iter().filter(|node| *node != leader).collect::<Vec<_>>()[..] else {
        panic!("two followers")
    };
    cluster.set_rules(&[(leader, there), (back, leader)]).await;
    let ended = |to, end| calls(&cluster, leader).iter().any(|call| call.to == to && call.end == end);
    cluster.wait_until("a request that was dropped", |_| ended(there, End::RequestDropped)).await;
    // The peer is told of the cut first, and lets no reply leave.
    cluster.wait_until("a reply that never came", |_| ended(back, End::Silent) || ended(back, End::ReplyDropped)).await;
}
