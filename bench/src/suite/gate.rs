//! How busy the machine is, and the gate that waits for a quiet one.
//!
//! Invariants: what the system does not tell is `None`, never a guess. A wait is bounded, for one block and for the
//! whole run; who finds the machine busy to the end is told so, and goes on.

use std::fs;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::experiments::Profile;
use crate::suite::trial::Conditions;

/// The most of all cores' time that others may use on a quiet machine.
pub(crate) const MOST_FOREIGN: f64 = 0.10;

/// The most of all cores' time that a hypervisor may take away during a quiet trial.
const MOST_STEAL: f64 = 0.10;

/// How long others are watched: ten ticks of the kernel's clock on each core.
const WINDOW: Duration = Duration::from_millis(100);

/// How long what was seen holds.
const FRESH: Duration = Duration::from_secs(3);

/// What the kernel has counted so far.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Reading {
    /// The time of all cores, idle or not, in ticks.
    total_ticks: u64,
    /// That of it in which they worked.
    busy_ticks: u64,
    /// That of it which the hypervisor took.
    steal_ticks: u64,
    /// For how long some task waited for a core, in microseconds; `None` on kernels that do not count it.
    pressure_us: Option<u64>,
    /// The load average of the last minute.
    load_average: Option<f64>,
}

/// Where readings come from.
pub type Meter<'a> = &'a dyn Fn() -> Option<Reading>;

/// How patient the gate is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    /// Before one block.
    pub(crate) block: Duration,
    /// Before all blocks together.
    pub(crate) run: Duration,
}

/// Watches what others do between trials, while nothing of ours runs.
pub(crate) struct Gate<'a> {
    meter: Meter<'a>,
    patience: Patience,
    waited: Duration,
    seen: Option<(Instant, f64)>,
}

/// The beginning of a trial, as the machine was.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Before {
    at: Instant,
    reading: Option<Reading>,
    foreign: Option<f64>,
}

impl Reading {
    /// The kernel's counters of now; `None` where it has none.
    pub fn now() -> Option<Reading> {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        Reading::parse(&read("/proc/stat"), &read("/proc/pressure/cpu"), &read("/proc/loadavg"))
    }

    fn parse(stat: &str, pressure: &str, load: &str) -> Option<Reading> {
        let ticks: Vec<u64> =
            stat.lines().next()?.strip_prefix("cpu ")?.split_whitespace().map_while(|n| n.parse().ok()).collect();
        // Time of guests is in the time of users already.
        let [user, nice, system, idle, iowait, irq, softirq, steal, ..] = ticks[..] else { return None };
        let busy_ticks = user + nice + system + irq + softirq;
        let some = pressure.lines().find(|line| line.starts_with("some "));
        Some(Reading {
            total_ticks: busy_ticks + idle + iowait + steal,
            busy_ticks,
            steal_ticks: steal,
            pressure_us: some.and_then(|line| line.rsplit_once("total=")?.1.trim().parse().ok()),
            load_average: load.split(' ').next().and_then(|word| word.parse().ok()),
        })
    }
}

impl Patience {
    /// As much as the profile has time for.
    pub(crate) fn of(profile: Profile) -> Patience {
        let (block, run) = match profile {
            Profile::Quick => (2, 8),
            Profile::Paper => (60, 900),
        };
        Patience { block: Duration::from_secs(block), run: Duration::from_secs(run) }
    }
}

