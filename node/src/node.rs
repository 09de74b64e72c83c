//! The process: from a configuration on standard input to an exit code.
//!
//! Invariant: whatever goes wrong is said twice, once for the parent (a notice) and once for people (standard error),
//! each in one line that names the thing and the cause.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use raftian_apps::Machine;
use raftian_raft::{Configuration, Options, Recovered, Server, Time};
use raftian_rpc::control::{NodeConfig, NodeNotice};
use raftian_rpc::{VERSION, files, serve};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::driver::{Driver, Ending};
use crate::inbox::{Inbox, Input};
use crate::parent;
use crate::peers::Peers;
use crate::service::Service;
use crate::storage::{self, Storage};
use crate::trace::{NodeEvent, Trace};

/// How long answers to callers may take to leave when the node does.
const FAREWELL: Duration = Duration::from_millis(500);

/// Runs a node to its end.
pub fn run() -> ExitCode {
    files::raise_limit();
    let outcome = parent::read_config().and_then(|config| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.map_err(|error| format!("cannot start a runtime: {error}"))?.block_on(serve_until_told(config))
    });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            parent::complain(&reason);
            parent::notify(&NodeNotice::Failed { reason });
            ExitCode::FAILURE
        }
    }
}

async fn serve_until_told(config: NodeConfig) -> Result<(), String> {
    if config.version != VERSION {
        return Err(format!("raftiand is version {}, but raftian-node is {VERSION}; build both again", config.version));
    }
    let listener = bind(config.port)?;
    let port = listener.local_addr().map_err(|error| format!("no local address: {error}"))?.port();
    fs::create_dir_all(&config.folder)
        .map_err(|error| format!("cannot create the folder {}: {error}", config.folder.display()))?;

    let (inbox, inputs) = mpsc::unbounded_channel();
    let opened = storage::open(&config.folder.join("wal"), config.expects_log)?;
    let torn_tail = opened.recovered.torn_tail.as_ref().map(|cut| {
        format!("cut {} bytes of an unfinished write at offset {} of {}", cut.discarded_bytes, cut.offset, cut.file)
    });
    let last_index = opened.recovered.entries.len() as u64;
    let peers = Arc::new(Peers::new(config.id, config.secret.clone(), call_timeout(&config), config.seed));
    let mut driver = assemble(&config, opened, Arc::clone(&peers), inbox.clone())?;
    let service = Service { own: config.id, app: config.app, inbox: inbox.clone(), peers };
    let server = serve::serve(listener, config.secret, service.methods())
        .map_err(|error| format!("cannot listen on port {port}: {error}"))?;

    driver.trace.node(NodeEvent::Started {
        version: VERSION,
        pid: std::process::id(),
        port,
        last_index,
        torn_tail: torn_tail.as_deref(),
    });
    parent::notify(&NodeNotice::Ready { version: VERSION.into(), port, last_index, torn_tail });
    forward_signals(inbox)?;

    let ending = driver.run(inputs).await;
    // The waiters have their answers; give those a moment to leave. A handler that hangs must not keep the node.
    let _ = server.stop();
    let _ = tokio::time::timeout(FAREWELL, server.stopped()).await;
    match ending {
        Ending::Shutdown => Ok(()),
        Ending::StorageFailed(reason) => Err(reason),
    }
}

fn assemble(config: &NodeConfig, opened: storage::Opened, peers: Arc<Peers>, inbox: Inbox) -> Result<Driver, String> {
    let configuration =
        Configuration::new(config.voters.iter().copied()).ok_or("a cluster needs at least one voter")?;
    let timing = config.timing.validate()?;
    let options = Options {
        election_timeout: Duration::from_millis(timing.election_min_ms)..Duration::from_millis(timing.election_max_ms),
        heartbeat_interval: Duration::from_millis(timing.heartbeat_ms),
        ..Options::new(config.id, configuration, config.seed)
    };
    let machine = Machine::new(config.app, config.players).map_err(|error| error.to_string())?;
    let trace_path = config.folder.join("trace.jsonl");
    let trace = Trace::open(&trace_path, config.id)
        .map_err(|error| format!("cannot open the trace {}: {error}", trace_path.display()))?;
    let storage = Storage::start(opened.wal, inbox.clone())
        .map_err(|error| format!("cannot start the storage thread: {error}"))?;
    let recovered =
        Recovered { hard_state: opened.recovered.hard_state, snapshot: None, entries: opened.recovered.entries };
    let server = Server::new(options, recovered, Time::default());
    Ok(Driver::new(server, machine, storage, peers, trace, inbox, Instant::now()))
}

fn bind(port: u16) -> Result<TcpListener, String> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    TcpListener::bind(address).map_err(|error| match error.kind() {
        std::io::ErrorKind::AddrInUse => format!("port in use: another program listens on {address}"),
        _ => format!("cannot listen on {address}: {error}"),
    })
}

/// A reply that comes after two of the longest election time-outs finds another term.
fn call_timeout(config: &NodeConfig) -> Duration {
    Duration::from_millis(2 * config.timing.election_max_ms)
}

/// SIGTERM and SIGINT mean: leave in order.
fn forward_signals(inbox: Inbox) -> Result<(), String> {
    for kind in [SignalKind::terminate(), SignalKind::interrupt()] {
        let mut signals = signal(kind).map_err(|error| format!("cannot listen for signals: {error}"))?;
        let inbox = inbox.clone();
        tokio::spawn(async move {
            signals.recv().await;
            // A driver that has ended is leaving already.
            let _ = inbox.send(Input::Shutdown);
        });
    }
    Ok(())
}
