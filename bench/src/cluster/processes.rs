//! Some processes of the node program, and everything they have told so far.
//!
//! Invariants: waiting ends after [`PATIENCE`], or at once when a process ends that should not have, with an error that
//! says which and why. No process is left when this is dropped.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use raftian_rpc::assignment::Assignment;
use raftian_rpc::control::NodeNotice;
use raftian_rpc::{NodeId, RaftEvent, RoleKind};
use raftian_supervise::{Group, Launch, Process, ProcessEvent, Seat};
use rustix::process::Signal;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

use super::cores::on_cores;
use super::usage::Usage;
use crate::experiments::Bench;
use crate::suite::trial::Cost;

/// The longest that anything is waited for.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long processes may take to leave when they are asked to.
const GRACE: Duration = Duration::from_secs(3);

/// Processes.
#[derive(Debug)]
pub(crate) struct Processes {
    program: PathBuf,
    /// The folder for their standard error.
    folder: PathBuf,
    /// The display of their windows; `None` for the one they find.
    display: Option<String>,
    /// On how many cores they may run; `None` for all.
    cores: Option<usize>,
    /// Those that should run, by number.
    running: BTreeMap<usize, Running>,
    /// Every process that was spawned.
    spawned: Vec<Group>,
    /// The owners of the processes: a task each, which passes on what it says.
    owners: JoinSet<()>,
    /// Kept, so that the receiver never ends.
    sender: UnboundedSender<Word>,
    words: UnboundedReceiver<Word>,
    told: Told,
}

/// A process that should run.
#[derive(Debug)]
struct Running {
    name: String,
    group: Group,
}

/// What a process says, and which one it is.
#[derive(Debug)]
struct Word {
    process: usize,
    heard: ProcessEvent,
}

/// What processes have told so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct Told {
    /// How often each node has been ready.
    ready: BTreeMap<NodeId, usize>,
    /// The turning points of the servers, in the order they came in.
    pub(crate) events: Vec<Turn>,
    /// When the game had drawn its first frame.
    pub(crate) playing_ns: Option<u64>,
    /// Processes that have ended.
    ended: BTreeSet<usize>,
}

/// A turning point of a server.
#[derive(Clone, Debug)]
pub(crate) struct Turn {
    /// Of which node.
    pub(crate) node: NodeId,
    /// When, on the monotonic clock.
    pub(crate) at_ns: u64,
    /// What.
    pub(crate) event: RaftEvent,
}

/// What the processes had used at one moment.
#[derive(Debug)]
pub(crate) struct Snapshot(Vec<(String, u32, Usage)>);

impl Processes {
    /// Nobody yet; processes will be on this many cores, or on all.
    pub(crate) fn new(bench: &Bench, cores: Option<usize>) -> Processes {
        let Bench { node_program, folder, display, .. } = bench.clone();
        let (sender, words) = unbounded_channel();
        Processes {
            program: node_program,
            folder,
            display,
            cores,
            running: BTreeMap::new(),
            spawned: Vec::new(),
            owners: JoinSet::new(),
            sender,
            words,
            told: Told::default(),
        }
    }

    /// Starts a process on these seats, and gives its number.
    ///
    /// # Errors
    /// See [`Process::spawn`].
    pub(crate) fn spawn(&mut self, name: &str, assignment: &Assignment, seats: &[Arc<Seat>]) -> anyhow::Result<usize> {
        let (line, log) = (assignment.to_line(), self.folder.join(format!("{name}.stderr")));
        let environment: Vec<_> = self.display.iter().map(|display| ("DISPLAY", display.as_str())).collect();
        let launch = Launch { program: &self.program, line: &line, seats, log: &log, environment: &environment };
        let process = on_cores(self.cores, || Process::spawn(&launch))?.context("build the whole workspace")?;
        let (number, group) = (self.spawned.len(), process.group().clone());
        self.running.insert(number, Running { name: name.to_owned(), group: group.clone() });
        self.spawned.push(group);
        self.owners.spawn(own(process, number, self.sender.clone()));
        Ok(number)
    }

