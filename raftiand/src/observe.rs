//! Looking at the lab: what the nodes say of themselves, who leads, and what a selector names at this moment.
//!
//! Invariant: looking changes nothing but what the daemon knows of the nodes and the members, and no node can hold it
//! up: all are asked at once, and one that does not answer in time counts as silent.

use std::collections::BTreeMap;
use std::time::Duration;

use raftian_rpc::connect::Http;
use raftian_rpc::control::{ControlClient, LogLine, LogPage, MAX_LOG_PAGE, Membership, NodeStatus};
use raftian_rpc::error::LabError;
use raftian_rpc::hint::Hint;
use raftian_rpc::lab::{Hello, LabStatus, LogReport, NodeState, Resolution};
use raftian_rpc::selector::{Facts, Selector, SelectorError, names};
use raftian_rpc::{Index, MAX_BODY_BYTES, NodeId, RoleKind, Term, VERSION};
use tokio::task::JoinSet;

use crate::lab::{Lab, State};
use crate::poll::why;

/// How long a node may take to say what it is doing.
const STATUS_PATIENCE: Duration = Duration::from_millis(200);

/// How long a node may take to read a page of its log.
const LOG_PATIENCE: Duration = Duration::from_secs(3);

/// What a line of a log takes up beside its command, in bytes, roughly.
const LINE_BYTES: usize = 64;

/// What the nodes said of themselves, all at one moment.
#[derive(Clone, Debug, Default)]
pub(crate) struct View {
    /// The nodes that answered.
    pub(crate) statuses: BTreeMap<NodeId, NodeStatus>,
    /// The claimant of the highest term that has heard from a quorum recently.
    pub(crate) leader: Option<(NodeId, Term)>,
}

impl View {
    /// What the leader says of itself and of the members.
    pub(crate) fn leading(&self) -> Option<(&NodeStatus, &Membership)> {
        let (leader, _) = self.leader?;
        let status = self.statuses.get(&leader)?;
        Some((status, status.membership.as_ref()?))
    }
}

impl Lab {
    /// Asks all running nodes what they are doing.
    pub(crate) async fn view(&self) -> View {
        let (clients, election_max_ms, electable) = {
            let state = self.state();
            (running_clients(&state), state.election_max_ms(), state.electable())
        };
        let asked = ask_all(clients, STATUS_PATIENCE, |client| async move { client.status().await }).await;
        let statuses: BTreeMap<_, _> = asked.into_iter().filter_map(|(id, answer)| Some((id, answer.ok()?))).collect();
        // A leader that was just cut off has heard from a quorum recently, and will not again.
        let leader = leader_of(statuses.values().filter(|status| electable.contains(&status.node)), election_max_ms);
        // No change that anybody waits for.
        for (id, node) in &mut self.state().nodes {
            node.last = statuses.get(id).cloned().or(node.last.take());
        }
        let view = View { statuses, leader };
        if let Some((status, members)) = view.leading() {
            // Compared before it is changed: a change wakes all who wait for one.
            let known = self.state().members.has_heard(status.term, &members.configuration);
            if !known && self.change(|state| state.members.hear(status.term, &members.configuration)) {
                self.save_members();
            }
        }
        view
    }

    /// Who this daemon is.
    pub(crate) fn hello(&self) -> Hello {
        Hello {
            version: VERSION.into(),
            lab: self.name.clone(),
            folder: self.folder.path().to_owned(),
            pid: std::process::id(),
            started: self.state().nodes.values().any(|node| node.process.is_some()),
        }
    }

    /// What every node is doing.
    pub(crate) async fn status(&self) -> LabStatus {
        let view = self.view().await;
        self.describe_with_reasons(&self.state(), view)
    }

    /// What selectors may look at. Asks the nodes only if one of them needs to know.
    ///
    /// # Errors
    /// Conflict when the lab has no nodes.
    pub(crate) async fn facts(&self, selectors: &[&Selector]) -> Result<Facts, LabError> {
        if self.state().nodes.is_empty() {
            return Err(no_nodes());
        }
        let leader = match selectors.iter().any(|selector| selector.is_dynamic()) {
            true => self.view().await.leader,
            false => None,
        };
        let state = self.state();
        Ok(Facts { nodes: state.ids(), running: state.running(), voters: state.members.voters(), leader })
    }

    /// What a selector names at this moment.
    ///
    /// # Errors
    /// When it names nobody, or nothing that is there.
    pub(crate) async fn resolved(&self, selector: Selector) -> Result<Resolution, LabError> {
        let facts = self.facts(&[&selector]).await?;
        resolve(selector, &facts, &mut self.random())
    }

