//! What the daemon knows of one node: its process, where it listens, and what it last said.
//!
//! Invariant: a signal is only ever sent to a process that has not been reaped, so never to a stranger that has
//! inherited its number.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddr};

use raftian_rpc::connect::Http;
use raftian_rpc::control::NodeStatus;
use raftian_rpc::lab::{Leadership, NodeState};
use raftian_rpc::{Configuration, NodeId, RoleKind, Term};
use rustix::process::{Pid, Signal, kill_process_group, test_kill_process_group};

use crate::saved::{SavedNode, SavedProcess};

/// One node.
pub(crate) struct Node {
    /// What its process is doing.
    pub(crate) state: NodeState,
    /// Why it is not running, for people.
    pub(crate) reason: Option<String>,
    /// The port it listens on; 0 until it first has.
    pub(crate) port: u16,
    /// How often it has been started.
    pub(crate) starts: u64,
    /// Its process, while there is one.
    pub(crate) process: Option<Process>,
    /// How to call it, while it listens.
    pub(crate) client: Option<Http>,
    /// The latest version of the network it has confirmed.
    pub(crate) confirmed: u64,
    /// The torn log tail it cut when it last started.
    pub(crate) torn_tail: Option<String>,
    /// The last role it told of since it was started.
    pub(crate) role: Option<Role>,
    /// The configuration it told of last since it was started, committed or not.
    pub(crate) configuration: Option<Configuration>,
    /// What it said when it last answered. Outlives its process.
    pub(crate) last: Option<NodeStatus>,
    /// Whether it was added to the cluster later, and so began without knowing who is in it.
    pub(crate) joined: bool,
}

/// A process that has not been reaped, or only just.
pub(crate) struct Process {
    /// Enough to recognise it after a crash of the daemon.
    pub(crate) saved: SavedProcess,
    /// The other half of the node, where its server has a process of its own, which is in the same group.
    pub(crate) server: Option<SavedProcess>,
    /// What we want of it, if it is to end.
    pub(crate) intent: Option<Intent>,
    /// Its group.
    group: Pid,
    reaped: bool,
}

/// How we want a process to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Intent {
    /// By SIGKILL, as a crash.
    Kill,
    /// In order.
    Stop,
    /// In order, and since it did not, by SIGKILL.
    StopByForce,
    /// By SIGKILL, since it did not report ready in time.
    GiveUp,
}

/// What a server says it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Role {
    /// The role.
    pub(crate) role: RoleKind,
    /// In this term.
    pub(crate) term: Term,
    /// Under this leader.
    pub(crate) leader: Option<NodeId>,
    /// Since when, on the monotonic clock.
    pub(crate) since_ns: u64,
}

impl Node {
    /// A node that has never been started: one of the first, or one that is to join them.
    pub(crate) fn new(joined: bool) -> Node {
        Node::restored(&SavedNode { joined, ..SavedNode::default() })
    }

    /// A node of an earlier daemon, without a process.
    pub(crate) fn restored(saved: &SavedNode) -> Node {
        Node {
            state: NodeState::Stopped,
            reason: (saved.starts > 0).then(|| "not started since the daemon was".into()),
            port: saved.port,
            starts: saved.starts,
            process: None,
            client: None,
            confirmed: 0,
            torn_tail: None,
            role: None,
            configuration: None,
            last: None,
            joined: saved.joined,
        }
    }

    /// It has a new process, which has said nothing yet.
    pub(crate) fn spawned(&mut self, process: Process) {
        self.forget_process();
        self.state = NodeState::Starting;
        self.reason = None;
        self.starts += 1;
        self.process = Some(process);
    }

    /// Its process has ended, or could not be started.
    pub(crate) fn ended(&mut self, state: NodeState, reason: String) {
        self.forget_process();
        self.state = state;
        self.reason = Some(reason);
    }

