//! Waiting for a condition on the whole lab.
//!
//! Invariant: whether a condition holds, and what is missing if not, is one pure function of what the nodes say; so a
//! time-out can always name what it waited for.

use std::collections::BTreeMap;

use raftian_rpc::clock::monotonic_ns;
use raftian_rpc::condition::Condition;
use raftian_rpc::control::NodeStatus;
use raftian_rpc::error::LabError;
use raftian_rpc::hint::Note;
use raftian_rpc::lab::{NodeState, WaitReport};
use raftian_rpc::selector::names;
use raftian_rpc::{Configuration, Index, NodeId, Term};
use tokio::time::Instant;

use crate::lab::{Lab, closing, deadline};
use crate::observe::{View, no_nodes};
use crate::poll::may_look_again;

/// Everything a condition can depend on.
struct Scene {
    view: View,
    /// The state of every node, with the time of the last change of its role that it told of.
    nodes: BTreeMap<NodeId, (NodeState, Option<u64>)>,
    members: Configuration,
    election_max_ms: u64,
    now_ns: u64,
}

impl Lab {
    /// Waits until a condition holds.
    ///
    /// # Errors
    /// Conflict when the lab has no nodes or is being stopped, TimedOut with what is missing.
    pub(crate) async fn wait(&self, condition: Condition, timeout_ms: u64) -> Result<WaitReport, LabError> {
        let started = Instant::now();
        let deadline = deadline(timeout_ms)?;
        let mut waits = false;
        loop {
            let scene = self.scene().await?;
            let missing = match scene.holds(condition) {
                Ok((leader, term, commit_index)) => {
                    // What is so at the first look took no time, however long the look did.
                    let after_ms = if waits { started.elapsed().as_millis() as u64 } else { 0 };
                    return Ok(WaitReport { condition, after_ms, leader: Some(leader), term, commit_index });
                }
                Err(missing) => missing,
            };
            waits = true;
            if !may_look_again(deadline).await {
                return Err(LabError::TimedOut(self.not_so(condition, timeout_ms, missing).await));
            }
        }
    }

    /// That a condition did not come true: what is missing, and why, as far as something is wrong.
    async fn not_so(&self, condition: Condition, timeout_ms: u64, missing: Option<String>) -> Note {
        let status = self.status().await;
        let not_so = format!("`{condition}` did not come true in {timeout_ms} ms");
        let (start, hints) = match missing {
            // The reason line says why no node leads.
            None => (format!("{not_so}; {}", status.reasons[0]), status.reasons[0].hints.clone()),
            Some(missing) => (format!("{not_so}: {missing}"), Vec::new()),
        };
        let disks = status.nodes.iter().filter_map(|node| raftian_why::disk_trouble(node.server.as_ref()?));
        let texts: Vec<String> = std::iter::once(start).chain(disks.map(|disk| disk.text)).collect();
        Note { text: texts.join("; "), hints }
    }

    async fn scene(&self) -> Result<Scene, LabError> {
        let view = self.view().await;
        let state = self.state();
        if state.closing {
            return Err(closing());
        }
        let members = state.members.configuration().ok_or_else(no_nodes)?.clone();
        let nodes = state.nodes.iter().map(|(id, node)| (*id, (node.state, node.role.map(|role| role.since_ns))));
        let nodes = nodes.collect();
        Ok(Scene { view, nodes, members, election_max_ms: state.election_max_ms(), now_ns: monotonic_ns() })
    }
}

impl Scene {
    /// The leader, its term and its commitIndex if the condition holds; else what is missing, `None` for a leader.
    fn holds(&self, condition: Condition) -> Result<(NodeId, Term, Index), Option<String>> {
        let (leader, term) = self.view.leader.ok_or(None)?;
        let commit_index = self.view.statuses[&leader].commit_index;
        match condition {
            Condition::Leader => {}
            Condition::Commit(index) if commit_index >= index => {}
            Condition::Commit(index) => {
                return Err(Some(format!("the leader {leader} has committed {commit_index} of {index} entries")));
            }
            Condition::Stable => self.stable(leader, term)?,
            Condition::Converged => {
                self.stable(leader, term)?;
                self.converged(leader)?;
            }
        }
        Ok((leader, term, commit_index))
    }

    /// The members in one state. A node on its way in or out follows nobody, and nobody waits for it.
    fn in_state(&self, wanted: NodeState) -> Vec<NodeId> {
        let members = self.nodes.iter().filter(|(id, _)| self.members.contains(**id));
        members.filter(|(_, (state, _))| *state == wanted).map(|(id, _)| *id).collect()
    }

    /// Every running node follows the leader, and has done so for an election time-out.
    fn stable(&self, leader: NodeId, term: Term) -> Result<(), String> {
        let starting = self.in_state(NodeState::Starting);
        if !starting.is_empty() {
            return Err(format!("{} has not reported ready", names(&starting)));
        }
        for id in self.in_state(NodeState::Running) {
            let status = self.status(id)?;
            if (status.leader, status.term) != (Some(leader), term) {
                let follows = status.leader.map_or("no leader".into(), |leader| leader.to_string());
                return Err(format!(
                    "{id} follows {follows} (term {}); the leader is {leader} (term {term})",
                    status.term
                ));
            }
            let since_ns = self.nodes[&id].1.ok_or_else(|| format!("{id} has not told its role"))?;
            let held_ms = self.now_ns.saturating_sub(since_ns) / 1_000_000;
            if held_ms < self.election_max_ms {
                let needed = self.election_max_ms;
                return Err(format!("{id} has followed {leader} for {held_ms} of {needed} ms"));
            }
        }
        Ok(())
    }

