//! `raftianctl runs`: the runs that were kept, listed, shown, removed, and handed on.

mod export;

use std::path::{Path, PathBuf};
use std::time::Duration;

use raftian_bench::run::{Engine, Judgement, Listed, Manifest, Run, RunId, State, Store, Unread};
use raftian_check::Verdict;
use serde::Serialize;

use crate::cli::Context;
use crate::failure::{Failure, Kind};
use crate::keep::store;
use crate::output::Paint;
use crate::table::{Align, Cell, Table};
use crate::{units, words};

const EXAMPLES: &str = "\
Examples:
  raftianctl runs
  raftianctl runs show last
  raftianctl runs rm 3fa2 77 && raftianctl runs rm --older-than 7d
  raftianctl runs export last --to found.run

`load`, `demo`, `run` and `nemesis` keep what they do as a run: manifest, scenario, journal, history, the logs of the nodes, and the \
verdict. A run is meant by its name, by the beginning of its name, by `last`, or by the path of its folder. All lie in \
one folder beside the labs, $RAFTIAN_HOME/runs. The newest 50 on real processes and the newest 50 in the simulator stay \
there, up to 4 GB of each; what is to stay longer goes to a folder of its own (--out).";

/// List, show, remove and hand on the runs that were kept
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(subcommand)]
    what: Option<What>,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// List all runs, the newest first (so does `runs` alone)
    #[command(after_help = "Example:\n  raftianctl runs list -o json")]
    List,
    /// Show what a run is, and what was said of it
    #[command(after_help = "Examples:\n  raftianctl runs show last\n  raftianctl runs show 3fa2 -o json")]
    Show {
        /// Its name, the beginning of it, `last`, or a folder
        #[arg(value_name = "RUN")]
        run: String,
    },
    /// Remove runs
    #[command(after_help = "Examples:\n  raftianctl runs rm 3fa2 77\n  raftianctl runs rm --older-than 7d")]
    Rm {
        /// Their names, or the beginnings of them, or `last`
        #[arg(value_name = "RUN", required_unless_present_any = ["older_than", "all"])]
        runs: Vec<String>,
        /// Those that began so long ago or longer: 12h, 7d
        #[arg(long, value_name = "TIME", value_parser = units::age, conflicts_with = "runs")]
        older_than: Option<Duration>,
        /// All that do not go on
        #[arg(long, conflicts_with_all = ["runs", "older_than"])]
        all: bool,
    },
    /// Write a run as one file, or its history for another judge
    #[command(after_help = export::EXAMPLES)]
    Export(export::Args),
    /// Take in a run that was exported, maybe on another machine
    #[command(after_help = "Example:\n  raftianctl runs import found.run && raftianctl check last")]
    Import {
        /// The file
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
}

/// What is listed and removed.
#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Row {
    Run(Box<Listed>),
    Unread(Unread),
}

impl Row {
    fn id(&self) -> &RunId {
        match self {
            Row::Run(run) => &run.id,
            Row::Unread(unread) => &unread.id,
        }
    }

    fn folder(&self) -> &Path {
        match self {
            Row::Run(run) => &run.folder,
            Row::Unread(unread) => &unread.folder,
        }
    }

    fn bytes(&self) -> u64 {
        match self {
            Row::Run(run) => run.bytes,
            Row::Unread(unread) => unread.bytes,
        }
    }
}

/// A run in detail.
#[derive(Debug, Serialize)]
struct Shown {
    #[serde(flatten)]
    manifest: Manifest,
    folder: std::path::PathBuf,
    state: State,
    /// What was said of it when it ended.
    judged: Option<Judgement>,
}

/// Lists, shows or removes.
pub(crate) fn run(context: &Context, args: Args) -> Result<(), Failure> {
    let store = store()?;
    match args.what.unwrap_or(What::List) {
        What::List => list(context, &store),
        What::Show { run } => show(context, &store, &run),
        What::Rm { runs, older_than, all } => {
            let meant = meant(&store, &runs, older_than, all)?;
            remove(context, &store, &meant)
        }
        What::Export(args) => export::export(context, &store, &args),
        What::Import { file } => export::import(context, &store, &file),
    }
}

