//! What a scenario expects, by name.
//!
//! Deliberately absent: whether it is so; an engine looks.

use std::collections::BTreeSet;
use std::fmt;

use raftian_raft::{NodeId, RoleKind, Term};

use crate::invariant::Invariant;
use crate::scenario::Which;

/// Something that must be so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// This one leads the latest term that has a leader; `None` if nobody leads.
    Leader(Option<NodeId>),
    /// Somebody leads.
    AnyLeader,
    /// A server has this role, or has not.
    Role {
        /// Which servers.
        nodes: Nodes,
        /// The role; `None` if it is down.
        role: Option<RoleKind>,
        /// Whether it must have it; else it must not.
        is: bool,
    },
    /// A server has given this vote in its term.
    Vote(Nodes, Option<NodeId>),
    /// A number of a server.
    Number(Measure, Nodes, Count),
    /// The terms of the entries that a server holds.
    Log(Nodes, Vec<Term>),
    /// The terms of the entries on a disk.
    Durable(Nodes, Vec<Term>),
    /// The configuration that a server uses.
    Members {
        /// Whose.
        nodes: Nodes,
        /// Its voters.
        voters: BTreeSet<NodeId>,
        /// Its outgoing voters while it is joint.
        outgoing: BTreeSet<NodeId>,
        /// Its learners.
        learners: BTreeSet<NodeId>,
    },
    /// A key has this value in the applied state; `None` if it has none.
    Value(Nodes, String, Option<String>),
    /// What became of a read by hand, counted from 1 on.
    Read(usize, ReadFate),
    /// How many such messages were sent so far.
    Sent(Which, Count),
    /// How many operations of clients were acknowledged.
    Acknowledged(Count),
    /// This was broken, and the run ended there.
    Violation(Invariant),
}

/// Servers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Nodes {
    /// Every server that is up.
    Up,
    /// These.
    These(Vec<NodeId>),
}

/// A number that a server has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measure {
    /// Its term.
    Term,
    /// Its commitIndex.
    Committed,
    /// The last entry that its application was given.
    Applied,
    /// The last entry of its log.
    Last,
    /// The last entry that its snapshot stands for; 0 without one.
    Snapshot,
}

/// What a number must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Count {
    /// This one.
    Exactly(u64),
    /// This one or less.
    AtMost(u64),
    /// This one or more.
    AtLeast(u64),
}

/// What became of a read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadFate {
    /// It may be served.
    Served,
    /// The lead was lost first.
    Failed,
    /// Nothing yet.
    Waiting,
}

/// The roles by name; nothing is a server that is down.
pub const ROLES: [(&str, Option<RoleKind>); 5] = [
    ("follower", Some(RoleKind::Follower)),
    ("pre_candidate", Some(RoleKind::PreCandidate)),
    ("candidate", Some(RoleKind::Candidate)),
    ("leader", Some(RoleKind::Leader)),
    ("down", None),
];

/// The measures by name.
pub(crate) const MEASURES: [(&str, Measure); 5] = [
    ("term", Measure::Term),
    ("committed", Measure::Committed),
    ("applied", Measure::Applied),
    ("last", Measure::Last),
    ("snapshot", Measure::Snapshot),
];

/// What can become of a read, by name.
pub const READ_FATES: [(&str, ReadFate); 3] =
    [("served", ReadFate::Served), ("failed", ReadFate::Failed), ("waiting", ReadFate::Waiting)];

/// The name of something in one of these lists.
pub fn name_of<T: PartialEq>(names: &[(&'static str, T)], value: &T) -> &'static str {
    names.iter().find(|(_, of)| of == value).map_or("", |(name, _)| name)
}

impl Count {
    /// Whether a number is one.
    pub fn holds(self, number: u64) -> bool {
        match self {
            Count::Exactly(wanted) => number == wanted,
            Count::AtMost(most) => number <= most,
            Count::AtLeast(least) => number >= least,
        }
    }
}

/// Terms, each after a blank.
pub struct Terms<'a>(pub &'a [Term]);

impl fmt::Display for Terms<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|term| write!(f, " {term}"))
    }
}
