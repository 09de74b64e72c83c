//! Starting the daemon of a lab, where `start` and `demo` do not find one.
//!
//! Invariants: the daemon outlives this process (it takes a session of its own, so that a Ctrl-C here is not meant for
//! it); whatever two starts at once do, both end up with the one daemon that won; a daemon that dies before it listens
//! is noticed when it dies, and of a lab that was new nothing is left then.

use std::ffi::OsStr;
use std::fs::{self, DirBuilder, File};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use raftian_rpc::folder::LabFolder;
use raftian_rpc::{VERSION, files, process};
use tokio::process::{Child, ChildStdin, Command};
use tokio::time::{Instant, sleep, timeout_at};

use crate::connect::Daemon;
use crate::failure::{Failure, Kind};

/// How long a daemon may take to listen.
const PATIENCE: Duration = Duration::from_secs(15);

/// How often we look whether it does. It says so by a file, so this is the one place that has to look again.
const LOOK: Duration = Duration::from_millis(5);

/// After another daemon has won the race, how long we look for it before we try again: it may have been one that
/// was leaving.
const RIVAL_PATIENCE: Duration = Duration::from_millis(500);

/// The exit code of a daemon that found another one in its lab.
const RIVAL: i32 = 3;

/// As much of the log of a daemon that died as is shown.
const TAIL_BYTES: usize = 2000;

/// A daemon that answers, and whether it had to be started.
#[derive(Debug)]
pub(crate) struct Found {
    /// The daemon.
    pub(crate) daemon: Daemon,
    /// Whether it was started just now.
    pub(crate) is_new: bool,
    /// The daemon of a lab that must not outlive us ends when this is dropped.
    pub(crate) lifeline: Option<ChildStdin>,
}

/// How long a daemon is to live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Life {
    /// Until it is stopped.
    OfItsOwn,
    /// No longer than we do, with everything in its folder.
    WithUs,
}

/// The daemon of the lab in `folder`; started, if there is none.
///
/// # Errors
/// When the one there is cannot be used, or none can be started: why, and what to do.
pub(crate) async fn find_or_start(lab: &str, folder: &LabFolder, life: Life) -> Result<Found, Failure> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(daemon) = find(lab, folder).await? {
            return Ok(Found { daemon, is_new: false, lifeline: None });
        }
        let made_folder = !folder.path().exists();
        let found = match Launch::begin(lab, folder, life) {
            Ok(mut launch) => launch.wait(lab, folder, deadline).await,
            Err(failure) => Err(failure),
        };
        match found {
            Ok(Some(found)) => return Ok(found),
            Ok(None) => {}
            Err(failure) => {
                if made_folder {
                    // Nothing came of it, so nothing is left of it. Why it failed matters more than whether this did.
                    let _ = purge(lab, folder).await;
                }
                return Err(failure);
            }
        }
        if let Some(daemon) = look(lab, folder, deadline.min(Instant::now() + RIVAL_PATIENCE)).await? {
            return Ok(Found { daemon, is_new: false, lifeline: None });
        }
        if Instant::now() >= deadline {
            return Err(held(lab, folder));
        }
    }
}

/// Removes a lab that has no daemon, folder and all; `None` if one has taken charge of it meanwhile. Only `raftiand`
/// knows what in the folder is the lab's, and which processes a crashed daemon left behind.
///
/// # Errors
/// What cannot be removed, and why.
pub(crate) async fn purge(lab: &str, folder: &LabFolder) -> Result<Option<PathBuf>, Failure> {
    let path = fs::canonicalize(folder.path()).unwrap_or_else(|_| folder.path().to_owned());
    let mut command = raftiand(lab, folder)?;
    command.arg("--purge").stdin(Stdio::null()).stdout(Stdio::null()).kill_on_drop(true);
    let unwatched = |error: &dyn std::fmt::Display| {
        Failure::failed(format!("raftiand, which should remove {}, cannot be run: {error}", path.display()))
    };
    let ended = tokio::time::timeout(PATIENCE, command.output()).await.map_err(|_| unwatched(&"it does not end"))?;
    let ended = ended.map_err(|error| unwatched(&error))?;
    match ended.status.code() {
        Some(0) => Ok(Some(path)),
        Some(RIVAL) => Ok(None),
        _ => {
            let words = String::from_utf8_lossy(&ended.stderr);
            Err(Failure::failed(format!("{} is not removed: {}", path.display(), last_lines(&words))))
        }
    }
}

