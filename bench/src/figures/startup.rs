//! How long a person waits: for a cluster to come up, and for a status.

use super::{Figure, LabCommand, Target};

/// From nothing, not even a daemon, to five nodes with a leader: the whole of `raftianctl start -n 5`, each time in a
/// new lab with another seed: with the same one the same node would always be elected after the same time-out.
///
/// # Errors
/// When a lab does not come up or go down.
pub async fn startup(command: &LabCommand, trials: usize) -> anyhow::Result<Figure> {
    let mut samples = Vec::with_capacity(trials);
    for seed in 1..=trials {
        let running = command.start(5, seed as u64).await?;
        samples.push(running.started_in.as_secs_f64() * 1e3);
        running.stop().await?;
    }
    let title = "`raftianctl start -n 5` in a new lab, seeds 1 and on, until it returns with a leader";
    Ok(Figure::new("startup", title, "ms", samples, Some(Target::AtMost(1000.0))))
}

/// The whole of `raftianctl status -o json` on five idle nodes.
///
/// # Errors
/// When the lab does not come up or go down, or a status fails.
pub async fn status_latency(command: &LabCommand, trials: usize) -> anyhow::Result<Figure> {
    let running = command.start(5, 1).await?;
    let mut samples = Vec::with_capacity(trials);
    for _ in 0..trials {
        samples.push(command.run(&["status", "-o", "json"]).await?.as_secs_f64() * 1e3);
    }
    running.stop().await?;
    let title = "`raftianctl status -o json` on five idle nodes";
    Ok(Figure::new("status_latency", title, "ms", samples, Some(Target::AtMost(50.0))))
}
