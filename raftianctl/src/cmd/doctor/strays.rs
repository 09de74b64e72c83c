//! The daemons and nodes of this user, and which of them belong to no lab.
//!
//! A daemon is lost when the lock file that it holds has been removed, with the rest of its folder. A node belongs to the
//! process that started it, or to its other half, which that process started; it is an orphan when init has taken it over.
//!
//! Invariant: a process is ended only if it still is the one that was found: held by a descriptor, with the same name and
//! start time. The child half of a node is never ended by itself.
//!
//! Deliberately absent: processes of other users, and nodes that a program other than ours has started; those are named.

use std::fmt;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::Duration;

use rustix::process::{Pid, PidfdFlags, Signal, geteuid, pidfd_open, pidfd_send_signal};
use tokio::time::{Instant, sleep};

/// What the kernel calls our programs.
const DAEMON: &str = "raftiand";
const NODE: &str = "raftian-node";
const CLI: &str = "raftianctl";

/// Processes that take over those whose parent has ended, beside number 1.
const INITS: [&str; 4] = ["systemd", "init", "tini", "docker-init"];

/// How long the kernel may take to end a process that was killed.
const PATIENCE: Duration = Duration::from_secs(5);

/// A process as the kernel describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Process {
    pid: u32,
    name: String,
    parent: u32,
    start_ticks: u64,
}

/// What a process is that belongs to no lab.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    /// A daemon whose lab's folder has been removed.
    Lost,
    /// A node whose parent has ended.
    Orphan,
    /// A node that this program has started.
    Foreign(String),
}

/// A process that belongs to no lab.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stray {
    process: Process,
    kind: Kind,
}

/// Everything of ours that runs.
#[derive(Debug, Default)]
pub(super) struct Running {
    /// How many daemons.
    pub(super) daemons: usize,
    /// How many processes of nodes.
    pub(super) nodes: usize,
    /// Those that belong to no lab.
    pub(super) strays: Vec<Stray>,
}

impl Running {
    /// Looks at all processes of this user.
    ///
    /// # Errors
    /// When the system does not list processes.
    pub(super) fn now() -> io::Result<Running> {
        let own = geteuid().as_raw();
        let numbers = fs::read_dir("/proc")?.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
        let is_own = |pid: &u32| fs::metadata(format!("/proc/{pid}")).is_ok_and(|metadata| metadata.uid() == own);
        let mut running = Running::default();
        for process in numbers.filter(is_own).filter_map(Process::look) {
            let kind = match process.name.as_str() {
                DAEMON => {
                    running.daemons += 1;
                    has_lost_its_folder(process.pid).then_some(Kind::Lost)
                }
                NODE => {
                    running.nodes += 1;
                    kind_of_node(&process, Process::look)
                }
                _ => continue,
            };
            running.strays.extend(kind.map(|kind| Stray { process, kind }));
        }
        Ok(running)
    }
}

impl Stray {
    /// Whether it is of no use to any program, so that it may be ended.
    pub(super) fn may_be_ended(&self) -> bool {
        !matches!(self.kind, Kind::Foreign(_))
    }

    /// Ends it, and a daemon's nodes with it: the kernel kills them with their parent.
    ///
    /// # Errors
    /// When that is not allowed, or it does not end.
    pub(super) async fn end(&self) -> io::Result<()> {
        let pid = i32::try_from(self.process.pid).ok().and_then(Pid::from_raw).ok_or(io::ErrorKind::NotFound)?;
        let held = match pidfd_open(pid, PidfdFlags::empty()) {
            Err(rustix::io::Errno::SRCH) => return Ok(()),
            held => held?,
        };
        if Process::look(self.process.pid).as_ref() != Some(&self.process) {
            return Ok(());
        }
        pidfd_send_signal(&held, Signal::KILL)?;
        let deadline = Instant::now() + PATIENCE;
        while Process::look(self.process.pid).as_ref() == Some(&self.process) {
            if Instant::now() > deadline {
                return Err(io::Error::new(io::ErrorKind::TimedOut, "it was killed and is still there"));
            }
            sleep(Duration::from_millis(5)).await;
        }
        Ok(())
    }
}

