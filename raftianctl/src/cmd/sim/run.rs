//! `raftianctl sim run`: many seeds, one after another or side by side.
//!
//! Invariants: what is said does not depend on the number of threads, but for the time it took. Whatever ends a hunt, what
//! was done so far is told.

use std::io::IsTerminal as _;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressState, ProgressStyle};
use raftian_check::Verdict;
use raftian_rpc::RoleKind;
use raftian_script::{Kind as Message, Scenario};
use raftian_sim::{
    DRAWS, Fault, Followed, Outcome, ROLES, Rare, Rule, Settings, Tally, draw, minimise_while, run_seed,
};
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::cli::Context;
use crate::cmd::sim::{hush, settings};
use crate::failure::{Failure, Kind};
use crate::output::{Output, Paint};
use crate::table::{Align, Table};
use crate::words::{millis, spell_ms};

const EXAMPLES: &str = "\
Examples:
  raftianctl sim run
  raftianctl sim run --seeds 1..10000 --jobs 4
  raftianctl sim run --seeds 1..10000 --coverage
  raftianctl sim run --seeds 17 -o json

A seed draws a cluster, its clients, and everything that goes wrong; then a core is healed and must come to life. \
The verdict is the last line. Exit code 1 if an invariant was broken: then the shortest script found is printed, for \
`raftianctl run FILE`. Exit code 3 if none was, but some histories were too hard to judge: whether they are \
linearizable is unknown; -o json names their seeds. The same seeds are too hard on every machine.

With --coverage it says what the seeds reached. What is acknowledged are commands and reads, and reads commit nothing. A transition is a server's role, a kind of \
message, and what the message did to it: so many different ones were seen. A branch is something rare that a run should \
have met, such as a crash at the very moment a sync is done; those that no seed met are named. So are the rules of the \
consensus core that no server followed, but for those that only a broken server would call for. A fault takes effect when \
it strikes something: a message that is lost, a crash of a server that is up.

Planted bugs (--mutant) want a program that has them:
  cargo run -r -p raftianctl --features zoo -- sim run --mutant quorum_half";

/// How many runs may be made to cut a script down.
const MAX_CUTS: usize = 2_000;

/// How many violations are told one by one.
const TOLD: usize = 10;

/// With so many seeds, a fault that is drawn and never takes effect is a fault of the simulator.
const MANY_SEEDS: u64 = 1_000;

/// How often there is a line where there is no bar.
const LINE: Duration = Duration::from_secs(10);

/// Run seeds, and check every invariant after every step
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The seeds, both ends included
    #[arg(long, value_name = "FIRST..LAST", default_value = "1..1000", value_parser = super::range)]
    seeds: (u64, u64),
    /// Plant this bug (see `raftianctl sim zoo`)
    #[arg(long, value_name = "NAME")]
    mutant: Option<String>,
    /// Show what was reached how often: messages, rare branches, rules of the core, faults
    #[arg(long)]
    coverage: bool,
    /// How many threads share the seeds
    #[arg(short, long, value_name = "NUMBER", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=256))]
    jobs: u16,
}

/// What came of a hunt.
struct Hunt {
    seeds: (u64, u64),
    settings: Settings,
    tally: Tally,
    took: Duration,
    /// The shortest script found that breaks what the first seed broke.
    script: Option<Script>,
}

/// A script that was cut down.
#[derive(Debug, Serialize)]
struct Script {
    /// Of how many actions it has.
    actions: usize,
    /// How many there were.
    of: usize,
    /// The scenario.
    text: String,
}

/// Runs all seeds, and tells what came of them.
pub(crate) fn run(context: &Context, args: &Args, stop: &AtomicBool) -> Result<u8, Failure> {
    let settings = settings(args.mutant.as_deref())?;
    hush(&settings);
    let (first, last) = args.seeds;
    let count = (last - first).saturating_add(1);
    let bar = Progress::new(context.output, count);
    let began = Instant::now();
    let tally = hunt(first, last, settings, args.jobs, stop, &bar);
    let took = began.elapsed();
    let was_stopped = stop.load(Ordering::Relaxed) && tally.seeds < count;
    let script = match tally.violations.first().filter(|_| !was_stopped) {
        Some((seed, _)) => {
            bar.say(&format!("cutting the script of seed {seed} down"));
            cut_down(*seed, &settings, stop)
        }
        None => None,
    };
    bar.clear();
    let done = tally.seeds;
    let hunt = Hunt { seeds: args.seeds, settings, tally, took, script };
    let output = context.output;
    output.data(&hunt.json(), |_| hunt.tell(args.coverage, output.colour()))?;
    match was_stopped {
        true => Err(Failure::new(Kind::Interrupted, format!("interrupted after {done} of {count} seeds"))),
        false => Ok(hunt.verdict().exit_code()),
    }
}

