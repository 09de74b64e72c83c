//! The process of a node: spawned as the leader of its own group, watched line by line, and reaped.
//!
//! Invariant: each process has one task that owns it and its standard input, the lifeline; only that task reaps it,
//! and the state knows of its end before any other task.
//!
//! Processes are spawned on the thread of the runtime, which is the main thread: a node asks the kernel to be killed
//! with its parent, and to the kernel the parent is the *thread*.

use std::fs::{self, File};
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use raftian_rpc::assignment::{Assignment, HostedGame, Trim};
use raftian_rpc::control::{NodeConfig, NodeNotice};
use raftian_rpc::game::{Display, GameConfig};
use raftian_rpc::lab::{GameChoice, Happening, NodeState};
use raftian_rpc::{NodeId, RaftEvent, VERSION, connect, files};
use rustix::process::{Pid, Signal};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::mpsc;

use crate::lab::Lab;
use crate::node::{Intent, Process, Role};
use crate::saved::SavedProcess;
use crate::{pidfd, procfs};

/// The longest line a node may write to its standard output.
const MAX_NOTICE_BYTES: u64 = 64 * 1024;

/// How long the last lines of a process may take to arrive after its end; only a stray child of it can keep the pipe
/// open.
const LAST_WORDS: Duration = Duration::from_millis(200);

/// The size from which on `stderr.log` is put aside when the node starts again.
const MAX_STDERR_BYTES: u64 = 1024 * 1024;

/// How long a call to a node may take at the most; callers that want less say so.
const CALL_TIMEOUT: Duration = Duration::from_secs(5);

/// Spawns the process of a node, on `port` or, if that is 0, on one the system chooses.
///
/// # Errors
/// A sentence, when there is no such program, it cannot be executed, or the node's folder cannot be written. The
/// node's state is not changed then.
pub(crate) fn spawn(lab: &Arc<Lab>, id: NodeId, port: u16) -> Result<(), String> {
    let folder = lab.folder.node(id);
    let stderr_path = folder.join("stderr.log");
    let stderr = open_stderr(&folder, &stderr_path)
        .map_err(|error| format!("cannot write {}: {error}", stderr_path.display()))?;
    let stderr_from = stderr.metadata().map_or(0, |metadata| metadata.len());
    let config = config(lab, id, port)?;
    let mut child = Command::new(&lab.program)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::from(stderr))
        .process_group(0)
        .spawn()
        .map_err(|error| cannot_execute(&lab.program, &error))?;
    let pid = child.id().expect("a process that was not waited for has a number");
    let stat = procfs::stat(pid);
    let saved = SavedProcess {
        pid,
        start_ticks: stat.as_ref().map_or(0, |stat| stat.start_ticks),
        name: stat.map_or(String::new(), |stat| stat.name),
    };
    let group = i32::try_from(pid).ok().and_then(Pid::from_raw).expect("process numbers are positive");
    lab.change(|state| {
        let node = state.nodes.get_mut(&id).expect("only nodes of the lab are started");
        node.spawned(Process::new(saved, group));
    });
    lab.journal.record(Happening::NodeSpawned { node: id, pid });
    let stdin = child.stdin.take().expect("standard input is piped");
    let stdout = child.stdout.take().expect("standard output is piped");
    let (send, notices) = mpsc::channel(64);
    tokio::spawn(read_lines(stdout, send));
    let watcher = Watcher { lab: Arc::clone(lab), id, complaint: None, server: None };
    tokio::spawn(watcher.watch(child, stdin, config, notices, move || last_line(&stderr_path, stderr_from)));
    Ok(())
}

/// The owner of a process.
struct Watcher {
    lab: Arc<Lab>,
    id: NodeId,
    /// Why it cannot go on, in its own words or ours.
    complaint: Option<String>,
    /// The process of its server, where that has one of its own.
    server: Option<OwnedFd>,
}

