//! `raftianctl run`: a scenario is played, in the simulator or on real processes.
//!
//! Invariant: the same file means the same on both engines; what one cannot do is refused before anything starts. A lab of
//! real processes is gone when the command ends, however it ends.

mod face;
mod file;
mod grid;
mod keeping;
mod list;
mod outcome;
mod piece;
mod steps;
mod telling;

use std::path::PathBuf;

use clap::ValueEnum;
use indicatif::ProgressBar;
use raftian_bench::cancel::{Cancel, cancel_pair};
use raftian_bench::lab_engine::{LabEngine, PATIENCE, is_by_hand, unfit};
use raftian_bench::run::Maker;
use raftian_script::{GRAMMAR, Scenario, Statement};
use raftian_sim::Stopped;
use serde::Serialize;

use crate::cli::Context;
use crate::cmd::sim;
use crate::cmd::sim::chart::Drawing;
use crate::failure::{Failure, Kind};
use crate::interrupt::Interrupt;
use crate::keep::Recorded;
use crate::output::Output;
use crate::stage::with_lab;
use crate::{progress, units, words};

pub(crate) use self::outcome::verdict_of;
use self::outcome::{Outcome, Tally, report};
pub(crate) use self::piece::Piece;
use self::piece::pieces;
use self::steps::Steps;
use self::telling::Story;

const EXAMPLES: &str = "\
Examples:
  raftianctl run --list
  raftianctl run split_brain
  raftianctl run split_brain --engine processes
  raftianctl run fig8_d --step
  raftianctl run fig8
  raftianctl run fig8_d --chart svg --to fig8_d.svg
  raftianctl run split_brain --engine processes --slow 10
  raftianctl run fig8_unreliable --seeds 1..100
  raftianctl run fig7_a --text > mine.scenario
  raftianctl run mine.scenario --seed 7 --repeat 20 -o json
  raftianctl sim replay 7 --script | raftianctl run -
  raftianctl run --grammar

`fig8` is the family of all that begin so. A scenario says what a cluster is, what is done to it, and what must be so; \
--grammar prints the page about all that it can say (docs/scenarios.md). The simulator plays all of them, in virtual time. Real \
processes play most of them, on a lab of their own that is gone at the end: those with steps by hand in virtual time, too, \
on nodes that are moved by hand, and others in real time, where an expectation has 2 s at least. Exit code 1 if \
something was not as the scenario says, or the verdict is violated; 2 if it cannot be read, or the engine cannot play it; \
3 if it holds, but the verdict is unknown.";

/// The most seeds with which a scenario is played.
const MOST_SEEDS: u64 = 100_000;

/// What plays a scenario.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum On {
    /// The simulator.
    Sim,
    /// Real processes.
    Processes,
}

/// Play a scenario, in the simulator or on real processes
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// A file, or the name of a scenario that comes with raftian; `-` is standard input
    #[arg(value_name = "FILE|NAME", required_unless_present_any = ["list", "grammar"])]
    scenario: Option<PathBuf>,
    /// List the scenarios that come with raftian, and the engines that can play them
    #[arg(long, conflicts_with_all = ["scenario", "seed", "seeds", "repeat", "engine", "step", "logs", "slow", "resolved", "text", "mutant", "chart"])]
    list: bool,
    /// Print the grammar of scenarios: all that can be said, with examples
    #[arg(long, exclusive = true)]
    grammar: bool,
    /// Stop before every line, show the logs, and go on at Enter
    #[arg(long)]
    step: bool,
    /// Show the logs of all nodes where they change; without this only of scenarios that begin with logs, as figures do. In
    /// JSON, each line then has what faces show after it
    #[arg(long)]
    logs: bool,
    /// What plays it: sim, or processes
    #[arg(long, value_name = "ENGINE", value_enum, default_value_t = On::Sim, hide_possible_values = true)]
    engine: On,
    /// The seed, instead of the scenario's own
    #[arg(long, value_name = "NUMBER", value_parser = units::seed)]
    seed: Option<u64>,
    /// Play it with each of these seeds: 1..100
    #[arg(long, value_name = "FIRST..LAST", value_parser = sim::range, conflicts_with_all = ["seed", "repeat"])]
    seeds: Option<(u64, u64)>,
    /// All its times so many times as long, for eyes
    #[arg(long, value_name = "TIMES", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=100))]
    slow: u32,
    /// Print the scenario as it was written, and play nothing
    #[arg(long, conflicts_with_all = ["resolved", "chart"])]
    text: bool,
    /// Print the scenario with all its settings, and play nothing
    #[arg(long, conflicts_with = "chart")]
    resolved: bool,
    /// Plant this bug in the simulated cluster, whatever the scenario says (see `raftianctl sim zoo`)
    #[arg(long, value_name = "NAME")]
    mutant: Option<String>,
    #[command(flatten)]
    drawing: Drawing,
    /// Play it so many times, each with the next seed
    #[arg(long, value_name = "TIMES", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=100_000))]
    repeat: u64,
    #[command(flatten)]
    keeping: Keeping,
}

