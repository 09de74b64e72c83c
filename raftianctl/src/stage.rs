//! A lab that nobody else has, for a command that takes it down at its end: `demo`, `run`.
//!
//! Invariant: however the command ends, nothing of the lab is left: no process, no folder.

use std::fs::DirBuilder;
use std::io::Write as _;
use std::os::unix::fs::DirBuilderExt as _;
use std::time::{Duration, Instant};

use indicatif::ProgressBar;
use raftian_bench::lab::Lab;
use raftian_rpc::folder::LabFolder;
use rustix::process::{Pid, Signal, kill_process};

use crate::cli::Context;
use crate::cmd::stop;
use crate::connect::{is_held, read_daemon_file};
use crate::failure::Failure;
use crate::launch::{self, Found, Life};

/// How long the lab may take to stop.
const STOP_TIMEOUT: Duration = Duration::from_secs(15);

/// Does `work` on a lab without nodes that has just been made for it, and takes that down.
///
/// # Errors
/// Those of `work`, which matter more than the others: that there is no lab to be had, or that it does not stop.
pub(crate) async fn with_lab<T>(
    context: &Context,
    purpose: &str,
    spinner: &ProgressBar,
    work: impl AsyncFnOnce(Lab) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let stage = Stage::set(purpose)?;
    // Held to the end: should we be killed, the lab goes with us.
    let Found { daemon, lifeline: _lifeline, .. } =
        launch::find_or_start(&stage.lab, &stage.folder, Life::WithUs).await?;
    let done = work(Lab::at(daemon.address, daemon.secret.clone())?).await;
    spinner.set_message("stopping the lab");
    let stopped = stop::whole(context, &daemon, true, STOP_TIMEOUT).await;
    // What went wrong first is what matters.
    let done = done?;
    stopped.map(|_| done)
}

/// Where it plays. Dropping it takes down what is left of it.
struct Stage {
    lab: String,
    folder: LabFolder,
}

impl Stage {
    fn set(purpose: &str) -> Result<Stage, Failure> {
        let lab = format!("{purpose}-{:08x}", fastrand::u32(..));
        let path = std::env::temp_dir().join(format!("raftian-{lab}"));
        // Whoever else may write to the folder for temporary files must not have made ours.
        match DirBuilder::new().mode(0o700).create(&path) {
            Ok(()) => Ok(Stage { lab, folder: LabFolder::at(path) }),
            Err(error) => Err(Failure::failed(format!(
                "a folder for the lab cannot be made at {}: {error}; set TMPDIR to a folder of yours",
                path.display()
            ))),
        }
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        let path = self.folder.path();
        if !path.exists() {
            return;
        }
        if let Ok(Some(daemon)) = read_daemon_file(&self.folder) {
            end(daemon.pid, &self.folder);
        }
        if let Err(error) = std::fs::remove_dir_all(path) {
            let _ = writeln!(std::io::stderr(), "raftianctl: {} could not be removed: {error}", path.display());
        }
    }
}

/// Has a daemon stop its lab, and waits for that: this is where an error or a panic ends up, so nothing may be awaited.
fn end(pid: u32, folder: &LabFolder) {
    let Some(process) = i32::try_from(pid).ok().and_then(Pid::from_raw) else { return };
    let deadline = Instant::now() + STOP_TIMEOUT;
    for signal in [Signal::TERM, Signal::KILL] {
        // A process that is gone already needs no signal, and one that cannot be signalled is not ours.
        if !is_held(folder) || kill_process(process, signal).is_err() {
            return;
        }
        while is_held(folder) && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}
