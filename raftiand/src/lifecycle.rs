//! Starting and ending processes, many at once: what `start`, `stop` and the verbs for nodes are made of.
//!
//! Invariant: everything here happens in the caller's turn. What is said to be up has reported ready and confirmed the
//! network; what is said to be gone has been reaped.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use raftian_rpc::NodeId;
use raftian_rpc::clock::monotonic_ns;
use raftian_rpc::connect::Http;
use raftian_rpc::control::ControlClient as _;
use raftian_rpc::error::LabError;
use raftian_rpc::hint::Note;
use raftian_rpc::host_event::HostEvent;
use raftian_rpc::lab::{Event, Happening, NodeState};
use raftian_rpc::selector::names;
use rustix::process::Signal;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::lab::{Lab, State};
use crate::node::Intent;
use crate::node_process;

/// How long a node may take to leave when it is asked to.
const GRACE: Duration = Duration::from_secs(5);

/// How long the kernel may take to end a process that was killed. Only a process stuck in the kernel takes longer.
const REAP: Duration = Duration::from_secs(5);

/// How long a resumed node is given to receive the latest network before it runs on.
const DELIVERY: Duration = Duration::from_millis(20);

impl Lab {
    /// Starts nodes that have no process, and returns what people should know about it.
    ///
    /// # Errors
    /// TimedOut or Failed, naming each node that did not come up and why. The others stay up.
    pub(crate) async fn start_nodes(
        self: &Arc<Lab>,
        ids: &BTreeSet<NodeId>,
        deadline: Instant,
    ) -> Result<Vec<Note>, LabError> {
        let mut notes = Vec::new();
        self.spawn_all(ids);
        // Written before anything is waited for, so that the next daemon knows the processes should this one die. If
        // it cannot be written, the attempt at the end tells.
        let _ = self.save();
        let late = self.reported(ids, deadline).await;
        self.give_up_on(&late).await;
        self.change(|state| state.faults.touch());
        let confirmed = self.push_network().await;
        for (id, node) in self.state().nodes.iter_mut().filter(|(id, _)| ids.contains(id)) {
            if let (Some(before), Some(now)) = (node.moved_from.take(), node.address()) {
                notes.push(format!("port {before} of {id} was in use; it listens on {} now", now.port()).into());
            }
            notes.extend(node.torn_tail.as_ref().map(|cut| format!("{id} cut a torn log tail: {cut}").into()));
        }
        self.all_up(ids, &late, &confirmed)?;
        self.save().map(|()| notes)
    }

    /// Ends the processes of these nodes as a crash would, and waits until they are gone.
    ///
    /// # Errors
    /// Failed when the kernel does not end one of them.
    pub(crate) async fn kill_nodes(&self, ids: &BTreeSet<NodeId>) -> Result<(), LabError> {
        self.kill_all(ids, Intent::Kill);
        self.gone(ids, Instant::now() + REAP).await.map_err(stuck)
    }

    /// Has these running nodes discard what is known not to be synced and end at once, and waits until they are gone: what a
    /// person should know.
    ///
    /// # Errors
    /// Failed when the kernel does not end one of them.
    pub(crate) async fn cut_power(&self, ids: &BTreeSet<NodeId>) -> Result<Vec<Note>, LabError> {
        self.intend(ids, Intent::Kill);
        let began_ns = monotonic_ns();
        let clients: Vec<Http> = {
            let state = self.state();
            ids.iter().filter_map(|id| state.nodes[id].client.clone()).collect()
        };
        let calls: JoinSet<()> = clients
            .into_iter()
            .map(|client| async move {
                // No answer comes from a node that is gone.
                drop(tokio::time::timeout(REAP, client.power_loss()).await);
            })
            .collect();
        calls.join_all().await;
        // One that did not hear of it is killed, and has lost nothing.
        self.signal_all(ids, Signal::KILL);
        self.gone(ids, Instant::now() + REAP).await.map_err(stuck)?;
        let lost = |event: &Event| match event.what {
            Happening::Host { node, event: HostEvent::PowerLost { discarded_bytes } } if event.at_ns >= began_ns => {
                Some((node, discarded_bytes))
            }
            _ => None,
        };
        let lost: BTreeMap<NodeId, u64> = self.journal.read(|events| events.iter().filter_map(lost).collect());
        let told = ids.iter().map(|id| match lost.get(id) {
            Some(0) => format!("{id} lost nothing: all that it had written was synced, as far as is known"),
            Some(bytes) => format!("{id} lost {} that were not synced", raftian_why::words::bytes(*bytes)),
            None => format!("{id} did not hear of it, and was killed: it has what it had written"),
        });
        Ok(told.map(Note::from).collect())
    }

