//! The driver: the one task that owns a server's state and carries out its effects.
//!
//! It drains its inbox, feeds the core, and takes all effects at once: what came in together is sent together, synced
//! together, and needs no timer to be gathered. It is a future; who polls it is the host's choice.
//!
//! What takes long is done elsewhere and comes back as an input: peers' answers, syncs, and both ways between a state
//! and its snapshot.
//!
//! Invariant: effects are carried out in the order the core asks for (see [`raftian_raft::Ready`]); entries are applied
//! in log order, each once; a snapshot that cannot be restored stops the node before anything is written or promised.
//!
//! Deliberately absent: decisions. Which message means what is the core's business.

mod report;
mod snapshots;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use raftian_apps::{AppKind, Machine};
use raftian_raft::{
    Body, Change, ChangeRefused, Entry, Message, NodeId, NotLeader, Persist, ProposeRefused, Ready, Server, Time,
    TransferRefused,
};
use raftian_rpc::client::{Consistency, ReadAnswer, Submitted};
use raftian_rpc::clock;
use raftian_rpc::control::{ChangeBegun, Counters, MemberChange, NodeConfig, NodeNotice};
use raftian_rpc::error::NodeError;
use raftian_rpc::game::GameReport;
use serde_json::value::RawValue;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use crate::compactor::Compactor;
use crate::inbox::{Answer, Inbox, Input};
use crate::orders::Orders;
use crate::parent;
use crate::peers::{Configured, Peers};
use crate::readers::{self, Readers};
use crate::storage::Storage;
use crate::trace::{NodeEvent, Trace};
use crate::waiters::Waiters;

/// The most inputs taken before effects are carried out, so that a flood cannot put off the heartbeats.
const MAX_INPUTS: usize = 4096;

/// A server with everything it works on.
#[derive(Debug)]
pub(crate) struct Driver {
    server: Server,
    app: AppKind,
    machine: Machine,
    storage: Storage,
    peers: Arc<Peers>,
    trace: Trace,
    /// What the game beside it is told, if there is one.
    orders: Option<Orders>,
    /// Where calls to peers and snapshots report.
    inbox: Inbox,
    /// The zero of the server's time.
    epoch: Instant,
    waiters: Waiters,
    readers: Readers,
    compactor: Compactor,
    /// While a leader's snapshot is being restored: what waits for it, in order.
    restoring: Option<Vec<Ready>>,
    /// What the game last said of itself.
    game: Option<GameReport>,
    /// Peers that wait for a reply, by their name and the number of their call.
    callers: HashMap<(NodeId, u64), Answer<Result<Message, NodeError>>>,
    counters: Counters,
    /// Set by the first configuration: without peers an election time-out means nothing.
    takes_part: bool,
}

/// Why a driver ended.
#[derive(Debug)]
pub(crate) enum Ending {
    /// It was asked to.
    Shutdown,
    /// It cannot go on, because its disk failed or a snapshot is not what it should be.
    Failed(String),
}

impl Driver {
    /// A driver whose time begins now, with the application as the server's snapshot has it.
    ///
    /// # Errors
    /// A sentence for people, when the application cannot begin so.
    pub(crate) fn new(
        config: &NodeConfig,
        server: Server,
        storage: Storage,
        peers: Arc<Peers>,
        trace: Trace,
        inbox: Inbox,
    ) -> Result<Driver, String> {
        let machine = Machine::new(config.app, config.players).map_err(|error| error.to_string())?;
        let mut driver = Driver {
            server,
            app: config.app,
            machine,
            storage,
            peers,
            trace,
            orders: None,
            inbox,
            epoch: Instant::now(),
            waiters: Waiters::default(),
            readers: Readers::default(),
            compactor: Compactor::new(config.compaction, config.id),
            restoring: None,
            game: None,
            callers: HashMap::new(),
            counters: Counters::default(),
            takes_part: false,
        };
        let mut ready = driver.server.ready();
        if let Some(snapshot) = ready.restore.take() {
            driver.restore_from_disk(&snapshot)?;
        }
        driver.carry_out(ready);
        Ok(driver)
    }

    /// The application.
    pub(crate) fn machine(&self) -> &Machine {
        &self.machine
    }

    /// From now on a game is told what happens to the application.
    pub(crate) fn tell_game(&mut self, orders: Orders) {
        self.orders = Some(orders);
    }