/// Threads take the next seed as long as there is one.
fn hunt(first: u64, last: u64, settings: Settings, jobs: u16, stop: &AtomicBool, bar: &Progress) -> Tally {
    let next = AtomicU64::new(0);
    let work = || {
        let mut tally = Tally::default();
        while !stop.load(Ordering::Relaxed) {
            let seed = first.checked_add(next.fetch_add(1, Ordering::Relaxed)).filter(|seed| *seed <= last);
            let Some(seed) = seed else { break };
            tally.add(&run_seed(seed, &settings));
            bar.advance();
        }
        tally
    };
    let total = Mutex::new(Tally::default());
    thread::scope(|scope| {
        for _ in 0..jobs {
            scope.spawn(|| {
                let tally = work();
                total.lock().unwrap_or_else(std::sync::PoisonError::into_inner).merge(tally);
            });
        }
    });
    total.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner)
}

fn cut_down(seed: u64, settings: &Settings, stop: &AtomicBool) -> Option<Script> {
    let schedule = draw(seed);
    let shortest = minimise_while(&schedule, settings, MAX_CUTS, &|| !stop.load(Ordering::Relaxed))?;
    let text = Scenario::of(&shortest, settings.mutant_name()).to_string();
    Some(Script { actions: shortest.actions.len(), of: schedule.actions.len(), text })
}

impl Hunt {
    fn events_per_s(&self) -> f64 {
        self.tally.events as f64 / self.took.as_secs_f64().max(1e-9)
    }

    fn json(&self) -> Value {
        let Hunt { seeds: (first, last), settings, tally, took, script } = self;
        let violations = tally.violations.iter().map(|(seed, violation)| {
            json!({
                "seed": seed,
                "invariant": violation.invariant.name(),
                "step": violation.step,
                "at_us": violation.at_us,
                "text": violation.text,
            })
        });
        let transitions = self.transitions().into_iter().map(|(role, message, outcome, count)| {
            json!({ "role": role, "message": message.name(), "outcome": outcome.name(), "count": count })
        });
        let rare: Map<String, Value> =
            Rare::ALL.iter().map(|rare| (rare.name().to_owned(), tally.coverage.rare(*rare).into())).collect();
        let faults: Map<String, Value> = Fault::ALL
            .iter()
            .map(|fault| {
                let (seeds, effects) = (tally.coverage.drawn(*fault), tally.coverage.took_effect(*fault));
                (fault.name().to_owned(), json!({ "seeds": seeds, "took_effect": effects }))
            })
            .collect();
        let rules: Map<String, Value> =
            Rule::ALL.iter().map(|rule| (rule.name(), tally.followed.runs(*rule).into())).collect();
        let missing = tally.followed.missing().map(Rule::name);
        json!({
            "seeds": { "first": first, "last": last, "done": tally.seeds },
            "draws": DRAWS,
            "mutant": settings.mutant_name(),
            "verdict": self.verdict(),
            "events": tally.events,
            "seconds": took.as_secs_f64(),
            "events_per_s": self.events_per_s(),
            "committed": tally.committed,
            "acknowledged": tally.acknowledged,
            "undecided": tally.undecided,
            "violations": violations.collect::<Vec<_>>(),
            "script": script,
            "coverage": { "transitions": transitions.collect::<Vec<_>>(), "rare": rare, "faults": faults },
            "rules": { "all": Rule::ALL.len(), "seeds": rules, "missing": missing.collect::<Vec<_>>() },
        })
    }

    /// Every transition that was reached, and how often.
    fn transitions(&self) -> Vec<(RoleKind, Message, Outcome, u64)> {
        let all = ROLES.iter().flat_map(|role| Message::ALL.iter().map(move |message| (*role, *message)));
        let all = all.flat_map(|(role, message)| Outcome::ALL.iter().map(move |outcome| (role, message, *outcome)));
        let counted = all.map(|(role, message, outcome)| {
            (role, message, outcome, self.tally.coverage.transitions(role, message, outcome))
        });
        counted.filter(|(.., count)| *count > 0).collect()
    }

