//! A cluster in memory, moved by hand: servers, disks, a pool of messages, links that can be cut, and one clock.
//!
//! Invariant: after every step, or every batch of steps, the [`Witness`] has seen the server that took it, and no server
//! speaks before the witness has seen what its disk holds.
//!
//! Deliberately absent: any will of its own. Nothing is delivered, no time passes, unless a test says so.

mod app;
mod disk;
mod membership;
mod witness;
mod words;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use bytes::Bytes;
use raftian_raft::{
    Body, Change, ChangeRefused, CompactRefused, Configuration, Discard, Index, Message, NodeId, NotLeader, Options,
    Persist, ProposeRefused, Proposed, ReadTicket, Ready, Recovered, Request, RoleKind, Server, Status, Time,
    TransferRefused,
};

pub(crate) use app::App;
pub(crate) use disk::Disk;
pub(crate) use membership::is_quorum;
pub(crate) use witness::{Delivery, Witness};
pub(crate) use words::{Happening, cell, role};

/// The most messages that may be delivered without time passing.
const MAX_STORM: usize = 100_000;

#[derive(Debug)]
pub(crate) struct Cluster {
    pub(crate) now: Time,
    /// The messages on their way, in the order they were sent.
    pub(crate) pool: Vec<Message>,
    /// What has happened since a test last took it.
    pub(crate) journal: Vec<Happening>,
    pub(crate) witness: Witness,
    /// The rules that any server has followed.
    #[cfg(feature = "rules")]
    pub(crate) rules: raftian_raft::RuleSet,
    /// Links, from and to, that lose what is sent into them.
    cut: BTreeSet<(NodeId, NodeId)>,
    /// During a batch: the servers that have effects to be taken.
    batch: Option<BTreeSet<NodeId>>,
    nodes: BTreeMap<NodeId, Node>,
}

#[derive(Debug)]
struct Node {
    options: Options,
    /// `None` while crashed.
    server: Option<Server>,
    app: App,
    disk: Disk,
    /// It syncs only when told to.
    slow: bool,
    /// What waits for the disk.
    writes: VecDeque<Persist>,
}

/// The node with this number.
pub(crate) fn n(number: u16) -> NodeId {
    NodeId::new(number).expect("tests number nodes from 1")
}

impl Cluster {
    /// `count` servers that start with empty disks, with options as `adjust` leaves them.
    pub(crate) fn new(count: u16, seed: u64, adjust: impl Fn(&mut Options)) -> Cluster {
        let configuration = Configuration::new(NodeId::first(count)).expect("a cluster has servers");
        let mut cluster = Cluster {
            now: Time::default(),
            pool: Vec::new(),
            journal: Vec::new(),
            witness: Witness::new(configuration.clone()),
            #[cfg(feature = "rules")]
            rules: raftian_raft::RuleSet::default(),
            cut: BTreeSet::new(),
            batch: None,
            nodes: BTreeMap::new(),
        };
        for id in NodeId::first(count) {
            let mut options = Options::new(id, configuration.clone(), seed);
            adjust(&mut options);
            cluster.start(id, options);
        }
        cluster
    }

    /// One more server, with an empty disk. It knows nothing of the others, nor they of it.
    pub(crate) fn join(&mut self, id: NodeId) {
        let (_, first) = self.nodes.first_key_value().expect("a cluster has servers");
        let options = Options { id, configuration: None, ..first.options.clone() };
        self.start(id, options);
    }

    fn start(&mut self, id: NodeId, options: Options) {
        let node = Node {
            options,
            server: None,
            app: App::default(),
            disk: Disk::default(),
            slow: false,
            writes: VecDeque::new(),
        };
        assert!(self.nodes.insert(id, node).is_none(), "{id} is there already");
        self.restart(id);
    }

    // What can be seen.

    pub(crate) fn ids(&self) -> Vec<NodeId> {
        self.nodes.keys().copied().collect()
    }

    /// The server, unless it is down.
    pub(crate) fn server(&self, id: NodeId) -> Option<&Server> {
        self.nodes[&id].server.as_ref()
    }

