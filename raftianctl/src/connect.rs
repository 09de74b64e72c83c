//! Finding the daemon of a lab, and calling it.
//!
//! Invariant: a [`Daemon`] has answered `lab.hello` with this version, this lab, this folder and the process that
//! `daemon.json` names. What a daemon left behind when it died counts as no daemon.
//!
//! Deliberately absent: starting one; see `launch.rs`.

use std::fs::TryLockError;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;
use std::{fs, io};

use jsonrpsee::core::ClientError;
use jsonrpsee::core::client::Client;
use raftian_rpc::connect::{self, Http};
use raftian_rpc::error::LabError;
use raftian_rpc::folder::LabFolder;
use raftian_rpc::lab::{DaemonFile, Hello, LabClient as _};
use raftian_rpc::secret::Secret;
use raftian_rpc::{VERSION, files};

use crate::failure::{Failure, Kind};

/// How long a call may take that has nothing to wait for.
pub(crate) const QUICK: Duration = Duration::from_secs(10);

/// What a call that waits in the daemon is given on top, so that the daemon's own words about the time-out arrive.
const MARGIN: Duration = Duration::from_secs(5);

/// A daemon that answers.
#[derive(Clone, Debug)]
pub(crate) struct Daemon {
    /// The lab's name.
    pub(crate) lab: String,
    /// The lab's folder.
    pub(crate) folder: LabFolder,
    /// Where the daemon listens.
    pub(crate) address: SocketAddr,
    /// The daemon's process.
    pub(crate) pid: u32,
    /// The lab's secret.
    pub(crate) secret: Secret,
}

impl Daemon {
    /// The daemon of the lab in `folder`.
    ///
    /// # Errors
    /// [`Kind::NoDaemon`] when there is none; else when it is another version's, does not accept the lab's secret, or
    /// does not answer.
    pub(crate) async fn find(lab: &str, folder: &LabFolder) -> Result<Daemon, Failure> {
        let none = || no_daemon(lab, folder);
        // A file that was left behind may name a process and a port that are somebody else's by now, who must not be given
        // the secret.
        let file = read_daemon_file(folder)?.filter(|file| is_alive(file.pid) && is_held(folder)).ok_or_else(none)?;
        if file.version != VERSION {
            return Err(other_version(lab, &file.version, file.pid));
        }
        let secret = match Secret::load(&folder.secret()) {
            Ok(secret) => secret,
            // The folder is on its way out, together with its daemon.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(none()),
            Err(error) => {
                let path = folder.secret();
                return Err(Failure::failed(format!("the lab's secret {} cannot be read: {error}", path.display())));
            }
        };
        let daemon =
            Daemon { lab: lab.to_owned(), folder: folder.clone(), address: file.address, pid: file.pid, secret };
        let hello = match daemon.http(QUICK)?.hello().await {
            Ok(hello) => hello,
            Err(ClientError::Transport(error)) if !is_unauthorised(&error.to_string()) => return Err(none()),
            Err(error) => return Err(daemon.explain(&error, QUICK)),
        };
        daemon.recognise(&hello)?;
        Ok(daemon)
    }

    /// Calls the daemon, which may wait for `timeout` before it answers.
    ///
    /// # Errors
    /// The daemon's, or why it could not be asked.
    pub(crate) async fn wait<T>(
        &self,
        timeout: Duration,
        ask: impl AsyncFnOnce(Http) -> Result<T, ClientError>,
    ) -> Result<T, Failure> {
        let patience = timeout.saturating_add(MARGIN);
        ask(self.http(patience)?).await.map_err(|error| self.explain(&error, patience))
    }

    /// Calls the daemon for something that takes no waiting.
    ///
    /// # Errors
    /// The daemon's, or why it could not be asked.
    pub(crate) async fn ask<T>(&self, ask: impl AsyncFnOnce(Http) -> Result<T, ClientError>) -> Result<T, Failure> {
        ask(self.http(QUICK)?).await.map_err(|error| self.explain(&error, QUICK))
    }

    /// Connects for subscriptions.
    ///
    /// # Errors
    /// Why it did not work.
    pub(crate) async fn websocket(&self) -> Result<Client, Failure> {
        let client = connect::websocket(self.address, &self.secret, QUICK).await;
        client.map_err(|error| self.explain(&error, QUICK))
    }

    /// What a failed call means.
    pub(crate) fn explain(&self, error: &ClientError, patience: Duration) -> Failure {
        if let Some(error) = LabError::from_client(error) {
            return error.into();
        }
        let Daemon { lab, pid, .. } = self;
        let log = self.folder.daemon_log();
        match error {
            ClientError::RequestTimeout => Failure::new(
                Kind::TimedOut,
                format!(
                    "the daemon of lab `{lab}` (process {pid}) did not answer within {} s; it may be stopped or \
                     overloaded: see {}, or `raftianctl doctor`",
                    patience.as_secs(),
                    log.display()
                ),
            ),
            ClientError::Transport(cause) if is_unauthorised(&cause.to_string()) => Failure::failed(format!(
                "the daemon of lab `{lab}` (process {pid}) does not accept the secret in {}; if that file was changed, \
                 end the daemon with `kill {pid}` and run `raftianctl start`",
                self.folder.secret().display()
            )),
            ClientError::Transport(_) | ClientError::RestartNeeded(_) => Failure::new(
                Kind::NoDaemon,
                format!(
                    "the daemon of lab `{lab}` went away; its last words are in {}; bring the lab back with \
                     `raftianctl start`",
                    log.display()
                ),
            ),
            other => {
                Failure::failed(format!("the daemon of lab `{lab}` gave an answer that makes no sense here: {other}"))
            }
        }
    }

