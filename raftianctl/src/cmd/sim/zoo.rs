//! `raftianctl sim zoo`: every planted bug against every judge.
//!
//! Invariant: planted bugs exist only in a program that was built to have them (feature `zoo`); any other says how to
//! build one.

use std::path::PathBuf;

use crate::cli::Context;
use crate::failure::Failure;
#[cfg(not(feature = "zoo"))]
use crate::failure::Kind;
use crate::interrupt::Interrupt;

const EXAMPLES: &str = "\
Examples:
  raftianctl sim zoo --seeds 100
  raftianctl sim zoo --to results/zoo

Wants a program that has bugs to plant:
  cargo run --release -p raftianctl --features zoo -- sim zoo

Every bug is let loose on the same seeds, and all judges are heard out: who is the first to see it, and who would see it
if the others were not there. A bug that none of the seeds shows is pursued three times as far; if no judge sees it even
then, the exit code is 1.";

/// Plant every known bug, and see which judge finds it, and when
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// On how many seeds each bug is let loose
    #[arg(long, value_name = "NUMBER", default_value_t = 1_000, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    seeds: u64,
    /// The folder for kill-matrix.json and kill-matrix.md; only printed if none is named
    #[arg(long, value_name = "FOLDER")]
    to: Option<PathBuf>,
}

/// Says that this program has no bugs to plant.
#[cfg(not(feature = "zoo"))]
pub(crate) async fn run(_: &Context, args: Args, _: Interrupt) -> Result<u8, Failure> {
    let Args { seeds, to } = args;
    let to = to.map_or_else(String::new, |folder| format!(" --to {}", folder.display()));
    let why = format!(
        "this program has no bugs to plant; one that has is built and run with `cargo run --release -p raftianctl \
         --features zoo -- sim zoo --seeds {seeds}{to}`"
    );
    Err(Failure::new(Kind::Usage, why))
}

#[cfg(feature = "zoo")]
pub(crate) use hunt::run;

#[cfg(feature = "zoo")]
mod hunt {
    //! The hunt, where there is something to hunt.

    use std::io::IsTerminal as _;
    use std::panic;
    use std::path::Path;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::time::Instant;

    use indicatif::{ProgressBar, ProgressStyle};
    use raftian_script::Invariant;
    use raftian_sim::Mutant;
    use raftian_sim::zoo::{self, Kill, PURSUIT};

    use super::{Args, Context, Failure, Interrupt};
    use crate::failure::Kind;
    use crate::output::{Output, Paint};
    use crate::table::{Align, Cell, Table};
    use crate::words::millis;

    /// Lets all bugs loose, one after another.
    pub(crate) async fn run(context: &Context, args: Args, mut interrupt: Interrupt) -> Result<u8, Failure> {
        let (output, seeds) = (context.output, args.seeds);
        if let Some(folder) = &args.to {
            let made = std::fs::create_dir_all(folder);
            made.map_err(|error| Failure::failed(format!("cannot make the folder {}: {error}", folder.display())))?;
        }
        let is_cancelled = Arc::new(AtomicBool::new(false));
        let (sender, receiver) = tokio::sync::oneshot::channel();
        let asked = Arc::clone(&is_cancelled);
        let hunting = std::thread::spawn(move || sender.send(hunt_all(output, seeds, &asked)));
        tokio::pin!(receiver);
        let found = tokio::select! {
            found = &mut receiver => found,
            () = interrupt.received() => {
                is_cancelled.store(true, Ordering::Relaxed);
                receiver.await
            }
        };
        // It has sent, or broken off.
        let _ = hunting.join();
        let kills = found.map_err(|_| Failure::failed("the hunt broke off; what it said is above"))?;
        let kills = kills.ok_or_else(|| Failure::new(Kind::Interrupted, "interrupted; nothing was written"))?;
        if let Some(folder) = &args.to {
            save(folder, &kills, seeds)?;
        }
        output.data(&zoo::json(&kills, seeds), |_| table(&kills, seeds, output))?;
        verdict(&kills, seeds)
    }

