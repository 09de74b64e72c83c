//! A process of the node program, and its owner: spawned as the leader of its own group, given its assignment and the
//! sockets of its seats, listened to, and reaped.
//!
//! Invariants: its standard input is the lifeline: the process ends with its [`Process`]. Its end is reported after
//! everything that it wrote, when all of its processes have ended, and when its seats are answered for again.
//!
//! Deliberately absent: waiting for the process to read its assignment, which the kernel keeps for it.

use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use raftian_rpc::control::NodeNotice;
use raftian_rpc::{NodeId, handover};
use thiserror::Error;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::{Instant, timeout_at};

use crate::group::Group;
use crate::log::Log;
use crate::pidfd;
use crate::seat::{Seat, Taken};

/// The longest line a process may write to its standard output.
const MAX_NOTICE_BYTES: usize = 64 * 1024;

/// How long the last lines of a process may take to arrive after its end; only a stray child of it can keep the pipe
/// open.
const LAST_WORDS: Duration = Duration::from_millis(200);

/// How a process is started.
#[derive(Clone, Copy, Debug)]
pub struct Launch<'a> {
    /// The node program.
    pub program: &'a Path,
    /// What it is to be, as a line; see [`Assignment::to_line`](raftian_rpc::assignment::Assignment::to_line).
    pub line: &'a [u8],
    /// The seats of its nodes, in the order in which the assignment names them.
    pub seats: &'a [Arc<Seat>],
    /// The file that its standard error is added to.
    pub log: &'a Path,
    /// What its environment has besides ours.
    pub environment: &'a [(&'a str, &'a str)],
}

