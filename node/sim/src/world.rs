//! A whole cluster in one thread: servers, disks, links, clients and one clock.
//!
//! Invariants: everything follows from the [`Schedule`]; nothing is delivered and no time passes unless [`World::step`]
//! (or one of the finer steps of `manual`) says so; after every step the oracle has seen the server that took it; a
//! violation is a value, and a world in which one was found stands still, unless all judges are to be heard out.
//!
//! What arrives at a node, and its turns, stand in `turn`; what its driver wants done in `effects`; disks in `storage`,
//! clients in `clients`; what is done from outside in `act`.

mod act;
mod clients;
mod effects;
mod live;
mod manual;
mod steady;
mod storage;
mod strikes;
#[cfg(test)]
mod teeth;
mod turn;

pub use manual::Held;
use raftian_apps::Machine;
use raftian_check::Operation;
use raftian_driver::Driver;
use raftian_raft::{Index, Message, NodeId, RoleKind, RuleSet, Server};
use raftian_script::{Invariant, MAX_NODES, Plan, Schedule, Timed};
use raftian_wal::{Recovered, WalError};

use crate::client::{Client, History};
use crate::coverage::{Coverage, Rare};
use crate::invariant::{Check, Finding, Violation, id_at, place, require};
use crate::journal::{Happening, Journal, What};
use crate::members::Members;
use crate::network::Network;
use crate::node::{Input, Node};
use crate::oracle::Oracle;
use crate::queue::{Event, MessageId, Queue};
use crate::random::{Stream, Trace, random};
use crate::settings::{Settings, first_machine};
use crate::storage::Storage;
use strikes::Delays;

/// The most steps that may be taken without time passing, or without a server looking at its clock, for each node: a bug may
/// want to be called again and again, or send messages for ever.
const MAX_STEPS_WITHOUT_TIME: u64 = 20_000;

/// A cluster and all that happens to it.
#[derive(Debug)]
pub struct World {
    seed: u64,
    plan: Plan,
    settings: Settings,
    now_us: u64,
    steps: u64,
    /// After so many steps nothing happens any more by itself.
    most_steps: u64,
    queue: Queue,
    actions: Vec<Timed>,
    /// How many of these have been done.
    done: usize,
    /// How many actions have been done, those by hand included.
    performed: u64,
    nodes: Vec<Node>,
    network: Network,
    delays: Delays,
    clients: Vec<Client>,
    calls: u64,
    history: History,
    oracle: Oracle,
    /// So much was committed when all leaders were last asked for their leases.
    leases_hold_up_to: Index,
    budget: Budget,
    /// Whether clocks are looked at only where that is the step.
    ignores_clocks: bool,
    /// How many steps were taken since time passed.
    steps_without_time: u64,
    trace: Trace,
    coverage: Coverage,
    /// The rules that servers followed which are down now.
    rules: RuleSet,
    journal: Journal,
    violation: Option<Violation>,
    /// The first of every invariant that was broken, while all judges are heard out.
    heard: Vec<Violation>,
}

/// How many messages there may be: in proportion to what causes them (a client's request, a deadline, an action).
#[derive(Debug, Default)]
struct Budget {
    granted: u64,
    sent: u64,
}

