//! One process of the node program, the leader of a group of its own: spawned, listened to, signalled, and ended.
//!
//! Invariants: the group is gone when this is dropped, both halves of a node whose server is a process of its own. The
//! program asks the kernel to be killed with its parent, which to the kernel is the *thread* that spawned it: spawn on
//! one that stays.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::thread;

use anyhow::Context as _;
use raftian_rpc::assignment::Assignment;
use raftian_rpc::control::NodeNotice;
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use tokio::sync::mpsc::UnboundedSender;

use super::cores::on_cores;

/// How processes are started.
#[derive(Clone, Debug)]
pub(crate) struct Spawn {
    /// The node program.
    pub(crate) program: PathBuf,
    /// The folder for their standard error.
    pub(crate) folder: PathBuf,
    /// The display of their windows; `None` for the one they find.
    pub(crate) display: Option<String>,
    /// On how many cores they may run; `None` for all.
    pub(crate) cores: Option<usize>,
}

/// What a process tells, and which one it is.
#[derive(Debug)]
pub(crate) struct Word {
    /// Its number, as given to [`NodeProcess::spawn`].
    pub(crate) process: usize,
    /// A notice; or, at the end of its standard output, `None`.
    pub(crate) notice: Option<NodeNotice>,
}

/// A process.
#[derive(Debug)]
pub(crate) struct NodeProcess {
    name: String,
    child: Child,
    group: Pid,
    /// Its lifeline.
    _stdin: ChildStdin,
    stderr: PathBuf,
}

impl NodeProcess {
    /// Spawns the program and gives it its assignment; what it tells goes to `words`, marked with `number`.
    ///
    /// # Errors
    /// When there is no such program, it cannot be executed, or the folder cannot be written.
    pub(crate) fn spawn(
        spawn: &Spawn,
        name: &str,
        assignment: &Assignment,
        number: usize,
        words: UnboundedSender<Word>,
    ) -> anyhow::Result<NodeProcess> {
        let stderr = spawn.folder.join(format!("{name}.stderr"));
        let file = File::create(&stderr).with_context(|| format!("cannot write {}", stderr.display()))?;
        let mut command = Command::new(&spawn.program);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(file).process_group(0);
        command.envs(spawn.display.as_ref().map(|display| ("DISPLAY", display)));
        let mut child = on_cores(spawn.cores, || command.spawn())?
            .with_context(|| format!("cannot execute {}; build the whole workspace", spawn.program.display()))?;
        let group = Pid::from_child(&child);
        let mut stdin = child.stdin.take().expect("standard input is piped");
        let stdout = child.stdout.take().expect("standard output is piped");
        // From here on an early return ends the process.
        let written = stdin.write_all(&assignment.to_line());
        let process = NodeProcess { name: name.to_owned(), child, group, _stdin: stdin, stderr };
        written.with_context(|| format!("{name} does not take its assignment{}", process.last_words()))?;
        let listener = thread::Builder::new().name(format!("{name}-words"));
        listener.spawn(move || listen(stdout, number, &words)).context("the system gives us no more threads")?;
        Ok(process)
    }

    /// Its process number.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it is called.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Sends a signal to the whole group.
    ///
    /// # Errors
    /// When there is no such group any more.
    pub(crate) fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        kill_process_group(self.group, signal).with_context(|| format!("{} cannot be signalled", self.name))
    }

    /// Asks it to leave in order: the end of its standard output tells that it has.
    pub(crate) fn ask_to_leave(&self) {
        // The process itself only: its other half leaves with it. One that is gone needs no asking.
        let _ = kill_process(self.group, Signal::TERM);
    }

    /// The last line of its standard error, as the end of a sentence; empty if there is none.
    pub(crate) fn last_words(&self) -> String {
        let text = std::fs::read(&self.stderr).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let line = text.lines().rev().map(str::trim).find(|line| !line.is_empty());
        line.map_or(String::new(), |line| format!(": {}", line.chars().take(300).collect::<String>()))
    }
}

impl Drop for NodeProcess {
    fn drop(&mut self) {
        // The group lives as long as its leader is not reaped, so nobody else's number can be hit.
        let _ = kill_process_group(self.group, Signal::KILL);
        let _ = self.child.wait();
    }
}

/// Passes notices on until the program, and whoever inherited its standard output, has closed it.
fn listen(stdout: ChildStdout, process: usize, words: &UnboundedSender<Word>) {
    let lines = BufReader::new(stdout).lines().map_while(Result::ok);
    for line in lines {
        let notice = serde_json::from_str(&line).unwrap_or_else(|error| {
            let shown: String = line.chars().take(60).collect();
            NodeNotice::Failed { reason: format!("it wrote `{shown}`, which is no notice: {error}") }
        });
        if words.send(Word { process, notice: Some(notice) }).is_err() {
            return;
        }
    }
    // Nobody may be listening any more.
    let _ = words.send(Word { process, notice: None });
}