    /// Runs until told to stop, or it cannot go on.
    pub(crate) async fn run(mut self, mut inputs: mpsc::UnboundedReceiver<Input>) -> Ending {
        let mut batch = Vec::with_capacity(MAX_INPUTS);
        let ending = loop {
            let deadline = self.epoch + self.server.deadline().0;
            tokio::select! {
                // Inputs first: under load, what a leader has sent must be read before the election time-out is
                // looked at.
                biased;
                _ = inputs.recv_many(&mut batch, MAX_INPUTS) => {}
                () = sleep_until(deadline), if self.takes_part => {}
            }
            let ending = batch.drain(..).find_map(|input| self.handle(input));
            if let Some(ending) = ending {
                break ending;
            }
            if self.takes_part {
                self.server.tick(self.now());
            }
            let ready = self.server.ready();
            self.carry_out(ready);
            if self.compactor.is_due() {
                self.begin_snapshot();
            }
        };
        self.waiters.give_up();
        match &ending {
            Ending::Shutdown => self.trace.node(NodeEvent::Stopped),
            Ending::Failed(reason) => self.trace.node(NodeEvent::Failed { reason }),
        }
        self.storage.close();
        ending
    }

    fn now(&self) -> Time {
        Time(self.epoch.elapsed())
    }

    /// Feeds one input to the core, or answers it.
    fn handle(&mut self, input: Input) -> Option<Ending> {
        match input {
            Input::Request(message, answer) => self.request(message, answer),
            Input::Reply(message) => {
                if let Err(contradiction) = self.server.receive(self.now(), message) {
                    self.trace.node(NodeEvent::Refused { reason: contradiction.to_string() });
                }
            }
            Input::Lost(peer, call) => self.server.lost(self.now(), peer, call),
            Input::Submit(command, answer) => self.submit(command, answer),
            Input::Read(op, consistency, answer) => self.read(op, consistency, answer),
            Input::Persisted(all) => {
                for persisted in all {
                    self.counters.snapshots += u64::from(self.compactor.persisted());
                    for message in self.server.persisted(self.now(), persisted) {
                        self.send(message);
                    }
                }
            }
            Input::StorageFailed(reason) => return Some(Ending::Failed(reason)),
            Input::Snapshot(keep_entries, answer) => self.compactor.ask(keep_entries, answer),
            Input::Staged(snapshot) => self.compact(snapshot),
            Input::Restored(Ok(machine)) => self.restored(*machine),
            Input::Restored(Err(reason)) => return Some(Ending::Failed(reason)),
            Input::Configured(Configured { version, rules }) => {
                self.takes_part = true;
                self.trace.node(NodeEvent::Configured { version, rules });
            }
            Input::Game(report) => self.game = Some(report),
            // Whoever asked for one of these and left is told nothing.
            Input::Change(change, answer) => drop(answer.send(self.change(change))),
            Input::Transfer(to, answer) => drop(answer.send(self.transfer(to))),
            Input::Status(answer) => drop(answer.send(self.status())),
            Input::Log { from, limit, answer } => drop(answer.send(self.log_page(from, limit))),
            Input::View(answer) => drop(answer.send(self.view())),
            Input::Shutdown => return Some(Ending::Shutdown),
        }
        None
    }

    fn request(&mut self, message: Message, answer: Answer<Result<Message, NodeError>>) {
        let caller = (message.from, message.call);
        match self.server.receive(self.now(), message) {
            Ok(()) => drop(self.callers.insert(caller, answer)),
            Err(contradiction) => {
                let why = contradiction.to_string();
                self.trace.node(NodeEvent::Refused { reason: why.clone() });
                let _ = answer.send(Err(NodeError::BadRequest { why }));
            }
        }
    }

    fn submit(&mut self, command: Bytes, answer: Answer<Result<Submitted, NodeError>>) {
        match self.server.propose(self.now(), [command]) {
            Ok(proposed) => {
                self.counters.proposed += 1;
                self.waiters.add(proposed.first, proposed.term, answer);
            }
            Err(refused) => {
                let leader = match refused {
                    ProposeRefused::NotLeader(NotLeader { leader }) => leader,
                    // Nobody takes commands now.
                    ProposeRefused::Transferring { .. } => None,
                };
                self.counters.forwarded += u64::from(leader.is_some());
                let _ = answer.send(Err(self.not_leader(leader)));
            }
        }
    }

