//! What is tried next: which operations, and in which order.
//!
//! Where the next operation in the order of the hints does not fit, something must come before it that never returned:
//! first what is guessed to, then what makes the state it needs. Only then come the operations that returned, and last
//! those that did not.
//!
//! Invariant: whatever can be of use is tried at last. What is passed over could not have led anywhere, or leads nowhere
//! that is not reached without it.

use super::{NONE, Search, Transition};

/// What is to be tried next from a frame.
#[derive(Clone, Copy)]
pub(super) enum Next {
    /// The unreturned operations that are guessed to come before the next that returned, after this hint.
    Hinted(u64),
    /// The unreturned operations that make what the next in order needs, from this one of them on.
    Wanted(usize),
    /// The operations that returned, from this rank on.
    Returned(u32),
    /// The others, from this rank on.
    Unreturned(u32),
}

/// An operation to try.
pub(super) struct Candidate<S> {
    pub(super) rank: u32,
    /// The state after it.
    pub(super) after: S,
    /// The hint up to which the order is made with it.
    pub(super) reached: u64,
}

impl<T: Transition> Search<T> {
    /// The operation to try next from the last frame; `None` when all have been.
    pub(super) fn next_candidate(&mut self) -> Option<Candidate<T::State>> {
        loop {
            let frame = self.frames.last().expect("there is a frame");
            let (state, reached) = (frame.state, frame.reached);
            let (found, next) = match frame.next {
                Next::Hinted(after) => match self.hinted(state, after) {
                    Some((rank, hint)) => (Some((rank, hint)), Next::Hinted(hint)),
                    None => (None, Next::Wanted(0)),
                },
                Next::Wanted(nth) => match self.wanted(state, nth) {
                    Some(rank) => (Some((rank, reached)), Next::Wanted(nth + 1)),
                    None => (None, Next::Returned(0)),
                },
                Next::Returned(untried) => match self.first_returned(state, untried) {
                    Some(rank) => (Some((rank, self.operations[rank as usize].hint)), Next::Returned(rank + 1)),
                    None => (None, Next::Unreturned(self.returned)),
                },
                Next::Unreturned(untried) => {
                    let rank = self.first_unreturned(state, untried)?;
                    (Some((rank, reached)), Next::Unreturned(rank + 1))
                }
            };
            self.frames.last_mut().expect("there is a frame").next = next;
            let Some((rank, reached)) = found else { continue };
            let after = self.operations[rank as usize].transition.step(state).expect("a candidate fits");
            if after == state || self.may_leave(state, rank) {
                return Some(Candidate { rank, after, reached });
            }
        }
    }

    /// Where the next in order does not fit: of the unreturned operations that are guessed to stand before it, and after
    /// this hint, the first of the least that make it fit; and its hint.
    fn hinted(&mut self, state: T::State, after: u64) -> Option<(u32, u64)> {
        const MOST: usize = 64;
        let operation = |rank: u32| &self.operations[rank as usize];
        let target = operation(self.target()?);
        if target.transition.step(state).is_some() {
            return None;
        }
        let begin = self.hinted.partition_point(|rank| operation(*rank).hint <= after);
        let end = self.hinted.partition_point(|rank| operation(*rank).hint < target.hint);
        let between = self.hinted.get(begin.max(end.saturating_sub(MOST))..end)?;
        let make_it_fit = |ranks: &[u32]| {
            let step = |state, rank: &u32| operation(*rank).transition.step(state);
            ranks.iter().try_fold(state, step).is_some_and(|state| target.transition.step(state).is_some())
        };
        let start = (0..between.len()).rev().find(|start| make_it_fit(&between[*start..]))?;
        let (rank, hint) = (self.first_twin(between[start]), operation(between[start]).hint);
        (self.can_come_next(rank) && self.is_candidate(rank, state)).then_some((rank, hint))
    }

    /// Of those that do the same as this one and were called no later, the first that is not taken.
    fn first_twin(&self, mut rank: u32) -> u32 {
        loop {
            match self.operations[rank as usize].twin {
                twin if twin == NONE || self.is_unreturned_taken(twin) => return rank,
                twin => rank = twin,
            }
        }
    }

