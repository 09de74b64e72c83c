//! The command line: what can be typed, and the help that says so.
//!
//! Invariant: every command has a sentence of purpose and an example, and stands in one group of the top-level help; every
//! help reads well on 80 columns. Tests walk the tree.
//!
//! Deliberately absent: what the commands do, and their own arguments; see `cmd/`.

use std::fmt::Write as _;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand};
use raftian_rpc::folder::LabFolder;
use raftian_rpc::selector::Selector;

use crate::cmd;
use crate::connect::Daemon;
use crate::failure::{Failure, Kind};
use crate::output::{Format, Output, name_lab};

/// The lab that is meant when none is named.
pub(crate) const DEFAULT_LAB: &str = "default";

/// Where the help lists what every command takes.
const GLOBAL: &str = "Global options";

/// A Raft laboratory for one machine: start a cluster of real processes, break it on purpose, and see it agree again.
#[derive(Debug, Parser)]
#[command(name = "raftianctl", version, max_term_width = 110, arg_required_else_help = true)]
#[command(subcommand_required = true)]
pub(crate) struct Cli {
    /// The lab to work with; several can run at a time
    #[arg(long, global = true, value_name = "NAME", env = "RAFTIAN_LAB", default_value = DEFAULT_LAB, help_heading = GLOBAL)]
    lab: String,
    /// The form of the data on standard output: human or json (JSON Lines for streams)
    #[arg(short, long, global = true, value_name = "FORM", value_enum, default_value_t, hide_possible_values = true, help_heading = GLOBAL)]
    output: Format,
    /// No notes and no progress on standard error
    #[arg(short, long, global = true, help_heading = GLOBAL)]
    quiet: bool,
    #[command(subcommand)]
    verb: Verb,
}

/// Every command.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    Start(cmd::start::Args),
    Stop(cmd::stop::Args),
    #[command(visible_alias = "ls")]
    Labs(cmd::labs::Args),
    Status(cmd::status::Args),
    Open(cmd::open::Args),
    Top(cmd::top::Args),
    Why(cmd::why::Args),
    Wait(cmd::wait::Args),
    Log(cmd::log::Args),
    Logs(cmd::logs::Args),
    Events(cmd::events::Args),
    #[command(flatten)]
    Act(cmd::act::Verb),
    Partition(cmd::partition::Args),
    Fault(cmd::fault::Args),
    Disk(cmd::disk::Args),
    Heal(cmd::heal::Args),
    Member(cmd::member::Args),
    TransferLeader(cmd::transfer::Args),
    Snapshot(cmd::snapshot::Args),
    Attack(cmd::attack::Args),
    Player(cmd::player::Args),
    Kv(cmd::kv::Args),
    Canvas(cmd::canvas::Args),
    Play(cmd::play::Args),
    Screenshot(cmd::screenshot::Args),
    Load(cmd::load::Args),
    Demo(cmd::demo::Args),
    Bench(cmd::bench::Args),
    Plot(cmd::plot::Args),
    Run(cmd::run::Args),
    Runs(cmd::runs::Args),
    Check(cmd::check::Args),
    Nemesis(cmd::nemesis::Args),
    Timeline(cmd::timeline::Args),
    Sim(cmd::sim::Args),
    Doctor(cmd::doctor::Args),
    Completions(cmd::completions::Args),
    Man(cmd::man::Args),
    Version(cmd::version::Args),
}

/// The groups of the top-level help.
const GROUPS: [(&str, &[&str]); 10] = [
    ("The main job in one command", &["demo"]),
    ("Start and stop", &["start", "stop", "labs"]),
    ("Look", &["open", "top", "status", "why", "wait", "log", "logs", "events"]),
    ("Break and mend", &["kill", "pause", "resume", "restart", "partition", "fault", "disk", "heal"]),
    ("Change the cluster", &["member", "transfer-leader", "snapshot"]),
    ("Use", &["play", "screenshot", "attack", "player", "kv", "canvas", "load"]),
    ("Measure", &["bench", "plot"]),
    ("Play scenarios, and simulate", &["run", "nemesis", "sim"]),
    ("What was done before", &["runs", "check", "timeline"]),
    ("Help", &["doctor", "completions", "man", "version"]),
];

const SELECTORS: &str = "\
Selectors name nodes:
  n3   n1-3   n1,n4   @leader   @followers   @any   @any:2   @minority
  @majority   @all   '!n2' (all but n2; quoted, as shells read ! as history)
n2 is the node that has the name now; n2.2 is the second that has had it.

Examples:
  raftianctl demo
  raftianctl start -n 5 && raftianctl kill @leader && raftianctl status

Exit codes:
  0    done, verdict valid
  1    failed, verdict violated, or the answer is no (get, cas, incr)
  2    wrong usage: what was typed makes no sense, or names what is not there
  3    verdict unknown: nothing wrong was seen, but not all could be judged
  4    no lab is running
  124  timed out
  130  interrupted";

/// What a command works with.
#[derive(Clone, Debug)]
pub(crate) struct Context {
    /// The lab's name.
    pub(crate) lab: String,
    /// Where to write.
    pub(crate) output: Output,
}

