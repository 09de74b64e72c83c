//! The commands that change processes: `start`, `stop`, and kill, pause, resume, restart and stop for some nodes.
//!
//! Invariant: they are idempotent, take turns, and answer when what they say is true. Waiting for a leader happens
//! after the turn, so that something else can be broken meanwhile.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::sync::Arc;

use raftian_rpc::clock::monotonic_ns;
use raftian_rpc::error::LabError;
use raftian_rpc::hint::{Hint, Note};
use raftian_rpc::lab::{
    ActReport, ActRequest, Action, Happening, Leadership, NodeState, StartReport, StartRequest, StopReport,
};
use raftian_rpc::selector::names;
use raftian_rpc::{MAX_NODES, NodeId};
use tokio::time::Instant;

use crate::lab::{Lab, State, closing, deadline};
use crate::members::Members;
use crate::node::{Node, leader_told, leadership};
use crate::observe::resolve;
use crate::purge;
use crate::saved::Settings;

impl Lab {
    /// Brings the lab up, and waits for a leader.
    ///
    /// # Errors
    /// Usage for values out of range, Conflict when it is another lab already, TimedOut and Failed naming who is not
    /// up and why. A lab that was never up before leaves nothing behind then.
    pub(crate) async fn start(self: &Arc<Lab>, request: StartRequest) -> Result<StartReport, LabError> {
        let received_ns = monotonic_ns();
        let deadline = deadline(request.timeout_ms)?;
        let turn = self.turn(deadline).await?;
        let (former, nodes_now) = {
            let state = self.state();
            (state.settings, state.ids())
        };
        if former.is_none() {
            self.refuse_foreign_logs()?;
        }
        let settings = Settings::merge(&request, former.as_ref(), &nodes_now)?;
        self.check_by_hand(&request, former.is_some())?;
        let (is_down, has_faults) = {
            let state = self.state();
            (state.nodes.values().all(|node| node.process.is_none()), !state.faults.list().is_empty())
        };
        let dead: BTreeSet<NodeId> = self.change(|state| {
            if state.settings.replace(settings).is_none() {
                state.random = fastrand::Rng::with_seed(settings.seed);
                state.members = Members::first(settings.nodes);
                let founders = NodeId::first(settings.nodes);
                state.nodes = founders
                    .chain(request.by_hand.keys().copied())
                    .map(|id| (id, Node::new(id.number() > settings.nodes)))
                    .collect();
                state.by_hand = request.by_hand;
            }
            let dead = state.nodes.iter().filter(|(_, node)| node.process.is_none());
            dead.map(|(id, _)| *id).collect()
        });
        let mut notes = Vec::new();
        if !dead.is_empty() {
            match self.start_nodes(&dead, deadline).await {
                Ok(new) => notes = new,
                Err(error) => {
                    if former.is_none() {
                        self.undo_first_start().await;
                    }
                    return Err(if self.state().closing { closing() } else { error });
                }
            }
        }
        drop(turn);
        // Only a daemon that died leaves faults without nodes.
        if is_down && has_faults {
            self.tell_of_faults(&mut notes).await;
        }
        let leader = match request.no_wait {
            true => None,
            false => self.await_leader(received_ns, deadline, &mut notes).await?,
        };
        if let (None, false, Some(why)) = (leader, request.no_wait, notes.last()) {
            return Err(LabError::Conflict(why.clone()));
        }
        self.sweep_removed(&mut notes).await;
        if leader.is_some() {
            self.settle_open_changes(deadline, &mut notes).await?;
        }
        let (nodes, known) = {
            let state = self.state();
            (state.running().into_iter().collect(), state.ids())
        };
        let started: Vec<NodeId> = dead.intersection(&known).copied().collect();
        Ok(StartReport { lab: self.name.clone(), changed: !started.is_empty(), nodes, started, leader, notes })
    }

