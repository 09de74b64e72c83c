//! What a scenario expects, and whether it is so.
//!
//! Invariant: a failed expectation reports expected and actual.

use std::collections::BTreeSet;
use std::fmt;

use raftian_raft::{Configuration, Entry, Index, NodeId, RoleKind, Server, Snapshot, Term};
use serde_json::Value;
use serde_json::value::RawValue;

use super::Which;
use super::play::Stage;
use crate::invariant::Invariant;

/// Something that must be so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// This one leads the latest term that has a leader; `None` if nobody leads.
    Leader(Option<NodeId>),
    /// Somebody leads.
    AnyLeader,
    /// A server has this role; `None` if it is down.
    Role(Nodes, Option<RoleKind>),
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
pub(super) const ROLES: [(&str, Option<RoleKind>); 5] = [
    ("follower", Some(RoleKind::Follower)),
    ("pre_candidate", Some(RoleKind::PreCandidate)),
    ("candidate", Some(RoleKind::Candidate)),
    ("leader", Some(RoleKind::Leader)),
    ("down", None),
];

/// The measures by name.
pub(super) const MEASURES: [(&str, Measure); 5] = [
    ("term", Measure::Term),
    ("committed", Measure::Committed),
    ("applied", Measure::Applied),
    ("last", Measure::Last),
    ("snapshot", Measure::Snapshot),
];

/// What can become of a read, by name.
pub(super) const READ_FATES: [(&str, ReadFate); 3] =
    [("served", ReadFate::Served), ("failed", ReadFate::Failed), ("waiting", ReadFate::Waiting)];

/// The name of something in one of these lists.
pub(super) fn name_of<T: PartialEq>(names: &[(&'static str, T)], value: &T) -> &'static str {
    names.iter().find(|(_, of)| of == value).map_or("", |(name, _)| name)
}

impl Count {
    fn holds(self, number: u64) -> bool {
        match self {
            Count::Exactly(wanted) => number == wanted,
            Count::AtMost(most) => number <= most,
            Count::AtLeast(least) => number >= least,
        }
    }
}

impl Condition {
    /// Whether it holds on this stage.
    ///
    /// # Errors
    /// What is the case instead.
    pub(super) fn check(&self, stage: &Stage) -> Result<(), String> {
        let world = &stage.world;
        match self {
            Condition::Leader(wanted) => {
                let leader = world.leader();
                require(leader == *wanted, || {
                    leader.map_or("there is no leader".to_owned(), |id| format!("{id} leads"))
                })
            }
            Condition::AnyLeader => require(world.leader().is_some(), || "there is no leader".to_owned()),
            Condition::Role(nodes, wanted) => stage.ids(nodes).try_for_each(|id| {
                let role = world.server(id).map(Server::role);
                require(role == *wanted, || format!("{id} is {}", name_of(&ROLES, &role)))
            }),
            Condition::Vote(nodes, wanted) => stage.each(nodes, |id, server| {
                let vote = server.hard_state().voted_for;
                let term = server.hard_state().term;
                require(vote == *wanted, || format!("{id} has voted for {} in term {term}", named(vote, "nobody")))
            }),
            Condition::Number(measure, nodes, count) => stage.each(nodes, |id, server| {
                let number = measure.of(stage, id, server);
                require(count.holds(number), || format!("it is {number} at {id}"))
            }),
            Condition::Log(nodes, terms) => stage.each(nodes, |id, server| {
                check_terms(&format!("the log of {id}"), server.entries(server.first_index(), usize::MAX), terms)
            }),
            Condition::Durable(nodes, terms) => stage.ids(nodes).try_for_each(|id| {
                let recovered = world.durable(id).ok_or_else(|| format!("there is no {id}"))?;
                let recovered = recovered.map_err(|error| format!("the disk of {id} cannot be read: {error}"))?;
                check_terms(&format!("the disk of {id}"), &recovered.entries, terms)
            }),
            Condition::Members { nodes, voters, outgoing, learners } => stage.each(nodes, |id, server| {
                let wanted = Configuration::of(voters.clone(), outgoing.clone(), learners.clone());
                let known = server.configuration();
                let told = || known.map_or("knows of no members".to_owned(), |known| format!("has members {known}"));
                require(known == wanted.as_ref(), || format!("{id} {}", told()))
            }),
            Condition::Value(nodes, key, wanted) => stage.each(nodes, |id, _| {
                let value = applied_value(stage, id, key);
                require(value == *wanted, || {
                    format!(
                        "{key} has {} at {id}",
                        value.map_or("no value".to_owned(), |value| format!("the value {value}"))
                    )
                })
            }),
            Condition::Read(number, wanted) => {
                let fate = stage.read_fate(*number).ok_or_else(|| format!("there was no read {number}"))?;
                require(fate == *wanted, || format!("read {number} is {}", name_of(&READ_FATES, &fate)))
            }
            Condition::Sent(which, count) => {
                let sent = stage.sent(*which);
                require(count.holds(sent), || format!("{sent} were"))
            }
            Condition::Acknowledged(count) => {
                let (_, acknowledged) = world.counts();
                require(count.holds(acknowledged), || format!("{acknowledged} are"))
            }
            Condition::Violation(wanted) => match world.violation() {
                Some(violation) if violation.invariant == *wanted => Ok(()),
                Some(violation) => Err(violation.to_string()),
                None => Err("nothing was broken".to_owned()),
            },
        }
    }
}

impl Measure {
    fn of(self, stage: &Stage, id: NodeId, server: &Server) -> Index {
        match self {
            Measure::Term => server.hard_state().term,
            Measure::Committed => server.commit_index(),
            Measure::Applied => stage.world.machine(id).map_or(0, |machine| machine.last_applied()),
            Measure::Last => server.last().index,
            Measure::Snapshot => server.snapshot().map_or(0, Snapshot::last_index),
        }
    }
}

fn require(holds: bool, instead: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(instead()) }
}

fn named(id: Option<NodeId>, nobody: &str) -> String {
    id.map_or(nobody.to_owned(), |id| id.to_string())
}

fn check_terms(whose: &str, entries: &[Entry], wanted: &[Term]) -> Result<(), String> {
    let terms: Vec<Term> = entries.iter().map(|entry| entry.term).collect();
    require(terms == wanted, || match terms.as_slice() {
        [] => format!("{whose} is empty"),
        terms => format!("{whose} has terms{}", Terms(terms)),
    })
}

/// What a read of a key would give at a node; nothing on an application without keys.
fn applied_value(stage: &Stage, id: NodeId, key: &str) -> Option<String> {
    let query = RawValue::from_string(serde_json::json!({ "get": key }).to_string()).ok()?;
    let response = stage.world.machine(id)?.query(&query).ok()?;
    let response: Value = serde_json::from_str(response.get()).ok()?;
    response.get("value").and_then(Value::as_str).map(str::to_owned)
}

/// Terms, each after a blank.
pub(super) struct Terms<'a>(pub(super) &'a [Term]);

impl fmt::Display for Terms<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|term| write!(f, " {term}"))
    }
}
