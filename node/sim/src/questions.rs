//! The questions of clients that one node took in and did not answer yet, and what each waits for.
//!
//! Invariant: this follows from what the simulator handed in and got back, and from the core; the driver is not asked. So a
//! driver that forgets a question and counts it as pending is seen.

use std::collections::BTreeMap;

use raftian_raft::Index;

/// The questions since a node started.
#[derive(Debug, Default)]
pub(crate) struct Questions {
    asked: u64,
    reads: u64,
    /// By number.
    open: BTreeMap<u64, Wait>,
}

/// What comes before an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wait {
    /// Nothing: the core did not take it, its entry was displaced, or its read failed.
    Nothing,
    /// Its entry is to be applied, or another one at this index.
    Entry(Index),
    /// The core is to decide the read of this number.
    Decision(u64),
    /// The read sees a state in which this index is applied.
    Applied(Index),
}

impl Questions {
    /// How many were taken in.
    pub(crate) fn asked(&self) -> u64 {
        self.asked
    }

    /// How many of them are not answered yet.
    pub(crate) fn open(&self) -> usize {
        self.open.len()
    }

    /// One is about to be handed in. Says its number, from 1 on.
    pub(crate) fn ask(&mut self) -> u64 {
        self.asked += 1;
        self.open.insert(self.asked, Wait::Nothing);
        self.asked
    }

    /// The core took this one as an entry. A command whose entry was at this index before waits for nothing any more.
    pub(crate) fn is_proposed(&mut self, number: u64, index: Index) {
        let displaced = self.open.values_mut().filter(|wait| **wait == Wait::Entry(index));
        displaced.for_each(|wait| *wait = Wait::Nothing);
        self.open.insert(number, Wait::Entry(index));
    }

    /// The core took this one as a read. Says the number of its ticket.
    pub(crate) fn is_read(&mut self, number: u64) -> u64 {
        self.reads += 1;
        self.open.insert(number, Wait::Decision(self.reads));
        self.reads
    }

    /// The core has decided a read: it may see a state in which this index is applied, or it failed.
    pub(crate) fn is_decided(&mut self, ticket: u64, index: Option<Index>) {
        let decided = self.open.values_mut().filter(|wait| **wait == Wait::Decision(ticket));
        decided.for_each(|wait| *wait = index.map_or(Wait::Nothing, Wait::Applied));
    }

    /// One is answered or passed on. Says whether it was still to be answered.
    pub(crate) fn is_answered(&mut self, number: u64) -> bool {
        self.open.remove(&number).is_some()
    }

    /// How many should have been answered, when this much is applied and the core has so many reads to decide.
    pub(crate) fn overdue(&self, applied: Index, undecided: usize) -> usize {
        let is_due = |wait: &Wait| match *wait {
            Wait::Nothing => true,
            Wait::Entry(index) | Wait::Applied(index) => index <= applied,
            Wait::Decision(_) => false,
        };
        let undecided_here = self.open.values().filter(|wait| matches!(wait, Wait::Decision(_))).count();
        self.open.values().filter(|wait| is_due(wait)).count() + undecided_here.saturating_sub(undecided)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_is_overdue_when_what_it_waits_for_has_come_about() {
        let mut questions = Questions::default();
        let (command, read, refused) = (questions.ask(), questions.ask(), questions.ask());
        questions.is_proposed(command, 5);
        let ticket = questions.is_read(read);
        assert_eq!((questions.overdue(4, 1), questions.overdue(5, 1)), (1, 2));
        assert!(questions.is_answered(refused) && !questions.is_answered(refused));
        assert_eq!((questions.overdue(4, 1), questions.overdue(4, 0)), (0, 1), "the core has forgotten the read");
        questions.is_decided(ticket, Some(4));
        assert_eq!((questions.overdue(3, 0), questions.overdue(4, 0)), (0, 1));
    }

    #[test]
    fn a_displaced_command_and_a_failed_read_are_overdue_at_once() {
        let mut questions = Questions::default();
        let (first, second, read) = (questions.ask(), questions.ask(), questions.ask());
        questions.is_proposed(first, 5);
        let ticket = questions.is_read(read);
        assert_eq!(questions.overdue(0, 1), 1, "the second is not handed in yet");
        questions.is_proposed(second, 5);
        questions.is_decided(ticket, None);
        assert_eq!(questions.overdue(0, 0), 2);
        assert!(questions.is_answered(first) && questions.is_answered(read));
        assert_eq!((questions.overdue(4, 0), questions.overdue(5, 0), questions.asked()), (0, 1, 3));
    }
}
