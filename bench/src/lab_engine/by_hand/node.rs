//! One node that is moved by hand: its clock, its disk, and the calls that it has not answered.
//!
//! Invariant: nothing is known of a step before the node has settled, and then everything is: as many calls are open as it
//! says that it has not answered.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use raftian_rpc::NodeId;
use raftian_rpc::connect::Http;
use raftian_rpc::control::{ControlClient as _, Durable, Move, NodeStatus, Settled, Step};
use raftian_rpc::error::NodeError;
use raftian_rpc::raft::{Letter, carry};
use raftian_script::Halt;
use tokio::task::JoinSet;

use super::queue::{Envelope, Event};

type Failed = Halt<std::convert::Infallible>;

/// How long a node may take for a step. A call that it does not answer stays open for longer.
pub(super) const STEP_PATIENCE: Duration = Duration::from_secs(20);

/// One node, running or not.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) id: NodeId,
    /// Its clients while it runs: one for steps, and one for calls that may stay open.
    life: Option<Life>,
    /// How often it was started: what was meant for an earlier life is dropped.
    pub(super) lives: u64,
    /// While it is paused, what has arrived.
    pub(super) backlog: Option<Vec<Event>>,
    clock: Clock,
    /// When it wants to look at its clock, on that clock.
    deadline_us: Option<u64>,
    /// How long a sync takes; `None` if it takes until somebody says so.
    pub(super) sync_us: Option<u64>,
    /// The records of each write that waits for the disk, and how many writes the disk is busy with.
    pub(super) writes: Vec<u64>,
    pub(super) syncing: usize,
    /// The calls that wait for a reply, where a transport gives calls up by itself; and those given up otherwise.
    pub(super) waiting: BTreeMap<u64, u64>,
    pub(super) given_up: BTreeSet<u64>,
    /// What it said last, and what its disk had.
    status: Option<NodeStatus>,
    durable: Durable,
}

/// What ends with a process.
#[derive(Debug)]
struct Life {
    client: Http,
    patient: Http,
    /// What its clock was last told, and whether it looks at it.
    told: (u64, bool),
    /// How many calls and questions it was sent.
    arrived: u64,
    calls: JoinSet<Answered>,
    questions: JoinSet<()>,
}

/// A call that is over.
#[derive(Debug)]
pub(super) struct Answered {
    number: u64,
    pub(super) request: Envelope,
    pub(super) answer: Answer,
}

/// What came of a call.
#[derive(Debug)]
pub(super) enum Answer {
    /// This reply.
    Reply(Letter),
    /// The request was refused at the door.
    Refused,
    /// The reply was lost on the link on which it was to leave.
    Lost,
}

/// A clock that is too fast or too slow, or has jumped ahead. That of a process begins with it.
#[derive(Clone, Copy, Debug)]
struct Clock {
    rate_permille: u64,
    ahead_us: u64,
    zero_us: u64,
}

impl Clock {
    /// What it shows.
    fn shows(self, now_us: u64) -> u64 {
        now_us * self.rate_permille / 1000 + self.ahead_us - self.zero_us
    }

    /// When it will show this much.
    fn when(self, shown_us: u64) -> u64 {
        ((shown_us + self.zero_us).saturating_sub(self.ahead_us) * 1000).div_ceil(self.rate_permille)
    }
}

impl Node {
    pub(super) fn new(id: NodeId, rate_permille: u64, sync_us: Option<u64>) -> Node {
        Node {
            id,
            life: None,
            lives: 0,
            backlog: None,
            clock: Clock { rate_permille, ahead_us: 0, zero_us: 0 },
            deadline_us: None,
            sync_us,
            writes: Vec::new(),
            syncing: 0,
            waiting: BTreeMap::new(),
            given_up: BTreeSet::new(),
            status: None,
            durable: Durable::default(),
        }
    }

    pub(super) fn is_up(&self) -> bool {
        self.life.is_some()
    }

    /// Whether it takes anything in now.
    pub(super) fn is_awake(&self) -> bool {
        self.life.is_some() && self.backlog.is_none()
    }

    /// A process begins.
    pub(super) fn begins(&mut self, client: Http, patient: Http, now_us: u64) {
        self.clock.zero_us = 0;
        self.clock.zero_us = self.clock.shows(now_us);
        self.lives += 1;
        let (calls, questions) = (JoinSet::new(), JoinSet::new());
        self.life = Some(Life { client, patient, told: (0, false), arrived: 0, calls, questions });
    }

    /// Its process has ended, and with it all that is not on its disk. Waits until the questions to it have ended, too.
    pub(super) async fn ends(&mut self) {
        if let Some(mut life) = self.life.take() {
            life.calls.shutdown().await;
            while life.questions.join_next().await.is_some() {}
        }
        (self.backlog, self.deadline_us, self.status) = (None, None, None);
        self.writes.clear();
        self.syncing = 0;
        self.waiting.clear();
        self.given_up.clear();
    }

    /// No answer is heard any more to the calls that it was sent.
    pub(super) async fn forget_calls(&mut self) {
        if let Some(life) = &mut self.life {
            life.calls.shutdown().await;
        }
    }

