//! Labs that never ran: a status and a journal put together by hand, at a time that stands still.

use std::collections::BTreeSet;

use raftian_rpc::control::{
    ClockReading, Counters, DiskStatus, Membership, NodeStatus, PeerProgress, Standing, Timing,
};
use raftian_rpc::faults::Effect;
use raftian_rpc::lab::{
    Action, Event, Fault, FaultId, FaultKind, GameChoice, Happening, LabStatus, NodeReport, NodeState, ProcessUsage,
    Question, Resolution,
};
use raftian_rpc::{Configuration, Index, NodeId, RaftEvent, RoleKind, Term};
use raftian_why::{Sight, answer};

/// The time at which everything is looked at: 100 s.
pub(crate) const NOW_MS: u64 = 100_000;

/// A lab at [`NOW_MS`].
pub(crate) struct Stage {
    pub(crate) status: LabStatus,
    pub(crate) events: Vec<Event>,
}

/// A node by its number.
pub(crate) fn n(number: u16) -> NodeId {
    NodeId::new(number).unwrap()
}

/// Nodes by their numbers.
pub(crate) fn set(numbers: &[u16]) -> BTreeSet<NodeId> {
    numbers.iter().map(|number| n(*number)).collect()
}

impl Stage {
    /// A lab in which nothing is wrong: n1 leads term 1 since 1 s after the beginning, and all 12 entries are everywhere.
    pub(crate) fn healthy(nodes: u16) -> Stage {
        let all: BTreeSet<NodeId> = NodeId::first(nodes).collect();
        let status = LabStatus {
            lab: "default".into(),
            folder: "/x".into(),
            app: None,
            app_options: None,
            game: GameChoice::None,
            seed: 1,
            timing: Timing::default(),
            reasons: Vec::new(),
            leader: Some(n(1)),
            term: 1,
            members: Configuration::new(all.iter().copied()),
            nodes: all.iter().map(|id| report(*id)).collect(),
            faults: Vec::new(),
            divergence: None,
            daemon: ProcessUsage::default(),
        };
        let mut stage = Stage { status, events: Vec::new() };
        for voter in all.iter().filter(|id| **id != n(1)).take(usize::from(nodes) / 2) {
            stage.raft(950, voter.number(), RaftEvent::Voted { term: 1, candidate: n(1) });
        }
        stage.role(1_000, 1, RoleKind::Leader, 1);
        let peers = all.iter().filter(|id| **id != n(1)).map(|id| peer(*id, 12)).collect();
        let leader = stage.server(1);
        leader.peers = peers;
        leader.role = RoleKind::Leader;
        leader.quorum_contact_ms = Some(10);
        stage
    }

    /// What a running node says of itself.
    pub(crate) fn server(&mut self, number: u16) -> &mut NodeStatus {
        self.report(number).server.as_mut().unwrap()
    }

    pub(crate) fn report(&mut self, number: u16) -> &mut NodeReport {
        self.status.nodes.iter_mut().find(|report| report.node == n(number)).unwrap()
    }

    /// What the leader n1 knows of a peer.
    pub(crate) fn peer(&mut self, number: u16) -> &mut PeerProgress {
        self.server(1).peers.iter_mut().find(|peer| peer.node == n(number)).unwrap()
    }

    /// Somebody killed or paused nodes at this time, as one command.
    pub(crate) fn act(&mut self, at_ms: u64, action: Action, selector: &str, numbers: &[u16]) {
        let resolved = Resolution { selector: selector.parse().unwrap(), nodes: set(numbers), leader: None };
        self.event(at_ms, Happening::Acted { action, resolved });
        for number in numbers {
            let node = n(*number);
            let state = match action {
                Action::Pause => {
                    self.event(at_ms, Happening::NodePaused { node });
                    NodeState::Paused
                }
                _ => {
                    self.event(
                        at_ms,
                        Happening::NodeExited { node, state: NodeState::Killed, reason: "killed".into() },
                    );
                    NodeState::Killed
                }
            };
            let report = self.report(*number);
            report.state = state;
            report.last = report.server.take();
            if self.status.leader == Some(node) {
                self.status.leader = None;
            }
        }
    }

