//! Nodes that are moved by hand: nothing happens by itself, and a step is answered when all that it causes is done.

mod support;

use std::time::Duration;

use raftian_rpc::client::ClientClient as _;
use raftian_rpc::connect::Http;
use raftian_rpc::control::{ByHand, ControlClient as _, DiskContent, Move, NodeConfig, Settled, Step};
use raftian_rpc::error::NodeError;
use raftian_rpc::raft::{Head, Letter, Says, carry};
use raftian_rpc::{NodeId, RoleKind};
use support::{Cluster, Node, id, node_error};
use tokio::task::JoinHandle;

fn by_hand(config: &mut NodeConfig) {
    config.by_hand = Some(ByHand::default());
}

/// A node, and how many calls it was sent.
struct Hand {
    client: Http,
    calls: u64,
}

impl Hand {
    fn of(cluster: &Cluster, number: u16) -> Hand {
        Hand { client: cluster.client(id(number)), calls: 0 }
    }

    async fn does(&self, at_us: u64, what: Move) -> Settled {
        self.client.step(Step { at_us, looks: false, what }).await.unwrap()
    }

    /// The request arrives; what comes of it here, and where the reply will be.
    async fn gets(&mut self, letter: &Letter) -> (Settled, JoinHandle<Letter>) {
        let (client, letter) = (self.client.clone(), letter.clone());
        let reply = tokio::spawn(async move { carry(&client, letter).await.unwrap() });
        self.calls += 1;
        (self.does(0, Move::Take(self.calls)).await, reply)
    }
}