impl World {
    /// The world of a schedule, at its beginning: all founders are up.
    ///
    /// # Panics
    /// When there are no founders or more than 64 nodes.
    pub fn new(schedule: &Schedule, settings: Settings) -> World {
        let Schedule { seed, plan, actions, .. } = schedule;
        let count = plan.nodes();
        assert!(plan.founders > 0 && count <= MAX_NODES, "a cluster has 1 to {MAX_NODES} nodes");
        let sync_us = plan.sync_us.as_ref().map(|range| range.start);
        let new_node = |at: usize| {
            let rate = plan.clock_permille.get(at).copied().unwrap_or(1000);
            let storage = Storage::new(id_at(at), settings.layout(plan), sync_us);
            Node::new(settings.options(plan, id_at(at), *seed), rate, storage)
        };
        let network_seed = random([*seed, Stream::Network as u64]);
        let links = |links| settings.links(links);
        let mut world = World {
            seed: *seed,
            settings,
            now_us: 0,
            steps: 0,
            most_steps: u64::MAX,
            queue: Queue::default(),
            actions: actions.clone(),
            done: 0,
            performed: 0,
            nodes: (0..count).map(new_node).collect(),
            network: Network::new(
                network_seed,
                count,
                plan.effects.clone(),
                plan.link_effects.clone(),
                plan.news_us,
                links,
            ),
            delays: Delays::of(plan),
            clients: (0..plan.clients)
                .map(|client| {
                    let knows = u64::MAX >> (64 - count);
                    let mut asking = Client::new(client, client % count, knows, plan.has_short_sessions());
                    asking.is_stubborn = client < plan.stubborn_clients;
                    asking
                })
                .collect(),
            calls: 0,
            history: History::default(),
            oracle: Oracle::new(
                count,
                Members::of(&plan.configuration()),
                plan.app,
                first_machine(plan),
                plan.lease_span(),
                plan.election_timeout.start,
                plan.limits.max_sessions,
            ),
            leases_hold_up_to: 0,
            budget: Budget::default(),
            ignores_clocks: false,
            steps_without_time: 0,
            trace: Trace::default(),
            coverage: Coverage::default(),
            rules: RuleSet::default(),
            journal: Journal::default(),
            violation: None,
            heard: Vec::new(),
            plan: plan.clone(),
        };
        for at in 0..count {
            let started = world.start(at);
            world.conclude(started).expect("nothing can be wrong with an empty log");
        }
        world
    }

    // What can be seen.

    /// The virtual time, in microseconds.
    pub fn now_us(&self) -> u64 {
        self.now_us
    }

    /// How many steps were taken.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// The parameters.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// All nodes, up or not, members or not.
    pub fn ids(&self) -> impl Iterator<Item = NodeId> + use<> {
        (0..self.nodes.len()).map(id_at)
    }

    /// A server; `None` if it is down or there is none of this name.
    pub fn server(&self, id: NodeId) -> Option<&Server> {
        self.nodes.get(place(id))?.server()
    }

    /// Whether a node stands still.
    pub fn is_paused(&self, id: NodeId) -> bool {
        self.nodes.get(place(id)).is_some_and(|node| node.paused.is_some())
    }

    /// What the disk of a node would give back if the power were cut now; `None` if there is no such node.
    ///
    /// # Errors
    /// When the node's log would refuse to open.
    pub fn durable(&self, id: NodeId) -> Option<Result<Recovered, WalError>> {
        self.nodes.get(place(id)).map(|node| node.storage.durable())
    }

    /// The applied state of a node; `None` if it is down or there is none of this name.
    pub fn machine(&self, id: NodeId) -> Option<&Machine> {
        self.nodes.get(place(id))?.driver.as_ref().map(Driver::machine)
    }

    /// The messages on their way, in the order they were sent.
    pub fn messages(&self) -> Vec<(MessageId, &Message)> {
        self.queue.messages()
    }

    /// The leader of the latest term that has one now.
    pub fn leader(&self) -> Option<NodeId> {
        let servers = self.nodes.iter().filter_map(Node::server);
        let leaders = servers.filter(|server| server.role() == RoleKind::Leader);
        leaders.max_by_key(|server| server.hard_state().term).map(Server::id)
    }

    /// The last entry that any server ever knew to be committed.
    pub fn committed(&self) -> u64 {
        self.oracle.committed()
    }

    /// How many terms had a leader.
    pub fn led_terms(&self) -> u64 {
        self.oracle.led_terms() as u64
    }

    /// How many operations clients began, and how many of them were acknowledged.
    pub fn counts(&self) -> (u64, u64) {
        (self.history.len() as u64, self.history.acknowledged)
    }

    /// What clients did and saw so far, with steps for nanoseconds.
    pub fn history(&self) -> Vec<Operation> {
        self.history.operations()
    }

