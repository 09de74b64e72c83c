//! Labs for measurements, started and stopped by spawning `raftianctl`.
//!
//! Invariant: a [`RunningLab`] is stopped and its folder removed, at the latest when it is dropped.

use std::path::PathBuf;
use std::process::{Output, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use raftian_rpc::folder::LabFolder;
use tokio::process::Command;

use crate::lab::Lab;

/// How labs are started.
#[derive(Clone, Debug)]
pub struct LabCommand {
    /// The `raftianctl` to spawn; its sister programs are found beside it.
    pub raftianctl: PathBuf,
    /// `RAFTIAN_HOME`: the folder of the labs.
    pub home: PathBuf,
    /// The lab's name.
    pub name: String,
}

/// A lab that runs until it is stopped.
#[derive(Debug)]
pub struct RunningLab {
    command: LabCommand,
    /// How to reach it.
    pub lab: Lab,
    /// How long the command took that started it, until it returned with a leader elected.
    pub started_in: Duration,
    stopped: bool,
}

impl LabCommand {
    /// Starts a lab with this many nodes and waits for a leader. The seed decides who times out first, and when.
    ///
    /// # Errors
    /// When the command fails, with what it said.
    pub async fn start(&self, nodes: u16, seed: u64) -> anyhow::Result<RunningLab> {
        let began = Instant::now();
        self.run(&["start", "-n", &nodes.to_string(), "--seed", &seed.to_string(), "-o", "json"]).await?;
        let started_in = began.elapsed();
        let lab = Lab::in_folder(&LabFolder::at(self.home.join(&self.name)))?;
        Ok(RunningLab { command: self.clone(), lab, started_in, stopped: false })
    }

    /// Runs one command on the lab, and returns how long it took.
    ///
    /// # Errors
    /// When it cannot be spawned or fails, with what it said.
    pub async fn run(&self, arguments: &[&str]) -> anyhow::Result<Duration> {
        let program = self.raftianctl.display();
        let began = Instant::now();
        let mut command = Command::new(&self.raftianctl);
        command.args(["--lab", &self.name]).args(arguments).env("RAFTIAN_HOME", &self.home).stdin(Stdio::null());
        let output = command.output().await.with_context(|| format!("cannot run {program}"))?;
        let took = began.elapsed();
        succeeded(&output).with_context(|| format!("`{program} {}`", arguments.join(" ")))?;
        Ok(took)
    }
}

impl RunningLab {
    /// Stops the lab and removes its folder.
    ///
    /// # Errors
    /// When the command fails, with what it said.
    pub async fn stop(mut self) -> anyhow::Result<()> {
        self.stopped = true;
        self.command.run(&["stop", "--purge"]).await.map(|_| ())
    }
}

impl Drop for RunningLab {
    fn drop(&mut self) {
        if self.stopped {
            return;
        }
        let LabCommand { raftianctl, home, name } = &self.command;
        let mut command = std::process::Command::new(raftianctl);
        command.args(["--lab", name, "stop", "--purge"]).env("RAFTIAN_HOME", home).stdin(Stdio::null());
        // A measurement has failed and its error is on the way up: there is nobody to tell of a second one.
        let _ = command.output();
    }
}

fn succeeded(output: &Output) -> anyhow::Result<()> {
    if output.status.success() {
        return Ok(());
    }
    bail!("{}: {}", output.status, String::from_utf8_lossy(&output.stderr).trim())
}
