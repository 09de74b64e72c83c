//! Changes of the membership: a node is added, promoted or removed, process and all.
//!
//! Invariant: a change is driven from what the leader of the moment says, whoever that is, until it is committed and not
//! joint; so it survives the loss of leaders, and asking again for what is so already changes nothing. A node has a
//! process before the leader is told of it, and is stopped only after its removal is committed. What was begun is written
//! down before it is begun, so that the next daemon can say what became of it.
//!
//! Deliberately absent: what can never be (`fit.rs`), and the rules of what may follow what (`members.rs`, and in the
//! end the leader's own).

use std::io;
use std::sync::Arc;

use raftian_rpc::clock::monotonic_ns;
use raftian_rpc::connect::Http;
use raftian_rpc::control::{ControlClient, MemberChange, NodeStatus, PeerProgress};
use raftian_rpc::error::LabError;
use raftian_rpc::hint::{Hint, Note};
use raftian_rpc::lab::{Happening, MemberReport, MemberRequest, MemberVerb};
use raftian_rpc::selector::Selector;
use raftian_rpc::{Configuration, Index, NodeId};
use tokio::time::Instant;

use crate::fit::{Todo, check, meant, standing_in_words, unreachable_why};
use crate::lab::{Lab, closing, deadline};
use crate::members::{Next, margin, next};
use crate::node::Node;
use crate::observe::{View, no_nodes, one, resolve};
use crate::poll::may_look_again;

