//! `raftianctl sim script`: a scenario from a file is played, and judged; or the grammar is told.
//!
//! Invariant: a text that cannot be read is wrong usage, with line and column; a scenario that does not hold is a failure.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};

use raftian_check::Verdict;
use raftian_script::{GRAMMAR, Scenario};
use raftian_sim::Stopped;
use serde::Serialize;

use crate::cli::Context;
use crate::cmd::sim::chart::{self, Drawing};
use crate::cmd::sim::{hush, settings};
use crate::failure::{Failure, Kind};

const EXAMPLES: &str = "\
Examples:
  raftianctl sim script lost_vote.scenario
  raftianctl sim figure fig8_d --text > mine.scenario
  raftianctl sim script mine.scenario --chart text
  raftianctl sim replay 7 --script | raftianctl sim script -
  raftianctl sim script --grammar

All that can be said is on the page that --grammar prints, which is docs/scenarios.md, with an example of each; \
`raftianctl sim figure NAME --text` shows whole scenarios. A scenario has at most a million events. Exit code 1 if an \
invariant was broken, or something was not as the scenario says; 2 if the file cannot be read as one; 3 if it holds, but \
the history of its clients was too hard to judge.";

/// Play a scenario from a file
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The file; `-` is standard input
    #[arg(value_name = "FILE", required_unless_present = "grammar")]
    file: Option<PathBuf>,
    /// Print the grammar of scenarios instead: all that can be said, with examples
    #[arg(long, conflicts_with_all = ["file", "mutant", "chart"])]
    grammar: bool,
    /// Plant this bug, whatever the scenario says (see `raftianctl sim zoo`)
    #[arg(long, value_name = "NAME")]
    mutant: Option<String>,
    #[command(flatten)]
    chart: Drawing,
}

/// The most bytes of a scenario: several times what the longest one needs.
const MAX_BYTES: u64 = 4 << 20;

/// What came of a scenario.
#[derive(Debug, Serialize)]
struct Finished {
    /// Its title.
    title: String,
    /// Whether all was as it must be.
    holds: bool,
    /// Why not.
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<String>,
    /// The invariant that was broken.
    #[serde(skip_serializing_if = "Option::is_none")]
    invariant: Option<&'static str>,
    /// The line at which it stopped.
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<usize>,
    /// Whether the history of its clients was too hard to judge.
    undecided: bool,
    /// How many events there were.
    events: u64,
    /// How long it was, in virtual milliseconds.
    virtual_ms: f64,
    /// The hash of all that happened.
    hash: String,
}

/// Plays it, or prints the grammar.
pub(crate) fn run(context: &Context, args: &Args) -> Result<u8, Failure> {
    // Without a file there is `--grammar`: one of them is required.
    let Some(file) = &args.file else { return context.output.text(GRAMMAR).map(|()| 0) };
    let (_, scenario) = scenario(context, file)?;
    play(context, scenario, args.mutant.as_deref(), &args.chart)
}

/// The text of a file, and the scenario in it.
///
/// # Errors
/// When it cannot be read, or is none: file, line and column.
pub(crate) fn scenario(context: &Context, file: &Path) -> Result<(String, Scenario), Failure> {
    let (name, text) = match file == Path::new("-") {
        true => ("standard input".to_owned(), read(io::stdin())),
        false => {
            if is_idle_fifo(file) {
                context.output.note(&format!("{} is a FIFO; waiting for a program that writes to it", file.display()));
            }
            (file.display().to_string(), File::open(file).and_then(read))
        }
    };
    let text = text.map_err(|error| Failure::unreadable(&name, &error))?;
    let read: Result<Scenario, _> = text.parse();
    let scenario = read.map_err(|why| {
        Failure::new(
            Kind::Usage,
            format!("{name}, {why}; `raftianctl sim script --grammar` tells all that can be said"),
        )
    })?;
    Ok((text, scenario))
}

/// Whether this is a FIFO with a name, to which a program may never write. A pipe of the shell has its writer.
fn is_idle_fifo(file: &Path) -> bool {
    let is_of_shell = file.starts_with("/dev/fd") || file.starts_with("/proc");
    !is_of_shell && file.metadata().is_ok_and(|metadata| metadata.file_type().is_fifo())
}

