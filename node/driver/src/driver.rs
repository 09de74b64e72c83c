//! The driver: the whole state of a server, its inputs, and the answers that it can give at once.
//!
//! Invariant: an input changes state and makes no effects except answers. The effects of the core are taken in
//! [`Driver::turn`], for all inputs since the last turn; effects that are taken together are sent and synced together.
//!
//! Deliberately absent: decisions on consensus; only the core interprets messages.

mod effects;
mod snapshots;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;

use bytes::Bytes;
use raftian_apps::{AppKind, Limits, Machine};
use raftian_raft::{
    Change, ChangeRefused, Message, NodeId, NotLeader, Persisted, ProposeRefused, Proposed, Server, Time,
    TransferRefused,
};
use serde_json::value::RawValue;

use crate::calls::Calls;
use crate::compactor::{Compaction, Compactor, SnapshotRefused};
use crate::effect::{CommandOutcome, Effect, Host, Question, ReadOutcome};
use crate::mutant::Planted;
use crate::proposals::Proposals;
use crate::reads::{self, Read, Reads};
use effects::Step;
pub use snapshots::{RestoreJob, StageJob};

/// The settings of a driver.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// The replicated application.
    pub app: AppKind,
    /// The limits of the applied state; the same for all servers.
    pub limits: Limits,
    /// When a snapshot is taken without a request for one.
    pub compaction: Compaction,
    /// The planted bug, if there is one.
    #[cfg(feature = "mutants")]
    pub mutant: Option<crate::Mutant>,
}

impl Options {
    /// The settings for an application, without automatic snapshots.
    pub fn new(app: AppKind) -> Options {
        Options {
            app,
            limits: Limits::default(),
            compaction: Compaction::default(),
            #[cfg(feature = "mutants")]
            mutant: None,
        }
    }

    #[cfg(feature = "mutants")]
    fn planted(&self) -> Planted {
        Planted { mutant: self.mutant }
    }

    #[cfg(not(feature = "mutants"))]
    fn planted(&self) -> Planted {
        Planted::default()
    }
}

/// How a client's request came to this server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route {
    /// From the client itself. It may be forwarded to the leader.
    Direct,
    /// From another server, which believes that this one leads. It is not forwarded again.
    Forwarded,
}

/// The guarantee of a read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Consistency {
    /// It sees all commands that were acknowledged before it began (§8).
    Linearizable,
    /// It sees the state of this node, which may lag behind.
    Stale,
}

/// Counters since the driver was created.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Commands proposed to its own log.
    pub proposed: u64,
    /// Commands forwarded to a leader.
    pub forwarded: u64,
    /// Entries applied.
    pub applied: u64,
    /// Snapshots of its own application that it took.
    pub snapshots: u64,
    /// Reads answered from its state without an entry in the log.
    pub reads: u64,
}

/// A server with all of its state and logic around the core that needs no input or output. See the [crate] for its use.
#[derive(Debug)]
pub struct Driver<H: Host> {
    options: Options,
    planted: Planted,
    server: Server,
    machine: Machine,
    proposals: Proposals<H::Command>,
    reads: Reads<H::Read>,
    calls: Calls<H::Call>,
    compactor: Compactor<H::Snapshot>,
    /// Effects that may be done now, in order.
    due: VecDeque<Effect<H>>,
    /// Steps that come after them, in order; they wait while a snapshot is being restored.
    steps: VecDeque<Step>,
    restoring: bool,
    /// Whether there was a turn before.
    has_turned: bool,
    takes_part: bool,
    counters: Counters,
}

impl<H: Host> Driver<H> {
    /// A driver of a new server, with its application in the initial state. The first [`Driver::turn`] restores the
    /// snapshot that was recovered from disk, in the same way as a leader's.
    pub fn new(options: Options, server: Server, first: Machine) -> Driver<H> {
        let planted = options.planted();
        Driver {
            planted,
            machine: first,
            proposals: Proposals::new(planted),
            reads: Reads::new(planted),
            calls: Calls::new(planted),
            compactor: Compactor::new(options.compaction, server.id()),
            due: VecDeque::new(),
            steps: VecDeque::new(),
            restoring: false,
            has_turned: false,
            takes_part: false,
            counters: Counters::default(),
            options,
            server,
        }
    }

    // Its state.

    /// The consensus core.
    pub fn server(&self) -> &Server {
        &self.server
    }

    /// The applied state. While there are effects to take, it lags behind the entries that the core has delivered.
    pub fn machine(&self) -> &Machine {
        &self.machine
    }

    /// Whether a snapshot is being restored; writes and entries wait meanwhile.
    pub fn is_restoring(&self) -> bool {
        self.restoring
    }

    /// The number of pending commands and reads of clients.
    pub fn pending(&self) -> usize {
        self.proposals.len() + self.reads.len()
    }

    /// The number of pending calls of peers.
    pub fn calls(&self) -> usize {
        self.calls.len()
    }

    /// Counters since it was created.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// When to call [`Driver::tick`] at the latest; `None` before [`Driver::take_part`].
    pub fn deadline(&self) -> Option<Time> {
        self.takes_part.then(|| self.server.deadline())
    }