    /// What was reached so far.
    pub fn coverage(&self) -> &Coverage {
        &self.coverage
    }

    /// The rules of the core that were followed so far.
    pub fn rules(&self) -> RuleSet {
        let mut rules = self.rules;
        self.nodes.iter().filter_map(Node::server).for_each(|server| rules |= server.rules());
        rules
    }

    /// The hash of everything that happened so far.
    pub fn hash(&self) -> u64 {
        self.trace.hash()
    }

    /// The violation that ended it, if one did.
    pub fn violation(&self) -> Option<&Violation> {
        self.violation.as_ref()
    }

    /// From now on what is broken is written down, and the world goes on for as long as it can.
    pub(crate) fn hear_out(&mut self) {
        self.oracle.findings.collect_all();
    }

    /// What was written down, in order, and what ended it, if anything did.
    pub(crate) fn into_heard(self) -> Vec<Violation> {
        let ending = self.violation.filter(|ending| self.oracle.findings.is_checked(ending.invariant));
        self.heard.into_iter().chain(ending).collect()
    }

    /// From now on remembers everything that happens, for charts; costs time and memory.
    pub fn record(&mut self) {
        self.journal.begin();
    }

    /// After so many steps nothing happens any more by itself, and the clock goes on alone.
    pub(crate) fn allow_steps(&mut self, most: u64) {
        self.most_steps = most;
    }

    /// Whether nothing happens any more for that reason.
    pub(crate) fn is_out_of_steps(&self) -> bool {
        self.steps >= self.most_steps
    }

    /// What has happened since this was asked last, if it is being recorded.
    pub fn take_journal(&mut self) -> Vec<Happening> {
        self.journal.take()
    }

    // What can happen.

    /// The next thing happens, whatever it is. Says whether there was one.
    ///
    /// # Errors
    /// The invariant that this broke, or that was broken before.
    pub fn step(&mut self) -> Result<bool, Violation> {
        if let Some(violation) = &self.violation {
            return Err(violation.clone());
        }
        let (deadline, at) = self.next_deadline();
        let event = self.queue.next_us().unwrap_or(u64::MAX);
        let action = self.actions.get(self.done).map_or(u64::MAX, |timed| timed.at_us);
        let next = action.min(event).min(deadline);
        if next == u64::MAX || self.is_out_of_steps() {
            return Ok(false);
        }
        let passes = next > self.now_us;
        self.now_us = self.now_us.max(next);
        self.steps += 1;
        let goes_on = self.bound_steps(passes);
        let outcome = goes_on.and_then(|()| match () {
            () if next == action => self.next_action(),
            () if next == event => self.next_event(),
            () => self.tick_at(at),
        });
        self.conclude(outcome).map(|()| true)
    }

    /// Steps until nothing is due before this time, in microseconds, and lets the clock come up to it.
    ///
    /// # Errors
    /// See [`World::step`].
    pub fn run_until(&mut self, end_us: u64) -> Result<(), Violation> {
        while self.next_us() < end_us {
            self.step()?;
        }
        self.now_us = self.now_us.max(end_us);
        Ok(())
    }

    /// When something happens next; `u64::MAX` if nothing will.
    pub fn next_us(&self) -> u64 {
        if self.is_out_of_steps() {
            return u64::MAX;
        }
        let action = self.actions.get(self.done).map_or(u64::MAX, |timed| timed.at_us);
        action.min(self.queue.next_us().unwrap_or(u64::MAX)).min(self.next_deadline().0)
    }

    fn next_deadline(&self) -> (u64, usize) {
        let deadlines = self.nodes.iter().enumerate().map(|(at, node)| (node.deadline_us, at));
        deadlines.min().expect("a cluster has nodes")
    }

    /// A finding becomes a violation, with its time.
    fn conclude<T>(&mut self, outcome: Result<T, Finding>) -> Result<T, Violation> {
        self.write_down();
        outcome.map_err(|Finding { invariant, text }| self.broken(invariant, text))
    }

