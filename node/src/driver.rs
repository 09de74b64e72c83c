//! The driver: the one task that owns a server's state and carries out its effects.
//!
//! It drains its inbox, feeds the core, and takes all effects at once: what came in together is sent together, synced
//! together, and needs no timer to be gathered. It is a future; who polls it is the host's choice.
//!
//! Invariant: effects are carried out in the order the core asks for (see [`raftian_raft::Ready`]); entries are applied
//! in log order, each once.
//!
//! Deliberately absent: decisions. Which message means what is the core's business.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use raftian_apps::Machine;
use raftian_raft::{Body, Entry, Message, NodeId, NotLeader, Payload, ProposeRefused, Ready, Server, Time};
use raftian_rpc::client::{Submitted, View};
use raftian_rpc::control::{Counters, LogLine, LogPage, NodeNotice, NodeStatus};
use raftian_rpc::error::NodeError;
use raftian_rpc::game::GameReport;
use raftian_rpc::{MAX_BODY_BYTES, clock};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use crate::inbox::{Answer, Inbox, Input};
use crate::orders::Orders;
use crate::parent;
use crate::peers::{Configured, Peers};
use crate::storage::Storage;
use crate::trace::{NodeEvent, Trace};
use crate::waiters::Waiters;

/// The most inputs taken before effects are carried out, so that a flood cannot put off the heartbeats.
const MAX_INPUTS: usize = 4096;

/// The most bytes of commands in a page of the log; half of what an answer may have.
const MAX_PAGE_BYTES: usize = MAX_BODY_BYTES as usize / 2;

/// A server with everything it works on.
#[derive(Debug)]
pub(crate) struct Driver {
    pub(crate) server: Server,
    pub(crate) machine: Machine,
    pub(crate) storage: Storage,
    pub(crate) peers: Arc<Peers>,
    pub(crate) trace: Trace,
    /// What the game beside it is told, if there is one.
    pub(crate) orders: Option<Orders>,
    /// Where calls to peers report.
    pub(crate) inbox: Inbox,
    /// The zero of the server's time.
    pub(crate) epoch: Instant,
    waiters: Waiters,
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
    /// Its disk failed.
    StorageFailed(String),
}

/// The entries that fit in an answer: at least one, if there is one.
fn page(entries: &[Entry]) -> impl Iterator<Item = &Entry> {
    let mut bytes = 0;
    entries.iter().take_while(move |entry| {
        let is_first = bytes == 0;
        bytes += entry.payload.len() + 64;
        is_first || bytes <= MAX_PAGE_BYTES
    })
}

impl Driver {
    /// A driver whose time begins now.
    pub(crate) fn new(
        server: Server,
        machine: Machine,
        storage: Storage,
        peers: Arc<Peers>,
        trace: Trace,
        orders: Option<Orders>,
        inbox: Inbox,
    ) -> Driver {
        Driver {
            server,
            machine,
            storage,
            peers,
            trace,
            orders,
            inbox,
            epoch: Instant::now(),
            waiters: Waiters::default(),
            game: None,
            callers: HashMap::new(),
            counters: Counters::default(),
            takes_part: false,
        }
    }

    /// Runs until told to stop, or the disk fails.
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
        };
        self.waiters.give_up();
        match &ending {
            Ending::Shutdown => self.trace.node(NodeEvent::Stopped),
            Ending::StorageFailed(reason) => self.trace.node(NodeEvent::Failed { reason }),
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
            Input::Persisted(all) => {
                for persisted in all {
                    for message in self.server.persisted(self.now(), persisted) {
                        self.send(message);
                    }
                }
            }
            Input::StorageFailed(reason) => return Some(Ending::StorageFailed(reason)),
            Input::Configured(Configured { version, rules }) => {
                self.takes_part = true;
                self.trace.node(NodeEvent::Configured { version, rules });
            }
            Input::Game(report) => self.game = Some(report),
            // Whoever asked for one of these and left is told nothing.
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

    fn submit(&mut self, command: bytes::Bytes, answer: Answer<Result<Submitted, NodeError>>) {
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
                let _ = answer.send(Err(NodeError::NotLeader { node: self.server.id(), leader }));
            }
        }
    }

    /// Does what the core wants done. Messages and the disk come first: others wait for them.
    fn carry_out(&mut self, ready: Ready) {
        for message in ready.messages {
            self.send(message);
        }
        if let Some(persist) = ready.persist {
            self.storage.persist(persist);
        }
        for event in ready.events {
            let at_ns = clock::monotonic_ns();
            parent::notify(&NodeNotice::Raft { node: self.server.id(), at_ns, event: event.clone() });
            self.trace.raft(at_ns, event);
        }
        for entry in ready.committed {
            let applied = self.machine.apply(&entry);
            self.counters.applied += 1;
            self.waiters.applied(self.server.id(), &entry, &applied);
            if let Some(orders) = &self.orders {
                orders.applied(&applied);
            }
        }
        if let Some(orders) = &mut self.orders {
            orders.stands(&self.server);
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

    fn status(&self) -> NodeStatus {
        let status = self.server.status();
        NodeStatus {
            node: self.server.id(),
            pid: std::process::id(),
            role: status.role,
            term: status.term,
            leader: status.leader,
            quorum_contact_ms: status.quorum_contact.map(|span: Duration| span.as_millis() as u64),
            last_index: status.last_index,
            commit_index: status.commit_index,
            last_applied: self.machine.last_applied(),
            digest: self.machine.digest().to_string(),
            state: self.machine.view(),
            network_version: self.peers.version(),
            counters: Counters {
                calls: self.peers.calls.load(Ordering::Relaxed),
                dropped: self.peers.dropped.load(Ordering::Relaxed),
                syncs: self.storage.syncs(),
                ..self.counters
            },
            game: self.game,
        }
    }

    fn log_page(&self, from: u64, limit: usize) -> LogPage {
        let status = self.server.status();
        let line = |entry: &Entry| LogLine {
            index: entry.index,
            term: entry.term,
            command: match &entry.payload {
                Payload::Noop | Payload::Configuration(_) => None,
                // Commands were checked to be JSON when they were submitted.
                Payload::Command(bytes) => serde_json::from_slice(bytes).ok(),
            },
        };
        LogPage {
            node: self.server.id(),
            last_index: status.last_index,
            commit_index: status.commit_index,
            last_applied: self.machine.last_applied(),
            digest: self.machine.digest().to_string(),
            entries: page(self.server.entries(from, limit)).map(line).collect(),
        }
    }

    fn view(&self) -> View {
        View {
            node: self.server.id(),
            last_applied: self.machine.last_applied(),
            digest: self.machine.digest().to_string(),
            state: self.machine.view(),
        }
    }
}
