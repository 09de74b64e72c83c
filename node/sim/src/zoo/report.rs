//! The kill matrix: mutant × judge, for programs and for people.
//!
//! Invariant: but for the times, the same hunts give the same bytes.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::fmt::Write as _;

use raftian_script::Invariant;
use serde_json::{Value, json};

use super::{Judge, PURSUIT, Specimen};
use crate::oracle::RESTING;

/// What became of one bug, and how long that took.
#[derive(Clone, Debug)]
pub struct Kill {
    /// What became of it.
    pub specimen: Specimen,
    /// How long the hunt took, in milliseconds of the caller's clock.
    pub took_ms: u64,
}

/// What stands before the tables of those who are alone.
const ALONE: &str = "
## Each judge alone

What a judge finds changes nothing of what happens in a run or of what the others know. So every run collects the first
violation of each judge, and that is what each would find if it were the only one. Some violations end a run for all of them:
a panic of a server, a storm of messages or of steps, a log that does not open or fails on a disk that works, and a snapshot
that ends with an entry which is in no log. And when two servers take different entries for committed, it is unknown from then
on what is, so the judges that rest on it are not asked any more:
";

/// What stands before the table of judges.
const JUDGES: &str = "
## The judges

| | judge | speaks | bugs it saw first | seeds | bugs it sees alone | seeds | most often |
|---|---|---|--:|--:|--:|--:|---|
";

/// When a judge speaks.
fn phase(invariant: Invariant) -> &'static str {
    match invariant {
        Invariant::Linearizable | Invariant::Liveness | Invariant::Steady => "end",
        Invariant::AcknowledgedDurable => "step and end",
        _ => "step",
    }
}

/// A short name: the initials, or the beginning of a lone word.
fn short(invariant: Invariant) -> String {
    let name = invariant.name().to_uppercase();
    match name.contains('_') {
        true => name.split('_').filter_map(|word| word.chars().next()).collect(),
        false => name.chars().take(4).collect(),
    }
}

/// The judges to which no bug shows itself when they are alone, within the seeds that count.
pub fn toothless(kills: &[Kill]) -> Vec<Invariant> {
    let sees = |judge: &Invariant| kills.iter().any(|kill| kill.specimen.alone.contains_key(judge));
    Invariant::ALL.iter().copied().filter(|judge| !sees(judge)).collect()
}

/// The matrix for programs. `seeds` is how many were counted for each.
pub fn json(kills: &[Kill], seeds: u64) -> Value {
    let judges = Invariant::ALL.iter().map(|judge| json!({ "name": judge.name(), "phase": phase(*judge) }));
    json!({
        "seeds": seeds,
        "pursued_to": seeds * PURSUIT,
        "caught": kills.iter().filter(|kill| kill.specimen.first.is_some()).count(),
        "judges": judges.collect::<Vec<_>>(),
        "mutants": kills.iter().map(row).collect::<Vec<_>>(),
    })
}

fn row(kill: &Kill) -> Value {
    let Kill { specimen: Specimen { mutant, first, caught, firsts, alone }, took_ms } = kill;
    let first = first.as_ref().map(|sighting| {
        let violation = &sighting.violation;
        json!({
            "judge": violation.invariant.name(),
            "seed": sighting.seed,
            "step": violation.step,
            "at_us": violation.at_us,
            "text": violation.text,
        })
    });
    json!({
        "name": mutant.name(),
        "first": first,
        "seeds_caught": caught,
        "firsts": seen_json(firsts),
        "alone": seen_json(alone),
        "took_ms": took_ms,
    })
}

fn seen_json(judges: &BTreeMap<Invariant, Judge>) -> Value {
    let seen = judges.iter().map(|(judge, seen)| {
        let Judge { seeds, first_seed, first_step, fewest_steps } = seen;
        let seen = json!({
            "seeds": seeds,
            "first_seed": first_seed,
            "first_step": first_step,
            "fewest_steps": fewest_steps,
        });
        (judge.name().to_owned(), seen)
    });
    Value::Object(seen.collect())
}

/// The matrix for people.
pub fn markdown(kills: &[Kill], seeds: u64) -> String {
    let caught = kills.iter().filter(|kill| kill.specimen.first.is_some()).count();
    let within = kills.iter().filter(|kill| kill.specimen.caught > 0).count();
    let mut out = format!(
        "# The kill matrix\n\n{} planted bugs on the same {seeds} seeds each: {caught} caught, {within} of them within \
         these seeds. *Caught* counts the\nseeds in which an invariant was broken, and the last column tells which was \
         the first.\n`raftianctl sim zoo` makes this page again; only the times differ.\n\n",
        kills.len()
    );
    out.push_str("| planted bug | first seen by | seed | step | caught | time | who saw it first, by seeds |\n");
    out.push_str("|---|---|--:|--:|--:|--:|---|\n");
    for Kill { specimen: Specimen { mutant, first, caught, firsts, .. }, took_ms } in kills {
        let first = first.as_ref().map_or_else(
            || "**not caught** | | ".to_owned(),
            |first| format!("{} | {} | {}", first.violation.invariant, first.seed, first.violation.step),
        );
        let firsts: Vec<String> =
            by_seeds(firsts).into_iter().map(|(judge, seen)| format!("{judge} {}", seen.seeds)).collect();
        let seconds = *took_ms as f64 / 1e3;
        let _ = writeln!(out, "| {} | {first} | {caught} | {seconds:.1} s | {} |", mutant.name(), firsts.join(", "));
    }
    let resting = RESTING.map(Invariant::name).join(", ");
    let _ = writeln!(out, "{ALONE}{resting}.");
    push_counts(&mut out, kills, seeds);
    push_first_sightings(&mut out, kills, seeds);
    push_judges(&mut out, kills);
    out
}

