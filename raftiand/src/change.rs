//! Changes of the membership: a node is added, promoted or removed, process and all.
//!
//! Invariant: a change is driven from what the leader of the moment says, whoever that is, until it is committed and not
//! joint; so it survives the loss of leaders, and asking again for what is so already changes nothing. A node has a
//! process before the leader is told of it, and is stopped only after its removal is committed. What was begun is written
//! down before it is begun, so that the next daemon can say what became of it.
//!
//! Deliberately absent: the rules of what may follow what (`members.rs`, and in the end the leader's own).

use std::io;
use std::sync::Arc;
use std::time::Duration;

use raftian_rpc::clock::monotonic_ns;
use raftian_rpc::control::{self, ControlClient, MemberChange, NodeStatus, PeerProgress};
use raftian_rpc::error::{LabError, NodeError};
use raftian_rpc::lab::{Happening, MemberReport, MemberRequest, MemberVerb, NodeState};
use raftian_rpc::selector::{Selector, names};
use raftian_rpc::{Configuration, Index, MAX_NODES, NodeId};
use tokio::time::Instant;

use crate::lab::{Lab, State, closing, deadline};
use crate::members::{Next, margin, next};
use crate::node::Node;
use crate::observe::{View, in_words, no_nodes, one, resolve};
use crate::verbs::hopeless;

/// How often the leader is asked how far a change is. It tells by itself only that it has begun.
pub(crate) const INTERVAL: Duration = Duration::from_millis(20);

/// How long a node may take to answer a request to its leader.
pub(crate) const PATIENCE: Duration = Duration::from_secs(2);

/// A membership that is as wanted.
struct Driven {
    configuration: Configuration,
    /// Where the last change that it took began; 0 if it took none.
    index: Index,
    view: View,
}

impl Lab {
    /// Adds, promotes or removes a member.
    ///
    /// # Errors
    /// Usage and Conflict for what can never be, TimedOut with what is missing, Failed when a process does not come up
    /// or does not end.
    pub(crate) async fn member(self: &Arc<Lab>, request: MemberRequest) -> Result<MemberReport, LabError> {
        let (began, received_ns) = (Instant::now(), monotonic_ns());
        let deadline = deadline(request.timeout_ms)?;
        let verb = request.verb;
        let _turn = self.member_turn(deadline).await?;
        let node = self.the_node(verb, request.node).await?;
        let mut report = MemberReport {
            verb,
            node,
            changed: false,
            configuration: self.state().members.configuration().ok_or_else(no_nodes)?.clone(),
            index: 0,
            after_ms: 0,
            leader: None,
            notes: Vec::new(),
        };
        if check(&self.state(), verb, node)? == Todo::GoneAlready {
            return Ok(report);
        }
        let led = self.view().await.leader.is_some_and(|(leader, _)| leader == node);
        let known = self.state().nodes.contains_key(&node);
        let driven = self.drive(verb, node, deadline, &mut report.notes).await?;
        report.changed = driven.index > 0 || !known || verb == MemberVerb::Remove;
        (report.configuration, report.index) = (driven.configuration, driven.index);
        match verb {
            MemberVerb::Remove => {
                self.dismiss(node, deadline).await?;
                if led {
                    report.leader = self.await_leader(received_ns, deadline, &mut report.notes).await?;
                }
                report.notes.extend(margin(&report.configuration, &self.state().running()));
                self.player_leaves(node, deadline, &mut report.notes).await;
            }
            MemberVerb::Add | MemberVerb::AddLearner | MemberVerb::Promote => {
                // Open since this call, or since one that gave up waiting.
                let was_open = self.change(|state| state.members.open.remove(&node)).is_some();
                self.save()?;
                let snapshot = driven.view.statuses.get(&node).map_or(0, |status| status.snapshot_index);
                if !known && snapshot > 0 {
                    report.notes.push(format!("{node} began from a snapshot of the first {snapshot} entries"));
                }
                if was_open && verb != MemberVerb::Promote {
                    self.player_joins(node, deadline, &mut report.notes).await;
                }
            }
        }
        report.after_ms = began.elapsed().as_millis() as u64;
        Ok(report)
    }