impl Context {
    /// The lab's folder.
    ///
    /// # Errors
    /// When the name cannot be a lab's, or there is no home for labs.
    pub(crate) fn folder(&self) -> Result<LabFolder, Failure> {
        LabFolder::of(&self.lab).map_err(|why| Failure::new(Kind::Usage, why))
    }

    /// The lab's daemon, which must be there.
    ///
    /// # Errors
    /// When it is not.
    pub(crate) async fn daemon(&self) -> Result<Daemon, Failure> {
        Daemon::find(&self.lab, &self.folder()?).await
    }
}

impl Cli {
    /// The context of the command.
    pub(crate) fn context(&self) -> Context {
        let unnamed = std::env::var("RAFTIAN_LAB").unwrap_or_else(|_| DEFAULT_LAB.to_owned());
        if self.lab != unnamed {
            name_lab(&self.lab);
        }
        Context { lab: self.lab.clone(), output: Output::new(self.output, self.quiet) }
    }

    /// The command.
    pub(crate) fn into_verb(self) -> Verb {
        self.verb
    }
}

/// The whole command tree, with the groups in its help.
pub(crate) fn command() -> clap::Command {
    let command = Cli::command();
    let mut groups = String::new();
    for (title, names) in GROUPS {
        let _ = writeln!(groups, "{title}:");
        for name in names {
            let about = command.find_subcommand(name).and_then(clap::Command::get_about);
            let _ = writeln!(groups, "  {name:<15} {}", about.map(ToString::to_string).unwrap_or_default());
        }
        groups.push('\n');
    }
    let template = format!("{{about}}\n\n{{usage-heading}} {{usage}}\n\n{groups}{{options}}{{after-help}}");
    let command = command
        .help_template(template)
        .override_usage("raftianctl [OPTIONS] COMMAND …   (COMMAND --help says more)")
        .after_help(SELECTORS);
    flowing(command)
}

/// The command and all below it with the paragraphs of their help as one line each, so that they are broken once, where
/// the terminal ends, and not a second time where the source does.
fn flowing(command: clap::Command) -> clap::Command {
    let after = command.get_after_help().map(|text| paragraphs(&text.to_string()));
    let aliases: Vec<String> = command.get_visible_aliases().map(|alias| format!("`{alias}`")).collect();
    let after = after.map(|text| match aliases.is_empty() {
        true => text,
        false => format!("{text}\n\nIt can also be typed as {}.", aliases.join(" or ")),
    });
    let command = after.into_iter().fold(command, clap::Command::after_help);
    command.mut_subcommands(flowing)
}

/// Joins the lines of each paragraph. Lines that are indented, as examples and lists are, stay as they are.
fn paragraphs(text: &str) -> String {
    let flows = |line: &str| !line.is_empty() && !line.starts_with(' ');
    let mut joined = String::new();
    let mut before = "";
    for line in text.lines() {
        joined.push_str(if flows(before) && flows(line) { " " } else { "\n" });
        joined.push_str(line);
        before = line;
    }
    joined.trim_start().to_owned()
}

/// What was typed.
///
/// # Errors
/// What clap has to say, be it help or a mistake.
pub(crate) fn parse(arguments: impl IntoIterator<Item = std::ffi::OsString>) -> Result<Cli, clap::Error> {
    let matches = command().try_get_matches_from(arguments).map_err(with_tip)?;
    Cli::from_arg_matches(&matches).map_err(|error| error.format(&mut command()))
}

/// The mistake, with a tip if it is several nodes in several words.
fn with_tip(mut error: clap::Error) -> clap::Error {
    let told = |kind| error.get(kind).map(ToString::to_string).unwrap_or_default();
    let is_node = told(ContextKind::InvalidArg).parse::<Selector>().is_ok();
    if error.kind() == ErrorKind::UnknownArgument && is_node && told(ContextKind::Usage).contains("SELECTOR") {
        let tip = "several nodes are one word: n1,n2 or n1-3";
        error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![tip.into()]));
    }
    error
}

/// Whether clap's answer is what the user wanted, rather than a mistake.
pub(crate) fn is_help(error: &clap::Error) -> bool {
    matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion)
}

