//! What a shell offers for the word that is being typed: commands, options, and the names of what there is now: nodes,
//! faults, labs, runs, scenarios, experiments.
//!
//! Invariant: what an argument is completed with follows from the name of its value in the help (`SELECTOR`, `RUN`, …), in
//! one table, so a new command needs nothing here. Completing changes nothing, and a lab that does not answer within
//! [`PATIENCE`] has no names to offer.
//!
//! Deliberately absent: the script that calls this; see `cmd/completions.rs`.

use std::ffi::{OsStr, OsString};
use std::time::Duration;

use clap::builder::ValueHint;
use clap_complete::engine::{ArgValueCompleter, CompletionCandidate, PathCompleter, ValueCompleter as _};
use raftian_bench::experiments;
use raftian_bench::run::Store;
use raftian_rpc::AppKind;
use raftian_rpc::connect::Http;
use raftian_rpc::faults::CrashPoint;
use raftian_rpc::folder::{LabFolder, home};
use raftian_rpc::lab::{LabClient as _, LabStatus, NodeReport};
use raftian_script::{FIGURES, Profile};

use crate::cli;
use crate::cmd::labs;
use crate::connect::Daemon;
use crate::words;

/// The variable that holds the shell that asks; without it, this is a command like any other.
pub(crate) const ASKED_BY: &str = "RAFTIANCTL_COMPLETE";

/// How long a lab may take to say what there is.
const PATIENCE: Duration = Duration::from_millis(500);

/// The selectors that name no node by its name.
const AT: [(&str, &str); 7] = [
    ("@leader", "the node that leads with a quorum"),
    ("@followers", "all that run, but the leader"),
    ("@all", "all nodes"),
    ("@any", "one that runs, drawn"),
    ("@any:2", "two that run, drawn"),
    ("@minority", "the most that can be lost"),
    ("@majority", "the fewest that cannot be lost"),
];

/// Answers the shell, if one asks, and says whether that was so.
pub(crate) fn answer() -> bool {
    let command = clap_complete::CompleteEnv::with_factory(|| completing(cli::command())).var(ASKED_BY);
    // What cannot be completed is typed by hand: a message would end up amid the line that is being typed.
    command.try_complete(std::env::args_os(), std::env::current_dir().ok().as_deref()).unwrap_or(true)
}

/// The command and all below it, with what their arguments are completed with.
fn completing(command: clap::Command) -> clap::Command {
    command.mut_args(completed).mut_subcommands(completing)
}

fn completed(arg: clap::Arg) -> clap::Arg {
    let named = arg.get_value_names().and_then(<[_]>::first).map(|name| name.as_str());
    let is_path = matches!(arg.get_value_hint(), ValueHint::AnyPath | ValueHint::FilePath | ValueHint::DirPath);
    let completer = match (named, arg.get_id().as_str()) {
        (Some("SELECTOR" | "GROUP"), _) => ArgValueCompleter::new(selectors),
        (Some("NODE"), _) => ArgValueCompleter::new(nodes),
        (Some("ID"), _) => ArgValueCompleter::new(faults),
        (Some("RUN"), _) if !is_path => ArgValueCompleter::new(runs),
        (Some("FILE|NAME"), _) => ArgValueCompleter::new(scenarios),
        (Some("POINT"), _) => ArgValueCompleter::new(crash_points),
        (Some("EXPERIMENT"), _) => ArgValueCompleter::new(all_experiments),
        (Some("QUESTION"), _) => ArgValueCompleter::new(questions),
        (_, "lab") => ArgValueCompleter::new(all_labs),
        (_, "app") => {
            ArgValueCompleter::new(|typed: &OsStr| beginning(typed, AppKind::ALL.map(|app| (app.name(), ""))))
        }
        (Some("NAME"), "profile") => ArgValueCompleter::new(profiles),
        _ => return arg,
    };
    arg.add(completer)
}

/// Those that begin with what is typed, with a word about each.
fn beginning<Name: Into<OsString>, About: Into<String>>(
    typed: &OsStr,
    all: impl IntoIterator<Item = (Name, About)>,
) -> Vec<CompletionCandidate> {
    let typed = typed.as_encoded_bytes();
    let all = all.into_iter().map(|(name, about)| (name.into(), about.into()));
    let fit = all.filter(|name: &(OsString, String)| name.0.as_encoded_bytes().starts_with(typed));
    fit.map(|(name, about)| CompletionCandidate::new(name).help((!about.is_empty()).then(|| about.into()))).collect()
}

/// The last of the terms that are being typed, `n4` of `n1,n4`, with all before it in front of each candidate.
fn selectors(typed: &OsStr) -> Vec<CompletionCandidate> {
    let Some(text) = typed.to_str() else { return Vec::new() };
    let (before, term) = text.rsplit_once(',').map_or(("", text), |(_, term)| (&text[..text.len() - term.len()], term));
    let (sign, term) = term.strip_prefix('!').map_or(("", term), |term| ("!", term));
    let front = format!("{before}{sign}");
    let mut all = beginning(term.as_ref(), named_nodes());
    all.extend(beginning(term.as_ref(), AT));
    all.into_iter().map(|candidate| candidate.add_prefix(&front)).collect()
}

fn nodes(typed: &OsStr) -> Vec<CompletionCandidate> {
    beginning(typed, named_nodes().into_iter().chain([("@leader".to_owned(), AT[0].1.to_owned())]))
}

