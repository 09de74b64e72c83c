//! What the processes of the lab use: CPU time and memory, sampled about once a second.
//!
//! Invariant: only processes of this lab are looked at, so that sampling costs a few file reads whatever else the
//! machine runs.

use std::sync::{Mutex, PoisonError};

use raftian_rpc::lab::ProcessUsage;
use sysinfo::{Pid, Process, ProcessRefreshKind, ProcessesToUpdate, System};

/// The samples of the processes of one lab.
pub(crate) struct Metrics {
    system: Mutex<System>,
}

impl Metrics {
    /// Without samples.
    ///
    /// # Errors
    /// On a system whose processes cannot be looked at.
    pub(crate) fn new() -> Result<Metrics, sysinfo::Error> {
        Ok(Metrics { system: Mutex::new(System::new()?) })
    }

    /// Samples these processes, and forgets all that are gone.
    pub(crate) fn sample(&self, pids: &[u32]) {
        let mut system = self.system.lock().unwrap_or_else(PoisonError::into_inner);
        refresh(&mut system, pids);
    }

    /// What a process used at the last sample; one that was never sampled is sampled now.
    pub(crate) fn usage(&self, pid: u32) -> Option<ProcessUsage> {
        let mut system = self.system.lock().unwrap_or_else(PoisonError::into_inner);
        if system.process(Pid::from_u32(pid)).is_none() {
            refresh(&mut system, &[pid]);
        }
        system.process(Pid::from_u32(pid)).map(|process| usage(pid, process))
    }

    /// What processes used at the last sample, all together; the number is that of the first.
    pub(crate) fn usage_together(&self, pids: impl Iterator<Item = u32>) -> Option<ProcessUsage> {
        pids.filter_map(|pid| self.usage(pid)).reduce(|sum, next| ProcessUsage {
            pid: sum.pid,
            cpu_percent: sum.cpu_percent + next.cpu_percent,
            cpu_ms: sum.cpu_ms + next.cpu_ms,
            memory_bytes: sum.memory_bytes + next.memory_bytes,
        })
    }
}

fn refresh(system: &mut System, pids: &[u32]) {
    let pids: Vec<Pid> = pids.iter().copied().map(Pid::from_u32).collect();
    let what = ProcessRefreshKind::nothing().with_cpu().with_memory().without_tasks();
    system.refresh_processes_specifics(ProcessesToUpdate::Some(&pids), true, what);
}

fn usage(pid: u32, process: &Process) -> ProcessUsage {
    ProcessUsage {
        pid,
        cpu_percent: process.cpu_usage(),
        cpu_ms: process.accumulated_cpu_time(),
        memory_bytes: process.memory(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_own_process_uses_memory() {
        let metrics = Metrics::new().unwrap();
        let usage = metrics.usage(std::process::id()).unwrap();
        assert_eq!(usage.pid, std::process::id());
        assert!(usage.memory_bytes > 1024 * 1024, "{usage:?}");
    }

    #[test]
    fn what_two_processes_use_adds_up() {
        let metrics = Metrics::new().unwrap();
        let own = std::process::id();
        let one = metrics.usage(own).unwrap();
        let two = metrics.usage_together([own, own].into_iter()).unwrap();
        assert_eq!((two.pid, two.memory_bytes), (own, 2 * one.memory_bytes));
        assert!(metrics.usage_together(std::iter::empty()).is_none());
    }
}
