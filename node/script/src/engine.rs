//! What plays a scenario: a simulator, in virtual time, or real processes, in real time.
//!
//! Invariant: a statement means the same on every engine that can carry it out; what an engine cannot do, it says before
//! anything starts.
//!
//! Deliberately absent: the order of things, timed steps, expectations and when to stop: that is the runner's ([`run`]).
//!
//! [`run`]: crate::run()

use crate::condition::Condition;
use crate::invariant::Invariant;
use crate::scenario::Step;
use crate::view::NodeView;

/// A cluster to which a scenario happens. Its methods may wait; one whose time is virtual never does, and can be run with
/// [`run_at_once`](crate::run_at_once).
pub trait Engine {
    /// How it says that an invariant was broken.
    type Violation;

    /// Which invariant that is.
    fn invariant(violation: &Self::Violation) -> Invariant;

    /// How long the scenario has been going, in microseconds.
    fn now_us(&self) -> u64;

    /// The least time that any expectation has to become true, in microseconds: 0 where things happen at once.
    fn patience_us(&self) -> u64;

    /// Everything happens that is due until then.
    ///
    /// # Errors
    /// Why the scenario goes no further.
    fn pass_until(&mut self, at_us: u64) -> impl Future<Output = Result<(), Halt<Self::Violation>>>;

    /// Something happens, unless nothing does before `end_us`. Says whether something may have changed.
    ///
    /// # Errors
    /// Why the scenario goes no further.
    fn pass_some(&mut self, end_us: u64) -> impl Future<Output = Result<bool, Halt<Self::Violation>>>;

    /// Does what a line says, in all its steps: those that are neither expectations nor the passing of time. Says what a
    /// person should know about it, if there is something.
    ///
    /// # Errors
    /// Why it was not done.
    fn perform(&mut self, line: &[Step]) -> impl Future<Output = Performed<Self::Violation>>;

    /// Whether a condition holds now, or what is the case instead.
    ///
    /// # Errors
    /// Why the scenario goes no further.
    fn observe(&mut self, condition: &Condition) -> impl Future<Output = Observed<Self::Violation>>;

    /// All nodes as they are now, in order; nothing changes by it. What cannot be seen is left out.
    fn look(&mut self) -> impl Future<Output = Vec<NodeView>>;
}

/// That a condition holds, or what is the case instead; or why the scenario goes no further.
pub type Observed<V> = Result<Result<(), String>, Halt<V>>;

/// What a person should know about a line that was done; or why it was not.
pub type Performed<V> = Result<Option<String>, Halt<V>>;

/// Why a step was not done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Halt<V> {
    /// An invariant was broken.
    Broken(V),
    /// Something was not as the scenario says, or could not be done.
    Failed(String),
}
