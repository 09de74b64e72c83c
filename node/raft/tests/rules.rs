//! Which rules the random schedules reach: all but those that only a server which breaks them could bring about.

use raftian_raft::{Rule, RuleSet};

use crate::random::Schedule;

/// The most schedules that are played.
const SEEDS: u64 = 3_000;

#[test]
fn random_schedules_reach_every_rule_that_honest_servers_can_reach() {
    let mut rules = RuleSet::default();
    let missing = |rules: RuleSet| -> Vec<Rule> {
        rules.missing().filter(|rule| !rule.name().starts_with("contradiction_")).collect()
    };
    for seed in 0..SEEDS {
        rules |= Schedule::new(seed, |_| {}).play().rules;
        if missing(rules).is_empty() {
            break;
        }
    }
    assert_eq!(missing(rules), []);
    let contradictions = rules.missing().count();
    assert_eq!(contradictions, 10, "honest servers never contradict each other");
}