    /// Whether nodes are moved by hand is said when a lab is first started, of its first nodes and of those that may join
    /// them.
    fn check_by_hand(&self, request: &StartRequest, is_known: bool) -> Result<(), LabError> {
        if request.by_hand.keys().any(|id| id.number() > MAX_NODES || id.incarnation() > 1) {
            return Err(LabError::usage(format!("a lab begins with the nodes n1 to n{MAX_NODES} at most")));
        }
        match is_known && !request.by_hand.is_empty() && request.by_hand != self.state().by_hand {
            true => Err(LabError::Conflict("this lab was not begun with these nodes to be moved by hand".into())),
            false => Ok(()),
        }
    }

    /// Kills, pauses, resumes, restarts or stops nodes.
    ///
    /// # Errors
    /// When the selector names nobody, when none of those it names can do that, or when it did not come true in time.
    pub(crate) async fn act(self: &Arc<Lab>, request: ActRequest) -> Result<ActReport, LabError> {
        let deadline = deadline(request.timeout_ms)?;
        let turn = self.turn(deadline).await?;
        if !request.selector.is_dynamic() {
            // Where they stand now is the last that `status` will know of those that are stopped.
            self.view().await;
        }
        let facts = self.facts(&[&request.selector]).await?;
        let resolved = resolve(request.selector, &facts, &mut self.random())?;
        let action = request.action;
        let mut notes = Vec::new();
        let (changed, unfit) = self.concerned(action, &resolved.nodes, &mut notes)?;
        let acted_ns = monotonic_ns();
        if !changed.is_empty() {
            self.journal.record_at(acted_ns, Happening::Acted { action, resolved: resolved.clone() });
            self.apply(action, &changed, deadline, &mut notes).await?;
        }
        drop(turn);
        let leader = match request.no_wait || changed.is_empty() {
            true => None,
            false => self.await_leader(acted_ns, deadline, &mut notes).await?,
        };
        Ok(ActReport { action, resolved, changed, unfit, leader, notes })
    }

    /// Stops all nodes and then the daemon; with `purge`, removes the lab's folder as well.
    ///
    /// # Errors
    /// Failed when a process could not be ended or the folder not be removed. The daemon leaves all the same.
    pub(crate) async fn stop(self: &Arc<Lab>, purge: bool) -> Result<StopReport, LabError> {
        // Lets whatever waits in a turn give up, so that this one comes soon.
        let first = self.change(|state| !std::mem::replace(&mut state.closing, true));
        let _turn = self.last_turn().await;
        let alive: BTreeSet<NodeId> = {
            let state = self.state();
            state.nodes.iter().filter(|(_, node)| node.process.is_some()).map(|(id, _)| *id).collect()
        };
        let stopped = self.stop_nodes(&alive).await;
        let mut notes: Vec<Note> = self.save_if_possible().map(Note::from).into_iter().collect();
        if first {
            // Their windows end here, and not with whatever the next daemon writes.
            self.end_faults_with_nodes();
            self.journal.record(Happening::DaemonStopped);
        }
        let purged = match (&stopped, purge) {
            (Ok(_), true) => purge::purge(&self.folder).map(Some),
            _ => Ok(None),
        };
        self.leave.notify_one();
        let (killed, purged) = (stopped?.into_iter().collect(), purged?);
        if purged.is_some() {
            notes.clear();
        }
        Ok(StopReport { stopped: alive.into_iter().collect(), killed, purged, notes })
    }

    /// Ends all nodes of a lab that has lost its folder: there is nothing left to save.
    ///
    /// # Errors
    /// Failed when the kernel does not end one of them.
    pub(crate) async fn end_at_once(&self) -> Result<(), LabError> {
        let all = self.change(|state| {
            // Nothing new begins, and what waits in a turn gives up.
            state.closing = true;
            state.ids()
        });
        self.kill_nodes(&all).await
    }

