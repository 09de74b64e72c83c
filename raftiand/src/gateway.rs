//! The gateway of a canvas: what `lab.canvas_serve` opens to painters, and nothing else of the lab.
//!
//! The way in: a connection is accepted here, [`guard`] lets its requests in, [`routes`] answers them. A request to paint
//! becomes a command in [`painters`]; a WebSocket is a client in [`socket`], with a node of [`nodes`] behind it. What a node
//! applies comes in at its [`hub`], goes into its [`board`], and out to its clients as [`frames`].
//!
//! It has a thread and a runtime of its own, so that a thousand clients never hold up the supervisor; the two share nothing
//! but what the daemon knows of the nodes, behind the lab's lock.
//!
//! Invariant: it listens on 127.0.0.1 alone. Connections, requests and messages have bounds, and none of a client's memory
//! is the gateway's.
//!
//! Deliberately absent: coming back by itself. It ends with its daemon, and its capabilities with it; what was opened for
//! an afternoon does not stay open because a machine was started again.

mod blame;
mod board;
mod frames;
mod guard;
mod hub;
mod nodes;
mod page;
mod painters;
mod report;
mod routes;
mod socket;

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::Duration;

use axum::Router;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use raftian_apps::{AppKind, Size};
use raftian_rpc::error::LabError;
use raftian_rpc::files;
use raftian_rpc::hint::Hint;
use raftian_rpc::lab::{CanvasClosed, CanvasReport, CanvasRequest, CanvasShare};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::sync::oneshot;

use crate::lab::{Lab, closing};
use guard::{Grant, Guard};
use nodes::Nodes;
use painters::Painters;
use report::Counts;

/// The most connections, where the system gives this process descriptors enough.
const MAX_CONNECTIONS: u64 = 12_000;

/// The most connections that wait in the kernel to be accepted.
const MAX_QUEUED: i32 = 4_096;

/// How long a caller may take for the head of a request.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);

/// The largest head of a request, in bytes.
const MAX_HEAD_BYTES: usize = 16 * 1024;

/// How long the accept loop pauses when the system has no descriptor for another connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The answer to who finds all connections in use.
const FULL: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\ncontent-length: 45\r\n\
                      connection: close\r\n\r\n{\"detail\":\"all connections are in use; wait\"}\n";

/// A canvas that is open.
pub(crate) struct Gateway {
    shared: Arc<Shared>,
    address: SocketAddr,
    /// Ends the thread when it is dropped.
    stop: oneshot::Sender<()>,
    thread: JoinHandle<()>,
}

/// What its tasks share.
struct Shared {
    request: CanvasRequest,
    size: Size,
    guard: Guard,
    nodes: Arc<Nodes>,
    painters: Arc<Painters>,
    counts: Arc<Counts>,
}

/// A connection; it counts until the last who holds it drops it.
struct Connection {
    counts: Arc<Counts>,
}

impl Gateway {
    fn open(lab: &Arc<Lab>, request: CanvasRequest, size: Size) -> io::Result<Gateway> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, request.port))?;
        // A storm of clients that come back finds room in the queue.
        rustix::net::listen(&listener, MAX_QUEUED)?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let request = CanvasRequest { port: address.port(), ..request };
        let counts = Arc::new(Counts::default());
        let nodes = Arc::new(Nodes::new(Arc::clone(lab), size, request.strategy));
        let mark = format!("{:08x}", lab.random().u32(..));
        let cool_down = Duration::from_millis(request.cool_down_ms);
        let painters = Arc::new(Painters::new(Arc::clone(&nodes), Arc::clone(&counts), mark, cool_down));
        let guard = Guard::new(&request)?;
        let shared = Arc::new(Shared { request, size, guard, nodes, painters, counts });
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (stop, stopped) = oneshot::channel();
        let of_thread = Arc::clone(&shared);
        let thread = std::thread::Builder::new().name("gateway".into()).spawn(move || {
            runtime.block_on(async {
                tokio::spawn(Arc::clone(&of_thread.nodes).keep());
                tokio::select! {
                    () = accept(listener, of_thread) => {}
                    _ = stopped => {}
                }
            });
            // Whatever still runs ends with this.
            runtime.shutdown_background();
        })?;
        Ok(Gateway { shared, address, stop, thread })
    }

    fn report(&self, changed: bool) -> CanvasReport {
        let Shared { request, size, nodes, counts, .. } = &*self.shared;
        let (request, size) = (request.clone(), *size);
        CanvasReport { changed, address: self.address, request, size, nodes: nodes.report(), counts: counts.read() }
    }

    fn share(&self, read_only: bool) -> CanvasShare {
        let read_only = read_only || self.shared.request.read_only;
        let key = self.shared.guard.key(if read_only { Grant::Look } else { Grant::Paint });
        CanvasShare { url: format!("http://{}/?key={key}", self.address), read_only }
    }

    async fn close(self) {
        drop(self.stop);
        // The thread ends between two tasks; its port is free then.
        let _ = tokio::task::spawn_blocking(move || self.thread.join()).await;
    }
}