    // Inputs. The next turn takes their effects.

    /// From now on time-outs count. Before that the node does not know the addresses of its peers, and must not start
    /// an election.
    pub fn take_part(&mut self) {
        self.takes_part = true;
    }

    /// A request of a peer, which has passed the [`Links`](crate::Links).
    pub fn request(&mut self, now: Time, request: Message, call: H::Call) {
        let (from, number) = (request.from, request.call);
        match self.server.receive(now, request) {
            Ok(()) => self.calls.add(from, number, call),
            Err(contradiction) => {
                self.due.push_back(Effect::Refused(contradiction));
                self.due.push_back(Effect::Reply(call, Err(contradiction)));
            }
        }
    }

    /// A peer's reply to a call, which has passed the [`Links`](crate::Links).
    pub fn reply(&mut self, now: Time, reply: Message) {
        if let Err(contradiction) = self.server.receive(now, reply) {
            self.due.push_back(Effect::Refused(contradiction));
        }
    }

    /// No reply to this call will come, though the request may have arrived.
    pub fn lost(&mut self, now: Time, peer: NodeId, call: u64) {
        self.server.lost(now, peer, call);
    }

    /// A client submits a command. The caller has checked that it is one of the application.
    pub fn submit(&mut self, now: Time, command: Bytes, route: Route, client: H::Command) {
        let refused = match self.server.propose(now, [command.clone()]) {
            Ok(proposed) => {
                self.counters.proposed += 1;
                if let Some(displaced) = self.proposals.add(proposed, client) {
                    self.due.push_back(Effect::Command(displaced, CommandOutcome::Unknown));
                }
                return;
            }
            Err(refused) => refused,
        };
        let leader = match refused {
            ProposeRefused::NotLeader(NotLeader { leader }) => leader,
            // During a transfer no server takes commands.
            ProposeRefused::Transferring { .. } => None,
            ProposeRefused::Uncommitted { bytes, .. } => {
                self.due.push_back(Effect::Command(client, CommandOutcome::TooMuchUncommitted { bytes }));
                return;
            }
        };
        self.due.push_back(match (route, leader) {
            (Route::Direct, Some(leader)) => {
                self.counters.forwarded += 1;
                Effect::Forward { leader, question: Question::Command(command, client) }
            }
            (Route::Direct, None) => Effect::Command(client, CommandOutcome::NoLeader),
            (Route::Forwarded, leader) => Effect::Command(client, CommandOutcome::NotLeader { leader }),
        });
    }

    /// A client reads. Every server, leader or not, refuses an operation that is not a read.
    pub fn read(&mut self, now: Time, op: Box<RawValue>, consistency: Consistency, route: Route, client: H::Read) {
        if consistency == Consistency::Stale || !self.options.app.is_read(&op) {
            let outcome = reads::query(&self.machine, &op);
            return self.answer_read(client, outcome);
        }
        let read = Read { op, route, client };
        match self.server.read(now) {
            Ok(ticket) => self.reads.add(ticket, read),
            Err(NotLeader { leader }) => self.pass_read_on(read, leader),
        }
    }

    /// Writes are durable, in the order in which the driver gave them.
    pub fn persisted(&mut self, now: Time, all: impl IntoIterator<Item = Persisted>) {
        for persisted in all {
            if let Some((taken, askers)) = self.compactor.persisted() {
                self.counters.snapshots += 1;
                self.due.extend(askers.map(|asker| Effect::Snapshot(asker, Ok(taken))));
            }
            for message in self.server.persisted(now, persisted) {
                self.send(message);
            }
        }
    }

    /// A snapshot is requested; the last `keep_entries` of the entries that it covers are kept.
    pub fn snapshot(&mut self, keep_entries: u64, asker: H::Snapshot) {
        self.compactor.ask(keep_entries, asker);
    }

    /// A change of the membership is requested.
    ///
    /// # Errors
    /// See [`Server::propose_configuration`].
    pub fn change(&mut self, now: Time, change: Change) -> Result<Proposed, ChangeRefused> {
        self.server.propose_configuration(now, change)
    }

    /// A transfer of leadership is requested.
    ///
    /// # Errors
    /// See [`Server::transfer`].
    pub fn transfer(&mut self, now: Time, to: NodeId) -> Result<(), TransferRefused> {
        self.server.transfer(now, to)
    }

    // Effects; see also [`Driver::turn`] and [`Driver::next_effect`].

    /// Time has passed. Call it after the available inputs and before the turn: messages of the leader must be
    /// processed before the election time-out is checked.
    pub fn tick(&mut self, now: Time) {
        if self.takes_part {
            self.server.tick(now);
        }
    }

    /// The node stops: answers all pending requests of clients, as far as their outcome is known.
    pub fn stop(&mut self) {
        let unknown = self.proposals.take_all().map(|client| Effect::Command(client, CommandOutcome::Unknown));
        self.due.extend(unknown);
        self.due.extend(self.reads.take_all().map(|client| Effect::Read(client, ReadOutcome::Stopping)));
        let given_up = self.compactor.take_all().map(|asker| Effect::Snapshot(asker, Err(SnapshotRefused::Stopping)));
        self.due.extend(given_up);
    }
}
