//! The membership of real nodes: they join as learners, get a vote, leave; and the lead goes from one to another.

mod support;

use std::cell::Cell;

use raftian_rpc::client::Consistency;
use raftian_rpc::control::{Compaction, ControlClient as _, MemberChange, NodeConfig, NodeStatus, Standing};
use raftian_rpc::error::NodeError;
use raftian_rpc::{AppKind, NodeId, RoleKind};
use support::{Cluster, id, node_error};

fn store(config: &mut NodeConfig) {
    config.app = AppKind::Kv;
    config.compaction = Compaction { log_bytes: None, keep_entries: 0 };
}

#[tokio::test]
async fn a_node_joins_by_snapshot_gets_a_vote_and_leads_when_the_leader_leaves() {
    let mut cluster = Cluster::start_with(1, store).await;
    let old = cluster.leader().await;
    cluster.change_key(old, "a", 1, r#"{"set":["k","1"]}"#).await.unwrap();
    let taken = cluster.client(old).snapshot(0).await.unwrap();

    cluster.spawn(id(2)).await;
    cluster.set_rules(&[]).await;
    let waiting = cluster.status(id(2)).await;
    assert_eq!((waiting.membership, waiting.last_index, waiting.role), (None, 0, RoleKind::Follower));

    cluster.change(old, MemberChange::AddLearner(id(2))).await.unwrap();
    let all = cluster.members("n1 + n2").await;
    assert_eq!((all[0].peers.len(), all[0].peers[0].standing), (1, Standing::Learner));
    assert_eq!(all[1].snapshot_index, taken.last_index, "the entries it stands for are gone");
    let begun = cluster.change(old, MemberChange::Promote(id(2))).await.unwrap();
    let all = cluster.members("n1 n2").await;
    assert!(all.iter().all(|status| status.commit_index > begun.index), "joint first, then settled: {all:#?}");
    assert_eq!(all[0].peers[0].standing, Standing::Voter);
    let page = cluster.client(old).log(begun.index, 10).await.unwrap();
    let told: Vec<String> =
        page.entries.iter().filter_map(|line| line.configuration.as_ref()).map(ToString::to_string).collect();
    assert_eq!(told, ["n1 n2 | n1", "n1 n2"]);

    cluster.change(old, MemberChange::Remove(old)).await.unwrap();
    let gone = |all: &[NodeStatus]| {
        let successor = all.iter().find(|status| status.node == id(2)).expect("it is asked");
        let membership =
            successor.membership.as_ref().is_some_and(|m| m.committed && m.configuration.to_string() == "n2");
        membership && successor.role == RoleKind::Leader
    };
    cluster.wait_until("n2 alone", gone).await;
    cluster.kill(old);
    cluster.change_key(id(2), "a", 2, r#"{"incr":["k",1]}"#).await.unwrap();
    let read = cluster.get(id(2), "k", Consistency::Linearizable).await.unwrap();
    assert_eq!(read.response.get(), r#"{"outcome":"found","value":"2"}"#);
}

#[tokio::test]
async fn changes_that_cannot_be_are_refused_in_the_words_of_the_core() {
    let cluster = Cluster::start_with(2, store).await;
    let leader = cluster.leader().await;
    let follower = if leader == id(1) { id(2) } else { id(1) };
    for (change, expected) in [
        (MemberChange::AddLearner(follower), format!("{follower} is a member already")),
        (
            MemberChange::Promote(id(9)),
            "n9 is not a member; only a learner that was added before can get a vote".into(),
        ),
        (MemberChange::Remove(id(9)), "n9 is not a member; only a learner that was added before can get a vote".into()),
        (MemberChange::Promote(follower), "the membership is so already".into()),
    ] {
        let refused = cluster.change(leader, change.clone()).await.unwrap_err();
        assert_eq!(refused, NodeError::Refused { why: expected }, "{change:?}");
    }
    let refused = cluster.change(follower, MemberChange::Remove(leader)).await.unwrap_err();
    assert_eq!(refused, NodeError::NotLeader { node: follower, leader: Some(leader) });

    let transfer = async |from: NodeId, to| cluster.client(from).transfer(to).await.map_err(node_error);
    for to in [leader, id(9)] {
        assert!(matches!(transfer(leader, to).await, Err(NodeError::Refused { .. })), "{to}");
    }
    let refused = transfer(follower, follower).await.unwrap_err();
    assert_eq!(refused, NodeError::NotLeader { node: follower, leader: Some(leader) });
}

#[tokio::test]
async fn leadership_is_not_transferred_to_a_node_that_does_not_answer() {
    let mut cluster = Cluster::start_with(3, store).await;
    let leader = cluster.leader().await;
    let silent = if leader == id(1) { id(2) } else { id(1) };
    cluster.isolate(silent).await;
    let refused = loop {
        match cluster.client(leader).transfer(silent).await.map_err(node_error) {
            // The leader has heard from it a moment ago, or waits after a transfer that it has aborted.
            Ok(()) | Err(NodeError::NotNow { .. }) => tokio::task::yield_now().await,
            Err(other) => break other,
        }
    };
    let expected = format!("{silent} does not answer and could not take over; try again when it does");
    assert_eq!(refused, NodeError::Refused { why: expected });
    cluster.change_key(leader, "a", 1, r#"{"set":["k","1"]}"#).await.unwrap();
}

/// Counts through one node after the other until `over`, and at least to 50; how far it was acknowledged.
async fn count(cluster: &Cluster, over: &Cell<bool>) -> u64 {
    let mut serial = 1;
    while !over.get() || serial <= 50 {
        let through = id((serial % 3) as u16 + 1);
        match cluster.change_key(through, "a", serial, r#"{"incr":["k",1]}"#).await {
            Ok(_) => serial += 1,
            // Again: the session makes it safe, and whatever it was is over soon.
            Err(NodeError::NoLeader { .. } | NodeError::TimedOut { .. } | NodeError::Replaced) => {
                tokio::task::yield_now().await;
            }
            Err(other) => panic!("{other}"),
        }
    }
    serial - 1
}

#[tokio::test]
async fn the_lead_goes_around_while_commands_come_in_and_each_is_carried_out_once() {
    let cluster = Cluster::start_with(3, store).await;
    let first = cluster.leader().await;
    let term = cluster.status(first).await.term;
    let over = Cell::new(false);
    let going_around = async {
        for step in 1..=3 {
            cluster.hand_over(id((first.number() + step - 1) % 3 + 1)).await;
        }
        over.set(true);
    };
    let (counted, ()) = tokio::join!(count(&cluster, &over), going_around);
    let read = cluster.get(id(1), "k", Consistency::Linearizable).await.unwrap();
    assert_eq!(read.response.get(), format!(r#"{{"outcome":"found","value":"{counted}"}}"#));
    let leader = cluster.leader().await;
    assert!(cluster.status(leader).await.term >= term + 3);
}
