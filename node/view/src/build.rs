//! How a view is made of a status.

use std::collections::{BTreeMap, BTreeSet};

use raftian_rpc::control::{NodeStatus, Standing, Timing};
use raftian_rpc::faults::Effect;
use raftian_rpc::lab::{Fault, FaultId, GameChoice, LabStatus, NodeReport, NodeState, ProcessUsage};
use raftian_rpc::{NodeId, RoleKind};

use crate::model::{FaultView, LinkView, NodeView, Rates, Role, View};
use crate::tail::Tail;
use crate::words;

impl View {
    /// What a face shows of this status. Rates are those of nothing.
    pub fn of(status: &LabStatus) -> View {
        let reference = newest(status).map(Tail::of);
        View {
            lab: status.lab.clone(),
            app: status.app,
            app_options: status.app_options,
            game: status.game,
            seed: status.seed,
            timing: status.timing,
            leader: status.leader,
            term: status.term,
            reasons: status.reasons.clone(),
            members: status.members.clone(),
            nodes: status.nodes.iter().map(|node| NodeView::of(node, status.leader, reference.as_ref())).collect(),
            faults: status.faults.iter().map(fault).collect(),
            links: links(&status.faults),
            rates: Rates::default(),
            daemon: status.daemon,
        }
    }
}

impl View {
    /// What a face shows of a cluster that has no nodes yet.
    pub fn of_nothing(name: &str) -> View {
        View {
            lab: name.to_owned(),
            app: None,
            app_options: None,
            game: GameChoice::None,
            seed: 0,
            timing: Timing::default(),
            leader: None,
            term: 0,
            reasons: Vec::new(),
            members: None,
            nodes: Vec::new(),
            faults: Vec::new(),
            links: Vec::new(),
            rates: Rates::default(),
            daemon: ProcessUsage::default(),
        }
    }
}

impl NodeView {
    /// What a face shows of a node of which nothing is known.
    pub fn of_nothing(node: NodeId) -> NodeView {
        NodeView {
            node,
            state: NodeState::Stopped,
            is_silent: false,
            reason: None,
            standing: Some(Standing::Voter),
            role: None,
            is_old: true,
            term: 0,
            knows: None,
            election_in_ms: None,
            snapshot_index: 0,
            last_index: 0,
            commit_index: 0,
            last_applied: 0,
            tail: Tail::default(),
            differs_at: None,
            digest: String::new(),
            app_state: serde_json::Value::Null,
            usage: None,
            address: None,
            sync_us: 0,
            fps: None,
            faults: Vec::new(),
        }
    }

    /// What a face shows of this node. `reference` is the log that others are compared with.
    fn of(report: &NodeReport, leader: Option<NodeId>, reference: Option<&Tail>) -> NodeView {
        let known = report.server.as_ref().or(report.last.as_ref());
        let tail = known.map(Tail::of).unwrap_or_default();
        let seen = NodeView {
            state: report.state,
            is_silent: report.state == NodeState::Running && report.server.is_none(),
            reason: report.reason.clone(),
            standing: report.standing,
            usage: report.usage,
            address: report.address,
            is_old: report.server.is_none(),
            election_in_ms: report.server.as_ref().and_then(|server| server.election_in_ms),
            fps: report.server.as_ref().and_then(|server| Some(server.game.as_ref()?.fps)),
            ..NodeView::of_nothing(report.node)
        };
        let Some(server) = known else { return seen };
        NodeView {
            role: Some(Role::of(report, server.role, leader)),
            term: server.term,
            knows: server.leader,
            snapshot_index: server.snapshot_index,
            last_index: server.last_index,
            commit_index: server.commit_index,
            last_applied: server.last_applied,
            differs_at: reference.and_then(|reference| tail.differs_from(reference)),
            tail,
            digest: server.digest.clone(),
            app_state: server.state.clone(),
            sync_us: server.disk.sync_us,
            faults: server.faults.iter().map(|seen| seen.fault.id).collect(),
            ..seen
        }
    }
}

impl From<RoleKind> for Role {
    /// What a voter does.
    fn from(role: RoleKind) -> Role {
        match role {
            RoleKind::Follower => Role::Follower,
            RoleKind::PreCandidate => Role::PreCandidate,
            RoleKind::Candidate => Role::Candidate,
            RoleKind::Leader => Role::Leader,
        }
    }
}

impl Role {
    /// What a voter does, and what the others are. A leader without a quorum is no leader.
    fn of(report: &NodeReport, role: RoleKind, leader: Option<NodeId>) -> Role {
        match (report.standing, role) {
            (_, RoleKind::Leader) if report.server.is_some() && leader != Some(report.node) => {
                Role::LeaderWithoutQuorum
            }
            (_, RoleKind::Leader) => Role::Leader,
            (Some(Standing::Learner), _) => Role::Learner,
            (Some(Standing::Leaving), _) => Role::Leaving,
            (None, _) => Role::NoMember,
            (Some(Standing::Voter), role) => role.into(),
        }
    }
}

/// The server whose log others are compared with: the leader, else the one whose log is the most up to date (§5.4.1).
fn newest(status: &LabStatus) -> Option<&NodeStatus> {
    let servers = || status.nodes.iter().filter_map(|node| node.server.as_ref());
    let leader = servers().find(|server| Some(server.node) == status.leader);
    leader.or_else(|| servers().max_by_key(|server| (server.recent_terms.last().copied(), server.last_index)))
}

fn fault(fault: &Fault) -> FaultView {
    let seen =
        fault.proof.as_ref().map(|proof| format!("{}: {}", words::in_effect(proof.outcome), proof.seen.join("; ")));
    FaultView { id: fault.id, title: fault.title.clone(), seen, until_ns: fault.until_ns }
}

/// What is wrong with each link, whatever the faults that do it.
fn links(faults: &[Fault]) -> Vec<LinkView> {
    let mut wrong: BTreeMap<(NodeId, NodeId), (Vec<Effect>, BTreeSet<FaultId>)> = BTreeMap::new();
    for fault in faults {
        for (from, to, effect) in fault.on_links() {
            let (effects, ids) = wrong.entry((from, to)).or_default();
            effects.push(effect);
            ids.insert(fault.id);
        }
    }
    let view = |((from, to), (effects, faults)): (_, (Vec<Effect>, BTreeSet<FaultId>))| LinkView {
        from,
        to,
        is_cut: effects.contains(&Effect::CUT),
        effects,
        faults: faults.into_iter().collect(),
    };
    wrong.into_iter().map(view).collect()
}
