//! What the nodes of a lab say of themselves, and whether it is as a scenario expects.
//!
//! Invariant: a failed expectation reports expected and actual. A node that is paused is judged by what it said last.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::time::Duration;

use raftian_rpc::client::{ClientClient as _, Consistency};
use raftian_rpc::connect::{self, Http};
use raftian_rpc::control::{MAX_LOG_PAGE, NodeStatus};
use raftian_rpc::lab::{LabClient as _, LabStatus, NodeState};
use raftian_rpc::selector::Selector;
use raftian_rpc::{NodeId, RoleKind, Term};
use raftian_script::{Condition, Halt, Measure, Nodes, Observed, READ_FATES, ROLES, Terms, name_of};
use serde_json::Value;
use serde_json::value::RawValue;

use super::{LabEngine, failed};
use crate::lab::told;

/// How long a node may take to answer what it answers at once.
const ANSWER: Duration = Duration::from_secs(1);

/// The nodes at a moment.
#[derive(Debug)]
pub(super) struct View {
    /// Who leads with a recent quorum, as the daemon sees it.
    pub(super) effective: Option<NodeId>,
    nodes: BTreeMap<NodeId, (NodeState, Option<NodeStatus>)>,
}

impl View {
    pub(super) fn of(status: LabStatus) -> View {
        let seen = status.nodes.into_iter().map(|report| {
            let said = report.server.or(report.last);
            (report.node.name(), (report.state, said))
        });
        View { effective: status.leader, nodes: seen.collect() }
    }

    /// The same of nodes that are moved by hand.
    pub(super) fn of_nodes(nodes: BTreeMap<NodeId, (NodeState, Option<NodeStatus>)>) -> View {
        View { effective: None, nodes }
    }

    /// What a node says; nothing if it is down.
    pub(super) fn node(&self, id: NodeId) -> Option<&NodeStatus> {
        let (state, said) = self.nodes.get(&id.name())?;
        said.as_ref().filter(|_| matches!(state, NodeState::Running | NodeState::Paused))
    }

    /// The nodes that are up.
    pub(super) fn up(&self) -> impl Iterator<Item = NodeId> {
        self.nodes.keys().copied().filter(|id| self.node(*id).is_some())
    }

    /// All nodes in such a state.
    pub(super) fn that_are(&self, is_so: impl Fn(NodeState) -> bool) -> Vec<NodeId> {
        self.nodes.iter().filter(|(_, (state, _))| is_so(*state)).map(|(id, _)| *id).collect()
    }

    /// All nodes.
    pub(super) fn all(&self) -> impl Iterator<Item = NodeId> {
        self.nodes.keys().copied()
    }

    /// The leader of the latest term that has one, whether it is heard or not; and the term.
    pub(super) fn leader(&self) -> Option<(NodeId, Term)> {
        let up = self.up().filter_map(|id| Some((id, self.node(id)?)));
        let leaders = up.filter(|(_, said)| said.role == RoleKind::Leader).map(|(id, said)| (id, said.term));
        leaders.max_by_key(|(_, term)| *term)
    }

    pub(super) fn ids(&self, nodes: &Nodes) -> Vec<NodeId> {
        match nodes {
            Nodes::These(ids) => ids.clone(),
            Nodes::Up => self.up().collect(),
        }
    }

    /// Checks each of these nodes, which must be up.
    fn each(&self, nodes: &Nodes, check: impl Fn(NodeId, &NodeStatus) -> Result<(), String>) -> Result<(), String> {
        let up = |id| self.node(id).ok_or_else(|| format!("{id} is down"));
        self.ids(nodes).into_iter().try_for_each(|id| check(id, up(id)?))
    }
}

