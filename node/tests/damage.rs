//! Damage to the files of a node that is down, and what the node does when it is started on them: it cuts a torn tail and
//! says so, and refuses everything else, with the place and both checksums.

mod support;

use std::path::PathBuf;
use std::process::{Command, Output};

use raftian_faults::{Damage, DamagedPart};
use raftian_rpc::NodeId;
use raftian_rpc::assignment::Assignment;
use raftian_rpc::control::{Compaction, ControlClient as _, Damaged, NodeConfig, NodeNotice};
use support::{Cluster, Node, id};

fn on_demand(config: &mut NodeConfig) {
    config.compaction = Compaction { log_bytes: None, keep_entries: 0 };
}

/// One node that has acknowledged five entries, and is down; and its last index.
async fn down() -> (Cluster, NodeId, u64) {
    let mut cluster = Cluster::start_with(1, on_demand).await;
    let node = cluster.leader().await;
    let mut last = 0;
    for serial in 1..=5 {
        last = cluster.attack(node, "a", serial).await.unwrap().index;
    }
    cluster.kill(node);
    (cluster, node, last)
}

fn run(cluster: &Cluster, node: NodeId, words: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_raftian-node"));
    command.arg("damage").arg(cluster.node_folder(node)).args(words.split(' '));
    command.output().unwrap()
}

fn damage(cluster: &Cluster, node: NodeId, words: &str) -> Damaged {
    let output = run(cluster, node, words);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let damaged: Damaged = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(damaged.damage.to_string(), words);
    damaged
}

/// Why something cannot be done.
fn refused(cluster: &Cluster, node: NodeId, words: &str) -> String {
    let output = run(cluster, node, words);
    assert_eq!((output.status.code(), &output.stdout[..]), (Some(1), &b""[..]));
    let why = String::from_utf8(output.stderr).unwrap();
    why.strip_prefix("raftian-node: ").unwrap().trim_end().to_owned()
}

/// Why a node does not start, as one that has been ready before.
async fn failure(cluster: &mut Cluster, node: NodeId) -> String {
    let config = NodeConfig { expects_log: true, ..cluster.config(node) };
    let seats = vec![cluster.seat(node)];
    Node::seated(&Assignment::Node(Box::new(config)), seats).failure().await
}

/// The hexadecimal numbers in a message.
fn checksums(message: &str) -> Vec<&str> {
    message.split([' ', ',', ';']).filter(|word| word.starts_with("0x")).collect()
}

#[tokio::test]
async fn a_torn_tail_is_cut_and_said_and_nothing_acknowledged_is_lost() {
    let (mut cluster, node, last) = down().await;
    let torn = damage(&cluster, node, "torn");
    let assignment = Assignment::Node(Box::new(cluster.config(node)));
    let seats = vec![cluster.seat(node)];
    let mut process = Node::seated(&assignment, seats);
    let ready = |notice| match notice {
        NodeNotice::Ready { last_index, torn_tail, .. } => Some((last_index, torn_tail)),
        _ => None,
    };
    let (last_index, torn_tail) = process.told(ready).await;
    assert_eq!(last_index, last);
    let (offset, cut) = (torn.offset.unwrap(), torn_tail.unwrap());
    let place = format!(" bytes of an unfinished write at offset {offset} of {}", torn.file.unwrap().display());
    assert!(cut.starts_with("cut ") && cut.ends_with(&place), "{cut}");
}

