//! A parent that is stopped, and so does not read what its node says.

mod support;

use std::fs::OpenOptions;
use std::time::Instant;

use raftian_rpc::control::{ControlClient as _, Network, Timing};
use support::{Cluster, Node, PATIENCE, id};

/// The smallest pipe: it holds a few dozen notices.
const PIPE_BYTES: usize = 4096;

/// More turning points than fit into the pipe.
const TURNING_POINTS: usize = 200;

#[tokio::test]
async fn a_parent_that_does_not_read_does_not_block_its_node() {
    let cluster = Cluster::new(3, |config| {
        config.timing = Timing { election_min_ms: 10, election_max_ms: 20, heartbeat_ms: 5 };
    });
    // The other two voters are not there, so each election time-out is a turning point.
    let mut node = Node::of(cluster.config(id(1)));
    let output = OpenOptions::new().write(true).open(format!("/proc/{}/fd/1", node.pid())).unwrap();
    rustix::pipe::fcntl_setpipe_size(&output, PIPE_BYTES).unwrap();
    drop(output);
    let (_, address) = node.ready().await;
    // From here on nobody reads what it says.
    let client = raftian_rpc::connect::http(address, &cluster.secret, PATIENCE).unwrap();
    client
        .configure(Network { version: 1, addresses: [(id(1), address)].into(), rules: Vec::new(), faults: Vec::new() })
        .await
        .unwrap();
    let trace = cluster.node_folder(id(1)).join("trace.jsonl");
    let began = Instant::now();
    while std::fs::read_to_string(&trace).unwrap().lines().count() < TURNING_POINTS {
        assert!(began.elapsed() < PATIENCE, "the node stands still");
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    assert_eq!(client.status().await.unwrap().node, id(1));
    node.shut_down().await;
}