/// Who speaks most comes first.
fn by_seeds(judges: &BTreeMap<Invariant, Judge>) -> Vec<(&Invariant, &Judge)> {
    let mut judges: Vec<_> = judges.iter().collect();
    judges.sort_by_key(|(judge, seen)| (Reverse(seen.seeds), **judge));
    judges
}

/// Mutant × judge: in how many seeds.
fn push_counts(out: &mut String, kills: &[Kill], seeds: u64) {
    let _ = writeln!(
        out,
        "\nIn how many of the {seeds} seeds does a judge see a bug, alone? Nothing means in none. The short names are \
         those of the\nlast table.\n"
    );
    let heads: Vec<String> = Invariant::ALL.iter().map(|judge| short(*judge)).collect();
    let _ = writeln!(out, "| planted bug | {} |", heads.join(" | "));
    let _ = writeln!(out, "|---|{}", "--:|".repeat(heads.len()));
    for Specimen { mutant, alone, .. } in kills.iter().map(|kill| &kill.specimen) {
        let seen = |judge| alone.get(judge).map_or_else(String::new, |seen: &Judge| seen.seeds.to_string());
        let cells: Vec<String> = Invariant::ALL.iter().map(seen).collect();
        let _ = writeln!(out, "| {} | {} |", mutant.name(), cells.join(" | "));
    }
}

/// Mutant × judge: the first seed, and the step.
fn push_first_sightings(out: &mut String, kills: &[Kill], seeds: u64) {
    let _ = writeln!(
        out,
        "\nAnd where does it see the bug first? Who is not named does not see it in {seeds} seeds.\n\n\
         | planted bug | judges, each alone: first seed (step in it) |\n|---|---|"
    );
    for Specimen { mutant, alone, .. } in kills.iter().map(|kill| &kill.specimen) {
        let seen = by_seeds(alone).into_iter();
        let seen: Vec<String> =
            seen.map(|(judge, seen)| format!("{judge} {} ({})", seen.first_seed, seen.first_step)).collect();
        let _ = writeln!(out, "| {} | {} |", mutant.name(), if seen.is_empty() { "–".into() } else { seen.join(", ") });
    }
}

fn push_judges(out: &mut String, kills: &[Kill]) {
    out.push_str(JUDGES);
    for judge in Invariant::ALL {
        let speaks = match phase(*judge) {
            "end" => "at the end of a run",
            "step" => "after every step",
            _ => "after every step, and at the end of a run",
        };
        let specimens = || kills.iter().map(|kill| &kill.specimen);
        let firsts =
            specimens().flat_map(|specimen| &specimen.first).filter(|first| first.violation.invariant == *judge);
        let first_seeds: u64 = specimens().flat_map(|specimen| specimen.firsts.get(judge)).map(|seen| seen.seeds).sum();
        let alone: Vec<(u64, String)> = specimens()
            .filter_map(|specimen| Some((specimen.alone.get(judge)?.seeds, specimen.mutant.name())))
            .collect();
        // Of equals the first in the table.
        let most = alone.iter().rev().max_by_key(|(seeds, _)| *seeds);
        let most = most.map_or_else(|| "**nothing**".to_owned(), |(_, name)| name.clone());
        let alone_seeds: u64 = alone.iter().map(|(seeds, _)| seeds).sum();
        let _ = writeln!(
            out,
            "| {} | {judge} | {speaks} | {} | {first_seeds} | {} | {alone_seeds} | {most} |",
            short(*judge),
            firsts.count(),
            alone.len(),
        );
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::zoo::hunt;

    #[test]
    fn every_judge_has_a_short_name_of_its_own() {
        let names: BTreeSet<String> = Invariant::ALL.iter().map(|judge| short(*judge)).collect();
        assert_eq!(names.len(), Invariant::ALL.len(), "{names:?}");
    }

    #[test]
    fn the_matrix_tells_who_was_first_and_who_sees_it_alone() {
        let mutant = crate::Mutant::Raft(raftian_raft::Mutant::SpeaksBeforeSync);
        let kills = [Kill { specimen: hunt(mutant, 5, |_| true).expect("it goes on"), took_ms: 1_500 }];
        let page = markdown(&kills, 5);
        let seen = &kills[0].specimen.alone[&Invariant::ElectionQuorum];
        let row = format!("election_quorum {} ({})", seen.first_seed, seen.first_step);
        assert!(page.contains(&row) && page.contains("| 1.5 s |") && page.contains("**nothing**"), "{page}");
        assert!(toothless(&kills).contains(&Invariant::LeaderAppendOnly));
        assert!(!toothless(&kills).contains(&Invariant::ElectionQuorum));
        let alone = &json(&kills, 5)["mutants"][0]["alone"]["election_quorum"];
        assert_eq!((&alone["seeds"], &alone["first_step"]), (&seen.seeds.into(), &seen.first_step.into()));
    }
}
