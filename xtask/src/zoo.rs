//! `cargo xtask zoo`: every planted bug in real nodes, under a nemesis, and which of them the judges catch.
//!
//! Invariant: a bug is caught when a run with it is violated, or does not come to life at its end; and sound nodes are put to
//! the same test as often as `--control` says, so that the page tells what the same judges say of them.
//!
//! Deliberately absent: what the bugs are (`raftian-planted`), and the judges, which are those of every run.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use serde_json::Value;

use crate::{cargo_build, run, tree};

/// What is tried, one after another, until the bug is caught: the profile of the nemesis, and the application.
const TRIES: [(&str, &str); 4] = [("hard", "kv"), ("membership", "kv"), ("disks", "kv"), ("hard", "attack")];

/// Plant every bug in real nodes, and see which are caught
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  cargo xtask zoo
  cargo xtask zoo --only quorum_half,vote_twice --seconds 20")]
pub(crate) struct Args {
    /// Only these bugs, by their names
    #[arg(long, value_name = "NAME,…", value_delimiter = ',')]
    only: Vec<String>,
    /// How long a nemesis strikes in one try
    #[arg(long, value_name = "SECONDS", default_value_t = 10)]
    seconds: u64,
    /// The first seed; the tries of a bug have this one and those after it
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    seed: u64,
    /// How often all tries are made with sound nodes
    #[arg(long, value_name = "COUNT", default_value_t = 3)]
    control: u64,
    /// The file for what came of it
    #[arg(long, value_name = "FILE", default_value = "results/zoo/processes.md")]
    to: PathBuf,
}

/// What came of one bug, or of a control.
struct Hunted {
    name: String,
    /// How it was caught, if it was.
    caught: Option<Caught>,
    /// How long all tries took.
    took: Duration,
}

struct Caught {
    profile: &'static str,
    app: &'static str,
    seed: u64,
    /// What was wrong.
    why: String,
}

/// Hunts them all, and writes the page.
pub(crate) fn hunt(args: Args) -> anyhow::Result<()> {
    let programs = build()?;
    let home = tree().join("target/zoo-labs");
    let names: Vec<String> =
        names()?.into_iter().filter(|name| args.only.is_empty() || args.only.contains(name)).collect();
    anyhow::ensure!(!names.is_empty(), "no planted bug has such a name");
    let nemesis = Nemesis { programs: &programs, home: &home, seconds: args.seconds };
    let (mut bugs, mut controls) = (Vec::new(), Vec::new());
    // Controls are spread over the hunt: what the machine does besides strikes them as well.
    let every = (names.len() as u64 / args.control.max(1)).max(1);
    for (number, name) in names.iter().enumerate() {
        if (number as u64).is_multiple_of(every) && (controls.len() as u64) < args.control {
            for (profile, app) in TRIES {
                controls.push(nemesis.tries(None, [(profile, app)], args.seed + controls.len() as u64)?);
            }
        }
        let hunted = nemesis.tries(Some(name), TRIES, args.seed)?;
        let said = hunted.caught.as_ref().map_or("not caught", |caught| &caught.why);
        eprintln!("{} of {}: {name}, {:.0} s: {said}", number + 1, names.len(), hunted.took.as_secs_f64());
        bugs.push(hunted);
    }
    let page = page(&bugs, &controls, &args);
    fs::write(&args.to, page).with_context(|| format!("cannot write {}", args.to.display()))?;
    println!("{}", args.to.display());
    // The labs are gone; what is left there, if anything is, are runs of no use.
    if home.exists() { Ok(fs::remove_dir_all(&home)?) } else { Ok(()) }
}

/// Builds the programs, with nodes that have bugs, in a folder of their own: no other build must find them.
fn build() -> anyhow::Result<PathBuf> {
    let target = tree().join("target/zoo");
    let in_target = || {
        let mut build = cargo_build();
        build.arg("--target-dir").arg(&target);
        build
    };
    run(in_target().args(["--package", "raftianctl", "--package", "raftiand"]))?;
    run(in_target().args(["--package", "raftian-node", "--features", "mutants"]))?;
    Ok(target.join("release"))
}

