//! Snapshots of real nodes: they take the place of entries, start a node again, and bring up one that is far behind;
//! and one that is not what it was stops the node that finds it.

mod support;

use std::fs;
use std::path::PathBuf;

use raftian_faults::Effect;
use raftian_rpc::client::Consistency;
use raftian_rpc::control::{
    Compaction, ControlClient as _, MemberChange, NodeConfig, NodeNotice, NodeStatus, SnapshotTaken,
};
use raftian_rpc::error::NodeError;
use raftian_rpc::{AppKind, NodeId};
use support::{Cluster, Node, id, node_error, rule};

/// Snapshots only on demand, and nothing kept that they stand for.
fn on_demand(config: &mut NodeConfig) {
    config.compaction = Compaction { log_bytes: None, keep_entries: 0 };
}

fn store(config: &mut NodeConfig) {
    on_demand(config);
    config.app = AppKind::Kv;
}

async fn snapshot(cluster: &Cluster, node: NodeId) -> Result<SnapshotTaken, NodeError> {
    cluster.client(node).snapshot(0).await.map_err(node_error)
}

fn snapshot_file(cluster: &Cluster, node: NodeId) -> PathBuf {
    cluster.node_folder(node).join("wal/snapshot.json")
}

#[tokio::test]
async fn a_cluster_starts_again_from_its_snapshots_and_what_came_after() {
    let mut cluster = Cluster::start_with(3, on_demand).await;
    let leader = cluster.leader().await;
    cluster.attack(leader, "a", 1).await.unwrap();
    let before = cluster.attack(leader, "a", 2).await.unwrap().index;
    cluster.agree(before).await;
    for number in 1..=3 {
        let taken = snapshot(&cluster, id(number)).await.unwrap();
        assert_eq!((taken.node, taken.last_index, taken.discarded), (id(number), before, before));
        let text = fs::read_to_string(snapshot_file(&cluster, id(number))).unwrap();
        assert!(text.contains(&format!(r#""last_index":{before},"last_term":{}"#, taken.last_term)), "{text}");
        assert!(text.contains(r#""configuration":{"voters":["n1","n2","n3"]}"#), "{text}");
    }
    let again = snapshot(&cluster, id(1)).await.unwrap_err();
    assert_eq!(again, NodeError::Refused { why: format!("there is a snapshot up to index {before} already") });
    let last = cluster.attack(leader, "b", 1).await.unwrap().index;
    let page = cluster.client(leader).log(1, 100).await.unwrap();
    assert_eq!((page.snapshot_index, page.first_index), (before, before + 1));
    assert_eq!(page.entries.first().map(|entry| entry.index), Some(before + 1));

    for number in 1..=3 {
        cluster.kill(id(number));
    }
    for number in 1..=3 {
        cluster.spawn(id(number)).await;
    }
    cluster.set_rules(&[]).await;
    let leader = cluster.leader().await;
    for status in cluster.agree(last).await {
        assert_eq!(status.snapshot_index, before, "{status:#?}");
        assert_eq!(status.counters.applied, status.last_applied - before, "the rest was not applied again");
        assert_eq!(status.state["players"][2]["hp"], 10);
    }
    let retried = cluster.attack(leader, "a", 2).await.unwrap();
    assert_eq!((retried.duplicate, retried.index), (true, before), "sessions are in the snapshot");
}

#[tokio::test]
async fn a_log_that_grows_is_compacted_and_some_of_it_kept() {
    let cluster = Cluster::start_with(3, |config| {
        config.compaction = Compaction { log_bytes: Some(1_000), keep_entries: 5 };
    })
    .await;
    let leader = cluster.leader().await;
    for serial in 1..=60 {
        cluster.attack(leader, "a", serial).await.unwrap();
    }
    let compacted = |status: &NodeStatus| status.snapshot_index > 20 && status.counters.snapshots > 1;
    for status in cluster.wait_until("compaction", |all| all.iter().all(compacted)).await {
        assert_eq!(status.first_index, status.snapshot_index - 5 + 1, "{status:#?}");
    }
}

/// Waits until part of a snapshot is there, and says how many bytes.
async fn part_of_a_snapshot(cluster: &Cluster, leader: NodeId, node: NodeId, least: u64) -> u64 {
    let part = |all: &[NodeStatus]| {
        let peers = all.iter().filter(|status| status.node == leader).flat_map(|status| &status.peers);
        peers.filter(|peer| peer.node == node).find_map(|peer| peer.snapshot_bytes).map_or(0, |(received, _)| received)
    };
    part(&cluster.wait_until("part of a snapshot", |all| part(all) >= least).await)
}

#[tokio::test]
async fn a_node_far_behind_is_brought_up_in_chunks_that_resume_and_begin_anew_after_a_crash() {
    let mut cluster = Cluster::start_with(3, |config| {
        store(config);
        // One leader throughout.
        config.timing.election_min_ms = 1_000;
        config.timing.election_max_ms = 2_000;
        config.trim.campaigns_first = config.id == id(1) && !config.folder.exists();
    })
    .await;
    let (leader, late) = (cluster.leader().await, id(3));
    cluster.kill(late);
    // Such that it cannot be compressed away.
    let mut random = fastrand::Rng::with_seed(1);
    for serial in 1..=8 {
        let value: String = std::iter::repeat_with(|| random.alphanumeric()).take(512 << 10).collect();
        cluster.change_key(leader, "a", serial, &format!(r#"{{"set":["k{serial}","{value}"]}}"#)).await.unwrap();
    }
    let taken = snapshot(&cluster, leader).await.unwrap();
    assert!(taken.bytes > 3 << 20, "{taken:?}");

    // Slow enough to be met in the middle of it.
    let slow =
        || [(leader, late), (late, leader)].map(|(from, to)| rule(from, to, Effect::latency(50.0, 0.0).unwrap()));
    cluster.spawn(late).await;
    cluster.set_faults(slow().to_vec()).await;
    part_of_a_snapshot(&cluster, leader, late, 1).await;
    cluster.set_rules(&[(leader, late), (late, leader)]).await;
    let before = part_of_a_snapshot(&cluster, leader, late, 1).await;
    cluster.set_faults(slow().to_vec()).await;
    let after = part_of_a_snapshot(&cluster, leader, late, before + 1).await;
    assert!(after > before);

    cluster.kill(late);
    cluster.spawn(late).await;
    cluster.set_faults(slow().to_vec()).await;
    part_of_a_snapshot(&cluster, leader, late, 1).await;
    cluster.set_rules(&[]).await;
    let all = cluster.agree(taken.last_index).await;
    let status = all.iter().find(|status| status.node == late).unwrap();
    assert_eq!(status.snapshot_index, taken.last_index, "{status:#?}");
    let acknowledged = |all: &[NodeStatus]| {
        let mut peers = all.iter().flat_map(|status| &status.peers);
        peers.any(|peer| peer.node == late && peer.match_index >= taken.last_index)
    };
    cluster.wait_until("its acknowledgement", acknowledged).await;
    assert_eq!(fs::read(snapshot_file(&cluster, late)).unwrap(), fs::read(snapshot_file(&cluster, leader)).unwrap());

    // It is as good as any other: with it, the cluster does without the third.
    cluster.kill(id(2));
    let last = cluster.change_key(late, "b", 1, r#"{"set":["last","1"]}"#).await.unwrap();
    let read = cluster.get(late, "k8", Consistency::Linearizable).await.unwrap();
    assert!(read.index >= last.index && read.response.get().len() > 512 << 10);
}

#[tokio::test]
async fn a_snapshot_that_is_not_what_it_was_stops_the_node_and_stays_as_it_is() {
    let mut cluster = Cluster::start_with(1, on_demand).await;
    let node = cluster.leader().await;
    cluster.attack(node, "a", 1).await.unwrap();
    snapshot(&cluster, node).await.unwrap();
    cluster.kill(node);
    let file = snapshot_file(&cluster, node);
    let good = fs::read(&file).unwrap();
    let mut flipped = good.clone();
    let middle = flipped.len() / 2;
    flipped[middle] ^= 1;
    for bad in [&good[..good.len() - 1], &good[..40], &good[..0], &flipped] {
        fs::write(&file, bad).unwrap();
        let reason = Node::of(cluster.config(node)).failure().await;
        for part in ["snapshot.json` is damaged or cut short", "checksum", "nothing was cut or changed"] {
            assert!(reason.contains(part), "{reason}");
        }
        assert_eq!(fs::read(&file).unwrap(), bad);
    }
    fs::write(&file, &good).unwrap();
    cluster.restart(node).await;
    cluster.leader().await;
    assert_eq!(cluster.status(node).await.state["players"][2]["hp"], 70);
}

#[tokio::test]
async fn a_snapshot_of_another_application_stops_the_node() {
    let mut cluster = Cluster::start_with(1, on_demand).await;
    let node = cluster.leader().await;
    cluster.attack(node, "a", 1).await.unwrap();
    snapshot(&cluster, node).await.unwrap();
    cluster.kill(node);
    let mut config = cluster.config(node);
    config.app = AppKind::Kv;
    let mut process = Node::of(config);
    let told = process.told(|notice| match notice {
        NodeNotice::Ready { .. } => panic!("it must not be ready"),
        NodeNotice::Failed { reason } => Some(reason),
        _ => None,
    });
    let reason = told.await;
    assert!(reason.contains("on its disk: the snapshot is of `attack`, and this server replicates `kv`"), "{reason}");
    assert_eq!(process.ended().await.0, Some(1));
}

#[tokio::test]
async fn a_leaders_snapshot_of_another_application_is_neither_kept_nor_acknowledged() {
    let mut cluster = Cluster::start_with(1, |config| {
        on_demand(config);
        if config.id == id(2) {
            config.app = AppKind::Kv;
        }
    })
    .await;
    let leader = cluster.leader().await;
    cluster.attack(leader, "a", 1).await.unwrap();
    let taken = snapshot(&cluster, leader).await.unwrap();
    cluster.spawn(id(2)).await;
    cluster.set_rules(&[]).await;
    let mut process = cluster.nodes.remove(&id(2)).unwrap();
    cluster.change(leader, MemberChange::AddLearner(id(2))).await.unwrap();
    let reason = process.failure().await;
    let expected = format!("n2 cannot go on from the snapshot up to index {} that n1 sent: ", taken.last_index);
    assert!(reason.starts_with(&expected) && reason.contains("`kv`"), "{reason}");
    assert_eq!(process.ended().await.0, Some(1));
    assert!(!snapshot_file(&cluster, id(2)).exists());
    let status = cluster.status(leader).await;
    let peer = status.peers.iter().find(|peer| peer.node == id(2)).expect("a member");
    assert_eq!(peer.match_index, 0);
}

#[tokio::test]
async fn a_snapshot_that_cannot_be_written_is_given_up_and_the_node_goes_on() {
    let cluster = Cluster::start_with(1, on_demand).await;
    let node = cluster.leader().await;
    cluster.attack(node, "a", 1).await.unwrap();
    // As good as a full disk: something in the way that takes no bytes.
    let obstacle = cluster.node_folder(node).join("wal/snapshot.json.new");
    fs::create_dir(&obstacle).unwrap();
    let NodeError::Failed { why } = snapshot(&cluster, node).await.unwrap_err() else { panic!("it has no room") };
    for part in ["could not create `", "snapshot.json.new`: ", "the snapshot was given up, and the log goes on"] {
        assert!(why.contains(part), "{why}");
    }
    let last = cluster.attack(node, "a", 2).await.unwrap();
    let trace = fs::read_to_string(cluster.node_folder(node).join("trace.jsonl")).unwrap();
    assert!(trace.contains(r#""event":"snapshot_given_up","reason":"could not create"#), "{trace}");
    fs::remove_dir(&obstacle).unwrap();
    assert_eq!(snapshot(&cluster, node).await.unwrap().last_index, last.index);
}

#[tokio::test]
async fn a_large_state_is_kept_in_a_compact_form_and_comes_back() {
    let mut cluster = Cluster::start_with(1, store).await;
    let node = cluster.leader().await;
    let value = "v".repeat(600 << 10);
    for serial in 1..=2 {
        cluster.change_key(node, "a", serial, &format!(r#"{{"set":["k{serial}","{value}"]}}"#)).await.unwrap();
    }
    let taken = snapshot(&cluster, node).await.unwrap();
    assert!(taken.bytes < 100 << 10, "{taken:?}");
    let file = fs::read(snapshot_file(&cluster, node)).unwrap();
    let lines: Vec<&[u8]> = file.splitn(3, |&byte| byte == b'\n').take(2).collect();
    let [log, state] = [lines[0], lines[1]].map(|line| serde_json::from_slice::<serde_json::Value>(line).unwrap());
    assert_eq!((&log["last_index"], &log["state"]["bytes"]), (&taken.last_index.into(), &taken.bytes.into()));
    assert!(state["lz4"]["json_bytes"].as_u64().unwrap() > 1200 << 10, "{state}");
    let before = cluster.status(node).await.digest;
    cluster.restart(node).await;
    cluster.leader().await;
    assert_eq!(cluster.status(node).await.digest, before);
}

#[tokio::test]
async fn before_anything_is_applied_there_is_nothing_to_take() {
    let mut cluster = Cluster::new(1, on_demand);
    // It takes part in nothing until it is told where the others are.
    cluster.spawn(id(1)).await;
    let refused = snapshot(&cluster, id(1)).await.unwrap_err();
    let why = "nothing is applied yet, so there is nothing to take a snapshot of".to_owned();
    assert_eq!(refused, NodeError::Refused { why });
    cluster.set_rules(&[]).await;
    cluster.wait_until("the no-op", |all| all[0].last_applied == 1).await;
    assert_eq!(snapshot(&cluster, id(1)).await.unwrap().last_index, 1);
}
