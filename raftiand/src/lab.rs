//! The lab: everything the daemon knows, and how its tasks wait for one another.
//!
//! Invariant: the state is behind a lock that is never held across an `await`; whoever changes it announces that, so
//! that waiting for a change needs no polling. Changes to processes (start, stop, and the verbs for nodes) happen one
//! after another, in turns.
//!
//! Deliberately absent: what is done with all this; see `lifecycle.rs`, `links.rs`, `observe.rs` and `wait.rs`.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use raftian_rpc::control::ByHand;
use raftian_rpc::error::LabError;
use raftian_rpc::folder::LabFolder;
use raftian_rpc::hint::Hint;
use raftian_rpc::lab::{Divergence, NodeState};
use raftian_rpc::secret::Secret;
use raftian_rpc::{Configuration, NodeId};
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use crate::faults::Faults;
use crate::gateway::Gateway;
use crate::journal::Journal;
use crate::members::Members;
use crate::metrics::Metrics;
use crate::node::Node;
use crate::saved::{Saved, Settings};

/// The longest time a call may be given: a day.
const MAX_TIMEOUT_MS: u64 = 86_400_000;

/// The lab and its daemon.
pub(crate) struct Lab {
    /// The lab's name.
    pub(crate) name: String,
    /// Where it lives.
    pub(crate) folder: LabFolder,
    /// What callers must know.
    pub(crate) secret: Secret,
    /// The program that nodes run.
    pub(crate) program: PathBuf,
    /// What happened.
    pub(crate) journal: Journal,
    /// What the processes use.
    pub(crate) metrics: Metrics,
    /// Told when the daemon should leave.
    pub(crate) leave: Notify,
    /// The canvas, while it is open to painters.
    pub(crate) gateway: tokio::sync::Mutex<Option<Gateway>>,
    state: Mutex<State>,
    changes: watch::Sender<()>,
    turn: tokio::sync::Mutex<()>,
    member_turn: tokio::sync::Mutex<()>,
}

/// What changes in the life of a lab.
#[derive(Default)]
pub(crate) struct State {
    /// What kind of lab it is; `None` until it is first started.
    pub(crate) settings: Option<Settings>,
    /// What is special about its nodes, where they are moved by hand.
    pub(crate) by_hand: BTreeMap<NodeId, ByHand>,
    /// Its nodes, in order.
    pub(crate) nodes: BTreeMap<NodeId, Node>,
    /// Who takes part in the cluster.
    pub(crate) members: Members,
    /// What is wrong with its links and inside its nodes.
    pub(crate) faults: Faults,
    /// Nodes that were seen to have committed different entries.
    pub(crate) divergence: Option<Divergence>,
    /// Whether the lab is being stopped, so that nothing new may begin.
    pub(crate) closing: bool,
    /// Draws for `@any` and its like; from the lab's seed, so that the same commands name the same nodes.
    pub(crate) random: fastrand::Rng,
}

/// The right to change processes, or the membership, until it is dropped.
pub(crate) type Turn<'a> = tokio::sync::MutexGuard<'a, ()>;

impl Lab {
    /// A lab as it was saved, with no process running.
    pub(crate) fn new(
        name: String,
        folder: LabFolder,
        secret: Secret,
        program: PathBuf,
        journal: Journal,
        metrics: Metrics,
        saved: Option<Saved>,
    ) -> Lab {
        let mut state = State::default();
        if let Some(saved) = saved {
            state.settings = Some(saved.settings);
            state.random = fastrand::Rng::with_seed(saved.settings.seed);
            state.members = saved.members;
            state.by_hand = saved.by_hand;
            state.nodes = saved.nodes.iter().map(|(id, node)| (*id, Node::restored(node))).collect();
        }
        Lab {
            name,
            folder,
            secret,
            program,
            journal,
            metrics,
            leave: Notify::new(),
            gateway: tokio::sync::Mutex::new(None),
            state: Mutex::new(state),
            changes: watch::Sender::new(()),
            turn: tokio::sync::Mutex::new(()),
            member_turn: tokio::sync::Mutex::new(()),
        }
    }

    /// The same with faults in force that an earlier daemon has left.
    pub(crate) fn with_faults(self, faults: Faults) -> Lab {
        self.state().faults = faults;
        self
    }

    /// Has somebody listen for every node there is, on the port that it had. A node for which that fails tries again when it
    /// is started, and then says why it cannot.
    pub(crate) fn open_seats(&self) {
        self.change(|state| {
            for (id, node) in &mut state.nodes {
                if let Err(error) = node.seat(*id) {
                    tracing::warn!("nothing can listen for {id} on 127.0.0.1: {error}");
                }
            }
        });
    }

