//! How fast the simulator is: `cargo run --release -p raftian-sim --example speed [first seed] [seeds]`.
//!
//! What is counted is the time on the processor, so busy neighbours matter less.

use std::fs;

use raftian_sim::{Coverage, Rare, Settings, run_seed};

fn main() {
    let mut arguments = std::env::args().skip(1).map(|text| text.parse::<u64>().expect("a number"));
    let (first, seeds) = (arguments.next().unwrap_or(1), arguments.next().unwrap_or(500));
    let (mut events, mut broken, mut undecided) = (0, 0, 0);
    let mut coverage = Coverage::default();
    let began = processor_ns();
    for seed in first..first + seeds {
        let report = run_seed(seed, &Settings::default());
        events += report.events;
        undecided += u64::from(report.undecided);
        coverage.add(&report.coverage);
        if report.violation.is_some() {
            broken += 1;
            println!("{report}");
        }
    }
    let seconds = (processor_ns() - began) as f64 / 1e9;
    println!("{seeds} seeds, {events} events in {seconds:.2} s: {:.0} events/s", events as f64 / seconds);
    println!("{broken} broken, {undecided} undecided, {} transitions", coverage.distinct());
    for rare in Rare::ALL {
        println!("{:<24} {:>9}", rare.name(), coverage.rare(*rare));
    }
}

/// How long this thread has been on a processor.
fn processor_ns() -> u64 {
    let text = fs::read_to_string("/proc/thread-self/schedstat").expect("this is Linux");
    text.split(' ').next().and_then(|first| first.parse().ok()).expect("the first number of schedstat")
}
