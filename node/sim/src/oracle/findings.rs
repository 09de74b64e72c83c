//! Collects what the judges find: the first violation, which ends a run, or all of them up to its end.
//!
//! Invariant: what is found changes nothing of what is seen or remembered. So when all are collected, each judge finds what
//! it would find if it were the only one; and it is recorded once.
//!
//! Deliberately absent: the time, which the world adds.

use raftian_script::Invariant;

use crate::invariant::{Check, Finding};

/// The violations of a run.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    /// Whether the run goes on when an invariant is broken.
    collects_all: bool,
    /// The invariants that were found broken, or are not checked any more.
    done: Vec<Invariant>,
    /// What was found since it was taken last.
    new: Vec<Finding>,
}

impl Findings {
    /// From now on a violation does not end the run.
    pub(crate) fn collect_all(&mut self) {
        self.collects_all = true;
    }

    /// Reports a violation unless `holds`. What follows must make sense all the same; where it cannot, see
    /// [`require`](crate::invariant::require).
    ///
    /// # Errors
    /// The finding, if it is to end the run.
    pub(crate) fn require(&mut self, holds: bool, invariant: Invariant, text: impl FnOnce() -> String) -> Check {
        if holds { Ok(()) } else { self.report(invariant, text) }
    }

    /// This invariant is broken.
    ///
    /// # Errors
    /// The finding, if it is to end the run.
    #[cold]
    pub(crate) fn report(&mut self, invariant: Invariant, text: impl FnOnce() -> String) -> Check {
        if !self.collects_all {
            return Err(Finding { invariant, text: text() });
        }
        if self.is_checked(invariant) {
            self.done.push(invariant);
            self.new.push(Finding { invariant, text: text() });
        }
        Ok(())
    }

    /// These invariants rest on what is not certain any more, and are not checked from now on.
    pub(crate) fn exclude(&mut self, invariants: &[Invariant]) {
        self.done.extend_from_slice(invariants);
    }

    /// Whether an invariant may yet be found broken.
    pub(crate) fn is_checked(&self, invariant: Invariant) -> bool {
        !self.done.contains(&invariant)
    }

    /// What was found since this was asked last, in order.
    pub(crate) fn take_new(&mut self) -> Vec<Finding> {
        std::mem::take(&mut self.new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_violation_ends_the_run_unless_all_are_collected_once_each() {
        let (one, other, third) = (Invariant::ElectionSafety, Invariant::LogMatching, Invariant::ExactlyOnce);
        let mut findings = Findings::default();
        assert!(findings.require(true, one, String::new).is_ok());
        assert_eq!(findings.require(false, one, || "first".to_owned()).unwrap_err().text, "first");

        findings.collect_all();
        findings.exclude(&[third]);
        for (judge, text) in [(one, "a"), (other, "b"), (one, "c"), (third, "d")] {
            assert!(findings.require(false, judge, || text.to_owned()).is_ok());
        }
        let said: Vec<(Invariant, String)> = findings.take_new().into_iter().map(|f| (f.invariant, f.text)).collect();
        assert_eq!(said, [(one, "a".to_owned()), (other, "b".to_owned())]);
        assert!(findings.take_new().is_empty());
    }
}
