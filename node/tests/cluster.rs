//! Real node processes: they elect, replicate, forward, survive, and refuse.

mod support;

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;

use raftian_rpc::RoleKind;
use raftian_rpc::assignment::Assignment;
use raftian_rpc::client::ClientClient as _;
use raftian_rpc::control::{ControlClient as _, NodeConfig};
use raftian_rpc::error::NodeError;
use serde_json::value::RawValue;
use support::{Cluster, Node, PATIENCE, Scratch, config, id, seat};

#[tokio::test]
async fn a_command_given_to_a_follower_is_applied_once_everywhere() {
    let cluster = Cluster::start(3).await;
    let follower = cluster.follower().await;
    cluster.leader().await;
    let first = cluster.attack(follower, "a", 1).await.unwrap();
    assert_eq!(first.response.get(), r#"{"outcome":"hit","player":3,"hp":70}"#);
    let again = cluster.attack(follower, "a", 1).await.unwrap();
    assert!(again.duplicate);
    assert_eq!(cluster.status(follower).await.counters.forwarded, 2);
    assert_eq!((again.index, again.response.get()), (first.index, first.response.get()));

    let all = cluster.wait_until("applied everywhere", |all| all.iter().all(|s| s.last_applied == 3)).await;
    assert!(all.iter().all(|status| status.digest == all[0].digest), "{all:#?}");
    assert!(all.iter().all(|status| status.counters.syncs > 0));
}

#[tokio::test]
async fn a_killed_leader_is_replaced_and_comes_back_with_its_log() {
    let mut cluster = Cluster::start(3).await;
    let old = cluster.leader().await;
    cluster.attack(old, "a", 1).await.unwrap();
    let term = cluster.status(old).await.term;
    cluster.kill(old);

    let new = cluster.leader_after(term).await;
    cluster.attack(new, "a", 2).await.unwrap();
    cluster.spawn(old).await;
    cluster.set_rules(&[]).await;
    let all = cluster.wait_until("catching up", |all| all.iter().all(|s| s.last_applied == 4)).await;
    assert!(all.iter().all(|status| status.digest == all[0].digest), "{all:#?}");
}

#[tokio::test]
async fn a_leader_that_is_cut_off_steps_down_and_commits_nothing() {
    let mut cluster = Cluster::start(3).await;
    let old = cluster.leader().await;
    let term = cluster.status(old).await.term;
    cluster.isolate(old).await;

    let outcome = cluster.attack(old, "a", 1).await.unwrap_err();
    assert!(matches!(outcome, NodeError::TimedOut { .. } | NodeError::NoLeader { .. }), "{outcome}");
    let replaced = |all: &[raftian_rpc::control::NodeStatus]| {
        let claims = all.iter().any(|s| s.role == RoleKind::Leader && s.term > term);
        claims && all.iter().any(|s| s.node == old && s.role != RoleKind::Leader)
    };
    cluster.wait_until("a leader beyond the partition", replaced).await;

    cluster.set_rules(&[]).await;
    let leader = cluster.leader().await;
    let applied = cluster.attack(leader, "b", 1).await.unwrap();
    let agreed = |all: &[raftian_rpc::control::NodeStatus]| {
        all.iter().all(|s| s.last_applied >= applied.index && s.digest == all[0].digest)
    };
    cluster.wait_until("agreement after the partition", agreed).await;
}

#[tokio::test]
async fn a_cluster_of_one_leads_itself() {
    let cluster = Cluster::start(1).await;
    let leader = cluster.leader().await;
    assert_eq!(cluster.attack(leader, "a", 1).await.unwrap().index, 2);
    let page = cluster.client(leader).log(1, 10).await.unwrap();
    assert_eq!((page.entries.len(), page.commit_index, page.entries[0].command.is_none()), (2, 2, true));
}

#[tokio::test]
async fn nonsense_is_refused_and_changes_nothing() {
    let cluster = Cluster::start(1).await;
    let node = cluster.leader().await;
    let client = cluster.client(node);
    for command in
        ["3", "{}", r#"{"client":"a","serial":1,"op":{"heal":3}}"#, r#"{"client":"","serial":1,"op":{"attack":3}}"#]
    {
        let refused = client.submit(RawValue::from_string(command.into()).unwrap(), None, None).await.unwrap_err();
        assert!(
            matches!(NodeError::from_client(&refused), Some(NodeError::UnknownCommand { .. })),
            "{command}: {refused}"
        );
    }
    let long = format!(r#"{{"client":"a","serial":1,"op":{{"attack":"{}"}}}}"#, "x".repeat(2 << 20));
    let refused = client.submit(RawValue::from_string(long).unwrap(), None, None).await.unwrap_err();
    assert!(refused.to_string().contains("is over the limit of"), "{refused}");
    let far = r#"{"client":"a","serial":1,"op":{"attack":3}}"#;
    let refused = client.submit(RawValue::from_string(far.into()).unwrap(), Some(86_400_000), None).await.unwrap_err();
    assert!(matches!(NodeError::from_client(&refused), Some(NodeError::BadRequest { .. })), "{refused}");
    assert_eq!(cluster.status(node).await.last_index, 1);
}

#[tokio::test]
async fn a_stranger_gets_401_and_garbage_gets_an_error() {
    let cluster = Cluster::start(1).await;
    let address = cluster.addresses[&id(1)];
    let post = |headers: String, body: &str| {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let length = body.len();
        let head =
            format!("POST / HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\nconnection: close\r\n");
        // A server that refuses a long body need not read it to its end.
        let _ = write!(stream, "{head}content-length: {length}\r\n{headers}\r\n{body}");
        let mut answer = String::new();
        let _ = stream.read_to_string(&mut answer);
        answer
    };
    let known = || format!("authorization: {}\r\n", cluster.secret.header());
    let status = r#"{"jsonrpc":"2.0","id":1,"method":"control.status","params":[]}"#;
    assert!(post(known(), status).contains(r#""role":"#));
    for headers in [String::new(), "authorization: Bearer wrong\r\n".into()] {
        let answer = post(headers, status);
        assert!(answer.starts_with("HTTP/1.1 401 ") && !answer.contains("role"), "{answer}");
    }
    for (body, code) in [
        ("{", "-32700"),
        (r#"{"jsonrpc":"2.0","id":1,"method":"control.nothing"}"#, "-32601"),
        (r#"{"jsonrpc":"2.0","id":1,"method":"control.log","params":["x",{}]}"#, "-32602"),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"raft.append_entries","params":[{"from":"n2","to":"n1","term":1,"call":1},{"prev_index":0,"prev_term":0,"commit":0,"terms":[[1,5]],"commands":[]}]}"#,
            "-32602",
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"raft.request_vote","params":[{"from":"n2","to":"n9","term":1,"call":1},{"index":0,"term":0}]}"#,
            "-32008",
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"raft.request_vote","params":[{"from":"n2","to":"n1","term":18446744073709551615,"call":1},{"index":0,"term":0}]}"#,
            "-32602",
        ),
    ] {
        let answer = post(known(), body);
        assert!(answer.contains(code), "{body}: {answer}");
    }
    assert!(!post(known(), &" ".repeat(9 << 20)).starts_with("HTTP/1.1 200 "));
    // A body of 1 GiB is refused by what is said of it: none of it is ever sent.
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let head = format!("POST / HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\n{}", known());
    write!(stream, "{head}content-length: {}\r\n\r\n", 1 << 30).unwrap();
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"HTTP/1.1 413");
    // It has survived all of that.
    assert!(post(known(), status).contains(r#""role":"#));
}

#[tokio::test]
async fn a_node_ends_with_its_parent() {
    let folder = Scratch::new();
    let secret = raftian_rpc::secret::Secret::generate().unwrap();
    let mut node = Node::of(config(id(1), &[id(1)], &folder.0, &secret));
    node.ready().await;
    node.shut_down().await;
}

#[tokio::test]
async fn a_node_that_cannot_start_says_why() {
    let folder = Scratch::new();
    let secret = raftian_rpc::secret::Secret::generate().unwrap();
    let good = config(id(1), &[id(1)], &folder.0, &secret);
    let reason = async |mut node: Node| {
        let reason = node.failure().await;
        assert_eq!(node.ended().await.0, Some(1));
        reason
    };
    let program = Path::new(env!("CARGO_BIN_EXE_raftian-node"));
    assert!(reason(Node::spawn(program, b"{\n", Vec::new())).await.contains("no assignment"));
    assert!(reason(Node::of(NodeConfig { version: "0.0.0".into(), ..good.clone() })).await.contains("0.0.0"));
    let assignment = Assignment::Node(Box::new(good.clone()));
    for (seats, says) in
        [(0, "0 listening sockets came with the assignment, and it needs 1"), (2, "2 listening sockets")]
    {
        let seats = (0..seats).map(|_| seat(id(1))).collect();
        let why = reason(Node::seated(&assignment, seats)).await;
        assert!(why.starts_with(says), "{why}");
    }
    let file = folder.0.join("file");
    std::fs::write(&file, "").unwrap();
    assert!(reason(Node::of(NodeConfig { folder: file.join("x"), ..good })).await.contains("file"));
}

#[tokio::test]
async fn a_node_that_has_lost_its_log_does_not_start_under_its_old_name() {
    let mut cluster = Cluster::start_with(1, |config| config.expects_log = config.folder.exists()).await;
    cluster.leader().await;
    cluster.restart(id(1)).await;
    cluster.kill(id(1));
    std::fs::remove_dir_all(cluster.node_folder(id(1)).join("wal")).unwrap();
    let reason = Node::of(cluster.config(id(1))).failure().await;
    assert!(reason.contains("is gone") && reason.contains("add a new one"), "{reason}");
}

#[tokio::test]
async fn the_log_of_another_node_is_refused() {
    let mut cluster = Cluster::start(2).await;
    cluster.leader().await;
    [1, 2].into_iter().for_each(|number| cluster.kill(id(number)));
    let [first, second] = [1, 2].map(|number| cluster.node_folder(id(number)).join("wal"));
    std::fs::remove_dir_all(&second).unwrap();
    std::fs::rename(first, second).unwrap();
    let reason = Node::of(cluster.config(id(2))).failure().await;
    assert!(reason.contains("00000001.wal` belongs to the log of n1, and this is n2"), "{reason}");
}

#[tokio::test]
async fn a_damaged_log_is_refused_and_left_as_it_is() {
    let mut cluster = Cluster::start(1).await;
    let node = cluster.leader().await;
    for serial in 1..=5 {
        cluster.attack(node, "a", serial).await.unwrap();
    }
    cluster.kill(node);
    let file = cluster.node_folder(node).join("wal/00000001.wal");
    let mut bytes = std::fs::read(&file).unwrap();
    let at = bytes.windows(6).position(|window| window == b"attack").expect("commands are stored as they are");
    bytes[at] ^= 0x20;
    std::fs::write(&file, &bytes).unwrap();

    let reason = Node::of(cluster.config(node)).failure().await;
    assert!(reason.contains("00000001.wal") && reason.contains("at byte") && reason.contains("entry 2"), "{reason}");
    assert_eq!(std::fs::read(&file).unwrap(), bytes);
}