    /// Waits until all questions to it have ended.
    pub(super) async fn end_questions(&mut self) {
        if let Some(life) = &mut self.life {
            while life.questions.join_next().await.is_some() {}
        }
    }

    /// When it wants to look at its clock; never while it is down or paused.
    pub(super) fn deadline_us(&self) -> u64 {
        let deadline_us = self.deadline_us.filter(|_| self.is_awake());
        deadline_us.map_or(u64::MAX, |shown_us| self.clock.when(shown_us))
    }

    /// Its clock jumps ahead to its deadline, unless it shows a later time.
    pub(super) fn jump(&mut self, now_us: u64) {
        if let Some(deadline_us) = self.deadline_us {
            self.clock.ahead_us += deadline_us.saturating_sub(self.clock.shows(now_us));
        }
    }

    /// Whether it has heard what time it is, and whether to look at it.
    pub(super) fn knows_time(&self, now_us: u64, looks: bool) -> bool {
        self.life.as_ref().is_some_and(|life| life.told == (self.clock.shows(now_us), looks))
    }

    /// Sends it a call. The answer is waited for in [`Node::settled`].
    pub(super) fn send_call(&mut self, request: Envelope) -> Option<Move> {
        let life = self.life.as_mut()?;
        life.arrived += 1;
        let (client, number) = (life.patient.clone(), life.arrived);
        life.calls.spawn(async move {
            let answer = match carry(&client, request.letter.clone()).await {
                Ok(reply) => Answer::Reply(reply),
                Err(error) => match NodeError::from_client(&error) {
                    Some(NodeError::LinkCut { from, .. }) if from != request.letter.head.from => Answer::Lost,
                    _ => Answer::Refused,
                },
            };
            Answered { number, request, answer }
        });
        Some(Move::Take(life.arrived))
    }

    /// Sends it a question of a client, which ends when it is answered.
    pub(super) fn send_question(&mut self, ask: impl Future<Output = ()> + Send + 'static) -> Option<Move> {
        let life = self.life.as_mut()?;
        life.arrived += 1;
        life.questions.spawn(ask);
        Some(Move::Take(life.arrived))
    }

    /// Has it do something.
    pub(super) async fn step(&mut self, now_us: u64, looks: bool, what: Move) -> Result<Settled, Failed> {
        let id = self.id;
        let at_us = self.clock.shows(now_us);
        let life = self.life.as_mut().ok_or_else(|| Halt::Failed(format!("{id} is down")))?;
        life.told = (at_us, looks);
        let settled = life.client.step(Step { at_us, looks, what }).await;
        settled.map_err(|error| Halt::Failed(format!("{id} does not do what it is told to: {error}")))
    }

    /// Takes in how it stands: the calls that it has answered meanwhile, in the order in which they came.
    pub(super) async fn settled(&mut self, settled: &Settled) -> Vec<Answered> {
        self.writes.clone_from(&settled.writes);
        self.deadline_us = settled.deadline_us;
        let Some(life) = &mut self.life else { return Vec::new() };
        let mut answered = Vec::new();
        while (life.calls.len() + life.questions.len()) as u64 > settled.unanswered {
            tokio::select! {
                Some(call) = life.calls.join_next() => answered.extend(call.ok()),
                Some(_) = life.questions.join_next() => {}
                else => break,
            }
        }
        answered.sort_by_key(|call: &Answered| call.number);
        answered
    }

    /// What it says of itself; what it said last while it is paused, and nothing if it is down.
    pub(super) async fn status(&mut self) -> Result<Option<NodeStatus>, Failed> {
        let id = self.id;
        if let Some(life) = self.life.as_ref().filter(|_| self.backlog.is_none()) {
            let status = life.client.status().await;
            self.status = Some(status.map_err(|error| Halt::Failed(format!("{id} does not answer: {error}")))?);
        }
        Ok(self.status.clone())
    }

    /// What is on its disk, and its vote.
    pub(super) async fn durable(&mut self) -> Result<Durable, Failed> {
        let id = self.id;
        if let Some(life) = self.life.as_ref().filter(|_| self.backlog.is_none()) {
            let durable = life.client.durable().await;
            self.durable = durable.map_err(|error| Halt::Failed(format!("{id} does not answer: {error}")))?;
        }
        Ok(self.durable.clone())
    }

    /// How it is called.
    pub(super) fn client(&self) -> Option<Http> {
        self.life.as_ref().map(|life| life.client.clone())
    }

    /// How it is called for what may take long.
    pub(super) fn patient(&self) -> Option<Http> {
        self.life.as_ref().map(|life| life.patient.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_of_a_process_begins_with_it_and_keeps_its_rate() {
        let mut clock = Clock { rate_permille: 953, ahead_us: 7, zero_us: 0 };
        clock.zero_us = clock.shows(1_000_000);
        assert_eq!(clock.shows(1_000_000), 0);
        for shown_us in [0, 1, 150_000, 299_999] {
            let at_us = clock.when(shown_us);
            assert!(clock.shows(at_us) >= shown_us, "{shown_us}");
            assert!(shown_us == 0 || clock.shows(at_us - 1) < shown_us, "{shown_us}");
        }
    }
}
