//! What a measurement may change about nodes: they still elect and commit, and what was left out is left out.

mod support;

use raftian_rpc::assignment::{Assignment, Cohort, Durability, Framing, Placement};
use raftian_rpc::control::{Compaction, ControlClient as _, NodeConfig};
use support::{Cluster, Node, id};

/// Commits two commands, one through a follower, and sees that all agree.
async fn commits(cluster: &Cluster) {
    let leader = cluster.leader().await;
    cluster.attack(leader, "a", 1).await.unwrap();
    let follower = cluster.follower().await;
    let last = cluster.attack(follower, "b", 1).await.unwrap();
    assert_eq!(last.response.get(), r#"{"outcome":"hit","player":3,"hp":40}"#);
    cluster.agree(last.index).await;
}

#[tokio::test]
async fn nodes_commit_as_threads_of_one_process() {
    together(Placement::Threads).await;
}

#[tokio::test]
async fn nodes_commit_as_tasks_of_one_runtime() {
    together(Placement::Tasks).await;
}

async fn together(placement: Placement) {
    let mut cluster = Cluster::start_together(3, placement).await;
    commits(&cluster).await;
    cluster.nodes.remove(&id(1)).unwrap().shut_down().await;
}

#[tokio::test]
async fn nodes_that_cannot_share_a_process_are_refused_and_one_that_fails_ends_all() {
    let cluster = Cluster::new(2, |_| {});
    let [first, second] = [1, 2].map(|number| cluster.config(id(number)));
    let failure = async |nodes: Vec<NodeConfig>, placement| {
        let mut process = Node::assigned(&Assignment::Together(Cohort { placement, nodes }));
        let reason = process.failure().await;
        assert_eq!(process.ended().await.0, Some(1));
        reason
    };
    for placement in [Placement::Threads, Placement::Tasks] {
        assert!(failure(vec![], placement).await.contains("at least one"));
        assert!(failure(vec![first.clone(), first.clone()], placement).await.contains("all different"));
        let mut locked = first.clone();
        locked.trim.global_lock = true;
        assert!(failure(vec![second.clone(), locked], placement).await.starts_with("n1 shares a process"));
        let crowded = NodeConfig { app_options: u16::MAX.into(), ..second.clone() };
        assert!(failure(vec![first.clone(), crowded], placement).await.starts_with("n2: "));
    }
}

#[tokio::test]
async fn whoever_campaigns_first_leads_the_first_term() {
    // No other node stands for election within a minute.
    let cluster = Cluster::start_with(3, |config| {
        config.timing.election_min_ms = 50_000;
        config.timing.election_max_ms = 60_000;
        config.trim.campaigns_first = config.id == id(3);
    })
    .await;
    assert_eq!(cluster.leader().await, id(3));
    assert_eq!(cluster.status(id(3)).await.term, 1);
    commits(&cluster).await;
}

#[tokio::test]
async fn an_unsynced_log_commits_without_a_sync_and_survives_the_process() {
    let mut cluster = Cluster::start_with(3, |config| config.trim.durability = Durability::Unsynced).await;
    commits(&cluster).await;
    for node in NODES {
        assert_eq!(cluster.status(id(node)).await.counters.syncs, 0);
    }
    let last = cluster.status(id(1)).await.last_index;
    for node in NODES {
        cluster.kill(id(node));
    }
    for node in NODES {
        cluster.spawn(id(node)).await;
    }
    cluster.set_rules(&[]).await;
    cluster.leader().await;
    let all = cluster.agree(last).await;
    assert_eq!(all[0].state["players"][2]["hp"], 40);
}

const NODES: [u16; 3] = [1, 2, 3];

#[tokio::test]
async fn messages_as_xml_documents_elect_commit_and_catch_up() {
    let mut cluster = Cluster::start_with(3, |config| config.trim.framing = Framing::XmlRpc).await;
    commits(&cluster).await;
    let leader = cluster.leader().await;
    let term = cluster.status(leader).await.term;
    cluster.kill(leader);
    let next = cluster.leader_after(term).await;
    let last = cluster.attack(next, "c", 1).await.unwrap();
    cluster.spawn(leader).await;
    cluster.set_rules(&[]).await;
    cluster.agree(last.index).await;
}

#[tokio::test]
async fn what_has_no_xml_document_goes_over_json_rpc() {
    let mut cluster = Cluster::start_with(3, |config| {
        config.trim.framing = Framing::XmlRpc;
        config.compaction = Compaction { log_bytes: None, keep_entries: 0 };
    })
    .await;
    let leader = cluster.leader().await;
    let [successor, late] = [1, 2].map(|step| id((leader.number() - 1 + step) % 3 + 1));
    cluster.kill(late);
    commits(&cluster).await;
    let taken = cluster.client(leader).snapshot(0).await.unwrap();
    cluster.spawn(late).await;
    cluster.set_rules(&[]).await;
    cluster.wait_until("its snapshot", |all| all.iter().any(|s| s.node == late && s.snapshot_index > 0)).await;
    let all = cluster.agree(taken.last_index).await;
    assert!(all.iter().all(|status| status.state["players"][2]["hp"] == 40), "{all:#?}");

    cluster.hand_over(successor).await;
}