impl LabEngine {
    /// Whether a condition holds now, or what is the case instead.
    pub(super) async fn check(&mut self, condition: &Condition) -> Observed<Infallible> {
        let view = match &mut self.by_hand {
            Some(by_hand) => by_hand.view().await?,
            None => self.view().await?,
        };
        Ok(match condition {
            Condition::Leader(wanted) => {
                let leader = view.leader().map(|(leader, _)| leader);
                let instead = || leader.map_or("there is no leader".to_owned(), |id| format!("{id} leads"));
                require(leader == *wanted, instead)
            }
            Condition::AnyLeader => require(view.leader().is_some(), || "there is no leader".to_owned()),
            Condition::Role { nodes, role: wanted, is } => view.ids(nodes).into_iter().try_for_each(|id| {
                let role = view.node(id).map(|said| said.role);
                require((role == *wanted) == *is, || format!("{id} is {}", name_of(&ROLES, &role)))
            }),
            Condition::Number(measure, nodes, count) => view.each(nodes, |id, said| {
                let number = match measure {
                    Measure::Term => said.term,
                    Measure::Committed => said.commit_index,
                    Measure::Applied => said.last_applied,
                    Measure::Last => said.last_index,
                    Measure::Snapshot => said.snapshot_index,
                };
                require(count.holds(number), || format!("it is {number} at {id}"))
            }),
            Condition::Members { nodes, voters, outgoing, learners } => view.each(nodes, |id, said| {
                let known = said.membership.as_ref().map(|membership| &membership.configuration);
                let none = BTreeSet::new();
                let parts = known.map_or([&none; 3], |known| [known.voters(), known.outgoing(), known.learners()]);
                let told = || known.map_or("knows of no members".to_owned(), |known| format!("has members {known}"));
                require(parts == [voters, outgoing, learners], || format!("{id} {}", told()))
            }),
            Condition::Log(nodes, terms) => self.check_logs(view.ids(nodes), &view, terms).await?,
            Condition::Value(nodes, key, value) => self.check_values(view.ids(nodes), &view, key, value).await?,
            Condition::Read(number, wanted) => match self.hands.read_fate(*number) {
                Some(fate) => require(fate == *wanted, || format!("read {number} is {}", name_of(&READ_FATES, &fate))),
                None => Err(format!("there was no read {number}")),
            },
            Condition::Acknowledged(count) => {
                let acknowledged = self.clients.acknowledged();
                require(count.holds(acknowledged), || format!("{acknowledged} are"))
            }
            Condition::Vote(nodes, wanted) => {
                for id in view.ids(nodes) {
                    let Some(said) = view.node(id) else { return Ok(Err(format!("{id} is down"))) };
                    let vote = self.hand().durable(id).await?.vote;
                    if vote != *wanted {
                        let whom = vote.map_or("nobody".to_owned(), |vote| vote.to_string());
                        return Ok(Err(format!("{id} has voted for {whom} in term {}", said.term)));
                    }
                }
                Ok(())
            }
            Condition::Durable(nodes, wanted) => {
                for id in view.ids(nodes) {
                    let durable = self.hand().durable(id).await?;
                    if durable.log != *wanted {
                        return Ok(Err(differs(&format!("the disk of {id}"), &durable.log)));
                    }
                }
                Ok(())
            }
            Condition::Sent(which, count) => {
                let sent = self.hand().sent(*which);
                require(count.holds(sent), || format!("{sent} were"))
            }
            Condition::Violation(_) => unreachable!("refused before anything started"),
        })
    }

    async fn check_logs(&self, ids: Vec<NodeId>, view: &View, wanted: &[Term]) -> Observed<Infallible> {
        for id in ids {
            if view.node(id).is_none() {
                return Ok(Err(format!("{id} is down")));
            }
            let report = told(self.lab.client.log(Selector::node(id), 1, MAX_LOG_PAGE).await).map_err(failed)?;
            let Some(page) = report.pages.first() else { return Ok(Err(format!("{id} does not answer"))) };
            let terms: Vec<Term> = page.entries.iter().map(|entry| entry.term).collect();
            if terms != wanted {
                return Ok(Err(differs(&format!("the log of {id}"), &terms)));
            }
        }
        Ok(Ok(()))
    }

    async fn check_values(
        &self,
        ids: Vec<NodeId>,
        view: &View,
        key: &str,
        wanted: &Option<String>,
    ) -> Observed<Infallible> {
        for id in ids {
            if view.node(id).is_none() {
                return Ok(Err(format!("{id} is down")));
            }
            let value = match self.applied_value(id, key).await? {
                Ok(value) => value,
                Err(why) => return Ok(Err(format!("{id} does not answer: {why}"))),
            };
            if value != *wanted {
                let told = value.map_or("no value".to_owned(), |value| format!("the value {value}"));
                return Ok(Err(format!("{key} has {told} at {id}")));
            }
        }
        Ok(Ok(()))
    }

    /// What a stale read of a key gives at a node; nothing on an application without keys.
    async fn applied_value(&self, id: NodeId, key: &str) -> Result<Result<Option<String>, String>, Halt<Infallible>> {
        let node = match self.node(id, ANSWER).await? {
            Ok(node) => node,
            Err(why) => return Ok(Err(why)),
        };
        let op = serde_json::json!({ "get": key }).to_string();
        let op = RawValue::from_string(op).expect("an object is JSON");
        Ok(match node.read(op, Some(Consistency::Stale), None, None).await {
            Ok(answer) => {
                let response: Option<Value> = serde_json::from_str(answer.response.get()).ok();
                Ok(response.and_then(|response| Some(response.get("value")?.as_str()?.to_owned())))
            }
            Err(error) => Err(error.to_string()),
        })
    }

    /// A node, to be called; or why it cannot be.
    pub(super) async fn node(&self, id: NodeId, patience: Duration) -> Result<Result<Http, String>, Halt<Infallible>> {
        let addresses = self.lab.addresses().await.map_err(failed)?;
        let Some((_, address)) = addresses.into_iter().find(|(node, _)| node.name() == id) else {
            return Ok(Err("it does not listen".to_owned()));
        };
        connect::http(address, &self.lab.secret, patience).map(Ok).map_err(|error| failed(error.into()))
    }
}

/// The terms that something has.
fn differs(whose: &str, terms: &[Term]) -> String {
    match terms {
        [] => format!("{whose} is empty"),
        terms => format!("{whose} has terms{}", Terms(terms)),
    }
}

fn require(holds: bool, instead: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(instead()) }
}
