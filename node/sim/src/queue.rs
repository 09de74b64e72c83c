//! What is to happen, by time; and the messages on their way.
//!
//! Invariant: of what happens at the same time, what was planned first comes first.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

use bytes::Bytes;
use raftian_apps::{NodeId, Response};
use raftian_driver::Forwarded;
use raftian_raft::{Index, Message};
use raftian_script::Op;

use crate::invariant::place;

/// Names a message on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MessageId(pub(crate) u64);

/// Something that will happen.
#[derive(Debug)]
pub(crate) enum Event {
    /// A message arrives; it lies in this slot unless it was taken out.
    Deliver { slot: u32, id: MessageId },
    /// A disk is done with what it was given.
    Synced { node: usize, epoch: u32 },
    /// A snapshot is encoded and can be written beside the log.
    Encoded { node: usize, epoch: u32 },
    /// The state of a snapshot is restored.
    Restored { node: usize, epoch: u32 },
    /// The first of a node's calls that were not answered is given up.
    CallsTimeOut { node: usize, epoch: u32 },
    /// A node hears that its call was refused, by a peer that is down or at a cut link; or given up.
    CallLost { node: usize, epoch: u32, peer: NodeId, call: u64 },
    /// A node is done with its last inputs, and takes those that have gathered.
    Turn { node: usize, epoch: u32 },
    /// A client's request arrives.
    Request { node: usize, request: Box<Request> },
    /// An answer arrives at a client, by way of this node, if it still lives.
    Answer { client: usize, op: u64, answer: Box<Answer>, via: Option<Via> },
    /// A client has waited long enough for a request.
    TimeOut { client: usize, call: u64 },
}

/// What a client asks of a node. Once it has left it does not change: it may arrive when its client has long gone on.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) client: usize,
    /// The place of its operation in the history.
    pub(crate) place: u64,
    pub(crate) op: Op,
    pub(crate) command: Bytes,
    /// The node that passed it on; none if the client sent it here itself.
    pub(crate) via: Option<Via>,
    /// Whether this is the second copy on a link that doubles messages: the answer to it is not read.
    pub(crate) is_copy: bool,
}

/// A node that has passed a question on to the leader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Via {
    pub(crate) node: usize,
    /// In which of its lives.
    pub(crate) epoch: u32,
    /// What it can say of the question in the end.
    pub(crate) forwarded: Forwarded,
}

/// What a client hears.
#[derive(Clone, Debug)]
pub(crate) enum Answer {
    /// It took effect, or was read, at this index.
    Done { index: Index, response: Response },
    /// The node does not lead.
    NotLeader { leader: Option<NodeId> },
    /// The leader did not take it in: too much waits for a quorum.
    TooMuchUncommitted,
    /// It was proposed, and another entry took its place: it never will be committed.
    Replaced,
    /// What becomes of it cannot be known.
    Unknown,
}

/// The events to come.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    heap: BinaryHeap<Reverse<Planned>>,
    planned: u64,
    slots: Vec<Option<(MessageId, Message)>>,
    free: Vec<u32>,
    sent: u64,
}

#[derive(Debug)]
struct Planned {
    at_us: u64,
    number: u64,
    event: Event,
}

impl Queue {
    pub(crate) fn plan(&mut self, at_us: u64, event: Event) {
        self.planned += 1;
        self.heap.push(Reverse(Planned { at_us, number: self.planned, event }));
    }

    /// Sends a message on its way.
    pub(crate) fn send(&mut self, at_us: u64, message: Message) -> MessageId {
        self.sent += 1;
        let id = MessageId(self.sent);
        self.put_back(at_us, id, message);
        id
    }

    /// A message that was taken out is on its way again, under its name.
    pub(crate) fn put_back(&mut self, at_us: u64, id: MessageId, message: Message) {
        let slot = match self.free.pop() {
            Some(slot) => slot,
            None => {
                self.slots.push(None);
                self.slots.len() as u32 - 1
            }
        };
        self.slots[slot as usize] = Some((id, message));
        self.plan(at_us, Event::Deliver { slot, id });
    }

    /// When the next event is due. A message that was taken out leaves an event that delivers nothing.
    pub(crate) fn next_us(&self) -> Option<u64> {
        self.heap.peek().map(|Reverse(next)| next.at_us)
    }

    pub(crate) fn pop(&mut self) -> Option<Event> {
        self.heap.pop().map(|Reverse(next)| next.event)
    }

    /// Where the message in a slot goes, if it is the one that is meant.
    pub(crate) fn receiver(&self, slot: u32, id: MessageId) -> Option<usize> {
        self.slots[slot as usize].as_ref().filter(|(held, _)| *held == id).map(|(_, message)| place(message.to))
    }

    /// Takes out the message in a slot, if it is the one that is meant.
    pub(crate) fn take(&mut self, slot: u32, id: MessageId) -> Option<Message> {
        let (_, message) = self.slots[slot as usize].take_if(|(held, _)| *held == id)?;
        self.free.push(slot);
        Some(message)
    }

    /// Takes out a message by its name.
    pub(crate) fn take_by_id(&mut self, id: MessageId) -> Option<Message> {
        let slot = self.slots.iter().position(|slot| slot.as_ref().is_some_and(|(held, _)| *held == id))?;
        self.take(slot as u32, id)
    }

    /// Messages of servers and questions of clients that would arrive later than this are lost.
    pub(crate) fn lose_late(&mut self, latest_us: u64) {
        let mut late = Vec::new();
        self.heap.retain(|Reverse(planned)| match planned.event {
            _ if planned.at_us <= latest_us => true,
            Event::Deliver { slot, id } => {
                late.push((slot, id));
                false
            }
            Event::Request { .. } => false,
            _ => true,
        });
        for (slot, id) in late {
            self.take(slot, id);
        }
    }

    /// The messages on their way, in the order they were sent.
    pub(crate) fn messages(&self) -> Vec<(MessageId, &Message)> {
        let mut messages: Vec<_> = self.slots.iter().flatten().map(|(id, message)| (*id, message)).collect();
        messages.sort_unstable_by_key(|(id, _)| *id);
        messages
    }
}

impl Ord for Planned {
    fn cmp(&self, other: &Planned) -> Ordering {
        (self.at_us, self.number).cmp(&(other.at_us, other.number))
    }
}

impl PartialOrd for Planned {
    fn partial_cmp(&self, other: &Planned) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Planned {
    fn eq(&self, other: &Planned) -> bool {
        self.number == other.number
    }
}

impl Eq for Planned {}