/// Whether JSON was asked for on a line that clap could not read.
pub(crate) fn asks_for_json(arguments: &[std::ffi::OsString]) -> bool {
    let words: Vec<_> = arguments.iter().map(|word| word.to_string_lossy()).collect();
    words.iter().any(|word| ["-ojson", "-o=json", "--output=json"].contains(&word.as_ref()))
        || words.windows(2).any(|pair| ["-o", "--output"].contains(&pair[0].as_ref()) && pair[1] == "json")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every command with a face of its own, by its full name.
    fn leaves(command: &clap::Command, path: &str, out: &mut Vec<(String, clap::Command)>) {
        for sub in command.get_subcommands() {
            let name = format!("{path} {}", sub.get_name());
            leaves(sub, &name, out);
            out.push((name, sub.clone()));
        }
    }

    #[test]
    fn the_tree_is_sound() {
        command().debug_assert();
    }

    #[test]
    fn every_command_has_a_purpose_and_an_example_of_itself() {
        let mut all = Vec::new();
        leaves(&command(), "raftianctl", &mut all);
        assert!(all.len() >= 20, "{}", all.len());
        for (name, sub) in all {
            let about = sub.get_about().unwrap_or_else(|| panic!("`{name}` has no purpose")).to_string();
            assert!(!about.is_empty() && !about.contains('\n'), "`{name}`: {about}");
            let after = sub.get_after_help().unwrap_or_else(|| panic!("`{name}` has no example")).to_string();
            assert!(after.starts_with("Example") && after.contains(&name), "`{name}`: {after}");
        }
    }

    /// The commands in the examples of all help texts can be typed.
    #[test]
    fn every_example_can_be_parsed() {
        let mut all = Vec::new();
        leaves(&command(), "raftianctl", &mut all);
        all.push(("raftianctl".into(), command()));
        for (name, sub) in all {
            for line in sub.get_after_help().unwrap().to_string().lines() {
                for typed in line.split("&&").map(str::trim).filter(|typed| typed.starts_with("raftianctl ")) {
                    let typed = [" | ", " || ", " # ", " > ", "  #"]
                        .iter()
                        .fold(typed, |typed, end| typed.split(end).next().unwrap_or_default());
                    let words: Vec<String> =
                        typed.split_whitespace().map(|word| word.trim_matches('\'').into()).collect();
                    let parsed = parse(words.iter().map(Into::into));
                    assert!(parsed.is_ok(), "`{name}`: {typed}: {}", parsed.unwrap_err());
                }
            }
        }
    }

    #[test]
    fn the_lines_of_a_paragraph_are_joined_and_no_others() {
        let text = "Examples:\n  one\n  two\n\nIt is\nlong.\n\nIt ends.";
        assert_eq!(paragraphs(text), "Examples:\n  one\n  two\n\nIt is long.\n\nIt ends.");
    }

    #[test]
    fn the_overview_fits_on_80_columns() {
        let help = command().term_width(80).render_help().to_string();
        let long: Vec<&str> = help.lines().filter(|line| line.chars().count() > 80).collect();
        assert!(long.is_empty(), "{long:#?}");
    }

    /// On a terminal of 80 columns no example is broken, and no line of a paragraph ends before it must.
    #[test]
    fn every_help_reads_well_on_80_columns() {
        const COLUMNS: usize = 80;
        let mut all = Vec::new();
        leaves(&command(), "raftianctl", &mut all);
        all.push(("raftianctl".into(), command()));
        let width = |text: &str| text.chars().count();
        let mut broken = Vec::new();
        for (name, sub) in all {
            let help = sub.clone().term_width(COLUMNS).render_help().to_string();
            let after = sub.get_after_help().unwrap().to_string();
            let indented = after.lines().filter(|line| line.starts_with(' '));
            let missing = indented.filter(|line| !help.lines().any(|shown| shown == *line));
            broken.extend(missing.map(|line| format!("{name}: {line}")));
            let (_, shown) = help.split_once(after.lines().next().unwrap()).unwrap();
            let lines: Vec<&str> = shown.lines().collect();
            for pair in
                lines.windows(2).filter(|pair| pair.iter().all(|line| !line.is_empty() && !line.starts_with(' ')))
            {
                let next = pair[1].split(' ').next().unwrap_or_default();
                if width(pair[0]) > COLUMNS || width(pair[0]) + 1 + width(next) <= COLUMNS {
                    broken.push(format!("{name}: {}", pair.join("\n")));
                }
            }
        }
        assert!(broken.is_empty(), "{broken:#?}");
    }

    #[test]
    fn every_command_stands_in_one_group() {
        let grouped: Vec<&str> = GROUPS.iter().flat_map(|(_, names)| names.iter().copied()).collect();
        for sub in Cli::command().get_subcommands() {
            assert_eq!(grouped.iter().filter(|name| **name == sub.get_name()).count(), 1, "{}", sub.get_name());
        }
        assert!(grouped.iter().all(|name| Cli::command().find_subcommand(name).is_some()));
    }

    #[test]
    fn whoever_names_nodes_in_several_words_is_told_that_they_are_one() {
        let told = |line: &str| parse(line.split(' ').map(Into::into)).unwrap_err().to_string();
        for line in ["raftianctl kill n1 n2", "raftianctl log n1 n2 n3", "raftianctl snapshot n1 @leader"] {
            assert!(told(line).contains("tip: several nodes are one word: n1,n2 or n1-3"), "{}", told(line));
        }
        for line in ["raftianctl kill n1 please", "raftianctl attack 3 n2", "raftianctl status n1"] {
            assert!(!told(line).contains("one word"), "{}", told(line));
        }
    }

    #[test]
    fn a_wish_for_json_is_heard_even_in_nonsense() {
        let asks = |line: &str| asks_for_json(&line.split(' ').map(Into::into).collect::<Vec<_>>());
        assert!(asks("raftianctl -o json nonsense") && asks("raftianctl nonsense --output=json"));
        assert!(!asks("raftianctl -o human json"));
    }
}
