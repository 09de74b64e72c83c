//! The host of the driver: the only task that owns a server's state, gives it inputs, and carries out its effects.
//!
//! It empties its inbox, gives the inputs to the [`Driver`], and then takes all effects. Inputs that arrived together
//! lead to messages that are sent together and writes that are synced together; no timer is needed to form batches. The
//! host is a future; the hosting decides which thread polls it.
//!
//! Slow work runs on other tasks and threads, and its result comes back as an input: calls to peers, syncs, and the
//! encoding and decoding of snapshots.
//!
//! Invariant: effects are carried out in the order in which the driver gives them, each before the next one is taken.
//!
//! Deliberately absent: decisions. The driver decides what may be done when, and which answer goes to which request.

pub(crate) mod by_hand;
mod causes;
pub(crate) mod disk;
pub(crate) mod feed;
pub(crate) mod inbox;
pub(crate) mod owner;
pub(crate) mod pending;
mod report;
mod snapshots;
pub(crate) mod storage;

use std::sync::Arc;

use raftian_apps::Machine;
use raftian_driver::{Compaction, Driver, Effect, Options, Question};
use raftian_raft::{Change, ChangeRefused, Event, Message, NodeId, NotLeader, Server, Time, TransferRefused};
use raftian_rpc::client::{ReadAnswer, Submitted};
use raftian_rpc::clock;
use raftian_rpc::control::{ChangeBegun, MemberChange, NodeConfig, NodeNotice, SnapshotTaken};
use raftian_rpc::error::NodeError;
use raftian_rpc::game::GameReport;
use raftian_rpc::host_event::HostEvent;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use crate::faults::server_clock::ServerClock;
use crate::game_link::orders::Orders;
use crate::host::by_hand::Hand;
use crate::host::causes::Causes;
use crate::host::feed::{Feed, Followed};
use crate::host::inbox::{Inbox, Input};
use crate::host::pending::{Answer, Pending};
use crate::host::storage::Storage;
use crate::net::peers::{Configured, Peers};
use crate::parent;
use crate::planted::planted;
use crate::trace::{NodeEvent, Trace};

/// The most inputs taken before effects are carried out, so that a flood of inputs cannot delay the heartbeats.
const MAX_INPUTS: usize = 4096;

/// A driver with its storage, peers, trace and game.
#[derive(Debug)]
pub(crate) struct Host {
    driver: Driver<Callers>,
    storage: Storage,
    peers: Arc<Peers>,
    trace: Trace,
    /// The orders queue to the game beside it, if there is one.
    orders: Option<Orders>,
    /// What is applied, for clients that follow.
    feed: Feed,
    /// Where calls to peers and snapshot jobs put their results.
    inbox: Inbox,
    /// The server's time.
    clock: ServerClock,
    /// The last configuration of which faults were taken in.
    configured: u64,
    /// The last report of the game.
    game: Option<GameReport>,
    /// What waits for steps by hand, if it is moved so.
    hand: Option<Hand>,
    /// What it knows of the causes of elections.
    causes: Causes,
}

/// The pending requests of the driver: each is the sending end of a channel for its answer.
#[derive(Debug)]
pub(crate) enum Callers {}

impl raftian_driver::Host for Callers {
    type Call = Answer<Result<Message, NodeError>>;
    type Command = Pending<Submitted>;
    type Read = Pending<ReadAnswer>;
    type Snapshot = Answer<Result<SnapshotTaken, NodeError>>;
}

/// Why a host ended.
#[derive(Debug)]
pub(crate) enum Ending {
    /// It was asked to stop.
    Shutdown,
    /// It cannot continue, because its disk failed or a snapshot is not valid.
    Failed(String),
}