/// Whether what is played is kept, and where.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Keeping {
    /// Keep the run in this folder, which must be empty if it is there [default: with the other runs]
    #[arg(long, value_name = "FOLDER")]
    out: Option<PathBuf>,
    /// Keep nothing of it
    #[arg(long, conflicts_with = "out")]
    no_keep: bool,
    /// Keep this, too: messages, which `timeline --to trace.json` shows
    #[arg(long, value_name = "WHAT", value_enum, conflicts_with = "no_keep", hide_possible_values = true)]
    record: Option<Recorded>,
}

/// How scenarios are played.
#[derive(Clone, Debug)]
pub(crate) struct Playing {
    engine: On,
    showing: Showing,
    drawing: Drawing,
    keeping: Keeping,
    /// What makes the runs.
    maker: Maker,
    /// Whether those are kept too that are like many others: in the simulator, and as they should be.
    keeps_all: bool,
}

impl Playing {
    /// What shows that something goes on; nothing where a person is asked for each line.
    fn spinner(&self, output: Output) -> ProgressBar {
        if self.showing.step { ProgressBar::hidden() } else { progress::spinner(output) }
    }

    /// One that is drawn, as a nemesis does.
    pub(crate) fn drawn(engine: On, keeping: Keeping) -> Playing {
        let showing = Showing { logs: false, step: false, silent: false };
        Playing { engine, showing, drawing: Drawing::default(), keeping, maker: Maker::Nemesis, keeps_all: true }
    }
}

/// How it is shown.
#[derive(Clone, Copy, Debug)]
struct Showing {
    logs: bool,
    step: bool,
    /// Whether nothing is told while it is played.
    silent: bool,
}

impl Showing {
    /// Whether the logs of this one are shown.
    fn shows_logs(self, scenario: &Scenario) -> bool {
        let begins_with_logs = || scenario.steps.iter().any(|step| matches!(step.statement, Statement::Disk { .. }));
        self.logs || self.step || begins_with_logs()
    }

    /// What asks for each line, if something does.
    fn steps(self, blocks: bool) -> Option<Steps> {
        self.step.then(|| Steps::begin(blocks))
    }
}

/// Plays one, or lists those there are. The exit code is that of the worst run.
pub(crate) async fn run(context: &Context, args: Args, interrupt: Interrupt) -> Result<u8, Failure> {
    let Some(wanted) = &args.scenario else {
        return if args.grammar { context.output.document(GRAMMAR) } else { list::list(context) }.map(|()| 0);
    };
    if args.step && context.output.is_json() {
        return Err(Failure::new(Kind::Usage, "--step shows and asks a person; leave out `-o json`, or --step"));
    }
    let is_one = args.repeat == 1 && args.seeds.is_none();
    if !is_one && args.keeping.out.is_some() {
        return Err(Failure::new(Kind::Usage, "--out is for one run; leave out --repeat and --seeds, or --out"));
    }
    if args.seeds.is_some_and(|(first, last)| last - first >= MOST_SEEDS) {
        return Err(Failure::new(
            Kind::Usage,
            format!("a scenario is played with {MOST_SEEDS} seeds at most, one after another"),
        ));
    }
    if args.engine == On::Processes && args.drawing.is_wanted() {
        return Err(Failure::new(
            Kind::Usage,
            "--chart draws the messages of a simulated run; `raftianctl timeline` draws what real processes did",
        ));
    }
    let mut pieces = pieces(context, wanted)?;
    if args.text {
        let texts = pieces.iter().map(|piece| piece.text.as_str()).collect::<Vec<_>>();
        return context.output.document(&texts.join("\n")).map(|()| 0);
    }
    if let Some(mutant) = &args.mutant {
        pieces.iter_mut().for_each(|piece| piece.scenario.mutant = Some(mutant.clone()));
    }
    if args.slow > 1 {
        pieces.iter_mut().try_for_each(|piece| piece.slow_down(args.slow))?;
    }
    let runs: Vec<Piece> = pieces.iter().flat_map(|piece| seeded(&args, piece)).collect();
    if args.drawing.is_wanted() && runs.len() > 1 {
        return Err(Failure::new(Kind::Usage, "--chart draws one run; name one scenario, and no --seeds or --repeat"));
    }
    let showing = Showing { logs: args.logs, step: args.step, silent: args.drawing.is_all() };
    if args.resolved {
        let texts = runs.iter().map(|piece| piece.scenario.resolved().to_string()).collect::<Vec<_>>();
        return context.output.document(&texts.join("\n")).map(|()| 0);
    }
    let keeps_all = is_one;
    let Args { engine, drawing, keeping, .. } = args;
    let playing = Playing { engine, showing, drawing, keeping, maker: Maker::Run, keeps_all };
    play(context, &playing, runs, interrupt).await
}

