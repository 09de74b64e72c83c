//! What is done to nodes that are moved by hand.
//!
//! Invariant: as in the simulator, an action that cannot be done when its time comes is not done; a step by hand that cannot
//! be done ends the scenario.

use std::convert::Infallible;

use raftian_rpc::NodeId;
use raftian_rpc::lab::LabClient as _;
use raftian_script::{Action, Halt, Performed, Statement, Step, Whom, Wish};

use super::act::Asked;
use super::by_hand::ByHand;
use super::{LabEngine, failed};
use crate::lab::told;

impl LabEngine {
    /// Does what a line says.
    pub(super) async fn carry_out_by_hand(&mut self, line: &[Step]) -> Performed<Infallible> {
        match &line[0].statement {
            Statement::Do(Action::Cut { .. }) => self.cut(super::act::links(line)).await,
            Statement::Finish => self.finish().await,
            Statement::Ask { at, wish, is_refused } => {
                if !self.hand().is_up(*at) {
                    return Err(Halt::Failed(format!("{at} is down")));
                }
                let outcome = self.ask_by_hand(*at, wish).await?;
                self.hand().settle().await?;
                super::act::as_it_should(*at, outcome, *is_refused)
            }
            _ => {
                let mut note = None;
                for step in line {
                    match &step.statement {
                        Statement::Do(action) => note = self.act_by_hand(action).await?,
                        statement => self.hand().take(statement).await?,
                    }
                }
                Ok(note)
            }
        }
    }

    /// The nodes, which are moved by hand.
    pub(super) fn hand(&mut self) -> &mut ByHand {
        self.by_hand.as_mut().expect("the nodes of this lab are moved by hand")
    }

    async fn ask_by_hand(&mut self, at: NodeId, wish: &Wish) -> Asked {
        match wish {
            Wish::Propose(name) => self.propose(at, name).await,
            Wish::Retry(name) => self.retry(at, name).await,
            Wish::Read => self.read(at).await,
            Wish::Change(change) => self.hand().change(at, change).await,
            Wish::Transfer(to) => self.hand().transfer(at, *to).await,
        }
    }

    async fn act_by_hand(&mut self, action: &Action) -> Performed<Infallible> {
        match action {
            Action::Crash { node, keep } => {
                let node = self.whom_by_hand(*node).await?;
                self.hand().kill(node, *keep).await?;
            }
            Action::CrashAll { keep } => {
                for id in self.hand().ids() {
                    self.hand().kill(id, *keep).await?;
                }
            }
            Action::Restart(id) => self.hand().restart(*id).await?,
            Action::RestartAll => {
                for id in self.hand().ids() {
                    self.hand().restart(id).await?;
                }
            }
            Action::Pause(whom) => {
                let node = self.whom_by_hand(*whom).await?;
                self.hand().pause(node).await?;
            }
            Action::Resume(id) => self.hand().resume(*id).await?,
            Action::ResumeAll => {
                for id in self.hand().ids() {
                    self.hand().resume(id).await?;
                }
            }
            Action::IsolateLeader => {
                let Some((leader, _)) = self.hand().view().await?.leader() else {
                    return Ok(Some("not done: there is no leader".to_owned()));
                };
                let others = self.hand().ids().into_iter().filter(|id| *id != leader);
                self.cut(others.flat_map(|other| [(leader, other), (other, leader)]).collect()).await?;
                return Ok(Some(format!("{leader} is cut off")));
            }
            Action::Heal => {
                for id in std::mem::take(&mut self.cuts) {
                    told(self.lab.client.fault_clear(Some(id)).await).map_err(failed)?;
                }
                self.hand().unclog();
            }
            Action::Clog { from, to, for_us } => self.hand().clog(*from, *to, *for_us),
            Action::SyncTakes { node, us } => self.hand().sync_takes(*node, *us),
            Action::Change(change) => {
                if let Some((leader, _)) = self.hand().view().await?.leader() {
                    return Ok(refusal(self.hand().change(leader, change).await?));
                }
            }
            Action::Transfer(to) => {
                if let Some((leader, _)) = self.hand().view().await?.leader() {
                    return Ok(refusal(self.hand().transfer(leader, *to).await?));
                }
            }
            Action::Compact { node, keep } => {
                let node = self.whom_by_hand(*node).await?;
                self.hand().snapshot(node, *keep).await?;
            }
            _ => unreachable!("refused before anything started"),
        }
        Ok(None)
    }

    async fn whom_by_hand(&mut self, whom: Whom) -> Result<NodeId, Halt<Infallible>> {
        Ok(match whom {
            Whom::Node(id) => id,
            Whom::Leader { or } => self.hand().view().await?.leader().map_or(or, |(leader, _)| leader),
        })
    }
}

/// What a leader refused, which is no reason to stop.
fn refusal(outcome: Result<Option<String>, String>) -> Option<String> {
    outcome.unwrap_or_else(|why| Some(format!("not done: {why}")))
}