impl Host {
    /// A host whose time starts now. Its application has the state of the server's snapshot, if there is one.
    ///
    /// # Errors
    /// A message for people, when the application cannot start or the snapshot cannot be restored.
    pub(crate) fn new(
        config: &NodeConfig,
        server: Server,
        storage: Storage,
        peers: Arc<Peers>,
        trace: Trace,
        inbox: Inbox,
    ) -> Result<Host, String> {
        let machine = by_hand::first_machine(config)?;
        let compaction = Compaction {
            log_bytes: config.compaction.log_bytes,
            log_entries: None,
            keep_entries: config.compaction.keep_entries,
        };
        let mut options = Options { compaction, ..Options::new(config.app) };
        let mut hand = None;
        if let Some(by_hand) = &config.by_hand {
            options = by_hand::tune_driver(&by_hand.tuning, options);
            hand = Some(Hand::new(server.entries(server.first_index(), usize::MAX)));
        }
        planted().in_driver(&mut options);
        let driver = Driver::new(options, server, machine);
        let clock = ServerClock::new();
        let causes = Causes::default();
        let mut host = Host {
            driver,
            storage,
            peers,
            trace,
            orders: None,
            feed: Feed::new(),
            inbox,
            clock,
            configured: 0,
            game: None,
            hand,
            causes,
        };
        host.remember()?;
        Ok(host)
    }

    /// Carries out the first turn, with the state recovered from disk. It blocks until the snapshot is restored: if
    /// that fails, the node must not start.
    fn remember(&mut self) -> Result<(), String> {
        self.driver.turn(|_, _| {});
        while let Some(effect) = self.driver.next_effect() {
            match effect {
                Effect::Restore(job) => drop(self.driver.restored(job.restore()?)),
                other => self.carry_out(other),
            }
        }
        Ok(())
    }

    /// The application.
    pub(crate) fn machine(&self) -> &Machine {
        self.driver.machine()
    }

    /// The way for clients to follow what is applied.
    pub(crate) fn followed(&self) -> Followed {
        self.feed.followed()
    }

    /// From now on a game receives what is applied.
    pub(crate) fn tell_game(&mut self, orders: Orders) {
        self.orders = Some(orders);
    }

    /// Runs until it is asked to stop, or cannot continue.
    pub(crate) async fn run(mut self, mut inputs: mpsc::UnboundedReceiver<Input>) -> Ending {
        let mut batch = Vec::with_capacity(MAX_INPUTS);
        let ending = loop {
            let deadline =
                if self.hand.is_none() { self.driver.deadline().and_then(|at| self.clock.when(at)) } else { None };
            tokio::select! {
                // Inputs first: under load, messages of the leader must be processed before the election time-out is
                // checked.
                biased;
                _ = inputs.recv_many(&mut batch, MAX_INPUTS) => {}
                () = sleep_until(deadline.unwrap_or_else(Instant::now)), if deadline.is_some() => {}
            }
            let ending = batch.drain(..).find_map(|input| self.handle(input));
            if let Some(ending) = ending {
                break ending;
            }
            self.turn();
            if self.hand.is_some() && inputs.is_empty() {
                self.tell_settled();
            }
        };
        self.leave(&ending);
        ending
    }

    /// All available inputs were given: gives the driver the time, and carries out all its effects.
    fn turn(&mut self) {
        if self.hand.as_mut().is_none_or(Hand::looks_now) {
            self.driver.tick(self.now());
        }
        self.driver.turn(|_, _| {});
        self.carry_out_all();
        if let Some(orders) = &mut self.orders {
            orders.stands(self.driver.server());
        }
    }

    /// Answers all pending requests, as far as their outcome is known, and closes the log.
    fn leave(mut self, ending: &Ending) {
        self.carry_out_all();
        self.driver.stop();
        self.carry_out_all();
        match ending {
            Ending::Shutdown => self.trace.node(NodeEvent::Stopped),
            Ending::Failed(reason) => self.trace.node(NodeEvent::Failed { reason }),
        }
        self.storage.close();
    }

    fn own(&self) -> NodeId {
        self.driver.server().id()
    }

    fn now(&self) -> Time {
        self.hand.as_ref().map_or_else(|| self.clock.now(), Hand::now)
    }