#[tokio::test]
async fn a_bit_that_flips_in_an_entry_is_refused_with_its_place_and_both_checksums() {
    let (mut cluster, node, _) = down().await;
    let damaged = damage(&cluster, node, "flips entry 3");
    assert_eq!(damaged.damage, Damage::Flips(DamagedPart::Entry(3)));
    let why = failure(&mut cluster, node).await;
    let begins = format!(
        "`{}` is damaged at byte {}, where entry 3 was expected: stored checksum 0x",
        damaged.file.unwrap().display(),
        damaged.offset.unwrap()
    );
    let ends = "; nothing was cut or changed, and the node must not start on this: keep the files for a closer look; the \
                node can only come back as a new one, once it is removed from its cluster and added again";
    assert!(why.starts_with(&begins) && why.ends_with(ends), "{why}");
    let [stored, computed] = checksums(&why)[..] else { panic!("{why}") };
    assert_ne!(stored, computed);
    assert_eq!(failure(&mut cluster, node).await, why, "it was not changed");
}

#[tokio::test]
async fn a_bit_that_flips_in_term_and_vote_is_refused_and_neither_is_reset() {
    let (mut cluster, node, _) = down().await;
    let damaged = damage(&cluster, node, "flips hard_state");
    let why = failure(&mut cluster, node).await;
    let begins = format!("`{}` is damaged at byte {}", damaged.file.unwrap().display(), damaged.offset.unwrap());
    assert!(why.starts_with(&begins) && checksums(&why).len() == 2, "{why}");
}

#[tokio::test]
async fn a_bit_that_flips_in_a_snapshot_is_refused() {
    let (mut cluster, node, last) = down().await;
    cluster.restart(node).await;
    cluster.agree(last).await;
    cluster.client(node).snapshot(0).await.unwrap();
    cluster.kill(node);
    let damaged = damage(&cluster, node, "flips snapshot");
    let why = failure(&mut cluster, node).await;
    let begins =
        format!("`{}` is damaged or cut short: it says that its checksum is ", damaged.file.unwrap().display());
    assert!(why.starts_with(&begins), "{why}");
}

#[tokio::test]
async fn a_wiped_disk_is_refused_under_the_same_name() {
    let (mut cluster, node, _) = down().await;
    assert_eq!(damage(&cluster, node, "wiped").file, None);
    let why = format!(
        "the log in {} is gone, and with it this node's votes and promises; it must not take part again as if it had made \
         none: put the log back, or remove the node from the cluster and add a new one",
        cluster.node_folder(node).join("wal").display()
    );
    assert_eq!(failure(&mut cluster, node).await, why);
}

#[tokio::test]
async fn a_disk_that_is_put_back_has_what_it_had_when_it_was_kept() {
    let (mut cluster, node, last) = down().await;
    damage(&cluster, node, "kept");
    cluster.restart(node).await;
    cluster.leader().await;
    assert!(cluster.attack(node, "b", 1).await.unwrap().index > last);
    cluster.kill(node);
    damage(&cluster, node, "put_back");
    cluster.spawn(node).await;
    assert_eq!(cluster.status(node).await.last_index, last);
}

#[tokio::test]
async fn what_cannot_be_done_is_said_in_one_line() {
    let (mut cluster, node, last) = down().await;
    let log: PathBuf = cluster.node_folder(node).join("wal");
    let log = log.display();
    assert_eq!(refused(&cluster, node, "put_back"), format!("no copy of {log} was kept, so none can be put back"));
    assert_eq!(refused(&cluster, node, "flips snapshot"), format!("the log in {log} has no record `snapshot`"));
    assert_eq!(
        refused(&cluster, node, &format!("flips entry {}", last + 1)),
        format!("the log in {log} has no record `entry {}`", last + 1)
    );
    let words = "`burns` is nothing that happens to a disk; what does is: flips entry INDEX, flips hard_state, flips \
                 snapshot, torn, wiped, kept, put_back";
    assert_eq!(refused(&cluster, node, "burns"), words);
    let folder = cluster.node_folder(id(2));
    assert_eq!(
        refused(&cluster, id(2), "torn"),
        format!("{} has no log: no node was ever started there", folder.display())
    );
    cluster.restart(node).await;
    assert_eq!(refused(&cluster, node, "wiped"), format!("`{log}` is in use by another process; stop that one first"));
}