    /// What was told up to now.
    pub(crate) fn told(&mut self) -> anyhow::Result<&Told> {
        while let Ok(word) = self.words.try_recv() {
            self.take_in(word)?;
        }
        Ok(&self.told)
    }

    /// Listens until `found` finds what it looks for in what was told.
    ///
    /// # Errors
    /// When it does not come about in time, or a process fails or ends instead.
    pub(crate) async fn until<T>(
        &mut self,
        what: &str,
        mut found: impl FnMut(&Told) -> Option<T>,
    ) -> anyhow::Result<T> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(found) = found(&self.told) {
                return Ok(found);
            }
            let word = timeout_at(deadline, self.words.recv()).await;
            let word = word.with_context(|| format!("waited {PATIENCE:?} for {what} in vain"))?;
            self.take_in(word.expect("this holds a sender"))?;
        }
    }

    /// Signals the group of a process.
    ///
    /// # Errors
    /// When it is gone.
    pub(crate) fn signal(&self, number: usize, signal: Signal) -> anyhow::Result<()> {
        let process = self.running.get(&number).context("the process is gone")?;
        process.group.signal(signal).with_context(|| format!("{} cannot be signalled", process.name))
    }

    /// Kills a process and its other half, and waits until they are gone.
    ///
    /// # Errors
    /// When they do not end, or another process fails meanwhile.
    pub(crate) async fn kill(&mut self, number: usize) -> anyhow::Result<()> {
        self.end(number, |group| group.signal(Signal::KILL)).await
    }

    /// Lets a process leave in order.
    ///
    /// # Errors
    /// When it does not leave, or another one fails meanwhile.
    pub(crate) async fn dismiss(&mut self, number: usize) -> anyhow::Result<()> {
        self.end(number, Group::ask_to_leave).await
    }

    /// Ends a process by doing this.
    async fn end(&mut self, number: usize, end: impl FnOnce(&Group) -> io::Result<()>) -> anyhow::Result<()> {
        let process = self.running.remove(&number).context("the process is gone")?;
        // One that has ended already needs no asking.
        let _ = end(&process.group);
        let deadline = Instant::now() + GRACE;
        while !self.told.ended.contains(&number) {
            match timeout_at(deadline, self.words.recv()).await {
                Ok(word) => self.take_in(word.expect("this holds a sender"))?,
                Err(_) => bail!("{} did not end within {GRACE:?}{}", process.name, process.last_words()),
            }
        }
        Ok(())
    }

    /// What all processes have used so far.
    pub(crate) fn snapshot(&self) -> Snapshot {
        let mut all = Vec::new();
        for Running { name, group } in self.running.values() {
            let server = group.server();
            let own = if server.is_some() { format!("{name} game") } else { name.clone() };
            all.push((own, group.leader().pid));
            all.extend(server.map(|server| (format!("{name} server"), server.pid)));
        }
        all.push(("load".to_owned(), std::process::id()));
        Snapshot(all.into_iter().filter_map(|(name, pid)| Some((name, pid, Usage::of(pid)?))).collect())
    }

    fn take_in(&mut self, word: Word) -> anyhow::Result<()> {
        // Those that were killed or dismissed may fail and end.
        let process = self.running.get(&word.process);
        match word.heard {
            ProcessEvent::Notice(NodeNotice::Ready { node, .. }) => *self.told.ready.entry(node).or_default() += 1,
            ProcessEvent::Notice(NodeNotice::Raft { node, at_ns, event }) => {
                self.told.events.push(Turn { node, at_ns, event });
            }
            // Its group knows; and causes are for people.
            ProcessEvent::Notice(NodeNotice::ServerProcess { .. } | NodeNotice::Host { .. }) => {}
            ProcessEvent::Notice(NodeNotice::Playing { at_ns }) => self.told.playing_ns = Some(at_ns),
            ProcessEvent::Notice(NodeNotice::Failed { reason }) => {
                if let Some(process) = process {
                    bail!("{} failed: {reason}", process.name);
                }
            }
            ProcessEvent::InvalidLine { line, why } => {
                if let Some(process) = process {
                    let shown: String = String::from_utf8_lossy(&line).chars().take(60).collect();
                    bail!("{} wrote `{}`, which is no notice: {why}", process.name, shown.escape_debug());
                }
            }
            ProcessEvent::Ended(_) => {
                self.told.ended.insert(word.process);
                if let Some(process) = process {
                    bail!("{} ended without being asked{}", process.name, process.last_words());
                }
            }
        }
        Ok(())
    }
}

