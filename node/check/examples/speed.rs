//! How long the judges take, and how much memory: `cargo run --release -p raftian-check --example speed`.
//!
//! Each figure is of a run made up by the tests' own plan. The memory is the process's peak so far, the history included;
//! with a name as argument only that figure is taken, so that its peak is its own.

#[path = "../tests/check/plan.rs"]
mod plan;

use std::fs;
use std::time::Instant;

use plan::Plan;
use raftian_check::apps::AppKind;
use raftian_check::{Bounds, Verdict, judge, linearizability};

const MANY_KEYS: Plan = Plan {
    app: AppKind::Kv,
    clients: 64,
    operations: 1_000_000,
    objects: 1_000,
    values: 1_000,
    unknown_percent: 0,
    seed: 1,
};

const ONE_KEY: Plan = Plan { operations: 100_000, objects: 1, ..MANY_KEYS };

/// Takes a figure of a plan, and prints it under a name.
type Measure = fn(&str, Plan);

fn main() {
    let only = std::env::args().nth(1);
    let few_clients = Plan { clients: 16, ..ONE_KEY };
    let game = Plan { app: AppKind::Attack, objects: 5, ..MANY_KEYS };
    let figures: [(&str, Plan, Measure); 9] = [
        ("search-1000-keys", MANY_KEYS, search),
        ("search-1000-keys-unhinted", MANY_KEYS, search_unhinted),
        ("search-1-key", ONE_KEY, search),
        ("search-1-key-unhinted", few_clients, search_unhinted),
        ("search-5-players", game, search),
        ("judge-1000-keys", MANY_KEYS, judge_all),
        ("judge-1-key", ONE_KEY, judge_all),
        ("judge-1-key-5%-unknown", Plan { unknown_percent: 5, ..ONE_KEY }, judge_all),
        ("judge-5-players", game, judge_all),
    ];
    for (name, plan, measure) in figures {
        if only.as_ref().is_none_or(|only| only == name) {
            measure(name, plan);
        }
    }
}

/// The search, with the indexes that clients were told to go by.
fn search(name: &str, plan: Plan) {
    let run = plan.run();
    let began = Instant::now();
    let found = linearizability(&run.history, &run.setup, Bounds::default());
    report(name, began, found.verdict(), &format!("{} steps", found.steps));
}

/// The search, without anything to go by.
fn search_unhinted(name: &str, plan: Plan) {
    let run = plan.run();
    let history = run.without_indexes();
    let began = Instant::now();
    let found = linearizability(&history, &run.setup, Bounds::default());
    report(name, began, found.verdict(), &format!("{} steps", found.steps));
}

/// Both judges, with the logs of three servers.
fn judge_all(name: &str, plan: Plan) {
    let run = plan.run();
    let began = Instant::now();
    let found = judge(&run.history, &run.replicas, &run.setup);
    let steps = found.linearizability.map_or(0, |found| found.steps);
    report(name, began, found.verdict, &format!("{} entries, {steps} steps", found.counts.committed));
}

fn report(name: &str, began: Instant, verdict: Verdict, work: &str) {
    let seconds = began.elapsed().as_secs_f64();
    println!("{name:<28} {seconds:>7.3} s   peak {:>5} MB   {verdict:<8} {work}", peak_bytes() / 1_000_000);
}

/// The most memory that this process ever had.
fn peak_bytes() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = peak.and_then(|peak| peak.trim().strip_suffix("kB")?.trim().parse::<u64>().ok());
    kib.unwrap_or(0) * 1024
}
