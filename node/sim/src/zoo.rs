//! The zoo of planted bugs: every one of them is let loose on the same seeds, and the judges say who sees it: who is the
//! first, and who would be if the others were not there.
//!
//! ```text
//!   Mutant::all ──hunt──▶ Specimen (which judges, at which seed, in which step) ──report──▶ kill-matrix.{json,md}
//! ```
//!
//! Invariants: a hunt is a function of the mutant and the seeds; only the times, which the caller takes, differ from one
//! to the next. Every run hears all judges out ([`hear_out`]), so one run answers both questions.
//!
//! Deliberately absent: a clock, and the printing of panics, which some bugs cause and which count as violations.

mod report;

use std::collections::BTreeMap;

use raftian_script::Invariant;

use crate::draw::draw;
use crate::invariant::Violation;
use crate::run::hear_out;
use crate::settings::Settings;
use raftian_planted::Mutant;

pub use report::{Kill, json, markdown, toothless};

/// How far an unseen bug is pursued, in multiples of the seeds that are counted.
pub const PURSUIT: u64 = 3;

/// The bugs of the pseudocode of "Raftian" (2025).
pub const PSEUDOCODE_2025: [Mutant; 4] = [
    Mutant::Raft(raftian_raft::Mutant::OnlyTermsCompared),
    Mutant::Raft(raftian_raft::Mutant::HalfOfFollowersCommit),
    Mutant::Raft(raftian_raft::Mutant::DeposedLeaderReturns),
    Mutant::Raft(raftian_raft::Mutant::StepBackAndOverwrite),
];

/// What became of one planted bug.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Specimen {
    /// The bug.
    pub mutant: Mutant,
    /// The first that was seen of it; `None` if nobody saw it.
    pub first: Option<Sighting>,
    /// In how many of the seeds that count it was seen.
    pub caught: u64,
    /// What each judge saw of it before all others, in those seeds.
    pub firsts: BTreeMap<Invariant, Judge>,
    /// What each judge would see of it if it were the only one, in those seeds.
    pub alone: BTreeMap<Invariant, Judge>,
}

/// A seed in which a bug was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sighting {
    /// The seed.
    pub seed: u64,
    /// By whom, in which step, and how.
    pub violation: Violation,
}

/// What one judge saw of one bug.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Judge {
    /// In how many seeds it spoke.
    pub seeds: u64,
    /// The first of these.
    pub first_seed: u64,
    /// In which step of that one.
    pub first_step: u64,
    /// In the fewest steps of any.
    pub fewest_steps: u64,
}

impl Judge {
    /// One more seed in which somebody spoke.
    fn note(judges: &mut BTreeMap<Invariant, Judge>, seed: u64, violation: &Violation) {
        let step = violation.step;
        let new = Judge { seeds: 0, first_seed: seed, first_step: step, fewest_steps: step };
        let judge = judges.entry(violation.invariant).or_insert(new);
        (judge.seeds, judge.fewest_steps) = (judge.seeds + 1, judge.fewest_steps.min(step));
    }
}

/// Lets a bug loose on the seeds from 0 on: counts what becomes of the first `seeds` of them, and if that is nothing,
/// goes on until it is seen, but not for ever ([`PURSUIT`]). Before every seed `goes_on` is asked; `None` if it says no.
pub fn hunt(mutant: Mutant, seeds: u64, goes_on: impl Fn(u64) -> bool) -> Option<Specimen> {
    let settings = Settings { mutant: Some(mutant) };
    let mut specimen = Specimen { mutant, first: None, caught: 0, firsts: BTreeMap::new(), alone: BTreeMap::new() };
    for seed in 0..seeds * PURSUIT {
        if seed >= seeds && specimen.first.is_some() {
            break;
        }
        if !goes_on(seed) {
            return None;
        }
        let heard = hear_out(&draw(seed), &settings);
        let Some(first) = heard.first() else { continue };
        if seed < seeds {
            specimen.caught += 1;
            Judge::note(&mut specimen.firsts, seed, first);
            heard.iter().for_each(|violation| Judge::note(&mut specimen.alone, seed, violation));
        }
        specimen.first.get_or_insert_with(|| Sighting { seed, violation: first.clone() });
    }
    Some(specimen)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_bug_has_a_name_of_its_own() {
        let names: Vec<String> = Mutant::all().map(Mutant::name).collect();
        assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len(), "{names:?}");
        assert!(
            names.iter().all(|name| name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')),
            "{names:?}"
        );
        assert_eq!(PSEUDOCODE_2025[1].name(), "half_of_followers_commit");
        assert!(names.contains(&"wal_retries_failed_sync".to_owned()));
    }

    #[test]
    fn a_hunt_counts_every_seed_once_and_can_be_repeated() {
        let mutant = Mutant::Raft(raftian_raft::Mutant::SpeaksBeforeSync);
        let specimen = hunt(mutant, 10, |_| true).unwrap();
        assert_eq!(specimen.firsts.values().map(|judge| judge.seeds).sum::<u64>(), specimen.caught);
        let first = specimen.first.as_ref().unwrap();
        let judge = specimen.firsts[&first.violation.invariant];
        assert_eq!((judge.first_seed, judge.first_step), (first.seed, first.violation.step));
        assert!(specimen.firsts.iter().all(|(judge, seen)| specimen.alone[judge].seeds >= seen.seeds));
        assert!(specimen.alone.len() > specimen.firsts.len(), "it is seen by those who come too late, too");
        assert!(judge.fewest_steps <= first.violation.step);
        assert_eq!(hunt(mutant, 10, |_| true).unwrap(), specimen);
        assert_eq!(hunt(mutant, 10, |seed| seed < 3), None);
    }
}
