//! Where a lab lives: one folder, and the names in it.
//!
//! Deliberately absent: reading and writing; the daemon owns the folder, others only look for it.

use std::env;
use std::path::{Path, PathBuf};

/// The folder of the runs of all labs, beside theirs: so no lab is called like this.
pub const RUNS: &str = "runs";

/// The folder of one lab.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LabFolder {
    path: PathBuf,
}

impl LabFolder {
    /// The folder of the lab `name` under `$RAFTIAN_HOME`, else `$XDG_STATE_HOME/raftian`, else
    /// `~/.local/state/raftian`.
    ///
    /// # Errors
    /// A sentence, when the name is not 1 to 32 of `a-z A-Z 0-9 - _`, or no home folder is known.
    pub fn of(name: &str) -> Result<LabFolder, String> {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
        if name.is_empty() || name.len() > 32 || !name.bytes().all(allowed) {
            return Err(format!("`{name}` cannot name a lab; use 1 to 32 letters, digits, - and _"));
        }
        if name == RUNS {
            return Err(format!("`{name}` is where the runs of all labs are kept; choose another name for the lab"));
        }
        Ok(LabFolder { path: home()?.join(name) })
    }

    /// The lab that lives in `path`.
    pub fn at(path: impl Into<PathBuf>) -> LabFolder {
        LabFolder { path: path.into() }
    }

    /// The folder itself.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What the lab should be: its desired state.
    pub fn lab_json(&self) -> PathBuf {
        self.path.join("lab.json")
    }

    /// What is wrong with it: the faults in force.
    pub fn faults(&self) -> PathBuf {
        self.path.join("faults.json")
    }

    /// Where the daemon listens ([`DaemonFile`](crate::lab::DaemonFile)).
    pub fn daemon_json(&self) -> PathBuf {
        self.path.join("daemon.json")
    }

    /// Locked by the daemon for as long as it lives.
    pub fn daemon_lock(&self) -> PathBuf {
        self.path.join("daemon.lock")
    }

    /// The daemon's own log, for people.
    pub fn daemon_log(&self) -> PathBuf {
        self.path.join("daemon.log")
    }

    /// The lab's [`Secret`](crate::secret::Secret).
    pub fn secret(&self) -> PathBuf {
        self.path.join("secret")
    }

    /// The journal.
    pub fn events(&self) -> PathBuf {
        self.path.join("events.jsonl")
    }

    /// The folder of one node: `wal/`, `trace.jsonl`, `stderr.log`.
    pub fn node(&self, id: crate::NodeId) -> PathBuf {
        self.path.join("nodes").join(id.to_string())
    }

    /// The nodes that have a folder; none where that cannot be read.
    pub fn nodes(&self) -> Vec<crate::NodeId> {
        let entries = std::fs::read_dir(self.path.join("nodes")).into_iter().flatten().flatten();
        entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
    }
}

/// Where the folders of all labs are.
///
/// # Errors
/// A sentence, when no home folder is known.
pub fn home() -> Result<PathBuf, String> {
    let set = |name| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    set("RAFTIAN_HOME")
        .or_else(|| set("XDG_STATE_HOME").map(|state| state.join("raftian")))
        .or_else(|| set("HOME").map(|home| home.join(".local/state/raftian")))
        .ok_or_else(|| "no folder for labs is known; set RAFTIAN_HOME".to_owned())
}