    /// A generator for one command, the next of the lab's sequence.
    pub(crate) fn random(&self) -> fastrand::Rng {
        self.state().random.fork()
    }

    /// The state, to look at.
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the state, and lets those who wait look again.
    pub(crate) fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let outcome = change(&mut self.state());
        self.changes.send_replace(());
        outcome
    }

    /// Says when the state may have changed.
    pub(crate) fn changes(&self) -> watch::Receiver<()> {
        self.changes.subscribe()
    }

    /// Waits until `look` finds something; `None` if it has not by the deadline.
    pub(crate) async fn until<T>(&self, deadline: Instant, mut look: impl FnMut(&State) -> Option<T>) -> Option<T> {
        let mut changes = self.changes.subscribe();
        loop {
            changes.borrow_and_update();
            if let Some(found) = look(&self.state()) {
                return Some(found);
            }
            if tokio::time::timeout_at(deadline, changes.changed()).await.is_err() {
                return None;
            }
        }
    }

    /// Waits for the right to change processes.
    ///
    /// # Errors
    /// Conflict when the lab is being stopped, TimedOut when others take too long.
    pub(crate) async fn turn(&self, deadline: Instant) -> Result<Turn<'_>, LabError> {
        let turn = tokio::time::timeout_at(deadline, self.turn.lock())
            .await
            .map_err(|_| LabError::timed_out("another start, stop or verb for nodes is still under way; try again"))?;
        match self.state().closing {
            true => Err(closing()),
            false => Ok(turn),
        }
    }

    /// Waits for the right to change the membership. It is another than that to change processes, which is only wanted
    /// for moments meanwhile: whoever wants to break something while a node joins must be able to.
    ///
    /// # Errors
    /// TimedOut when others take too long.
    pub(crate) async fn member_turn(&self, deadline: Instant) -> Result<Turn<'_>, LabError> {
        tokio::time::timeout_at(deadline, self.member_turn.lock())
            .await
            .map_err(|_| LabError::timed_out("another change of the membership is still under way; try again"))
    }

    /// The right to change the membership, if nobody has it.
    pub(crate) fn free_member_turn(&self) -> Option<Turn<'_>> {
        self.member_turn.try_lock().ok()
    }

    /// Waits for the right to change processes, as long as it takes.
    pub(crate) async fn last_turn(&self) -> Turn<'_> {
        self.turn.lock().await
    }

    /// Writes `lab.json`.
    ///
    /// # Errors
    /// When the folder cannot be written or the disk is full.
    pub(crate) fn save(&self) -> Result<(), LabError> {
        self.try_save().map_err(|error| {
            let path = self.folder.lab_json();
            LabError::failed(format!(
                "cannot write {}: {error}; make room or give access, and try again",
                path.display()
            ))
        })
    }

    /// Writes `lab.json` where nothing depends on it: a word for people when that did not work.
    pub(crate) fn save_if_possible(&self) -> Option<String> {
        // What it still says of processes is checked by their start times before it is believed.
        self.try_save().err().map(|error| {
            let path = self.folder.lab_json();
            format!("{} is not up to date ({error}), which does no harm: the next start checks it", path.display())
        })
    }

    fn try_save(&self) -> io::Result<()> {
        let saved = {
            let state = self.state();
            let Some(settings) = state.settings else { return Ok(()) };
            let nodes = state.nodes.iter().map(|(id, node)| (*id, node.to_save())).collect();
            Saved::new(settings, state.by_hand.clone(), nodes, state.members.clone())
        };
        saved.save(&self.folder.lab_json())
    }

    /// Writes `lab.json` because the members are others now. Nobody waits for an answer to whom an error could be told.
    pub(crate) fn save_members(&self) {
        if let Err(error) = self.save() {
            tracing::warn!("the members are {:?}, and {error}", self.state().members.configuration());
        }
    }

    /// Carries out a change of state to its end, even if whoever asked for it goes away meanwhile.
    ///
    /// # Errors
    /// Those of the operation.
    pub(crate) async fn carry_out<T, F>(self: &Arc<Lab>, operation: impl FnOnce(Arc<Lab>) -> F) -> Result<T, LabError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, LabError>> + Send + 'static,
    {
        // jsonrpsee drops the future of a handler whose caller has hung up; a task of its own is not dropped.
        let task = tokio::spawn(operation(Arc::clone(self)));
        task.await.unwrap_or_else(|error| Err(LabError::failed(format!("the daemon made a mistake: {error}"))))
    }
}

