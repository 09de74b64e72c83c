//! Nodes that outlived a daemon: found by what `lab.json` says of them, and ended.
//!
//! Invariant: a process is only ended if its number, its start time and its name are those that were written down. The
//! process is held by a descriptor before it is looked at, so its number cannot pass to another one in between.

use std::io;

use crate::saved::{Saved, SavedProcess};
use crate::{pidfd, procfs};

/// Ends the processes of an earlier daemon that are still there, and returns their numbers.
pub(crate) fn end(saved: &Saved) -> Vec<u32> {
    let mut ended = Vec::new();
    for process in saved.nodes.values().flat_map(|node| node.process.iter().chain(&node.server)) {
        match end_one(process) {
            Ok(true) => ended.push(process.pid),
            Ok(false) => {}
            Err(error) => tracing::warn!("process {} of an earlier daemon cannot be ended: {error}", process.pid),
        }
    }
    ended
}

/// Ends a process if it is the one described, and says whether it was.
fn end_one(process: &SavedProcess) -> io::Result<bool> {
    let Some(held) = pidfd::hold(process.pid)? else { return Ok(false) };
    let is_it = |stat: &procfs::Stat| stat.start_ticks == process.start_ticks && stat.name == process.name;
    let Some(found) = procfs::stat(process.pid).filter(is_it) else { return Ok(false) };
    // This blocks, but before the daemon serves anybody. It goes for a zombie too: its first thread has ended, but
    // another may yet be in a sync, and holds the port and the log until that is over.
    pidfd::kill(&held).map(|()| found.state != 'Z')
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn only_the_very_process_is_ended() {
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        let stat = procfs::stat(child.id()).unwrap();
        let right = SavedProcess { pid: child.id(), start_ticks: stat.start_ticks, name: stat.name };
        let later = SavedProcess { start_ticks: right.start_ticks + 1, ..right.clone() };
        let other = SavedProcess { name: "postgres".into(), ..right.clone() };
        assert!(!end_one(&later).unwrap());
        assert!(!end_one(&other).unwrap());
        assert!(child.try_wait().unwrap().is_none());
        assert!(end_one(&right).unwrap());
        child.wait().unwrap();
        assert!(!end_one(&right).unwrap());
    }
}