    /// Asks these nodes to leave, paused or not, waits until they are gone, and returns those that had to be killed.
    ///
    /// # Errors
    /// Failed when the kernel does not end one of them.
    pub(crate) async fn stop_nodes(&self, ids: &BTreeSet<NodeId>) -> Result<BTreeSet<NodeId>, LabError> {
        // The last chance to hear what their disks hold.
        self.look_at_logs().await;
        self.intend(ids, Intent::Stop);
        {
            let state = self.state();
            ids.iter().for_each(|id| state.nodes[id].ask_to_leave());
        }
        let Err(stubborn) = self.gone(ids, Instant::now() + GRACE).await else { return Ok(BTreeSet::new()) };
        self.kill_all(&stubborn, Intent::StopByForce);
        self.gone(&stubborn, Instant::now() + REAP).await.map_err(stuck)?;
        Ok(stubborn)
    }

    /// Stops these running nodes in their tracks, and waits until every thread of them stands still.
    ///
    /// # Errors
    /// TimedOut when one of them does not.
    pub(crate) async fn pause_nodes(&self, ids: &BTreeSet<NodeId>, deadline: Instant) -> Result<(), LabError> {
        self.signal_all(ids, Signal::STOP);
        self.standing(ids, true, deadline).await?;
        self.mark(ids, NodeState::Running, NodeState::Paused);
        ids.iter().for_each(|id| self.journal.record(Happening::NodePaused { node: *id }));
        Ok(())
    }

    /// Lets these paused nodes run on, and waits until they do and know the latest network.
    ///
    /// # Errors
    /// TimedOut when one of them does not run on.
    pub(crate) async fn resume_nodes(
        self: &Arc<Lab>,
        ids: &BTreeSet<NodeId>,
        deadline: Instant,
    ) -> Result<(), LabError> {
        // A paused node cannot answer, but the kernel takes requests in for it. The call goes out before the signal,
        // so that the network is among the first things that the node reads.
        let mut push = {
            let (lab, ids) = (Arc::clone(self), ids.clone());
            tokio::spawn(async move { lab.push_to(ids).await })
        };
        let early = tokio::time::timeout(DELIVERY, &mut push).await;
        self.signal_all(ids, Signal::CONT);
        self.standing(ids, false, deadline).await?;
        self.mark(ids, NodeState::Paused, NodeState::Running);
        ids.iter().for_each(|id| self.journal.record(Happening::NodeResumed { node: *id }));
        // Whoever has not confirmed by now is told again at the next beat (`push.rs`).
        if early.is_err() {
            let _ = push.await;
        }
        Ok(())
    }

    /// Spawns all of these. Those that cannot be spawned have failed.
    fn spawn_all(self: &Arc<Lab>, ids: &BTreeSet<NodeId>) {
        for id in ids {
            if let Err(why) = node_process::spawn(self, *id) {
                self.change(|state| {
                    if let Some(node) = state.nodes.get_mut(id) {
                        node.ended(NodeState::Failed, why.clone().into());
                    }
                });
            }
        }
    }

    /// Waits until none of these is starting any more, and returns those that still are.
    async fn reported(&self, ids: &BTreeSet<NodeId>, deadline: Instant) -> BTreeSet<NodeId> {
        let late = |state: &State| -> BTreeSet<NodeId> {
            state.in_state(NodeState::Starting).intersection(ids).copied().collect()
        };
        self.until(deadline, |state| (state.closing || late(state).is_empty()).then_some(())).await;
        late(&self.state())
    }

    /// Ends nodes that have not reported ready in time, or before the lab was stopped.
    async fn give_up_on(&self, late: &BTreeSet<NodeId>) {
        if late.is_empty() {
            return;
        }
        let intent = if self.state().closing { Intent::Stop } else { Intent::GiveUp };
        self.kill_all(late, intent);
        let _ = self.gone(late, Instant::now() + REAP).await;
    }