impl<'a> Gate<'a> {
    /// A gate that has not waited yet.
    pub(crate) fn new(meter: Meter<'a>, patience: Patience) -> Gate<'a> {
        Gate { meter, patience, waited: Duration::ZERO, seen: None }
    }

    /// Waits for a quiet machine, as long as there is patience; `tell` hears what others use while it waits. Says
    /// whether it is quiet, which it is taken to be where nothing can be read.
    pub(crate) async fn pass(&mut self, tell: impl Fn(f64)) -> bool {
        if self.fresh().is_some_and(|foreign| foreign <= MOST_FOREIGN) {
            return true;
        }
        let began = Instant::now();
        loop {
            let quiet = self.look().await.is_none_or(|foreign| foreign <= MOST_FOREIGN);
            let waited = began.elapsed();
            if quiet || waited >= self.patience.block || self.waited + waited >= self.patience.run {
                // The look at a quiet machine is no wait.
                self.waited += waited.saturating_sub(WINDOW);
                return quiet;
            }
            if let Some((_, foreign)) = self.seen {
                tell(foreign);
            }
        }
    }

    /// What is known at the beginning of a trial; looks again if the last look was long ago.
    pub(crate) async fn before(&mut self) -> Before {
        let foreign = match self.fresh() {
            Some(foreign) => Some(foreign),
            None => self.look().await,
        };
        Before { at: Instant::now(), reading: (self.meter)(), foreign }
    }

    /// The conditions of a trial that ends now.
    pub(crate) fn after(&self, before: &Before) -> Conditions {
        let Before { at, reading, foreign } = before;
        let now = (self.meter)();
        let both = reading.zip(now);
        let steal = both.and_then(|(then, now)| share(then, now, |reading| reading.steal_ticks));
        let waited_us = both.and_then(|(then, now)| Some(now.pressure_us?.saturating_sub(then.pressure_us?)));
        Conditions {
            load_average: reading.and_then(|reading| reading.load_average),
            cpu_pressure: waited_us.map(|us| us as f64 / at.elapsed().as_micros().max(1) as f64),
            foreign_cpu: *foreign,
            steal,
            quiet: foreign.is_none_or(|foreign| foreign <= MOST_FOREIGN)
                && steal.is_none_or(|steal| steal <= MOST_STEAL),
        }
    }

    /// What others used when they were last looked at, if that still holds.
    fn fresh(&self) -> Option<f64> {
        self.seen.filter(|(at, _)| at.elapsed() < FRESH).map(|(_, foreign)| foreign)
    }

    async fn look(&mut self) -> Option<f64> {
        let then = (self.meter)()?;
        sleep(WINDOW).await;
        let foreign = share(then, (self.meter)()?, |reading| reading.busy_ticks)?;
        self.seen = Some((Instant::now(), foreign));
        Some(foreign)
    }
}

/// The share of all cores' time between two readings; `None` when no time passed.
fn share(then: Reading, now: Reading, part: impl Fn(Reading) -> u64) -> Option<f64> {
    let total = now.total_ticks.checked_sub(then.total_ticks).filter(|total| *total > 0)?;
    Some(part(now).saturating_sub(part(then)) as f64 / total as f64)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use std::cell::Cell;

    /// A machine of which others use this share at this time since the test began, as its counters tell.
    pub(crate) fn machine(busy: impl Fn(Duration) -> f64) -> impl Fn() -> Option<Reading> {
        let (began, last) = (Instant::now(), Cell::new((Instant::now(), Reading::default())));
        move || {
            let (at, mut reading) = last.get();
            let ticks = at.elapsed().as_millis() as u64;
            reading.total_ticks += ticks;
            reading.busy_ticks += (busy(began.elapsed()) * ticks as f64) as u64;
            last.set((Instant::now(), reading));
            Some(reading)
        }
    }

    fn patience(block_s: u64, run_s: u64) -> Patience {
        Patience { block: Duration::from_secs(block_s), run: Duration::from_secs(run_s) }
    }

    #[test]
    fn the_kernels_words_are_understood() {
        let stat = "cpu  100 5 20 800 10 1 2 30 40 0\ncpu0 1 2 3\n";
        let pressure = "some avg10=0.00 avg60=0.00 avg300=0.00 total=50428190\nfull avg10=0.00 total=7\n";
        let reading = Reading::parse(stat, pressure, "1.21 0.41 0.31 4/112 19422\n").unwrap();
        let expected = Reading {
            total_ticks: 968,
            busy_ticks: 128,
            steal_ticks: 30,
            pressure_us: Some(50_428_190),
            load_average: Some(1.21),
        };
        assert_eq!(reading, expected);
        assert_eq!(Reading::parse("", "", ""), None);
        assert_eq!(Reading::parse(stat, "", "").unwrap().pressure_us, None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_quiet_machine_is_not_waited_for() {
        let machine = machine(|_| 0.05);
        let mut gate = Gate::new(&machine, patience(60, 900));
        let began = Instant::now();
        assert!(gate.pass(|_| panic!("nothing to tell")).await);
        assert_eq!(began.elapsed(), WINDOW);
        assert!(gate.pass(|_| panic!("nothing to tell")).await);
        let before = gate.before().await;
        assert_eq!(began.elapsed(), WINDOW, "the look was fresh");
        sleep(Duration::from_secs(1)).await;
        let conditions = gate.after(&before);
        assert!(
            conditions.quiet && conditions.foreign_cpu == Some(0.05) && conditions.steal == Some(0.0),
            "{conditions:?}"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_busy_machine_is_waited_for_until_it_is_quiet() {
        let machine = machine(|at| if at < Duration::from_secs(5) { 0.8 } else { 0.0 });
        let mut gate = Gate::new(&machine, patience(60, 900));
        let (began, told) = (Instant::now(), Cell::new(0));
        assert!(gate.pass(|foreign| told.set(told.get() + usize::from(foreign > MOST_FOREIGN))).await);
        assert!(began.elapsed() >= Duration::from_secs(5) && told.get() >= 49, "{:?} {told:?}", began.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn patience_ends_for_a_block_and_for_the_run() {
        let machine = machine(|_| 0.8);
        let mut gate = Gate::new(&machine, patience(2, 5));
        let began = Instant::now();
        for _ in 0..20 {
            assert!(!gate.pass(|_| ()).await);
        }
        let waited = began.elapsed();
        assert!((5..8).contains(&waited.as_secs()), "{waited:?}");
        let before = gate.before().await;
        assert!(!gate.after(&before).quiet);
    }
}
