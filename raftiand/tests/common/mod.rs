//! A daemon of its own for each test, in a folder of its own, on a port of its own.

use std::fs::{self, DirBuilder};
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use raftian_rpc::connect::{Http, http};
use raftian_rpc::folder::LabFolder;
use raftian_rpc::lab::{DaemonFile, StartRequest};
use raftian_rpc::secret::Secret;

/// A daemon that is ended with the test.
pub(crate) struct Daemon {
    /// Its process.
    pub(crate) child: Child,
    /// Where its lab lives.
    pub(crate) folder: LabFolder,
}

/// A new folder, for this test only.
pub(crate) fn scratch() -> PathBuf {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let name = format!("raftiand-test-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
    let path = std::env::temp_dir().join(name);
    DirBuilder::new().recursive(true).mode(0o700).create(&path).unwrap();
    path
}

/// An executable shell script that plays a node.
pub(crate) fn script(folder: &Path, text: &str) -> PathBuf {
    let path = folder.join("raftian-node");
    fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path
}

/// The daemon as a command.
pub(crate) fn raftiand(lab: &Path, node: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_raftiand"));
    command.args(["--lab", "test", "--folder"]).arg(lab).arg("--node").arg(node);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    command
}

/// A start of three nodes that may take two seconds.
pub(crate) fn three() -> StartRequest {
    StartRequest { nodes: Some(3), timeout_ms: 2_000, ..StartRequest::default() }
}

impl Daemon {
    /// Starts a daemon and waits until it listens.
    pub(crate) fn start(lab: &Path, node: &Path) -> Daemon {
        let child = raftiand(lab, node).spawn().unwrap();
        let daemon = Daemon { child, folder: LabFolder::at(lab) };
        let patience = Instant::now() + Duration::from_secs(10);
        while daemon.file().is_none_or(|file| file.pid != daemon.child.id()) {
            assert!(Instant::now() < patience, "the daemon does not listen");
            std::thread::sleep(Duration::from_millis(5));
        }
        daemon
    }

    /// What it says of itself in its folder.
    pub(crate) fn file(&self) -> Option<DaemonFile> {
        serde_json::from_slice(&fs::read(self.folder.daemon_json()).ok()?).ok()
    }

    /// A client that knows the secret.
    pub(crate) fn client(&self) -> Http {
        let secret = Secret::load(&self.folder.secret()).unwrap();
        http(self.file().unwrap().address, &secret, Duration::from_secs(20)).unwrap()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