fn list(context: &Context, store: &Store) -> Result<(), Failure> {
    let rows: Vec<Row> = rows(store.list(), store.unread()).collect();
    context.output.report(&rows, |rows| table(rows, store, context.output.colour()))
}

/// Runs, and what cannot be read as one.
fn rows(runs: Vec<Listed>, unread: Vec<Unread>) -> impl Iterator<Item = Row> {
    runs.into_iter().map(|run| Row::Run(Box::new(run))).chain(unread.into_iter().map(Row::Unread))
}

fn table(rows: &[Row], store: &Store, colour: bool) -> String {
    if rows.is_empty() {
        return format!(
            "no runs yet; `load`, `demo`, `run` and `nemesis` keep theirs in {}\n",
            store.folder().display()
        );
    }
    let mut table = Table::new([
        ("RUN", Align::Left),
        ("BEGAN", Align::Right),
        ("BY", Align::Left),
        ("WHAT", Align::Left),
        ("TOOK", Align::Right),
        ("VERDICT", Align::Left),
        ("SIZE", Align::Right),
    ]);
    for row in rows {
        let run = match row {
            Row::Run(run) => run,
            Row::Unread(unread) => {
                let none = || Cell::from("–");
                let size = words::bytes(unread.bytes).into();
                table.row([unread.id.as_str().into(), none(), none(), none(), none(), unread_word(unread), size]);
                continue;
            }
        };
        table.row([
            Cell::from(run.id.as_str()),
            format!("{} ago", words::age(age(&run.manifest))).into(),
            run.manifest.began.maker.to_string().into(),
            what(&run.manifest).into(),
            run.manifest.lasted_s().map_or_else(|| "–".to_owned(), |s| format!("{s:.1} s")).into(),
            outcome(run),
            words::bytes(run.bytes).into(),
        ]);
    }
    let total = rows.iter().map(Row::bytes).sum();
    let count = if rows.len() == 1 { "1 run".to_owned() } else { format!("{} runs", rows.len()) };
    let whys = rows.iter().filter_map(|row| match row {
        Row::Unread(Unread { id, unfinished: false, why, .. }) => Some(format!("{id}: {why}\n")),
        _ => None,
    });
    let whys: String = whys.collect();
    format!("{}{whys}{count}, {} in {}\n", table.render(colour), words::bytes(total), store.folder().display())
}

/// How long ago a run began.
fn age(manifest: &Manifest) -> Duration {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    now.saturating_sub(Duration::from_millis(manifest.began_unix_ms))
}

/// What was done: a scenario, and in the simulator; or a load on a lab.
fn what(manifest: &Manifest) -> String {
    let began = &manifest.began;
    match (&began.scenario, &began.lab, began.engine) {
        (Some(scenario), _, Engine::Sim) => format!("{scenario} (sim)"),
        (Some(scenario), _, Engine::Processes) => scenario.clone(),
        (None, Some(lab), _) => format!("lab `{lab}`"),
        (None, None, _) => format!("seed {}", began.seed),
    }
}

fn outcome(run: &Listed) -> Cell {
    match (&run.state, run.verdict) {
        (_, verdict) if run.holds == Some(false) && verdict != Some(Verdict::Violated) => {
            Cell::painted("does not hold", Paint::Bad)
        }
        (State::Running, _) => Cell::painted("goes on", Paint::Dim),
        (_, Some(Verdict::Valid)) => Cell::painted("valid", Paint::Good),
        (_, Some(Verdict::Violated)) => Cell::painted("violated", Paint::Bad),
        (_, Some(Verdict::Unknown)) => Cell::painted("unknown", Paint::Warn),
        (State::Completed, None) => "not judged".into(),
        (State::Interrupted(_), None) => Cell::painted("interrupted", Paint::Warn),
        (State::CutOff, None) => Cell::painted("cut off", Paint::Warn),
    }
}