impl Running {
    /// The last line of its standard error, as the end of a sentence; empty if there is none.
    fn last_words(&self) -> String {
        self.group.last_words().map_or(String::new(), |line| format!(": {line}"))
    }
}

impl Drop for Processes {
    fn drop(&mut self) {
        // Their owners end with the runtime, which may not get to them soon.
        for group in &self.spawned {
            let _ = group.signal(Signal::KILL);
        }
        for group in &self.spawned {
            let _ = group.kill();
        }
    }
}

/// Passes on what a process says, until it has ended.
async fn own(mut process: Process, number: usize, words: UnboundedSender<Word>) {
    loop {
        let heard = process.next().await;
        let is_over = matches!(heard, ProcessEvent::Ended(_));
        if words.send(Word { process: number, heard }).is_err() || is_over {
            return;
        }
    }
}

impl Told {
    /// How often a node has been ready.
    pub(crate) fn ready(&self, node: NodeId) -> usize {
        self.ready.get(&node).copied().unwrap_or(0)
    }

    /// The leader that all of these nodes follow by what they last said.
    pub(crate) fn leader_of_all(&self, nodes: &[NodeId]) -> Option<NodeId> {
        let last = |node: &NodeId| {
            let own = self.events.iter().rev().filter(|turn| turn.node == *node);
            own.filter_map(|turn| turn.leader()).next().flatten()
        };
        let leader = last(nodes.first()?)?;
        nodes.iter().all(|node| last(node) == Some(leader)).then_some(leader)
    }

    /// How often somebody stood for election in a span.
    pub(crate) fn elections(&self, from_ns: u64, to_ns: u64) -> usize {
        let within = |turn: &&Turn| (from_ns..to_ns).contains(&turn.at_ns) && turn.is(&[RoleKind::Candidate]);
        self.events.iter().filter(within).count()
    }

    /// When a node other than `except` first took a role at or after `since_ns`.
    pub(crate) fn first(&self, roles: &[RoleKind], except: NodeId, since_ns: u64) -> Option<u64> {
        let of = |turn: &&Turn| turn.node != except && turn.at_ns >= since_ns && turn.is(roles);
        self.events.iter().filter(of).map(|turn| turn.at_ns).min()
    }
}

impl Turn {
    /// The leader it knows of from then on, if this turn is about it.
    fn leader(&self) -> Option<Option<NodeId>> {
        match self.event {
            RaftEvent::Role { leader, .. } => Some(leader),
            _ => None,
        }
    }

    fn is(&self, roles: &[RoleKind]) -> bool {
        matches!(self.event, RaftEvent::Role { role, .. } if roles.contains(&role))
    }
}

impl Snapshot {
    /// What was used from `before` to this moment.
    pub(crate) fn since(&self, before: &Snapshot) -> Vec<Cost> {
        let of = |pid: u32| before.0.iter().find(|(_, other, _)| *other == pid).map(|(_, _, usage)| usage);
        self.0.iter().filter_map(|(name, pid, now)| Some(now.since(of(*pid)?, name))).collect()
    }
}