    /// A page of the logs of some nodes.
    ///
    /// # Errors
    /// When the selector names nobody, or the page is no page.
    pub(crate) async fn logs(&self, selector: Selector, from: Index, limit: u64) -> Result<LogReport, LabError> {
        if !(1..=MAX_LOG_PAGE).contains(&limit) || from == 0 {
            let why = format!("a page of a log starts at index 1 or later and has 1 to {MAX_LOG_PAGE} entries");
            return Err(LabError::usage(why));
        }
        let facts = self.facts(&[&selector]).await?;
        let resolved = resolve(selector, &facts, &mut self.state().random.clone())?;
        let (clients, mut silent) = {
            let state = self.state();
            let mut clients = running_clients(&state);
            clients.retain(|(id, _)| resolved.nodes.contains(id));
            let dead = resolved.nodes.difference(&facts.running);
            let silent = dead.map(|id| (*id, state.is(*id).to_owned()));
            (clients, silent.collect::<BTreeMap<_, _>>())
        };
        let asked = ask_all(clients, LOG_PATIENCE, move |client| async move { client.log(from, limit).await }).await;
        let mut pages: Vec<LogPage> = Vec::new();
        for (id, answer) in asked {
            match answer {
                Ok(page) => pages.push(page),
                Err(why) => drop(silent.insert(id, why)),
            }
        }
        fit_together(&mut pages);
        Ok(LogReport { resolved, pages, silent })
    }
}

/// Shortens pages that would not fit into one answer together. Each of them fits alone.
fn fit_together(pages: &mut [LogPage]) {
    if pages.len() < 2 {
        return;
    }
    // The other half is for what stands around the commands.
    let share = MAX_BODY_BYTES as usize / 2 / pages.len();
    for page in pages {
        let mut bytes = 0;
        let fits = |line: &&LogLine| {
            bytes += LINE_BYTES + line.command.as_ref().map_or(0, |command| command.get().len());
            bytes <= share
        };
        let count = page.entries.iter().take_while(fits).count();
        page.entries.truncate(count);
    }
}

/// What a selector names now; `random` decides for those that draw.
///
/// # Errors
/// Usage for what can never be meant, Conflict for what the lab's present state does not have.
pub(crate) fn resolve(selector: Selector, facts: &Facts, random: &mut fastrand::Rng) -> Result<Resolution, LabError> {
    let nodes = selector.resolve(facts, random).map_err(|error| match error {
        SelectorError::Syntax { .. } | SelectorError::NoSuchNode { .. } => LabError::usage(error.to_string()),
        SelectorError::Empty { .. } if !selector.is_dynamic() => LabError::usage(error.to_string()),
        SelectorError::NoLeader { .. } => LabError::conflict(error.to_string()).hint(Hint::WaitForLeader),
        _ => LabError::conflict(error.to_string()),
    })?;
    let leader = facts.leader.filter(|_| selector.is_dynamic());
    Ok(Resolution { selector, nodes, leader })
}

/// The one node that is meant.
///
/// # Errors
/// Usage when several are named.
pub(crate) fn one(resolved: &Resolution) -> Result<NodeId, LabError> {
    match resolved.nodes.iter().collect::<Vec<_>>()[..] {
        [node] => Ok(*node),
        _ => {
            let (selector, named) = (&resolved.selector, names(&resolved.nodes));
            Err(LabError::usage(format!("`{selector}` names {named}, and this is for one node; name one, or use @any")))
        }
    }
}

/// The claimant of the highest term that has heard from a quorum within an election time-out.
pub(crate) fn leader_of<'a>(
    statuses: impl Iterator<Item = &'a NodeStatus>,
    election_max_ms: u64,
) -> Option<(NodeId, Term)> {
    let recent = |status: &&NodeStatus| status.quorum_contact_ms.is_some_and(|age| age <= election_max_ms);
    let claims = statuses.filter(|status| status.role == RoleKind::Leader).filter(recent);
    claims.max_by_key(|status| status.term).map(|status| (status.node, status.term))
}

/// The answer to whoever wants something of the nodes of a lab that has none.
pub(crate) fn no_nodes() -> LabError {
    LabError::conflict("this lab has no nodes yet").hint(Hint::Start)
}

/// The clients of the nodes that run.
pub(crate) fn running_clients(state: &State) -> Vec<(NodeId, Http)> {
    let running = state.nodes.iter().filter(|(_, node)| node.state == NodeState::Running);
    running.filter_map(|(id, node)| Some((*id, node.client.clone()?))).collect()
}

/// Asks many nodes the same at once. The answers come in the order of the nodes.
pub(crate) async fn ask_all<C, T, F>(
    clients: Vec<(NodeId, C)>,
    patience: Duration,
    question: impl Fn(C) -> F,
) -> BTreeMap<NodeId, Result<T, String>>
where
    T: Send + 'static,
    F: Future<Output = Result<T, jsonrpsee::core::ClientError>> + Send + 'static,
{
    let mut calls = JoinSet::new();
    for (id, client) in clients {
        let call = question(client);
        calls.spawn(async move {
            let answer = match tokio::time::timeout(patience, call).await {
                Ok(answer) => answer.map_err(|error| why(&error)),
                Err(_) => Err(format!("no answer within {} ms", patience.as_millis())),
            };
            (id, answer)
        });
    }
    calls.join_all().await.into_iter().collect()
}
