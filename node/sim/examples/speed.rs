//! How fast the simulator is: `cargo run --release -p raftian-sim --example speed [first seed] [seeds] [times]`.
//!
//! With `times`, everything that a seed draws happens so many times, one after another: so long runs are seen to cost what
//! they should, and the slowest seeds are named.
//!
//! What is counted is the time on the processor, so busy neighbours matter less.

use std::fs;

use raftian_script::{Schedule, Timed};
use raftian_sim::{Fault, Rare, Rule, Settings, Tally, draw, run};

/// How many of the slowest seeds are named.
const SLOWEST: usize = 5;

fn main() {
    let mut arguments = std::env::args().skip(1).map(|text| text.parse::<u64>().expect("a number"));
    let (first, seeds) = (arguments.next().unwrap_or(1), arguments.next().unwrap_or(500));
    let times = arguments.next().unwrap_or(1);
    let mut tally = Tally::default();
    let mut costs = Vec::new();
    let began = processor_ns();
    for seed in first..first + seeds {
        let schedule = lengthen(draw(seed), times);
        let started = processor_ns();
        let report = run(&schedule, &Settings::default());
        costs.push(((processor_ns() - started) / report.events.max(1), seed, report.events));
        tally.add(&report);
        if report.violation.is_some() {
            println!("{report}");
        }
    }
    let seconds = (processor_ns() - began) as f64 / 1e9;
    let Tally { events, undecided, coverage, followed, violations, .. } = tally;
    println!("{seeds} seeds, {events} events in {seconds:.2} s: {:.0} events/s", events as f64 / seconds);
    let (broken, undecided) = (violations.len(), undecided.len());
    println!("{broken} broken, {undecided} undecided, {} transitions", coverage.distinct());
    costs.sort_unstable_by(|a, b| b.cmp(a));
    for (ns, seed, events) in costs.iter().take(SLOWEST) {
        println!("seed {seed}: {ns} ns for each of {events} events");
    }
    let missed: Vec<String> = followed.missing().map(Rule::name).collect();
    println!("{} of {} rules not followed: {}", missed.len(), Rule::ALL.len(), missed.join(", "));
    for fault in Fault::ALL {
        println!("{:<24} {:>9} in {} seeds", fault.name(), coverage.took_effect(*fault), coverage.drawn(*fault));
    }
    for rare in Rare::ALL {
        println!("{:<24} {:>9}", rare.name(), coverage.rare(*rare));
    }
}

/// All that a schedule has happens so many times, one after another.
fn lengthen(schedule: Schedule, times: u64) -> Schedule {
    let shifted = |by_us| {
        let later = move |timed: &Timed| Timed { at_us: timed.at_us + by_us, ..timed.clone() };
        schedule.actions.iter().map(later)
    };
    let actions = (0..times).flat_map(|time| shifted(time * schedule.end_us)).collect();
    Schedule { actions, end_us: times * schedule.end_us, ..schedule.clone() }
}

/// How long this thread has been on a processor.
fn processor_ns() -> u64 {
    let text = fs::read_to_string("/proc/thread-self/schedstat").expect("this is Linux");
    text.split(' ').next().and_then(|first| first.parse().ok()).expect("the first number of schedstat")
}
