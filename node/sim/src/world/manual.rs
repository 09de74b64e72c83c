//! Moving a cluster by hand: for lessons, scenarios and tests.
//!
//! Invariants: a step by hand is judged like any other; nothing else happens meanwhile. On a quiet plan messages are
//! ready as soon as they are sent, so they wait for [`World::deliver`] or the next [`World::step`], whichever comes.

use bytes::Bytes;
use raftian_apps::{AppKind, Command};
use raftian_driver::{Driver, Route};
use raftian_raft::{Body, Change, ChangeRefused, Index, Message, NodeId, Proposed, Recovered, TransferRefused};
use raftian_script::{Action, Op, Plan, Schedule};
use serde_json::value::RawValue;

use super::{Budget, World};
use crate::invariant::{Finding, Violation, place};
use crate::journal::What;
use crate::node::{Asker, Node};
use crate::queue::{Event, MessageId};
use crate::settings::Settings;

/// A message that was put aside.
#[derive(Debug)]
pub struct Held {
    id: MessageId,
    message: Message,
}

impl Held {
    /// What it says.
    pub fn message(&self) -> &Message {
        &self.message
    }
}

impl World {
    /// A cluster to which nothing happens by itself but what its plan says.
    ///
    /// # Panics
    /// See [`World::new`].
    pub fn manual(plan: Plan, seed: u64, settings: Settings) -> World {
        World::new(&Schedule { seed, plan, actions: Vec::new(), end_us: u64::MAX }, settings)
    }

    /// Does something from outside, at once.
    ///
    /// # Errors
    /// The invariant that this broke.
    ///
    /// # Panics
    /// When the action names a node that is not there.
    pub fn perform(&mut self, action: Action) -> Result<(), Violation> {
        self.by_hand(|world| world.perform_action(action))
    }

    /// A message arrives now, whatever else is on its way. Says whether it was on its way.
    ///
    /// # Errors
    /// The invariant that this broke.
    pub fn deliver(&mut self, id: MessageId) -> Result<bool, Violation> {
        self.by_hand(|world| match world.queue.take_by_id(id) {
            Some(message) if world.nodes[place(message.to)].paused.is_none() => {
                world.receive(id, message).map(|()| true)
            }
            Some(message) => {
                // A paused server finds it when it goes on.
                world.queue.put_back(world.now_us, id, message);
                Ok(false)
            }
            None => Ok(false),
        })
    }

    /// A message is lost. Says whether it was on its way.
    pub fn lose(&mut self, id: MessageId) -> bool {
        self.queue.take_by_id(id).is_some()
    }

    /// A message is lost, and with it its call: the transport of the server that called gives it up, and lets no reply to it
    /// through any more. Says whether the message was on its way.
    ///
    /// # Errors
    /// The invariant that this broke.
    pub fn give_up(&mut self, id: MessageId) -> Result<bool, Violation> {
        self.by_hand(|world| {
            let Some(Message { from, to, call, body, .. }) = world.queue.take_by_id(id) else { return Ok(false) };
            let (caller, peer) = if matches!(body, Body::Request(_)) { (from, to) } else { (to, from) };
            let at = place(caller);
            let node = &mut world.nodes[at];
            let epoch = node.epoch;
            if node.is_up() && node.calls.give_up(call) {
                world.happen(Event::CallLost { node: at, epoch, peer, call })?;
            }
            Ok(true)
        })
    }

    /// A message will arrive once more. Says the name of the copy, if the message is on its way.
    pub fn duplicate(&mut self, id: MessageId) -> Option<MessageId> {
        let message =
            self.queue.messages().into_iter().find(|(of, _)| *of == id).map(|(_, message)| message.clone())?;
        self.budget.granted += Budget::PER_CAUSE;
        let told = self.journal.is_on().then(|| message.clone());
        let copy = self.queue.send(self.now_us, message);
        self.journal.note(self.now_us, self.steps, || What::Sent(copy, Box::new(told.expect("it is being recorded"))));
        Some(copy)
    }

    /// A message is put aside: it arrives no earlier than [`World::release`] says. `None` if it was not on its way.
    pub fn hold(&mut self, id: MessageId) -> Option<Held> {
        self.queue.take_by_id(id).map(|message| Held { id, message })
    }

