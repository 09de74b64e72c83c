//! What the daemon knows of one node: its process, where it listens, and what it last said.
//!
//! Invariant: a node that was started once has a seat, where it is called and where callers are answered while it does not
//! run, for as long as the lab has it.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use raftian_rpc::connect::Http;
use raftian_rpc::control::NodeStatus;
use raftian_rpc::hint::Note;
use raftian_rpc::lab::{Leadership, NodeState};
use raftian_rpc::{Configuration, Index, NodeId, RoleKind, Term};
use raftian_supervise::{Group, Seat};
use rustix::process::Signal;

use crate::saved::SavedNode;

/// One node.
pub(crate) struct Node {
    /// What its process is doing.
    pub(crate) state: NodeState,
    /// Why it is not running, for people.
    pub(crate) reason: Option<Note>,
    /// The port of its seat, or of the one it had under the last daemon; 0 before the first.
    port: u16,
    /// Where it is called.
    seat: Option<Arc<Seat>>,
    /// The port it had before, if that was in use when this daemon came.
    pub(crate) moved_from: Option<u16>,
    /// Whether it has ever been ready, so that a missing log is a lost one.
    pub(crate) was_ready: bool,
    /// How often it has been started.
    pub(crate) starts: u64,
    /// Its process, while there is one.
    pub(crate) process: Option<Running>,
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
    /// Up to which index its disk was seen to hold committed entries. Those are never discarded but for a snapshot, so a
    /// log that ends before is an old one.
    held: Index,
    /// Up to which index it has lost entries that its disk had held: for good, since it may have forgotten votes as well.
    pub(crate) rolled_back: Option<Index>,
}

/// A process, until its end is taken note of.
pub(crate) struct Running {
    /// Its process group.
    pub(crate) group: Group,
    /// What we want of it, if it is to end.
    pub(crate) intent: Option<Intent>,
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
            seat: None,
            moved_from: None,
            was_ready: saved.was_ready,
            starts: saved.starts,
            process: None,
            client: None,
            confirmed: 0,
            torn_tail: None,
            role: None,
            configuration: None,
            last: None,
            joined: saved.joined,
            held: saved.held,
            rolled_back: saved.rolled_back,
        }
    }

    /// It has a new process, which has said nothing yet.
    pub(crate) fn spawned(&mut self, process: Running) {
        self.forget_process();
        self.state = NodeState::Starting;
        self.reason = None;
        self.starts += 1;
        self.process = Some(process);
    }

    /// Its process has ended, or could not be started.
    pub(crate) fn ended(&mut self, state: NodeState, reason: Note) {
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
        let group = self.process.as_ref().map(|process| &process.group);
        SavedNode {
            port: self.port,
            was_ready: self.was_ready,
            starts: self.starts,
            joined: self.joined,
            held: self.held,
            rolled_back: self.rolled_back,
            process: group.map(|group| group.leader().clone()),
            server: group.and_then(Group::server),
        }
    }

    /// Its seat, which it is given now if it has none: on the port it had before, unless that is in use.
    ///
    /// # Errors
    /// When the system has no port or no descriptor left.
    pub(crate) fn seat(&mut self, id: NodeId) -> io::Result<Arc<Seat>> {
        if let Some(seat) = &self.seat {
            return Ok(Arc::clone(seat));
        }
        let seat = Seat::open(id, self.port)?;
        let before = std::mem::replace(&mut self.port, seat.address().port());
        self.moved_from = Some(before).filter(|before| ![0, self.port].contains(before));
        Ok(Arc::clone(self.seat.insert(seat)))
    }

    /// Where it is called, whether it runs or not.
    pub(crate) fn address(&self) -> Option<SocketAddr> {
        self.seat.as_ref().map(|seat| seat.address())
    }

    /// Sends a signal to its process group. A process that is gone takes none, and that is no error.
    pub(crate) fn signal(&self, signal: Signal) {
        self.tell(|group| group.signal(signal));
    }

    /// Asks its process to leave in order, paused or not.
    pub(crate) fn ask_to_leave(&self) {
        self.tell(Group::ask_to_leave);
    }

    fn tell(&self, tell: impl FnOnce(&Group) -> io::Result<()>) {
        let Some(process) = &self.process else { return };
        if let Err(error) = tell(&process.group)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!("cannot signal process group {}: {error}", process.group.leader().pid);
        }
    }

    /// Whether it takes itself for the leader, and of which term.
    pub(crate) fn leads(&self) -> Option<Term> {
        self.role.filter(|role| role.role == RoleKind::Leader).map(|role| role.term)
    }

    /// Its disk holds all entries up to there, and they are committed.
    pub(crate) fn holds(&mut self, index: Index) {
        self.held = self.held.max(index);
    }

    /// It has recovered a log that ends there. Up to which index committed entries are missing, if so.
    pub(crate) fn recovered(&mut self, last_index: Index) -> Option<Index> {
        let held = Some(self.held).filter(|held| *held > last_index)?;
        self.has_lost(held);
        Some(held)
    }

    /// It has lost entries up to there that its disk had held.
    pub(crate) fn has_lost(&mut self, up_to: Index) {
        self.rolled_back = self.rolled_back.max(Some(up_to));
    }

    /// Takes note of a role it tells of. The same one again does not count as new.
    pub(crate) fn heard(&mut self, heard: Role) {
        let same = |known: Role| (known.role, known.term, known.leader) == (heard.role, heard.term, heard.leader);
        if !self.role.is_some_and(same) {
            self.role = Some(heard);
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
