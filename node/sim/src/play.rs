//! A scenario is played.
//!
//! Invariants: it stops at the first thing that is not as it must be. Nothing that a server does can make it panic. It
//! comes to an end, after [`MAX_EVENTS`] at the latest, whatever the scenario says.

use std::collections::BTreeMap;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use raftian_apps::{AppKind, Command};
use raftian_raft::{Entry, HardState, Index, NodeId, Payload, Recovered, RoleKind, Server, Term};
use raftian_script::{
    Action, Condition, Engine, Fate, Invariant, Label, Micros, NodeView, Nodes, Observed, Performed, ReadFate,
    Scenario, Statement, Step, Unwatched, Watch, Which, Wish, run_at_once,
};
use serde_json::value::RawValue;

use crate::check::check;
use crate::invariant::Violation;
use crate::journal::{Happening, What};
use crate::load::Offered;
use crate::run::{panic_text, wind_up};
use crate::settings::{NotPlanted, Settings};
use crate::view::view;
use crate::world::{Held, World};

/// The most events of a scenario: an hour and a half of a cluster of five that only sends heartbeats.
pub const MAX_EVENTS: u64 = 1_000_000;

/// What came of a scenario.
#[derive(Debug)]
pub struct Played {
    /// Why it went no further; `None` if all was as it must be, to the end.
    pub stopped: Option<Stopped>,
    /// All that happened.
    pub journal: Vec<Happening>,
    /// The hash of it.
    pub hash: u64,
    /// How many events there were.
    pub events: u64,
    /// How long it was, in virtual microseconds.
    pub virtual_us: u64,
    /// Whether the clients' history was too hard to judge, at its end.
    pub undecided: bool,
}

/// Why a scenario went no further.
pub type Stopped = raftian_script::Stopped<Violation>;

/// What conditions look at.
pub(crate) struct Stage {
    pub(crate) world: World,
    most_events: u64,
    journal: Vec<Happening>,
    held: Vec<Held>,
    /// The last command proposed by hand of each name, and how many there were of all names.
    commands: BTreeMap<String, Command>,
    proposed: u64,
    /// The reads by hand: where, the ticket, and what became of each.
    reads: Vec<(NodeId, u64, ReadFate)>,
    /// How many messages of each label were sent.
    sent: BTreeMap<Label, u64>,
    /// Whether the history was too hard to judge.
    undecided: bool,
    /// What clients ask for besides.
    load: Option<Offered>,
    /// When the events were used up, in microseconds, if they were.
    cut_short_us: Option<u64>,
}

/// Why a step was not done.
type Halt = raftian_script::Halt<Violation>;

impl From<Violation> for Halt {
    fn from(violation: Violation) -> Halt {
        Halt::Broken(violation)
    }
}

/// Plays a scenario to its end, or to the first thing that is not as it must be.
pub fn play(scenario: &Scenario) -> Played {
    play_watched(scenario, &mut Unwatched)
}

/// The same; `watch` hears of every line.
///
/// # Panics
/// When `watch` waits for something without blocking.
pub fn play_watched(scenario: &Scenario, watch: &mut impl Watch) -> Played {
    play_within(scenario, MAX_EVENTS, watch)
}

fn play_within(scenario: &Scenario, most_events: u64, watch: &mut impl Watch) -> Played {
    let settings = match scenario.mutant.as_deref().map_or(Ok(Settings::default()), Settings::planted) {
        Ok(settings) => settings,
        Err(why) => return Played::impossible(scenario, &why),
    };
    let mut stage = Stage::new(scenario, settings, most_events);
    let stopped = run_at_once(&mut stage, scenario, watch);
    stage.look();
    let Stage { world, journal, undecided, cut_short_us, .. } = stage;
    let virtual_us = cut_short_us.unwrap_or(world.now_us());
    Played { stopped, journal, hash: world.hash(), events: world.steps(), virtual_us, undecided }
}