/// The names of all planted bugs, as the simulator's page has them.
fn names() -> anyhow::Result<Vec<String>> {
    let path = tree().join("results/zoo/kill-matrix.json");
    let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let matrix: Value = serde_json::from_str(&text)?;
    let mutants = matrix["mutants"].as_array().context("the kill matrix has mutants")?;
    mutants.iter().map(|one| one["name"].as_str().map(str::to_owned).context("a mutant has a name")).collect()
}

/// How a bug is looked for.
struct Nemesis<'a> {
    programs: &'a Path,
    home: &'a Path,
    seconds: u64,
}

impl Nemesis<'_> {
    /// One try after another, until something is wrong.
    fn tries(
        &self,
        mutant: Option<&str>,
        tries: impl IntoIterator<Item = (&'static str, &'static str)>,
        seed: u64,
    ) -> anyhow::Result<Hunted> {
        let began = Instant::now();
        let mut caught = None;
        for ((profile, app), seed) in tries.into_iter().zip(seed..) {
            let why = self.strike(mutant, profile, app, seed)?;
            caught = why.map(|why| Caught { profile, app, seed, why });
            if caught.is_some() {
                break;
            }
        }
        let name = mutant.unwrap_or("none").to_owned();
        Ok(Hunted { name, caught, took: began.elapsed() })
    }

    /// One nemesis; what was wrong, if anything was.
    fn strike(&self, mutant: Option<&str>, profile: &str, app: &str, seed: u64) -> anyhow::Result<Option<String>> {
        let mut command = Command::new(self.programs.join("raftianctl"));
        command.env("RAFTIAN_HOME", self.home).env("RAFTIAN_BIN_DIR", self.programs).env_remove("RAFTIAN_LAB");
        command.args([
            "-q",
            "-o",
            "json",
            "nemesis",
            "--no-keep",
            "--profile",
            profile,
            "--app",
            app,
            "--rate",
            "300/s",
        ]);
        command.args(["--seed", &seed.to_string(), "--for", &format!("{}s", self.seconds)]);
        match mutant {
            Some(name) => command.env("RAFTIAN_MUTANT", name),
            None => command.env_remove("RAFTIAN_MUTANT"),
        };
        let output = command.stdin(Stdio::null()).output().context("raftianctl cannot be run")?;
        let came: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
        let is_sound = came["holds"] == true && came["verdict"] != "violated";
        if output.status.code() == Some(0) || (output.status.code() == Some(3) && is_sound) {
            return Ok(None);
        }
        let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        let why = came["why"].as_str().map_or(said, str::to_owned);
        Ok(Some(why.lines().next().unwrap_or_default().to_owned()))
    }
}

/// What came of all.
fn page(bugs: &[Hunted], controls: &[Hunted], args: &Args) -> String {
    let mut seconds: Vec<f64> =
        bugs.iter().filter(|one| one.caught.is_some()).map(|one| one.took.as_secs_f64()).collect();
    seconds.sort_by(f64::total_cmp);
    let median = seconds.get(seconds.len() / 2).copied().unwrap_or_default();
    let alarms: Vec<&Hunted> = controls.iter().filter(|control| control.caught.is_some()).collect();
    let tries: Vec<String> = TRIES.iter().map(|(profile, app)| format!("{profile} with {app}")).collect();
    let mut page = format!(
        "# Planted bugs on real nodes\n\n\
         {} of {} planted bugs are caught on real processes; the median time until then is {median:.0} s (n = {}). All nodes \
         of a lab have the bug. It is tried one after another: {}, {} s each, from seed {} on; *caught* is a run that was \
         judged violated, or did not come to life in the end. Sound nodes were put to the same {} times: {} \
         alarms.\n\n\
         `cargo xtask zoo` makes this page again; what real processes do is not the same every time.\n\n\
         | planted bug | tried for | profile, application, seed | what was wrong |\n|---|--:|---|---|\n",
        seconds.len(),
        bugs.len(),
        seconds.len(),
        tries.join(", "),
        args.seconds,
        args.seed,
        controls.len(),
        alarms.len(),
    );
    for Hunted { name, caught, took } in bugs.iter().chain(alarms) {
        let (when, why) = match caught {
            Some(Caught { profile, app, seed, why }) => (format!("{profile}, {app}, {seed}"), why.replace('|', "¦")),
            None => (String::new(), "**not caught**".to_owned()),
        };
        let _ = writeln!(page, "| {name} | {:.0} s | {when} | {why} |", took.as_secs_f64());
    }
    page
}
