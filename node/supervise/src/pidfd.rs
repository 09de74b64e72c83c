//! A process held by a descriptor, so that its number cannot pass to another one while we look, signal or wait.

use std::io;
use std::os::fd::OwnedFd;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use rustix::time::Timespec;

/// How long the kernel may take to end a process that was killed.
const REAP: Timespec = Timespec { tv_sec: 5, tv_nsec: 0 };

/// Holds a process; `None` if there is none of this number.
///
/// # Errors
/// What the system says.
pub(crate) fn hold(pid: u32) -> io::Result<Option<OwnedFd>> {
    let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) else { return Ok(None) };
    match pidfd_open(pid, PidfdFlags::empty()) {
        Ok(held) => Ok(Some(held)),
        Err(rustix::io::Errno::SRCH) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Kills a process, and waits until it has ended.
///
/// # Errors
/// When that is not allowed, or the kernel takes too long.
pub(crate) fn kill(held: &OwnedFd) -> io::Result<()> {
    pidfd_send_signal(held, Signal::KILL)?;
    wait(held)
}

/// Waits, blocking, until a process that was killed has ended, and let go of its files.
///
/// # Errors
/// When the kernel takes too long.
pub(crate) fn wait(held: &OwnedFd) -> io::Result<()> {
    // Readable once it has ended, reaped or not.
    match poll(&mut [PollFd::new(held, PollFlags::IN)], Some(&REAP))? {
        0 => Err(io::Error::new(io::ErrorKind::TimedOut, "it was killed and is still there")),
        _ => Ok(()),
    }
}
