//! The kill matrix: mutant × judge, for programs and for people.
//!
//! Invariant: but for the times, the same hunts give the same bytes.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::{PURSUIT, Specimen};
use crate::invariant::Invariant;

/// What became of one bug, and how long that took.
#[derive(Clone, Debug)]
pub struct Kill {
    /// What became of it.
    pub specimen: Specimen,
    /// How long the hunt took, in milliseconds of the caller's clock.
    pub took_ms: u64,
}

/// What stands before the table of judges.
const JUDGES: &str = "
## The judges

A judge with no seeds is not blind: whatever it would have seen, another saw earlier, and the run ended there. That it has
teeth is shown by tests beside the simulator's clockwork.

| judge | speaks | bugs it saw first | seeds |
|---|---|--:|--:|
";

/// When a judge speaks.
fn phase(invariant: Invariant) -> &'static str {
    match invariant {
        Invariant::AcknowledgedDurable | Invariant::Linearizable | Invariant::Liveness => "end",
        _ => "step",
    }
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
    let Kill { specimen: Specimen { mutant, first, caught, judges }, took_ms } = kill;
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
    let judges: serde_json::Map<String, Value> = judges
        .iter()
        .map(|(judge, seen)| {
            let seen = json!({ "seeds": seen.seeds, "first_seed": seen.first_seed, "fewest_steps": seen.fewest_steps });
            (judge.name().to_owned(), seen)
        })
        .collect();
    json!({ "name": mutant.name(), "first": first, "seeds_caught": caught, "judges": judges, "took_ms": took_ms })
}

/// The matrix for people.
pub fn markdown(kills: &[Kill], seeds: u64) -> String {
    let caught = kills.iter().filter(|kill| kill.specimen.first.is_some()).count();
    let within = kills.iter().filter(|kill| kill.specimen.caught > 0).count();
    let mut out = format!(
        "# The kill matrix\n\n{} planted bugs on the same {seeds} seeds each: {caught} caught, {within} of them within \
         these seeds. A run ends with the first\ninvariant that is broken; *caught* counts the seeds in which one was, \
         and the last column tells by which.\n`raftianctl sim zoo` makes this page again; only the times differ.\n\n",
        kills.len()
    );
    out.push_str("| planted bug | first seen by | seed | step | caught | time | judges, by seeds |\n");
    out.push_str("|---|---|--:|--:|--:|--:|---|\n");
    for Kill { specimen: Specimen { mutant, first, caught, judges }, took_ms } in kills {
        let first = first.as_ref().map_or_else(
            || "**nobody** | | ".to_owned(),
            |first| format!("{} | {} | {}", first.violation.invariant, first.seed, first.violation.step),
        );
        let mut judges: Vec<_> = judges.iter().collect();
        judges.sort_by_key(|(judge, seen)| (u64::MAX - seen.seeds, **judge));
        let judges: Vec<String> = judges.iter().map(|(judge, seen)| format!("{judge} {}", seen.seeds)).collect();
        let seconds = *took_ms as f64 / 1e3;
        let _ = writeln!(out, "| {} | {first} | {caught} | {seconds:.1} s | {} |", mutant.name(), judges.join(", "));
    }
    out.push_str(JUDGES);
    for judge in Invariant::ALL {
        let firsts =
            kills.iter().flat_map(|kill| &kill.specimen.first).filter(|first| first.violation.invariant == *judge);
        let seen = kills.iter().flat_map(|kill| kill.specimen.judges.get(judge));
        let when = if phase(*judge) == "end" { "at the end of a run" } else { "after every step" };
        let _ =
            writeln!(out, "| {judge} | {when} | {} | {} |", firsts.count(), seen.map(|seen| seen.seeds).sum::<u64>());
    }
    out
}
