//! `raftianctl bench run`: the experiments, and the report on them.
//!
//! Invariants: a folder of results is never overwritten. Whatever ends a run, its finished blocks are kept, and the last
//! line says how to go on.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use raftian_bench::cancel::cancel_pair;
use raftian_bench::experiments::{self, Experiment, Profile};
use raftian_bench::report::{self, Report};
use raftian_bench::suite::gate::Reading;
use raftian_bench::suite::manifest::{Manifest, Provenance};
use raftian_bench::suite::provenance::Programs;
use raftian_bench::suite::runner::{self, News, Outcome, Setup, Stop};
use raftian_bench::suite::schedule::PlannedExperiment;
use raftian_bench::suite::store::{Store, unfinished_trials};
use raftian_bench::suite::trial::ExperimentId;
use serde::Serialize;
use tokio::time::Instant;

use crate::cli::Context;
use crate::cmd::bench::aside;
use crate::cmd::bench::progress::Bar;
use crate::failure::{Failure, Kind};
use crate::interrupt::Interrupt;
use crate::launch;
use crate::words::{millis, spell_ms};

const EXAMPLES: &str = "\
Examples:
  raftianctl bench run
  raftianctl bench run E1 E5 --seed 7 --out results/mine
  raftianctl bench run --profile paper --for 1h
  raftianctl bench run --resume results/mine

Wants an idle machine and the programs of `cargo build --release`. At the end the report is written into the run's \
folder; `raftianctl bench report FOLDER` writes it again. Ctrl-C ends a run in order, a second one at once. Both keep \
the finished blocks (a block is one trial of every arm of an experiment), and --resume goes on after them.";

/// When a quick run must be at an end, report included.
const QUICK: Duration = Duration::from_secs(175);

/// What of that is set aside for the report.
const REPORT: Duration = Duration::from_secs(8);

/// How long the trials are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Length {
    /// All experiments within three minutes.
    Quick,
    /// Trials as long as the original paper's: hours.
    Paper,
}

/// Run experiments and write the report
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The experiments; all of them if none is named (see `raftianctl bench list`)
    #[arg(value_name = "EXPERIMENT", conflicts_with = "resume")]
    ids: Vec<ExperimentId>,
    /// quick (all experiments in three minutes) or paper (trials as long as the original paper's: hours)
    #[arg(
        long,
        value_name = "PROFILE",
        value_enum,
        default_value = "quick",
        hide_possible_values = true,
        conflicts_with = "resume"
    )]
    profile: Length,
    /// Decides the order of the trials and everything random in them
    #[arg(long, value_name = "NUMBER", default_value_t = 1, value_parser = crate::units::seed, conflicts_with = "resume")]
    seed: u64,
    /// How many blocks of each experiment [default: as many as the profile wants]
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..=1_000), conflicts_with = "resume")]
    blocks: Option<u32>,
    /// How long it may take, report included; what does not fit is left for --resume [default: 175s with quick, no
    /// limit with paper]
    #[arg(long = "for", value_name = "DURATION", value_parser = crate::units::duration)]
    lasting: Option<Duration>,
    /// The folder for the run, which must be empty or not there yet [default: results/PROFILE-DATE-TIME-SEED]
    #[arg(long, value_name = "FOLDER", conflicts_with = "resume")]
    out: Option<PathBuf>,
    /// Go on with the run in this folder, with the settings it began with
    #[arg(long, value_name = "FOLDER")]
    resume: Option<PathBuf>,
}

/// What came of a run.
#[derive(Debug, Serialize)]
struct Finished {
    /// The folder of the results.
    folder: PathBuf,
    /// How it went.
    #[serde(flatten)]
    outcome: Outcome,
    /// The report.
    report: Report,
}