    fn tell(&self, coverage: bool, colour: bool) -> String {
        let Hunt { tally, script, .. } = self;
        let mut text = if coverage { format!("{}{}", self.reached(colour), self.sums()) } else { String::new() };
        text.push_str(&self.idle_faults());
        if let (Some(script), Some((seed, violation))) = (script, tally.violations.first()) {
            let Script { actions, of, text: scenario } = script;
            let invariant = violation.invariant;
            let size = format!("{actions} of {of} actions of seed {seed}, draws {DRAWS}");
            text.push_str(&format!("\nThe shortest script found that breaks {invariant} ({size}):\n\n{scenario}"));
        }
        if !text.is_empty() {
            text.push('\n');
        }
        for (seed, violation) in tally.violations.iter().take(TOLD) {
            text.push_str(&Paint::Bad.apply(&format!("seed {seed} of draws {DRAWS}: {violation}"), colour));
            text.push('\n');
        }
        if tally.violations.len() > TOLD {
            text.push_str(&format!("… and {} more seeds\n", tally.violations.len() - TOLD));
        }
        let paint = match self.verdict() {
            Verdict::Valid => Paint::Good,
            Verdict::Unknown => Paint::Warn,
            Verdict::Violated => Paint::Bad,
        };
        text.push_str(&paint.apply(&self.summary(), colour));
        text.push('\n');
        text
    }

    /// What was counted, a line for each.
    fn sums(&self) -> String {
        let tally = &self.tally;
        let missed: Vec<&str> =
            Rare::ALL.iter().filter(|rare| tally.coverage.rare(**rare) == 0).map(|rare| rare.name()).collect();
        let all = Rare::ALL.len();
        let rare = match missed.as_slice() {
            [] => format!("all {all} reached"),
            missed => format!("{} of {all} reached; never {}", all - missed.len(), missed.join(", ")),
        };
        format!(
            "\ncommands     {} committed; {} acknowledged, reads among them\n\
             transitions  {} of role × message × outcome\n\
             branches     {rare}\n\
             rules        {}\n\
             faults       {}\n",
            tally.committed,
            tally.acknowledged,
            tally.coverage.distinct(),
            self.rules(),
            self.faults()
        )
    }

    /// The rules of the core that no seed followed.
    fn rules(&self) -> String {
        let followed = &self.tally.followed;
        let missed: Vec<String> = followed.missing_of_sound().map(Rule::name).collect();
        let all = Rule::ALL.len() - Followed::needing_broken().count();
        match missed.as_slice() {
            [] => format!("all {all} were followed"),
            missed => format!("{} of {all} were followed; no seed followed {}", all - missed.len(), missed.join(", ")),
        }
    }

    /// How often each fault that was drawn took effect.
    fn faults(&self) -> String {
        let coverage = &self.tally.coverage;
        let drawn = Fault::ALL.iter().filter(|fault| coverage.drawn(**fault) > 0);
        let told: Vec<String> =
            drawn.map(|fault| format!("{} {}", fault.name(), coverage.took_effect(*fault))).collect();
        if told.is_empty() { "none were drawn".to_owned() } else { told.join(", ") }
    }

    /// A warning about faults that were drawn and never took effect, if so many seeds make that strange.
    fn idle_faults(&self) -> String {
        let coverage = &self.tally.coverage;
        let is_idle = |fault: &&Fault| coverage.drawn(**fault) > 0 && coverage.took_effect(**fault) == 0;
        let idle: Vec<&str> = Fault::ALL.iter().filter(is_idle).map(|fault| fault.name()).collect();
        if idle.is_empty() || self.tally.seeds < MANY_SEEDS {
            return String::new();
        }
        format!("warning: drawn, but never took effect: {}\n", idle.join(", "))
    }

    /// Whether all was found to be right. A history that is too hard to judge leaves that unknown.
    fn verdict(&self) -> Verdict {
        match (self.tally.violations.as_slice(), self.tally.undecided.as_slice()) {
            ([], []) => Verdict::Valid,
            ([], _) => Verdict::Unknown,
            _ => Verdict::Violated,
        }
    }

    /// All of it in a sentence.
    fn summary(&self) -> String {
        let Hunt { tally, took, .. } = self;
        let rate = self.events_per_s();
        let rate = if rate >= 1e6 { format!("{:.2} M", rate / 1e6) } else { format!("{:.0} k", rate / 1e3) };
        let work = format!("{} events in {}, {rate} per second", tally.events, spell_ms(millis(*took)));
        let seeds = if tally.seeds == 1 { "1 seed".to_owned() } else { format!("{} seeds", tally.seeds) };
        let hard = match tally.undecided.len() {
            1 => "1 history was".to_owned(),
            hard => format!("{hard} histories were"),
        };
        match self.verdict() {
            Verdict::Valid => format!("valid: {seeds}, 0 violations; {work}"),
            Verdict::Unknown => format!("valid, but {hard} too hard to judge: {seeds}, 0 violations; {work}"),
            Verdict::Violated => format!("violated: {} of {seeds} broke an invariant; {work}", tally.violations.len()),
        }
    }