    /// Of the operations that returned and can come next, the one that should.
    fn target(&self) -> Option<u32> {
        let (mut target, mut next) = (NONE, self.calls.first());
        while let Some(rank) = next.filter(|rank| self.can_come_next(*rank)) {
            target = target.min(rank);
            next = self.calls.after(rank);
        }
        (target != NONE).then_some(target)
    }

    /// Of the unreturned operations that make the next in order fit, if it does not: the `nth`.
    fn wanted(&mut self, state: T::State, nth: usize) -> Option<u32> {
        let target = self.operations[self.target()? as usize].transition;
        if target.step(state).is_some() {
            return None;
        }
        let makers = self.demand.unreturned_makers(target.needs()?).into_iter();
        let mut makes_it_fit = |rank: &u32| {
            let after = self.operations[*rank as usize].transition.step(state);
            after.is_some_and(|after| target.step(after).is_some())
                && self.can_come_next(*rank)
                && self.is_candidate(*rank, state)
        };
        makers.filter(|rank| makes_it_fit(rank)).nth(nth)
    }

    /// Of the operations that returned and fit next, the first in rank.
    fn first_returned(&mut self, state: T::State, untried: u32) -> Option<u32> {
        let (mut first, mut next) = (NONE, self.calls.first());
        while let Some(rank) = next.filter(|rank| self.can_come_next(*rank)) {
            if (untried..first).contains(&rank) && self.is_candidate(rank, state) {
                first = rank;
            }
            next = self.calls.after(rank);
        }
        (first != NONE).then_some(first)
    }

    /// Of the operations that never returned and fit next, the first in rank.
    fn first_unreturned(&mut self, state: T::State, untried: u32) -> Option<u32> {
        let all = &self.operations[untried as usize..];
        let end = untried + all.partition_point(|operation| operation.called < self.deadline()) as u32;
        (untried..end).find(|rank| self.is_candidate(*rank, state))
    }

    /// Whether it was called before any that is not taken returned.
    pub(super) fn can_come_next(&self, rank: u32) -> bool {
        self.operations[rank as usize].called < self.deadline()
    }

    /// The moment of the return that is next.
    fn deadline(&self) -> u32 {
        self.returns.first().map_or(NONE, |first| self.operations[first as usize].returned)
    }

    /// Whether taking it may be of use, if it can come next.
    fn is_candidate(&mut self, rank: u32, state: T::State) -> bool {
        self.steps += 1;
        let operation = &self.operations[rank as usize];
        let Some(after) = operation.transition.step(state) else { return false };
        if rank >= self.returned
            && (after == state
                || self.is_unreturned_taken(rank)
                || operation.twin != NONE && !self.is_unreturned_taken(operation.twin))
        {
            return false;
        }
        let frame = self.frames.last().expect("there is a frame");
        let idle = frame.taken.filter(|(taken, _)| frame.alone && *taken >= self.returned);
        idle.is_none_or(|(_, before)| operation.transition.step(before) != Some(after))
    }

    /// Whether the operation that returns next can never fit.
    pub(super) fn is_hopeless(&mut self, first: u32, state: T::State) -> bool {
        let transition = self.operations[first as usize].transition;
        transition.step(state).is_none() && transition.needs().is_some_and(|needed| !self.is_made(needed, first))
    }

    /// Whether the state may be left by taking `rank`: nobody else needs it, or it is made again in time.
    fn may_leave(&mut self, state: T::State, rank: u32) -> bool {
        let Some(needer) = self.demand.first_needer(state, rank) else { return true };
        let is_made = self.is_made(state, needer);
        if !is_made {
            self.stuck_by(needer);
        }
        is_made
    }

    /// Whether an operation yet to be taken may make the state before `needer` returns.
    fn is_made(&mut self, state: T::State, needer: u32) -> bool {
        let returned = self.operations[needer as usize].returned;
        self.demand.first_makers(state).any(|maker| self.operations[maker as usize].called < returned)
    }
}