/// Runs what is to be run.
pub(crate) async fn run(context: &Context, args: Args, mut interrupt: Interrupt) -> Result<u8, Failure> {
    let began = Instant::now();
    raftian_rpc::files::raise_limit();
    let experiments = experiments::all();
    let own = std::env::current_exe()
        .map_err(|error| Failure::failed(format!("the system does not tell where this program is: {error}")))?;
    let programs = Programs { node: launch::sibling("raftian-node")?, runner: own };
    let store = match &args.resume {
        Some(folder) => taken_up(folder, &programs)?,
        None => begun(&args, &experiments, &programs)?,
    };
    introduce(context, &store);
    let folder = store.folder().to_owned();
    let budget = args.lasting.or((store.manifest().profile == Profile::Quick).then_some(QUICK));
    let (canceller, cancel) = cancel_pair();
    let bar = Bar::new(context.output);
    let setup = Setup {
        experiments: &experiments,
        programs: &programs,
        deadline: budget.map(|budget| began + budget.saturating_sub(REPORT)),
        meter: &Reading::now,
        news: &|news: &News| bar.show(news),
        cancel: &cancel,
    };
    let mut discarded = 0;
    let ask_to_end = || {
        discarded = unfinished_trials(&folder);
        canceller.cancel();
    };
    let outcome = heeding(&mut interrupt, runner::run(store, setup), ask_to_end).await;
    bar.clear();
    let Some(outcome) = outcome else {
        return Err(Failure::new(Kind::Interrupted, ended_at_once(&folder, discarded)));
    };
    let outcome = outcome?;
    if let Some(failure) = failure(&outcome, &folder, discarded) {
        return Err(failure);
    }
    let source = folder.clone();
    let report = tokio::select! {
        report = aside(move || Ok(report::write(&source)?)) => report?,
        () = interrupt.received() => {
            let how = format!("interrupted; what is measured is kept, `raftianctl bench report {}` draws it", folder.display());
            return Err(Failure::new(Kind::Interrupted, how));
        }
    };
    context.output.data(&Finished { folder, outcome, report }, summary)?;
    Ok(0)
}

/// Does the work, and asks it to end when it is interrupted; `None` if it was interrupted again before it had.
async fn heeding<T>(interrupt: &mut Interrupt, work: impl Future<Output = T>, ask_to_end: impl FnOnce()) -> Option<T> {
    tokio::pin!(work);
    tokio::select! {
        biased;
        () = interrupt.received() => ask_to_end(),
        done = &mut work => return Some(done),
    }
    tokio::select! {
        biased;
        () = interrupt.received() => None,
        done = &mut work => Some(done),
    }
}

fn begun(args: &Args, experiments: &[Box<dyn Experiment>], programs: &Programs) -> Result<Store, Failure> {
    let profile = match args.profile {
        Length::Quick => Profile::Quick,
        Length::Paper => Profile::Paper,
    };
    let known: Vec<String> = experiments.iter().map(|experiment| experiment.id().to_string()).collect();
    if let Some(stranger) = args.ids.iter().find(|id| !known.contains(&id.to_string())) {
        let why =
            format!("there is no experiment {stranger}; there are {} (see `raftianctl bench list`)", known.join(", "));
        return Err(Failure::new(Kind::Usage, why));
    }
    let wanted = experiments.iter().filter(|one| args.ids.is_empty() || args.ids.contains(&one.id()));
    let planned =
        wanted.map(|one| PlannedExperiment::of(one.as_ref(), profile, args.blocks)).collect::<Result<_, _>>()?;
    let folder = args.out.clone().unwrap_or_else(|| {
        let name = if profile == Profile::Quick { "quick" } else { "paper" };
        Path::new("results").join(format!("{name}-{}-{}", timestamp(SystemTime::now()), args.seed))
    });
    let provenance = Provenance::gather(&argv(), programs, &folder)?;
    Ok(Store::create(&folder, Manifest::new(profile, args.seed, planned, provenance))?)
}

fn taken_up(folder: &Path, programs: &Programs) -> Result<Store, Failure> {
    let began = Manifest::read(folder)?.provenance;
    let now = Provenance::gather(&argv(), programs, folder)?;
    if let Some(what) = now.differs_from(&began) {
        let why = format!(
            "the run in {} cannot go on: {what} changed since it began, so its trials would not be comparable; begin \
             another",
            folder.display()
        );
        return Err(Failure::new(Kind::Conflict, why));
    }
    Ok(Store::resume(folder, &argv())?)
}

fn argv() -> Vec<String> {
    std::env::args_os().map(|word| word.to_string_lossy().into_owned()).collect()
}

fn introduce(context: &Context, store: &Store) {
    let manifest = store.manifest();
    let trials: usize = manifest.schedule.iter().map(|block| block.order.len()).sum();
    let total_ms: u64 = manifest.experiments.iter().map(PlannedExperiment::total_ms).sum();
    let (blocks, total, folder) =
        (manifest.schedule.len(), spell_ms(total_ms / 1_000 * 1_000), store.folder().display());
    context.output.note(&format!("{trials} trials in {blocks} blocks, about {total} in all, into {folder}"));
    if !manifest.provenance.machine.optimised {
        context.output.note("this is a debug build: its numbers mean little; build with `cargo build --release`");
    }
}