    /// What was said in a run that goes on becomes a violation as well.
    fn write_down(&mut self) {
        for Finding { invariant, text } in self.oracle.findings.take_new() {
            self.heard.push(Violation { invariant, step: self.steps, at_us: self.now_us, text });
        }
    }

    /// This was broken now; nothing happens any more.
    pub(crate) fn broken(&mut self, invariant: Invariant, text: String) -> Violation {
        self.write_down();
        let violation = Violation { invariant, step: self.steps, at_us: self.now_us, text };
        self.journal.note(self.now_us, self.steps, || What::Broken(violation.clone()));
        self.violation.insert(violation).clone()
    }

    /// Steps that take no time come to an end.
    fn bound_steps(&mut self, passes: bool) -> Check {
        self.steps_without_time = if passes { 0 } else { self.steps_without_time + 1 };
        let (steps, nodes) = (self.steps_without_time, self.nodes.len() as u64);
        require(steps <= MAX_STEPS_WITHOUT_TIME * nodes, Invariant::TimePasses, || {
            format!("{steps} steps were taken, and no time passes")
        })
    }

    fn next_event(&mut self) -> Check {
        match self.queue.pop() {
            Some(event) => self.happen(event),
            None => Ok(()),
        }
    }

    fn happen(&mut self, event: Event) -> Check {
        let at = match &event {
            Event::Deliver { slot, id } => match self.queue.receiver(*slot, *id) {
                Some(to) => to,
                None => return Ok(()),
            },
            Event::Synced { node, epoch }
            | Event::Encoded { node, epoch }
            | Event::Restored { node, epoch }
            | Event::CallsTimeOut { node, epoch }
            | Event::CallLost { node, epoch, .. }
            | Event::Turn { node, epoch } => match self.nodes[*node].epoch == *epoch {
                true => *node,
                false => return Ok(()),
            },
            Event::Request { node, .. } => *node,
            Event::Answer { .. } | Event::TimeOut { .. } => return self.client_event(event),
        };
        if let Some(backlog) = &mut self.nodes[at].paused {
            backlog.push(event);
            return Ok(());
        }
        let is_up = self.nodes[at].is_up();
        match event {
            Event::Deliver { slot, id } => match self.queue.take(slot, id) {
                Some(message) => self.receive(id, message),
                None => Ok(()),
            },
            Event::Request { node, request } => self.request(node, *request),
            _ if !is_up => Ok(()),
            Event::Synced { node, .. } => self.synced(node),
            Event::Turn { node, .. } => self.take_turn(node),
            Event::Encoded { node, .. } => self.arrive(node, Input::Encoded),
            Event::Restored { node, .. } => self.arrive(node, Input::Restored),
            Event::CallsTimeOut { node, .. } => self.arrive(node, Input::CallsTimeOut),
            Event::CallLost { node, peer, call, .. } => self.arrive(node, Input::CallLost(peer, call)),
            Event::Answer { .. } | Event::TimeOut { .. } => Ok(()),
        }
    }

    /// A message arrives. At a node that is down it is lost, and the transport hears that it called nobody.
    fn receive(&mut self, id: MessageId, message: Message) -> Check {
        let at = place(message.to);
        if self.nodes[at].is_up() {
            return self.arrive(at, Input::Message(id, message));
        }
        self.refuse(&message);
        self.journal.note(self.now_us, self.steps, || What::Delivered(id, Box::new(message)));
        self.coverage.note_rare(Rare::ArrivedAtNobody);
        Ok(())
    }
}

impl Budget {
    /// How many messages one cause may have, times the number of nodes: a request, its reply, what that leads to.
    const PER_CAUSE: u64 = 12;
    /// What is granted to begin with.
    const SLACK: u64 = 2_000;

    fn spend(&mut self) -> Check {
        self.sent += 1;
        crate::invariant::require(self.sent <= self.granted + Budget::SLACK, Invariant::MessageBudget, || {
            format!("{} messages were sent, but what happened accounts for {} at most", self.sent, self.granted)
        })
    }
}