/// Virtual time passes without waiting.
impl Engine for Stage {
    type Violation = Violation;

    fn invariant(violation: &Violation) -> Invariant {
        violation.invariant
    }

    fn now_us(&self) -> u64 {
        self.world.now_us()
    }

    fn patience_us(&self) -> u64 {
        0
    }

    async fn pass_until(&mut self, at_us: u64) -> Result<(), Halt> {
        self.guarded(|stage| {
            while stage.load.as_ref().is_some_and(|load| load.next_us < at_us) {
                stage.offer()?;
            }
            let now_us = stage.world.now_us();
            require(now_us <= at_us, || {
                format!("it is {} already, and time does not go back; give a later time", Micros(now_us))
            })?;
            Ok(stage.world.run_until(at_us)?)
        })
    }

    async fn pass_some(&mut self, end_us: u64) -> Result<bool, Halt> {
        self.guarded(|stage| {
            let next_us = stage.world.next_us();
            if stage.load.as_ref().is_some_and(|load| load.next_us < end_us.min(next_us)) {
                return stage.offer().map(|()| true);
            }
            match next_us < end_us {
                true => stage.world.step().map(|_| true).map_err(Halt::Broken),
                false => Ok(false),
            }
        })
    }

    async fn perform(&mut self, line: &[Step]) -> Performed<Violation> {
        self.guarded(|stage| line.iter().try_for_each(|step| stage.take(step)).map(|()| None))
    }

    async fn observe(&mut self, condition: &Condition) -> Observed<Violation> {
        self.guarded(|stage| {
            stage.look();
            Ok(check(condition, stage))
        })
    }

    async fn look(&mut self) -> Vec<NodeView> {
        self.world.ids().filter_map(|id| view(&self.world, id)).collect()
    }
}

impl Played {
    /// A scenario that wants a bug which this program cannot plant.
    fn impossible(scenario: &Scenario, why: &NotPlanted) -> Played {
        let statement = format!("mutant {}", scenario.mutant.as_deref().unwrap_or_default());
        let stopped = Some(Stopped::Failed { line: 0, statement, why: why.to_string() });
        Played { stopped, journal: Vec::new(), hash: 0, events: 0, virtual_us: 0, undecided: false }
    }
}

impl Stage {
    fn new(scenario: &Scenario, settings: Settings, most_events: u64) -> Stage {
        let mut world = World::manual(scenario.plan.clone(), scenario.seed, settings);
        world.record();
        world.allow_steps(most_events);
        Stage {
            world,
            most_events,
            journal: Vec::new(),
            held: Vec::new(),
            commands: BTreeMap::new(),
            proposed: 0,
            reads: Vec::new(),
            sent: BTreeMap::new(),
            undecided: false,
            load: Offered::by(&scenario.plan, scenario.seed),
            cut_short_us: None,
        }
    }

    // What can be seen.

    /// These servers by name, up or not.
    pub(crate) fn ids(&self, nodes: &Nodes) -> impl Iterator<Item = NodeId> + use<> {
        let ids: Vec<NodeId> = match nodes {
            Nodes::These(ids) => ids.clone(),
            Nodes::Up => self.world.ids().filter(|id| self.world.server(*id).is_some()).collect(),
        };
        ids.into_iter()
    }

    /// Checks each of these servers, which must be up.
    pub(crate) fn each(
        &self,
        nodes: &Nodes,
        check: impl Fn(NodeId, &Server) -> Result<(), String>,
    ) -> Result<(), String> {
        self.ids(nodes).try_for_each(|id| check(id, self.world.server(id).ok_or_else(|| format!("{id} is down"))?))
    }

    /// What became of a read by hand, counted from 1 on; `None` if there was none.
    pub(crate) fn read_fate(&self, number: usize) -> Option<ReadFate> {
        self.reads.get(number.checked_sub(1)?).map(|(.., fate)| *fate)
    }