    fn read(&mut self, op: Box<RawValue>, consistency: Consistency, answer: Answer<Result<ReadAnswer, NodeError>>) {
        let outcome = match consistency {
            Consistency::Stale => readers::read(self.server.id(), &self.machine, &op),
            Consistency::Linearizable => match self.server.read(self.now()) {
                Ok(ticket) => return self.readers.add(ticket, op, answer),
                Err(NotLeader { leader }) => Err(self.not_leader(leader)),
            },
        };
        self.counters.reads += u64::from(outcome.is_ok());
        let _ = answer.send(outcome);
    }

    fn change(&mut self, change: MemberChange) -> Result<ChangeBegun, NodeError> {
        let change = match change {
            MemberChange::AddLearner(node) => Change::AddLearner(node),
            MemberChange::Promote(node) => Change::Promote(node),
            MemberChange::Remove(node) => Change::Remove(node),
        };
        let begun = self.server.propose_configuration(self.now(), change).map_err(|refused| match refused {
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
        self.server.transfer(self.now(), to).map_err(|refused| match refused {
            TransferRefused::NotLeader(NotLeader { leader }) => self.not_leader(leader),
            TransferRefused::Transferring { .. } => NodeError::NotNow { why: refused.to_string() },
            _ => NodeError::Refused { why: refused.to_string() },
        })
    }

    fn not_leader(&self, leader: Option<NodeId>) -> NodeError {
        NodeError::NotLeader { node: self.server.id(), leader }
    }

    /// Does what the core wants done. Messages that promise nothing come first, and the disk, for which others wait.
    fn carry_out(&mut self, mut ready: Ready) {
        for message in std::mem::take(&mut ready.messages) {
            self.send(message);
        }
        if self.restoring.is_none() && ready.restore.is_none() {
            self.write(ready.persist.take());
        }
        for event in std::mem::take(&mut ready.events) {
            let at_ns = clock::monotonic_ns();
            parent::notify(&NodeNotice::Raft { node: self.server.id(), at_ns, event: event.clone() });
            self.trace.raft(at_ns, event);
        }
        self.carry_out_in_turn(ready);
        self.counters.reads += self.readers.serve(self.server.id(), &self.machine);
        if let Some(orders) = &mut self.orders {
            orders.stands(&self.server);
        }
    }

    /// Does the rest, which a state that is to be restored comes before: nothing is written, and so nothing promised,
    /// that rests on a state which is none, and no entry is applied to a state that it does not follow.
    fn carry_out_in_turn(&mut self, mut ready: Ready) {
        if let Some(waiting) = &mut self.restoring {
            waiting.push(ready);
            return;
        }
        if let Some(snapshot) = ready.restore.take() {
            self.restoring = Some(vec![ready]);
            return self.begin_restoring(snapshot);
        }
        self.write(ready.persist);
        for entry in ready.committed {
            self.apply(&entry);
        }
        for outcome in ready.reads {
            self.readers.decided(self.server.id(), outcome);
        }
    }

    fn write(&mut self, persist: Option<Persist>) {
        if let Some(persist) = persist {
            self.compactor.handing(&persist);
            self.storage.persist(persist);
        }
    }

    fn apply(&mut self, entry: &Entry) {
        let applied = self.machine.apply(entry);
        self.counters.applied += 1;
        self.compactor.applied(entry);
        self.waiters.applied(self.server.id(), entry, &applied);
        if let Some(orders) = &self.orders {
            orders.applied(&applied);
        }
    }

    fn send(&mut self, message: Message) {
        match message.body {
            Body::Reply(_) => {
                // A caller that gave up has taken its connection with it.
                if let Some(answer) = self.callers.remove(&(message.to, message.call)) {
                    let _ = answer.send(Ok(message));
                }
            }
            Body::Request(_) => {
                let (peers, inbox) = (Arc::clone(&self.peers), self.inbox.clone());
                tokio::spawn(async move {
                    let (peer, call) = (message.to, message.call);
                    let input = peers.call(message).await.map_or(Input::Lost(peer, call), Input::Reply);
                    // Without a driver there is nobody to tell.
                    let _ = inbox.send(input);
                });
            }
        }
    }
}
