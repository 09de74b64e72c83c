//! A server as one future: from a node's configuration to its end. Who polls it is the hosting's choice.
//!
//! Invariant: whatever hosts it, this is the code that runs (design: one driver, three hostings).

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use raftian_apps::Machine;
use raftian_raft::{Configuration, Options, Recovered, Server, Time};
use raftian_rpc::control::{NodeConfig, NodeNotice};
use raftian_rpc::{VERSION, serve};
use tokio::task::JoinSet;

use crate::commands;
use crate::disk::NodeDisk;
use crate::driver::{Driver, Ending};
use crate::global_lock::GlobalLock;
use crate::inbox::Mailbox;
use crate::orders::Orders;
use crate::parent;
use crate::peers::Peers;
use crate::port::ServerPort;
use crate::service::Service;
use crate::storage::{self, Storage};
use crate::trace::{NodeEvent, Trace};

/// How long answers to callers may take to leave when the node does.
const FAREWELL: Duration = Duration::from_millis(500);

/// Runs a server until its mailbox holds a shutdown, the game at its port has left, or it cannot go on.
///
/// # Errors
/// A sentence for people, when it cannot start or its disk fails.
pub(crate) async fn run(config: NodeConfig, mailbox: Mailbox, port: Option<ServerPort>) -> Result<(), String> {
    let Mailbox { inbox, inputs } = mailbox;
    let listener = bind(config.port)?;
    let number = listener.local_addr().map_err(|error| format!("no local address: {error}"))?.port();
    fs::create_dir_all(&config.folder)
        .map_err(|error| format!("cannot create the folder {}: {error}", config.folder.display()))?;

    let disk = NodeDisk::open(&config.folder.join("wal"), config.trim.durability)?;
    let opened = storage::open(disk, config.expects_log)?;
    let torn_tail = opened.recovered.torn_tail.as_ref().map(|cut| {
        format!("cut {} bytes of an unfinished write at offset {} of {}", cut.discarded_bytes, cut.offset, cut.file)
    });
    let last_index = opened.recovered.entries.len() as u64;
    let lock = port.as_ref().map_or_else(GlobalLock::default, |port| port.lock.clone());
    let peers = Arc::new(Peers::new(&config, lock));
    let service = Service { own: config.id, app: config.app, inbox: inbox.clone(), peers: Arc::clone(&peers) };
    let machine = Machine::new(config.app, config.players).map_err(|error| error.to_string())?;
    // Aborted when it is dropped: the last hand on the orders queue goes with it.
    let mut attendants = JoinSet::new();
    let orders = port.map(|ServerPort { commands, orders, .. }| {
        let session = commands::session(config.id);
        let told = Orders::begin(orders.clone(), session.clone(), &machine);
        attendants.spawn(commands::take(commands, orders, session, service.clone()));
        told
    });
    let trace_path = config.folder.join("trace.jsonl");
    let mut trace = Trace::open(&trace_path, config.id)
        .map_err(|error| format!("cannot open the trace {}: {error}", trace_path.display()))?;
    trace.node(NodeEvent::Started {
        version: VERSION,
        pid: std::process::id(),
        port: number,
        last_index,
        torn_tail: torn_tail.as_deref(),
    });
    let recovered = Recovered { hard_state: opened.recovered.hard_state, entries: opened.recovered.entries };
    let core = Server::new(options(&config)?, recovered, Time::default());
    let storage = Storage::start(opened.wal, opened.syncs, inbox.clone())
        .map_err(|error| format!("cannot start the storage thread: {error}"))?;
    let driver = Driver::new(core, machine, storage, peers, trace, orders, inbox);
    let listening = serve::serve(listener, config.secret, service.methods())
        .map_err(|error| format!("cannot listen on port {number}: {error}"))?;

    parent::notify(&NodeNotice::Ready {
        node: config.id,
        version: VERSION.into(),
        port: number,
        last_index,
        torn_tail,
    });
    let ending = driver.run(inputs).await;
    // The waiters have their answers; give those a moment to leave. A handler that hangs must not keep the node.
    let _ = listening.stop();
    let _ = tokio::time::timeout(FAREWELL, listening.stopped()).await;
    match ending {
        Ending::Shutdown => Ok(()),
        Ending::StorageFailed(reason) => Err(reason),
    }
}

fn options(config: &NodeConfig) -> Result<Options, String> {
    let configuration =
        Configuration::new(config.voters.iter().copied()).ok_or("a cluster needs at least one voter")?;
    let timing = config.timing.validate()?;
    Ok(Options {
        election_timeout: Duration::from_millis(timing.election_min_ms)..Duration::from_millis(timing.election_max_ms),
        heartbeat_interval: Duration::from_millis(timing.heartbeat_ms),
        campaigns_first: config.trim.campaigns_first,
        ..Options::new(config.id, configuration, config.seed)
    })
}

fn bind(port: u16) -> Result<TcpListener, String> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    TcpListener::bind(address).map_err(|error| match error.kind() {
        std::io::ErrorKind::AddrInUse => format!("port in use: another program listens on {address}"),
        _ => format!("cannot listen on {address}: {error}"),
    })
}
