//! The parent process: the assignment on standard input, the notices on standard output, and leaving with it.
//!
//! Invariant: a node never outlives its parent. The kernel kills it when the parent's thread dies, and the end of
//! standard input ends it where the parent died before the kernel was asked.

use std::io::{self, BufRead, Read as _, Write as _};
use std::net::TcpListener;
use std::thread;
use std::time::Duration;

use raftian_rpc::assignment::Assignment;
use raftian_rpc::control::NodeNotice;
use raftian_rpc::{VERSION, handover};
use rustix::process::{Signal, set_parent_process_death_signal};
use tokio::signal::unix::{SignalKind, signal};

use crate::notices;

/// The longest assignment that is read, in bytes.
const MAX_ASSIGNMENT_BYTES: u64 = 1024 * 1024;

/// How long an orphan may take to leave in order.
const GRACE: Duration = Duration::from_secs(2);

/// How long the parent may take to read what is left at a moment that wants it read.
const NOTICES_PATIENCE: Duration = Duration::from_secs(1);

/// Why a process ends otherwise than in order.
#[derive(Debug)]
pub(crate) enum Failure {
    /// For this reason, in a sentence for people.
    Because(String),
    /// For one that its server's process has said already.
    Said,
}

impl From<String> for Failure {
    fn from(reason: String) -> Failure {
        Failure::Because(reason)
    }
}

/// What this process is to be.
#[derive(Debug)]
pub(crate) struct Assigned {
    pub(crate) assignment: Assignment,
    /// The sockets on which its nodes are called, as many as the assignment needs.
    pub(crate) listeners: Vec<TcpListener>,
}

/// Reads what this process is to be.
///
/// # Errors
/// A sentence for people, when what comes is not an assignment, not one for this version, or lacks its sockets.
pub(crate) fn read_assignment() -> Result<Assigned, String> {
    // Not fatal: the end of standard input tells the same, a little later.
    let _ = set_parent_process_death_signal(Some(Signal::KILL));
    let received = handover::receive(io::stdin())?;
    let mut line = received.first;
    let mut input = io::stdin().lock().take(MAX_ASSIGNMENT_BYTES);
    input.read_until(b'\n', &mut line).map_err(|error| format!("cannot read an assignment: {error}"))?;
    if line.trim_ascii().is_empty() {
        return Err("raftian-node is started by raftiand, which tells it what to be on standard input".into());
    }
    let assignment: Assignment =
        serde_json::from_slice(&line).map_err(|error| format!("this is no assignment: {error}"))?;
    let (needed, given) = (assignment.listeners(), received.listeners.len());
    match assignment.version() {
        VERSION if given == needed => Ok(Assigned { assignment, listeners: received.listeners }),
        VERSION => Err(format!(
            "{given} listening sockets came with the assignment, and it needs {needed}, one for each node: the parent opens \
             them and passes them on"
        )),
        other => Err(format!("the parent is version {other}, but raftian-node is {VERSION}; build both again")),
    }
}

/// Sends the parent a notice, without waiting for it.
pub(crate) fn notify(notice: &NodeNotice) {
    let mut line = serde_json::to_vec(notice).expect("notices have string keys only");
    line.push(b'\n');
    notices::give(line);
}

/// Waits until the parent has all notices. A parent that does not read is not waited for longer than a moment.
pub(crate) fn flush_notices() {
    notices::flush(NOTICES_PATIENCE);
}

/// Writes a line for people to standard error. `eprintln!` would panic where that file is on a full disk, of all moments.
pub(crate) fn complain(line: &str) {
    let _ = writeln!(io::stderr(), "raftian-node: {line}");
}

/// Calls `leave` when the parent wants this process to leave: by SIGTERM or SIGINT, or by closing standard input. In
/// the latter case the process ends even if it cannot leave in order.
///
/// # Errors
/// A sentence for people, when the system says no.
pub(crate) fn on_shutdown(leave: impl Fn() + Clone + Send + 'static) -> Result<(), String> {
    on_signal(leave.clone())?;
    spawn("lifeline", move || {
        let mut scratch = [0; 256];
        // Whatever else the parent may say means nothing to this version.
        while matches!(io::stdin().lock().read(&mut scratch), Ok(count) if count > 0) {}
        leave();
        thread::sleep(GRACE);
        // All that was promised is on disk: leaving at once loses nothing.
        std::process::exit(0);
    })
}

/// Calls `leave` at each SIGTERM and SIGINT.
///
/// # Errors
/// A sentence for people, when the system says no.
pub(crate) fn on_signal(leave: impl Fn() + Send + 'static) -> Result<(), String> {
    let unheard = |error| format!("cannot listen for signals: {error}");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().map_err(unheard)?;
    let (mut terminate, mut interrupt) = {
        let _entered = runtime.enter();
        (signal(SignalKind::terminate()).map_err(unheard)?, signal(SignalKind::interrupt()).map_err(unheard)?)
    };
    spawn("signals", move || {
        runtime.block_on(async {
            loop {
                tokio::select! {
                    Some(()) = terminate.recv() => leave(),
                    Some(()) = interrupt.recv() => leave(),
                    else => return,
                }
            }
        });
    })
}

fn spawn(name: &str, body: impl FnOnce() + Send + 'static) -> Result<(), String> {
    let spawned = thread::Builder::new().name(name.into()).spawn(body);
    spawned.map(drop).map_err(|error| format!("cannot start the thread `{name}`: {error}"))
}
