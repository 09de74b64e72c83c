//! The pending calls of peers: each waits for the core's reply.
//!
//! A peer starts to number its calls again when it restarts, and a network may deliver a request twice, so several
//! pending calls may have the same number. The core replies once to every request, and replies with one number go to
//! its calls in the order in which these came.
//!
//! Invariant: a reply goes only to a call of the peer and the number that it names.

use std::collections::{HashMap, VecDeque};

use raftian_raft::{Message, NodeId};

use crate::mutant::{Mutant, Planted};

/// The pending calls, by peer and number.
#[derive(Debug)]
pub(crate) struct Calls<C> {
    /// Most numbers have one call, and the list behind it is empty.
    waiting: HashMap<(NodeId, u64), (C, VecDeque<C>)>,
    planted: Planted,
}

impl<C> Calls<C> {
    pub(crate) fn new(planted: Planted) -> Calls<C> {
        Calls { waiting: HashMap::new(), planted }
    }

    /// The core has taken a peer's request; `call` waits for the reply.
    pub(crate) fn add(&mut self, peer: NodeId, number: u64, call: C) {
        match self.waiting.entry((peer, number)) {
            std::collections::hash_map::Entry::Occupied(mut first) => first.get_mut().1.push_back(call),
            std::collections::hash_map::Entry::Vacant(free) => drop(free.insert((call, VecDeque::new()))),
        }
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.waiting.values().map(|(_, later)| 1 + later.len()).sum()
    }

    /// Removes and returns the call that a reply answers.
    pub(crate) fn answered(&mut self, reply: &Message) -> Option<C> {
        let mut key = (reply.to, reply.call);
        if self.planted.has(Mutant::AnswersLatestCall) {
            key = self.waiting.keys().filter(|(peer, _)| *peer == reply.to).max().copied().unwrap_or(key);
        }
        let (call, mut later) = self.waiting.remove(&key)?;
        if let Some(next) = later.pop_front() {
            self.waiting.insert(key, (next, later));
        }
        Some(call)
    }
}

#[cfg(test)]
mod tests {
    use raftian_raft::{Body, Reply};

    use super::*;

    fn reply(to: u16, call: u64) -> Message {
        let id = |number| NodeId::new(number).unwrap();
        Message { from: id(1), to: id(to), term: 1, call, body: Body::Reply(Reply::TimeoutNow) }
    }

    #[test]
    fn calls_of_one_number_are_answered_in_turn_and_others_are_left_alone() {
        let mut calls = Calls::new(Planted::default());
        let n2 = NodeId::new(2).unwrap();
        for (number, call) in [(7, "first"), (8, "other"), (7, "second"), (7, "third")] {
            calls.add(n2, number, call);
        }
        assert_eq!(calls.answered(&reply(3, 7)), None, "another peer");
        assert_eq!(calls.answered(&reply(2, 9)), None, "another number");
        let answered: Vec<_> = (0..4).map(|_| calls.answered(&reply(2, 7))).collect();
        assert_eq!(answered, [Some("first"), Some("second"), Some("third"), None]);
        assert_eq!(calls.answered(&reply(2, 8)), Some("other"));
    }
}