    /// The node that is meant.
    async fn the_node(&self, verb: MemberVerb, selector: Selector) -> Result<NodeId, LabError> {
        if let Some(node) = selector.as_node() {
            return Ok(node);
        }
        if matches!(verb, MemberVerb::Add | MemberVerb::AddLearner) {
            let why = format!("`{selector}` does not name a node that could be added; give it a name, for instance n6");
            return Err(LabError::Usage(why));
        }
        let facts = self.facts(&[&selector]).await?;
        one(&resolve(selector, &facts, &mut self.luck())?)
    }

    /// Asks the leader of the moment for what is missing, again and again, until nothing is.
    async fn drive(
        self: &Arc<Lab>,
        verb: MemberVerb,
        node: NodeId,
        deadline: Instant,
        notes: &mut Vec<String>,
    ) -> Result<Driven, LabError> {
        let mut index = 0;
        let mut told = false;
        loop {
            let view = self.view().await;
            let missing = match view.leading() {
                None => self.no_leader()?,
                Some((leader, membership)) => match next(verb, node, membership) {
                    Next::Done => {
                        let configuration = membership.configuration.clone();
                        return Ok(Driven { configuration, index, view });
                    }
                    Next::Refuse(why) => return Err(why),
                    Next::Wait(why) => why,
                    Next::Ask(change) => {
                        if !std::mem::replace(&mut told, true) {
                            self.begin(verb, node, deadline, notes).await?;
                        }
                        match self.ask_if_fit(leader.node, change).await {
                            Ok(begun) => {
                                index = begun;
                                format!("the change at index {begun} is not committed yet")
                            }
                            Err(why) => why + &progress(leader, node),
                        }
                    }
                },
            };
            if Instant::now() + INTERVAL > deadline {
                return Err(LabError::TimedOut(self.unfinished(verb, node, &missing)));
            }
            tokio::time::sleep(INTERVAL).await;
        }
    }

    /// Notes that a change begins, and sees that a node which is to be added runs.
    async fn begin(
        self: &Arc<Lab>,
        verb: MemberVerb,
        node: NodeId,
        deadline: Instant,
        notes: &mut Vec<String>,
    ) -> Result<(), LabError> {
        self.journal.record(Happening::MemberChanging { verb, node });
        self.change(|state| state.members.open.insert(node, verb));
        if verb == MemberVerb::Remove {
            return self.save();
        }
        let _turn = self.turn(deadline).await?;
        let (is_new, is_dead) = {
            let state = self.state();
            let known = state.nodes.get(&node);
            (known.is_none(), known.is_none_or(|node| node.process.is_none()))
        };
        if is_new {
            // What a removed node of that name may have left behind is not this one's.
            self.remove_folder(node).await?;
            self.change(|state| {
                state.nodes.insert(node, Node::new(true));
                state.members.removed.remove(&node);
            });
        }
        if !is_dead {
            return self.save();
        }
        match self.start_nodes(&[node].into(), deadline).await {
            Ok(new) => {
                notes.extend(new);
                Ok(())
            }
            Err(error) => {
                if is_new {
                    // Nobody has heard of it, so it can go without a trace.
                    let _ = self.kill_nodes(&[node].into()).await;
                    self.forget(node, false).await?;
                }
                Err(error)
            }
        }
    }

    /// Asks a node that leads for a change; else says why it was not begun. A learner that is known to be out of reach
    /// is given no vote, for which the cluster would have to wait.
    async fn ask_if_fit(&self, leader: NodeId, change: MemberChange) -> Result<Index, String> {
        if let MemberChange::Promote(node) = change {
            unreachable_why(&self.state(), leader, node).map_or(Ok(()), Err)?;
        }
        let client = self.state().nodes.get(&leader).and_then(|node| node.client.clone());
        let client = client.ok_or_else(|| format!("{leader} has just gone"))?;
        match tokio::time::timeout(PATIENCE, client.change(change)).await {
            Ok(Ok(begun)) => Ok(begun.index),
            Ok(Err(error)) => Err(NodeError::from_client(&error).map_or_else(|| error.to_string(), |e| e.to_string())),
            Err(_) => Err(format!("the leader {leader} did not answer within {} s", PATIENCE.as_secs())),
        }
    }

