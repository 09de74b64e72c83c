//! How a view is made of a status.

use std::collections::{BTreeMap, BTreeSet};

use raftian_rpc::control::{NodeStatus, Standing};
use raftian_rpc::faults::Effect;
use raftian_rpc::lab::{Fault, FaultId, LabStatus, NodeReport, NodeState};
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

impl NodeView {
    /// What a face shows of this node. `reference` is the log that others are compared with.
    fn of(report: &NodeReport, leader: Option<NodeId>, reference: Option<&Tail>) -> NodeView {
        let known = report.server.as_ref().or(report.last.as_ref());
        let number = |of: fn(&NodeStatus) -> u64| known.map_or(0, of);
        let tail = known.map(Tail::of).unwrap_or_default();
        NodeView {
            node: report.node,
            state: report.state,
            is_silent: report.state == NodeState::Running && report.server.is_none(),
            reason: report.reason.clone(),
            standing: report.standing,
            role: known.map(|server| Role::of(report, server.role, leader)),
            is_old: report.server.is_none(),
            term: number(|server| server.term),
            knows: known.and_then(|server| server.leader),
            election_in_ms: report.server.as_ref().and_then(|server| server.election_in_ms),
            snapshot_index: number(|server| server.snapshot_index),
            last_index: number(|server| server.last_index),
            commit_index: number(|server| server.commit_index),
            last_applied: number(|server| server.last_applied),
            differs_at: reference.and_then(|reference| tail.differs_from(reference)),
            tail,
            digest: known.map(|server| server.digest.clone()).unwrap_or_default(),
            app_state: known.map(|server| server.state.clone()).unwrap_or_default(),
            usage: report.usage,
            address: report.address,
            sync_us: number(|server| server.disk.sync_us),
            fps: report.server.as_ref().and_then(|server| Some(server.game.as_ref()?.fps)),
            faults: known.map_or_else(Vec::new, |server| server.faults.iter().map(|seen| seen.fault.id).collect()),
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
            (Some(Standing::Voter), RoleKind::Follower) => Role::Follower,
            (Some(Standing::Voter), RoleKind::PreCandidate) => Role::PreCandidate,
            (Some(Standing::Voter), RoleKind::Candidate) => Role::Candidate,
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
