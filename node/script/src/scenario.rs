//! A scenario: settings, then steps.
//!
//! Invariant: a [`Schedule`] as a scenario plays as it does itself, to the same hash.

use std::collections::BTreeMap;

use raftian_faults::Effect;
use raftian_raft::{AppendReply, Body, Change, Configuration, Index, Message, NodeId, Reply, Term};

use crate::condition::Condition;
use crate::kind::Kind;
use crate::plan::Plan;
use crate::schedule::{Action, Schedule};

/// A scenario. It is read with [`str::parse`] and written with [`ToString`].
#[derive(Clone, Debug, PartialEq)]
pub struct Scenario {
    /// What it is, in a line; may be empty.
    pub title: String,
    /// Whose test it is taken from: project, file and name; empty if it is our own.
    pub source: String,
    /// What there is to see, in a paragraph; may be empty.
    pub see: String,
    /// How this core differs from what that test expects, and why; empty if it does not.
    pub differs: String,
    /// The seed of the random generators.
    pub seed: u64,
    /// The name of the planted bug, if there is one.
    pub mutant: Option<String>,
    /// The parameters of the cluster.
    pub plan: Plan,
    /// What happens.
    pub steps: Vec<Step>,
    /// Where its settings stand.
    pub lines: Lines,
}

/// The lines of settings, from 1 on. They are no part of what a scenario says.
#[derive(Clone, Debug, Default)]
pub struct Lines(pub(crate) BTreeMap<&'static str, usize>);

/// A statement, and where it stands.
#[derive(Clone, Debug)]
pub struct Step {
    /// The line it was read from, from 1 on; 0 if it was not.
    pub line: usize,
    /// Everything happens first that is due before this time, in microseconds; `None` if it comes right after the
    /// statement before it.
    pub at_us: Option<u64>,
    /// What happens.
    pub statement: Statement,
}

/// Something that happens, or must be so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Statement {
    /// An action of a schedule.
    Do(Action),
    /// A server starts with this on its disk.
    Disk {
        /// Which.
        node: NodeId,
        /// Its term; that of its last entry if it is not said.
        term: Option<Term>,
        /// Its vote in that term.
        vote: Option<NodeId>,
        /// The terms of its entries.
        log: Vec<Term>,
        /// A snapshot stands for its entries up to here; 0 if there is none. They were committed before.
        snapshot: Index,
        /// Those of its entries that are configurations.
        members: BTreeMap<Index, Configuration>,
    },
    /// A server is elected at once.
    Elect(NodeId),
    /// A server's next deadline comes.
    Timeout {
        /// Whose.
        node: NodeId,
        /// Whether it comes now, though its time has not: no time passes, but the server's clock jumps ahead.
        is_early: bool,
    },
    /// All messages are delivered, and what comes of them.
    DeliverAll,
    /// Something happens to messages on their way.
    Messages {
        /// What.
        fate: Fate,
        /// Which.
        which: Which,
    },
    /// A disk syncs only when it is told to, or by itself again.
    HoldDisk {
        /// Whose.
        node: NodeId,
        /// Whether it waits.
        is_held: bool,
    },
    /// A disk syncs what waits for it.
    Sync {
        /// Whose.
        node: NodeId,
        /// Only the first so many writes.
        writes: Option<usize>,
    },
    /// A server is asked for something.
    Ask {
        /// Which.
        at: NodeId,
        /// What.
        wish: Wish,
        /// Whether it must refuse; else it must not.
        is_refused: bool,
    },
    /// Time passes, in microseconds.
    Advance(u64),
    /// Something must be so.
    Expect {
        /// What.
        condition: Condition,
        /// By when at the latest, from now on, in microseconds; 0 if now.
        within_us: u64,
    },
    /// A core is healed and must come to life, then all is judged.
    Finish,
}

/// What happens to messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// They arrive now.
    Deliver,
    /// They are lost.
    Drop,
    /// They are lost, and the transport of those that called gives the calls up.
    Lost,
    /// They are put aside.
    Hold,
    /// Copies of them are put aside.
    Copy,
    /// What was put aside is on its way again.
    Release,
}

/// Messages: those of all of this.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Which {
    /// Who sends them; `None` for anybody.
    pub from: Option<NodeId>,
    /// Who receives them; `None` for anybody.
    pub to: Option<NodeId>,
    /// What they say.
    pub class: Class,
}

/// What messages say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// Anything.
    Any,
    /// Something of this kind.
    Of(Kind),
    /// That an entry is missing or of another term (§5.3).
    Conflict,
    /// That a vote, or a pre-vote, is granted.
    Granted,
}

/// What a server is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wish {
    /// To take a command of this name.
    Propose(String),
    /// To take the last command of this name once more, as its client would.
    Retry(String),
    /// To say from where on a state is fresh enough to be read.
    Read,
    /// To change the membership.
    Change(Change),
    /// To hand over.
    Transfer(NodeId),
}

impl Fate {
    /// The word for it.
    pub(crate) fn verb(self) -> &'static str {
        match self {
            Fate::Deliver => "deliver",
            Fate::Drop => "drop",
            Fate::Lost => "lost",
            Fate::Hold => "hold",
            Fate::Copy => "copy",
            Fate::Release => "release",
        }
    }
}

