//! One run: a schedule is played, the cluster comes to life, and what is left is judged.
//!
//! Invariant: the same schedule and settings give the same report, in every build.

use std::any::Any;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use raftian_apps::{AppKind, AppOptions};
use raftian_check::{Bounds, Operation, Setup, Verdict, linearizability};
use raftian_raft::RuleSet;
use raftian_script::{Invariant, Schedule};

use crate::coverage::Coverage;
use crate::draw::DRAWS;
use crate::draw::draw;
use crate::invariant::Violation;
use crate::journal::Happening;
use crate::settings::Settings;
use crate::world::World;

/// How much the search for an order of the history may cost: a quarter of a second at most, and seldom a hundredth of it.
const BOUNDS: Bounds = Bounds { steps: 5_000_000, memory_bytes: 64 << 20 };

/// What a run came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunReport {
    /// The seed.
    pub seed: u64,
    /// The hash of everything that happened.
    pub hash: u64,
    /// How many events there were.
    pub events: u64,
    /// How long the run was, in virtual microseconds.
    pub virtual_us: u64,
    /// How many entries were committed.
    pub committed: u64,
    /// How many terms had a leader.
    pub led_terms: u64,
    /// How many operations clients began.
    pub operations: u64,
    /// How many of these were acknowledged.
    pub acknowledged: u64,
    /// Whether the history was too hard to judge.
    pub undecided: bool,
    /// What was broken, if anything was.
    pub violation: Option<Violation>,
    /// What was reached.
    pub coverage: Coverage,
    /// The rules of the core that its servers followed.
    pub rules: RuleSet,
}

/// Plays the schedule of a seed.
pub fn run_seed(seed: u64, settings: &Settings) -> RunReport {
    run(&draw(seed), settings)
}

/// Plays a schedule to its end, or to the first violation. A panic of a server is one too.
pub fn run(schedule: &Schedule, settings: &Settings) -> RunReport {
    finish(&mut World::new(schedule, *settings), schedule)
}

/// Like [`run`], and tells everything that happened.
pub fn watch(schedule: &Schedule, settings: &Settings) -> (RunReport, Vec<Happening>) {
    let mut world = World::new(schedule, *settings);
    world.record();
    let report = finish(&mut world, schedule);
    (report, world.take_journal())
}

/// Plays a schedule to its end, whatever is broken, and collects the first violation of each invariant, in the order of the
/// steps. The first of all is what ends a [`run`]; each is what its judge would find if it were the only one, since nothing
/// that happens or is remembered depends on what was found.
///
/// Some violations end such a run too: a panic of a server, a storm of messages or of steps, a log that does not open or
/// fails on a disk that works, and a snapshot whose last entry is in no log.
pub fn hear_out(schedule: &Schedule, settings: &Settings) -> Vec<Violation> {
    let mut world = World::new(schedule, *settings);
    world.hear_out();
    finish(&mut world, schedule);
    world.into_heard()
}

fn finish(world: &mut World, schedule: &Schedule) -> RunReport {
    // After a panic nothing of the world is used but what can be read.
    let played = catch_unwind(AssertUnwindSafe(|| play(world, schedule)));
    let (violation, undecided) = match played {
        Ok(Ok(undecided)) => (None, undecided),
        Ok(Err(violation)) => (Some(violation), false),
        Err(panic) => (Some(world.broken(Invariant::Composure, panic_text(panic.as_ref()))), false),
    };
    let (operations, acknowledged) = world.counts();
    let mut coverage = world.coverage().clone();
    coverage.note_drawn(schedule);
    RunReport {
        seed: schedule.seed,
        hash: world.hash(),
        events: world.steps(),
        virtual_us: world.now_us(),
        committed: world.committed(),
        led_terms: world.led_terms(),
        operations,
        acknowledged,
        undecided,
        violation,
        coverage,
        rules: world.rules(),
    }
}

/// What a server said when it panicked.
pub(crate) fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    format!("a server panicked: {}", text.unwrap_or_default())
}

/// Says whether the history was too hard to judge.
fn play(world: &mut World, schedule: &Schedule) -> Result<bool, Violation> {
    world.run_until(schedule.end_us)?;
    wind_up(world)
}

/// The end of a run: the cluster comes to life, and all is judged. Says whether the history was too hard to judge.
pub(crate) fn wind_up(world: &mut World) -> Result<bool, Violation> {
    world.come_to_life()?;
    world.check_logs()?;
    let history = world.history();
    world.check_acknowledged(&history)?;
    let found = judge(&history, world.plan().app);
    found.map_err(|text| world.broken(Invariant::Linearizable, text))
}

/// Says whether the history was too hard to judge.
///
/// # Errors
/// Why it has no order.
fn judge(history: &[Operation], app: AppKind) -> Result<bool, String> {
    let setup = Setup { app, app_options: AppOptions::default(), nodes: Vec::new(), history_is_complete: true };
    let found = linearizability(history, &setup, BOUNDS);
    match found.violations.first() {
        Some(violation) => Err(violation.to_string()),
        None => Ok(found.verdict() != Verdict::Valid),
    }
}

impl fmt::Display for RunReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let RunReport { seed, hash, events, committed, led_terms, operations, acknowledged, .. } = self;
        write!(f, "seed {seed} of draws {DRAWS}: {events} events, {committed} committed, {led_terms} terms led, ")?;
        write!(f, "{acknowledged} of {operations} operations acknowledged, hash {hash:016x}")?;
        match &self.violation {
            Some(violation) => write!(f, "; {violation}"),
            None if self.undecided => write!(f, "; its history was too hard to judge"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn history(read: &str) -> Vec<Operation> {
        let operation = |serial: u64, op: &str, index: u64, response: &str| {
            format!(
                r#"{{"client":"a","serial":{serial},"op":{op},"invoked_ns":{},"completed_ns":{},"outcome":{{"ok":{{"index":{index},"response":{response}}}}}}}"#,
                2 * serial,
                2 * serial + 1
            )
        };
        let lines = [
            operation(1, r#"{"set":["k","1"]}"#, 1, r#"{"outcome":"set"}"#),
            operation(2, r#"{"set":["k","2"]}"#, 2, r#"{"outcome":"set"}"#),
            operation(3, r#"{"get":"k"}"#, 2, &format!(r#"{{"outcome":"found","value":"{read}"}}"#)),
        ];
        raftian_check::read_history(lines.join("\n").as_bytes()).expect("a history")
    }

    #[test]
    fn a_history_without_an_order_is_seen() {
        assert_eq!(judge(&history("2"), AppKind::Kv), Ok(false));
        assert!(judge(&history("1"), AppKind::Kv).is_err(), "a stale read");
    }
}
