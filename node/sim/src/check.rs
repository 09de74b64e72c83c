//! Whether what a scenario expects is so in the simulated world.
//!
//! Invariant: a failed expectation reports expected and actual.

use raftian_raft::{Configuration, Entry, Index, NodeId, Server, Snapshot, Term};
use raftian_script::{Condition, Measure, READ_FATES, ROLES, Terms, name_of};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::play::Stage;

/// Whether a condition holds on this stage.
///
/// # Errors
/// What is the case instead.
pub(crate) fn check(condition: &Condition, stage: &Stage) -> Result<(), String> {
    let world = &stage.world;
    match condition {
        Condition::Leader(wanted) => {
            let leader = world.leader();
            require(leader == *wanted, || leader.map_or("there is no leader".to_owned(), |id| format!("{id} leads")))
        }
        Condition::AnyLeader => require(world.leader().is_some(), || "there is no leader".to_owned()),
        Condition::Role { nodes, role: wanted, is } => stage.ids(nodes).try_for_each(|id| {
            let role = world.server(id).map(Server::role);
            require((role == *wanted) == *is, || format!("{id} is {}", name_of(&ROLES, &role)))
        }),
        Condition::Vote(nodes, wanted) => stage.each(nodes, |id, server| {
            let vote = server.hard_state().voted_for;
            let term = server.hard_state().term;
            require(vote == *wanted, || format!("{id} has voted for {} in term {term}", named(vote, "nobody")))
        }),
        Condition::Number(measure, nodes, count) => stage.each(nodes, |id, server| {
            let number = measured(*measure, stage, id, server);
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

fn measured(measure: Measure, stage: &Stage, id: NodeId, server: &Server) -> Index {
    match measure {
        Measure::Term => server.hard_state().term,
        Measure::Committed => server.commit_index(),
        Measure::Applied => stage.world.machine(id).map_or(0, |machine| machine.last_applied()),
        Measure::Last => server.last().index,
        Measure::Snapshot => server.snapshot().map_or(0, Snapshot::last_index),
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
