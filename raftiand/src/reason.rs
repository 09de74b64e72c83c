//! Why the lab is as it is: what the daemon knows, laid before `raftian-why`.
//!
//! Invariant: whatever is certain is said at once, without asking a node; so a command that would wait for what cannot come
//! does not wait.

use raftian_rpc::clock::monotonic_ns;
use raftian_rpc::error::LabError;
use raftian_rpc::hint::Note;
use raftian_rpc::lab::{LabStatus, NodeReport, Question, WhyReport};
use raftian_why::Sight;

use crate::lab::{Lab, State};
use crate::node::Node;
use crate::observe::View;

impl Lab {
    /// Why things are as they are.
    ///
    /// # Errors
    /// Usage for a node or a fault that the lab never had.
    pub(crate) async fn why(&self, question: Question) -> Result<WhyReport, LabError> {
        let mut status = self.status().await;
        status.faults = self.faults_as_seen().await;
        let reasons = self.sight(&status, |sight| raftian_why::answer(sight, question)).map_err(LabError::usage)?;
        Ok(WhyReport { question, reasons })
    }

    /// The reason line: the most important thing that is wrong now.
    pub(crate) async fn reason(&self) -> Note {
        let mut reasons = self.status().await.reasons;
        reasons.swap_remove(0)
    }

    /// Why no node can lead, if that is certain. Asks nobody.
    pub(crate) fn no_leader_possible(&self, state: &State) -> Option<Note> {
        if !state.electable().is_empty() {
            return None;
        }
        self.sight(&self.describe(state, View::default()), raftian_why::impossible)
    }

    /// What is known of the lab, with its reasons.
    pub(crate) fn describe_with_reasons(&self, state: &State, view: View) -> LabStatus {
        let mut status = self.describe(state, view);
        status.reasons = self.sight(&status, raftian_why::reasons);
        status
    }

    fn sight<T>(&self, status: &LabStatus, look: impl FnOnce(Sight<'_>) -> T) -> T {
        self.journal.read(|events| look(Sight { status, events, now_ns: monotonic_ns() }))
    }

    /// What is known of the lab: `view` is what the nodes have just said.
    fn describe(&self, state: &State, mut view: View) -> LabStatus {
        let told = |node: &Node| node.role.map(|role| role.term).max(node.last.as_ref().map(|last| last.term));
        let term = state.nodes.values().filter_map(told).max().unwrap_or(0);
        let nodes = state.nodes.iter().map(|(id, node)| {
            let server = view.statuses.remove(id);
            NodeReport {
                node: *id,
                state: node.state,
                standing: state.members.standing(*id),
                reason: node.reason.clone(),
                address: node.address(),
                usage: node.process.as_ref().and_then(|process| self.metrics.usage_together(&process.group.pids())),
                starts: node.starts,
                rolled_back: node.rolled_back,
                last: if server.is_none() { node.last.clone() } else { None },
                server,
            }
        });
        LabStatus {
            lab: self.name.clone(),
            folder: self.folder.path().to_owned(),
            app: state.settings.map(|settings| settings.app),
            app_options: state.settings.map(|settings| settings.app_options),
            game: state.settings.map_or_else(Default::default, |settings| settings.game),
            seed: state.settings.map_or(0, |settings| settings.seed),
            timing: state.settings.map(|settings| settings.timing).unwrap_or_default(),
            reasons: Vec::new(),
            members: state.members.configuration().cloned(),
            nodes: nodes.collect(),
            leader: view.leader.map(|(leader, _)| leader),
            term,
            faults: state.faults.list(),
            divergence: state.divergence,
            daemon: self.metrics.usage(std::process::id()).unwrap_or_default(),
        }
    }
}