    /// Forgets all that was true of its last process alone. What that told of the members may never have been durable,
    /// so the next one must not vouch for it.
    fn forget_process(&mut self) {
        self.process = None;
        self.client = None;
        self.confirmed = 0;
        self.torn_tail = None;
        self.role = None;
        self.configuration = None;
    }

    /// What the next daemon should know of it.
    pub(crate) fn to_save(&self) -> SavedNode {
        let process = self.process.as_ref().map(|process| process.saved.clone());
        let server = self.process.as_ref().and_then(|process| process.server.clone());
        SavedNode { port: self.port, starts: self.starts, joined: self.joined, process, server }
    }

    /// Where it listens, or did when it last ran.
    pub(crate) fn address(&self) -> Option<SocketAddr> {
        (self.port != 0).then(|| SocketAddr::from((Ipv4Addr::LOCALHOST, self.port)))
    }

    /// Sends a signal to its process group. A process that is gone takes none, and that is no error.
    pub(crate) fn signal(&self, signal: Signal) {
        if let Some(process) = &self.process {
            process.signal(signal);
        }
    }

    /// Whether it takes itself for the leader, and of which term.
    pub(crate) fn leads(&self) -> Option<Term> {
        self.role.filter(|role| role.role == RoleKind::Leader).map(|role| role.term)
    }

    /// Takes note of a role it tells of. The same one again does not count as new.
    pub(crate) fn heard(&mut self, heard: Role) {
        let same = |known: Role| (known.role, known.term, known.leader) == (heard.role, heard.term, heard.leader);
        if !self.role.is_some_and(same) {
            self.role = Some(heard);
        }
    }
}

impl Process {
    /// A process that was just spawned as the leader of its group.
    pub(crate) fn new(saved: SavedProcess, group: Pid) -> Process {
        Process { saved, server: None, intent: None, group, reaped: false }
    }

    /// The numbers of all processes of the node, the leader of their group first.
    pub(crate) fn pids(&self) -> impl Iterator<Item = u32> {
        std::iter::once(self.saved.pid).chain(self.server.as_ref().map(|server| server.pid))
    }

    /// Takes note that it has been waited for, and ends what else is left in its group.
    pub(crate) fn mark_reaped(&mut self) {
        if test_kill_process_group(self.group).is_ok() {
            self.signal(Signal::KILL);
        }
        self.reaped = true;
    }

    fn signal(&self, signal: Signal) {
        if !self.reaped
            && let Err(error) = kill_process_group(self.group, signal)
        {
            tracing::warn!("cannot signal process group {}: {error}", self.saved.pid);
        }
    }
}

/// The one of `candidates` that leads in the highest term, by what it last told, and since when.
pub(crate) fn leader_told(nodes: &BTreeMap<NodeId, Node>, candidates: &BTreeSet<NodeId>) -> Option<(NodeId, Role)> {
    let told = candidates.iter().filter_map(|id| Some((*id, nodes.get(id)?.role?)));
    told.filter(|(_, role)| role.role == RoleKind::Leader).max_by_key(|(_, role)| role.term)
}

/// Who leads, and how long after `from_ns` that began.
pub(crate) fn leadership(leader: NodeId, role: Role, from_ns: u64) -> Leadership {
    Leadership { leader, term: role.term, after_ms: role.since_ns.saturating_sub(from_ns) / 1_000_000 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_of_an_ended_process_is_not_taken_for_one_of_the_next() {
        let mut node = Node::new(false);
        node.heard(Role { role: RoleKind::Leader, term: 4, leader: NodeId::new(1), since_ns: 7 });
        node.configuration = Configuration::new(NodeId::first(2));
        node.ended(NodeState::Killed, "killed".into());
        assert_eq!((node.leads(), node.configuration.as_ref()), (None, None));
        node.heard(Role { role: RoleKind::Leader, term: 5, leader: NodeId::new(1), since_ns: 9 });
        assert_eq!((node.leads(), node.configuration), (Some(5), None), "the next one has not told of the members yet");
    }
}
