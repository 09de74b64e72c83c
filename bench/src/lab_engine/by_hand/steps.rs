//! What statements mean to nodes that are moved by hand: the same as in the simulator.
//!
//! Invariant: a step by hand must be possible, or the scenario does not hold; after each, disks that take no time are done.

use std::collections::BTreeMap;
use std::convert::Infallible;

use raftian_rpc::control::{ControlClient as _, Durable, MemberChange, Move, NodeStatus};
use raftian_rpc::error::NodeError;
use raftian_rpc::lab::{Action as Verb, NodeState};
use raftian_rpc::{NodeId, RoleKind};
use raftian_script::{Change, Fate, Halt, Label, Statement, Which};

use super::queue::{Envelope, Event};
use super::{ByHand, Done, place};
use crate::lab_engine::act::Asked;
use crate::lab_engine::view::View;
use crate::lab_engine::{failed, these};

impl ByHand {
    /// Does a step that only nodes know which are moved by hand.
    pub(in crate::lab_engine) async fn take(&mut self, statement: &Statement) -> Done {
        match statement {
            // The lab began with it.
            Statement::Disk { .. } => Ok(()),
            Statement::Elect(id) => {
                self.time_out(*id).await?;
                self.run_all().await?;
                let role = self.nodes[place(*id)].status().await?.map(|status| status.role);
                require(role == Some(RoleKind::Leader), || format!("{id} is not elected"))
            }
            Statement::Timeout { node, is_early } => {
                if *is_early {
                    self.require_clock(*node)?;
                    let now_us = self.now_us;
                    self.nodes[place(*node)].jump(now_us);
                }
                self.time_out(*node).await?;
                self.finish_syncs().await
            }
            Statement::DeliverAll => self.run_all().await,
            Statement::Messages { fate, which } => self.meet(*fate, *which).await,
            Statement::HoldDisk { node, is_held } => {
                let at = place(*node);
                self.nodes[at].sync_us = (!is_held).then_some(0);
                self.begin_sync(at);
                self.finish_syncs().await
            }
            Statement::Sync { node, writes } => {
                let at = place(*node);
                let waiting = self.nodes[at].writes.len();
                require(waiting > 0, || format!("no write waits for the disk of {node}"))?;
                let busy = self.nodes[at].syncing;
                self.nodes[at].syncing = writes.map_or(waiting, |writes| waiting.min(busy.saturating_add(writes)));
                self.synced(at).await
            }
            _ => unreachable!("it is no step by hand, or was refused before anything started"),
        }
    }

    /// Time passes until this node wants to look at its clock, and it does. The others do not.
    async fn time_out(&mut self, id: NodeId) -> Done {
        self.require_clock(id)?;
        self.now_us = self.now_us.max(self.nodes[place(id)].deadline_us());
        self.tick(place(id)).await
    }

    fn require_clock(&self, id: NodeId) -> Done {
        let looks = self.nodes[place(id)].deadline_us() < u64::MAX;
        require(looks, || format!("{id} does not run, and looks at no clock"))
    }

    async fn meet(&mut self, fate: Fate, which: Which) -> Done {
        if fate == Fate::Release {
            return self.release(which);
        }
        let is_meant = |envelope: &Envelope| which.matches(envelope.label);
        let found: Vec<_> =
            self.queue.messages().filter(|(_, envelope)| is_meant(envelope)).map(|(id, _)| id).collect();
        require(!found.is_empty(), || "no such message is on its way".to_owned())?;
        for id in found {
            match fate {
                Fate::Deliver => {
                    let Some(envelope) = self.queue.take(id) else { continue };
                    let node = &self.nodes[place(envelope.label.to)];
                    if node.is_up() && !node.is_awake() {
                        // A paused server finds it when it goes on.
                        self.queue.put_back(self.now_us, id, envelope);
                    } else {
                        self.receive(envelope).await?;
                    }
                    self.finish_syncs().await?;
                }
                Fate::Hold => self.held.extend(self.queue.take(id).map(|envelope| (id, envelope))),
                Fate::Copy => {
                    if let Some(envelope) = self.queue.message(id).cloned() {
                        *self.sent.entry(envelope.label).or_default() += 1;
                        let copy = self.queue.send(self.now_us, envelope);
                        self.held.extend(self.queue.take(copy).map(|envelope| (copy, envelope)));
                    }
                }
                Fate::Lost => {
                    if let Some(envelope) = self.queue.take(id) {
                        self.give_up(&envelope).await?;
                    }
                    self.finish_syncs().await?;
                }
                Fate::Drop | Fate::Release => drop(self.queue.take(id)),
            }
        }
        Ok(())
    }