    /// Its status.
    ///
    /// # Panics
    /// When it is down.
    pub(crate) fn status(&self, id: NodeId) -> Status {
        self.server(id).unwrap_or_else(|| panic!("{id} is down")).status()
    }

    pub(crate) fn durable(&self, id: NodeId) -> &Recovered {
        self.nodes[&id].disk.durable()
    }

    /// The state of its application.
    pub(crate) fn app(&self, id: NodeId) -> App {
        self.nodes[&id].app
    }

    /// How many writes wait for a disk.
    pub(crate) fn waiting(&self, id: NodeId) -> usize {
        self.nodes[&id].writes.len()
    }

    /// Whether the snapshot it installed last waits for its disk.
    pub(crate) fn waits_to_install(&self, id: NodeId) -> bool {
        self.nodes[&id].writes.iter().any(|persist| persist.write().discard == Some(Discard::All))
    }

    /// The leader of the latest term that has one now.
    pub(crate) fn leader(&self) -> Option<NodeId> {
        let leads = |server: &&Server| server.status().role == RoleKind::Leader;
        let servers = self.nodes.values().filter_map(|node| node.server.as_ref());
        servers.filter(leads).max_by_key(|server| server.status().term).map(Server::id)
    }

    // What can happen.

    /// A message arrives. At a server that is down it is lost.
    pub(crate) fn receive(&mut self, message: Message) {
        let (id, now) = (message.to, self.now);
        let Some(server) = self.server_mut(id) else { return };
        let told = format!("{message:?}");
        let asks_only = matches!(message.body, Body::Request(Request::PreVote(_)));
        let is_stale = message.term < server.hard_state().term;
        let standing = |server: &Server| (server.hard_state(), server.role(), server.deadline().max(now));
        let before = standing(server);
        let outcome = server.receive(now, message);
        assert_eq!(outcome, Ok(()), "honest servers never contradict each other: {told}");
        if asks_only || is_stale {
            assert_eq!(standing(server), before, "{id} takes notice of what it should only answer: {told}");
        }
        self.settle(id);
    }

    /// Takes the messages of a link out of the pool.
    pub(crate) fn take(&mut self, from: NodeId, to: NodeId) -> Vec<Message> {
        self.pool.extract_if(.., |message| message.from == from && message.to == to).collect()
    }

    /// Delivers in order of sending, what is sent meanwhile included, until nothing is on its way.
    pub(crate) fn deliver_all(&mut self) {
        let mut delivered = 0;
        while !self.pool.is_empty() {
            for message in std::mem::take(&mut self.pool) {
                self.receive(message);
                delivered += 1;
                assert!(delivered < MAX_STORM, "a storm of messages, without time passing");
            }
        }
    }

    /// The server looks at the clock.
    pub(crate) fn tick(&mut self, id: NodeId) {
        let now = self.now;
        let Some(server) = self.server_mut(id) else { return };
        server.tick(now);
        self.settle(id);
        let deadline = self.server(id).expect("it was up").deadline();
        assert!(
            deadline > self.now || self.batch.is_some(),
            "{id} has nothing to do and wants to be called at once: a busy loop"
        );
    }

    /// The time passes to the deadline of `id`, which is called. The others are not: the test says when.
    pub(crate) fn wake(&mut self, id: NodeId) {
        let deadline = self.server(id).unwrap_or_else(|| panic!("{id} is down")).deadline();
        self.now = self.now.max(deadline);
        self.tick(id);
    }

    /// Time passes, and every server is called at its deadline. `between` is called before every deadline and at the
    /// end.
    pub(crate) fn advance(&mut self, span: Duration, mut between: impl FnMut(&mut Cluster)) {
        let end = self.now + span;
        loop {
            between(self);
            let servers = self.nodes.values().filter_map(|node| node.server.as_ref());
            let next = servers.map(|server| (server.deadline(), server.id())).min();
            let Some((deadline, id)) = next.filter(|(deadline, _)| *deadline <= end) else { break };
            self.now = self.now.max(deadline);
            self.tick(id);
        }
        self.now = end;
    }

    /// Time passes on a network without faults but the links that are cut, and without latency.
    pub(crate) fn run(&mut self, span: Duration) {
        self.advance(span, Cluster::deliver_all);
    }

