//! Nodes that are moved by hand: real processes between which the engine is the network, and whose clocks and disks it
//! moves.
//!
//! A node wants to send a request: it is on its way here. It is delivered: the `raft.*` method is called at its receiver,
//! and what that answers is on its way back, until it is given to the node that called. Messages outlive the processes that
//! sent them, as in the simulator, whose order of events this is: what is due comes before the clocks, and of what is due at
//! the same time, what was planned first. So a scenario comes to the same end whatever the speed of the machine, and mostly
//! to the same as in the simulator, step by step: the nodes draw the same election time-outs from the same seed.
//!
//! Invariant: nothing happens in a node but what was asked for here, and nothing is asked for before all that came of the
//! last thing is known.
//!
//! Deliberately absent: what statements mean (`steps.rs`), and what cannot be played so (`fit.rs`).

mod fit;
mod node;
mod plan;
mod queue;
mod steps;

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::time::Duration;

use raftian_rpc::NodeId;
use raftian_rpc::connect;
use raftian_rpc::control::{Move, Settled};
use raftian_rpc::raft::Letter;
use raftian_script::{Halt, Kind, Label, Plan, Scenario, Which};

use self::node::{Answer, Answered, Node, STEP_PATIENCE};
use self::queue::{Envelope, Event, MessageId, Queue};
use super::failed;
use crate::collect::{Followed, Wanted};
use crate::lab::Lab;

pub(super) use self::fit::{has_steps_by_hand, refusal, setting};
pub(super) use self::plan::nodes;

/// The most events of a scenario, as in the simulator.
const MAX_EVENTS: u64 = 1_000_000;

/// How long a call may stay open: a disk may not answer for as long as the scenario wants.
const OPEN: Duration = Duration::from_secs(60 * 60);

/// How soon a caller hears that its call was refused, where transports say so.
const REFUSAL_US: u64 = 250;

/// What came of something.
type Done<T = ()> = Result<T, Halt<Infallible>>;

/// The nodes of a lab that is moved by hand, and what is between them.
#[derive(Debug)]
pub(super) struct ByHand {
    lab: Lab,
    nodes: Vec<Node>,
    queue: Queue,
    /// The messages that were put aside.
    held: Vec<(MessageId, Envelope)>,
    /// How many messages of each label were sent.
    sent: BTreeMap<Label, u64>,
    now_us: u64,
    /// Whether no node looks at its clock, since this is a step by hand.
    ignores_clocks: bool,
    /// By sender and receiver: how long a message takes, and until when none arrives.
    latency_us: Vec<u64>,
    clogged_until_us: Vec<u64>,
    /// How long a sync takes beyond the least time at most; and what that is drawn from.
    sync_spread_us: u64,
    random: fastrand::Rng,
    /// After so long a call is given up, if calls are.
    call_patience_us: Option<u64>,
    events: u64,
    /// What the nodes have applied, read along: a node discards what its snapshot stands for.
    logs: BTreeMap<NodeId, Followed>,
}

/// The place of a node among the others.
fn place(id: NodeId) -> usize {
    usize::from(id.number()) - 1
}

impl ByHand {
    /// The nodes of a lab that was just started, in which nothing has happened yet.
    pub(super) async fn begin(lab: Lab, scenario: &Scenario) -> anyhow::Result<ByHand> {
        let plan = &scenario.plan;
        let sync_us = plan.sync_us.as_ref().map(|range| range.start);
        let rate = |at: usize| plan.clock_permille.get(at).copied().unwrap_or(1000);
        let ids = NodeId::first(plan.founders + plan.joiners);
        let mut by_hand = ByHand {
            nodes: ids.enumerate().map(|(at, id)| Node::new(id, rate(at), sync_us)).collect(),
            queue: Queue::default(),
            held: Vec::new(),
            sent: BTreeMap::new(),
            now_us: 0,
            ignores_clocks: true,
            latency_us: plan::latencies(plan),
            clogged_until_us: vec![0; plan.nodes() * plan.nodes()],
            sync_spread_us: plan.sync_us.as_ref().map_or(0, |range| range.end.saturating_sub(range.start + 1)),
            random: fastrand::Rng::with_seed(scenario.seed),
            call_patience_us: call_patience_us(plan),
            events: 0,
            logs: BTreeMap::new(),
            lab,
        };
        for at in 0..by_hand.nodes.len() {
            by_hand.begins(at).await.map_err(|halt| match halt {
                Halt::Failed(why) => anyhow::anyhow!(why),
                Halt::Broken(violation) => match violation {},
            })?;
        }
        Ok(by_hand)
    }

    // What can be seen.

    pub(super) fn now_us(&self) -> u64 {
        self.now_us
    }

    /// What the nodes have applied.
    pub(super) fn take_logs(&mut self) -> BTreeMap<NodeId, Followed> {
        std::mem::take(&mut self.logs)
    }

