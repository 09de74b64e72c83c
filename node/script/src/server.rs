//! The settings of one server as text, both ways: `pre_vote off check_quorum on`.
//!
//! Invariant: leases are not mixed with servers that depart from CheckQuorum: they rest on all servers protecting a leader
//! alike.

use std::fmt;

use raftian_raft::NodeId;

use crate::plan::ServerSettings;
use crate::schedule::Action;
use crate::words::{Unreadable, Words};
use crate::{Scenario, Statement, Step};

/// What a server can have of its own.
const SWITCHES: [&str; 2] = ["pre_vote", "check_quorum"];

/// Whether a line is a setting of one server, and no other statement that begins with its name.
pub(crate) fn is_setting(words: &Words<'_>) -> bool {
    let is_node = words.peek().is_some_and(|word| word.parse::<NodeId>().is_ok());
    is_node && words.peek_second().is_some_and(|word| SWITCHES.contains(&word))
}

/// `n2 pre_vote off`, before anything happens.
pub(crate) fn read_setting(words: &mut Words<'_>, scenario: &mut Scenario) -> Result<(), Unreadable> {
    let node = words.node()?;
    if !scenario.steps.is_empty() {
        return Err(words.refuse("its settings come before the first statement; later, `restart` gives it others"));
    }
    let before = scenario.plan.server_settings.get(&node).copied().unwrap_or_default();
    scenario.plan.server_settings.insert(node, read(words, before)?);
    Ok(())
}

/// One switch or more, beside those that were given before.
pub(crate) fn read(words: &mut Words<'_>, mut settings: ServerSettings) -> Result<ServerSettings, Unreadable> {
    loop {
        let name = words.one_of(&SWITCHES)?;
        let switch = match name {
            "pre_vote" => &mut settings.pre_vote,
            _ => &mut settings.check_quorum,
        };
        if switch.is_some() {
            return Err(words.refuse(format!("`{name}` was given already for this server")));
        }
        *switch = Some(words.switch()?);
        if words.peek().is_none() {
            return Ok(settings);
        }
    }
}

/// After each line: leases need CheckQuorum, on all servers or on none. `steps` are those of the line.
pub(crate) fn check_lease(words: &Words<'_>, scenario: &Scenario, steps: &[Step]) -> Result<(), Unreadable> {
    let restarted = steps.iter().filter_map(|step| match &step.statement {
        Statement::Do(Action::RestartWith { settings, .. }) => Some(settings),
        _ => None,
    });
    let mut all = scenario.plan.server_settings.values().chain(restarted);
    match scenario.plan.lease.is_some() && all.any(|settings| settings.check_quorum.is_some()) {
        true => Err(words.refuse("leases need the same CheckQuorum on all servers")),
        false => Ok(()),
    }
}

impl fmt::Display for ServerSettings {
    /// As a scenario says them, each after a blank.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        SWITCHES.into_iter().zip([self.pre_vote, self.check_quorum]).try_for_each(|(name, switch)| match switch {
            Some(is_on) => write!(f, " {name} {}", if is_on { "on" } else { "off" }),
            None => Ok(()),
        })
    }
}
