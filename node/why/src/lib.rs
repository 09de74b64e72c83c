//! Why a lab is as it is: sentences with exact numbers, from what its nodes say and what its journal holds.
//!
//! Invariant: pure. The same status, journal and time give the same sentences, so a run that is over can be explained
//! from its files as the lab was while it ran. Nothing is guessed: a cause is named only where the journal has it.
//!
//! | file      | explains                                                    |
//! |-----------|-------------------------------------------------------------|
//! | `quorum`  | that no leader is possible: too few voters, or links cut     |
//! | `lead`    | that none is there yet, why one leads, who wrongly claims to |
//! | `commit`  | why an entry is not committed                                |
//! | `node`    | one node                                                     |
//! | `fault`   | one fault, and whom it cuts off                              |
//! | `slow`    | disks, delays, and too many elections                        |
//! | `lab`     | the whole lab: all of these, by importance                   |
//!
//! Deliberately absent: asking anybody, and what a person should type, which are hints that a face puts into its form.

mod commit;
mod fault;
mod lab;
mod lead;
mod node;
mod past;
mod quorum;
mod slow;
pub mod words;

use std::collections::BTreeSet;

use raftian_rpc::NodeId;
use raftian_rpc::control::NodeStatus;
use raftian_rpc::hint::Note;
use raftian_rpc::lab::{Event, LabStatus, NodeReport, NodeState, Question};

pub use lab::{alarms, reasons};
pub use quorum::impossible;
pub use slow::disk_trouble;

/// What can be seen of a lab at a moment.
#[derive(Clone, Copy, Debug)]
pub struct Sight<'a> {
    /// What the nodes do.
    pub status: &'a LabStatus,
    /// What happened, in order: the journal, or its end.
    pub events: &'a [Event],
    /// The moment, on the machine's monotonic clock.
    pub now_ns: u64,
}

/// The answer to a question, the most important reason first.
///
/// # Errors
/// A sentence, for a node or a fault that the lab never had.
pub fn answer(sight: Sight<'_>, question: Question) -> Result<Vec<Note>, String> {
    Ok(match question {
        Question::Now => reasons(sight),
        Question::NoLeader => lead::no_leader(sight),
        Question::Leader => lead::leader(sight),
        Question::Slow => slow::slow(sight),
        Question::Uncommitted(index) => commit::uncommitted(sight, index),
        Question::Node(node) => node::node(sight, node)?,
        Question::Fault(fault) => fault::fault(sight, fault)?,
    })
}

impl<'a> Sight<'a> {
    /// How long ago something was, in milliseconds.
    fn ms_since(&self, at_ns: u64) -> u64 {
        self.now_ns.saturating_sub(at_ns) / 1_000_000
    }

    /// What is known of a node.
    fn report(&self, id: NodeId) -> Option<&'a NodeReport> {
        self.status.nodes.iter().find(|report| report.node == id)
    }

    /// What a node says of itself.
    fn server(&self, id: NodeId) -> Option<&'a NodeStatus> {
        self.report(id)?.server.as_ref()
    }

    /// All who answer.
    fn servers(&self) -> impl Iterator<Item = &'a NodeStatus> + use<'a> {
        self.status.nodes.iter().filter_map(|report| report.server.as_ref())
    }

    /// What the leader says of itself.
    fn leader(&self) -> Option<&'a NodeStatus> {
        self.server(self.status.leader?)
    }

    /// Those with a vote, of both halves while the members change.
    fn voters(&self) -> BTreeSet<NodeId> {
        let members = self.status.members.iter();
        members.flat_map(|members| members.voters().union(members.outgoing())).copied().collect()
    }

    /// Those that run and are not paused.
    fn running(&self) -> BTreeSet<NodeId> {
        self.in_states(&[NodeState::Running])
    }

    fn in_states(&self, states: &[NodeState]) -> BTreeSet<NodeId> {
        let nodes = self.status.nodes.iter();
        nodes.filter(|report| states.contains(&report.state)).map(|report| report.node).collect()
    }

    /// `300 ms`: how long a leader without a quorum goes on, and the longest that a follower waits for one.
    fn election_timeout(&self) -> String {
        words::spell_ms(self.status.timing.election_max_ms)
    }
}