impl Lab {
    /// Opens the canvas to painters.
    ///
    /// # Errors
    /// Conflict when the lab has no canvas, it is open in another way, or the port is in use.
    pub(crate) async fn canvas_serve(self: &Arc<Lab>, request: CanvasRequest) -> Result<CanvasReport, LabError> {
        let mut gateway = self.gateway.lock().await;
        let settings = {
            let state = self.state();
            if state.closing {
                return Err(closing());
            }
            state.settings.ok_or_else(|| LabError::conflict("the lab has no nodes yet").hint(Hint::Start))?
        };
        if settings.app != AppKind::Canvas {
            return Err(LabError::usage(format!("this lab replicates `{}`, not a canvas", settings.app)));
        }
        if let Some(open) = &*gateway {
            let known = &open.shared.request;
            let same = CanvasRequest { port: known.port, ..request.clone() } == *known;
            return match same && [0, known.port].contains(&request.port) {
                true => Ok(open.report(false)),
                false => Err(LabError::conflict(format!(
                    "the canvas is open already, at {} and in another way; close it first",
                    open.address
                ))),
            };
        }
        let port = request.port;
        let opened = Gateway::open(self, request, settings.app_options.size);
        let opened = opened.map_err(|error| match error.kind() {
            io::ErrorKind::AddrInUse => LabError::conflict(format!("port {port} is in use; choose another")),
            io::ErrorKind::PermissionDenied => LabError::conflict(format!("port {port} is not for everybody: {error}")),
            _ => LabError::failed(format!("the canvas cannot be opened: {error}")),
        })?;
        tracing::info!("the canvas is open at {}", opened.address);
        Ok(gateway.insert(opened).report(true))
    }

    /// The canvas that is open.
    pub(crate) async fn canvas_status(&self) -> Option<CanvasReport> {
        self.gateway.lock().await.as_ref().map(|open| open.report(false))
    }

    /// An address for painters, or for those who look.
    ///
    /// # Errors
    /// Conflict when the canvas is not open.
    pub(crate) async fn canvas_share(&self, read_only: bool) -> Result<CanvasShare, LabError> {
        let gateway = self.gateway.lock().await;
        let open = gateway
            .as_ref()
            .ok_or_else(|| LabError::conflict("the canvas is not open to painters").hint(Hint::OpenCanvas))?;
        Ok(open.share(read_only))
    }

    /// Closes the canvas to painters.
    pub(crate) async fn canvas_close(&self) -> CanvasClosed {
        let open = self.gateway.lock().await.take();
        let changed = open.is_some();
        if let Some(open) = open {
            open.close().await;
        }
        CanvasClosed { changed }
    }
}

/// Accepts connections for ever.
async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let listener = match tokio::net::TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => return tracing::error!("the canvas cannot be served: {error}"),
    };
    let most = MAX_CONNECTIONS.min(files::limit() / 2);
    let router = routes::router(Arc::clone(&shared));
    loop {
        match listener.accept().await {
            Ok((socket, _)) if shared.counts.connections.load(Ordering::Relaxed) as u64 >= most => turn_away(socket),
            Ok((socket, _)) => {
                let connection = Connection::begin(&shared.counts);
                tokio::spawn(serve(socket, router.clone(), connection));
            }
            // The caller has gone already.
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
            // The listener stays ready to accept, so without a pause this would be a busy loop.
            Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
        }
    }
}

/// Answers the requests of one connection.
async fn serve(socket: TcpStream, router: Router, connection: Arc<Connection>) {
    // Messages are written in one piece. A socket that cannot be set so is still served.
    let _ = socket.set_nodelay(true);
    let routes = TowerToHyperService::new(router);
    let service = service_fn(move |mut request: hyper::Request<Incoming>| {
        // A WebSocket outlives this task; it counts as long as it keeps this.
        request.extensions_mut().insert(Arc::clone(&connection));
        routes.call(request)
    });
    let serving = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_header_size(MAX_HEAD_BYTES)
        .serve_connection(TokioIo::new(socket), service)
        .with_upgrades();
    // What is wrong with a connection concerns the caller alone.
    let _ = serving.await;
}

fn turn_away(mut socket: TcpStream) {
    tokio::spawn(async move {
        let _ = tokio::time::timeout(HEAD_TIMEOUT, socket.write_all(FULL)).await;
    });
}

impl Connection {
    fn begin(counts: &Arc<Counts>) -> Arc<Connection> {
        counts.connections.fetch_add(1, Ordering::Relaxed);
        Arc::new(Connection { counts: Arc::clone(counts) })
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.counts.connections.fetch_sub(1, Ordering::Relaxed);
    }
}