impl Watcher {
    async fn watch(
        mut self,
        mut child: Child,
        mut stdin: ChildStdin,
        config: Vec<u8>,
        mut notices: mpsc::Receiver<Vec<u8>>,
        last_line: impl FnOnce() -> Option<String>,
    ) {
        // Fits into the pipe, so it does not wait for a reader; and if there is none any more, the end tells why.
        if let Err(error) = stdin.write_all(&config).await {
            tracing::warn!("{}: cannot send its configuration: {error}", self.id);
        }
        let mut speaking = true;
        let ended = loop {
            tokio::select! {
                line = notices.recv(), if speaking => match line {
                    Some(line) => self.take_in(&line),
                    None => speaking = false,
                },
                ended = child.wait() => break ended,
            }
        };
        self.lab.change(|state| {
            if let Some(process) = state.nodes.get_mut(&self.id).and_then(|node| node.process.as_mut()) {
                process.mark_reaped();
            }
        });
        let patience = tokio::time::Instant::now() + LAST_WORDS;
        while let Ok(Some(line)) = tokio::time::timeout_at(patience, notices.recv()).await {
            self.take_in(&line);
        }
        if let Some(server) = self.server.take() {
            // It goes with the group. A node that starts again needs its port and its log.
            let _ = tokio::task::spawn_blocking(move || pidfd::wait(&server)).await;
        }
        self.record_end(ended, last_line);
    }

    /// Takes in one line of the node's standard output.
    fn take_in(&mut self, line: &[u8]) {
        match serde_json::from_slice(line) {
            Ok(NodeNotice::Ready { version, .. }) if version != VERSION => self.give_up(format!(
                "{} is version {version}, and the daemon is {VERSION}; build them together",
                self.lab.program.display()
            )),
            Ok(NodeNotice::Ready { port, last_index, torn_tail, .. }) => self.ready(port, last_index, torn_tail),
            Ok(NodeNotice::Raft { at_ns, event, .. }) => self.raft(at_ns, event),
            Ok(NodeNotice::ServerProcess { pid }) => self.server_process(pid),
            Ok(NodeNotice::Playing { at_ns }) => {
                self.lab.journal.record_at(at_ns, Happening::NodePlaying { node: self.id });
            }
            Ok(NodeNotice::Failed { reason }) => self.complaint = Some(reason),
            Err(_) if self.is_starting() => {
                let shown: String = String::from_utf8_lossy(line).chars().take(60).collect();
                self.give_up(format!(
                    "it wrote `{}` where it should say that it is ready; is {} really raftian-node?",
                    shown.escape_debug(),
                    self.lab.program.display()
                ));
            }
            Err(error) => tracing::warn!("{}: a line on its standard output is no notice: {error}", self.id),
        }
    }

    fn is_starting(&self) -> bool {
        self.lab.state().nodes.get(&self.id).is_some_and(|node| node.state == NodeState::Starting)
    }

    /// Ends a process that is not what it should be.
    fn give_up(&mut self, complaint: String) {
        if self.complaint.is_none() {
            self.complaint = Some(complaint);
            self.lab.state().nodes[&self.id].signal(Signal::KILL);
        }
    }

    fn ready(&mut self, port: u16, last_index: u64, torn_tail: Option<String>) {
        let happening = self.lab.change(|state| {
            let node = state.nodes.get_mut(&self.id)?;
            node.port = port;
            let address = node.address()?;
            node.client = connect::http(address, &self.lab.secret, CALL_TIMEOUT).ok();
            node.torn_tail = torn_tail.clone();
            node.state = NodeState::Running;
            Some(Happening::NodeReady { node: self.id, address, last_index, torn_tail })
        });
        match happening {
            Some(happening) => self.lab.journal.record(happening),
            None => self.give_up("it says that it listens on port 0".into()),
        }
    }

    /// The node has another half; it ends with this one, but may take a moment longer.
    fn server_process(&mut self, pid: u32) {
        let held = pidfd::hold(pid).ok().flatten();
        let Some(stat) = procfs::stat(pid).filter(|_| held.is_some()) else { return };
        self.server = held;
        let saved = SavedProcess { pid, start_ticks: stat.start_ticks, name: stat.name };
        self.lab.change(|state| {
            if let Some(process) = state.nodes.get_mut(&self.id).and_then(|node| node.process.as_mut()) {
                process.server = Some(saved);
            }
        });
    }