    /// How many such messages were sent.
    pub(super) fn sent(&self, which: Which) -> u64 {
        self.sent.iter().filter(|(label, _)| which.matches(**label)).map(|(_, count)| count).sum()
    }

    // What can happen.

    /// Everything happens that is due before this time.
    pub(super) async fn run_until(&mut self, end_us: u64) -> Done {
        while self.next_us() < end_us {
            self.next().await?;
        }
        self.now_us = self.now_us.max(end_us);
        Ok(())
    }

    /// When something happens next.
    pub(super) fn next_us(&mut self) -> u64 {
        self.queue.next_us().unwrap_or(u64::MAX).min(self.next_deadline().0)
    }

    fn next_deadline(&self) -> (u64, usize) {
        let deadlines = self.nodes.iter().enumerate().map(|(at, node)| (node.deadline_us(), at));
        deadlines.min().unwrap_or((u64::MAX, 0))
    }

    /// The next thing happens, whatever it is.
    pub(super) async fn next(&mut self) -> Done {
        let (deadline, at) = self.next_deadline();
        let event = self.queue.next_us().unwrap_or(u64::MAX);
        self.now_us = self.now_us.max(event.min(deadline));
        self.ignores_clocks = false;
        let outcome = match event <= deadline {
            true => self.next_event().await,
            false => self.tick(at).await,
        };
        self.ignores_clocks = true;
        outcome
    }

    /// A node looks at its clock.
    async fn tick(&mut self, at: usize) -> Done {
        self.bound_events()?;
        self.tell(at, Move::Tick).await
    }

    /// Everything that is on its way happens, what comes of it included. No node looks at its clock.
    pub(super) async fn run_all(&mut self) -> Done {
        while let Some(at_us) = self.queue.next_us() {
            self.now_us = self.now_us.max(at_us);
            self.next_event().await?;
        }
        Ok(())
    }

    /// A scenario comes to an end.
    fn bound_events(&mut self) -> Done {
        self.events += 1;
        match self.events > MAX_EVENTS {
            true => Err(Halt::Failed(format!(
                "a scenario has at most {MAX_EVENTS} events; let less time pass, or less happen"
            ))),
            false => Ok(()),
        }
    }

    async fn next_event(&mut self) -> Done {
        self.bound_events()?;
        match self.queue.pop() {
            Some(event) => self.happen(event).await,
            None => Ok(()),
        }
    }

    async fn happen(&mut self, event: Event) -> Done {
        let at = match event {
            Event::Deliver(id) => match self.queue.message(id) {
                Some(envelope) => place(envelope.label.to),
                None => return Ok(()),
            },
            Event::Synced { at, life } | Event::GiveUp { at, life, .. } if self.nodes[at].lives == life => at,
            Event::Synced { .. } | Event::GiveUp { .. } => return Ok(()),
        };
        if let Some(backlog) = &mut self.nodes[at].backlog {
            backlog.push(event);
            return Ok(());
        }
        match event {
            Event::Deliver(id) => match self.queue.take(id) {
                Some(envelope) => self.receive(envelope).await,
                None => Ok(()),
            },
            Event::Synced { .. } => self.synced(at).await,
            Event::GiveUp { peer, call, .. } => match self.nodes[at].waiting.remove(&call) {
                Some(_) => self.tell(at, Move::GiveUp { peer: self.nodes[peer].id, call }).await,
                None => Ok(()),
            },
        }
    }

    // Messages.

    /// A message arrives. At a node that is down it is lost.
    async fn receive(&mut self, envelope: Envelope) -> Done {
        let at = place(envelope.label.to);
        let call = envelope.letter.head.call;
        match (self.nodes[at].is_up(), envelope.is_request) {
            (false, true) => {
                self.refuse(&envelope);
                Ok(())
            }
            (false, false) => Ok(()),
            (true, true) => {
                self.tell_time(at).await?;
                let take = self.nodes[at].send_call(envelope).expect("it is up");
                self.tell(at, take).await
            }
            (true, false) => {
                let node = &mut self.nodes[at];
                let is_awaited = self.call_patience_us.is_none() || node.waiting.remove(&call).is_some();
                match is_awaited && !node.given_up.contains(&call) {
                    true => self.tell(at, Move::Hear(envelope.letter)).await,
                    // The transport answers a call once, and not after it has given it up.
                    false => Ok(()),
                }
            }
        }
    }

    /// A request got no further than its receiver's door. Where the transport reports that, its sender hears so soon.
    fn refuse(&mut self, request: &Envelope) {
        let (at, peer) = (place(request.label.from), place(request.label.to));
        if self.call_patience_us.is_some() {
            let give_up = Event::GiveUp { at, life: self.nodes[at].lives, peer, call: request.letter.head.call };
            self.queue.plan(self.now_us + REFUSAL_US, give_up);
        }
    }