    /// How many such messages were sent.
    pub(crate) fn sent(&self, which: Which) -> u64 {
        self.sent.iter().filter(|(label, _)| which.matches(**label)).map(|(_, count)| count).sum()
    }

    /// Takes down what has happened since the last look.
    fn look(&mut self) {
        let mut news = self.world.take_journal();
        for happening in &news {
            match &happening.what {
                What::Sent(_, message) | What::Lost(message) => *self.sent.entry(Label::of(message)).or_default() += 1,
                What::Read(at, outcome) => {
                    let is_it = |(of, ticket, fate): &&mut (NodeId, u64, ReadFate)| {
                        of == at && *ticket == outcome.ticket.number() && *fate == ReadFate::Waiting
                    };
                    if let Some((.., fate)) = self.reads.iter_mut().rev().find(is_it) {
                        *fate = if outcome.index.is_ok() { ReadFate::Served } else { ReadFate::Failed };
                    }
                }
                _ => {}
            }
        }
        self.journal.append(&mut news);
    }

    /// The events are used up: says when. What a world that stands still did not do in time is not its fault.
    fn cut_short(&mut self) -> u64 {
        self.look();
        self.journal.pop_if(|last| matches!(last.what, What::Broken(_)));
        let last_us = self.journal.last().map_or(0, |last| last.at_us);
        *self.cut_short_us.insert(last_us)
    }

    // What happens.

    /// The next operation of the load is asked for, when it is due; not if its client is still waiting.
    fn offer(&mut self) -> Result<(), Halt> {
        let Some((due_us, op, client)) = self.load.as_mut().and_then(Iterator::next) else { return Ok(()) };
        // A step by hand may have taken until later.
        if due_us > self.world.now_us() {
            self.world.run_until(due_us)?;
        }
        if self.world.is_idle(client) {
            self.world.perform(Action::Op { client, op })?;
        }
        Ok(())
    }

    /// Does something of the world. A server that panics is a violation; and nothing is what it seems to be once the events
    /// are used up.
    fn guarded<T>(&mut self, work: impl FnOnce(&mut Stage) -> Result<T, Halt>) -> Result<T, Halt> {
        let done = catch_unwind(AssertUnwindSafe(|| work(self)));
        if self.world.is_out_of_steps() {
            let (most, passed) = (self.most_events, Micros(self.cut_short()));
            return Err(Halt::Failed(format!(
                "a scenario has at most {most} events, and {passed} had passed when they were used up; let less time pass, \
                 or less happen"
            )));
        }
        done.unwrap_or_else(|panic| {
            Err(Halt::Broken(self.world.broken(Invariant::Composure, panic_text(panic.as_ref()))))
        })
    }

    fn take(&mut self, step: &Step) -> Result<(), Halt> {
        match &step.statement {
            Statement::Do(action) => {
                // A schedule gives all its actions times, and some of them come when they cannot be done.
                let obstacle = self.world.obstacle(action).filter(|_| step.at_us.is_none());
                obstacle.map_or(Ok(()), |why| Err(Halt::Failed(why)))?;
                self.world.perform(action.clone())?;
            }
            Statement::Disk { node, term, vote, log, snapshot, members } => {
                let entry = |(index, term): (Index, &Term)| {
                    let members = members.get(&index).cloned().map(Box::new);
                    Entry { index, term: *term, payload: members.map_or(Payload::Noop, Payload::Configuration) }
                };
                let entries = (1..).zip(log).map(entry).collect();
                let term = term.unwrap_or(log.last().copied().unwrap_or(0));
                let hard_state = HardState { term, voted_for: *vote };
                self.world.install_compacted(*node, Recovered { hard_state, entries, snapshot: None }, *snapshot)?;
            }
            Statement::Elect(id) => {
                self.tick(*id)?;
                self.world.step_all()?;
                let role = self.world.server(*id).map(Server::role);
                require(role == Some(RoleKind::Leader), || format!("{id} is not elected"))?;
            }
            Statement::Timeout { node, is_early } => {
                if *is_early {
                    self.require_clock(*node)?;
                    self.world.tick_early(*node)?;
                } else {
                    self.tick(*node)?;
                }
                self.world.finish_syncs()?;
            }
            Statement::DeliverAll => self.world.step_all()?,
            Statement::Messages { fate, which } => self.meet(*fate, *which)?,
            Statement::HoldDisk { node, is_held } => {
                self.world.hold_disk(*node, *is_held)?;
                self.world.finish_syncs()?;
            }
            Statement::Sync { node, writes } => {
                require(self.world.waiting(*node) > 0, || format!("no write waits for the disk of {node}"))?;
                self.world.sync(*node, writes.unwrap_or(usize::MAX))?;
            }
            Statement::Ask { at, wish, is_refused } => self.ask(*at, wish, *is_refused)?,
            Statement::Advance(_) | Statement::Expect { .. } => unreachable!("the runner sees to them"),
            Statement::Finish => self.undecided = wind_up(&mut self.world)?,
        }
        Ok(())
    }