    /// Gives one input to the driver, or answers it.
    fn handle(&mut self, input: Input) -> Option<Ending> {
        let now = self.now();
        if let Some(hand) = &mut self.hand {
            hand.notes(&input);
        }
        match input {
            Input::Request(message, call) => {
                self.causes.request(&message, clock::monotonic_ns());
                self.driver.request(now, message, call);
            }
            Input::TurnedAway => {}
            Input::Reply(message) => self.driver.reply(now, message),
            Input::Lost(peer, call) => self.driver.lost(now, peer, call),
            Input::Submit(command, route, client) => self.driver.submit(now, command, route, client),
            Input::Read(op, consistency, route, client) => self.driver.read(now, op, consistency, route, client),
            Input::Persisted(all) => {
                let all = match &mut self.hand {
                    Some(hand) => hand.persisted(all),
                    None => Some(all),
                };
                self.driver.persisted(now, all.unwrap_or_default());
                let seen = self.causes.disk(self.storage.sync_us());
                self.tell(seen);
            }
            Input::StorageFailed(reason) => return Some(Ending::Failed(reason)),
            Input::Snapshot(keep_entries, asker) => self.driver.snapshot(keep_entries, asker),
            Input::Staged(staged) => self.driver.staged(staged),
            Input::Restored(Ok(machine)) => self.restored(*machine),
            Input::Restored(Err(reason)) => return Some(Ending::Failed(reason)),
            Input::Configured(configured) => self.configure(configured),
            Input::Game(report) => self.game = Some(report),
            // A caller that has gone meanwhile gets no answer.
            Input::Change(change, answer) => drop(answer.send(self.change(change))),
            Input::Transfer(to, answer) => drop(answer.send(self.transfer(to))),
            Input::Status(answer) => drop(answer.send(self.status())),
            Input::Log { from, limit, answer } => drop(answer.send(self.log_page(from, limit))),
            Input::View(answer) => drop(answer.send(self.view())),
            Input::Step(step, answer) => self.step(step, answer),
            Input::Durable(answer) => drop(answer.send(self.durable())),
            Input::PowerLoss => self.storage.faults().lose_power(),
            Input::Shutdown => return Some(Ending::Shutdown),
        }
        None
    }

    /// Takes part in the cluster as it is now, with these faults.
    fn configure(&mut self, Configured { version, rules, faults }: Configured) {
        self.driver.take_part();
        self.trace.node(NodeEvent::Configured { version, rules, faults: faults.len() });
        if version <= self.configured {
            return;
        }
        self.configured = version;
        self.clock.set(&faults);
        if self.storage.faults().set(&faults) {
            let (faults, inbox) = (Arc::clone(self.storage.faults()), self.inbox.clone());
            // A host that has ended needs no outcome.
            tokio::task::spawn_blocking(move || {
                faults.settle().unwrap_or_else(|why| drop(inbox.send(Input::StorageFailed(why))));
            });
        }
    }

    fn change(&mut self, change: MemberChange) -> Result<ChangeBegun, NodeError> {
        let change = match change {
            MemberChange::AddLearner(node) => Change::AddLearner(node),
            MemberChange::Promote(node) => Change::Promote(node),
            MemberChange::Remove(node) => Change::Remove(node),
            MemberChange::Members { voters, learners } => Change::Members { voters, learners },
        };
        let begun = self.driver.change(self.now(), change).map_err(|refused| match refused {
            ChangeRefused::NotLeader(NotLeader { leader }) => self.not_leader(leader),
            ChangeRefused::Pending { .. }
            | ChangeRefused::TermNotCommitted
            | ChangeRefused::Transferring { .. }
            | ChangeRefused::Lagging { .. }
            | ChangeRefused::Silent { .. } => NodeError::NotNow { why: refused.to_string() },
            _ => NodeError::Refused { why: refused.to_string() },
        })?;
        Ok(ChangeBegun { index: begun.first, term: begun.term })
    }