    /// The server is given commands.
    pub(crate) fn propose(&mut self, id: NodeId, commands: &[&str]) -> Result<Proposed, ProposeRefused> {
        let commands = commands.iter().map(|command| Bytes::copy_from_slice(command.as_bytes()));
        self.with(id, |server, now| server.propose(now, commands))
    }

    /// The server is asked for other members.
    pub(crate) fn change(&mut self, id: NodeId, change: Change) -> Result<Proposed, ChangeRefused> {
        self.with(id, |server, now| server.propose_configuration(now, change))
    }

    /// The server is asked to let another one lead.
    pub(crate) fn transfer(&mut self, id: NodeId, to: NodeId) -> Result<(), TransferRefused> {
        self.with(id, |server, now| server.transfer(now, to))
    }

    /// Somebody wants to read at this server.
    pub(crate) fn read(&mut self, id: NodeId) -> Result<ReadTicket, NotLeader> {
        let now = self.now;
        let ticket = self.up(id).read(now);
        if let Ok(ticket) = ticket {
            self.witness.read_asked(id, ticket);
        }
        self.settle(id);
        ticket
    }

    /// The server is given a snapshot of its application.
    pub(crate) fn compact(&mut self, id: NodeId, keep: u64) -> Result<Index, CompactRefused> {
        let app = self.app(id);
        self.with(id, |server, _| server.compact(app.applied, app.save(), keep).map(|()| app.applied))
    }

    /// The server is asked anything.
    pub(crate) fn with<T>(&mut self, id: NodeId, question: impl FnOnce(&mut Server, Time) -> T) -> T {
        let now = self.now;
        let answer = question(self.up(id), now);
        self.settle(id);
        answer
    }

    /// The transport of the sender reports that a request of it is lost.
    pub(crate) fn report_lost(&mut self, request: &Message) {
        let now = self.now;
        let Some(server) = self.server_mut(request.from) else { return };
        server.lost(now, request.to, request.call);
        let before = self.journal.len();
        self.settle(request.from);
        let speaks = self.journal[before..].iter().any(|happening| matches!(happening, Happening::Sent { .. }));
        assert!(!speaks, "{} sends what was lost at once, and not with the next heartbeat", request.from);
    }

    /// Links lose what is sent into them from now on.
    pub(crate) fn cut(&mut self, from: NodeId, to: NodeId) {
        self.cut.insert((from, to));
    }

    /// All links work again.
    pub(crate) fn heal(&mut self) {
        self.cut.clear();
    }

    /// The server stops. Of what waited for the disk, the first `keep` records have reached it all the same.
    pub(crate) fn crash(&mut self, id: NodeId, mut keep: usize) {
        let node = self.nodes.get_mut(&id).unwrap_or_else(|| panic!("there is no {id}"));
        node.server = None;
        node.app = App::default();
        for persist in std::mem::take(&mut node.writes) {
            node.disk.keep(persist.write(), &mut keep);
        }
        self.journal.push(Happening::Crashed(id));
        self.witness.synced(id, &mut node.disk);
        self.witness.crashed(id);
    }

    /// A server starts with what its disk holds.
    pub(crate) fn restart(&mut self, id: NodeId) {
        let now = self.now;
        let node = self.node(id);
        assert!(node.server.is_none(), "{id} is up");
        node.server = Some(Server::new(node.options.clone(), node.disk.durable().clone(), now));
        self.settle(id);
    }

    /// A server starts with this on its disk, as if it had always been there.
    pub(crate) fn install(&mut self, id: NodeId, recovered: Recovered) {
        self.crash(id, 0);
        let mut disk = Disk::with(recovered);
        self.witness.synced(id, &mut disk);
        self.node(id).disk = disk;
        self.restart(id);
    }

    /// From now on the disk syncs at once, or only when told to.
    pub(crate) fn set_slow(&mut self, id: NodeId, slow: bool) {
        self.node(id).slow = slow;
        self.settle(id);
    }

    /// The disk syncs the first `count` writes that wait for it.
    pub(crate) fn sync(&mut self, id: NodeId, count: usize) {
        self.sync_writes(id, count);
        self.settle(id);
    }