/// Reads a text that is no longer than a scenario may be.
fn read(file: impl Read) -> io::Result<String> {
    let mut bytes = Vec::new();
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes)?;
    let invalid = |why| io::Error::new(io::ErrorKind::InvalidData, why);
    if bytes.len() as u64 > MAX_BYTES {
        return Err(invalid(format!("a scenario has at most {} MiB", MAX_BYTES >> 20)));
    }
    String::from_utf8(bytes).map_err(|error| {
        let before = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
        invalid(format!("line {line} is not UTF-8 text"))
    })
}

/// Plays a scenario, draws it if that is wanted, and says what came of it.
///
/// # Errors
/// When there is no such bug, or nothing can be written.
pub(crate) fn play(
    context: &Context,
    mut scenario: Scenario,
    mutant: Option<&str>,
    drawing: &Drawing,
) -> Result<u8, Failure> {
    if let Some(mutant) = mutant {
        scenario.mutant = Some(mutant.to_owned());
    }
    hush(&settings(scenario.mutant.as_deref())?);
    let played = raftian_sim::play(&scenario);
    let drawn = drawing.draw(context, &played.journal)?;
    let (line, invariant) = match &played.stopped {
        Some(Stopped::Broken { line, violation }) => (Some(*line), Some(violation.invariant.name())),
        Some(Stopped::Failed { line, .. }) => (Some(*line), None),
        None => (None, None),
    };
    let finished = Finished {
        title: scenario.title.clone(),
        holds: played.stopped.is_none(),
        why: played.stopped.as_ref().map(Stopped::to_string),
        invariant,
        line: line.filter(|line| *line > 0),
        undecided: played.undecided,
        events: played.events,
        virtual_ms: played.virtual_us as f64 / 1e3,
        hash: format!("{:016x}", played.hash),
    };
    let came = serde_json::to_value(&finished)
        .map_err(|error| Failure::failed(format!("the answer cannot be written as JSON: {error}")))?;
    chart::tell(context, drawn, came, &tell(&scenario, &finished))?;
    Ok(finished.verdict().exit_code())
}

impl Finished {
    fn verdict(&self) -> Verdict {
        match (self.holds, self.undecided) {
            (false, _) => Verdict::Violated,
            (true, true) => Verdict::Unknown,
            (true, false) => Verdict::Valid,
        }
    }
}

/// The scenario's own words, and what came of it.
fn tell(scenario: &Scenario, finished: &Finished) -> String {
    let mut text = String::new();
    let Scenario { title, source, see, differs, .. } = scenario;
    for (label, part) in [("", title), ("", see), ("Source: ", source), ("Differs: ", differs)] {
        if !part.is_empty() {
            text.push_str(&wrapped(&format!("{label}{part}"), 100));
            text.push_str("\n\n");
        }
    }
    let Finished { events, virtual_ms, why, undecided, .. } = finished;
    let holds = match undecided {
        true => "It holds, but the history of its clients was too hard to judge",
        false => "It holds",
    };
    match why {
        Some(why) => text.push_str(&format!("It does not hold: {why}\n")),
        None => text.push_str(&format!("{holds}: {events} events in {virtual_ms:.1} ms of virtual time.\n")),
    }
    text
}

/// Words in lines of at most so many characters, where they fit.
pub(crate) fn wrapped(text: &str, width: usize) -> String {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut().filter(|line| line.chars().count() + 1 + word.chars().count() <= width) {
            Some(line) => {
                line.push(' ');
                line.push_str(word);
            }
            None => lines.push(word.to_owned()),
        }
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_history_that_is_too_hard_to_judge_leaves_the_verdict_unknown() {
        let scenario: Scenario = "servers 1\nfinish".parse().expect("a scenario");
        for (holds, undecided, code, words) in [
            (true, false, 0, "It holds: 5 events"),
            (true, true, 3, "It holds, but the history of its clients was too hard to judge: 5 events"),
            (false, true, 1, "It does not hold: broken"),
        ] {
            let finished = Finished {
                title: String::new(),
                holds,
                why: (!holds).then(|| "broken".to_owned()),
                invariant: None,
                line: None,
                undecided,
                events: 5,
                virtual_ms: 1.0,
                hash: String::new(),
            };
            assert_eq!(finished.verdict().exit_code(), code);
            assert!(tell(&scenario, &finished).starts_with(words), "{}", tell(&scenario, &finished));
        }
    }

    #[test]
    fn lines_are_as_long_as_they_may_be() {
        assert_eq!(wrapped("one two  three\nfour", 9), "one two\nthree\nfour");
        assert_eq!((wrapped("", 9), wrapped("extraordinary", 9)), (String::new(), "extraordinary".to_owned()));
    }
}