impl State {
    /// All nodes of the lab.
    pub(crate) fn ids(&self) -> BTreeSet<NodeId> {
        self.nodes.keys().copied().collect()
    }

    /// What a node is doing, in a word that follows "n1 is".
    pub(crate) fn is(&self, id: NodeId) -> &'static str {
        self.nodes.get(&id).map_or("gone", |node| raftian_why::words::state(node.state))
    }

    /// The nodes in one state.
    pub(crate) fn in_state(&self, state: NodeState) -> BTreeSet<NodeId> {
        self.nodes.iter().filter(|(_, node)| node.state == state).map(|(id, _)| *id).collect()
    }

    /// The running nodes: those that are not paused.
    pub(crate) fn running(&self) -> BTreeSet<NodeId> {
        self.in_state(NodeState::Running)
    }

    /// The running nodes that could lead: they have a vote, reach a quorum of the voters, and are reached by it.
    pub(crate) fn electable(&self) -> BTreeSet<NodeId> {
        let Some(members) = self.members.configuration() else { return BTreeSet::new() };
        reach_quorum(members, &self.running(), &self.faults.cut_links())
    }

    /// Takes in the membership that a node last told of, if it leads; says whether that is news.
    pub(crate) fn hear_members_of(&mut self, id: NodeId) -> bool {
        let Some(node) = self.nodes.get(&id) else { return false };
        let (Some(term), Some(members)) = (node.leads(), &node.configuration) else { return false };
        self.members.hear(term, members)
    }

    /// The end of the range of election time-outs: how old a leader's contact with a quorum may be.
    pub(crate) fn election_max_ms(&self) -> u64 {
        self.settings.map(|settings| settings.timing).unwrap_or_default().election_max_ms
    }
}

/// The moment by which a call must be done.
///
/// # Errors
/// Usage when it has no time at all, or more than a day.
pub(crate) fn deadline(timeout_ms: u64) -> Result<Instant, LabError> {
    match timeout_ms {
        1..=MAX_TIMEOUT_MS => Ok(Instant::now() + Duration::from_millis(timeout_ms)),
        _ => Err(LabError::usage(format!("a time-out is 1 ms to 24 h, not {timeout_ms} ms"))),
    }
}

/// Those of the running voters that reach a quorum of all voters, both ways, over links that are not cut.
fn reach_quorum(
    members: &Configuration,
    running: &BTreeSet<NodeId>,
    cut: &BTreeSet<(NodeId, NodeId)>,
) -> BTreeSet<NodeId> {
    let is_cut = |from: NodeId, to: NodeId| cut.contains(&(from.name(), to.name()));
    let linked = |node, peer| node == peer || !is_cut(node, peer) && !is_cut(peer, node);
    let reaches = |node: NodeId| members.has_quorum(|peer| running.contains(&peer) && linked(node, peer));
    running.iter().copied().filter(|node| members.is_voter(*node) && reaches(*node)).collect()
}

/// The answer to whoever wants something of a lab that is on its way out.
pub(crate) fn closing() -> LabError {
    LabError::conflict("the lab is being stopped").hint(Hint::Start)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quorum_takes_running_nodes_and_whole_links() {
        let first = |count| -> BTreeSet<NodeId> { NodeId::first(count).collect() };
        let one_to = |others: BTreeSet<NodeId>| -> BTreeSet<(NodeId, NodeId)> {
            NodeId::first(1).flat_map(|one| others.iter().map(move |other| (one, *other))).collect()
        };
        let five = Configuration::new(first(5)).unwrap();
        assert_eq!(reach_quorum(&five, &first(3), &BTreeSet::new()), first(3));
        assert_eq!(reach_quorum(&five, &first(2), &BTreeSet::new()), BTreeSet::new());
        // A link that is cut in one direction is no link.
        assert_eq!(reach_quorum(&five, &first(3), &one_to(first(3))), BTreeSet::new());
        let others: BTreeSet<NodeId> = first(5).difference(&first(1)).copied().collect();
        assert_eq!(reach_quorum(&five, &first(5), &one_to(first(5))), others);
        // Who has no vote neither leads nor counts.
        let learning = Configuration::of(first(3), BTreeSet::new(), others.difference(&first(3)).copied().collect());
        assert_eq!(reach_quorum(&learning.unwrap(), &others, &BTreeSet::new()), &others & &first(3));
        // On the way from three to five, a quorum of both is needed.
        let joint = Configuration::of(first(5), first(3), BTreeSet::new()).unwrap();
        assert_eq!(reach_quorum(&joint, &(&others - &first(2)), &BTreeSet::new()), BTreeSet::new());
    }
}