    /// Every running node has applied all that the leader has committed, to the same effect.
    fn converged(&self, leader: NodeId) -> Result<(), String> {
        let target = self.status(leader)?;
        for id in self.in_state(NodeState::Running) {
            let status = self.status(id)?;
            if status.last_applied != target.commit_index {
                return Err(format!("{id} is at {} of {} applied", status.last_applied, target.commit_index));
            }
            if status.digest != target.digest {
                let index = status.last_applied;
                return Err(format!("{id} and {leader} have different digests at index {index}, which must never be"));
            }
        }
        Ok(())
    }

    fn status(&self, id: NodeId) -> Result<&NodeStatus, String> {
        self.view.statuses.get(&id).ok_or_else(|| format!("{id} runs but does not answer"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::leader_of;
    use raftian_rpc::RoleKind;
    use raftian_rpc::control::{ClockReading, Counters, DiskStatus};

    fn status(number: u16, term: Term, leader: Option<u16>, applied: Index) -> NodeStatus {
        let leads = leader == Some(number);
        NodeStatus {
            election_in_ms: None,
            recent_terms: Vec::new(),
            node: NodeId::new(number).unwrap(),
            pid: 1,
            role: if leads { RoleKind::Leader } else { RoleKind::Follower },
            term,
            leader: leader.and_then(NodeId::new),
            quorum_contact_ms: leads.then_some(10),
            membership: None,
            transfer: None,
            peers: Vec::new(),
            snapshot_index: 0,
            first_index: 1,
            last_index: 120,
            commit_index: 120,
            last_applied: applied,
            digest: format!("d{applied}"),
            state: serde_json::Value::Null,
            network_version: 1,
            disk: DiskStatus::default(),
            clock: ClockReading::default(),
            faults: Vec::new(),
            counters: Counters::default(),
            game: None,
        }
    }

    fn scene(statuses: Vec<NodeStatus>) -> Scene {
        let statuses: BTreeMap<_, _> = statuses.into_iter().map(|status| (status.node, status)).collect();
        let nodes = NodeId::first(3).map(|id| (id, (NodeState::Running, Some(1_000_000_000)))).collect();
        let leader = leader_of(statuses.values(), 300);
        let members = Configuration::new(NodeId::first(3)).unwrap();
        Scene { view: View { statuses, leader }, nodes, members, election_max_ms: 300, now_ns: 2_000_000_000 }
    }

    fn healthy() -> Scene {
        scene(vec![status(1, 4, Some(1), 120), status(2, 4, Some(1), 120), status(3, 4, Some(1), 120)])
    }

    #[test]
    fn a_healthy_lab_meets_every_condition() {
        for condition in [Condition::Leader, Condition::Stable, Condition::Converged, Condition::Commit(120)] {
            assert_eq!(healthy().holds(condition), Ok((NodeId::new(1).unwrap(), 4, 120)), "{condition}");
        }
    }

    #[test]
    fn what_is_missing_has_a_name() {
        let missing = |scene: &Scene, condition| scene.holds(condition).unwrap_err().unwrap();
        let lagging = scene(vec![status(1, 4, Some(1), 120), status(2, 4, Some(1), 120), status(3, 4, Some(1), 118)]);
        assert_eq!(missing(&lagging, Condition::Converged), "n3 is at 118 of 120 applied");
        assert_eq!(missing(&lagging, Condition::Commit(121)), "the leader n1 has committed 120 of 121 entries");
        let behind = scene(vec![status(1, 4, Some(1), 120), status(2, 4, Some(1), 120), status(3, 3, None, 120)]);
        assert_eq!(missing(&behind, Condition::Stable), "n3 follows no leader (term 3); the leader is n1 (term 4)");
        let silent = scene(vec![status(1, 4, Some(1), 120), status(2, 4, Some(1), 120)]);
        assert_eq!(missing(&silent, Condition::Stable), "n3 runs but does not answer");
        let mut fresh = healthy();
        fresh.now_ns = 1_100_000_000;
        assert_eq!(missing(&fresh, Condition::Stable), "n1 has followed n1 for 100 of 300 ms");
        let mut split = healthy();
        split.view.statuses.get_mut(&NodeId::new(2).unwrap()).unwrap().digest = "other".into();
        assert!(missing(&split, Condition::Converged).contains("must never be"));
    }

    #[test]
    fn a_node_that_is_no_member_is_not_waited_for() {
        let mut joining = healthy();
        joining.nodes.insert(NodeId::new(4).unwrap(), (NodeState::Running, None));
        assert!(joining.holds(Condition::Converged).is_ok());
        joining.members = Configuration::new(NodeId::first(4)).unwrap();
        assert_eq!(joining.holds(Condition::Converged), Err(Some("n4 runs but does not answer".into())));
    }

    #[test]
    fn a_deposed_leader_with_an_old_quorum_does_not_lead() {
        let mut old = status(1, 4, Some(1), 120);
        old.quorum_contact_ms = Some(301);
        assert_eq!(scene(vec![old.clone()]).view.leader, None);
        old.quorum_contact_ms = Some(300);
        let both = scene(vec![old, status(2, 5, Some(2), 120)]);
        assert_eq!(both.view.leader, NodeId::new(2).map(|id| (id, 5)));
    }
}
