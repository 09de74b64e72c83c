//! What many runs came to, added up.
//!
//! Invariant: it does not matter in which order runs are added, nor in how many tallies.

use crate::coverage::Coverage;
use crate::invariant::Violation;
use crate::rules::Followed;
use crate::run::RunReport;

/// The sum of many runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// How many runs there were.
    pub seeds: u64,
    /// How many events.
    pub events: u64,
    /// How many entries were committed.
    pub committed: u64,
    /// How many operations of clients were acknowledged.
    pub acknowledged: u64,
    /// The seeds whose histories were too hard to judge, in order.
    pub undecided: Vec<u64>,
    /// What was broken, by seed, in the order of seeds.
    pub violations: Vec<(u64, Violation)>,
    /// What was reached.
    pub coverage: Coverage,
    /// The rules of the core that were followed.
    pub followed: Followed,
}

impl Tally {
    /// Adds a run.
    pub fn add(&mut self, report: &RunReport) {
        self.seeds += 1;
        self.events += report.events;
        self.committed += report.committed;
        self.acknowledged += report.acknowledged;
        self.coverage.add(&report.coverage);
        self.followed.add(report.rules);
        self.note(
            report.violation.iter().map(|violation| (report.seed, violation.clone())),
            report.undecided.then_some(report.seed),
        );
    }

    /// Adds what another tally has.
    pub fn merge(&mut self, other: Tally) {
        self.seeds += other.seeds;
        self.events += other.events;
        self.committed += other.committed;
        self.acknowledged += other.acknowledged;
        self.coverage.add(&other.coverage);
        self.followed.merge(&other.followed);
        self.note(other.violations, other.undecided);
    }

    fn note(
        &mut self,
        violations: impl IntoIterator<Item = (u64, Violation)>,
        undecided: impl IntoIterator<Item = u64>,
    ) {
        self.violations.extend(violations);
        self.violations.sort_by_key(|(seed, _)| *seed);
        self.undecided.extend(undecided);
        self.undecided.sort_unstable();
    }
}

#[cfg(test)]
mod tests {
    use raftian_raft::Rule;
    use raftian_script::Invariant;

    use super::*;
    use crate::{Settings, run_seed};

    #[test]
    fn the_order_of_runs_does_not_matter() {
        let mut reports: Vec<RunReport> = (1..4).map(|seed| run_seed(seed, &Settings::default())).collect();
        let text = "planted by this test".to_owned();
        reports[2].violation =
            Some(Violation { invariant: Invariant::Composure, step: 1, at_us: 1, text: text.clone() });
        reports[0].violation = Some(Violation { invariant: Invariant::Liveness, step: 2, at_us: 2, text });
        (reports[2].undecided, reports[1].undecided) = (true, true);
        let mut forwards = Tally::default();
        reports.iter().for_each(|report| forwards.add(report));
        let mut parts = [Tally::default(), Tally::default()];
        reports.iter().rev().zip([0, 1, 0]).for_each(|(report, part)| parts[part].add(report));
        let [mut backwards, other] = parts;
        backwards.merge(other);
        assert_eq!(forwards, backwards);
        assert_eq!(forwards.undecided, [2, 3]);
        assert_eq!((forwards.seeds, forwards.violations.len(), forwards.violations[0].0), (3, 2, 1));
        assert_eq!(
            (forwards.followed.runs(Rule::ElectionWon), forwards.followed.runs(Rule::ContradictionMisdirected)),
            (3, 0)
        );
        assert!(forwards.followed.missing().any(|rule| rule == Rule::ContradictionMisdirected));
        assert_eq!(forwards.events, reports.iter().map(|report| report.events).sum::<u64>());
    }
}