/// The nodes of the lab that is meant, with what they do.
fn named_nodes() -> Vec<(String, String)> {
    let nodes = status().map(|status| (status.leader, status.nodes));
    let (leader, nodes) = nodes.unwrap_or_default();
    let does = |node: &NodeReport| if leader == Some(node.node) { "leads" } else { words::state(node.state) };
    nodes.iter().map(|node| (node.node.to_string(), does(node).to_owned())).collect()
}

fn faults(typed: &OsStr) -> Vec<CompletionCandidate> {
    let faults = status().map(|status| status.faults).unwrap_or_default();
    let all = faults.into_iter().map(|fault| (fault.id.to_string(), fault.title));
    beginning(typed, all.chain([("all".to_owned(), "all of them".to_owned())]))
}

fn runs(typed: &OsStr) -> Vec<CompletionCandidate> {
    let runs = Store::of_user().map(|store| store.list()).unwrap_or_default();
    let all = runs.into_iter().map(|run| (run.id.to_string(), run.manifest.began.command.join(" ")));
    beginning(typed, [("last".to_owned(), "the newest".to_owned())].into_iter().chain(all))
}

fn scenarios(typed: &OsStr) -> Vec<CompletionCandidate> {
    let families = [("fig7", "figure 7 of the paper, all of it"), ("fig8", "figure 8 of the paper, all of it")];
    let mut all = beginning(typed, families);
    all.extend(beginning(typed, FIGURES.iter().map(|figure| (figure.name, figure.scenario().title))));
    if all.is_empty() {
        all = PathCompleter::file().complete(typed);
    }
    all
}

fn crash_points(typed: &OsStr) -> Vec<CompletionCandidate> {
    beginning(typed, CrashPoint::ALL.map(|(_, name)| (name, "")))
}

fn all_experiments(typed: &OsStr) -> Vec<CompletionCandidate> {
    beginning(typed, experiments::all().iter().map(|one| (one.id().to_string(), one.question().to_owned())))
}

fn all_labs(typed: &OsStr) -> Vec<CompletionCandidate> {
    let labs = home().map(|home| labs::found(&home)).unwrap_or_default();
    beginning(typed, labs.into_iter().map(|(lab, folder)| (lab, folder.path().display().to_string())))
}

fn profiles(typed: &OsStr) -> Vec<CompletionCandidate> {
    beginning(typed, Profile::NAMES.map(|(name, _)| (name, "")))
}

fn questions(typed: &OsStr) -> Vec<CompletionCandidate> {
    let fixed = ["no-leader", "slow", "uncommitted", "leader"].map(|question| (question.to_owned(), String::new()));
    let status = status();
    let faults = status.iter().flat_map(|status| &status.faults);
    let faults: Vec<_> = faults.map(|fault| (fault.id.to_string(), fault.title.clone())).collect();
    beginning(typed, fixed.into_iter().chain(named_nodes()).chain(faults))
}

/// How the lab is that the line names, if it says so soon.
fn status() -> Option<LabStatus> {
    let lab = lab_of(std::env::args().skip_while(|word| word != "--"));
    let folder = LabFolder::of(&lab).ok()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().ok()?;
    let asked = async {
        let daemon = Daemon::find(&lab, &folder).await.ok()?;
        daemon.ask(async |lab: Http| lab.status().await).await.ok()
    };
    runtime.block_on(async { tokio::time::timeout(PATIENCE, asked).await.ok().flatten() })
}

/// The lab that a line names, or else the one that is meant where none is named.
fn lab_of(words: impl Iterator<Item = String>) -> String {
    let words: Vec<String> = words.collect();
    let apart = words.windows(2).find(|pair| pair[0] == "--lab").map(|pair| pair[1].clone());
    let joined = || words.iter().find_map(|word| word.strip_prefix("--lab=").map(str::to_owned));
    apart
        .or_else(joined)
        .unwrap_or_else(|| std::env::var("RAFTIAN_LAB").unwrap_or_else(|_| cli::DEFAULT_LAB.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offered(line: &[&str]) -> Vec<String> {
        let words: Vec<OsString> = line.iter().map(Into::into).collect();
        let last = words.len() - 1;
        let all = clap_complete::engine::complete(&mut completing(cli::command()), words, last, None).unwrap();
        all.iter().map(|one| one.get_value().to_string_lossy().into_owned()).collect()
    }

    #[test]
    fn the_names_of_what_comes_with_raftian_are_offered() {
        assert_eq!(offered(&["raftianctl", "run", "fig8_d"]), ["fig8_d"]);
        assert_eq!(offered(&["raftianctl", "bench", "run", "E12"]), ["E12"]);
        assert_eq!(offered(&["raftianctl", "nemesis", "--profile", "ge"]), ["gentle"]);
        assert_eq!(offered(&["raftianctl", "why", "no"]), ["no-leader"]);
        assert_eq!(offered(&["raftianctl", "fault", "add", "crash", "--at", "after-v"]), ["after-vote"]);
        assert_eq!(offered(&["raftianctl", "nemes"]), ["nemesis"]);
    }

    #[test]
    fn the_last_term_of_a_selector_is_completed() {
        assert_eq!(offered(&["raftianctl", "kill", "n1,!@lea"]), ["n1,!@leader"]);
        assert_eq!(offered(&["raftianctl", "logs", "@fo"]), ["@followers"]);
        assert_eq!(offered(&["raftianctl", "partition", "n1", "n2,@ma"]), ["n2,@majority"]);
    }

    #[test]
    fn the_lab_of_the_line_is_the_one_that_is_asked() {
        let lab = |line: &str| lab_of(line.split(' ').map(str::to_owned));
        assert_eq!((lab("-- raftianctl --lab two kill").as_str(), lab("kill --lab=three").as_str()), ("two", "three"));
    }
}