    /// Whether all of these are up and know the network; else who is not, and why.
    fn all_up(
        &self,
        ids: &BTreeSet<NodeId>,
        late: &BTreeSet<NodeId>,
        confirmed: &BTreeSet<NodeId>,
    ) -> Result<(), LabError> {
        let state = self.state();
        let mut problems: BTreeMap<String, BTreeSet<NodeId>> = BTreeMap::new();
        let mut hints = Vec::new();
        for id in ids.difference(confirmed) {
            let problem = match (late.contains(id), state.nodes[id].state) {
                (true, _) => "not ready in time".to_owned(),
                (_, NodeState::Running) => "running, but without confirming where the peers are".to_owned(),
                _ => {
                    let reason = state.nodes[id].reason.as_ref();
                    hints.extend(reason.iter().flat_map(|reason| reason.hints.iter().cloned()));
                    format!("failed: {}", reason.map_or("the reason is not known", |reason| &reason.text))
                }
            };
            problems.entry(problem).or_default().insert(*id);
        }
        if problems.is_empty() {
            return Ok(());
        }
        let missing: Vec<String> = problems.iter().map(|(problem, ids)| format!("{}: {problem}", names(ids))).collect();
        let up = match confirmed.is_empty() {
            true => String::new(),
            false => format!("{}: up; ", names(confirmed)),
        };
        let text = format!("{up}{}", missing.join("; "));
        match late.is_empty() {
            true => Err(LabError::Failed(Note { text, hints })),
            false => Err(LabError::timed_out(format!(
                "{text}; see the stderr.log of each under {}",
                self.folder.path().join("nodes").display()
            ))),
        }
    }

    fn kill_all(&self, ids: &BTreeSet<NodeId>, intent: Intent) {
        self.intend(ids, intent);
        self.signal_all(ids, Signal::KILL);
    }

    fn intend(&self, ids: &BTreeSet<NodeId>, intent: Intent) {
        let mut state = self.state();
        for id in ids {
            if let Some(process) = state.nodes.get_mut(id).and_then(|node| node.process.as_mut()) {
                process.intent = Some(intent);
            }
        }
    }

    fn signal_all(&self, ids: &BTreeSet<NodeId>, signal: Signal) {
        let state = self.state();
        ids.iter().for_each(|id| state.nodes[id].signal(signal));
    }

    /// Waits until these have no process any more.
    ///
    /// # Errors
    /// Those that still have one.
    async fn gone(&self, ids: &BTreeSet<NodeId>, deadline: Instant) -> Result<(), BTreeSet<NodeId>> {
        let left = |state: &State| -> BTreeSet<NodeId> {
            ids.iter().copied().filter(|id| state.nodes[id].process.is_some()).collect()
        };
        match self.until(deadline, |state| left(state).is_empty().then_some(())).await {
            Some(()) => Ok(()),
            None => Err(left(&self.state())),
        }
    }

    /// Waits until the processes of these stand still, or do not. Those that are gone count as either.
    async fn standing(&self, ids: &BTreeSet<NodeId>, still: bool, deadline: Instant) -> Result<(), LabError> {
        loop {
            let does_not = {
                let state = self.state();
                let stands = |id: &&NodeId| state.nodes[*id].process.as_ref().is_none_or(|it| it.group.stands(still));
                ids.iter().copied().find(|id| !stands(&id))
            };
            let Some(id) = does_not else { return Ok(()) };
            if Instant::now() >= deadline {
                let verb = if still { "stand still" } else { "run on" };
                return Err(LabError::timed_out(format!(
                    "{id} does not {verb}; its process may be stuck in the kernel"
                )));
            }
            // The kernel says nothing when the last thread has stopped; it takes well under a millisecond.
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// Takes note that these are paused or run on, unless they have ended meanwhile.
    fn mark(&self, ids: &BTreeSet<NodeId>, from: NodeState, to: NodeState) {
        self.change(|state| {
            for id in ids {
                if let Some(node) = state.nodes.get_mut(id).filter(|node| node.state == from) {
                    node.state = to;
                }
            }
        });
    }
}

fn stuck(ids: BTreeSet<NodeId>) -> LabError {
    let why = "was killed and is still there; its process may be stuck in the kernel";
    LabError::failed(format!("{} {why}", names(&ids)))
}
