//! Random schedules of faults, each from one seed: first what may go wrong goes wrong and the invariants must hold after
//! every step; then the faults end, and the cluster must come to life.
//!
//! `RAFT_SEED=17 cargo test -p raftian-raft random` plays one seed and prints what happens in it;
//! `RAFT_SEEDS=100000 cargo test -p raftian-raft --release random` plays that many.

mod schedule;
mod seen;

pub(crate) use schedule::Schedule;
use seen::Seen;

const SEEDS: u64 = 400;

#[test]
fn random_schedules() {
    if let Some(seed) = number_from("RAFT_SEED") {
        println!("{:#?}", Schedule::new(seed, |_| {}).telling().play());
        return;
    }
    let seeds = number_from("RAFT_SEEDS").unwrap_or(SEEDS);
    let mut seen = Seen::default();
    for seed in 0..seeds {
        let guard = OnPanic(seed);
        seen += Schedule::new(seed, |_| {}).play();
        std::mem::forget(guard);
    }
    println!("{seen:#?}");
    seen.check(seeds);
}

/// The number in an environment variable, if it is set.
fn number_from(variable: &str) -> Option<u64> {
    let value = std::env::var(variable).ok()?;
    Some(value.parse().unwrap_or_else(|_| panic!("{variable} is `{value}`, which is not a number")))
}

/// Says how to see a failure again.
struct OnPanic(u64);

impl Drop for OnPanic {
    fn drop(&mut self) {
        println!("seed {0} failed; RAFT_SEED={0} cargo test -p raftian-raft random -- --nocapture shows how", self.0);
    }
}