    /// A message leaves, unless its link loses it.
    fn post(&mut self, letter: Letter, is_request: bool, is_lost: bool) -> Done {
        let message = letter.clone().try_into();
        let message = message.map_err(|error| Halt::Failed(format!("a node sends what is no message: {error}")))?;
        let label = Label::of(&message);
        *self.sent.entry(label).or_default() += 1;
        let (from, to) = (place(label.from), place(label.to));
        if let Some(patience_us) = self.call_patience_us.filter(|_| is_request) {
            let (call, until_us) = (letter.head.call, self.now_us + patience_us);
            self.nodes[from].waiting.insert(call, until_us);
            let give_up = Event::GiveUp { at: from, life: self.nodes[from].lives, peer: to, call };
            self.queue.plan(until_us, give_up);
        }
        if !is_lost && to < self.nodes.len() {
            let link = from * self.nodes.len() + to;
            let at_us = (self.now_us + self.latency_us[link]).max(self.clogged_until_us[link]);
            self.queue.send(at_us, Envelope { label, letter, is_request });
        }
        Ok(())
    }

    // Nodes.

    /// A node that takes something in from elsewhere hears first what time it is.
    async fn tell_time(&mut self, at: usize) -> Done {
        match self.nodes[at].knows_time(self.now_us, !self.ignores_clocks) {
            true => Ok(()),
            false => self.tell(at, Move::Settle).await,
        }
    }

    /// Has a node do something, and takes in all that comes of it.
    async fn tell(&mut self, at: usize, what: Move) -> Done {
        let settled = self.nodes[at].step(self.now_us, !self.ignores_clocks, what).await?;
        let answered = self.nodes[at].settled(&settled).await;
        let Settled { sent, applied, .. } = settled;
        if let Some(page) = applied {
            let log = self.logs.entry(page.node).or_default();
            log.take_in(&page, Wanted::Committed).map_err(failed)?;
        }
        for Answered { request, answer, .. } in answered {
            match answer {
                Answer::Reply(reply) => self.post(reply, false, false)?,
                Answer::Refused => self.refuse(&request),
                Answer::Lost => *self.sent.entry(reply_to(request.label)).or_default() += 1,
            }
        }
        for sent in sent {
            self.post(sent.letter, true, sent.is_lost)?;
        }
        self.begin_sync(at);
        Ok(())
    }

    /// A process of this node has begun.
    async fn begins(&mut self, at: usize) -> Done {
        let id = self.nodes[at].id;
        let addresses = self.lab.addresses().await.map_err(failed)?;
        let address = addresses.into_iter().find(|(node, _)| node.name() == id.name());
        let (_, address) = address.ok_or_else(|| Halt::Failed(format!("{id} does not listen")))?;
        let client = |patience| {
            connect::http(address, &self.lab.secret, patience).map_err(|error| Halt::Failed(error.to_string()))
        };
        let (client, patient) = (client(STEP_PATIENCE)?, client(OPEN)?);
        self.nodes[at].begins(client, patient, self.now_us);
        self.tell(at, Move::Settle).await
    }

    // Disks.

    /// A disk takes on all that waits for it, unless it is busy or held.
    fn begin_sync(&mut self, at: usize) {
        let node = &mut self.nodes[at];
        let Some(least_us) = node.sync_us else { return };
        if node.syncing > 0 || node.writes.is_empty() {
            return;
        }
        node.syncing = node.writes.len();
        // What promises nothing new needs no disk.
        let is_writing = node.writes.iter().any(|records| *records > 0);
        let takes_us = if is_writing { least_us + self.random.u64(0..=self.sync_spread_us) } else { 0 };
        self.queue.plan(self.now_us + takes_us, Event::Synced { at, life: node.lives });
    }

    /// A disk is done with what it was given, which may have been synced before, by hand.
    async fn synced(&mut self, at: usize) -> Done {
        match std::mem::take(&mut self.nodes[at].syncing) {
            _ if !self.nodes[at].is_up() => Ok(()),
            writes => self.tell(at, Move::Sync { writes: writes as u64 }).await,
        }
    }

    /// Disks that take no time are done with what they were given, though nothing else happens.
    async fn finish_syncs(&mut self) -> Done {
        let is_due = |node: &Node| node.sync_us == Some(0) && node.is_awake() && node.syncing > 0;
        while let Some(at) = self.nodes.iter().position(is_due) {
            self.synced(at).await?;
        }
        Ok(())
    }
}

/// How a reply is labelled that was lost on its link, with what it says.
fn reply_to(request: Label) -> Label {
    let kind = match request.kind {
        Kind::PreVote => Kind::PreVoteReply,
        Kind::RequestVote => Kind::VoteReply,
        Kind::InstallSnapshot => Kind::SnapshotReply,
        Kind::TimeoutNow => Kind::TimeoutNowReply,
        _ => Kind::AppendReply,
    };
    Label { from: request.to, to: request.from, kind, says: None }
}

/// Where transports give calls up: after two of the longest election time-outs.
fn call_patience_us(plan: &Plan) -> Option<u64> {
    plan.call_timeout.then(|| 2 * u64::try_from(plan.election_timeout.end.as_micros()).unwrap_or(u64::MAX / 4))
}
