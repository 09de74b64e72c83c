//! Handing the lead over (thesis §3.10).
//!
//! Invariant: it is done when the node that was named leads, whatever made it so; a transfer that the leader gave up is
//! begun again until the time is up; one that the leader refuses is an error at once.

use std::sync::Arc;

use raftian_rpc::NodeId;
use raftian_rpc::clock::monotonic_ns;
use raftian_rpc::connect::Http;
use raftian_rpc::control::{ControlClient, Membership};
use raftian_rpc::error::LabError;
use raftian_rpc::hint::{Hint, Note};
use raftian_rpc::lab::{Happening, NodeState, TransferReport, TransferRequest};

use crate::change::progress;
use crate::lab::{Lab, deadline};
use crate::node::leadership;
use crate::observe::{one, resolve};
use crate::poll::{Declined, may_look_again};

impl Lab {
    /// Hands the lead over to the node that a selector names.
    ///
    /// # Errors
    /// Usage when it names more than one, Conflict when that one cannot lead, TimedOut with what is missing.
    pub(crate) async fn transfer(self: &Arc<Lab>, request: TransferRequest) -> Result<TransferReport, LabError> {
        let received_ns = monotonic_ns();
        let deadline = deadline(request.timeout_ms)?;
        let facts = self.facts(&[&request.to]).await?;
        let resolved = resolve(request.to, &facts, &mut self.random())?;
        let to = one(&resolved)?;
        let mut from = None;
        loop {
            let view = self.view().await;
            let missing = match view.leading() {
                None => self.no_leader()?,
                Some((leader, _)) if leader.node == to => {
                    let role = self.state().nodes.get(&to).and_then(|node| node.role);
                    // The node's own word of it may be a moment behind its answer.
                    if let Some(role) = role.filter(|role| role.term == leader.term) {
                        let changed = from.is_some();
                        let leader = leadership(to, role, if changed { received_ns } else { role.since_ns });
                        return Ok(TransferReport { resolved, from: from.unwrap_or(to), changed, leader });
                    }
                    Note::new(format!("{to} has not told that it leads"))
                }
                Some((leader, membership)) => {
                    self.fit_to_lead(to, membership)?;
                    if from.replace(leader.node).is_none() {
                        self.journal.record(Happening::Transferring { resolved: resolved.clone() });
                    }
                    let why = match leader.transfer {
                        Some(heir) => format!("{} hands over to {heir}", leader.node),
                        None => {
                            let begun = self.ask_leader(leader.node, async |leader: Http| leader.transfer(to).await);
                            match begun.await {
                                Ok(()) => format!("{} hands over to {to}", leader.node),
                                Err(Declined::ForNow(why)) => why,
                                Err(Declined::Refused(why)) => {
                                    let why = format!("{} does not hand over: {why}", leader.node);
                                    return Err(LabError::conflict(why).hint(Hint::ShowStatus));
                                }
                            }
                        }
                    };
                    Note::new(why + &progress(leader, to))
                }
            };
            if !may_look_again(deadline).await {
                let missing = missing.within(|missing| format!("{to} does not lead yet: {missing}"));
                return Err(LabError::TimedOut(missing));
            }
        }
    }

    /// Whether a node could take over at all.
    fn fit_to_lead(&self, to: NodeId, membership: &Membership) -> Result<(), LabError> {
        if !membership.configuration.voters().contains(&to) {
            let hint = match membership.configuration.contains(to) {
                true => Hint::PromoteMember { node: to },
                false => Hint::AddMember { node: to, learner: false },
            };
            return Err(LabError::conflict(format!("{to} has no vote and cannot lead")).hint(hint));
        }
        let state = self.state();
        match state.nodes.get(&to).map(|node| node.state) {
            Some(NodeState::Running | NodeState::Starting) => Ok(()),
            Some(NodeState::Paused) => {
                let resume = Hint::Resume { nodes: vec![to] };
                Err(LabError::conflict(format!("{to} is paused and cannot lead")).hint(resume))
            }
            Some(_) => {
                let is = state.is(to);
                let restart = Hint::Restart { nodes: vec![to] };
                Err(LabError::conflict(format!("{to} is {is} and cannot lead")).hint(restart))
            }
            None => Err(LabError::conflict(format!("{to} has no process in this lab"))),
        }
    }
}