    /// All links between these groups are cut since then.
    pub(crate) fn cut(&mut self, since_ms: u64, one: &[u16], other: &[u16]) {
        let links = one.iter().flat_map(|a| other.iter().flat_map(|b| [(n(*a), n(*b)), (n(*b), n(*a))]));
        let names = |numbers: &[u16]| numbers.iter().map(|number| format!("n{number}")).collect::<Vec<_>>().join(",");
        let title = format!("partition {} | {}", names(one), names(other));
        self.fault(since_ms, None, title, Effect::CUT, links.collect());
    }

    pub(crate) fn fault(
        &mut self,
        since_ms: u64,
        until_ms: Option<u64>,
        title: String,
        effect: Effect,
        links: Vec<(NodeId, NodeId)>,
    ) {
        let id = FaultId(self.status.faults.len() as u64 + 1);
        let until_ns = until_ms.map(|ms| ms * 1_000_000);
        let what = FaultKind::Links { effect, links };
        let since_ns = since_ms * 1_000_000;
        let fault = Fault { id, title, what, since_ns, until_ns, injected: true, proof: None };
        self.event(since_ms, Happening::FaultAdded { fault: fault.clone() });
        self.status.faults.push(fault);
    }

    pub(crate) fn role(&mut self, at_ms: u64, number: u16, role: RoleKind, term: Term) {
        let leader = (role == RoleKind::Leader).then(|| n(number));
        self.raft(at_ms, number, RaftEvent::Role { role, term, leader });
    }

    pub(crate) fn raft(&mut self, at_ms: u64, number: u16, event: RaftEvent) {
        self.event(at_ms, Happening::Raft { node: n(number), event });
    }

    pub(crate) fn event(&mut self, at_ms: u64, what: Happening) {
        let seq = self.events.len() as u64 + 1;
        self.events.push(Event { seq, at_ns: at_ms * 1_000_000, unix_ms: 0, what });
    }

    /// The members as they are on the way from one set of voters to another.
    pub(crate) fn change_members(&mut self, voters: &[u16], outgoing: &[u16]) {
        let configuration = Configuration::of(set(voters), set(outgoing), set(&[])).unwrap();
        self.status.members = Some(configuration.clone());
        if self.status.leader == Some(n(1)) {
            self.server(1).membership = Some(Membership { configuration, committed: false });
        }
    }

    /// The answer to a question, a line for each reason, its hints as data behind it.
    pub(crate) fn why(&self, question: &str) -> Vec<String> {
        let question: Question = question.parse().unwrap();
        let sight = Sight { status: &self.status, events: &self.events, now_ns: NOW_MS * 1_000_000 };
        let reasons = answer(sight, question).unwrap();
        assert!(!reasons.is_empty(), "every question has an answer");
        let line = |note: &raftian_rpc::hint::Note| match note.hints.is_empty() {
            true => note.text.clone(),
            false => format!("{} → {}", note.text, serde_json::to_string(&note.hints).unwrap()),
        };
        reasons.iter().map(line).collect()
    }
}

fn report(node: NodeId) -> NodeReport {
    let server = NodeStatus {
        election_in_ms: None,
        recent_terms: Vec::new(),
        node,
        pid: 1,
        role: RoleKind::Follower,
        term: 1,
        leader: Some(n(1)),
        quorum_contact_ms: None,
        membership: None,
        transfer: None,
        peers: Vec::new(),
        snapshot_index: 0,
        first_index: 1,
        last_index: 12,
        commit_index: 12,
        last_applied: 12,
        digest: "d".into(),
        state: serde_json::Value::Null,
        network_version: 1,
        disk: DiskStatus { pending_ms: None, sync_us: 900 },
        clock: ClockReading::default(),
        faults: Vec::new(),
        counters: Counters::default(),
        game: None,
    };
    NodeReport {
        node,
        state: NodeState::Running,
        standing: Some(Standing::Voter),
        reason: None,
        address: None,
        usage: None,
        starts: 1,
        rolled_back: None,
        server: Some(server),
        last: None,
    }
}

fn peer(node: NodeId, match_index: Index) -> PeerProgress {
    PeerProgress { node, standing: Standing::Voter, match_index, denies: false, snapshot_bytes: None }
}
