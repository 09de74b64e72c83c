//! What happens on the port of a node that does not run: no other program gets it, and a caller knows that nothing was done.

mod support;

use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::thread;
use std::time::Instant;

use raftian_rpc::client::ClientClient as _;
use raftian_rpc::control::{ControlClient as _, NodeConfig};
use raftian_rpc::error::{NodeError, not_taken};
use rustix::net::{AddressFamily, SocketType, bind, listen, socket, sockopt};
use rustix::process::{Uid, geteuid};
use rustix::thread::set_thread_uid;
use serde_json::value::RawValue;
use support::{Cluster, PATIENCE, id};

/// `nobody`, who is another user.
const NOBODY: u32 = 65_534;

/// Tries to listen on a port as another user, where this one may become another, with everything that is allowed.
fn impostor(port: u16) -> io::Result<()> {
    let listens = move |ip| {
        let socket = socket(AddressFamily::INET, SocketType::STREAM, None)?;
        sockopt::set_socket_reuseaddr(&socket, true)?;
        sockopt::set_socket_reuseport(&socket, true)?;
        bind(&socket, &SocketAddrV4::new(ip, port))?;
        listen(&socket, 16)
    };
    let attempt = move || {
        if geteuid().is_root() {
            // To the kernel a user is a thread's.
            set_thread_uid(Uid::from_raw(NOBODY)).unwrap();
        }
        listens(Ipv4Addr::LOCALHOST).or_else(|_| listens(Ipv4Addr::UNSPECIFIED))
    };
    Ok(thread::spawn(attempt).join().unwrap()?)
}

#[tokio::test]
async fn another_user_cannot_listen_on_the_port_of_a_node_that_was_killed() {
    let mut cluster = Cluster::start(1).await;
    let address = cluster.addresses[&id(1)];
    let is_refused = |address: SocketAddr| impostor(address.port()).unwrap_err().kind() == ErrorKind::AddrInUse;
    assert!(is_refused(address), "while it runs");
    let client = cluster.client(id(1));
    cluster.kill(id(1));
    assert!(is_refused(address), "while it does not");
    let began = Instant::now();
    let error = client.status().await.unwrap_err();
    assert_eq!(not_taken(&error), Some("does not run"), "{error}");
    assert!(began.elapsed() < PATIENCE, "it is said at once, not when the caller's patience ends");
    cluster.restart(id(1)).await;
    assert_eq!(cluster.addresses[&id(1)], address, "the port is the node's over all of its processes");
    assert!(is_refused(address), "when it runs again");
    cluster.leader().await;
}

/// n1 leads, and the others believe that for as long as a test takes.
fn long_lead(config: &mut NodeConfig) {
    config.timing.election_min_ms = 50_000;
    config.timing.election_max_ms = 60_000;
    config.trim.campaigns_first = config.id == id(1);
}

#[tokio::test]
async fn a_command_for_a_dead_node_was_certainly_not_applied_direct_or_forwarded() {
    let mut cluster = Cluster::start_with(3, long_lead).await;
    assert_eq!(cluster.leader().await, id(1));
    let client = cluster.client(id(1));
    // The others still have its address.
    drop(cluster.nodes.remove(&id(1)));

    let command = |client: &str| {
        RawValue::from_string(format!(r#"{{"client":"{client}","serial":1,"op":{{"attack":3}}}}"#)).unwrap()
    };
    let error = client.submit(command("direct"), None, None).await.unwrap_err();
    assert_eq!(not_taken(&error), Some("does not run"), "{error}");
    let forwarded = cluster.attack(id(2), "forwarded", 1).await.unwrap_err();
    assert_eq!(forwarded, NodeError::NoLeader { node: id(2) });

    for node in [2, 3] {
        assert_eq!(cluster.status(id(node)).await.last_index, 1, "no copy of it came through");
    }
}

#[tokio::test]
async fn a_leader_whose_followers_are_dead_gets_no_acknowledgement_on_their_ports() {
    let mut cluster = Cluster::start_with(3, long_lead).await;
    assert_eq!(cluster.leader().await, id(1));
    cluster.attack(id(1), "a", 1).await.unwrap();
    for dead in [2, 3] {
        drop(cluster.nodes.remove(&id(dead)));
        assert!(impostor(cluster.addresses[&id(dead)].port()).is_err());
    }
    let alone = cluster.attack(id(1), "a", 2).await.unwrap_err();
    assert!(matches!(alone, NodeError::TimedOut { .. }), "{alone}");
    assert_eq!(cluster.status(id(1)).await.commit_index, 2);
}
