//! What is done to the nodes of a lab.
//!
//! Invariant: as in a simulator, an action that cannot be done when its time comes is not done, and is said to be so; a
//! statement by hand that cannot be done ends the scenario.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::time::Duration;

use raftian_rpc::NodeId;
use raftian_rpc::control::NodeStatus;
use raftian_rpc::error::LabError;
use raftian_rpc::faults::Effect;
use raftian_rpc::lab::{
    Action as Verb, LabClient as _, MemberRequest, MemberVerb, NodeState, SnapshotRequest, TransferRequest,
};
use raftian_rpc::selector::{Selector, names};
use raftian_script::{Action, Change, Halt, Performed, Statement, Step, Whom, Wish};
use tokio::time::{Instant, sleep};

use super::{LOOK, LabEngine, PATIENCE, disturb, failed, these};
use crate::lab::told;

/// How long a node may take to be elected when it is to be.
const ELECT_PATIENCE: Duration = Duration::from_secs(5);

impl LabEngine {
    /// Does what a line says.
    pub(super) async fn carry_out(&mut self, line: &[Step]) -> Performed<Infallible> {
        match &line[0].statement {
            Statement::Do(Action::Cut { .. }) => self.cut(links(line)).await,
            Statement::Do(Action::SyncFails(whom)) => self.fail_sync(*whom, line[0].at_us.is_some()).await,
            Statement::Do(action) => self.act(action).await,
            Statement::Elect(id) => self.elect(*id).await,
            Statement::Ask { at, wish, is_refused } => {
                let outcome = match wish {
                    Wish::Propose(name) => self.propose(*at, name).await?,
                    Wish::Read => self.read(*at).await?,
                    Wish::Change(change) => self.change_via(*at, change).await?,
                    Wish::Transfer(to) => self.transfer_via(*at, *to).await?,
                    Wish::Retry(_) => unreachable!("refused before anything started"),
                };
                as_it_should(*at, outcome, *is_refused)
            }
            Statement::Finish => self.finish().await,
            _ => unreachable!("the runner sees to it, or it was refused before anything started"),
        }
    }

    /// Does an action.
    pub(super) async fn act(&mut self, action: &Action) -> Performed<Infallible> {
        match action {
            Action::Op { client, op } => {
                self.clients.wish(*client, *op);
                Ok(None)
            }
            Action::Crash { node, .. } => self.verb_to_whom(Verb::Kill, *node).await,
            Action::CrashAll { .. } => {
                let up = self.view().await?.that_are(is_alive);
                self.verb(Verb::Kill, &up).await
            }
            Action::Restart(id) => self.restart(|node| node == *id).await,
            Action::RestartAll => self.restart(|_| true).await,
            Action::Pause(whom) => self.verb_to_whom(Verb::Pause, *whom).await,
            Action::Resume(id) => self.verb(Verb::Resume, &[*id]).await,
            Action::ResumeAll => {
                let paused = self.view().await?.that_are(|state| state == NodeState::Paused);
                self.verb(Verb::Resume, &paused).await
            }
            Action::IsolateLeader => {
                let view = self.view().await?;
                let Some((leader, _)) = view.leader() else {
                    return Ok(Some("not done: there is no leader".to_owned()));
                };
                let others = view.all().filter(|id| *id != leader);
                self.cut(others.flat_map(|other| [(leader, other), (other, leader)]).collect()).await?;
                Ok(Some(format!("{leader} is cut off")))
            }
            Action::Heal => {
                for id in std::mem::take(&mut self.cuts) {
                    told(self.lab.client.fault_clear(Some(id)).await).map_err(failed)?;
                }
                Ok(None)
            }
            Action::Change(change) => Ok(done_if_it_can(self.change(change).await?)),
            Action::Transfer(to) => Ok(done_if_it_can(self.transfer(*to).await?)),
            Action::Compact { node, keep } => {
                let node = self.whom(*node).await?;
                if let Some(logs) = &self.logs {
                    logs.catch_up(node).await;
                }
                let request =
                    SnapshotRequest { selector: Selector::node(node), keep_entries: *keep, timeout_ms: ms(PATIENCE) };
                let taken = match told(self.lab.client.snapshot(request).await) {
                    Ok(taken) => taken,
                    Err(error) => return not_done(error),
                };
                let reasons = taken.refused.into_values().chain(taken.failed.into_values());
                Ok(reasons.map(|why| format!("not done: {why}")).next())
            }
            Action::CrashAtInstall { .. }
            | Action::SyncTakes { .. }
            | Action::DiskFull { .. }
            | Action::Clock { .. } => self.act_inside(action).await,
            Action::CrashAtBoundary { .. }
            | Action::FlipBit { .. }
            | Action::Wipe(_)
            | Action::KeepDisk(_)
            | Action::PutBackDisk(_)
            | Action::RestartWith { .. }
            | Action::Cut { .. }
            | Action::SyncFails(_)
            | Action::Clog { .. }
            | Action::ApplyTakes { .. } => unreachable!("refused before anything started, or done by line"),
        }
    }

