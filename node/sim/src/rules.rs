//! In how many runs each rule of the core was followed.
//!
//! Invariant: it does not matter in which order runs are added.

use raftian_raft::{Rule, RuleSet};

/// Counts of runs, by rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Followed {
    runs: [u64; Rule::ALL.len()],
}

impl Default for Followed {
    fn default() -> Followed {
        Followed { runs: [0; Rule::ALL.len()] }
    }
}

impl Followed {
    /// In how many runs a server followed this rule.
    pub fn runs(&self, rule: Rule) -> u64 {
        self.runs[rule as usize]
    }

    /// The rules that no run followed, in order.
    pub fn missing(&self) -> impl Iterator<Item = Rule> {
        Rule::ALL.iter().copied().filter(|rule| self.runs(*rule) == 0)
    }

    /// Of these, the ones that servers which follow the rules can reach among themselves.
    pub fn missing_of_sound(&self) -> impl Iterator<Item = Rule> {
        self.missing().filter(|rule| !needs_broken(*rule))
    }

    /// The rules about what no server that follows the rules would send. Only a broken server shows them, so no seed does.
    pub fn needing_broken() -> impl Iterator<Item = Rule> {
        Rule::ALL.iter().copied().filter(|rule| needs_broken(*rule))
    }

    /// Adds a run in which these were followed.
    pub(crate) fn add(&mut self, rules: RuleSet) {
        for (runs, rule) in self.runs.iter_mut().zip(Rule::ALL) {
            *runs += u64::from(rules.contains(*rule));
        }
    }

    /// Adds what others have counted.
    pub(crate) fn merge(&mut self, other: &Followed) {
        self.runs.iter_mut().zip(other.runs).for_each(|(runs, others)| *runs += others);
    }
}

/// They come last.
fn needs_broken(rule: Rule) -> bool {
    rule >= Rule::ContradictionCommitted
}