    fn transfer(&mut self, to: NodeId) -> Result<(), NodeError> {
        self.driver.transfer(self.now(), to).map_err(|refused| match refused {
            TransferRefused::NotLeader(NotLeader { leader }) => self.not_leader(leader),
            TransferRefused::Transferring { .. } | TransferRefused::JustAborted => {
                NodeError::NotNow { why: refused.to_string() }
            }
            _ => NodeError::Refused { why: refused.to_string() },
        })
    }

    fn not_leader(&self, leader: Option<NodeId>) -> NodeError {
        NodeError::NotLeader { node: self.own(), leader }
    }

    fn carry_out_all(&mut self) {
        while let Some(effect) = self.driver.next_effect() {
            self.carry_out(effect);
        }
        self.feed.announce();
    }

    fn carry_out(&mut self, effect: Effect<Callers>) {
        match effect {
            Effect::Call(message) => self.call(message),
            Effect::Reply(call, reply) => {
                let refused = reply.as_ref().ok().and_then(|reply| self.causes.reply(reply, self.driver.server()));
                self.tell(refused);
                let reply = reply.map_err(|contradiction| NodeError::BadRequest { why: contradiction.to_string() });
                // A caller that gave up has closed its connection.
                let _ = call.send(reply);
            }
            Effect::Write(persist) => match &mut self.hand {
                Some(hand) => hand.hold_write(persist),
                None => self.storage.persist(persist),
            },
            Effect::Restore(job) => {
                self.hand.iter_mut().for_each(Hand::job_begins);
                self.begin_restoring(job);
            }
            Effect::Stage(job) => {
                self.hand.iter_mut().for_each(Hand::job_begins);
                self.begin_staging(job);
            }
            Effect::DiscardStaged(snapshot) => self.discard(snapshot),
            // The handler of the client's call still has the request.
            Effect::Forward { leader, question: Question::Command(_, client) } => client.pass_on(leader),
            Effect::Forward { leader, question: Question::Read(_, client) } => client.pass_on(leader),
            Effect::Command(client, outcome) => client.tell(self.own(), outcome),
            Effect::Read(client, outcome) => client.tell(self.own(), outcome),
            Effect::Snapshot(asker, outcome) => self.tell_of_snapshot(asker, outcome),
            Effect::Applied { entry, applied } => {
                self.hand.iter_mut().for_each(|hand| hand.applied(&entry));
                if let Some(orders) = &self.orders {
                    orders.applied(&applied);
                }
                self.feed.applied(applied);
            }
            Effect::Replaced => {
                if let Some(orders) = &self.orders {
                    orders.skipped(self.driver.machine());
                }
                self.feed.skipped(self.driver.machine().last_applied());
            }
            Effect::SnapshotGivenUp(reason) => self.trace.node(NodeEvent::SnapshotGivenUp { reason: &reason }),
            Effect::Refused(contradiction) => {
                self.trace.node(NodeEvent::Refused { reason: contradiction.to_string() });
            }
            Effect::Event(event) => self.note(event),
        }
    }

    fn call(&mut self, message: Message) {
        if let Some(hand) = &mut self.hand {
            let is_lost = !self.peers.lets_leave(message.to);
            return hand.hold(message, is_lost);
        }
        let (peers, inbox) = (Arc::clone(&self.peers), self.inbox.clone());
        tokio::spawn(async move {
            let (peer, call) = (message.to, message.call);
            let input = peers.call(message).await.map_or(Input::Lost(peer, call), Input::Reply);
            // A host that has ended needs no reply.
            let _ = inbox.send(input);
        });
    }

    fn tell(&mut self, seen: Option<HostEvent>) {
        if let Some(event) = seen {
            let at_ns = clock::monotonic_ns();
            self.trace.host(at_ns, &event);
            parent::notify(&NodeNotice::Host { node: self.own(), at_ns, event });
        }
    }

    fn note(&mut self, event: Event) {
        let at_ns = clock::monotonic_ns();
        let cause = self.causes.event(&event, at_ns);
        self.tell(cause);
        parent::notify(&NodeNotice::Raft { node: self.own(), at_ns, event: event.clone() });
        self.trace.raft(at_ns, event);
    }
}
