//! The shortest story of a planted bug: `cargo run --release -p raftian-sim --features mutants --example counterexample
//! NAME [SEEDS | SEED..SEED] [JUDGE] [svg]`.
//!
//! Among the first SEEDS seeds (1,000), or those of a range, the ones in which the bug is seen in the fewest steps, by this
//! judge or by any, are cut down to what shows it. Of those in which a client was told that something is done, if there are any, the one with the
//! shortest chart is shown.

use std::ops::RangeInclusive;
use std::panic;

use raftian_script::{Invariant, Schedule};
use raftian_sim::chart::{self, View};
use raftian_sim::{Mutant, Settings, draw, minimise, run_seed, watch};

/// How many stories are cut down before one is chosen.
const STORIES: usize = 40;
/// How many runs one of them may cost.
const RUNS: usize = 800;

fn main() -> Result<(), String> {
    let mut arguments = std::env::args().skip(1);
    let name = arguments.next().ok_or("which bug?")?;
    let mutant = Mutant::all().find(|mutant| mutant.name() == name).ok_or("there is no bug of this name")?;
    let settings = Settings { mutant: Some(mutant) };
    let (mut seeds, mut judge, mut is_svg) = (0..=999, None, false);
    for argument in arguments {
        let named = Invariant::ALL.iter().find(|invariant| invariant.name() == argument);
        match (range(&argument), named) {
            (Some(range), _) => seeds = range,
            (_, Some(named)) => judge = Some(*named),
            _ if argument == "svg" => is_svg = true,
            _ => return Err(format!("`{argument}` is no number of seeds, no judge, and not svg")),
        }
    }
    // Some bugs make a server panic, which is told as a violation.
    panic::set_hook(Box::new(|_| {}));
    let quickest = quickest(seeds, judge, &settings).into_iter();
    let stories = quickest.filter_map(|seed| minimise(&draw(seed), &settings, RUNS));
    let shortest = stories.min_by_key(|script| rank(&chart(script, &settings)));
    let script = shortest.ok_or("nobody sees it in these seeds")?;
    if is_svg {
        print!("{}", chart::svg(&watch(&script, &settings).1, &View::default()));
        return Ok(());
    }
    println!("{name}, seed {}, {} actions are left\n{:?}", script.seed, script.actions.len(), script.plan);
    script.actions.iter().for_each(|timed| println!("{:>10} µs  {:?}", timed.at_us, timed.action));
    println!("{}\n\n{}", watch(&script, &settings).0, chart(&script, &settings));
    Ok(())
}

/// `7` is the first seven seeds, `3..5` are three of them.
fn range(text: &str) -> Option<RangeInclusive<u64>> {
    match text.split_once("..") {
        Some((first, last)) => Some(first.parse().ok()?..=last.parse().ok()?),
        None => text.parse::<u64>().ok()?.checked_sub(1).map(|last| 0..=last),
    }
}

/// What is shown first.
fn rank(chart: &str) -> (bool, usize) {
    (!chart.contains("is told that it is done"), chart.lines().count())
}

fn chart(script: &Schedule, settings: &Settings) -> String {
    chart::text(&watch(script, settings).1, &View::default())
}

/// The seeds that show the bug in the fewest steps.
fn quickest(seeds: RangeInclusive<u64>, judge: Option<Invariant>, settings: &Settings) -> Vec<u64> {
    let shows = |seed| {
        let violation = run_seed(seed, settings).violation?;
        judge.is_none_or(|judge| judge == violation.invariant).then_some((violation.step, seed))
    };
    let mut shown: Vec<(u64, u64)> = seeds.filter_map(shows).collect();
    shown.sort_unstable();
    shown.into_iter().take(STORIES).map(|(_, seed)| seed).collect()
}
