//! Starting the daemon of a lab, where `start` and `demo` do not find one.
//!
//! Invariants: the daemon outlives this process (it takes a session of its own, so that a Ctrl-C here is not meant for
//! it); whatever two starts at once do, both end up with the one daemon that won; a daemon that dies before it listens
//! is noticed when it dies.

use std::ffi::OsStr;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use raftian_rpc::VERSION;
use raftian_rpc::folder::LabFolder;
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
        if let Some(found) = Launch::begin(lab, folder, life)?.wait(lab, folder, deadline).await? {
            return Ok(found);
        }
        if let Some(daemon) = look(lab, folder, deadline.min(Instant::now() + RIVAL_PATIENCE)).await? {
            return Ok(Found { daemon, is_new: false, lifeline: None });
        }
        if Instant::now() >= deadline {
            return Err(Failure::new(
                Kind::TimedOut,
                format!(
                    "another daemon holds lab `{lab}` but does not answer; see {} and `raftianctl doctor`",
                    folder.daemon_log().display()
                ),
            ));
        }
    }
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
        let program = sibling("raftiand")?;
        if !program.is_file() {
            return Err(Failure::failed(format!(
                "there is no raftiand at {}; build all programs with `cargo build --release`, or set RAFTIAN_BIN_DIR \
                 to the folder that has them",
                program.display()
            )));
        }
        DirBuilder::new().recursive(true).mode(0o700).create(folder.path()).map_err(|error| {
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
        let arguments: [&OsStr; 4] = ["--lab".as_ref(), lab.as_ref(), "--folder".as_ref(), folder.path().as_ref()];
        let mut command = Command::new(&program);
        command.args(arguments).stdout(file).stderr(errors);
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
        let program = self.program.display();
        match last_lines(&words) {
            "" => Failure::failed(format!(
                "{program} ended before it listened ({status}) without a word; is it the raftiand of raftian \
                 {VERSION}? build it again with `cargo build --release`"
            )),
            tail => Failure::failed(format!("{program} ended before it listened ({status}); it said:\n{tail}")),
        }
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
    OpenOptions::new().create(true).append(true).mode(0o600).open(path)
}

fn read_from(path: &Path, start: u64) -> io::Result<String> {
    let mut file = fs::File::open(path)?;
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
