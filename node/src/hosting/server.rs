//! A server as one future, from a node's configuration to its end. The hosting decides which thread polls it.
//!
//! Invariant: every hosting runs this code: one server, three hostings.

use std::fs;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use raftian_raft::{Configuration, Index, Lease, Options, Recovered, Server, Time};
use raftian_rpc::control::{NodeConfig, NodeNotice, ReadMode};
use raftian_rpc::{VERSION, serve};
use tokio::task::JoinSet;

use crate::experiment::global_lock::GlobalLock;
use crate::faults::Faults;
use crate::game_link::commands;
use crate::game_link::lanes::Session;
use crate::game_link::orders::Orders;
use crate::game_link::port::ServerPort;
use crate::host::by_hand;
use crate::host::disk::NodeDisk;
use crate::host::inbox::{Inbox, Mailbox};
use crate::host::storage::{self, Opened, Storage};
use crate::host::{Ending, Host, owner};
use crate::net::peers::Peers;
use crate::net::service::Service;
use crate::parent;
use crate::planted::{self, planted};
use crate::trace::{NodeEvent, Trace};

/// How long a node that stops waits until its answers to callers are sent.
const SHUTDOWN_GRACE: Duration = Duration::from_millis(500);

/// Runs a server, which is called on `listener`, until its mailbox has a shutdown, the game at its port has ended, or it cannot continue.
///
/// # Errors
/// A message for people, when it cannot start or cannot continue.
pub(crate) async fn run(
    config: NodeConfig,
    listener: TcpListener,
    mailbox: Mailbox,
    port: Option<ServerPort>,
) -> Result<(), String> {
    planted::plant()?;
    let Mailbox { inbox, inputs } = mailbox;
    let number = listener.local_addr().map_err(|error| format!("no local address: {error}"))?.port();
    let lock = port.as_ref().map_or_else(GlobalLock::default, |port| port.lock.clone());
    let peers = Arc::new(Peers::new(&config, lock));
    let Begun { mut host, last_index, torn_tail } = begin(&config, number, Arc::clone(&peers), &inbox)?;
    let service = Service { own: config.id, app: config.app, inbox, peers, followed: host.followed() };
    // Dropping the set aborts its task, which closes the orders queue.
    let mut attendants = JoinSet::new();
    if let Some(ServerPort { commands, orders, .. }) = port {
        let session = Session::new("game", config.id);
        host.tell_game(Orders::begin(orders.clone(), session.clone(), host.machine()));
        attendants.spawn(commands::take(commands, orders, session, service.clone()));
    }
    let of_metrics = service.clone();
    let front = serve::Front::default().with_metrics(move || of_metrics.clone().metrics());
    let listening = serve::serve(listener, config.secret, service.methods(), front, parent::complain)
        .map_err(|error| format!("cannot listen on port {number}: {error}"))?;

    parent::notify(&NodeNotice::Ready { node: config.id, version: VERSION.into(), last_index, torn_tail });
    let ending = host.run(inputs).await;
    // All answers are given; wait until they are sent, but not longer, since a handler may hang.
    let _ = listening.stop();
    let _ = tokio::time::timeout(SHUTDOWN_GRACE, listening.stopped()).await;
    match ending {
        Ending::Shutdown => Ok(()),
        Ending::Failed(reason) => Err(reason),
    }
}

/// A host that is ready to run.
struct Begun {
    host: Host,
    /// The last index of the log it recovered.
    last_index: Index,
    /// What was cut from the end of the log, as a message for people.
    torn_tail: Option<String>,
}

/// Recovers the state on the disk, and makes a host from it.
fn begin(config: &NodeConfig, port: u16, peers: Arc<Peers>, inbox: &Inbox) -> Result<Begun, String> {
    fs::create_dir_all(&config.folder)
        .map_err(|error| format!("cannot create the folder {}: {error}", config.folder.display()))?;
    let folder = config.folder.join("wal");
    let faults = Arc::new(Faults::new(config.id, folder.clone()));
    let mut disk = NodeDisk::open(&folder, config.trim.durability, Arc::clone(&faults))?;
    if let Some(cluster) = config.cluster {
        owner::settle(&mut disk, cluster)?;
    }
    by_hand::fill(&disk, config)?;
    let Opened { wal, syncs, recovered } = storage::open(disk, config)?;
    let torn_tail = recovered.torn_tail.map(|cut| {
        format!("cut {} bytes of an unfinished write at offset {} of {}", cut.discarded_bytes, cut.offset, cut.file)
    });
    let recovered =
        Recovered { hard_state: recovered.hard_state, snapshot: recovered.snapshot, entries: recovered.entries };
    let core = Server::new(options(config)?, recovered, Time::default());
    let last_index = core.last().index;

    let trace_path = config.folder.join("trace.jsonl");
    let mut trace = Trace::open(&trace_path, config.id)
        .map_err(|error| format!("cannot open the trace {}: {error}", trace_path.display()))?;
    let torn = torn_tail.as_deref();
    trace.node(NodeEvent::Started { version: VERSION, pid: std::process::id(), port, last_index, torn_tail: torn });
    let storage = Storage::start(wal, last_index, syncs, faults, inbox.clone())
        .map_err(|error| format!("cannot start the storage thread: {error}"))?;
    let host = Host::new(config, core, storage, peers, trace, inbox.clone())?;
    Ok(Begun { host, last_index, torn_tail })
}

fn options(config: &NodeConfig) -> Result<Options, String> {
    let timing = config.timing.validate()?;
    let lease = match config.reads {
        ReadMode::ReadIndex => None,
        ReadMode::Lease { drift_percent } => Some(Lease { drift_percent }),
    };
    // Without voters the server waits until it is added.
    let configuration = Configuration::new(config.voters.iter().copied());
    let options = Options {
        election_timeout: Duration::from_millis(timing.election_min_ms)..Duration::from_millis(timing.election_max_ms),
        heartbeat_interval: Duration::from_millis(timing.heartbeat_ms),
        campaigns_first: config.trim.campaigns_first,
        lease,
        ..Options::new(config.id, configuration, config.seed)
    };
    let mut options = match &config.by_hand {
        Some(by_hand) => by_hand::tune(&by_hand.tuning, options),
        None => options,
    };
    planted().in_core(&mut options);
    Ok(options)
}