    /// That nobody leads, in words.
    ///
    /// # Errors
    /// Conflict when nobody can.
    pub(crate) fn no_leader(&self) -> Result<String, LabError> {
        let state = self.state();
        if state.closing {
            return Err(closing());
        }
        match hopeless(&state) {
            Some(why) => Err(LabError::Conflict(format!("this takes a leader, and there can be none: {why}"))),
            None => Ok("no node leads with a quorum".into()),
        }
    }

    /// What a time-out leaves behind, and how to go on.
    fn unfinished(&self, verb: MemberVerb, node: NodeId, missing: &str) -> String {
        let standing = match self.state().members.standing(node) {
            Some(control::Standing::Voter) => format!("{node} is a voter"),
            Some(control::Standing::Learner) => format!("{node} is a learner"),
            Some(control::Standing::Leaving) => format!("{node} is leaving"),
            None => format!("{node} is no member"),
        };
        let again = match verb {
            MemberVerb::Add => {
                format!("`raftianctl member add {node}` goes on, `raftianctl member remove {node}` ends it")
            }
            MemberVerb::AddLearner => {
                format!("`raftianctl member add {node} --learner` goes on, `raftianctl member remove {node}` ends it")
            }
            MemberVerb::Promote => format!("`raftianctl member promote {node}` goes on"),
            MemberVerb::Remove => format!("`raftianctl member remove {node}` goes on"),
        };
        format!("not done in time: {missing}; {standing} now, and {again}")
    }

    /// Ends a node that is no member any more, process and folder.
    pub(crate) async fn dismiss(self: &Arc<Lab>, node: NodeId, deadline: Instant) -> Result<(), LabError> {
        let _turn = self.turn(deadline).await.map_err(|error| match error {
            LabError::TimedOut(why) => LabError::TimedOut(format!(
                "{node} is no member any more, but its process could not be ended: {why} (`raftianctl member remove \
                 {node}`)"
            )),
            other => other,
        })?;
        if self.state().nodes.contains_key(&node) {
            self.stop_nodes(&[node].into()).await?;
        }
        self.forget(node, true).await
    }

    /// Strikes a node without a process off the lab's list, and removes its folder.
    async fn forget(self: &Arc<Lab>, node: NodeId, was_member: bool) -> Result<(), LabError> {
        self.change(|state| {
            state.nodes.remove(&node);
            state.members.open.remove(&node);
            if was_member {
                state.members.removed.insert(node);
            }
            state.faults.touch();
        });
        // Written before the folder goes: a daemon must not find a node of its list without its log.
        self.save()?;
        self.push_network().await;
        self.remove_folder(node).await
    }

    async fn remove_folder(&self, node: NodeId) -> Result<(), LabError> {
        let folder = self.folder.node(node);
        let path = folder.clone();
        let removed = tokio::task::spawn_blocking(move || std::fs::remove_dir_all(path)).await;
        match removed.unwrap_or_else(|error| Err(io::Error::other(error))) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(LabError::Failed(format!(
                "the folder of {node}, {}, cannot be removed: {error}; remove it by hand, or {node} cannot be added again",
                folder.display()
            ))),
            _ => Ok(()),
        }
    }
}

/// Whether there is anything to do about a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Todo {
    /// There is something to look at.
    Open,
    /// It was removed before.
    GoneAlready,
}

/// Refuses what makes no sense, whatever the leader says.
fn check(state: &State, verb: MemberVerb, node: NodeId) -> Result<Todo, LabError> {
    let Some(known) = state.nodes.get(&node) else {
        let adds = matches!(verb, MemberVerb::Add | MemberVerb::AddLearner);
        return match verb {
            _ if adds && state.nodes.len() >= usize::from(MAX_NODES) => {
                Err(LabError::Conflict(format!("this lab has {MAX_NODES} nodes already, the most a lab may have")))
            }
            _ if adds => Ok(Todo::Open),
            MemberVerb::Remove if state.members.removed.contains(&node) => Ok(Todo::GoneAlready),
            _ => Err(LabError::Usage(format!(
                "there is no node {node}; this lab has {}{}",
                names(&state.ids()),
                if verb == MemberVerb::Promote {
                    format!("; `raftianctl member add {node}` adds it")
                } else {
                    String::new()
                }
            ))),
        };
    };
    match (verb, known.state) {
        (MemberVerb::Add | MemberVerb::AddLearner | MemberVerb::Promote, NodeState::Paused) => {
            Err(LabError::Conflict(format!("{node} is paused; `raftianctl resume {node}` first")))
        }
        (MemberVerb::Promote, NodeState::Stopped | NodeState::Killed | NodeState::Failed) => {
            let is = in_words(known.state);
            Err(LabError::Conflict(format!("{node} is {is}; `raftianctl restart {node}` first")))
        }
        _ => Ok(Todo::Open),
    }
}

