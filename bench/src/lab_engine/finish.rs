//! The end of a scenario: all is mended, must come to life, and is judged.
//!
//! Invariant: a verdict is the judges', and a lab in which nodes do not agree in time does not hold.

use std::convert::Infallible;
use std::time::Duration;

use raftian_check::Verdict;
use raftian_rpc::condition::Condition;
use raftian_rpc::control::NodeStatus;
use raftian_rpc::lab::{LabClient as _, NodeState};
use raftian_rpc::{AppKind, NodeId};
use raftian_script::{Action, Halt, Performed};

use super::view::View;
use super::{Ending, LabEngine, failed};
use crate::collect::collect_after;
use crate::lab::told;
use crate::summary::thousands;

/// How long nodes that are moved by hand may take for it, in virtual time; and how often is looked.
const LIFE_US: u64 = 60_000_000;
const LOOK_US: u64 = 20_000;

/// How long the nodes may take to agree.
const CONVERGE_TIMEOUT: Duration = Duration::from_secs(15);

impl LabEngine {
    /// Mends everything, waits until clients have their answers and nodes agree, and has it judged.
    pub(super) async fn finish(&mut self) -> Performed<Infallible> {
        told(self.lab.client.fault_clear(None).await).map_err(failed)?;
        self.cuts.clear();
        self.inside.clear();
        let leader = match self.by_hand {
            Some(_) => {
                self.hand().mend().await?;
                self.agree_by_hand().await?
            }
            None => self.come_to_life().await?,
        };
        self.clients.end().await;
        // A cluster that lives answers; and the judges have something to judge, whatever was asked before.
        let probe = match self.app {
            AppKind::Kv | AppKind::Canvas => self.read(leader).await?,
            AppKind::Attack => self.propose(leader, "last").await?,
        };
        if let Err(why) = probe {
            return Err(Halt::Failed(format!("the lab does not come to life: {leader} refuses: {why}")));
        }
        if self.by_hand.is_some() {
            // All that comes of it, up to a moment at which they agree: time stands still from then on.
            self.agree_by_hand().await?;
            self.hands.cancel();
            self.hand().end_questions().await;
        }
        self.hands.end().await;
        let history = self.history.take().map_err(|error| Halt::Failed(format!("the history is not kept: {error}")))?;
        let evidence = match (&mut self.by_hand, self.logs.take()) {
            (Some(by_hand), _) => {
                collect_after(&self.lab, by_hand.take_logs(), self.log_files.take(), CONVERGE_TIMEOUT).await
            }
            (None, Some(logs)) => logs.collect(&self.lab, true, CONVERGE_TIMEOUT).await,
            (None, None) => return Err(Halt::Failed("it was finished already".to_owned())),
        };
        let evidence = evidence.map_err(failed)?;
        if let Err(missing) = &evidence.converged {
            return Err(Halt::Failed(format!("the nodes do not agree: {missing}")));
        }
        if let Some(journal) = &self.journal {
            journal.catch_up(&self.lab).await;
        }
        let report = evidence.judge(&history);
        let verdict = evidence.verdict(&report);
        let findings: Vec<String> = report.findings.iter().map(ToString::to_string).collect();
        let counts = report.counts;
        self.ending = Some(Ending { verdict, report, evidence });
        match verdict {
            Verdict::Violated => Err(Halt::Failed(format!("the verdict is violated: {}", findings.join("; ")))),
            Verdict::Valid => Ok(Some(format!(
                "valid: {} acknowledged, {} equal logs of {} entries",
                thousands(counts.acknowledged),
                counts.replicas,
                thousands(counts.committed)
            ))),
            Verdict::Unknown => Ok(Some(format!("unknown: {}", findings.join("; ")))),
        }
    }

    /// Mends everything, and waits until the lab is stable. The leader.
    async fn come_to_life(&mut self) -> Result<NodeId, Halt<Infallible>> {
        let view = self.view().await?;
        let is_any = |wanted: fn(NodeState) -> bool| !view.that_are(wanted).is_empty();
        if is_any(|state| state == NodeState::Paused) {
            self.act(&Action::ResumeAll).await?;
        }
        if is_any(|state| matches!(state, NodeState::Stopped | NodeState::Killed | NodeState::Failed)) {
            self.act(&Action::RestartAll).await?;
        }
        if let Err(error) = self.lab.wait(Condition::Stable, CONVERGE_TIMEOUT).await {
            return Err(Halt::Failed(format!("the lab does not come to life: {error:#}")));
        }
        let leader = self.view().await?.leader().map(|(leader, _)| leader);
        leader.ok_or_else(|| Halt::Failed("the lab does not come to life: there is no leader".to_owned()))
    }

    /// Where nodes are moved by hand, time passes until all members follow a leader and have applied what it has.
    async fn agree_by_hand(&mut self) -> Result<NodeId, Halt<Infallible>> {
        let hand = self.hand();
        let end_us = hand.now_us() + LIFE_US;
        loop {
            let next_us = hand.now_us() + LOOK_US;
            hand.run_until(next_us).await?;
            let view = hand.view().await?;
            let missing = match view.leader().and_then(|(leader, _)| view.node(leader)) {
                Some(said) => match behind(&view, said) {
                    None => return Ok(said.node.name()),
                    Some(node) => format!("{node} does not follow {}, or has not applied what it has", said.node),
                },
                None => "there is no leader".to_owned(),
            };
            if hand.now_us() >= end_us {
                return Err(Halt::Failed(format!("the lab does not come to life: {missing}")));
            }
        }
    }
}

/// A member that does not follow its leader or has not applied its whole log, if there is one.
fn behind(view: &View, leader: &NodeStatus) -> Option<NodeId> {
    let members = leader.membership.iter().flat_map(|membership| membership.configuration.members());
    let agrees = |said: &NodeStatus| said.last_applied == leader.last_index && said.leader == Some(leader.node);
    members.chain([leader.node]).find(|id| !view.node(id.name()).is_some_and(agrees))
}
