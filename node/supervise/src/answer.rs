//! The answer in the place of a node that does not run: HTTP 503 and a JSON-RPC error, so that a caller knows at once that
//! what it asked for certainly was not done ([`not_taken`](raftian_rpc::error::not_taken)).
//!
//! Invariants: nothing that a caller sends is looked at or kept, its secret least of all. Connections are few and short, and
//! the oldest gives way. Once an [`Answering`] is dropped it accepts no further connection: the next is the node's.
//!
//! Deliberately absent: reading HTTP. Whatever is said on this socket, this is the answer.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::io::{self, ErrorKind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use raftian_rpc::NodeId;
use raftian_rpc::error::{NOT_RUNNING, NOT_RUNNING_STATUS};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use tokio::task::{AbortHandle, JoinHandle, JoinSet};
use tokio::time::{Instant, sleep_until};

/// The most connections at a time.
const MAX_CONNECTIONS: usize = 64;

/// From this age on a connection gives way to a newer one, where there is no room for both. Who asks at once is answered
/// long before.
const GIVES_WAY_AFTER: Duration = Duration::from_millis(100);

/// How long a caller may take to ask, and to read the answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// How long the accept loop pauses when the system has no descriptor or memory for another connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The task that answers on one socket; ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Answering {
    task: JoinHandle<()>,
    gate: Arc<Gate>,
}

/// Whether connections may be accepted. Closing it waits for an accept that has begun; aborting a task would not.
#[derive(Debug)]
struct Gate(Mutex<bool>);

impl Answering {
    pub(crate) fn begin(runtime: &Handle, node: NodeId, listener: Arc<std::net::TcpListener>) -> Answering {
        let gate = Arc::new(Gate(Mutex::new(true)));
        let task = runtime.spawn(answer_all(listener, Arc::clone(&gate), answer_for(node)));
        Answering { task, gate }
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        *self.gate.lock() = false;
        self.task.abort();
    }
}

impl Gate {
    /// Accepts a connection, unless the gate is closed; then there is none.
    fn accept(&self, listener: &TcpListener, context: &mut Context<'_>) -> Poll<Option<io::Result<TcpStream>>> {
        let is_open = self.lock();
        match *is_open {
            true => listener.poll_accept(context).map(|accepted| Some(accepted.map(|(socket, _)| socket))),
            false => Poll::Ready(None),
        }
    }

    fn lock(&self) -> MutexGuard<'_, bool> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn answer_for(node: NodeId) -> Arc<str> {
    let why = format!("{node} does not run, so nothing was done");
    let body = format!(r#"{{"jsonrpc":"2.0","id":null,"error":{{"code":{NOT_RUNNING},"message":"{why}"}}}}"#);
    let length = body.len();
    format!(
        "HTTP/1.1 {NOT_RUNNING_STATUS} Service Unavailable\r\nContent-Type: application/json\r\nConnection: close\r\n\
         Content-Length: {length}\r\n\r\n{body}"
    )
    .into()
}

async fn answer_all(listener: Arc<std::net::TcpListener>, gate: Arc<Gate>, answer: Arc<str>) {
    // Watched only while no process has the socket, so that this process does not wake for the node's callers.
    let listener = loop {
        match listener.try_clone().and_then(TcpListener::from_std) {
            Ok(watched) => break watched,
            // No descriptor is left.
            Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
        }
    };
    let mut callers = Callers::default();
    loop {
        callers.room().await;
        let Some(accepted) = poll_fn(|context| gate.accept(&listener, context)).await else { return };
        match accepted {
            Ok(socket) => callers.add(answer_one(socket, Arc::clone(&answer))),
            // The caller has gone already.
            Err(error) if error.kind() == ErrorKind::ConnectionAborted => {}
            // The socket stays ready, so without a pause this would be a busy loop.
            Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
        }
    }
}

/// Those who are being answered.
#[derive(Default)]
struct Callers {
    tasks: JoinSet<()>,
    /// The oldest first; some of them may have ended.
    ages: VecDeque<(Instant, AbortHandle)>,
}

impl Callers {
    /// Waits until there is room for one more.
    async fn room(&mut self) {
        loop {
            while self.tasks.try_join_next().is_some() {}
            self.ages.retain(|(_, task)| !task.is_finished());
            if self.tasks.len() < MAX_CONNECTIONS {
                return;
            }
            let Some((since, oldest)) = self.ages.front() else { return };
            tokio::select! {
                _ = self.tasks.join_next() => {}
                () = sleep_until(*since + GIVES_WAY_AFTER) => {
                    oldest.abort();
                    self.tasks.join_next().await;
                }
            }
        }
    }

    fn add(&mut self, answering: impl Future<Output = ()> + Send + 'static) {
        let task = self.tasks.spawn(answering);
        self.ages.push_back((Instant::now(), task));
    }
}

impl Drop for Callers {
    fn drop(&mut self) {
        // They are still answered, though the next connection is the node's.
        self.tasks.detach_all();
    }
}

async fn answer_one(mut socket: TcpStream, answer: Arc<str>) {
    let exchange = async {
        let mut scratch = [0; 4096];
        // A client takes an answer to what it has not asked for an error, so the first bytes are waited for.
        if socket.read(&mut scratch).await? > 0 {
            socket.write_all(answer.as_bytes()).await?;
            socket.shutdown().await?;
            // Closing a connection with bytes unread resets it, and the caller might lose the answer.
            while socket.read(&mut scratch).await? > 0 {}
        }
        io::Result::Ok(())
    };
    // What is wrong with a connection concerns the caller alone.
    let _ = tokio::time::timeout(PATIENCE, exchange).await;
}