/// Plays some. The exit code is that of the worst.
pub(crate) async fn play(
    context: &Context,
    playing: &Playing,
    mut runs: Vec<Piece>,
    mut interrupt: Interrupt,
) -> Result<u8, Failure> {
    if playing.engine == On::Processes {
        refuse_unfit(context, &mut runs)?;
    }
    if playing.keeping.record.is_some() {
        refuse_unrecorded(playing.engine, &runs)?;
    }
    // A bug that this program cannot plant is refused before anything starts, too.
    for piece in &runs {
        sim::hush(&sim::settings(piece.scenario.mutant.as_deref())?);
    }
    if playing.engine == On::Sim {
        let (context, playing) = (context.clone(), playing.clone());
        return sim::aside(interrupt, false, move |_| {
            let spinner = playing.spinner(context.output);
            let mut tally = Tally::default();
            for (place, piece) in runs.iter().enumerate() {
                apart(&context, place)?;
                let played = in_simulator(&context, &spinner, piece, &playing)?;
                let outcome = keeping::simulated(&playing, piece, played)?;
                tally.count(report(&context, &spinner, &outcome)?);
            }
            tally.end(&context)
        })
        .await;
    }
    let (canceller, cancel) = cancel_pair();
    let spinner = playing.spinner(context.output);
    let all = async {
        let mut tally = Tally::default();
        for (place, piece) in runs.iter().enumerate() {
            apart(context, place)?;
            let outcome = on_processes(context, &spinner, playing, piece, &cancel).await?;
            tally.count(report(context, &spinner, &outcome)?);
        }
        tally.end(context)
    };
    let ended = interrupt.heed(&canceller, all).await;
    spinner.finish_and_clear();
    match ended {
        Err(failure) if cancel.is_cancelled() && failure.message().is_empty() => {
            Err(Failure::new(Kind::Interrupted, "the scenario was interrupted; its lab is stopped and removed"))
        }
        ended => ended,
    }
}

/// An empty line before each run but the first.
fn apart(context: &Context, place: usize) -> Result<(), Failure> {
    if place == 0 || context.output.is_json() { Ok(()) } else { context.output.text("\n") }
}

/// Leaves out what real processes cannot play.
///
/// # Errors
/// When that is all: line and reason.
fn refuse_unfit(context: &Context, pieces: &mut Vec<Piece>) -> Result<(), Failure> {
    let refused = |piece: &Piece| unfit(&piece.scenario).map(|unfit| format!("{}, {unfit}", piece.name));
    let reasons: Vec<String> = pieces.iter().filter_map(refused).collect();
    if reasons.len() == pieces.len() {
        return Err(Failure::new(Kind::Usage, reasons.join("\n")));
    }
    pieces.retain(|piece| refused(piece).is_none());
    reasons.iter().for_each(|why| context.output.note(&format!("left out: {why}")));
    Ok(())
}

/// Refuses to record messages where that cannot be.
fn refuse_unrecorded(engine: On, pieces: &[Piece]) -> Result<(), Failure> {
    let why = match engine {
        On::Sim => {
            "the simulator records no messages: `raftianctl run --chart svg` draws them; leave out --record".to_owned()
        }
        On::Processes => match pieces.iter().find(|piece| is_by_hand(&piece.scenario)) {
            Some(piece) => format!("{} moves nodes by hand, which record no messages; leave out --record", piece.name),
            None => return Ok(()),
        },
    };
    Err(Failure::new(Kind::Usage, why))
}

