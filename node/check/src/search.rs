//! The search for an order: Wing and Gong's, with Lowe's memory of where it has been.
//!
//! It looks for an order of the operations on one object in which each takes effect between its call and its return,
//! and in which a sequential object would have answered what the clients saw. An operation without a return may take
//! effect at any time after its call, or never.
//!
//! The search goes forward through the history, operation by operation, and steps back when it is stuck. What keeps it
//! short, none of which changes an answer:
//! - an operation that only looks is taken as soon as it fits: whatever can follow can follow it as well;
//! - a set of taken operations and a state that have led nowhere are not tried again ([`Visited`]);
//! - a state that is still needed is not left where nothing can make it again in time ([`Demand`]);
//! - of unreturned operations that do the same, the one called first goes first;
//! - an unreturned operation is given up where it changes nothing, or where the next one would have had the same effect
//!   without it;
//! - operations are tried in the order of their hints, and unreturned ones first where the next in that order needs
//!   what they make: where the hints are right, hardly anything is tried twice.
//!
//! Invariant: the answer depends on the calls alone, never on the hints. The memory compares 128-bit sums, so that an
//! order could be overlooked with a probability below 2⁻⁶⁰ in any search that ends.
//!
//! Deliberately absent: applications (see `model`), and what to say of a history that has no order (see `window`).

mod demand;
mod list;
mod next;
#[cfg(test)]
mod tests;
mod visited;
pub(crate) mod window;

use std::collections::HashMap;
use std::hash::Hash;

use demand::Demand;
pub(crate) use demand::Makes;
use list::List;
use next::{Candidate, Next};
use visited::Visited;

/// What one operation does to the object it touches, with what its client saw of it.
pub(crate) trait Transition: Copy + Eq + Hash {
    /// A state of the object.
    type State: Copy + Eq + Hash;

    /// The state of which nothing is known. What an operation tells of the state after it is known after it.
    const ANY: Self::State;

    /// The state after; `None` if the client cannot have seen in that state what it saw.
    fn step(&self, before: Self::State) -> Option<Self::State>;

    /// The one state, if there is one, in which it must have found the object.
    fn needs(&self) -> Option<Self::State>;

    /// What it makes of the object.
    fn makes(&self) -> Makes<Self::State>;
}

/// An operation on one object.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Call<T> {
    /// Its place in the history, for whoever reports on it.
    pub(crate) source: u32,
    pub(crate) invoked_ns: u64,
    /// `None` if it never returned.
    pub(crate) completed_ns: Option<u64>,
    /// A guess of its place in the order; the largest number for none.
    pub(crate) hint: u64,
    pub(crate) transition: T,
}

/// How much a search may cost.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Budget {
    /// Transitions that may yet be tried.
    pub(crate) steps: u64,
    /// The most its memory of where it has been may take.
    pub(crate) memory_bytes: usize,
}

/// What a search found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// There is an order.
    Order,
    /// There is none, not even of what happened up to this moment.
    NoOrder { by_ns: u64 },
    /// The time for it was up.
    TooLong,
    /// The memory for it was full.
    TooLarge,
}

/// Looks for an order of these calls that begins in `initial`, and takes what it costs from the budget.
pub(crate) fn search<T: Transition>(calls: &[Call<T>], initial: T::State, budget: &mut Budget) -> Found {
    let mut search = Search::new(calls);
    let found = search.run(initial, *budget);
    budget.steps = budget.steps.saturating_sub(search.steps);
    found
}

/// No rank, and no moment.
const NONE: u32 = u32::MAX;

/// An operation, known by its rank: first those that returned, in the order in which they are tried, then the others as
/// they were called.
struct Operation<T> {
    transition: T,
    /// The moments of its call and its return, counted through the history; `NONE` if it never returned.
    called: u32,
    returned: u32,
    completed_ns: u64,
    hint: u64,
    /// Of those that never returned: the one before it that does the same.
    twin: u32,
}

/// An operation taken, and those that could be taken with it because they only look.
struct Frame<S> {
    state: S,
    /// The operation, and the state before it. The first frame has none.
    taken: Option<(u32, S)>,
    /// Whether it was taken alone.
    alone: bool,
    /// The length of the trail before it was taken.
    trail: usize,
    /// The hint up to which the order is made.
    reached: u64,
    next: Next,
}

struct Search<T: Transition> {
    operations: Vec<Operation<T>>,
    /// The rank of the first that never returned.
    returned: u32,
    /// The others that have hints, in their order.
    hinted: Vec<u32>,
    /// Those that returned and are not taken, as they were called, and as they returned.
    calls: List,
    returns: List,
    /// The operations taken, in order.
    trail: Vec<u32>,
    /// The sum that stands for those of them that returned.
    sum: u128,
    /// The others, one bit each.
    unreturned_taken: Vec<u64>,
    demand: Demand<T::State>,
    visited: Visited<T::State>,
    frames: Vec<Frame<T::State>>,
    /// The latest return of one that could not be passed.
    stuck_by_ns: u64,
    steps: u64,
}