    fn raft(&mut self, at_ns: u64, event: RaftEvent) {
        let is_news = match &event {
            RaftEvent::Role { role, term, leader } => self.lab.change(|state| {
                if let Some(node) = state.nodes.get_mut(&self.id) {
                    node.heard(Role { role: *role, term: *term, leader: *leader, since_ns: at_ns });
                }
                state.hear_members_of(self.id)
            }),
            RaftEvent::Membership { configuration } => self.lab.change(|state| {
                if let Some(node) = state.nodes.get_mut(&self.id) {
                    node.configuration = configuration.clone();
                }
                state.hear_members_of(self.id)
            }),
            _ => false,
        };
        self.lab.journal.record_at(at_ns, Happening::Raft { node: self.id, event });
        if is_news {
            self.lab.save_members();
        }
    }

    /// Takes note of the end of the process.
    fn record_end(self, ended: io::Result<ExitStatus>, last_line: impl FnOnce() -> Option<String>) {
        let (state, reason) = self.lab.change(|state| {
            let node = state.nodes.get_mut(&self.id).expect("a lab keeps its nodes while processes run");
            let intent = node.process.as_ref().and_then(|process| process.intent);
            let (end, reason) = exit_reason(intent, ended.as_ref().ok().copied(), self.complaint, last_line);
            node.ended(end, reason.clone());
            (end, reason)
        });
        if state == NodeState::Failed {
            tracing::warn!("{} failed: {reason}", self.id);
        }
        self.lab.journal.record(Happening::NodeExited { node: self.id, state, reason });
    }
}

/// The state in which a process leaves its node, and why, for people.
fn exit_reason(
    intent: Option<Intent>,
    status: Option<ExitStatus>,
    complaint: Option<String>,
    last_line: impl FnOnce() -> Option<String>,
) -> (NodeState, String) {
    match intent {
        Some(Intent::Kill) => return (NodeState::Killed, "killed".into()),
        Some(Intent::Stop) => return (NodeState::Stopped, "stopped".into()),
        Some(Intent::StopByForce) => return (NodeState::Stopped, "did not leave when asked, and was killed".into()),
        Some(Intent::GiveUp) => return (NodeState::Failed, "did not report ready in time".into()),
        None => {}
    }
    if let Some(complaint) = complaint {
        return (NodeState::Failed, complaint);
    }
    let how = match status {
        None => "it is not known how it ended".to_owned(),
        Some(status) => match (status.code(), status.signal()) {
            (Some(code), _) => format!("exited with code {code}"),
            (None, Some(signal)) => format!("ended by signal {signal}, which the daemon did not send"),
            (None, None) => status.to_string(),
        },
    };
    let said = last_line().map_or(String::new(), |line| format!("; its last words: {line}"));
    (NodeState::Failed, how + &said)
}

fn config(lab: &Lab, id: NodeId, port: u16) -> Result<Vec<u8>, String> {
    let (settings, expects_log, joined) = {
        let state = lab.state();
        let node = state.nodes.get(&id);
        // A port is known from the first time that the node was ready.
        (state.settings, node.is_some_and(|node| node.port != 0), node.is_some_and(|node| node.joined))
    };
    let settings = settings.ok_or("this lab was never started")?;
    let config = NodeConfig {
        version: VERSION.into(),
        id,
        voters: if joined { Vec::new() } else { NodeId::first(settings.nodes).collect() },
        port,
        expects_log,
        folder: lab.folder.node(id),
        secret: lab.secret.clone(),
        seed: settings.seed,
        app: settings.app,
        players: settings.players,
        timing: settings.timing,
        compaction: settings.compaction(),
        reads: settings.reads,
        game: game(settings.game, settings.seed),
        trim: Trim::default(),
    };
    Ok(Assignment::Node(Box::new(config)).to_line())
}