    /// A message is lost, and with it its call: the transport of the server that called gives it up, and lets no reply to it
    /// through any more.
    async fn give_up(&mut self, lost: &Envelope) -> Done {
        let Label { from, to, .. } = lost.label;
        let (caller, peer) = if lost.is_request { (place(from), place(to)) } else { (place(to), place(from)) };
        let call = lost.letter.head.call;
        let node = &mut self.nodes[caller];
        if !node.is_up() || !node.given_up.insert(call) {
            return Ok(());
        }
        node.waiting.insert(call, self.now_us);
        let life = node.lives;
        self.happen(Event::GiveUp { at: caller, life, peer, call }).await
    }

    /// What was put aside is on its way again.
    fn release(&mut self, which: Which) -> Done {
        let held = std::mem::take(&mut self.held);
        let (released, held): (Vec<_>, Vec<_>) =
            held.into_iter().partition(|(_, envelope)| which.matches(envelope.label));
        self.held = held;
        require(!released.is_empty(), || "no such message was put aside".to_owned())?;
        released.into_iter().for_each(|(id, envelope)| self.queue.put_back(self.now_us, id, envelope));
        Ok(())
    }

    // Processes.

    /// The process of a node is killed. Of what waited for its disk, the first `keep` records have reached it all the same.
    pub(in crate::lab_engine) async fn kill(&mut self, id: NodeId, keep: usize) -> Done {
        let at = place(id);
        if !self.nodes[at].is_up() {
            return Ok(());
        }
        for event in self.nodes[at].backlog.iter().flatten() {
            if let Event::Deliver(id) = event {
                self.queue.take(*id);
            }
        }
        self.nodes[at].forget_calls().await;
        self.write_before_the_end(at, keep as u64).await?;
        self.nodes[at].durable().await?;
        self.act(Verb::Kill, id).await?;
        self.nodes[at].ends().await;
        Ok(())
    }

    /// Some of what waits for a disk reaches it, and no message of the node rests on it any more.
    async fn write_before_the_end(&mut self, at: usize, keep: u64) -> Done {
        let node = &mut self.nodes[at];
        let mut records = 0;
        let kept = node.writes.iter().take_while(|of_one| {
            records += **of_one;
            records <= keep
        });
        let writes = kept.count();
        let whole: u64 = node.writes.iter().take(writes).sum();
        if whole < keep && writes < node.writes.len() {
            let of_next = node.writes[writes];
            return Err(Halt::Failed(format!(
                "the next write for the disk of {} has {of_next} records, and real processes write it as a whole",
                node.id
            )));
        }
        if writes > 0 && node.is_awake() {
            node.step(self.now_us, false, Move::Sync { writes: writes as u64 }).await?;
        }
        Ok(())
    }

    /// A node that is down is started.
    pub(in crate::lab_engine) async fn restart(&mut self, id: NodeId) -> Done {
        if self.nodes[place(id)].is_up() {
            return Ok(());
        }
        self.act(Verb::Restart, id).await?;
        self.begins(place(id)).await
    }

    /// A node does nothing until it is resumed.
    pub(in crate::lab_engine) async fn pause(&mut self, id: NodeId) -> Done {
        let at = place(id);
        if self.nodes[at].is_awake() {
            // What it says last.
            self.nodes[at].status().await?;
            self.nodes[at].durable().await?;
            self.act(Verb::Pause, id).await?;
            self.nodes[at].backlog = Some(Vec::new());
        }
        Ok(())
    }

    /// A node goes on, with all that has arrived meanwhile.
    pub(in crate::lab_engine) async fn resume(&mut self, id: NodeId) -> Done {
        let at = place(id);
        if self.nodes[at].backlog.is_some() {
            self.act(Verb::Resume, id).await?;
            let backlog = self.nodes[at].backlog.take().unwrap_or_default();
            backlog.into_iter().for_each(|event| self.queue.plan(self.now_us, event));
        }
        Ok(())
    }

    async fn act(&self, verb: Verb, id: NodeId) -> Done {
        self.lab.act(verb, these(&[id]), false).await.map(drop).map_err(failed)
    }

    /// All nodes, running or not.
    pub(in crate::lab_engine) fn ids(&self) -> Vec<NodeId> {
        self.nodes.iter().map(|node| node.id).collect()
    }

    // Other faults.

    /// What is sent over a link arrives no earlier than after this time.
    pub(in crate::lab_engine) fn clog(&mut self, from: NodeId, to: NodeId, for_us: u64) {
        let link = place(from) * self.nodes.len() + place(to);
        self.clogged_until_us[link] = self.now_us + for_us;
    }

    /// Nothing is held up any more.
    pub(in crate::lab_engine) fn unclog(&mut self) {
        self.clogged_until_us.fill(0);
    }

    /// Syncs of a disk take this long from now on.
    pub(in crate::lab_engine) fn sync_takes(&mut self, id: NodeId, us: u64) {
        self.nodes[place(id)].sync_us = Some(us);
    }

    // Questions.

