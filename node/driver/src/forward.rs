//! A client's question that was passed on to the leader, and what its client may hear of it.
//!
//! Invariant: a client hears that nothing has happened only if no copy of its question can be taken in any more.
//!
//! Deliberately absent: the waiting, and the errors on the wire. The host knows both.

use raftian_faults::Verdict;

use crate::mutant::{Mutant, Planted};

/// A question on its way to the leader, as [`Links::question_leaves`](crate::Links::question_leaves) let it go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Forwarded {
    /// A second copy is on its way. It may be taken in whatever the leader says to the first one.
    is_doubled: bool,
}

/// What the server that passed a question on has heard of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard<T> {
    /// The leader's answer: the command was applied, or the read was served.
    Answer(T),
    /// The leader took it in, and says why the command was not applied or the read not served.
    Failure(T),
    /// It was not taken in: it never left, or no server could be reached, or the one that was reached does not lead.
    NotTaken,
    /// Nothing, and an answer that comes later is not read.
    Silence,
}

/// Why there is no answer to hand on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unanswered {
    /// No leader took the question in: nothing has happened.
    NoLeader,
    /// What became of it cannot be known.
    Unknown,
}

impl Forwarded {
    pub(crate) fn of(verdict: &Verdict, planted: Planted) -> Forwarded {
        Forwarded { is_doubled: matches!(verdict, Verdict::Twice(..)) && !planted.has(Mutant::ForwardedCopyForgotten) }
    }

    /// What the client gets: what the leader said, or what can be said without it.
    ///
    /// # Errors
    /// When what the leader said, if anything, is not all that may become of the question.
    pub fn end<T>(self, heard: Heard<T>) -> Result<T, Unanswered> {
        match heard {
            Heard::Answer(answer) => Ok(answer),
            _ if self.is_doubled => Err(Unanswered::Unknown),
            Heard::Failure(failure) => Ok(failure),
            Heard::NotTaken => Err(Unanswered::NoLeader),
            Heard::Silence => Err(Unanswered::Unknown),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn passed_on(verdict: Verdict) -> Forwarded {
        Forwarded::of(&verdict, Planted::default())
    }

    #[test]
    fn a_single_question_fares_as_the_leader_says() {
        let single = passed_on(Verdict::Delay(Duration::from_millis(5)));
        assert_eq!(single.end(Heard::Answer(7)), Ok(7));
        assert_eq!(single.end(Heard::Failure(7)), Ok(7));
        assert_eq!(single.end::<u8>(Heard::NotTaken), Err(Unanswered::NoLeader));
        assert_eq!(single.end::<u8>(Heard::Silence), Err(Unanswered::Unknown));
    }

    #[test]
    fn a_refusal_says_nothing_of_the_copy_of_a_question() {
        let doubled = passed_on(Verdict::Twice(Duration::ZERO, Duration::from_millis(5)));
        assert_eq!(doubled.end(Heard::Answer(7)), Ok(7), "the copy is a retry of what was applied");
        for heard in [Heard::Failure(7), Heard::NotTaken, Heard::Silence] {
            assert_eq!(doubled.end(heard), Err(Unanswered::Unknown), "{heard:?}");
        }
    }
}
