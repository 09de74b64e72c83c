//! What is said when something that must hold does not.
//!
//! Invariant: a broken invariant is a value that names the step; whoever finds it never panics.

use std::fmt;

use raftian_raft::NodeId;
use raftian_script::Invariant;

/// An invariant that was broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Which one.
    pub invariant: Invariant,
    /// In which step, from 1 on.
    pub step: u64,
    /// When, in virtual microseconds.
    pub at_us: u64,
    /// What was seen.
    pub text: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Violation { invariant, step, at_us, text } = self;
        write!(f, "{invariant} broken in step {step} at {}.{:03} ms: {text}", at_us / 1000, at_us % 1000)
    }
}

/// A violation before anybody knows when it happened.
#[derive(Debug)]
pub(crate) struct Finding {
    pub(crate) invariant: Invariant,
    pub(crate) text: String,
}

/// Whether all is well.
pub(crate) type Check = Result<(), Finding>;

/// Protests unless `holds`.
pub(crate) fn require(holds: bool, invariant: Invariant, text: impl FnOnce() -> String) -> Check {
    if holds { Ok(()) } else { Err(Finding { invariant, text: text() }) }
}

/// Where a node stands among its like: `n1` is the first, at 0.
pub(crate) fn place(id: NodeId) -> usize {
    usize::from(id.number()) - 1
}

/// The node at a place.
pub(crate) fn id_at(place: usize) -> NodeId {
    let number = u16::try_from(place + 1).expect("clusters are small");
    NodeId::new(number).expect("numbers start at 1")
}