/// The only letter to this node.
fn to(settled: &Settled, number: u16) -> Letter {
    let mut found = settled.sent.iter().filter(|sent| sent.letter.head.to == id(number) && !sent.is_lost);
    let letter = found.next().expect("a letter").letter.clone();
    assert_eq!(found.next(), None);
    letter
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_stands_for_election_when_it_is_told_to_and_not_before() {
    let cluster = Cluster::start_with(3, by_hand).await;
    let (n1, mut n2) = (Hand::of(&cluster, 1), Hand::of(&cluster, 2));
    let quiet = n1.does(0, Move::Settle).await;
    let deadline_us = quiet.deadline_us.expect("it knows its peers");
    let still = n1.does(deadline_us - 1, Move::Tick).await;
    assert_eq!((still.sent.len(), still.deadline_us), (0, quiet.deadline_us), "it is not time yet");

    // Its pre-vote is granted, and only then it asks for a vote, once its own is on its disk.
    let asked = n1.does(deadline_us, Move::Tick).await;
    let (took, reply) = n2.gets(&to(&asked, 2)).await;
    assert_eq!((took.unanswered, took.writes), (0, vec![]));
    let granted = reply.await.unwrap();
    assert_eq!(granted.says, Says::PreVoteReply(true));
    let stands = n1.does(0, Move::Hear(granted)).await;
    assert_eq!((stands.sent.as_slice(), stands.writes), ([].as_slice(), vec![1]));
    assert_eq!(cluster.client(id(1)).status().await.unwrap().role, RoleKind::Candidate);
    let asked = n1.does(0, Move::Sync { writes: 1 }).await;
    assert!(matches!(to(&asked, 2).says, Says::RequestVote { .. }));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vote_waits_for_the_disk_and_leaves_with_it() {
    let cluster = Cluster::start_with(3, by_hand).await;
    let mut n2 = Hand::of(&cluster, 2);
    let head = Head { from: id(1), to: id(2), term: 1, call: 1 };
    let last = raftian_rpc::raft::Last { index: 0, term: 0 };
    let (took, reply) = n2.gets(&Letter { head, says: Says::RequestVote { last, transfer: true } }).await;
    assert_eq!((took.unanswered, took.writes), (1, vec![1]));
    assert!(!reply.is_finished());
    assert_eq!(n2.client.durable().await.unwrap().vote, Some(id(1)));
    let done = n2.does(0, Move::Sync { writes: 7 }).await;
    assert_eq!((done.unanswered, done.writes), (0, vec![]));
    assert_eq!(reply.await.unwrap().says, Says::VoteReply(true));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_cut_link_loses_is_told_and_a_request_over_one_is_refused() {
    let mut cluster = Cluster::start_with(3, by_hand).await;
    cluster.set_rules(&[(id(1), id(2))]).await;
    let (n1, n2) = (Hand::of(&cluster, 1), Hand::of(&cluster, 2));
    let deadline_us = n1.does(0, Move::Settle).await.deadline_us.unwrap();
    let asked = n1.does(deadline_us, Move::Tick).await;
    let lost: Vec<(NodeId, bool)> = asked.sent.iter().map(|sent| (sent.letter.head.to, sent.is_lost)).collect();
    assert_eq!(lost, [(id(2), true), (id(3), false)]);
    let head = Head { from: id(1), to: id(2), term: 1, call: 1 };
    let refused = carry(&n2.client, Letter { head, says: Says::TimeoutNow }).await.unwrap_err();
    assert!(matches!(node_error(refused), NodeError::LinkCut { .. }));
    assert_eq!(n2.does(0, Move::Take(1)).await.unanswered, 0, "it came, and is answered");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_has_what_it_is_to_have_and_keeps_it_over_a_restart() {
    fn filled(config: &mut NodeConfig) {
        let disk =
            DiskContent { term: 5, vote: Some(id(2)), log: vec![1, 1, 4], snapshot: 1, ..DiskContent::default() };
        config.by_hand = Some(ByHand { disk: Some(disk), ..ByHand::default() });
    }
    let mut cluster = Cluster::new(1, filled);
    cluster.spawn(id(1)).await;
    let status = cluster.client(id(1)).status().await.unwrap();
    assert_eq!((status.term, status.snapshot_index, status.first_index, status.last_index), (5, 1, 2, 3));
    let durable = cluster.client(id(1)).durable().await.unwrap();
    assert_eq!((durable.vote, durable.log), (Some(id(2)), vec![1, 4]));

    // It is filled once: a log is never replaced.
    cluster.kill(id(1));
    let again = cluster.config(id(1));
    let reason = Node::of(again.clone()).failure().await;
    assert!(reason.contains("has a log already"), "{reason}");
    let mut node = Node::of(NodeConfig { expects_log: true, ..again });
    node.ready().await;
    node.shut_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_moves_by_itself_takes_no_steps() {
    let cluster = Cluster::start(1).await;
    let step = Step { at_us: 0, looks: false, what: Move::Settle };
    let refused = cluster.client(id(1)).step(step).await.unwrap_err();
    assert!(matches!(node_error(refused), NodeError::Refused { .. }));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_is_answered_when_the_disk_has_what_it_wants() {
    fn kv(config: &mut NodeConfig) {
        by_hand(config);
        config.app = raftian_rpc::AppKind::Kv;
    }
    let cluster = Cluster::start_with(1, kv).await;
    let n1 = Hand::of(&cluster, 1);
    let deadline_us = n1.does(0, Move::Settle).await.deadline_us.unwrap();
    n1.does(deadline_us, Move::Tick).await;
    while !n1.does(0, Move::Sync { writes: 9 }).await.writes.is_empty() {}
    assert_eq!(cluster.client(id(1)).status().await.unwrap().role, RoleKind::Leader);
    let client = cluster.client(id(1));
    let command = r#"{"client":"a","serial":1,"op":{"set":["k","v"]}}"#.to_owned();
    let command = serde_json::value::RawValue::from_string(command).unwrap();
    let answer = tokio::spawn(async move { client.submit(command, None, Some(id(1))).await });
    let took = n1.does(0, Move::Take(1)).await;
    assert_eq!((took.unanswered, took.writes), (1, vec![1]));
    assert!(!answer.is_finished());
    let done = n1.does(0, Move::Sync { writes: 1 }).await;
    let applied = done.applied.expect("its command");
    assert_eq!((done.unanswered, applied.commit_index, applied.entries.len()), (0, 2, 1));
    assert!(applied.entries[0].command.as_ref().is_some_and(|command| command.get().contains("\"a\"")));
    assert_eq!(tokio::time::timeout(Duration::from_secs(20), answer).await.unwrap().unwrap().unwrap().index, 2);
}