/// The scenario with one seed after another.
fn seeded(args: &Args, piece: &Piece) -> impl Iterator<Item = Piece> + use<> {
    let (first, count) = match args.seeds {
        Some((first, last)) => (first, (last - first).saturating_add(1)),
        None => (args.seed.unwrap_or(piece.scenario.seed), args.repeat),
    };
    let piece = piece.clone();
    (0..count).map(move |at| {
        let scenario = Scenario { seed: first.wrapping_add(at), ..piece.scenario.clone() };
        Piece { scenario, ..piece.clone() }
    })
}

fn in_simulator(
    context: &Context,
    spinner: &ProgressBar,
    piece: &Piece,
    playing: &Playing,
) -> Result<Outcome, Failure> {
    let showing = playing.showing;
    let mut story = Story::begin(context.output, spinner, piece, "in the simulator", showing, showing.steps(true));
    let played = raftian_sim::play_watched(&piece.scenario, &mut story);
    let line = played.stopped.as_ref().map(Stopped::line);
    let invariant = match &played.stopped {
        Some(Stopped::Broken { violation, .. }) => Some(violation.invariant.name()),
        _ => None,
    };
    Ok(Outcome {
        scenario: piece.name.clone(),
        title: piece.scenario.title.clone(),
        see: piece.scenario.see.clone(),
        engine: On::Sim,
        seed: piece.scenario.seed,
        holds: played.stopped.is_none(),
        line: line.filter(|line| *line > 0),
        why: played.stopped.as_ref().map(Stopped::to_string),
        verdict: verdict_of(&piece.scenario, &played),
        took_ms: played.virtual_us as f64 / 1e3,
        invariant,
        hash: Some(format!("{:016x}", played.hash)),
        events: Some(played.events),
        chart: playing.drawing.draw(context, &played.journal)?,
        lines: story.end(),
        run: None,
    })
}

async fn on_processes(
    context: &Context,
    spinner: &ProgressBar,
    playing: &Playing,
    piece: &Piece,
    cancel: &Cancel,
) -> Result<Outcome, Failure> {
    let nodes = words::nodes(usize::from(piece.scenario.plan.founders));
    let place = match is_by_hand(&piece.scenario) {
        true => format!("on {nodes} of a lab of its own, moved by hand"),
        false => format!("on {nodes} of a lab of its own; an expectation has {} s at least", PATIENCE.as_secs()),
    };
    let showing = playing.showing;
    let mut story = Story::begin(context.output, spinner, piece, &place, showing, showing.steps(false));
    spinner.set_message("starting the lab");
    let mut kept = keeping::begin(playing, piece)?;
    let played = with_lab(context, "run", spinner, async |lab| {
        let play = async {
            let mut engine = LabEngine::start(lab, &piece.scenario, kept.as_ref()).await?;
            let began = std::time::Instant::now();
            let stopped = raftian_script::run(&mut engine, &piece.scenario, &mut story).await;
            Ok((stopped, engine.ending().cloned(), began.elapsed().as_secs_f64() * 1e3))
        };
        tokio::select! {
            played = play => played,
            () = cancel.cancelled() => Err(Failure::new(Kind::Interrupted, "")),
        }
    })
    .await;
    let (stopped, ending, took_ms) = keeping::unless_interrupted(kept.as_mut(), played)?;
    let line = stopped.as_ref().map(raftian_script::Stopped::line);
    let mut outcome = Outcome {
        scenario: piece.name.clone(),
        title: piece.scenario.title.clone(),
        see: piece.scenario.see.clone(),
        engine: On::Processes,
        seed: piece.scenario.seed,
        holds: stopped.is_none(),
        line: line.filter(|line| *line > 0),
        why: stopped.as_ref().map(ToString::to_string),
        verdict: ending.as_ref().map(|ending| ending.verdict),
        took_ms,
        invariant: None,
        hash: None,
        events: None,
        chart: None,
        lines: story.end(),
        run: None,
    };
    keeping::end(kept, &mut outcome, ending)?;
    Ok(outcome)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_help_says_how_long_an_expectation_has() {
        assert!(EXAMPLES.contains(&format!("an expectation has {} s at least", PATIENCE.as_secs())));
    }
}
