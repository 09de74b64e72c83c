//! What a cluster costs that has nothing to do.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use raftian_rpc::condition::Condition;

use super::{Figure, LabCommand, Target};

/// Between the start of the lab and the first window, for what starting leaves to be done.
const SETTLE: Duration = Duration::from_secs(2);

/// The CPU time of five idle nodes and their daemon over several windows, and the memory of each node at the end.
///
/// # Errors
/// When the lab does not come up or go down, or its processes cannot be looked at (there is no `/proc`).
pub async fn idle(command: &LabCommand, windows: usize, window: Duration) -> anyhow::Result<[Figure; 2]> {
    let running = command.start(5, 1).await?;
    running.lab.wait(Condition::Stable, Duration::from_secs(10)).await?;
    tokio::time::sleep(SETTLE).await;
    let status = running.lab.status().await?;
    let nodes: Vec<u32> = status.nodes.iter().filter_map(|report| report.usage).map(|usage| usage.pid).collect();
    let all: Vec<u32> = nodes.iter().copied().chain([status.daemon.pid]).collect();

    let mut percents = Vec::with_capacity(windows);
    for _ in 0..windows {
        let (before_ns, began) = (cpu_ns(&all)?, Instant::now());
        tokio::time::sleep(window).await;
        let used_ns = cpu_ns(&all)?.saturating_sub(before_ns);
        percents.push(used_ns as f64 / began.elapsed().as_nanos() as f64 * 100.0);
    }
    let megabytes = nodes.iter().map(|pid| resident_mb(*pid)).collect::<anyhow::Result<_>>()?;
    running.stop().await?;
    let seconds = window.as_secs_f64();
    let cpu_title = format!("CPU time of five idle nodes and the daemon, windows of {seconds} s");
    Ok([
        Figure::new("idle_cpu", &cpu_title, "% of one core", percents, Some(Target::AtMost(10.0))),
        Figure::new(
            "idle_memory",
            "resident memory of an idle node, one sample a node",
            "MB",
            megabytes,
            Some(Target::AtMost(25.0)),
        ),
    ])
}

/// The CPU time of all threads of these processes, to the nanosecond. The daemon's own samples are up to a second old.
fn cpu_ns(pids: &[u32]) -> anyhow::Result<u64> {
    let mut total_ns = 0;
    for pid in pids {
        let tasks = Path::new("/proc").join(pid.to_string()).join("task");
        let threads = fs::read_dir(&tasks).with_context(|| format!("cannot read {}", tasks.display()))?;
        for thread in threads {
            // A thread that ends between the listing and the reading used next to nothing.
            let Ok(text) = fs::read_to_string(thread?.path().join("schedstat")) else { continue };
            let first = text.split(' ').next().and_then(|word| word.parse::<u64>().ok());
            total_ns += first.with_context(|| format!("the schedstat of process {pid} is not understood"))?;
        }
    }
    Ok(total_ns)
}

fn resident_mb(pid: u32) -> anyhow::Result<f64> {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).with_context(|| format!("process {pid} is gone"))?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS in /proc/PID/status")?;
    let kib: f64 = line.trim().trim_end_matches("kB").trim().parse()?;
    Ok(kib * 1024.0 / 1e6)
}
