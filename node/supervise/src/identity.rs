//! What a process is recognised by after a crash of its parent, and how one that was left is ended.
//!
//! Invariant: a process is only ended if its number, its start time and its name are those that were written down. The
//! process is held by a descriptor before it is looked at, so its number cannot pass to another one in between.

use std::io;

use serde::{Deserialize, Serialize};

use crate::{pidfd, procfs};

/// Enough to recognise a process that outlived its parent, and not to mistake another one for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// Its number, which the system may give to another process later.
    pub pid: u32,
    /// When it started, in clock ticks since the machine booted.
    pub start_ticks: u64,
    /// The name of its program as the kernel keeps it.
    pub name: String,
}

impl Identity {
    /// That of a process; `None` if there is none of this number.
    pub(crate) fn of(pid: u32) -> Option<Identity> {
        procfs::stat(pid).map(|stat| Identity { pid, start_ticks: stat.start_ticks, name: stat.name })
    }

    /// Ends the process if it is still there, blocking until it has gone; says whether it was.
    ///
    /// # Errors
    /// When that is not allowed, or the kernel takes too long.
    pub fn end(&self) -> io::Result<bool> {
        let Some(held) = pidfd::hold(self.pid)? else { return Ok(false) };
        let is_it = |stat: &procfs::Stat| stat.start_ticks == self.start_ticks && stat.name == self.name;
        let Some(found) = procfs::stat(self.pid).filter(is_it) else { return Ok(false) };
        // It goes for a zombie too: its first thread has ended, but another may yet be in a sync, and holds the socket and
        // the log until that is over.
        pidfd::kill(&held).map(|()| found.state != 'Z')
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn only_the_very_process_is_ended() {
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        let right = Identity::of(child.id()).unwrap();
        let later = Identity { start_ticks: right.start_ticks + 1, ..right.clone() };
        let other = Identity { name: "postgres".into(), ..right.clone() };
        assert!(!later.end().unwrap());
        assert!(!other.end().unwrap());
        assert!(child.try_wait().unwrap().is_none());
        assert!(right.end().unwrap());
        child.wait().unwrap();
        assert!(!right.end().unwrap());
    }
}
