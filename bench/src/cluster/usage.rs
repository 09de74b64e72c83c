//! What a process has used so far, from `/proc`.
//!
//! Invariant: what the kernel does not tell is `None`, never zero. CPU time is the scheduler's, in nanoseconds: clock
//! ticks are too coarse for a trial of a fraction of a second.
//!
//! Deliberately absent: what threads used that have ended; those of the node program live as long as it does.

use std::fs;
use std::io;

use crate::suite::trial::Cost;

/// What a process has used since it started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Usage {
    cpu_ns: u64,
    memory_bytes: u64,
    voluntary_switches: u64,
    involuntary_switches: u64,
}

impl Usage {
    /// That of a process, all of its threads together; `None` if it is gone.
    pub(crate) fn of(pid: u32) -> Option<Usage> {
        let mut sum = Usage::default();
        for task in fs::read_dir(format!("/proc/{pid}/task")).ok()? {
            let task = task.ok()?.path();
            match (fs::read_to_string(task.join("schedstat")), fs::read_to_string(task.join("status"))) {
                (Ok(schedstat), Ok(status)) => sum.add_thread(&schedstat, &status)?,
                // A thread may end while we look.
                (Err(error), _) | (_, Err(error)) if error.kind() == io::ErrorKind::NotFound => {}
                _ => return None,
            }
        }
        sum.memory_bytes = field(&fs::read_to_string(format!("/proc/{pid}/status")).ok()?, "VmRSS:")? * 1024;
        Some(sum)
    }

    /// What was used from `before` to now, by `process`.
    pub(crate) fn since(&self, before: &Usage, process: &str) -> Cost {
        Cost {
            process: process.to_owned(),
            cpu_ms: self.cpu_ns.saturating_sub(before.cpu_ns) as f64 / 1e6,
            memory_bytes: self.memory_bytes,
            voluntary_switches: self.voluntary_switches.saturating_sub(before.voluntary_switches),
            involuntary_switches: self.involuntary_switches.saturating_sub(before.involuntary_switches),
        }
    }

    fn add_thread(&mut self, schedstat: &str, status: &str) -> Option<()> {
        self.cpu_ns += schedstat.split(' ').next()?.parse::<u64>().ok()?;
        self.voluntary_switches += field(status, "voluntary_ctxt_switches:")?;
        self.involuntary_switches += field(status, "nonvoluntary_ctxt_switches:")?;
        Some(())
    }
}

/// The number after `name` at the beginning of a line.
fn field(status: &str, name: &str) -> Option<u64> {
    let rest = status.lines().find_map(|line| line.strip_prefix(name))?;
    rest.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_add_up() {
        let status = "Name:\tnode\nVmRSS:\t    1234 kB\nvoluntary_ctxt_switches:\t40\nnonvoluntary_ctxt_switches:\t2\n";
        let mut sum = Usage::default();
        assert_eq!(sum.add_thread("3000000 17 5\n", status), Some(()));
        let before = sum;
        assert_eq!(sum.add_thread("1500000 17 5\n", status), Some(()));
        let cost = sum.since(&before, "n1");
        assert_eq!((cost.cpu_ms, cost.voluntary_switches, cost.involuntary_switches), (1.5, 40, 2));
        assert_eq!(field(status, "VmRSS:"), Some(1234));
        assert_eq!(sum.add_thread("", status), None);
    }

    #[test]
    fn the_own_process_has_used_something_and_one_that_is_not_there_nothing() {
        let usage = Usage::of(std::process::id()).unwrap();
        assert!(usage.cpu_ns > 0 && usage.memory_bytes > 1 << 20, "{usage:?}");
        assert_eq!(Usage::of(u32::MAX), None);
    }
}
