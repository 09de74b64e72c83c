//! The processes of a node as everybody may see them: to signal them and to ask about them, not to own them.
//!
//! Invariant: a signal is only ever sent to a group whose leader has not been reaped, so never to a stranger that has
//! inherited its number.

use std::future::poll_fn;
use std::io;
use std::os::fd::OwnedFd;
use std::pin::pin;
use std::process::ExitStatus;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::process::{Pid, Signal, kill_process_group, pidfd_send_signal};
use tokio::process::Child;

use crate::identity::Identity;
use crate::log::Log;
use crate::{pidfd, procfs};

/// A process group whose leader this process has spawned, and with it the other half of a node whose server has a process
/// of its own. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Group(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    leader: Identity,
    /// The leader's number, which is the group's.
    pid: Pid,
    held: OwnedFd,
    log: Log,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// The leader has been reaped.
    is_reaped: bool,
    server: Option<Server>,
}

/// The other half of a node, which is not our child.
#[derive(Debug)]
struct Server {
    identity: Identity,
    held: Arc<OwnedFd>,
}

impl Group {
    /// That of a process which was just spawned as the leader of its group. It is killed where this fails.
    pub(crate) fn of(child: &Child, log: Log) -> io::Result<Group> {
        let number = child.id().expect("a process that was not reaped has a number");
        let pid = i32::try_from(number).ok().and_then(Pid::from_raw).expect("process numbers are positive");
        let held = pidfd::hold(number).and_then(|held| held.ok_or_else(gone)).inspect_err(|_| {
            let _ = kill_process_group(pid, Signal::KILL);
        })?;
        let unknown = || Identity { pid: number, start_ticks: 0, name: String::new() };
        let leader = Identity::of(number).unwrap_or_else(unknown);
        Ok(Group(Arc::new(Inner { leader, pid, held, log, state: Mutex::default() })))
    }

    /// The process that was spawned.
    pub fn leader(&self) -> &Identity {
        &self.0.leader
    }

    /// The process of its server, where that has one of its own.
    pub fn server(&self) -> Option<Identity> {
        self.state().server.as_ref().map(|server| server.identity.clone())
    }

    /// The numbers of all its processes, that of the leader first.
    pub fn pids(&self) -> Vec<u32> {
        std::iter::once(self.0.leader.pid).chain(self.server().map(|server| server.pid)).collect()
    }

    /// Sends a signal to all of its processes.
    ///
    /// # Errors
    /// [`io::ErrorKind::NotFound`] when it has ended; else what the system says.
    pub fn signal(&self, signal: Signal) -> io::Result<()> {
        let state = self.state();
        match state.is_reaped {
            true => Err(gone()),
            false => Ok(kill_process_group(self.0.pid, signal)?),
        }
    }

    /// Asks the node to leave in order, also if it is stopped.
    ///
    /// # Errors
    /// Those of [`signal`](Group::signal).
    pub fn ask_to_leave(&self) -> io::Result<()> {
        if self.state().is_reaped {
            return Err(gone());
        }
        // The leader only: its other half leaves with it. One that is stopped finds the request when it runs on.
        pidfd_send_signal(&self.0.held, Signal::TERM)?;
        self.signal(Signal::CONT)
    }

    /// Kills all of its processes, and waits, blocking, until they have ended.
    ///
    /// # Errors
    /// When the kernel takes too long.
    pub fn kill(&self) -> io::Result<()> {
        // Found by their group: the notice that names the other half may not have been read yet.
        let members = procfs::members(self.0.leader.pid);
        let members: Vec<OwnedFd> = members.into_iter().filter_map(|pid| pidfd::hold(pid).ok().flatten()).collect();
        match self.signal(Signal::KILL) {
            Ok(()) => members.iter().chain([&self.0.held]).try_for_each(pidfd::wait),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.server_held().map_or(Ok(()), |server| pidfd::wait(&server))
            }
            Err(error) => Err(error),
        }
    }

    /// Whether each of its processes that has not ended is stopped by a signal, or, for `still` false, none is.
    pub fn stands(&self, still: bool) -> bool {
        !self.pids().into_iter().any(|pid| procfs::is_stopped(pid).is_ok_and(|is| is != still))
    }

    /// The last line that it wrote to its standard error.
    pub fn last_words(&self) -> Option<String> {
        self.0.log.last_line()
    }

    /// Takes note of the process of the server, if it is there.
    pub(crate) fn found_server(&self, pid: u32) {
        // Held first, so that what is looked at is what is held.
        let held = pidfd::hold(pid).ok().flatten().map(Arc::new);
        let server = held.and_then(|held| Some(Server { identity: Identity::of(pid)?, held }));
        self.state().server = server;
    }

    /// The process of the server, to wait for.
    pub(crate) fn server_held(&self) -> Option<Arc<OwnedFd>> {
        self.state().server.as_ref().map(|server| Arc::clone(&server.held))
    }

    /// Waits until the leader has ended, reaps it, and ends what else is left in its group.
    pub(crate) async fn reaped(&self, child: &mut Child) -> Option<ExitStatus> {
        let mut wait = pin!(child.wait());
        poll_fn(|context| {
            // No signal is sent between the reaping and the mark.
            let mut state = self.state();
            wait.as_mut().poll(context).map(|ended| {
                self.forget(&mut state);
                ended.ok()
            })
        })
        .await
    }

    /// The same for a leader that has ended.
    pub(crate) fn reap(&self, child: &mut Child) {
        let mut state = self.state();
        // It fails only where the system has reaped it already.
        let _ = child.try_wait();
        self.forget(&mut state);
    }

    fn forget(&self, state: &mut State) {
        if std::mem::replace(&mut state.is_reaped, true) {
            return;
        }
        // A group keeps its number while it has members; mostly it has none.
        let _ = kill_process_group(self.0.pid, Signal::KILL);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn gone() -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, "it has ended")
}
