//! Does what was scheduled, block by block, and keeps what came of it.
//!
//! Invariants: a block counts whole or not at all. A trial that fails or hangs is kept as a failed one, and its block is
//! repeated once at the end, as is one that ran on a busy machine; all attempts are kept. The deadline is never passed:
//! a block that would not fit is not begun.
//!
//! Deliberately absent: what is measured (`experiments`), and words for people beyond a line (the face has those).

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Context as _;
use serde::Serialize;
use tokio::time::{Instant, timeout_at};

use crate::cancel::Cancel;
use crate::experiments::{Bench, Experiment, LeftOut, Measured, PlannedArm};
use crate::suite::gate::{Gate, Meter, Patience};
use crate::suite::manifest::State;
use crate::suite::provenance::{Programs, unix_ms};
use crate::suite::schedule::ScheduledBlock;
use crate::suite::store::{Store, What};
use crate::suite::trial::{Arm, ExperimentId, Trial};

/// With less room than this a trial that fails is taken to have failed for it.
const LEAST_FREE_BYTES: u64 = 16 << 20;

/// How much longer than planned a block may take, as far as the deadline goes.
const MARGIN: f64 = 1.1;

/// What is said once, the first time that waiting did not help.
const TOO_BUSY: &str = "the machine is busy with other things: trials on it are marked, and their blocks repeated at the \
                        end, if it is quiet by then";

/// What a run needs.
#[derive(Clone, Copy)]
pub struct Setup<'a> {
    /// The experiments; all that the schedule names must be among them.
    pub experiments: &'a [Box<dyn Experiment>],
    /// The programs.
    pub programs: &'a Programs,
    /// When it must be at an end, complete or not.
    pub deadline: Option<Instant>,
    /// What tells how busy the machine is.
    pub meter: Meter<'a>,
    /// Who hears how it goes.
    pub news: &'a dyn Fn(&News),
    /// Who may stop it.
    pub cancel: &'a Cancel,
}

/// How a run goes, for people.
#[derive(Clone, Debug, PartialEq)]
pub enum News {
    /// The machine is too busy: others use this share of it.
    Waiting(f64),
    /// A trial begins.
    Trial {
        /// Of which experiment.
        experiment: ExperimentId,
        /// The block, from 0.
        block: u32,
        /// Its arm.
        arm: Arm,
        /// What share of the run is done, by time.
        done: f64,
        /// About how long the rest takes.
        left: Duration,
    },
    /// Something that a person should know.
    Note(String),
}

/// What came of a run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Outcome {
    /// Why not all blocks are done; `None` when they are.
    pub stopped: Option<Stop>,
    /// How many blocks are done, in this and earlier sittings.
    pub blocks_done: usize,
    /// How many were scheduled.
    pub blocks_planned: usize,
    /// How many trials failed, all attempts included.
    pub failed_trials: usize,
    /// How many trials ran on a busy machine, all attempts included.
    pub busy_trials: usize,
}

/// Why a run stopped before its end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Stop {
    /// Somebody asked for it.
    Interrupted,
    /// There was no time for the rest.
    Deadline,
    /// There was no room for the rest.
    DiskFull,
}

struct Runner<'a> {
    setup: Setup<'a>,
    store: Store,
    gate: Gate<'a>,
    /// Whether it was said that the machine is busy.
    told_busy: bool,
    /// How long the last block of each experiment took.
    lasted: BTreeMap<ExperimentId, Duration>,
}

/// Runs what is left of a run.
///
/// # Errors
/// When an experiment of the schedule is not there, or the folder cannot be written for other reasons than room.
pub async fn run(store: Store, setup: Setup<'_>) -> anyhow::Result<Outcome> {
    for planned in &store.manifest().experiments {
        find(setup.experiments, planned.id)?;
    }
    let gate = Gate::new(setup.meter, Patience::of(store.manifest().profile));
    let mut runner = Runner { setup, store, gate, told_busy: false, lasted: BTreeMap::new() };
    let ran = runner.all().await;
    let discarded = runner.discard();
    let stopped = match ran.and_then(|stopped| discarded.map(|()| stopped)) {
        Ok(stopped) => stopped,
        Err(error) if is_full(&error) => Some(Stop::DiskFull),
        Err(error) => return Err(error),
    };
    let outcome = runner.outcome(stopped);
    let why = outcome.stopped.as_ref().map(ToString::to_string);
    let state = why.clone().map_or(State::Complete, State::Stopped);
    let ended = runner.store.event(What::Ended { why }).and_then(|()| runner.store.seal(state));
    match ended {
        // On a full disk the manifest of the last block still stands.
        Err(error) if is_full(&error) => Ok(Outcome { stopped: Some(Stop::DiskFull), ..outcome }),
        ended => ended.map(|()| outcome),
    }
}