impl<T: Transition> Search<T> {
    fn new(calls: &[Call<T>]) -> Search<T> {
        let mut ranked = calls.to_vec();
        ranked.sort_unstable_by_key(|call| match call.completed_ns {
            Some(completed_ns) => (false, call.hint, completed_ns, call.invoked_ns, call.source),
            None => (true, 0, 0, call.invoked_ns, call.source),
        });
        let mut events: Vec<(u64, bool, u32)> = Vec::with_capacity(2 * ranked.len());
        for (rank, call) in (0..).zip(&ranked) {
            events.push((call.invoked_ns, false, rank));
            events.extend(call.completed_ns.map(|at_ns| (at_ns, true, rank)));
        }
        // What is called in the nanosecond in which another returns may come before it: calls first.
        events.sort_unstable();

        let mut operations = operations(&ranked);
        for (moment, (_, is_return, rank)) in (0..).zip(&events) {
            let operation = &mut operations[*rank as usize];
            *(if *is_return { &mut operation.returned } else { &mut operation.called }) = moment;
        }
        let mut hinted: Vec<u32> =
            (0..operations.len() as u32).filter(|rank| operations[*rank as usize].is_hinted()).collect();
        hinted.sort_unstable_by_key(|rank| operations[*rank as usize].hint);
        let called: Vec<u32> = events.iter().filter(|event| !event.1).map(|event| event.2).collect();
        let as_returned: Vec<u32> = events.iter().filter(|event| event.1).map(|event| event.2).collect();
        let returned = as_returned.len();
        let words = (operations.len() - returned).div_ceil(64);
        Search {
            returned: returned as u32,
            hinted,
            calls: List::new(called.iter().copied().filter(|rank| (*rank as usize) < returned), returned),
            returns: List::new(as_returned.iter().copied(), returned),
            trail: Vec::new(),
            sum: 0,
            unreturned_taken: vec![0; words],
            demand: Demand::new(&operations, &called, &as_returned),
            visited: Visited::new(words),
            frames: Vec::new(),
            stuck_by_ns: 0,
            steps: 0,
            operations,
        }
    }

    fn run(&mut self, initial: T::State, budget: Budget) -> Found {
        self.enter(initial, None, 0, 0);
        while let Some(frame) = self.frames.last() {
            if self.returns.first().is_none() {
                return Found::Order;
            }
            if self.steps > budget.steps {
                return Found::TooLong;
            }
            if self.visited.bytes() > budget.memory_bytes {
                return Found::TooLarge;
            }
            let (state, trail) = (frame.state, self.trail.len());
            match self.next_candidate() {
                Some(Candidate { rank, after, reached }) => {
                    self.take(rank);
                    self.enter(after, Some((rank, state)), trail, reached);
                }
                None => self.leave(),
            }
        }
        Found::NoOrder { by_ns: self.stuck_by_ns }
    }

    /// Goes on from a state, unless that leads nowhere.
    fn enter(&mut self, state: T::State, taken: Option<(u32, T::State)>, trail: usize, reached: u64) {
        let before = self.trail.len();
        self.absorb(state);
        let alone = self.trail.len() == before;
        let all_returned = self.returned as usize == self.operations.len();
        let next = if all_returned { Next::Returned(0) } else { Next::Hinted(reached) };
        self.frames.push(Frame { state, taken, alone, trail, reached, next });
        let Some(first) = self.returns.first() else { return };
        self.stuck_by(first);
        if self.is_hopeless(first, state) || !self.visited.insert(self.sum, state, &self.unreturned_taken) {
            self.leave();
        }
    }

    /// Takes back the last frame.
    fn leave(&mut self) {
        let frame = self.frames.pop().expect("there is a frame to leave");
        while self.trail.len() > frame.trail {
            self.take_back();
        }
    }

    /// Takes all operations that can come next, have returned, and only look.
    fn absorb(&mut self, state: T::State) {
        let mut next = self.calls.first();
        while let Some(rank) = next.filter(|rank| self.can_come_next(*rank)) {
            self.steps += 1;
            let transition = self.operations[rank as usize].transition;
            if transition.makes() == Makes::Nothing && transition.step(state) == Some(state) {
                self.take(rank);
            }
            // It still knows who came after it if it was taken.
            next = self.calls.after(rank);
        }
    }

    fn stuck_by(&mut self, rank: u32) {
        self.stuck_by_ns = self.stuck_by_ns.max(self.operations[rank as usize].completed_ns);
    }

    fn take(&mut self, rank: u32) {
        self.trail.push(rank);
        self.demand.take(rank);
        if rank < self.returned {
            self.calls.take(rank);
            self.returns.take(rank);
        }
        self.toggle(rank);
    }

    fn take_back(&mut self) {
        let rank = self.trail.pop().expect("there is an operation to take back");
        self.demand.take_back(rank);
        if rank < self.returned {
            self.calls.take_back(rank);
            self.returns.take_back(rank);
        }
        self.toggle(rank);
    }

    fn toggle(&mut self, rank: u32) {
        match rank.checked_sub(self.returned) {
            None => self.sum ^= visited::random(rank),
            Some(bit) => self.unreturned_taken[bit as usize / 64] ^= 1 << (bit % 64),
        }
    }

    fn is_unreturned_taken(&self, rank: u32) -> bool {
        let bit = rank - self.returned;
        self.unreturned_taken[bit as usize / 64] & (1 << (bit % 64)) != 0
    }
}

impl<T> Operation<T> {
    fn is_hinted(&self) -> bool {
        self.completed_ns == u64::MAX && self.hint != u64::MAX
    }
}

fn operations<T: Transition>(ranked: &[Call<T>]) -> Vec<Operation<T>> {
    let mut last_twin: HashMap<T, u32> = HashMap::new();
    let operation = |(rank, call): (u32, &Call<T>)| {
        let Call { transition, completed_ns, hint, .. } = *call;
        let twin = match completed_ns {
            Some(_) => NONE,
            None => last_twin.insert(transition, rank).unwrap_or(NONE),
        };
        let completed_ns = completed_ns.unwrap_or(u64::MAX);
        Operation { transition, called: NONE, returned: NONE, completed_ns, hint, twin }
    };
    (0..).zip(ranked).map(operation).collect()
}