    /// A folder with logs of nodes is no new lab, though its `lab.json` is gone: a first start that failed would take
    /// them for its own and remove them.
    fn refuse_foreign_logs(&self) -> Result<(), LabError> {
        let nodes = self.folder.path().join("nodes");
        let has_log = |entry: io::Result<fs::DirEntry>| entry.is_ok_and(|entry| entry.path().join("wal").exists());
        match fs::read_dir(&nodes).is_ok_and(|mut entries| entries.any(has_log)) {
            true => {
                let why = format!(
                    "{} holds logs of nodes, but {} is gone; put that file back, or remove the lab and its logs",
                    nodes.display(),
                    self.folder.lab_json().display()
                );
                Err(LabError::conflict(why).hint(Hint::Purge))
            }
            false => Ok(()),
        }
    }

    /// Takes back a first start that failed, so that the next one is free to ask for another lab.
    async fn undo_first_start(&self) {
        let alive: BTreeSet<NodeId> = self.state().ids();
        if let Err(error) = self.kill_nodes(&alive).await {
            tracing::warn!("after a failed start: {error}");
            return;
        }
        self.change(|state| {
            *state = State { closing: state.closing, faults: std::mem::take(&mut state.faults), ..State::default() }
        });
        for gone in [fs::remove_file(self.folder.lab_json()), fs::remove_dir_all(self.folder.path().join("nodes"))] {
            match gone {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    tracing::warn!("after a failed start, in {}: {error}", self.folder.path().display());
                }
                _ => {}
            }
        }
    }

    /// Those of these nodes whose state has to change, and those it cannot be done to, which is noted. The others are so
    /// already.
    fn concerned(
        &self,
        action: Action,
        ids: &BTreeSet<NodeId>,
        notes: &mut Vec<Note>,
    ) -> Result<(BTreeSet<NodeId>, BTreeSet<NodeId>), LabError> {
        let state = self.state();
        let states: BTreeMap<NodeId, NodeState> = ids.iter().map(|id| (*id, state.nodes[id].state)).collect();
        let (changed, unfit) = sort_out(action, &states);
        if unfit.is_empty() {
            return Ok((changed, unfit));
        }
        let unfit_words: Vec<String> =
            unfit.iter().map(|id| format!("{id} is {}", raftian_why::words::state(states[id]))).collect();
        let unfit_words = unfit_words.join(", ");
        if unfit.len() == ids.len() {
            let nodes = unfit.into_iter().collect();
            return Err(LabError::conflict(unfit_words).hint(Hint::Restart { nodes }));
        }
        notes.push(format!("left as they are: {unfit_words}").into());
        Ok((changed, unfit))
    }

    async fn apply(
        self: &Arc<Lab>,
        action: Action,
        ids: &BTreeSet<NodeId>,
        deadline: Instant,
        notes: &mut Vec<Note>,
    ) -> Result<(), LabError> {
        match action {
            Action::Kill => self.kill_nodes(ids).await,
            Action::Pause => self.pause_nodes(ids, deadline).await,
            Action::Resume => self.resume_nodes(ids, deadline).await,
            Action::Stop => {
                let killed = self.stop_nodes(ids).await?;
                notes.extend(by_force(&killed));
                Ok(())
            }
            Action::Start => {
                notes.extend(self.start_nodes(ids, deadline).await?);
                Ok(())
            }
            Action::PowerLoss => {
                notes.extend(self.cut_power(ids).await?);
                Ok(())
            }
            Action::RollingRestart => self.restart_one_by_one(ids, deadline, notes).await,
            Action::Restart => {
                let killed = self.stop_nodes(ids).await?;
                notes.extend(by_force(&killed));
                notes.extend(self.start_nodes(ids, deadline).await?);
                Ok(())
            }
        }
    }

    /// Restarts nodes one after another, the leader last; the next one only when there is a leader again.
    async fn restart_one_by_one(
        self: &Arc<Lab>,
        ids: &BTreeSet<NodeId>,
        deadline: Instant,
        notes: &mut Vec<Note>,
    ) -> Result<(), LabError> {
        let leader = leader_told(&self.state().nodes, ids).map(|(leader, _)| leader);
        let others = ids.iter().copied().filter(|id| Some(*id) != leader);
        for id in others.chain(leader) {
            let one = BTreeSet::from([id]);
            let began_ns = monotonic_ns();
            notes.extend(by_force(&self.stop_nodes(&one).await?));
            notes.extend(self.start_nodes(&one, deadline).await?);
            self.await_leader(began_ns, deadline, &mut Vec::new()).await?;
        }
        Ok(())
    }

    /// Waits for a leader among the running nodes, unless they cannot have one, which is noted.
    pub(crate) async fn await_leader(
        &self,
        from_ns: u64,
        deadline: Instant,
        notes: &mut Vec<Note>,
    ) -> Result<Option<Leadership>, LabError> {
        enum Found {
            Leader(Leadership),
            Hopeless(Note),
            Closing,
        }
        let look = |state: &State| match (state.closing, self.no_leader_possible(state)) {
            (true, _) => Some(Found::Closing),
            (_, Some(why)) => Some(Found::Hopeless(why)),
            // A leader that was just cut off may still believe that it leads.
            _ => leader_told(&state.nodes, &state.electable())
                .map(|(leader, role)| Found::Leader(leadership(leader, role, from_ns))),
        };
        match self.until(deadline, look).await {
            Some(Found::Leader(leadership)) => Ok(Some(leadership)),
            Some(Found::Hopeless(why)) => {
                notes.push(why);
                Ok(None)
            }
            Some(Found::Closing) => Err(closing()),
            None => {
                let why = self.reason().await.within(|why| format!("it is done, but no node leads yet: {why}"));
                Err(LabError::TimedOut(why))
            }
        }
    }
}