/// What of the outcome ends the command here, before there is anything to report. An interruption has `discarded` so
/// many trials.
fn failure(outcome: &Outcome, folder: &Path, discarded: usize) -> Option<Failure> {
    let Outcome { stopped, blocks_done, blocks_planned, .. } = outcome;
    let where_ = folder.display();
    let kept = format!("{blocks_done} of {blocks_planned} blocks are kept{}", lost(discarded));
    let goes_on = format!("`raftianctl bench run --resume {where_}` goes on");
    let next = match blocks_done {
        0 => goes_on,
        _ => format!("{goes_on}, `raftianctl bench report {where_}` draws what is kept"),
    };
    match stopped {
        Some(Stop::Interrupted) => Some(Failure::new(Kind::Interrupted, format!("interrupted; {kept}: {next}"))),
        Some(Stop::DiskFull) => {
            Some(Failure::failed(format!("the disk of {where_} is full; {kept}; when there is room, {next}")))
        }
        Some(Stop::Deadline) if *blocks_done == 0 => {
            Some(Failure::new(Kind::TimedOut, format!("there was no time for a single block; {next}")))
        }
        Some(Stop::Deadline) | None => None,
    }
}

fn ended_at_once(folder: &Path, discarded: usize) -> String {
    let (lost, where_) = (lost(discarded), folder.display());
    format!("ended at once; finished blocks are kept{lost}: `raftianctl bench run --resume {where_}` goes on")
}

/// What is said of finished trials that count for nothing.
fn lost(discarded: usize) -> String {
    match discarded {
        0 => String::new(),
        1 => ", 1 finished trial of another is discarded (a block counts whole or not at all)".to_owned(),
        _ => format!(", {discarded} finished trials of another are discarded (a block counts whole or not at all)"),
    }
}

fn summary(finished: &Finished) -> String {
    let Finished { folder, outcome, report } = finished;
    let mut text = format!("{}\n\nreport   {}\n", report.answer, report.page.display());
    let next = match outcome.stopped {
        Some(_) => format!("; `raftianctl bench run --resume {}` goes on", folder.display()),
        None => String::new(),
    };
    text.push_str(&format!("blocks   {} of {}{next}\n", outcome.blocks_done, outcome.blocks_planned));
    report.remarks.iter().for_each(|remark| text.push_str(&format!("note     {remark}\n")));
    text
}

/// A time in UTC that sorts as a word: `20261121-095312`.
fn timestamp(time: SystemTime) -> String {
    let seconds = millis(time.duration_since(UNIX_EPOCH).unwrap_or_default()) / 1_000;
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    // Years that begin in March end with the leap day; 400 of them are 146,097 days. Day 0 of 1970 is day 719,468.
    let (era, day) = ((days + 719_468) / 146_097, (days + 719_468) % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let (day, month) = (day - (153 * month + 2) / 5 + 1, if month < 10 { month + 3 } else { month - 9 });
    let year = era * 400 + year + u64::from(month <= 2);
    format!("{year:04}{month:02}{day:02}-{:02}{:02}{:02}", second / 3_600, second / 60 % 60, second % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_those_of_the_calendar() {
        for (seconds, text) in [
            (0, "19700101-000000"),
            (951_782_399, "20000228-235959"),
            (951_782_400, "20000229-000000"),
            (1_709_251_199, "20240229-235959"),
            (1_795_255_992, "20261121-101312"),
            (4_107_542_400, "21000301-000000"),
        ] {
            assert_eq!(timestamp(UNIX_EPOCH + Duration::from_secs(seconds)), text);
        }
    }

    #[test]
    fn whatever_stops_a_run_the_last_line_says_how_to_go_on() {
        let outcome = |stopped, blocks_done| Outcome {
            stopped,
            blocks_done,
            blocks_planned: 9,
            failed_trials: 0,
            busy_trials: 0,
        };
        for stop in [Stop::Interrupted, Stop::DiskFull] {
            let failure = failure(&outcome(Some(stop), 4), Path::new("results/x"), 0).unwrap();
            assert!(failure.message().contains("4 of 9 blocks are kept"), "{failure:?}");
            assert!(!failure.message().contains("discarded"), "{failure:?}");
            assert!(failure.message().contains("--resume results/x"), "{failure:?}");
        }
        let interrupted = failure(&outcome(Some(Stop::Interrupted), 4), Path::new("x"), 3).unwrap();
        assert!(interrupted.message().contains("are kept, 3 finished trials of another are discarded"));
        assert!(failure(&outcome(Some(Stop::Deadline), 4), Path::new("x"), 0).is_none());
        assert_eq!(failure(&outcome(Some(Stop::Deadline), 0), Path::new("x"), 0).unwrap().kind(), Kind::TimedOut);
        assert!(failure(&outcome(None, 9), Path::new("x"), 0).is_none());
    }
}