    /// A question is put to a node, unless it is down or paused; says whether it was.
    pub(in crate::lab_engine) async fn question(
        &mut self,
        id: NodeId,
        ask: impl Future<Output = ()> + Send + 'static,
    ) -> Done<bool> {
        let at = place(id);
        if !self.nodes[at].is_awake() {
            return Ok(false);
        }
        self.tell_time(at).await?;
        let take = self.nodes[at].send_question(ask).expect("it is up");
        self.tell(at, take).await?;
        Ok(true)
    }

    /// A node is asked for other members.
    pub(in crate::lab_engine) async fn change(&mut self, id: NodeId, change: &Change) -> Asked {
        let wanted = match change {
            Change::AddLearner(id) => MemberChange::AddLearner(*id),
            Change::Promote(id) => MemberChange::Promote(*id),
            Change::Remove(id) => MemberChange::Remove(*id),
            Change::Members { voters, learners } => {
                MemberChange::Members { voters: voters.clone(), learners: learners.clone() }
            }
        };
        let at = place(id);
        let Some(client) = self.awake(at) else { return Ok(Err("it is down or paused".to_owned())) };
        self.tell_time(at).await?;
        let begun = client.change(wanted).await.map(drop);
        self.asked(at, begun.map_err(|error| said(&error))).await
    }

    /// A node is asked to hand over.
    pub(in crate::lab_engine) async fn transfer(&mut self, id: NodeId, to: NodeId) -> Asked {
        let at = place(id);
        let Some(client) = self.awake(at) else { return Ok(Err("it is down or paused".to_owned())) };
        self.tell_time(at).await?;
        let begun = client.transfer(to).await;
        self.asked(at, begun.map_err(|error| said(&error))).await
    }

    async fn asked(&mut self, at: usize, outcome: Result<(), String>) -> Asked {
        self.tell(at, Move::Settle).await?;
        Ok(outcome.map(|()| None))
    }

    fn awake(&self, at: usize) -> Option<raftian_rpc::connect::Http> {
        self.nodes[at].client().filter(|_| self.nodes[at].is_awake())
    }

    /// A node takes a snapshot, unless it is down or paused.
    pub(in crate::lab_engine) async fn snapshot(&mut self, id: NodeId, keep_entries: u64) -> Done {
        match self.nodes[place(id)].is_awake() {
            true => self.tell(place(id), Move::Snapshot { keep_entries }).await,
            false => Ok(()),
        }
    }

    /// Disks that take no time are done, as after every question by hand.
    pub(in crate::lab_engine) async fn settle(&mut self) -> Done {
        self.finish_syncs().await
    }

    // What can be seen.

    /// Whether a node runs.
    pub(in crate::lab_engine) fn is_up(&self, id: NodeId) -> bool {
        self.nodes[place(id)].is_up()
    }

    /// What all nodes say of themselves.
    pub(in crate::lab_engine) async fn view(&mut self) -> Result<View, Halt<Infallible>> {
        let mut seen: BTreeMap<NodeId, (NodeState, Option<NodeStatus>)> = BTreeMap::new();
        for node in &mut self.nodes {
            let state = match (node.is_up(), node.is_awake()) {
                (false, _) => NodeState::Killed,
                (true, false) => NodeState::Paused,
                (true, true) => NodeState::Running,
            };
            seen.insert(node.id, (state, node.status().await?));
        }
        Ok(View::of_nodes(seen))
    }

    /// What is on a disk, and the vote of its node.
    pub(in crate::lab_engine) async fn durable(&mut self, id: NodeId) -> Done<Durable> {
        self.nodes[place(id)].durable().await
    }

    /// How a node is called for what may stay open for long.
    pub(in crate::lab_engine) fn patient(&self, id: NodeId) -> Option<raftian_rpc::connect::Http> {
        self.nodes[place(id)].patient()
    }

    /// Waits until the questions to all nodes have ended, after they were cancelled.
    pub(in crate::lab_engine) async fn end_questions(&mut self) {
        for node in &mut self.nodes {
            node.end_questions().await;
        }
    }

    /// All faults end: what was put aside is lost, messages and disks take no time, and every node runs.
    pub(in crate::lab_engine) async fn mend(&mut self) -> Done {
        self.held.clear();
        self.latency_us.fill(0);
        self.unclog();
        self.sync_spread_us = 0;
        for id in self.ids() {
            self.resume(id).await?;
            self.restart(id).await?;
            self.nodes[place(id)].sync_us = Some(0);
            self.begin_sync(place(id));
        }
        Ok(())
    }
}

fn require(holds: bool, why: impl FnOnce() -> String) -> Done {
    if holds { Ok(()) } else { Err(Halt::Failed(why())) }
}

fn said(error: &jsonrpsee::core::ClientError) -> String {
    NodeError::from_client(error).map_or_else(|| error.to_string(), |error| error.to_string())
}