    fn tick(&mut self, id: NodeId) -> Result<(), Halt> {
        self.require_clock(id)?;
        self.world.tick(id)?;
        Ok(())
    }

    fn require_clock(&self, id: NodeId) -> Result<(), Halt> {
        require(self.world.deadline_us(id).is_some(), || format!("{id} does not run, and looks at no clock"))
    }

    fn meet(&mut self, fate: Fate, which: Which) -> Result<(), Halt> {
        if fate == Fate::Release {
            return self.release(which);
        }
        let messages = self.world.messages();
        let found: Vec<_> =
            messages.iter().filter(|(_, message)| which.matches(Label::of(message))).map(|(id, _)| *id).collect();
        require(!found.is_empty(), || "no such message is on its way".to_owned())?;
        for id in found {
            match fate {
                Fate::Deliver => {
                    self.world.deliver(id)?;
                    self.world.finish_syncs()?;
                }
                Fate::Hold => self.held.extend(self.world.hold(id)),
                Fate::Copy => self.held.extend(self.world.duplicate(id).and_then(|copy| self.world.hold(copy))),
                Fate::Lost => {
                    self.world.give_up(id)?;
                    self.world.finish_syncs()?;
                }
                Fate::Drop | Fate::Release => {
                    self.world.lose(id);
                }
            }
        }
        Ok(())
    }

    /// What was put aside is on its way again.
    fn release(&mut self, which: Which) -> Result<(), Halt> {
        let (released, held): (Vec<Held>, Vec<Held>) =
            std::mem::take(&mut self.held).into_iter().partition(|one| which.matches(Label::of(one.message())));
        self.held = held;
        require(!released.is_empty(), || "no such message was put aside".to_owned())?;
        released.into_iter().for_each(|one| self.world.release(one));
        Ok(())
    }

    /// Asks a server for something, and sees whether it refuses as it should.
    fn ask(&mut self, at: NodeId, wish: &Wish, is_refused: bool) -> Result<(), Halt> {
        let app = self.world.plan().app;
        require(self.world.server(at).is_some(), || format!("{at} is down"))?;
        let outcome = match wish {
            Wish::Propose(name) => {
                let command = self.command(name, app)?;
                self.commands.insert(name.clone(), command.clone());
                taken(self.world.propose(at, &command)?)
            }
            Wish::Retry(name) => {
                let command = self.commands.get(name).cloned();
                let command = command.ok_or_else(|| Halt::Failed(format!("no command {name} was proposed before")))?;
                taken(self.world.propose(at, &command)?)
            }
            Wish::Change(change) => answer(self.world.change(at, change.clone())?),
            Wish::Transfer(to) => answer(self.world.transfer(at, *to)?),
            Wish::Read => {
                self.look();
                let ticket = self.world.read(at)?;
                self.reads.extend(ticket.flatten().map(|ticket| (at, ticket, ReadFate::Waiting)));
                taken(ticket.map(|ticket| ticket.is_some()))
            }
        };
        match outcome {
            Ok(()) => require(!is_refused, || format!("{at} did not refuse"))?,
            Err(why) => require(is_refused, || format!("{at} refuses: {why}"))?,
        }
        self.world.finish_syncs()?;
        Ok(())
    }