    /// Loses everything on these links.
    pub(super) async fn cut(&mut self, links: Vec<(NodeId, NodeId)>) -> Performed<Infallible> {
        // A fault for all links that begin in one group and end in another.
        let mut ends: BTreeMap<NodeId, BTreeSet<NodeId>> = BTreeMap::new();
        for (from, to) in links {
            ends.entry(from).or_default().insert(to);
        }
        let mut groups: BTreeMap<BTreeSet<NodeId>, BTreeSet<NodeId>> = BTreeMap::new();
        for (from, to) in ends {
            groups.entry(to).or_default().insert(from);
        }
        for (to, from) in &groups {
            let id = disturb(&self.lab, Effect::CUT, these(from), these(to)).await.map_err(failed)?;
            self.cuts.push(id);
        }
        Ok(None)
    }

    /// Who is meant.
    pub(super) async fn whom(&self, whom: Whom) -> Result<NodeId, Halt<Infallible>> {
        Ok(match whom {
            Whom::Node(id) => id,
            Whom::Leader { or } => self.view().await?.leader().map_or(or, |(leader, _)| leader),
        })
    }

    async fn verb_to_whom(&self, verb: Verb, whom: Whom) -> Performed<Infallible> {
        let id = self.whom(whom).await?;
        let note = self.verb(verb, &[id]).await?;
        let named = matches!(whom, Whom::Leader { .. }).then(|| id.to_string());
        Ok(note.or(named))
    }

    async fn verb(&self, verb: Verb, nodes: &[NodeId]) -> Performed<Infallible> {
        if nodes.is_empty() {
            return Ok(Some("there is none to do it to".to_owned()));
        }
        let report = match self.lab.act(verb, these(nodes), false).await {
            Ok(report) => report,
            Err(error) => return not_done(error),
        };
        let untouched: Vec<NodeId> = nodes.iter().copied().filter(|id| !report.changed.contains(id)).collect();
        Ok((!untouched.is_empty())
            .then(|| format!("not done to {}: it was so already, or cannot be", names(&untouched))))
    }

    /// Starts those of these nodes that are down.
    async fn restart(&self, is_meant: impl Fn(NodeId) -> bool) -> Performed<Infallible> {
        let down = self.view().await?.that_are(|state| !is_alive(state));
        let down: Vec<NodeId> = down.into_iter().filter(|id| is_meant(*id)).collect();
        self.verb(Verb::Restart, &down).await
    }

    /// Waits until there is a leader, has it hand over to this node, and waits until that has committed an entry of its
    /// term: in a simulator all is delivered.
    async fn elect(&self, id: NodeId) -> Performed<Infallible> {
        let began = Instant::now();
        let mut missing = "there is no leader that could hand over".to_owned();
        loop {
            let view = self.view().await?;
            let Some(said) = view.node(id) else { return Err(Halt::Failed(format!("{id} is down"))) };
            match view.leader() {
                Some((leader, term)) if leader == id => {
                    if has_committed(said) {
                        return Ok(Some(format!("{id} leads term {term}")));
                    }
                    missing = format!("{id} leads term {term}, and has committed no entry of it");
                }
                Some(_) if view.effective.is_some() => {
                    if let Err(why) = self.transfer(id).await? {
                        missing = why;
                    }
                }
                _ => {}
            }
            if began.elapsed() > ELECT_PATIENCE {
                return Err(Halt::Failed(format!(
                    "{id} is not elected after {} s: {missing}",
                    ELECT_PATIENCE.as_secs()
                )));
            }
            sleep(LOOK).await;
        }
    }

