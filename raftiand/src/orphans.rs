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
    let is_it = |stat: procfs::Stat| stat.start_ticks == process.start_ticks && stat.name == process.name;
    // A zombie has ended already; whoever is its parent now has yet to look at it.
    if !procfs::stat(process.pid).is_some_and(|stat| stat.state != 'Z' && is_it(stat)) {
        return Ok(false);
    }
    // This blocks, but before the daemon serves anybody.
    pidfd::kill(&held).map(|()| true)
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