    /// A command of a client of its own. Each time it takes effect, it adds one to the key of its name; where there are
    /// no keys, it attacks or paints.
    fn command(&mut self, name: &str, app: AppKind) -> Result<Command, Halt> {
        self.proposed += 1;
        let op = match app {
            AppKind::Kv => format!(r#"{{"incr":["{name}",1]}}"#),
            AppKind::Attack => r#"{"attack":1}"#.to_owned(),
            AppKind::Canvas => r#"{"paint":[[0,0,1]]}"#.to_owned(),
        };
        let op = RawValue::from_string(op).map_err(|error| Halt::Failed(error.to_string()))?;
        Command::new(format!("by-hand-{}", self.proposed), 1, op).map_err(|error| Halt::Failed(error.to_string()))
    }
}

fn require(holds: bool, why: impl FnOnce() -> String) -> Result<(), Halt> {
    if holds { Ok(()) } else { Err(Halt::Failed(why())) }
}

/// What a server answered; nothing if it was down or paused.
fn answer<T, E: fmt::Display>(asked: Option<Result<T, E>>) -> Result<(), String> {
    match asked {
        Some(Ok(_)) => Ok(()),
        Some(Err(refused)) => Err(refused.to_string()),
        None => Err("it is down or paused".to_owned()),
    }
}

/// Whether a server took what only a leader takes; nothing if it was down or paused.
fn taken(is_taken: Option<bool>) -> Result<(), String> {
    match is_taken {
        Some(true) => Ok(()),
        Some(false) => Err("this server does not lead, or is about to hand over".to_owned()),
        None => Err("it is down or paused".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FEW: u64 = 5_000;

    #[test]
    fn a_scenario_comes_to_an_end_after_so_many_events_with_its_line() {
        for statements in [
            "advance 86400s",
            "at 86400s heal",
            "heal\nexpect term n1 9999 within 86400s",
            "advance 100ms\nadvance 86400s\nexpect leader none",
            "election 100s..200s\nheartbeat 1us\ntimeout n1\nfinish",
        ] {
            let text = format!("servers 3\n{statements}");
            let scenario: Scenario = text.parse().unwrap();
            let played = play_within(&scenario, FEW, &mut Unwatched);
            let Some(Stopped::Failed { line, statement, why }) = played.stopped else {
                panic!("{statements}: {:?}", played.stopped)
            };
            assert_eq!(text.lines().nth(line - 1), Some(statement.as_str()));
            assert!(
                why.starts_with("a scenario has at most 5000 events, and ") && why.contains(" had passed"),
                "{why}"
            );
            assert!((FEW..2 * FEW).contains(&played.events), "{statements}: {}", played.events);
            assert!(played.virtual_us < 3_600_000_000, "{statements}: {}", played.virtual_us);
            assert!(!played.journal.iter().any(|happening| matches!(happening.what, What::Broken(_))), "{statements}");
        }
    }

    #[test]
    fn events_that_suffice_do_not_matter() {
        let scenario: Scenario = "servers 3\nadvance 2s\nfinish".parse().unwrap();
        let played = play(&scenario);
        let again = play_within(&scenario, played.events + 1, &mut Unwatched);
        assert_eq!((played.stopped, played.hash, played.virtual_us), (None, again.hash, again.virtual_us));
        assert!(again.stopped.is_none());
        assert!(play_within(&scenario, played.events / 2, &mut Unwatched).stopped.is_some());
    }
}