/// A membership that is as wanted.
struct Driven {
    configuration: Configuration,
    /// Where the last change that it took began; 0 if it took none.
    index: Option<Index>,
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
            index: None,
            after_ms: 0,
            leader: None,
            notes: Vec::new(),
        };
        // Looked at first: whoever asks may know of a member by what the leader has only just said.
        let led = self.view().await.leader.is_some_and(|(leader, _)| leader == node);
        let todo = check(&self.state(), verb, node)?;
        if todo == Todo::GoneAlready {
            // What a full disk or the end of a daemon has left of it goes now.
            self.dismiss(node, deadline).await?;
            return Ok(report);
        }
        let known = self.state().nodes.contains_key(&node);
        let driven = self.drive(verb, node, deadline, &mut report.notes).await?;
        report.changed = driven.index.is_some() || !known || verb == MemberVerb::Remove;
        (report.configuration, report.index) = (driven.configuration, driven.index);
        match verb {
            MemberVerb::Remove => {
                self.dismiss(node, deadline).await?;
                if led {
                    report.leader = self.await_leader(received_ns, deadline, &mut report.notes).await?;
                }
                report.notes.extend(margin(&report.configuration, &self.state().running()).map(Note::from));
                let faults: Vec<String> =
                    self.state().faults.concerning(node).iter().map(ToString::to_string).collect();
                if !faults.is_empty() {
                    let (faults, name) = (faults.join(","), node.name());
                    let text = format!("{faults} stays in force for the name {name}, and the node that has it next");
                    report.notes.push(Note::new(text).hint(Hint::Heal));
                }
                self.player_leaves(node, deadline, &mut report.notes).await;
            }
            MemberVerb::Add | MemberVerb::AddLearner | MemberVerb::Promote => {
                // Open since this call, or since one that gave up waiting.
                let was_open = self.change(|state| state.members.open.remove(&node)).is_some();
                self.save()?;
                let snapshot = driven.view.statuses.get(&node).map_or(0, |status| status.snapshot_index);
                if !known && snapshot > 0 {
                    report.notes.push(format!("{node} began from a snapshot of the first {snapshot} entries").into());
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
        if let Some(named) = selector.as_node() {
            return meant(&self.state(), verb, named);
        }
        if matches!(verb, MemberVerb::Add | MemberVerb::AddLearner) {
            let text = selector.to_string();
            let named = text.parse::<NodeId>().map_err(|why| LabError::usage(why.to_string()))?;
            return meant(&self.state(), verb, named);
        }
        let facts = self.facts(&[&selector]).await?;
        one(&resolve(selector, &facts, &mut self.random())?)
    }

    /// Asks the leader of the moment for what is missing, again and again, until nothing is.
    async fn drive(
        self: &Arc<Lab>,
        verb: MemberVerb,
        node: NodeId,
        deadline: Instant,
        notes: &mut Vec<Note>,
    ) -> Result<Driven, LabError> {
        let mut index = None;
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
                    Next::Wait(why) => why.into(),
                    Next::Ask(change) => {
                        if !std::mem::replace(&mut told, true) {
                            self.begin(verb, node, deadline, notes).await?;
                        }
                        match self.ask_if_fit(leader.node, change).await {
                            Ok(begun) => {
                                index = Some(begun);
                                format!("the change at index {begun} is not committed yet").into()
                            }
                            Err(why) => why.within(|why| why.to_owned() + &progress(leader, node)),
                        }
                    }
                },
            };
            if !may_look_again(deadline).await {
                return Err(LabError::timed_out(self.unfinished(verb, node, missing)));
            }
        }
    }

    /// Notes that a change begins, and sees that a node which is to be added runs.
    async fn begin(
        self: &Arc<Lab>,
        verb: MemberVerb,
        node: NodeId,
        deadline: Instant,
        notes: &mut Vec<Note>,
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
            // What one that could not be started may have left behind is not this one's.
            self.remove_folder(node).await?;
            self.change(|state| state.nodes.insert(node, Node::new(true)));
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
                    // Nobody has heard of it, so it can go without a trace. One that cannot be ended stays.
                    let gone = match self.kill_nodes(&[node].into()).await {
                        Ok(()) => self.forget(node, false).await,
                        stuck => stuck,
                    };
                    gone.map_err(|stuck| {
                        LabError::Failed(stuck.into_note().within(|stuck| format!("{error}; {stuck}")))
                    })?;
                }
                Err(error)
            }
        }
    }

    /// Asks a node that leads for a change; else says why it was not begun. A learner that is known to be out of reach
    /// is given no vote, for which the cluster would have to wait.
    async fn ask_if_fit(&self, leader: NodeId, change: MemberChange) -> Result<Index, Note> {
        if let MemberChange::Promote(node) = change {
            unreachable_why(&self.state(), leader, node).map_or(Ok(()), Err)?;
        }
        let begun = self.ask_leader(leader, async |leader: Http| leader.change(change).await).await?;
        Ok(begun.index)
    }

    /// That nobody leads, in words.
    ///
    /// # Errors
    /// Conflict when nobody can.
    pub(crate) fn no_leader(&self) -> Result<Note, LabError> {
        let state = self.state();
        if state.closing {
            return Err(closing());
        }
        match self.no_leader_possible(&state) {
            Some(why) => Err(LabError::Conflict(why.within(|why| {
                let why = why.trim_start_matches("no leader: ");
                format!("this takes a leader, and there can be none: {why}")
            }))),
            None => Ok("no node leads with a quorum".into()),
        }
    }

    /// What a time-out leaves behind, and how to go on.
    fn unfinished(&self, verb: MemberVerb, node: NodeId, missing: Note) -> Note {
        let standing = standing_in_words(self.state().members.standing(node));
        let note = missing.within(|missing| format!("not done in time: {missing}; {node} is {standing} now"));
        match verb {
            MemberVerb::Add => note.hint(Hint::AddMember { node, learner: false }).hint(Hint::RemoveMember { node }),
            MemberVerb::AddLearner => {
                note.hint(Hint::AddMember { node, learner: true }).hint(Hint::RemoveMember { node })
            }
            MemberVerb::Promote => note.hint(Hint::PromoteMember { node }),
            MemberVerb::Remove => note.hint(Hint::RemoveMember { node }),
        }
    }

    /// Ends a node that is no member any more, process and folder.
    pub(crate) async fn dismiss(self: &Arc<Lab>, node: NodeId, deadline: Instant) -> Result<(), LabError> {
        let _turn = self.turn(deadline).await.map_err(|error| match error {
            LabError::TimedOut(why) => LabError::TimedOut(
                why.within(|why| format!("{node} is no member any more, but its process could not be ended: {why}"))
                    .hint(Hint::RemoveMember { node }),
            ),
            other => other,
        })?;
        if self.state().nodes.contains_key(&node) {
            self.stop_nodes(&[node].into()).await?;
        }
        self.forget(node, true).await
    }

    /// Strikes a node without a process off the lab's list, and removes its folder.
    ///
    /// # Errors
    /// Failed for one with a process, which stays on the list until that has ended, and for what cannot be removed.
    async fn forget(self: &Arc<Lab>, node: NodeId, was_member: bool) -> Result<(), LabError> {
        self.change(|state| {
            if state.nodes.get(&node).is_some_and(|node| node.process.is_some()) {
                let why = format!("{node} still has a process, so it stays until that is ended");
                return Err(LabError::failed(why).hint(Hint::RemoveMember { node }));
            }
            state.nodes.remove(&node);
            state.members.open.remove(&node);
            if was_member {
                state.members.removed.insert(node);
            }
            state.faults.touch();
            Ok(())
        })?;
        // Written before the folder goes: a daemon must not find a node of its list without its log.
        self.save()?;
        self.push_network().await;
        self.remove_folder(node).await
    }

    /// Removes the folders that were left when nodes were removed. What cannot be removed is told.
    pub(crate) async fn sweep_removed(&self, notes: &mut Vec<Note>) {
        let left: Vec<NodeId> = {
            let state = self.state();
            let is_left = |node: &NodeId| state.members.removed.contains(node) && !state.nodes.contains_key(node);
            self.folder.nodes().into_iter().filter(is_left).collect()
        };
        for node in left {
            notes.push(match self.remove_folder(node).await {
                Ok(()) => format!("the folder of {node} is removed, which was left when {node} was").into(),
                Err(why) => why.into_note(),
            });
        }
    }

    async fn remove_folder(&self, node: NodeId) -> Result<(), LabError> {
        let folder = self.folder.node(node);
        let path = folder.clone();
        let removed = tokio::task::spawn_blocking(move || std::fs::remove_dir_all(path)).await;
        match removed.unwrap_or_else(|error| Err(io::Error::other(error))) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                let why = format!(
                    "the folder of {node}, {}, cannot be removed: {error}; remove it by hand, or give access and have the \
                     node removed again",
                    folder.display()
                );
                Err(LabError::failed(why).hint(Hint::RemoveMember { node }))
            }
            _ => Ok(()),
        }
    }
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
    use raftian_rpc::folder::LabFolder;
    use raftian_rpc::lab::NodeState;
    use raftian_rpc::secret::Secret;
    use raftian_supervise::{Launch, Process};

    use super::*;
    use crate::journal::Journal;
    use crate::metrics::Metrics;
    use crate::node::Running;

    fn n(number: u16) -> NodeId {
        NodeId::new(number).unwrap()
    }

    #[tokio::test]
    async fn a_node_with_a_process_is_not_forgotten() {
        let folder = std::env::temp_dir().join(format!("raftiand-forget-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let lab = Arc::new(Lab::new(
            "test".into(),
            LabFolder::at(&folder),
            Secret::generate().unwrap(),
            "/nowhere/raftian-node".into(),
            Journal::open(&folder.join("events.jsonl")).unwrap(),
            Metrics::new().unwrap(),
            None,
        ));
        let mut node = Node::new(true);
        let (seats, log) = ([node.seat(n(6)).unwrap()], folder.join("stderr.log"));
        // It ends with its standard input.
        let launch = Launch { program: "cat".as_ref(), line: b"x\n", seats: &seats, log: &log, environment: &[] };
        let process = Process::spawn(&launch).unwrap();
        node.spawned(Running { group: process.group().clone(), intent: None });
        lab.change(|state| state.nodes.insert(n(6), node));
        let why = lab.forget(n(6), false).await.unwrap_err().into_note();
        assert!(why.text.contains("n6 still has a process"), "{why}");
        assert_eq!(why.hints, [Hint::RemoveMember { node: n(6) }]);
        // Whoever watches the process takes note of its end, and then it can go.
        lab.change(|state| state.nodes.get_mut(&n(6)).unwrap().ended(NodeState::Killed, "killed".into()));
        assert_eq!(lab.forget(n(6), false).await, Ok(()));
        assert!(lab.state().nodes.is_empty());
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