/// What a message is called by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Label {
    /// The server that sends it.
    pub from: NodeId,
    /// The server that receives it.
    pub to: NodeId,
    /// Its kind.
    pub kind: Kind,
    /// [`Class::Conflict`] or [`Class::Granted`], if it says that.
    pub says: Option<Class>,
}

impl Label {
    /// The label of a message.
    pub fn of(message: &Message) -> Label {
        let says = match message.body {
            Body::Reply(Reply::AppendEntries(AppendReply::Conflict(_))) => Some(Class::Conflict),
            Body::Reply(Reply::PreVote { granted: true } | Reply::RequestVote { granted: true }) => {
                Some(Class::Granted)
            }
            _ => None,
        };
        Label { from: message.from.name(), to: message.to.name(), kind: Kind::of(message), says }
    }
}

impl Which {
    /// Whether a message with this label is one of them.
    pub fn matches(self, label: Label) -> bool {
        let has_class = match self.class {
            Class::Any => true,
            Class::Of(kind) => label.kind == kind,
            Class::Conflict | Class::Granted => label.says == Some(self.class),
        };
        has_class && self.from.is_none_or(|from| from == label.from) && self.to.is_none_or(|to| to == label.to)
    }
}

impl Lines {
    /// Where the setting of this word was given, last if more than once; 0 if it was not. Settings of single servers go by
    /// the word `n`.
    pub fn of(&self, word: &str) -> usize {
        self.0.get(word).copied().unwrap_or(0)
    }
}

impl PartialEq for Lines {
    fn eq(&self, _: &Lines) -> bool {
        true
    }
}

/// Lines are no part of what a scenario says.
impl PartialEq for Step {
    fn eq(&self, other: &Step) -> bool {
        (self.at_us, &self.statement) == (other.at_us, &other.statement)
    }
}

impl Scenario {
    /// Makes all its times so many times as long: time-outs, links, and when its steps come.
    pub fn slow_down(&mut self, times: u32) {
        let Plan { election_timeout, heartbeat_interval, effects, link_effects, client_patience_us, .. } =
            &mut self.plan;
        let us = u64::from(times);
        *election_timeout = election_timeout.start * times..election_timeout.end * times;
        *heartbeat_interval *= times;
        *client_patience_us *= us;
        effects.iter_mut().chain(link_effects.iter_mut().map(|link| &mut link.effect)).for_each(
            |effect| match effect {
                Effect::Latency { delay_ms, jitter_ms } => {
                    (*delay_ms, *jitter_ms) = (*delay_ms * f64::from(times), *jitter_ms * f64::from(times));
                }
                Effect::Reorder { by_ms, .. } => *by_ms *= f64::from(times),
                Effect::Drop { .. } | Effect::Duplicate { .. } => {}
            },
        );
        for step in &mut self.steps {
            step.at_us = step.at_us.map(|at_us| at_us * us);
            match &mut step.statement {
                Statement::Advance(passes_us) => *passes_us *= us,
                Statement::Do(Action::Clog { for_us, .. }) => *for_us *= us,
                Statement::Expect { within_us, .. } => *within_us *= us,
                _ => {}
            }
        }
    }

    /// Nothing happens to such a cluster, and nothing is said of it.
    pub(crate) fn quiet(plan: Plan) -> Scenario {
        let [title, source, see, differs] = [const { String::new() }; 4];
        Scenario {
            title,
            source,
            see,
            differs,
            seed: 1,
            mutant: None,
            plan,
            steps: Vec::new(),
            lines: Lines::default(),
        }
    }

    /// A schedule as a scenario, with the planted bug of this name.
    pub fn of(schedule: &Schedule, mutant: Option<String>) -> Scenario {
        let Schedule { seed, plan, actions, end_us } = schedule;
        let step = |at_us, statement| Step { line: 0, at_us: Some(at_us), statement };
        let actions = actions.iter().map(|timed| step(timed.at_us, Statement::Do(timed.action.clone())));
        let steps = actions.chain([step(*end_us, Statement::Finish)]).collect();
        Scenario { seed: *seed, mutant, steps, ..Scenario::quiet(plan.clone()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::FIGURES;

    #[test]
    fn a_scenario_with_all_its_settings_reads_back_as_the_same() {
        for figure in FIGURES {
            let scenario = figure.scenario();
            let text = scenario.resolved().to_string();
            let read: Scenario = text.parse().unwrap_or_else(|error| panic!("{}: {error}\n{text}", figure.name));
            assert_eq!(read.to_string(), scenario.to_string(), "{}", figure.name);
            assert!(text.contains("\nheartbeat ") && text.contains("\npre_vote "), "{text}");
        }
    }

    #[test]
    fn all_times_become_as_many_times_as_long() {
        let text = "servers 3\nlinks latency 2ms jitter 1ms\nkill n1\nadvance 300ms\nat 1s heal\n\
                    expect leader none within 100ms\n";
        let mut scenario: Scenario = text.parse().unwrap();
        scenario.slow_down(10);
        let slow = scenario.to_string();
        for part in [
            "election 1500ms..3s\n",
            "heartbeat 500ms\n",
            "links latency 20ms jitter 10ms\n",
            "advance 3s\n",
            "at 10s heal\n",
            "within 1s\n",
        ] {
            assert!(slow.contains(part), "{part} in\n{slow}");
        }
        slow.parse::<Scenario>().unwrap();
    }
}
