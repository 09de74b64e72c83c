//! A scenario becomes text.
//!
//! Invariant: what is written reads back as the same scenario.

use std::collections::BTreeSet;
use std::fmt;

use raftian_raft::NodeId;

use crate::action::{list, told};
use crate::condition::{Condition, Count, MEASURES, Nodes, READ_FATES, ROLES, Terms, name_of};
use crate::scenario::{Class, Scenario, Statement, Step, Which, Wish};
use crate::setup;
use crate::words::Micros;

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        setup::write(self, false, f)?;
        self.steps.iter().try_for_each(|step| writeln!(f, "{step}"))
    }
}

/// A scenario that is written with all its settings, those that are as they are without a word too.
#[derive(Clone, Copy, Debug)]
pub struct Resolved<'a>(&'a Scenario);

impl Scenario {
    /// This scenario, to be written with all its settings.
    pub fn resolved(&self) -> Resolved<'_> {
        Resolved(self)
    }
}

impl fmt::Display for Resolved<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        setup::write(self.0, true, f)?;
        self.0.steps.iter().try_for_each(|step| writeln!(f, "{step}"))
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(at_us) = self.at_us {
            write!(f, "at {} ", Micros(at_us))?;
        }
        self.statement.fmt(f)
    }
}

impl fmt::Display for Statement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Statement::Do(action) => action.fmt(f),
            Statement::Disk { node, term, vote, log, snapshot, members } => {
                write!(f, "{node}")?;
                term.map_or(Ok(()), |term| write!(f, " term {term}"))?;
                vote.map_or(Ok(()), |vote| write!(f, " vote {vote}"))?;
                write!(f, " log{}", Terms(log))?;
                if *snapshot > 0 {
                    write!(f, " snapshot {snapshot}")?;
                }
                members.iter().try_for_each(|(index, configuration)| {
                    let [voters, outgoing, learners] =
                        [configuration.voters(), configuration.outgoing(), configuration.learners()];
                    write!(f, " members {index} {}", Members(voters, outgoing, learners))
                })
            }
            Statement::Elect(id) => write!(f, "elect {id}"),
            Statement::Timeout { node, is_early: false } => write!(f, "timeout {node}"),
            Statement::Timeout { node, is_early: true } => write!(f, "timeout {node} early"),
            Statement::DeliverAll => write!(f, "deliver all"),
            Statement::Messages { fate, which } => write!(f, "{} {which}", fate.verb()),
            Statement::HoldDisk { node, is_held: true } => write!(f, "disk {node} held"),
            Statement::HoldDisk { node, is_held: false } => write!(f, "disk {node} released"),
            Statement::Sync { node, writes: None } => write!(f, "sync {node}"),
            Statement::Sync { node, writes: Some(writes) } => write!(f, "sync {node} {writes}"),
            Statement::Ask { at, wish, is_refused } => {
                match wish {
                    Wish::Propose(name) => write!(f, "propose {at} {name}"),
                    Wish::Retry(name) => write!(f, "retry {at} {name}"),
                    Wish::Read => write!(f, "read {at}"),
                    Wish::Transfer(to) => write!(f, "transfer-leader {to} via {at}"),
                    Wish::Change(change) => {
                        let (verb, what) = told(change);
                        write!(f, "member {verb} {what} via {at}")
                    }
                }?;
                f.write_str(if *is_refused { " refused" } else { "" })
            }
            Statement::Advance(us) => write!(f, "advance {}", Micros(*us)),
            Statement::Expect { condition, within_us: 0 } => write!(f, "expect {condition}"),
            Statement::Expect { condition, within_us } => write!(f, "expect {condition} within {}", Micros(*within_us)),
            Statement::Finish => write!(f, "finish"),
        }
    }
}

impl fmt::Display for Which {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let any = |id: Option<_>| id.map_or("*".to_owned(), |id: NodeId| id.to_string());
        write!(f, "{} -> {}", any(self.from), any(self.to))?;
        match self.class {
            Class::Any => Ok(()),
            Class::Of(kind) => write!(f, " {}", kind.name()),
            Class::Conflict => write!(f, " conflict"),
            Class::Granted => write!(f, " granted"),
        }
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Condition::AnyLeader => write!(f, "leader any"),
            Condition::Leader(leader) => write!(f, "leader {}", list(leader)),
            Condition::Role { nodes, role, is } => {
                write!(f, "role {nodes} {}{}", if *is { "" } else { "not " }, name_of(&ROLES, role))
            }
            Condition::Vote(nodes, vote) => write!(f, "vote {nodes} {}", list(vote)),
            Condition::Number(measure, nodes, count) => write!(f, "{} {nodes} {count}", name_of(&MEASURES, measure)),
            Condition::Log(nodes, terms) => write!(f, "log {nodes}{}", Terms(terms)),
            Condition::Durable(nodes, terms) => write!(f, "durable {nodes}{}", Terms(terms)),
            Condition::Members { nodes, voters, outgoing, learners } => {
                write!(f, "members {nodes} {}", Members(voters, outgoing, learners))
            }
            Condition::Value(nodes, key, value) => {
                write!(f, "value {nodes} {key} {}", value.as_deref().unwrap_or("none"))
            }
            Condition::Read(number, fate) => write!(f, "read {number} {}", name_of(&READ_FATES, fate)),
            Condition::Sent(which, count) => write!(f, "sent {which} {count}"),
            Condition::Acknowledged(count) => write!(f, "acknowledged {count}"),
            Condition::Violation(invariant) => write!(f, "violation {invariant}"),
        }
    }
}

/// Voters, those before them while joint, and learners.
struct Members<'a>(&'a BTreeSet<NodeId>, &'a BTreeSet<NodeId>, &'a BTreeSet<NodeId>);

impl fmt::Display for Members<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Members(voters, outgoing, learners) = self;
        f.write_str(&list(*voters))?;
        if !outgoing.is_empty() {
            write!(f, " | {}", list(*outgoing))?;
        }
        if !learners.is_empty() {
            write!(f, " + {}", list(*learners))?;
        }
        Ok(())
    }
}

impl fmt::Display for Nodes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Nodes::Up => write!(f, "all"),
            Nodes::These(ids) => f.write_str(&list(ids)),
        }
    }
}

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Count::Exactly(number) => write!(f, "{number}"),
            Count::AtMost(most) => write!(f, "<= {most}"),
            Count::AtLeast(least) => write!(f, ">= {least}"),
        }
    }
}
