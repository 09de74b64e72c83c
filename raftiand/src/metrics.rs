//! What the processes of the lab use: CPU time and memory, sampled about once a second.
//!
//! Invariants: only processes of this lab are looked at, so that sampling costs a few file reads whatever else the
//! machine runs. A rate is that of a whole interval between two samples: of a process seen once nobody knows it.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use raftian_rpc::lab::ProcessUsage;
use sysinfo::{Pid, ProcessRefreshKind, ProcessesToUpdate, System};

/// The shortest interval that tells a rate: the kernel counts CPU time in ticks of 10 ms.
const MIN_INTERVAL: Duration = Duration::from_millis(500);

/// The samples of the processes of one lab.
pub(crate) struct Metrics {
    samples: Mutex<Samples>,
}

struct Samples {
    system: System,
    /// The last sample of each process.
    last: BTreeMap<u32, (Instant, ProcessUsage)>,
}

impl Metrics {
    /// Without samples.
    ///
    /// # Errors
    /// On a system whose processes cannot be looked at.
    pub(crate) fn new() -> Result<Metrics, sysinfo::Error> {
        Ok(Metrics { samples: Mutex::new(Samples { system: System::new()?, last: BTreeMap::new() }) })
    }

    /// Samples these processes, and forgets all others.
    pub(crate) fn sample(&self, pids: &[u32]) {
        self.sample_at(pids, Instant::now());
    }

    fn sample_at(&self, pids: &[u32], now: Instant) {
        let mut samples = self.samples();
        samples.last.retain(|pid, _| pids.contains(pid));
        samples.take(pids, now);
    }

    /// What a process used at the last sample; one that was never sampled is sampled now.
    pub(crate) fn usage(&self, pid: u32) -> Option<ProcessUsage> {
        let mut samples = self.samples();
        if !samples.last.contains_key(&pid) {
            samples.take(&[pid], Instant::now());
        }
        samples.last.get(&pid).map(|(_, usage)| *usage)
    }

    /// What processes used at the last sample, all together; the number is that of the first.
    pub(crate) fn usage_together(&self, pids: &[u32]) -> Option<ProcessUsage> {
        pids.iter().filter_map(|pid| self.usage(*pid)).reduce(|sum, next| ProcessUsage {
            pid: sum.pid,
            cpu_percent: sum.cpu_percent.zip(next.cpu_percent).map(|(one, other)| one + other),
            cpu_ms: sum.cpu_ms + next.cpu_ms,
            memory_bytes: sum.memory_bytes + next.memory_bytes,
        })
    }

    fn samples(&self) -> MutexGuard<'_, Samples> {
        self.samples.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Samples {
    /// Samples those of these processes that were not sampled just now.
    fn take(&mut self, pids: &[u32], now: Instant) {
        let is_due = |pid: &&u32| self.last.get(pid).is_none_or(|(then, _)| now.duration_since(*then) >= MIN_INTERVAL);
        let due: Vec<Pid> = pids.iter().filter(is_due).copied().map(Pid::from_u32).collect();
        let what = ProcessRefreshKind::nothing().with_cpu().with_memory().without_tasks();
        self.system.refresh_processes_specifics(ProcessesToUpdate::Some(&due), true, what);
        for pid in due {
            let before = self.last.remove(&pid.as_u32());
            let Some(process) = self.system.process(pid) else { continue };
            let cpu_ms = process.accumulated_cpu_time();
            let cpu_percent = before.map(|(then, before)| {
                let interval_ms = now.duration_since(then).as_secs_f32() * 1e3;
                100.0 * cpu_ms.saturating_sub(before.cpu_ms) as f32 / interval_ms
            });
            let usage = ProcessUsage { pid: pid.as_u32(), cpu_percent, cpu_ms, memory_bytes: process.memory() };
            self.last.insert(usage.pid, (now, usage));
        }
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
    fn a_rate_takes_two_samples_that_are_not_at_once() {
        let (metrics, own, now) = (Metrics::new().unwrap(), std::process::id(), Instant::now());
        let percent = |metrics: &Metrics| metrics.usage(own).unwrap().cpu_percent;
        metrics.sample_at(&[own], now);
        assert_eq!(percent(&metrics), None, "nobody knows yet");
        metrics.sample_at(&[own], now + MIN_INTERVAL / 2);
        assert_eq!(percent(&metrics), None, "too early to tell");
        metrics.sample_at(&[own], now + 2 * MIN_INTERVAL);
        assert!(percent(&metrics).is_some_and(|percent| percent >= 0.0));
        metrics.sample_at(&[], now + 3 * MIN_INTERVAL);
        assert_eq!(percent(&metrics), None, "it was forgotten");
    }

    #[test]
    fn what_two_processes_use_adds_up() {
        let metrics = Metrics::new().unwrap();
        let own = std::process::id();
        let one = metrics.usage(own).unwrap();
        let two = metrics.usage_together(&[own, own]).unwrap();
        assert_eq!((two.pid, two.memory_bytes), (own, 2 * one.memory_bytes));
        assert!(metrics.usage_together(&[]).is_none());
    }
}
