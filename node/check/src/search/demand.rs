//! Who needs which state of the object, and who makes it: what shows early that an order cannot be completed.
//!
//! Where a state is needed by an operation yet to be taken, it may be left only if another operation yet to be taken
//! makes it again in time. In time means: it is called before the needing one returns.
//!
//! Invariant: an operation that does not always make the same state is taken to make any.

use std::collections::HashMap;
use std::hash::Hash;

use super::{NONE, Operation, Transition};

/// What an operation makes of the object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Makes<S> {
    /// Nothing: it only looks.
    Nothing,
    /// This state, if anything.
    One(S),
    /// A state that depends on the one before.
    Any,
}

pub(super) struct Demand<S> {
    /// The number of each state that is made or needed, from 1 on; 0 stands for any.
    numbers: HashMap<S, usize>,
    /// By state, who needs it and returned, as they return.
    needers: Queues,
    /// By state, who makes it and returned, as they are called.
    makers: Queues,
    /// By state, who makes it and never returned, as they are called. Many of them are never taken.
    unreturned_makers: Queues,
    is_taken: Vec<bool>,
}

impl<S: Copy + Eq + Hash> Demand<S> {
    /// The demand among operations, given as they were called and as they returned.
    pub(super) fn new<T: Transition<State = S>>(
        operations: &[Operation<T>],
        called: &[u32],
        returned: &[u32],
    ) -> Demand<S> {
        let mut numbers = HashMap::new();
        for operation in operations {
            let made = if let Makes::One(state) = operation.transition.makes() { Some(state) } else { None };
            for state in operation.transition.needs().into_iter().chain(made) {
                let new = numbers.len() + 1;
                numbers.entry(state).or_insert(new);
            }
        }
        let count = numbers.len() + 1;
        let empty = || Queues::new(count, operations.len());
        let (mut needers, mut makers, mut unreturned_makers) = (empty(), empty(), empty());
        for rank in returned {
            if let Some(state) = operations[*rank as usize].transition.needs() {
                needers.push(numbers[&state], *rank);
            }
        }
        for rank in called {
            let number = match operations[*rank as usize].transition.makes() {
                Makes::Nothing => continue,
                Makes::One(state) => numbers[&state],
                Makes::Any => 0,
            };
            let has_returned = operations[*rank as usize].returned != NONE;
            let queues = if has_returned { &mut makers } else { &mut unreturned_makers };
            queues.push(number, *rank);
        }
        Demand { numbers, needers, makers, unreturned_makers, is_taken: vec![false; operations.len()] }
    }

    pub(super) fn take(&mut self, rank: u32) {
        self.is_taken[rank as usize] = true;
    }

    pub(super) fn take_back(&mut self, rank: u32) {
        self.is_taken[rank as usize] = false;
        for queues in [&mut self.needers, &mut self.makers, &mut self.unreturned_makers] {
            queues.take_back(rank);
        }
    }

    /// Of the operations that need this state, `except` aside, the one that returns first.
    pub(super) fn first_needer(&mut self, state: S, except: u32) -> Option<u32> {
        let number = *self.numbers.get(&state)?;
        self.needers.waiting(number, &self.is_taken).find(|rank| *rank != except)
    }

    /// Those who are called first among the operations that may make this state.
    pub(super) fn first_makers(&mut self, state: S) -> impl Iterator<Item = u32> {
        let number = self.numbers.get(&state).copied().unwrap_or(0);
        let Demand { makers, unreturned_makers, is_taken, .. } = self;
        let one = [makers.waiting(number, is_taken).next(), unreturned_makers.waiting(number, is_taken).next()];
        let any = [makers.waiting(0, is_taken).next(), unreturned_makers.waiting(0, is_taken).next()];
        one.into_iter().chain(any).flatten()
    }

    /// The operations that never returned and may make this state.
    pub(super) fn unreturned_makers(&mut self, state: S) -> Vec<u32> {
        let number = self.numbers.get(&state).copied().unwrap_or(0);
        let mut makers: Vec<u32> = self.unreturned_makers.waiting(number, &self.is_taken).collect();
        if number != 0 {
            makers.extend(self.unreturned_makers.waiting(0, &self.is_taken));
        }
        makers
    }
}

/// Operations in order of time, in a queue for each state.
struct Queues {
    queues: Vec<Queue>,
    /// By operation, the queue it waits in and its place there.
    at: Vec<(u32, u32)>,
}

/// Operations of which mostly the first are taken and the last are not.
#[derive(Default)]
struct Queue {
    ranks: Vec<u32>,
    /// All before this place are taken.
    taken: usize,
}

impl Queues {
    fn new(count: usize, operations: usize) -> Queues {
        Queues {
            queues: std::iter::repeat_with(Queue::default).take(count).collect(),
            at: vec![(NONE, NONE); operations],
        }
    }

    fn push(&mut self, number: usize, rank: u32) {
        let ranks = &mut self.queues[number].ranks;
        self.at[rank as usize] = (number as u32, ranks.len() as u32);
        ranks.push(rank);
    }

    fn take_back(&mut self, rank: u32) {
        let (number, place) = self.at[rank as usize];
        if let Some(queue) = self.queues.get_mut(number as usize) {
            queue.taken = queue.taken.min(place as usize);
        }
    }

    /// Those that are not taken, in order.
    fn waiting(&mut self, number: usize, is_taken: &[bool]) -> impl Iterator<Item = u32> {
        let queue = &mut self.queues[number];
        while queue.ranks.get(queue.taken).is_some_and(|rank| is_taken[*rank as usize]) {
            queue.taken += 1;
        }
        queue.ranks[queue.taken..].iter().copied().filter(|rank| !is_taken[*rank as usize])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_taken_waits_no_longer_until_taken_back() {
        let mut queues = Queues::new(2, 5);
        for rank in [4, 0, 2] {
            queues.push(1, rank);
        }
        let mut is_taken = vec![false; 5];
        let waiting = |queues: &mut Queues, is_taken: &[bool]| queues.waiting(1, is_taken).collect::<Vec<u32>>();
        assert_eq!(waiting(&mut queues, &is_taken), [4, 0, 2]);
        is_taken[0] = true;
        assert_eq!(waiting(&mut queues, &is_taken), [4, 2]);
        is_taken[4] = true;
        assert_eq!(waiting(&mut queues, &is_taken), [2]);
        is_taken[0] = false;
        queues.take_back(0);
        assert_eq!(waiting(&mut queues, &is_taken), [0, 2]);
        queues.take_back(3);
        assert_eq!(queues.waiting(0, &is_taken).next(), None);
    }
}