    /// Changes the members, and waits until that is committed or cannot be in time.
    pub(super) async fn change(&self, change: &Change) -> Asked {
        let (verb, node) = match change {
            Change::AddLearner(id) => (MemberVerb::AddLearner, *id),
            Change::Promote(id) => (MemberVerb::Promote, *id),
            Change::Remove(id) => (MemberVerb::Remove, *id),
            Change::Members { .. } => unreachable!("refused before anything started"),
        };
        let request = MemberRequest { verb, node: Selector::node(node), timeout_ms: ms(PATIENCE) };
        answered(
            told(self.lab.client.member(request).await).map(|report| Some(format!("after {} ms", report.after_ms))),
        )
    }

    async fn transfer(&self, to: NodeId) -> Asked {
        let request = TransferRequest { to: Selector::node(to), timeout_ms: ms(PATIENCE) };
        let report = told(self.lab.client.transfer(request).await);
        answered(report.map(|report| Some(format!("{} leads term {}", report.leader.leader, report.leader.term))))
    }
}

/// The links that a line names.
pub(super) fn links(line: &[Step]) -> Vec<(NodeId, NodeId)> {
    let links = line.iter().filter_map(|step| match step.statement {
        Statement::Do(Action::Cut { from, to }) => Some((from, to)),
        _ => None,
    });
    links.collect()
}

/// Whether a node has refused what it was to refuse, and nothing else.
pub(super) fn as_it_should(
    at: NodeId,
    outcome: Result<Option<String>, String>,
    is_refused: bool,
) -> Performed<Infallible> {
    match (outcome, is_refused) {
        (Ok(note), false) => Ok(note),
        (Err(why), true) => Ok(Some(why)),
        (Ok(_), true) => Err(Halt::Failed(format!("{at} did not refuse"))),
        (Err(why), false) => Err(Halt::Failed(format!("{at} refuses: {why}"))),
    }
}

/// What a person should know about what was asked for; or why it was refused.
pub(super) type Asked = Result<Result<Option<String>, String>, Halt<Infallible>>;

/// What the daemon says to a wish: its own errors are refusals, and no others.
fn answered(answer: anyhow::Result<Option<String>>) -> Asked {
    match answer {
        Ok(note) => Ok(Ok(note)),
        Err(error) => match error.downcast::<LabError>() {
            Ok(refusal) => Ok(Err(refusal.to_string())),
            Err(error) => Err(failed(error)),
        },
    }
}

/// Whether a leader has committed an entry of its term, as far as can be seen.
fn has_committed(leader: &NodeStatus) -> bool {
    let is_known = leader.membership.as_ref().is_some_and(|membership| membership.committed);
    is_known || leader.commit_index == leader.last_index
}

fn done_if_it_can(outcome: Result<Option<String>, String>) -> Option<String> {
    outcome.unwrap_or_else(|why| Some(format!("not done: {why}")))
}

pub(super) fn is_alive(state: NodeState) -> bool {
    matches!(state, NodeState::Starting | NodeState::Running | NodeState::Paused)
}

fn ms(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// What a daemon's refusal means for an action: it is not done, since the lab is not in a state for it, or has no such node.
/// The daemon's hints are for a lab that stays.
///
/// # Errors
/// What is wrong with the lab itself.
pub(super) fn not_done(error: anyhow::Error) -> Performed<Infallible> {
    match error.downcast::<LabError>() {
        Ok(LabError::Conflict(why) | LabError::Usage(why) | LabError::TimedOut(why)) => {
            Ok(Some(format!("not done: {why}")))
        }
        Ok(error) => Err(Halt::Failed(error.to_string())),
        Err(error) => Err(failed(error)),
    }
}