/// Why a process was not started.
#[derive(Debug, Error)]
pub enum SpawnError {
    /// Another process has a seat.
    #[error("another process of {0} has not ended yet")]
    Taken(NodeId),
    /// Its standard error has nowhere to go.
    #[error("cannot write {}: {error}", path.display())]
    Log {
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// The program cannot be executed.
    #[error("cannot execute {}: {error}", program.display())]
    Execute {
        /// The program.
        program: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// It was executed and ended again: it cannot be given what it needs, or cannot be watched.
    #[error("cannot hand {} what it needs: {error}", program.display())]
    HandOver {
        /// The program.
        program: PathBuf,
        /// What the system says.
        error: io::Error,
    },
}

/// What the owner of a process learns of it.
#[derive(Debug)]
pub enum ProcessEvent {
    /// A line on its standard output.
    Notice(NodeNotice),
    /// A line that is none of ours.
    InvalidLine {
        /// The line.
        line: Vec<u8>,
        /// What is wrong with it.
        why: String,
    },
    /// It has ended, and all of its processes with it; `None` when the system does not say how.
    Ended(Option<ExitStatus>),
}

/// A process, killed when this is dropped.
#[derive(Debug)]
pub struct Process {
    child: Child,
    group: Group,
    /// Its standard input.
    lifeline: Option<UnixStream>,
    notices: Notices,
    stage: Stage,
    seats: Vec<Taken>,
}

#[derive(Clone, Copy, Debug)]
enum Stage {
    Running,
    /// It was reaped; what it said last may take until then to arrive.
    Reaped(Option<ExitStatus>, Instant),
    /// Nothing of it is left.
    Ended(Option<ExitStatus>),
}

/// Its standard output.
#[derive(Debug)]
struct Notices {
    output: BufReader<ChildStdout>,
    /// What there is of the next line.
    line: Vec<u8>,
    is_over: bool,
}

impl Process {
    /// Spawns a process. Call this on a thread that stays, with the runtime at hand: the process dies with the thread.
    ///
    /// # Errors
    /// A sentence for people. No process is left then.
    pub fn spawn(launch: &Launch<'_>) -> Result<Process, SpawnError> {
        let seats: Vec<Taken> = launch
            .seats
            .iter()
            .map(|seat| seat.take().ok_or(SpawnError::Taken(seat.node())))
            .collect::<Result<_, _>>()?;
        let (log, stderr) =
            Log::open(launch.log).map_err(|error| SpawnError::Log { path: launch.log.to_owned(), error })?;
        let execute = |error| SpawnError::Execute { program: launch.program.to_owned(), error };
        let (own, childs) = UnixStream::pair().map_err(execute)?;
        let mut child = Command::new(launch.program)
            .stdin(Stdio::from(OwnedFd::from(childs)))
            .stdout(Stdio::piped())
            .stderr(stderr)
            .envs(launch.environment.iter().copied())
            .process_group(0)
            .spawn()
            .map_err(execute)?;
        let sockets: Vec<BorrowedFd<'_>> = seats.iter().map(|seat| seat.as_fd()).collect();
        let output = child.stdout.take().expect("standard output is piped");
        let notices = Notices { output: BufReader::new(output), line: Vec::new(), is_over: false };
        let hand_over = |error| SpawnError::HandOver { program: launch.program.to_owned(), error };
        let group = Group::of(&child, log).map_err(hand_over)?;
        let given = give(&own, launch.line, &sockets);
        drop(sockets);
        // From here on an early return ends the process.
        let (lifeline, stage) = (Some(own), Stage::Running);
        let process = Process { child, group, lifeline, notices, stage, seats };
        given.map_err(hand_over).map(|()| process)
    }

    /// What may be done to it from anywhere.
    pub fn group(&self) -> &Group {
        &self.group
    }

    /// What it says next, or that it has ended. Nothing is lost when this is cancelled. Without this nothing is read.
    pub async fn next(&mut self) -> ProcessEvent {
        loop {
            match self.stage {
                Stage::Running => tokio::select! {
                    line = self.notices.next(), if !self.notices.is_over => {
                        if let Some(line) = line {
                            return self.take_in(line);
                        }
                    }
                    status = self.group.reaped(&mut self.child) => {
                        self.stage = Stage::Reaped(status, Instant::now() + LAST_WORDS);
                    }
                },
                Stage::Reaped(status, patience) => match timeout_at(patience, self.notices.next()).await {
                    Ok(Some(line)) => return self.take_in(line),
                    _ => self.finish(status).await,
                },
                Stage::Ended(status) => return ProcessEvent::Ended(status),
            }
        }
    }

    /// Waits until it has ended, whatever it says meanwhile.
    pub async fn ended(&mut self) -> Option<ExitStatus> {
        loop {
            if let ProcessEvent::Ended(status) = self.next().await {
                return status;
            }
        }
    }

    /// Lets go of its standard input, as a parent that ends does.
    pub fn close_input(&mut self) {
        self.lifeline = None;
    }

    fn take_in(&mut self, line: Vec<u8>) -> ProcessEvent {
        match serde_json::from_slice(&line) {
            Ok(NodeNotice::ServerProcess { pid }) => {
                self.group.found_server(pid);
                ProcessEvent::Notice(NodeNotice::ServerProcess { pid })
            }
            Ok(notice) => ProcessEvent::Notice(notice),
            Err(error) => ProcessEvent::InvalidLine { line, why: error.to_string() },
        }
    }

    /// Waits for the other half of the node, which was killed with the group, and gives the seats back.
    async fn finish(&mut self, status: Option<ExitStatus>) {
        if let Some(server) = self.group.server_held() {
            // A node that starts again needs its log.
            let _ = tokio::task::spawn_blocking(move || pidfd::wait(&server)).await;
        }
        self.seats.clear();
        self.stage = Stage::Ended(status);
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if !matches!(self.stage, Stage::Ended(_)) {
            let _ = self.group.kill();
            self.group.reap(&mut self.child);
        }
    }
}

impl Notices {
    /// The next line; one that is too long is cut, and so no notice. `None` when the pipe is closed.
    async fn next(&mut self) -> Option<Vec<u8>> {
        let room = (MAX_NOTICE_BYTES - self.line.len()) as u64;
        let read = (&mut self.output).take(room).read_until(b'\n', &mut self.line).await;
        self.is_over = !matches!(read, Ok(count) if count > 0) && self.line.is_empty();
        (!self.is_over).then(|| std::mem::take(&mut self.line))
    }
}

fn give(own: &UnixStream, line: &[u8], sockets: &[BorrowedFd<'_>]) -> io::Result<()> {
    match handover::give(own, line, sockets) {
        // It has ended already, and its end says why.
        Err(error) if matches!(error.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset) => Ok(()),
        given => given,
    }
}