fn unread_word(unread: &Unread) -> Cell {
    match unread.unfinished {
        true => Cell::painted("unfinished", Paint::Warn),
        false => Cell::painted("unreadable", Paint::Warn),
    }
}

fn show(context: &Context, store: &Store, name: &str) -> Result<(), Failure> {
    let run = Run::open(&store.find(name)?)?;
    context.output.report(&shown(&run), text)
}

fn shown(run: &Run) -> Shown {
    Shown {
        manifest: run.manifest().clone(),
        folder: run.folder().to_owned(),
        state: run.state(),
        judged: run.judged(),
    }
}

fn text(shown: &Shown) -> String {
    let Shown { manifest, folder, state, judged } = shown;
    let began = &manifest.began;
    let mut lines = vec![
        ("run", format!("{} of {}", manifest.id, what(manifest))),
        ("command", began.command.join(" ")),
        ("engine", format!("{}, seed {}", began.engine, began.seed)),
        ("machine", manifest.machine.to_string()),
        ("began", format!("{} ago", words::age(age(manifest)))),
    ];
    if let Some(cluster) = &manifest.cluster {
        let nodes = raftian_rpc::selector::names(&cluster.nodes);
        lines.push(("cluster", format!("{nodes}, {}", cluster.app)));
    }
    lines.push(("state", state_words(state, manifest.lasted_s())));
    if let Some(verdict) = judged.as_ref().and_then(|judged| judged.verdict) {
        lines.push(("verdict", verdict.to_string()));
    }
    lines.push(("folder", folder.display().to_string()));
    lines.iter().map(|(name, value)| format!("{name:<8}  {value}\n")).collect()
}

fn state_words(state: &State, lasted_s: Option<f64>) -> String {
    let after = lasted_s.map(|s| format!(" after {s:.1} s")).unwrap_or_default();
    match state {
        State::Running => "goes on".to_owned(),
        State::Completed => format!("completed{after}"),
        State::Interrupted(why) => format!("ended before its end{after}: {why}"),
        State::CutOff => "cut off: what made it ended without a word".to_owned(),
    }
}

fn meant(store: &Store, names: &[String], older_than: Option<Duration>, all: bool) -> Result<Vec<Row>, Failure> {
    let mut listed = store.list();
    if all || older_than.is_some() {
        listed.retain(|run| run.state != State::Running && older_than.is_none_or(|time| age(&run.manifest) >= time));
        // When what cannot be read began is not known.
        return Ok(rows(listed, if all { store.unread() } else { Vec::new() }).collect());
    }
    let folders: Vec<_> = names.iter().map(|name| store.find(name)).collect::<Result<_, _>>()?;
    if let Some(place) = folders.iter().position(|folder| folder.parent() != Some(store.folder())) {
        let why = format!("{} is not in the store of runs; remove the folder yourself", names[place]);
        return Err(Failure::new(Kind::Usage, why));
    }
    Ok(rows(listed, store.unread()).filter(|row| folders.iter().any(|folder| folder == row.folder())).collect())
}

fn remove(context: &Context, store: &Store, rows: &[Row]) -> Result<(), Failure> {
    rows.iter().try_for_each(|row| match row {
        Row::Run(run) => store.remove(run),
        Row::Unread(unread) => store.remove_unread(unread),
    })?;
    context.output.report(&rows, |runs| {
        let total = runs.iter().map(Row::bytes).sum();
        match runs {
            [] => "nothing to remove\n".to_owned(),
            [one] => format!("removed run {}, {}\n", one.id(), words::bytes(total)),
            several => format!("removed {} runs, {}\n", several.len(), words::bytes(total)),
        }
    })
}

#[cfg(test)]
mod tests {
    use raftian_bench::run::{KEPT, KEPT_BYTES};

    use super::*;

    #[test]
    fn the_help_says_how_many_runs_stay() {
        let flat = EXAMPLES.replace('\n', " ");
        assert!(flat.contains(&format!("The newest {KEPT} on real processes and the newest {KEPT} in the simulator")));
        assert!(flat.contains(&format!("up to {} GB of each", KEPT_BYTES / 1_000_000_000)));
    }
}