/// The failure of a command for a lab whose daemon does not answer.
pub(crate) fn held(lab: &str, folder: &LabFolder) -> Failure {
    let log = folder.daemon_log();
    let why =
        format!("another daemon holds lab `{lab}` but does not answer; see {} and `raftianctl doctor`", log.display());
    Failure::new(Kind::TimedOut, why)
}

/// The daemon of a lab as a command.
fn raftiand(lab: &str, folder: &LabFolder) -> Result<Command, Failure> {
    let program = sibling("raftiand")?;
    if !program.is_file() {
        return Err(Failure::failed(format!(
            "there is no raftiand at {}; build all programs with `cargo build --release`, or set RAFTIAN_BIN_DIR to the \
             folder that has them",
            program.display()
        )));
    }
    let arguments: [&OsStr; 4] = ["--lab".as_ref(), lab.as_ref(), "--folder".as_ref(), folder.path().as_ref()];
    let mut command = Command::new(program);
    command.args(arguments);
    Ok(command)
}

/// Where a program of raftian should be: in `$RAFTIAN_BIN_DIR`, else beside this one.
///
/// # Errors
/// When the system does not tell where this program is.
pub(crate) fn sibling(name: &str) -> Result<PathBuf, Failure> {
    if let Some(folder) = std::env::var_os("RAFTIAN_BIN_DIR").filter(|value| !value.is_empty()) {
        return Ok(PathBuf::from(folder).join(name));
    }
    let own = std::env::current_exe().map_err(|error| {
        Failure::failed(format!("the system does not tell where this program is ({error}); set RAFTIAN_BIN_DIR"))
    })?;
    Ok(own.with_file_name(name))
}

/// One attempt to start a daemon.
struct Launch {
    program: PathBuf,
    log: PathBuf,
    /// Where the log of this attempt begins.
    log_start: u64,
    child: Child,
    /// Kept apart from the child: waiting for that would close it.
    lifeline: Option<ChildStdin>,
}

impl Launch {
    fn begin(lab: &str, folder: &LabFolder, life: Life) -> Result<Launch, Failure> {
        let mut command = raftiand(lab, folder)?;
        let program = PathBuf::from(command.as_std().get_program());
        let made = process::privately(|| DirBuilder::new().recursive(true).mode(0o700).create(folder.path()));
        made.map_err(|error| {
            Failure::failed(format!(
                "the lab's folder {} cannot be made: {error}; give access, or set RAFTIAN_HOME to a folder of yours",
                folder.path().display()
            ))
        })?;
        let log = folder.daemon_log();
        let file = open_log(&log).map_err(|error| {
            Failure::failed(format!(
                "{} cannot be written: {error}; give access, make room, or set RAFTIAN_HOME to another folder",
                log.display()
            ))
        })?;
        let unreadable = |error| Failure::failed(format!("{} cannot be used: {error}", log.display()));
        let log_start = file.metadata().map_err(unreadable)?.len();
        let errors = file.try_clone().map_err(unreadable)?;
        command.stdout(file).stderr(errors);
        match life {
            Life::OfItsOwn => command.stdin(Stdio::null()),
            Life::WithUs => command.stdin(Stdio::piped()).arg("--until-stdin-ends"),
        };
        let child = command.spawn();
        match child {
            Ok(mut child) => {
                let lifeline = child.stdin.take();
                Ok(Launch { program, log, log_start, child, lifeline })
            }
            Err(error) => Err(Failure::failed(format!(
                "{} cannot be run: {error}; build it again with `cargo build --release`",
                program.display()
            ))),
        }
    }