/// The nodes whose state has to change for an action, and those that cannot take it.
fn sort_out(action: Action, states: &BTreeMap<NodeId, NodeState>) -> (BTreeSet<NodeId>, BTreeSet<NodeId>) {
    let alive = |state: NodeState| matches!(state, NodeState::Starting | NodeState::Running | NodeState::Paused);
    let pick = |wanted: &dyn Fn(NodeState) -> bool| -> BTreeSet<NodeId> {
        states.iter().filter(|(_, state)| wanted(**state)).map(|(id, _)| *id).collect()
    };
    match action {
        Action::Kill | Action::Stop => (pick(&alive), BTreeSet::new()),
        Action::Start => (pick(&|state| !alive(state)), BTreeSet::new()),
        Action::Restart | Action::RollingRestart => (pick(&|_| true), BTreeSet::new()),
        Action::PowerLoss => (pick(&|state| state == NodeState::Running), pick(&|state| state != NodeState::Running)),
        Action::Pause => (pick(&|state| state == NodeState::Running), pick(&|state| !alive(state))),
        Action::Resume => (pick(&|state| state == NodeState::Paused), pick(&|state| !alive(state))),
    }
}

fn by_force(killed: &BTreeSet<NodeId>) -> Option<Note> {
    (!killed.is_empty()).then(|| format!("{} did not leave when asked, and was killed", names(killed)).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verb_concerns_those_that_are_not_so_already() {
        use NodeState::{Failed, Killed, Paused, Running};
        let ids: Vec<NodeId> = NodeId::first(4).collect();
        let states = ids.iter().copied().zip([Running, Paused, Killed, Failed]).collect();
        for (action, changed, unfit) in [
            (Action::Kill, "n1,n2", ""),
            (Action::Stop, "n1,n2", ""),
            (Action::Start, "n3,n4", ""),
            (Action::Restart, "n1,n2,n3,n4", ""),
            (Action::RollingRestart, "n1,n2,n3,n4", ""),
            (Action::PowerLoss, "n1", "n2,n3,n4"),
            (Action::Pause, "n1", "n3,n4"),
            (Action::Resume, "n2", "n3,n4"),
        ] {
            let (is_changed, is_unfit) = sort_out(action, &states);
            assert_eq!((names(&is_changed).as_str(), names(&is_unfit).as_str()), (changed, unfit), "{action:?}");
        }
    }
}