    /// From now on servers take inputs, and keep the effects until the batch ends, as they do when a driver has many
    /// inputs at hand.
    pub(crate) fn begin_batch(&mut self) {
        self.batch = Some(BTreeSet::new());
    }

    /// The effects of all that came in since the batch began are taken.
    pub(crate) fn end_batch(&mut self) {
        self.batch.take().into_iter().flatten().for_each(|id| self.settle(id));
    }

    fn node(&mut self, id: NodeId) -> &mut Node {
        self.nodes.get_mut(&id).unwrap_or_else(|| panic!("there is no {id}"))
    }

    fn server_mut(&mut self, id: NodeId) -> Option<&mut Server> {
        self.node(id).server.as_mut()
    }

    fn up(&mut self, id: NodeId) -> &mut Server {
        self.server_mut(id).unwrap_or_else(|| panic!("{id} is down"))
    }

    /// Carries out the effects of a server until it has no more, and shows it to the witness.
    fn settle(&mut self, id: NodeId) {
        if let Some(batch) = &mut self.batch {
            batch.insert(id);
            return;
        }
        let mut delivered = Vec::new();
        while let Some(server) = self.server_mut(id) {
            let ready = server.ready();
            let idle = ready.is_empty();
            self.carry_out(id, ready, &mut delivered);
            if !self.node(id).slow {
                self.sync_writes(id, usize::MAX);
            }
            if idle {
                break;
            }
        }
        if let Some(server) = &self.nodes[&id].server {
            #[cfg(feature = "rules")]
            {
                self.rules |= server.rules();
            }
            self.witness.stepped(server, &delivered, self.nodes[&id].app);
        }
        self.check_leases();
    }

    /// Who has a lease knows all that is committed (thesis §6.4.1).
    fn check_leases(&self) {
        let committed = self.witness.committed();
        for server in self.nodes.values().filter_map(|node| node.server.as_ref()) {
            let knows = !server.has_lease(self.now) || server.commit_index() >= committed;
            assert!(knows, "§6.4.1: {} has a lease and does not know that {committed} is committed", server.id());
        }
    }

    fn carry_out(&mut self, id: NodeId, ready: Ready, delivered: &mut Vec<Delivery>) {
        let Ready { messages, persist, restore, committed, reads, events } = ready;
        self.journal.extend(events.into_iter().map(|event| Happening::Event(id, event)));
        messages.into_iter().for_each(|message| self.send(message));
        let node = self.node(id);
        node.writes.extend(persist);
        if let Some(snapshot) = &restore {
            node.app = App::load(&snapshot.data);
        }
        committed.iter().for_each(|entry| node.app.apply(entry));
        self.journal.extend(restore.iter().map(|snapshot| Happening::Restored(id, snapshot.last)));
        if !committed.is_empty() {
            self.journal.push(Happening::Applied(id, committed.clone()));
        }
        delivered.extend(restore.map(Delivery::Restored));
        delivered.extend(committed.into_iter().map(Delivery::Applied));
        for read in reads {
            self.witness.read_answered(id, &read);
            self.journal.push(Happening::Read(id, read));
        }
    }

    fn sync_writes(&mut self, id: NodeId, count: usize) {
        let now = self.now;
        let node = self.nodes.get_mut(&id).unwrap_or_else(|| panic!("there is no {id}"));
        let Some(server) = node.server.as_mut() else { return };
        let batch: Vec<Persist> = node.writes.drain(..count.min(node.writes.len())).collect();
        if batch.is_empty() {
            return;
        }
        let Ok(persisted) = Persist::sync_all(batch, &mut node.disk);
        self.witness.synced(id, &mut node.disk);
        let messages: Vec<Message> = persisted.into_iter().flat_map(|one| server.persisted(now, one)).collect();
        messages.into_iter().for_each(|message| self.send(message));
    }

    fn send(&mut self, message: Message) {
        self.witness.sent(&message);
        let lost = self.cut.contains(&(message.from, message.to));
        self.journal.push(Happening::Sent { message: message.clone(), lost });
        if !lost {
            self.pool.push(message);
        }
    }
}
