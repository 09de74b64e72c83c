//! Who is heard: the first judge that protests, or all of them to the end.
//!
//! Invariant: what is said here changes nothing of what is seen or remembered. So when all are heard out, each says what
//! it would say if it were the only one. It speaks once.
//!
//! Deliberately absent: the time, which the world puts to what it finds here.

use crate::invariant::{Check, Finding, Invariant};

/// Whoever hears the judges.
#[derive(Debug, Default)]
pub(crate) struct Jury {
    /// Whether the run goes on when an invariant is broken.
    hears_out: bool,
    /// Who has spoken, and who need not be asked any more.
    done: Vec<Invariant>,
    /// What was said since it was asked last.
    news: Vec<Finding>,
}

impl Jury {
    /// From now on hears all out.
    pub(crate) fn hear_out(&mut self) {
        self.hears_out = true;
    }

    /// Protests unless `holds`. What follows must make sense all the same; where it cannot, see
    /// [`require`](crate::invariant::require).
    ///
    /// # Errors
    /// The finding, if it is to end the run.
    pub(crate) fn require(&mut self, holds: bool, invariant: Invariant, text: impl FnOnce() -> String) -> Check {
        if holds { Ok(()) } else { self.protest(invariant, text) }
    }

    /// This is broken.
    ///
    /// # Errors
    /// The finding, if it is to end the run.
    #[cold]
    pub(crate) fn protest(&mut self, invariant: Invariant, text: impl FnOnce() -> String) -> Check {
        if !self.hears_out {
            return Err(Finding { invariant, text: text() });
        }
        if self.is_awaited(invariant) {
            self.done.push(invariant);
            self.news.push(Finding { invariant, text: text() });
        }
        Ok(())
    }

    /// These judges rest on what is not certain any more, and are not heard from now on.
    pub(crate) fn excuse(&mut self, judges: &[Invariant]) {
        self.done.extend_from_slice(judges);
    }

    /// Whether a judge may yet say something.
    pub(crate) fn is_awaited(&self, invariant: Invariant) -> bool {
        !self.done.contains(&invariant)
    }

    /// What was said since this was asked last, in order.
    pub(crate) fn take_news(&mut self) -> Vec<Finding> {
        std::mem::take(&mut self.news)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_ends_the_run_unless_all_are_heard_out_once_each() {
        let (one, other, third) = (Invariant::ElectionSafety, Invariant::LogMatching, Invariant::ExactlyOnce);
        let mut jury = Jury::default();
        assert!(jury.require(true, one, String::new).is_ok());
        assert_eq!(jury.require(false, one, || "first".to_owned()).unwrap_err().text, "first");

        jury.hear_out();
        jury.excuse(&[third]);
        for (judge, text) in [(one, "a"), (other, "b"), (one, "c"), (third, "d")] {
            assert!(jury.require(false, judge, || text.to_owned()).is_ok());
        }
        let said: Vec<(Invariant, String)> = jury.take_news().into_iter().map(|f| (f.invariant, f.text)).collect();
        assert_eq!(said, [(one, "a".to_owned()), (other, "b".to_owned())]);
        assert!(jury.take_news().is_empty());
    }
}