impl fmt::Display for Stray {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Process { pid, name, .. } = &self.process;
        match &self.kind {
            Kind::Lost => write!(f, "{name} {pid} (its lab's folder is gone)"),
            Kind::Orphan => write!(f, "{name} {pid} (its parent has ended)"),
            Kind::Foreign(parent) => write!(f, "{name} {pid} (started by {parent})"),
        }
    }
}

impl Process {
    /// A process that has not ended.
    fn look(pid: u32) -> Option<Process> {
        Process::parse(pid, &fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
    }

    /// `pid (name) state parent …`, where the name may hold anything, and field 22 is the start time.
    fn parse(pid: u32, stat: &str) -> Option<Process> {
        let (_, rest) = stat.split_once('(')?;
        let (name, rest) = rest.rsplit_once(") ")?;
        let fields: Vec<&str> = rest.split(' ').collect();
        let has_ended = matches!(*fields.first()?, "Z" | "X");
        let (parent, start_ticks) = (fields.get(1)?.parse().ok()?, fields.get(22 - 3)?.parse().ok()?);
        (!has_ended).then(|| Process { pid, name: name.to_owned(), parent, start_ticks })
    }
}

/// What kind of stray a node is; `None` if it belongs to a daemon or a command of ours. A node whose parent is a node is
/// its other half, so its parent decides.
fn kind_of_node(node: &Process, look: impl Fn(u32) -> Option<Process>) -> Option<Kind> {
    let Some(parent) = look(node.parent) else { return Some(Kind::Orphan) };
    match parent.name.as_str() {
        DAEMON | CLI | NODE => None,
        name if parent.pid == 1 || INITS.contains(&name) => Some(Kind::Orphan),
        name => Some(Kind::Foreign(format!("{name} {}", parent.pid))),
    }
}

/// Whether the lock file that a daemon holds has been removed; the kernel marks such names.
fn has_lost_its_folder(pid: u32) -> bool {
    let descriptors = fs::read_dir(Path::new("/proc").join(pid.to_string()).join("fd"));
    let names = descriptors.into_iter().flatten().filter_map(|entry| fs::read_link(entry.ok()?.path()).ok());
    names
        .filter_map(|name| name.into_os_string().into_string().ok())
        .any(|name| name.ends_with("/daemon.lock (deleted)"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(pid: u32, name: &str, parent: u32) -> Process {
        Process { pid, name: name.to_owned(), parent, start_ticks: 7 }
    }

    #[test]
    fn a_node_belongs_to_whom_has_started_it_and_its_child_half_to_it() {
        let all = [
            process(1, "anything", 0),
            process(10, DAEMON, 1),
            process(11, NODE, 10),
            process(12, NODE, 11),
            process(20, NODE, 1),
            process(21, NODE, 20),
            process(30, "a-test", 1),
            process(31, NODE, 30),
            process(40, NODE, 99),
        ];
        let kind = |pid: u32| {
            let node = all.iter().find(|process| process.pid == pid).unwrap();
            kind_of_node(node, |pid| all.iter().find(|process| process.pid == pid).cloned())
        };
        assert_eq!([11, 12, 21].map(kind), [None, None, None]);
        assert_eq!([20, 40].map(kind), [Some(Kind::Orphan), Some(Kind::Orphan)]);
        assert_eq!(kind(31), Some(Kind::Foreign("a-test 30".into())));
    }

    #[test]
    fn the_line_is_read_whatever_the_name_and_an_ended_process_is_none() {
        let line = |state: &str| format!("42 (a ) (b) {state} 7 42 42 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 98765 0 0");
        let expected = Process { pid: 42, name: "a ) (b".into(), parent: 7, start_ticks: 98765 };
        assert_eq!(Process::parse(42, &line("S")), Some(expected));
        assert_eq!(Process::parse(42, &line("Z")), None);
        assert_eq!(Process::parse(42, "42"), None);
    }
}