    /// What was reached how often: a row per role and message, a column per outcome.
    fn reached(&self, colour: bool) -> String {
        let outcomes = Outcome::ALL.iter().map(|outcome| (outcome.name().to_uppercase(), Align::Right));
        let head = [("ROLE".to_owned(), Align::Left), ("MESSAGE".to_owned(), Align::Left)];
        let mut table = Table::new(head.into_iter().chain(outcomes));
        for role in ROLES {
            for message in Message::ALL {
                let count = |outcome: &Outcome| self.tally.coverage.transitions(role, *message, *outcome);
                if Outcome::ALL.iter().all(|outcome| count(outcome) == 0) {
                    continue;
                }
                let counts = Outcome::ALL.iter().map(|outcome| match count(outcome) {
                    0 => String::new(),
                    count => count.to_string(),
                });
                table.row([spelt(role).to_owned(), message.name().to_owned()].into_iter().chain(counts));
            }
        }
        table.render(colour)
    }
}

fn spelt(role: RoleKind) -> &'static str {
    match role {
        RoleKind::Follower => "follower",
        RoleKind::PreCandidate => "pre-candidate",
        RoleKind::Candidate => "candidate",
        RoleKind::Leader => "leader",
    }
}

/// A bar on a terminal, a line now and then elsewhere, nothing with `--quiet`.
struct Progress {
    output: Output,
    bar: ProgressBar,
    count: u64,
    began: Instant,
    done: AtomicU64,
    /// When there was a line last.
    line: Mutex<Instant>,
}

impl Progress {
    fn new(output: Output, count: u64) -> Progress {
        let bar = match !output.is_quiet() && std::io::stderr().is_terminal() {
            true => ProgressBar::new(count),
            false => ProgressBar::hidden(),
        };
        let style = ProgressStyle::with_template("{wide_bar} {pos}/{len} seeds, {rate}, {eta} left {msg}");
        let rate = |state: &ProgressState, out: &mut dyn std::fmt::Write| {
            // A bar that cannot be drawn is no bar.
            let _ = write!(out, "{:.0}/s", state.per_sec());
        };
        bar.set_style(style.expect("a valid template").with_key("rate", rate));
        let now = Instant::now();
        Progress { output, bar, count, began: now, done: AtomicU64::new(0), line: Mutex::new(now) }
    }

    /// One more seed is done.
    fn advance(&self) {
        self.bar.inc(1);
        let done = self.done.fetch_add(1, Ordering::Relaxed) + 1;
        if !self.bar.is_hidden() {
            return;
        }
        let Ok(mut line) = self.line.try_lock() else { return };
        if line.elapsed() >= LINE {
            *line = Instant::now();
            let rate = done as f64 / self.began.elapsed().as_secs_f64();
            let left = spell_ms(((self.count - done.min(self.count)) as f64 / rate) as u64 * 1_000);
            self.output.note(&format!("{done} of {} seeds, {rate:.0} per second, {left} left", self.count));
        }
    }

    fn say(&self, text: &str) {
        self.bar.set_message(text.to_owned());
        if self.bar.is_hidden() {
            self.output.note(&format!("{text} …"));
        }
    }

    fn clear(&self) {
        self.bar.finish_and_clear();
    }
}

#[cfg(test)]
mod tests {
    use raftian_script::Invariant;
    use raftian_sim::Violation;

    use super::*;

    #[test]
    fn a_history_that_is_too_hard_to_judge_leaves_the_verdict_unknown() {
        let hunt = |undecided: &[u64], violations: &[(u64, Violation)]| {
            let tally =
                Tally { seeds: 9, undecided: undecided.to_vec(), violations: violations.to_vec(), ..Tally::default() };
            Hunt { seeds: (1, 9), settings: Settings::default(), tally, took: Duration::from_secs(1), script: None }
        };
        let violation = Violation { invariant: Invariant::Liveness, step: 1, at_us: 1, text: String::new() };
        for (hunt, code, verdict, summary) in [
            (hunt(&[], &[]), 0, "valid", "valid: 9 seeds, 0 violations; "),
            (hunt(&[4], &[]), 3, "unknown", "valid, but 1 history was too hard to judge: 9 seeds, 0 violations; "),
            (
                hunt(&[4, 7], &[]),
                3,
                "unknown",
                "valid, but 2 histories were too hard to judge: 9 seeds, 0 violations; ",
            ),
            (hunt(&[4], &[(5, violation)]), 1, "violated", "violated: 1 of 9 seeds broke an invariant; "),
        ] {
            let told = hunt.json();
            assert_eq!((hunt.verdict().exit_code(), told["verdict"].as_str()), (code, Some(verdict)));
            assert_eq!(told["undecided"], Value::from(hunt.tally.undecided.clone()));
            let last = hunt.tell(false, false).lines().last().unwrap().to_owned();
            assert!(last.starts_with(summary), "{last}");
        }
    }
}