    /// A message that was put aside is on its way again.
    pub fn release(&mut self, held: Held) {
        self.queue.put_back(self.now_us, held.id, held.message);
    }

    /// When a server wants to be called; `None` if it is down or paused.
    pub fn deadline_us(&self, id: NodeId) -> Option<u64> {
        self.nodes.get(place(id)).map(|node| node.deadline_us).filter(|deadline_us| *deadline_us < u64::MAX)
    }

    /// Disks that take no time are done with what they were given, though nothing else happens: so that what a message
    /// brought is answered before the next one is looked at.
    ///
    /// # Errors
    /// The invariant that this broke.
    pub fn finish_syncs(&mut self) -> Result<(), Violation> {
        let is_due = |node: &Node| {
            let storage = &node.storage;
            storage.health.sync_us == Some(0) && node.paused.is_none() && !storage.syncing.is_empty()
        };
        while let Some(at) = self.nodes.iter().position(is_due) {
            self.by_hand(|world| world.synced(at))?;
        }
        Ok(())
    }

    /// Time passes until this server wants to be called, and it is. The others are not. A server that is down or paused
    /// stays so.
    ///
    /// # Errors
    /// The invariant that this broke.
    pub fn tick(&mut self, id: NodeId) -> Result<(), Violation> {
        self.by_hand(|world| {
            let deadline_us = world.nodes[place(id)].deadline_us;
            if deadline_us == u64::MAX {
                return Ok(());
            }
            world.now_us = world.now_us.max(deadline_us);
            world.tick_at(place(id))
        })
    }

    /// The clock of this server jumps ahead to the time at which it wants to be called, and it is, at once. A server that
    /// is down or paused stays so.
    ///
    /// # Errors
    /// The invariant that this broke.
    pub fn tick_early(&mut self, id: NodeId) -> Result<(), Violation> {
        let now_us = self.now_us;
        let node = &mut self.nodes[place(id)];
        if let Some(deadline) = node.driver.as_ref().and_then(Driver::deadline).filter(|_| node.paused.is_none()) {
            node.clock.jump(deadline, now_us);
            node.wind();
        }
        self.tick(id)
    }

    /// Everything that is on its way happens, what comes of it included, and no time passes beyond it. No server looks
    /// at its clock.
    ///
    /// # Errors
    /// The invariant that this broke.
    pub fn step_all(&mut self) -> Result<(), Violation> {
        self.steps_without_time = 0;
        while let Some(at_us) = self.queue.next_us() {
            self.by_hand(|world| {
                world.bound_steps(false)?;
                world.now_us = world.now_us.max(at_us);
                world.next_event()
            })?;
        }
        Ok(())
    }

    /// From now on a disk syncs only when told to, or by itself again.
    ///
    /// # Errors
    /// The invariant that this broke.
    pub fn hold_disk(&mut self, id: NodeId, is_held: bool) -> Result<(), Violation> {
        self.by_hand(|world| {
            world.nodes[place(id)].storage.health.sync_us = (!is_held).then_some(0);
            world.begin_sync(place(id));
            Ok(())
        })
    }

    /// How many writes wait for a disk.
    pub fn waiting(&self, id: NodeId) -> usize {
        let storage = &self.nodes[place(id)].storage;
        storage.syncing.len() + storage.waiting.len()
    }

    /// A disk that is held syncs the first `count` writes that wait for it.
    ///
    /// # Errors
    /// The invariant that this broke.
    pub fn sync(&mut self, id: NodeId, count: usize) -> Result<(), Violation> {
        self.by_hand(|world| {
            let storage = &mut world.nodes[place(id)].storage;
            let count = count.min(storage.waiting.len());
            storage.syncing.extend(storage.waiting.drain(..count));
            world.synced(place(id))
        })
    }

    /// A server is given a command of a client, and says whether it takes it: only a leader does, unless it is about to hand
    /// over. Nothing waits for the answer. `None` if it is down or paused.
    ///
    /// # Errors
    /// The invariant that this broke.
    pub fn propose(&mut self, id: NodeId, command: &Command) -> Result<Option<bool>, Violation> {
        let bytes = Bytes::from(command.encode());
        self.by_hand(|world| {
            let at = place(id);
            if !world.takes_input(at) {
                return Ok(None);
            }
            let is_taken = world.submit_at(at, bytes, Route::Forwarded, Asker::HAND);
            world.settle(at, None).map(|()| Some(is_taken))
        })
    }