    /// Hunts one bug after another; `None` when it was told to stop.
    fn hunt_all(output: Output, seeds: u64, is_cancelled: &AtomicBool) -> Option<Vec<Kill>> {
        let mutants: Vec<Mutant> = Mutant::all().collect();
        let bar = bar(output, mutants.len() as u64 * seeds);
        // Some bugs make a server panic. That is a violation like others, and need not be printed as well.
        let hook = panic::take_hook();
        panic::set_hook(Box::new(|_| {}));
        let mut kills = Vec::new();
        for (number, mutant) in mutants.iter().enumerate() {
            bar.set_message(mutant.name());
            let began = Instant::now();
            let specimen = zoo::hunt(*mutant, seeds, |seed| {
                bar.set_position(number as u64 * seeds + seed.min(seeds));
                !is_cancelled.load(Ordering::Relaxed)
            });
            let Some(specimen) = specimen else { break };
            let kill = Kill { specimen, took_ms: millis(began.elapsed()) };
            if bar.is_hidden() {
                output.note(&format!("{} of {}: {}", number + 1, mutants.len(), told(&kill)));
            }
            kills.push(kill);
        }
        panic::set_hook(hook);
        bar.finish_and_clear();
        (kills.len() == mutants.len()).then_some(kills)
    }

    fn bar(output: Output, length: u64) -> ProgressBar {
        if output.is_quiet() || !std::io::stderr().is_terminal() {
            return ProgressBar::hidden();
        }
        let bar = ProgressBar::new(length);
        let style = ProgressStyle::with_template("{wide_bar} {percent:>3} %  {elapsed_precise}, {eta} left  {msg}");
        bar.set_style(style.expect("a valid template"));
        bar
    }

    fn told(kill: &Kill) -> String {
        let name = kill.specimen.mutant.name();
        match &kill.specimen.first {
            Some(first) => format!("{name}: seed {}, {}", first.seed, first.violation),
            None => format!("{name}: not seen"),
        }
    }

    fn save(folder: &Path, kills: &[Kill], seeds: u64) -> Result<(), Failure> {
        let json = format!("{:#}\n", zoo::json(kills, seeds));
        for (name, text) in [("kill-matrix.json", json), ("kill-matrix.md", zoo::markdown(kills, seeds))] {
            let path = folder.join(name);
            let written = std::fs::write(&path, text);
            written.map_err(|error| Failure::failed(format!("cannot write {}: {error}", path.display())))?;
        }
        Ok(())
    }

    fn table(kills: &[Kill], seeds: u64, output: Output) -> String {
        let caught = format!("OF {seeds}");
        let mut table = Table::new(vec![
            ("PLANTED BUG", Align::Left),
            ("FIRST SEEN BY", Align::Left),
            ("SEED", Align::Right),
            ("STEP", Align::Right),
            (&caught, Align::Right),
            ("JUDGES", Align::Right),
        ]);
        for Kill { specimen, .. } in kills {
            let row = match &specimen.first {
                Some(first) => [
                    Cell::from(specimen.mutant.name()),
                    first.violation.invariant.name().into(),
                    first.seed.to_string().into(),
                    first.violation.step.to_string().into(),
                    specimen.caught.to_string().into(),
                    specimen.alone.len().to_string().into(),
                ],
                None => {
                    let unseen = Cell::painted("not seen", Paint::Bad);
                    [specimen.mutant.name().into(), unseen, "".into(), "".into(), "0".into(), "0".into()]
                }
            };
            table.row(row);
        }
        let caught = kills.iter().filter(|kill| kill.specimen.first.is_some()).count();
        let toothless: Vec<&str> = zoo::toothless(kills).into_iter().map(Invariant::name).collect();
        let judges = match toothless.is_empty() {
            true => "every judge sees one, alone".to_owned(),
            false => format!("in these seeds none shows itself, alone, to {}", toothless.join(", ")),
        };
        let table = table.render(output.colour());
        format!("{table}\n{caught} of {} planted bugs are seen; {judges}\n", kills.len())
    }

    fn verdict(kills: &[Kill], seeds: u64) -> Result<u8, Failure> {
        let unseen = kills.iter().filter(|kill| kill.specimen.first.is_none());
        let names: Vec<String> = unseen.map(|kill| kill.specimen.mutant.name()).collect();
        if names.is_empty() {
            return Ok(0);
        }
        let pursued = seeds * PURSUIT;
        Err(Failure::failed(format!("no judge sees {} in {pursued} seeds; try more --seeds", names.join(", "))))
    }
}