impl Runner<'_> {
    /// First everything, then the bad blocks once more.
    async fn all(&mut self) -> anyhow::Result<Option<Stop>> {
        let schedule = self.store.manifest().schedule.clone();
        let mut stopped = None;
        let to_do: Vec<&ScheduledBlock> = schedule.iter().filter(|block| self.attempts(block) == 0).collect();
        for (place, block) in to_do.iter().enumerate() {
            if !self.fits(block) {
                stopped = Some(Stop::Deadline);
                continue;
            }
            if let Some(stop) = self.block(block, 0, self.expected_of(&to_do[place..])).await? {
                return Ok(Some(stop));
            }
        }
        if stopped.is_some() {
            return Ok(stopped);
        }
        self.repeat_bad(&schedule).await
    }

    /// Runs bad blocks once more, as far as that makes sense.
    async fn repeat_bad(&mut self, schedule: &[ScheduledBlock]) -> anyhow::Result<Option<Stop>> {
        let bad: Vec<&ScheduledBlock> = schedule.iter().filter(|block| self.is_worth_repeating(block)).collect();
        let mut left = 0;
        for (place, block) in bad.iter().enumerate() {
            // On a machine that is still busy nothing would be gained.
            let failed = self.of(block).any(|trial| trial.failed.is_some());
            let makes_sense = self.fits(block) && (failed || self.quiet().await);
            if self.setup.cancel.is_cancelled() {
                return Ok(Some(Stop::Interrupted));
            }
            if !makes_sense {
                left += 1;
                continue;
            }
            match self.block(block, 1, self.expected_of(&bad[place..])).await? {
                None => {}
                // All blocks are done: a repetition that is cut leaves the run complete.
                Some(Stop::Deadline) => left += 1,
                Some(stop) => return Ok(Some(stop)),
            }
        }
        if left > 0 {
            self.note(format!("{left} of {} bad blocks are not repeated: there is no quiet time for it", bad.len()));
        }
        Ok(None)
    }

    /// Runs every trial of a block and seals them together; unless something stops it. With it, `left` is to be done.
    async fn block(&mut self, block: &ScheduledBlock, attempt: u32, left: Duration) -> anyhow::Result<Option<Stop>> {
        let began = Instant::now();
        if !self.quiet().await && !self.told_busy && !self.setup.cancel.is_cancelled() {
            self.told_busy = true;
            self.note(TOO_BUSY.to_owned());
        }
        let arms: Vec<PlannedArm> = self.store.manifest().arms(block).into_iter().cloned().collect();
        for (position, arm) in (0..).zip(&arms) {
            self.tell(block, arm, left.saturating_sub(began.elapsed()));
            let trial = Trial {
                attempt,
                seed: block.seed,
                warmup_ms: arm.warmup_ms,
                measured_ms: arm.measure_ms,
                ..Trial::new(block.experiment, arm.arm.clone(), block.block, position)
            };
            if let Some(stop) = self.trial(trial, arm).await? {
                self.discard()?;
                return Ok(Some(stop));
            }
        }
        let count = |wanted: fn(&Trial) -> bool| {
            self.of(block).filter(|trial| trial.attempt == attempt && wanted(trial)).count()
        };
        let (failed, busy) = (count(|trial| trial.failed.is_some()), count(|trial| !trial.conditions.quiet));
        let what = What::Block {
            experiment: block.experiment,
            block: block.block,
            attempt,
            lasted_ms: u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
            failed,
            busy,
        };
        self.store.event(what)?;
        self.store.seal(State::Running)?;
        self.lasted.insert(block.experiment, began.elapsed());
        Ok(None)
    }

    /// Takes back what there is of a block that is not finished, and notes how much that was.
    fn discard(&mut self) -> anyhow::Result<()> {
        match self.store.roll_back()? {
            0 => Ok(()),
            trials => self.store.event(What::Discarded { trials }).and_then(|()| self.store.seal(State::Running)),
        }
    }

    /// Runs one trial and keeps what came of it; unless something stops it.
    async fn trial(&mut self, mut trial: Trial, arm: &PlannedArm) -> anyhow::Result<Option<Stop>> {
        let Setup { experiments, programs, cancel, deadline, .. } = self.setup;
        let experiment = find(experiments, trial.experiment)?;
        let folder = self.store.work_folder()?;
        let bench = Bench { node_program: programs.node.clone(), folder, seed: trial.seed, display: None };
        let before = self.gate.before().await;
        trial.started_unix_ms = unix_ms();
        let patience = patience(arm);
        let until = deadline.map_or(Instant::now() + patience, |deadline| deadline.min(Instant::now() + patience));
        let ran = tokio::select! {
            biased;
            () = cancel.cancelled() => return Ok(Some(Stop::Interrupted)),
            ran = timeout_at(until, experiment.run(arm, &bench)) => ran,
        };
        trial.conditions = self.gate.after(&before);
        self.store.remove_work();
        let measured = match ran {
            Ok(Ok(measured)) => measured,
            Ok(Err(error))
                if is_full(&error) || self.store.free_bytes().is_some_and(|free| free < LEAST_FREE_BYTES) =>
            {
                return Ok(Some(Stop::DiskFull));
            }
            Ok(Err(error)) => match error.downcast::<LeftOut>() {
                Ok(LeftOut(why)) => self.left_out(&mut trial, why),
                Err(error) => self.failed(&mut trial, format!("{error:#}")),
            },
            Err(_) if deadline.is_some_and(|deadline| deadline <= Instant::now()) => return Ok(Some(Stop::Deadline)),
            Err(_) => {
                let why = format!("it hung: not done after {:.0} s", patience.as_secs_f64());
                self.failed(&mut trial, why)
            }
        };
        self.store.append(trial, &measured)?;
        Ok(None)
    }

    fn failed(&self, trial: &mut Trial, why: String) -> Measured {
        self.note(format!("{} block {}, {}, failed: {why}", trial.experiment, trial.block + 1, trial.arm));
        trial.failed = Some(why);
        Measured::default()
    }

    /// Says the first time why; the others are in the report.
    fn left_out(&self, trial: &mut Trial, why: String) -> Measured {
        if self.store.trials().iter().all(|other| other.left_out.as_ref() != Some(&why)) {
            self.note(format!("{}, {}, is left out: {why}", trial.experiment, trial.arm));
        }
        trial.left_out = Some(why);
        Measured::default()
    }

    async fn quiet(&mut self) -> bool {
        let Setup { news, cancel, .. } = self.setup;
        tokio::select! {
            biased;
            () = cancel.cancelled() => false,
            quiet = self.gate.pass(|foreign| news(&News::Waiting(foreign))) => quiet,
        }
    }

    /// About how long a block takes: as long as the last of its kind, or as planned.
    fn expected(&self, block: &ScheduledBlock) -> Duration {
        let planned = || Duration::from_millis(self.store.manifest().block_ms(block));
        self.lasted.get(&block.experiment).copied().unwrap_or_else(planned)
    }

    fn expected_of(&self, blocks: &[&ScheduledBlock]) -> Duration {
        blocks.iter().map(|block| self.expected(block)).sum()
    }

    fn fits(&self, block: &ScheduledBlock) -> bool {
        let needed = self.expected(block).mul_f64(MARGIN);
        self.setup.deadline.is_none_or(|deadline| Instant::now() + needed <= deadline)
    }

    /// The trials of a block, all attempts.
    fn of(&self, block: &ScheduledBlock) -> impl Iterator<Item = &Trial> {
        let (experiment, number) = (block.experiment, block.block);
        self.store.trials().iter().filter(move |trial| trial.experiment == experiment && trial.block == number)
    }

    fn attempts(&self, block: &ScheduledBlock) -> u32 {
        self.of(block).map(|trial| trial.attempt + 1).max().unwrap_or(0)
    }

    fn is_worth_repeating(&self, block: &ScheduledBlock) -> bool {
        self.attempts(block) == 1 && self.of(block).any(Trial::is_bad)
    }

    fn note(&self, text: String) {
        (self.setup.news)(&News::Note(text));
    }

    fn tell(&self, block: &ScheduledBlock, arm: &PlannedArm, left: Duration) {
        let all: Vec<&ScheduledBlock> = self.store.manifest().schedule.iter().collect();
        let done = 1.0 - left.as_secs_f64() / self.expected_of(&all).as_secs_f64().max(f64::MIN_POSITIVE);
        let time = self.setup.deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        let ScheduledBlock { experiment, block, .. } = *block;
        (self.setup.news)(&News::Trial {
            experiment,
            block,
            arm: arm.arm.clone(),
            done: done.clamp(0.0, 1.0),
            left: time.map_or(left, |time| left.min(time)),
        });
    }

    fn outcome(&self, stopped: Option<Stop>) -> Outcome {
        let (trials, schedule) = (self.store.trials(), &self.store.manifest().schedule);
        Outcome {
            stopped,
            blocks_done: schedule.iter().filter(|block| self.attempts(block) > 0).count(),
            blocks_planned: schedule.len(),
            failed_trials: trials.iter().filter(|trial| trial.failed.is_some()).count(),
            busy_trials: trials.iter().filter(|trial| !trial.conditions.quiet).count(),
        }
    }
}

impl std::fmt::Display for Stop {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Stop::Interrupted => "interrupted",
            Stop::Deadline => "out of time",
            Stop::DiskFull => "the disk is full",
        })
    }
}

/// How long a trial may take before it is taken to hang.
fn patience(arm: &PlannedArm) -> Duration {
    Duration::from_millis(arm.total_ms() * 2 + 5_000)
}

fn find(experiments: &[Box<dyn Experiment>], id: ExperimentId) -> anyhow::Result<&dyn Experiment> {
    let found = experiments.iter().find(|experiment| experiment.id() == id);
    found
        .map(AsRef::as_ref)
        .with_context(|| format!("the run has an experiment {id}, which this raftian does not know"))
}

fn is_full(error: &anyhow::Error) -> bool {
    use std::io::ErrorKind::{QuotaExceeded, StorageFull};
    let kinds = error.chain().filter_map(|cause| cause.downcast_ref::<std::io::Error>()).map(std::io::Error::kind);
    kinds.into_iter().any(|kind| matches!(kind, StorageFull | QuotaExceeded))
}

#[cfg(test)]
#[path = "runner_tests.rs"]
mod tests;