    /// A server is asked for other members; `None` if it is down or paused.
    ///
    /// # Errors
    /// The invariant that this broke.
    pub fn change(&mut self, id: NodeId, change: Change) -> Result<Option<Result<Proposed, ChangeRefused>>, Violation> {
        self.ask_server(id, |world, at| {
            let change = world.meant(at, change);
            let (now, driver) = world.driver(at);
            driver.change(now, change)
        })
    }

    /// A server is asked to hand over; `None` if it is down or paused.
    ///
    /// # Errors
    /// The invariant that this broke.
    pub fn transfer(&mut self, id: NodeId, to: NodeId) -> Result<Option<Result<(), TransferRefused>>, Violation> {
        self.ask_server(id, |world, at| {
            let to = world.nodes[place(to)].id();
            let (now, driver) = world.driver(at);
            driver.transfer(now, to)
        })
    }

    /// A read is put to a server; says the number of its ticket if the server takes it, and `None` if it is down or paused. What
    /// becomes of the read is in the journal.
    ///
    /// # Errors
    /// The invariant that this broke.
    pub fn read(&mut self, id: NodeId) -> Result<Option<Option<u64>>, Violation> {
        let op = if self.plan.app == AppKind::Canvas { Op::Pixel(0, 0) } else { Op::Read(0) };
        let op = RawValue::from_string(op.json()).expect("ops are JSON");
        self.ask_server(id, |world, at| world.read_at(at, op, Route::Forwarded, Asker::HAND))
    }

    /// A client, from 0 on, wants something; see [`Plan::clients`].
    ///
    /// # Errors
    /// The invariant that this broke.
    pub fn want(&mut self, client: usize, op: Op) -> Result<(), Violation> {
        self.perform(Action::Op { client, op })
    }

    /// A server starts with this on its disk, as if it had always been there: for the figures of the paper.
    ///
    /// # Errors
    /// The invariant that this contradicts: what two servers hold must be possible.
    ///
    /// # Panics
    /// When there is a snapshot; see [`World::install_compacted`].
    pub fn install(&mut self, id: NodeId, recovered: Recovered) -> Result<(), Violation> {
        self.install_compacted(id, recovered, 0)
    }

    /// The same with a snapshot in place of the entries up to this index, which were committed before.
    ///
    /// # Errors
    /// See [`World::install`]. Also when other entries are known to be committed there.
    ///
    /// # Panics
    /// When there is a snapshot already, or the entries do not reach from 1 to the index.
    pub fn install_compacted(&mut self, id: NodeId, recovered: Recovered, up_to: Index) -> Result<(), Violation> {
        assert!(recovered.snapshot.is_none(), "a disk is made up of entries");
        self.by_hand(|world| {
            let at = place(id);
            world.crash_at(at, 0)?;
            world.replace_disk(at, recovered, up_to)?;
            world.start(at)
        })
    }

    /// Whether a node is up, and not paused.
    fn takes_input(&self, at: usize) -> bool {
        self.nodes[at].is_up() && self.nodes[at].paused.is_none()
    }

    fn ask_server<T>(
        &mut self,
        id: NodeId,
        question: impl FnOnce(&mut World, usize) -> T,
    ) -> Result<Option<T>, Violation> {
        self.by_hand(|world| {
            let at = place(id);
            if !world.takes_input(at) {
                return Ok(None);
            }
            let answer = question(world, at);
            world.settle(at, None).map(|()| Some(answer))
        })
    }

    fn by_hand<T>(&mut self, act: impl FnOnce(&mut World) -> Result<T, Finding>) -> Result<T, Violation> {
        if let Some(violation) = &self.violation {
            return Err(violation.clone());
        }
        self.steps += 1;
        self.budget.granted += Budget::PER_CAUSE * self.plan.nodes() as u64;
        let outcome = self.without_clocks(act);
        self.conclude(outcome)
    }

    /// Does something amid which no server looks at its clock, unless that is what is done.
    pub(super) fn without_clocks<T>(&mut self, act: impl FnOnce(&mut World) -> T) -> T {
        let before = std::mem::replace(&mut self.ignores_clocks, true);
        let outcome = act(self);
        self.ignores_clocks = before;
        outcome
    }
}
