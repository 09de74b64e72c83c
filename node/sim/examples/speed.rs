//! How fast the simulator is: `cargo run --release -p raftian-sim --example speed [first seed] [seeds]`.
//!
//! What is counted is the time on the processor, so busy neighbours matter less.

use std::fs;

use raftian_sim::{Fault, Rare, Rule, Settings, Tally, run_seed};

fn main() {
    let mut arguments = std::env::args().skip(1).map(|text| text.parse::<u64>().expect("a number"));
    let (first, seeds) = (arguments.next().unwrap_or(1), arguments.next().unwrap_or(500));
    let mut tally = Tally::default();
    let began = processor_ns();
    for seed in first..first + seeds {
        let report = run_seed(seed, &Settings::default());
        tally.add(&report);
        if report.violation.is_some() {
            println!("{report}");
        }
    }
    let seconds = (processor_ns() - began) as f64 / 1e9;
    let Tally { events, undecided, coverage, followed, violations, .. } = tally;
    println!("{seeds} seeds, {events} events in {seconds:.2} s: {:.0} events/s", events as f64 / seconds);
    println!("{} broken, {undecided} undecided, {} transitions", violations.len(), coverage.distinct());
    let missed: Vec<String> = followed.missing().map(Rule::name).collect();
    println!("{} of {} rules not followed: {}", missed.len(), Rule::ALL.len(), missed.join(", "));
    for fault in Fault::ALL {
        println!("{:<24} {:>9} in {} seeds", fault.name(), coverage.took_effect(*fault), coverage.drawn(*fault));
    }
    for rare in Rare::ALL {
        println!("{:<24} {:>9}", rare.name(), coverage.rare(*rare));
    }
}

/// How long this thread has been on a processor.
fn processor_ns() -> u64 {
    let text = fs::read_to_string("/proc/thread-self/schedstat").expect("this is Linux");
    text.split(' ').next().and_then(|first| first.parse().ok()).expect("the first number of schedstat")
}
