//! Scenarios for the page: played in the simulator, by a process of its own.
//!
//! Invariant: one is played at a time, for a bounded time, and what it says is bounded. A name is a name: no file, and no
//! option.
//!
//! Deliberately absent: the simulator. It may burn a core, and the daemon has nodes to look after; so the program that people
//! play scenarios with, which lies beside the daemon's, does it.

use std::process::Stdio;
use std::time::Duration;

use raftian_rpc::error::LabError;
use serde_json::value::RawValue;
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::Command;
use tokio::sync::Mutex;

/// The program.
const PROGRAM: &str = "raftianctl";

/// How long a scenario may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// The most bytes it may say.
const MAX_SAID: u64 = 8 << 20;

/// The longest name, in characters.
const MAX_NAME: usize = 64;

/// Who plays.
#[derive(Debug, Default)]
pub(super) struct Player {
    turn: Mutex<()>,
}

impl Player {
    /// The scenarios there are, as `raftianctl run --list -o json` has them.
    ///
    /// # Errors
    /// When the program is not there, or fails.
    pub(super) async fn list(&self) -> Result<Box<RawValue>, LabError> {
        self.ask(&["run", "--list"]).await
    }

    /// One of them, played: each line, and what the cluster is like after it.
    ///
    /// # Errors
    /// Usage when it cannot be a name; when the program is not there, knows of none, or takes too long.
    pub(super) async fn play(&self, name: &str) -> Result<Box<RawValue>, LabError> {
        let is_of_name = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        if name.is_empty() || name.len() > MAX_NAME || !name.bytes().all(is_of_name) {
            return Err(LabError::usage("that is not the name of a scenario that comes with raftian"));
        }
        self.ask(&["run", name, "--logs", "--no-keep"]).await
    }

    async fn ask(&self, words: &[&str]) -> Result<Box<RawValue>, LabError> {
        let program = std::env::current_exe().map_err(|error| LabError::failed(error.to_string()))?;
        let program = program.with_file_name(PROGRAM);
        let _turn = self.turn.lock().await;
        let mut command = Command::new(&program);
        // In a folder where a file of that name is no scenario of somebody's.
        command.args(words).args(["--output", "json", "--quiet"]).current_dir("/").kill_on_drop(true);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(|error| {
            LabError::failed(format!("{} plays scenarios, and cannot be started: {error}", program.display()))
        })?;
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let heard = async { tokio::join!(read(stdout), read(stderr), child.wait()) };
        let (said, complained, _) = tokio::time::timeout(PATIENCE, heard)
            .await
            .map_err(|_| LabError::timed_out(format!("it was not played within {} s", PATIENCE.as_secs())))?;
        // A scenario that does not hold ends with an exit code, and is told all the same.
        serde_json::from_slice(&said).map_err(|_| {
            let why = String::from_utf8_lossy(&complained);
            LabError::failed(format!("it cannot be played: {}", why.lines().next().unwrap_or("nothing was said")))
        })
    }
}

async fn read(pipe: Option<impl AsyncRead + Unpin>) -> Vec<u8> {
    let mut said = Vec::new();
    if let Some(pipe) = pipe {
        // What was read before an error is told; it is no JSON then.
        let _ = pipe.take(MAX_SAID).read_to_end(&mut said).await;
    }
    said
}