/// A game that is drawn unseen; `raftianctl play` has a window of its own.
fn game(choice: GameChoice, seed: u64) -> Option<HostedGame> {
    let GameChoice::Hosted { hosting, scene, fps_cap } = choice else { return None };
    let display = Display::Headless;
    let game = GameConfig { scene, fps_cap, display, seed, clicks_per_s: None, record: None };
    Some(HostedGame { hosting, game })
}

fn cannot_execute(program: &Path, error: &io::Error) -> String {
    let path = program.display();
    match error.kind() {
        io::ErrorKind::NotFound => format!(
            "there is no node program at {path}; build the whole workspace (`cargo build --release`), or stop the \
             daemon and start it with `--node PATH`"
        ),
        _ => format!("cannot execute {path}: {error}; is it really raftian-node?"),
    }
}

fn open_stderr(folder: &Path, path: &Path) -> io::Result<File> {
    fs::create_dir_all(folder)?;
    if fs::metadata(path).is_ok_and(|metadata| metadata.len() > MAX_STDERR_BYTES) {
        fs::rename(path, path.with_extension("old.log"))?;
    }
    files::append(path)
}

/// The last line that a process wrote to its standard error, if it wrote any since `from`.
fn last_line(path: &Path, from: u64) -> Option<String> {
    let mut file = File::open(path).ok()?;
    let length = file.metadata().ok()?.len();
    file.seek(SeekFrom::Start(from.max(length.saturating_sub(4096)))).ok()?;
    let mut tail = Vec::new();
    file.read_to_end(&mut tail).ok()?;
    let tail = String::from_utf8_lossy(&tail);
    let line = tail.lines().rev().map(str::trim).find(|line| !line.is_empty())?;
    Some(line.chars().take(300).collect())
}

/// Reads lines until the pipe is closed or the receiver is gone. A line that is too long is cut, and so no notice.
async fn read_lines(stdout: ChildStdout, lines: mpsc::Sender<Vec<u8>>) {
    let mut stdout = BufReader::new(stdout);
    loop {
        let mut line = Vec::new();
        match (&mut stdout).take(MAX_NOTICE_BYTES).read_until(b'\n', &mut line).await {
            Ok(read) if read > 0 && lines.send(line).await.is_ok() => {}
            _ => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn end(intent: Option<Intent>, raw: i32, complaint: Option<&str>) -> (NodeState, String) {
        let status = ExitStatus::from_raw(raw);
        exit_reason(intent, Some(status), complaint.map(str::to_owned), || Some("out of memory".into()))
    }

    #[test]
    fn a_node_that_we_ended_did_not_fail() {
        assert_eq!(end(Some(Intent::Kill), 9, None), (NodeState::Killed, "killed".into()));
        assert_eq!(end(Some(Intent::Stop), 1 << 8, Some("disk")), (NodeState::Stopped, "stopped".into()));
        assert_eq!(end(Some(Intent::StopByForce), 9, None).0, NodeState::Stopped);
    }

    #[test]
    fn a_node_that_ended_by_itself_failed_and_says_why() {
        let own_words = end(None, 1 << 8, Some("the disk is full"));
        assert_eq!(own_words, (NodeState::Failed, "the disk is full".into()));
        assert_eq!(end(None, 3 << 8, None).1, "exited with code 3; its last words: out of memory");
        assert!(end(None, 9, None).1.starts_with("ended by signal 9, which the daemon did not send"));
    }

    #[test]
    fn only_the_last_line_since_the_start_counts() {
        let path = std::env::temp_dir().join(format!("raftiand-stderr-{}", std::process::id()));
        fs::write(&path, "old\n").unwrap();
        assert_eq!(last_line(&path, 4), None);
        fs::write(&path, "old\nfirst\nlast\n\n").unwrap();
        assert_eq!(last_line(&path, 4).as_deref(), Some("last"));
        fs::remove_file(&path).unwrap();
    }
}
