//! The end of a scenario: all is mended, must come to life, and is judged.
//!
//! Invariant: a verdict is the judges', and a lab in which nodes do not agree in time does not hold.

use std::convert::Infallible;
use std::time::Duration;

use raftian_check::Verdict;
use raftian_rpc::AppKind;
use raftian_rpc::condition::Condition;
use raftian_rpc::lab::{LabClient as _, NodeState};
use raftian_script::{Action, Halt, Performed};

use super::{Ending, LabEngine, failed};
use crate::lab::told;
use crate::summary::thousands;

/// How long the nodes may take to agree.
const CONVERGE_TIMEOUT: Duration = Duration::from_secs(15);

impl LabEngine {
    /// Mends everything, waits until clients have their answers and nodes agree, and has it judged.
    pub(super) async fn finish(&mut self) -> Performed<Infallible> {
        told(self.lab.client.fault_clear(None).await).map_err(failed)?;
        self.cuts.clear();
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
        self.clients.end().await;
        // A cluster that lives answers; and the judges have something to judge, whatever was asked before.
        let Some((leader, _)) = self.view().await?.leader() else {
            return Err(Halt::Failed("the lab does not come to life: there is no leader".to_owned()));
        };
        let probe = match self.app {
            AppKind::Kv => self.read(leader).await?,
            AppKind::Attack => self.propose(leader, "last").await?,
        };
        if let Err(why) = probe {
            return Err(Halt::Failed(format!("the lab does not come to life: {leader} refuses: {why}")));
        }
        self.hands.end().await;
        let history = self.history.take().map_err(|error| Halt::Failed(format!("the history is not kept: {error}")))?;
        let Some(logs) = self.logs.take() else { return Err(Halt::Failed("it was finished already".to_owned())) };
        let evidence = logs.collect(&self.lab, true, CONVERGE_TIMEOUT).await.map_err(failed)?;
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
}
