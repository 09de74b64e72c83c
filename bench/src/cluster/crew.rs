//! Some processes of the node program, and everything they have told so far.
//!
//! Invariants: waiting ends after [`PATIENCE`], or at once when a process ends that should not have, with an error that
//! says which and why. No process is left when this is dropped.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use anyhow::{Context as _, bail};
use raftian_rpc::assignment::Assignment;
use raftian_rpc::control::NodeNotice;
use raftian_rpc::{NodeId, RaftEvent, RoleKind};
use rustix::process::Signal;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::{Instant, timeout_at};

use super::process::{NodeProcess, Spawn, Word};
use super::usage::Usage;
use crate::experiments::Bench;
use crate::suite::trial::Cost;

/// The longest that anything is waited for.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long processes may take to leave when they are asked to.
const FAREWELL: Duration = Duration::from_secs(3);

/// Processes.
#[derive(Debug)]
pub(crate) struct Crew {
    spawn: Spawn,
    processes: BTreeMap<usize, NodeProcess>,
    next: usize,
    /// Kept, so that the receiver never ends.
    sender: UnboundedSender<Word>,
    words: UnboundedReceiver<Word>,
    told: Told,
}

/// What processes have told so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct Told {
    /// Where the servers listen.
    pub(crate) addresses: BTreeMap<NodeId, SocketAddr>,
    /// The turning points of the servers, in the order they came in.
    pub(crate) events: Vec<Turn>,
    /// When the game had drawn its first frame.
    pub(crate) playing_ns: Option<u64>,
    /// Servers that are processes of their own, by the number of the process that spawned them.
    servers: BTreeMap<usize, u32>,
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

impl Crew {
    /// Nobody yet; processes will be on this many cores, or on all.
    pub(crate) fn new(bench: &Bench, cores: Option<usize>) -> Crew {
        let Bench { node_program, folder, display, .. } = bench.clone();
        let spawn = Spawn { program: node_program, folder, display, cores };
        let (sender, words) = unbounded_channel();
        Crew { spawn, processes: BTreeMap::new(), next: 0, sender, words, told: Told::default() }
    }

    /// Starts a process, and gives its number.
    ///
    /// # Errors
    /// See [`NodeProcess::spawn`].
    pub(crate) fn spawn(&mut self, name: &str, assignment: &Assignment) -> anyhow::Result<usize> {
        let number = self.next;
        let process = NodeProcess::spawn(&self.spawn, name, assignment, number, self.sender.clone())?;
        self.processes.insert(number, process);
        self.next += 1;
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
        self.processes.get(&number).context("the process is gone")?.signal(signal)
    }

    /// Kills a process and its other half, and forgets them.
    pub(crate) fn kill(&mut self, number: usize) {
        self.processes.remove(&number);
    }

    /// Lets a process leave in order, and kills it if it takes too long.
    ///
    /// # Errors
    /// When it had to be killed, or another one fails meanwhile.
    pub(crate) async fn dismiss(&mut self, number: usize) -> anyhow::Result<()> {
        let process = self.processes.remove(&number).context("the process is gone")?;
        process.ask_to_leave();
        let deadline = Instant::now() + FAREWELL;
        while !self.told.ended.contains(&number) {
            match timeout_at(deadline, self.words.recv()).await {
                Ok(word) => self.take_in(word.expect("this holds a sender"))?,
                Err(_) => bail!("{} did not leave within {FAREWELL:?}{}", process.name(), process.last_words()),
            }
        }
        Ok(())
    }

    /// What all processes have used so far.
    pub(crate) fn snapshot(&self) -> Snapshot {
        let mut all = Vec::new();
        for (number, process) in &self.processes {
            let server = self.told.servers.get(number);
            let name = if server.is_some() { format!("{} game", process.name()) } else { process.name().to_owned() };
            all.push((name, process.pid()));
            all.extend(server.map(|pid| (format!("{} server", process.name()), *pid)));
        }
        all.push(("load".to_owned(), std::process::id()));
        Snapshot(all.into_iter().filter_map(|(name, pid)| Some((name, pid, Usage::of(pid)?))).collect())
    }

    fn take_in(&mut self, word: Word) -> anyhow::Result<()> {
        // Whoever was killed or dismissed may fail and end as it likes.
        let process = self.processes.get(&word.process);
        match word.notice {
            Some(NodeNotice::Ready { node, port, .. }) => {
                self.told.addresses.insert(node, SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
            }
            Some(NodeNotice::Raft { node, at_ns, event }) => self.told.events.push(Turn { node, at_ns, event }),
            Some(NodeNotice::ServerProcess { pid }) => {
                self.told.servers.insert(word.process, pid);
            }
            Some(NodeNotice::Playing { at_ns }) => self.told.playing_ns = Some(at_ns),
            Some(NodeNotice::Failed { reason }) => {
                if let Some(process) = process {
                    bail!("{} failed: {reason}", process.name());
                }
            }
            None => {
                self.told.ended.insert(word.process);
                if let Some(process) = process {
                    bail!("{} ended without being asked{}", process.name(), process.last_words());
                }
            }
        }
        Ok(())
    }
}

impl Told {
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
