//! Other users of the machine, who do not know the secret, at a node.

mod support;

use std::fs::Permissions;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::time::Instant;

use raftian_rpc::AppKind;
use raftian_rpc::assignment::Assignment;
use raftian_rpc::client::ClientClient as _;
use raftian_rpc::control::ControlClient as _;
use raftian_rpc::files;
use serde_json::value::RawValue;

use support::{Cluster, Node, PATIENCE, id};

/// The most memory that a node under attack may have, in kilobytes.
const MAX_MEMORY_KB: u64 = 64 * 1024;

/// Connections on which as much has been sent, and which are kept open.
fn open(address: SocketAddr, count: usize, part: &[u8]) -> Vec<TcpStream> {
    let connect = |_| {
        let mut connection = TcpStream::connect(address).ok()?;
        // The node may have closed it already.
        let _ = connection.write_all(part);
        Some(connection)
    };
    (0..count).filter_map(connect).collect()
}

/// The most memory that a process has had.
fn peak_memory_kb(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

#[tokio::test]
async fn three_thousand_half_sent_headers_cost_little_memory_and_keep_nobody_out() {
    files::raise_limit();
    let cluster = Cluster::start(1).await;
    let (address, pid) = (cluster.addresses[&id(1)], cluster.nodes[&id(1)].pid());
    let header = |size| format!("POST / HTTP/1.1\r\nHost: localhost\r\nX: {}", "a".repeat(size));
    let hostile = [open(address, 1500, header(400_000).as_bytes()), open(address, 1500, header(8_000).as_bytes())];
    assert_eq!(hostile.iter().map(Vec::len).sum::<usize>(), 3000);
    // A new connection each.
    for _ in 0..10 {
        assert_eq!(cluster.status(id(1)).await.node, id(1));
    }
    let memory_kb = peak_memory_kb(pid);
    assert!(memory_kb < MAX_MEMORY_KB, "{memory_kb} kB");
}

#[tokio::test]
async fn the_log_gets_its_next_segments_while_strangers_ask_for_all_descriptors() {
    files::raise_limit();
    let mut cluster = Cluster::new(1, |config| {
        config.app = AppKind::Kv;
        config.compaction.log_bytes = None;
    });
    let program = cluster.folder.0.join("few-descriptors");
    let text = format!("#!/bin/sh\nulimit -n 200\nexec {}\n", env!("CARGO_BIN_EXE_raftian-node"));
    std::fs::write(&program, text).unwrap();
    std::fs::set_permissions(&program, Permissions::from_mode(0o755)).unwrap();
    let line = Assignment::Node(Box::new(cluster.config(id(1)))).to_line();
    let mut node = Node::spawn(&program, &line, vec![cluster.seat(id(1))]);
    cluster.addresses.extend([node.ready().await]);
    let address = cluster.addresses[&id(1)];
    cluster.set_rules(&[]).await;
    cluster.leader().await;
    // One connection, which is there before the strangers.
    let client = cluster.client(id(1));
    client.status().await.unwrap();
    let hostile = open(address, 1000, b"POST / HTTP/1.1\r\nHost: loc");
    let value = "x".repeat(900_000);
    let segments = || std::fs::read_dir(cluster.node_folder(id(1)).join("wal")).unwrap().count();
    let before = segments();
    let began = Instant::now();
    let mut serial = 0;
    while segments() < before + 2 {
        serial += 1;
        let command = format!(r#"{{"client":"c","serial":{serial},"op":{{"set":["k","{value}"]}}}}"#);
        client.submit(RawValue::from_string(command).unwrap(), Some(10_000), None).await.unwrap();
        assert!(began.elapsed() < 3 * PATIENCE, "the log has no new segment");
    }
    drop(hostile);
    drop(node);
}

#[tokio::test]
async fn a_caller_without_the_secret_is_disconnected_with_the_answer() {
    let cluster = Cluster::start(1).await;
    let mut stranger = TcpStream::connect(cluster.addresses[&id(1)]).unwrap();
    stranger.set_read_timeout(Some(PATIENCE)).unwrap();
    stranger.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    let mut answer = String::new();
    stranger.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 401") && answer.contains("connection: close"), "{answer}");
}