    fn http(&self, patience: Duration) -> Result<Http, Failure> {
        connect::http(self.address, &self.secret, patience).map_err(|error| self.explain(&error, patience))
    }

    fn recognise(&self, hello: &Hello) -> Result<(), Failure> {
        if hello.version != VERSION {
            return Err(other_version(&self.lab, &hello.version, hello.pid));
        }
        if hello.pid != self.pid || hello.lab != self.lab || !same_folder(&hello.folder, self.folder.path()) {
            return Err(Failure::failed(format!(
                "{} names process {} at {}, but there lab `{}` of {} answers (process {}); if the folder was moved or \
                 copied, remove that file and run `raftianctl start`",
                self.folder.daemon_json().display(),
                self.pid,
                self.address,
                hello.lab,
                hello.folder.display(),
                hello.pid
            )));
        }
        Ok(())
    }
}

/// The failure of a command for a lab that has no daemon: there is no such lab, it is stopped, or it lost its daemon.
pub(crate) fn no_daemon(lab: &str, folder: &LabFolder) -> Failure {
    let start = match lab {
        crate::cli::DEFAULT_LAB => "raftianctl start".to_owned(),
        other => format!("raftianctl --lab {other} start"),
    };
    let lost = read_daemon_file(folder).ok().flatten().filter(|file| !is_alive(file.pid));
    let why = match (folder.lab_json().exists(), lost) {
        (true, Some(file)) => {
            let pid = file.pid;
            format!("lab `{lab}` lost its daemon, process {pid}, without a stop); `{start}` recovers it with its data")
        }
        (true, None) => format!("lab `{lab}` is stopped); `{start}` brings it back with its data"),
        (false, _) => format!("looked for lab `{lab}`); start one with `{start}`"),
    };
    Failure::new(Kind::NoDaemon, format!("no lab is running ({why}"))
}

/// What the daemon of a folder wrote about itself; `None` if there is no such file.
///
/// # Errors
/// When the file cannot be read or understood.
pub(crate) fn read_daemon_file(folder: &LabFolder) -> Result<Option<DaemonFile>, Failure> {
    let path = folder.daemon_json();
    let text = match files::read(&path) {
        Ok(text) => text,
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(None);
        }
        Err(error) => return Err(Failure::failed(format!("{} cannot be read: {error}", path.display()))),
    };
    serde_json::from_slice(&text).map(Some).map_err(|error| {
        Failure::failed(format!("{} is damaged ({error}); remove it and run `raftianctl start`", path.display()))
    })
}

/// Whether there is such a process.
pub(crate) fn is_alive(pid: u32) -> bool {
    // `pid (name) state …`, where the name may hold anything. A zombie has ended; its parent has yet to notice.
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = stat.rsplit_once(')').and_then(|(_, rest)| rest.split_whitespace().next());
    state.is_some_and(|state| !matches!(state, "Z" | "X"))
}

/// Whether a daemon holds the folder, listening or not. Unlike a process number, a lock cannot outlive its owner.
pub(crate) fn is_held(folder: &LabFolder) -> bool {
    let lock = files::open(&folder.daemon_lock());
    lock.is_ok_and(|file| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)))
}

fn other_version(lab: &str, version: &str, pid: u32) -> Failure {
    Failure::failed(format!(
        "lab `{lab}` is run by raftiand {version} (process {pid}), and this is raftianctl {VERSION}; stop it with its \
         own raftianctl or by `kill {pid}`, then run `raftianctl start`"
    ))
}

/// jsonrpsee's clients name the HTTP status they were refused with in their text only.
fn is_unauthorised(error: &str) -> bool {
    error.contains("`401`") || error.contains("status code: 401")
}

fn same_folder(one: &Path, other: &Path) -> bool {
    one == other || matches!((one.canonicalize(), other.canonicalize()), (Ok(one), Ok(other)) if one == other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_lives_and_none_has_the_largest_number() {
        assert!(is_alive(std::process::id()));
        assert!(!is_alive(i32::MAX.unsigned_abs()));
        assert!(!is_alive(0) && !is_alive(u32::MAX));
    }

    #[test]
    fn whoever_finds_no_daemon_is_told_how_to_start_it() {
        let none = LabFolder::at("/nonexistent");
        let line = |lab| no_daemon(lab, &none).line(false).unwrap();
        assert_eq!(
            line("default"),
            "raftianctl: no lab is running (looked for lab `default`); start one with `raftianctl start`"
        );
        assert!(line("a").ends_with("`raftianctl --lab a start`"));
        assert_eq!(no_daemon("a", &none).exit_code(), 4);
    }
}