/// Why a leader does not reach a node, if the daemon knows that it does not.
fn unreachable_why(state: &State, leader: NodeId, node: NodeId) -> Option<String> {
    let is = state.nodes.get(&node).map_or("gone", |node| match node.state {
        NodeState::Running => "running",
        other => in_words(other),
    });
    if is != "running" {
        return Some(format!("{node} is {is}"));
    }
    let cut = state.faults.cut_links();
    let is_cut = cut.contains(&(leader, node)) || cut.contains(&(node, leader));
    is_cut.then(|| format!("the link between {leader} and {node} is cut; `raftianctl heal` mends it"))
}

/// How far a node is behind its leader, in words that follow others.
pub(crate) fn progress(leader: &NodeStatus, node: NodeId) -> String {
    match leader.peers.iter().find(|peer| peer.node == node) {
        Some(PeerProgress { snapshot_bytes: Some((has, all)), .. }) => {
            format!(" (it has {has} of {all} bytes of the leader's snapshot)")
        }
        Some(PeerProgress { match_index, .. }) => {
            format!(" (it has {match_index} of {} entries)", leader.last_index)
        }
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn n(number: u16) -> NodeId {
        NodeId::new(number).unwrap()
    }

    fn lab(nodes: u16) -> State {
        let mut state = State { members: crate::members::Members::first(nodes), ..State::default() };
        state.nodes = NodeId::first(nodes).map(|id| (id, Node::new(false))).collect();
        state
    }

    #[test]
    fn what_can_never_be_is_refused_before_anything_is_done() {
        let mut state = lab(3);
        let refused = |state: &State, verb, node| check(state, verb, n(node)).unwrap_err().to_string();
        assert!(refused(&state, MemberVerb::Remove, 9).contains("there is no node n9; this lab has n1,n2,n3"));
        assert!(refused(&state, MemberVerb::Promote, 4).contains("`raftianctl member add n4`"));
        state.nodes.get_mut(&n(2)).unwrap().state = NodeState::Paused;
        assert!(refused(&state, MemberVerb::Promote, 2).contains("`raftianctl resume n2`"));
        state.nodes.get_mut(&n(2)).unwrap().state = NodeState::Killed;
        assert!(refused(&state, MemberVerb::Promote, 2).contains("n2 is killed"));
        assert_eq!(check(&state, MemberVerb::Remove, n(2)), Ok(Todo::Open), "the dead can be removed");
        assert!(refused(&lab(MAX_NODES), MemberVerb::Add, MAX_NODES + 1).contains("64 nodes already"));
        state.members.removed.insert(n(9));
        assert_eq!(check(&state, MemberVerb::Remove, n(9)), Ok(Todo::GoneAlready));
        assert_eq!(check(&state, MemberVerb::Add, n(9)), Ok(Todo::Open), "a name can be used again");
    }

    #[test]
    fn who_is_out_of_reach_is_known_by_its_process_and_its_links() {
        let mut state = lab(2);
        assert_eq!(unreachable_why(&state, n(1), n(2)).as_deref(), Some("n2 is stopped"));
        state.nodes.get_mut(&n(2)).unwrap().state = NodeState::Running;
        assert_eq!(unreachable_why(&state, n(1), n(2)), None);
        state.faults.add("cut".into(), raftian_rpc::faults::Effect::CUT, vec![(n(2), n(1))], 0, None);
        assert!(unreachable_why(&state, n(1), n(2)).unwrap().contains("`raftianctl heal`"));
    }
}