    /// The daemon, once one listens; `None` if ours found another one in its lab.
    async fn wait(&mut self, lab: &str, folder: &LabFolder, deadline: Instant) -> Result<Option<Found>, Failure> {
        loop {
            if let Some(daemon) = find(lab, folder).await? {
                // It may be a rival's, while ours has yet to notice that.
                let is_new = self.child.id() == Some(daemon.pid);
                return Ok(Some(Found { daemon, is_new, lifeline: self.lifeline.take() }));
            }
            tokio::select! {
                ended = self.child.wait() => match ended {
                    Ok(status) if status.code() == Some(RIVAL) => return Ok(None),
                    Ok(status) => return Err(self.died(status)),
                    Err(error) => return Err(Failure::failed(format!("the daemon cannot be watched: {error}"))),
                },
                () = sleep(LOOK) => {}
            }
            if Instant::now() >= deadline {
                // Whatever it is, it was started for nothing.
                let _ = self.child.start_kill();
                return Err(Failure::new(
                    Kind::TimedOut,
                    format!(
                        "{} did not listen within {} s and was ended; is it the raftiand of raftian {VERSION}? see {}",
                        self.program.display(),
                        PATIENCE.as_secs(),
                        self.log.display()
                    ),
                ));
            }
        }
    }

    fn died(&self, status: ExitStatus) -> Failure {
        let words = read_from(&self.log, self.log_start).unwrap_or_default();
        let ended = format!("{} ended before it listened ({status})", self.program.display());
        // A daemon without room for its files has none for the reason either.
        let mute = open_log(&self.log).and_then(|mut log| log.write_all(b"\n")).err().map(|error| {
            let log = self.log.display();
            format!("{log} cannot be written: {error}; make room, or set RAFTIAN_HOME to another folder")
        });
        Failure::failed(match (last_lines(&words), mute) {
            ("", Some(mute)) => format!("{ended} without a word, and {mute}"),
            ("", None) => format!(
                "{ended} without a word; is it the raftiand of raftian {VERSION}? build it again with `cargo build \
                 --release`"
            ),
            (tail, Some(mute)) => format!("{ended}; {mute}; the last it could say was:\n{tail}"),
            (tail, None) => format!("{ended}; it said:\n{tail}"),
        })
    }
}

async fn find(lab: &str, folder: &LabFolder) -> Result<Option<Daemon>, Failure> {
    match Daemon::find(lab, folder).await {
        Ok(daemon) => Ok(Some(daemon)),
        Err(failure) if failure.kind() == Kind::NoDaemon => Ok(None),
        Err(failure) => Err(failure),
    }
}

async fn look(lab: &str, folder: &LabFolder, until: Instant) -> Result<Option<Daemon>, Failure> {
    let looking = async {
        loop {
            if let Some(daemon) = find(lab, folder).await? {
                return Ok(Some(daemon));
            }
            sleep(LOOK).await;
        }
    };
    timeout_at(until, looking).await.unwrap_or(Ok(None))
}

fn open_log(path: &Path) -> io::Result<File> {
    process::privately(|| files::append(path))
}

fn read_from(path: &Path, start: u64) -> io::Result<String> {
    let mut file = files::open(path)?;
    file.seek(SeekFrom::Start(start))?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// The end of a text, in whole lines.
fn last_lines(text: &str) -> &str {
    let text = text.trim();
    let mut start = text.len().saturating_sub(TAIL_BYTES);
    while !text.is_char_boundary(start) {
        start += 1;
    }
    match (start, text[start..].find('\n')) {
        (0, _) | (_, None) => &text[start..],
        (_, Some(end)) => &text[start + end + 1..],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tail_of_a_log_is_whole_lines() {
        assert_eq!(last_lines("  one\ntwo\n"), "one\ntwo");
        let long = format!("{}\n{}\nlast", "é".repeat(TAIL_BYTES), "x".repeat(TAIL_BYTES / 2));
        assert_eq!(last_lines(&long), format!("{}\nlast", "x".repeat(TAIL_BYTES / 2)));
        assert_eq!(last_lines(" \n"), "");
    }
}
