//! What is to happen to nodes that are moved by hand, by time; and the messages on their way.
//!
//! Invariant: of what happens at the same time, what was planned first comes first, as in the simulator.

use std::collections::BTreeMap;

use raftian_rpc::raft::Letter;
use raftian_script::Label;

/// Names a message on its way.
pub(super) type MessageId = u64;

/// A message on its way: under which name it is known, and what is carried.
#[derive(Clone, Debug)]
pub(super) struct Envelope {
    pub(super) label: Label,
    pub(super) letter: Letter,
    pub(super) is_request: bool,
}

/// Something that will happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// A message arrives, unless it was taken out.
    Deliver(MessageId),
    /// A disk is done with what it was given, in this life of its node.
    Synced { at: usize, life: u64 },
    /// A call that this node has made is given up, unless it is answered by then.
    GiveUp { at: usize, life: u64, peer: usize, call: u64 },
}

/// The events to come.
#[derive(Debug, Default)]
pub(super) struct Queue {
    events: BTreeMap<(u64, u64), Event>,
    planned: u64,
    messages: BTreeMap<MessageId, Envelope>,
    sent: u64,
}

impl Queue {
    pub(super) fn plan(&mut self, at_us: u64, event: Event) {
        self.planned += 1;
        self.events.insert((at_us, self.planned), event);
    }

    /// Sends a message on its way.
    pub(super) fn send(&mut self, at_us: u64, envelope: Envelope) -> MessageId {
        self.sent += 1;
        self.put_back(at_us, self.sent, envelope);
        self.sent
    }

    /// A message that was taken out is on its way again.
    pub(super) fn put_back(&mut self, at_us: u64, id: MessageId, envelope: Envelope) {
        self.messages.insert(id, envelope);
        self.plan(at_us, Event::Deliver(id));
    }

    pub(super) fn take(&mut self, id: MessageId) -> Option<Envelope> {
        self.messages.remove(&id)
    }

    pub(super) fn message(&self, id: MessageId) -> Option<&Envelope> {
        self.messages.get(&id)
    }

    /// The messages on their way, in the order they were sent.
    pub(super) fn messages(&self) -> impl Iterator<Item = (MessageId, &Envelope)> {
        self.messages.iter().map(|(id, envelope)| (*id, envelope))
    }

    /// When the next event is due. A message that was taken out meanwhile is none.
    pub(super) fn next_us(&mut self) -> Option<u64> {
        while let Some(first) = self.events.first_entry() {
            match first.get() {
                Event::Deliver(id) if !self.messages.contains_key(id) => drop(first.remove()),
                _ => return Some(first.key().0),
            }
        }
        None
    }

    /// The next event.
    pub(super) fn pop(&mut self) -> Option<Event> {
        self.next_us()?;
        self.events.pop_first().map(|(_, event)| event)
    }
}

#[cfg(test)]
mod tests {
    use raftian_rpc::NodeId;
    use raftian_rpc::raft::{Head, Says};
    use raftian_script::Kind;

    use super::*;

    fn envelope(call: u64) -> Envelope {
        let mut ids = NodeId::first(2);
        let (from, to) = (ids.next().unwrap(), ids.next().unwrap());
        let letter = Letter { head: Head { from, to, term: 1, call }, says: Says::TimeoutNow };
        Envelope { label: Label { from, to, kind: Kind::TimeoutNow, says: None }, letter, is_request: true }
    }

    #[test]
    fn of_what_is_due_at_the_same_time_what_was_planned_first_comes_first() {
        let mut queue = Queue::default();
        let late = queue.send(20, envelope(1));
        queue.plan(10, Event::Synced { at: 0, life: 1 });
        let early = queue.send(10, envelope(2));
        assert_eq!(queue.next_us(), Some(10));
        let order = [Event::Synced { at: 0, life: 1 }, Event::Deliver(early), Event::Deliver(late)];
        for event in order {
            assert_eq!(queue.pop(), Some(event));
        }
        assert_eq!(queue.pop(), None);
    }

    #[test]
    fn a_message_that_was_taken_out_is_no_event_until_it_is_put_back() {
        let mut queue = Queue::default();
        let id = queue.send(10, envelope(1));
        let taken = queue.take(id).unwrap();
        assert_eq!((queue.next_us(), queue.messages().count()), (None, 0));
        queue.put_back(30, id, taken);
        assert_eq!((queue.next_us(), queue.message(id).is_some()), (Some(30), true));
    }
}
