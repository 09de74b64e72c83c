//! Where words go: data to standard output, notes to standard error, each in the form that was asked for.
//!
//! Invariant: nothing but data reaches standard output, no colour leaves for anything but a terminal that has colours, or
//! when `NO_COLOR` is set, and a reader that has gone ends the command quietly instead of in a panic.

use std::io::{self, IsTerminal as _, Write as _};
use std::os::fd::AsFd as _;
use std::sync::OnceLock;

use clap::ValueEnum;
use raftian_rpc::hint::Note;
use serde::Serialize;
use tokio::io::Interest;
use tokio::net::unix::pipe::Sender;

use crate::advice;
use crate::failure::{Failure, Kind};

/// The lab that was named on the command line, if commands that do not name it would mean another one.
static ELSEWHERE: OnceLock<String> = OnceLock::new();

/// Families of commands that speak of no lab.
const LABLESS: [&str; 11] =
    ["bench", "check", "completions", "demo", "doctor", "labs", "man", "nemesis", "plot", "run", "sim"];

/// The form of the data.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// Sentences and tables.
    #[default]
    Human,
    /// One JSON value per line.
    Json,
}

/// The colours there are, by what they mean.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Paint {
    /// No colour.
    #[default]
    Plain,
    /// As it should be.
    Good,
    /// Worth a look.
    Warn,
    /// Broken.
    Bad,
    /// In the background.
    Dim,
}

/// Where one command writes to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Output {
    format: Format,
    quiet: bool,
    colour: bool,
}

impl Paint {
    /// The text in this colour, if colours are on.
    pub(crate) fn apply(self, text: &str, colour: bool) -> String {
        let code = match self {
            Paint::Plain => return text.to_owned(),
            Paint::Good => "32",
            Paint::Warn => "33",
            Paint::Bad => "31",
            Paint::Dim => "2",
        };
        if colour { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

impl Output {
    /// The output of this process.
    pub(crate) fn new(format: Format, quiet: bool) -> Output {
        let no_colour = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let is_dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        Output { format, quiet, colour: io::stdout().is_terminal() && !no_colour && !is_dumb }
    }

    /// Whether JSON was asked for.
    pub(crate) fn is_json(&self) -> bool {
        self.format == Format::Json
    }

    /// Whether standard output may carry colours.
    pub(crate) fn colour(&self) -> bool {
        self.colour
    }

    /// The characters that fit into a line of standard output, if it is a terminal.
    pub(crate) fn columns(&self) -> Option<usize> {
        let size = rustix::termios::tcgetwinsize(io::stdout()).ok()?;
        (size.ws_col > 0).then_some(usize::from(size.ws_col))
    }

    /// Whether notes and progress are wanted.
    pub(crate) fn is_quiet(&self) -> bool {
        self.quiet
    }

    /// Writes data: the value itself as a line of JSON, or what `human` makes of it.
    ///
    /// # Errors
    /// When standard output cannot be written.
    pub(crate) fn data<T: Serialize>(&self, value: &T, human: impl FnOnce(&T) -> String) -> Result<(), Failure> {
        match self.format {
            Format::Human => self.text(&human(value)),
            Format::Json => {
                let line = serde_json::to_string(value)
                    .map_err(|error| Failure::failed(format!("the answer cannot be written as JSON: {error}")))?;
                self.text(&line)
            }
        }
    }

    /// [`data`](Output::data) in sentences of ours, which name commands to type.
    ///
    /// # Errors
    /// When standard output cannot be written.
    pub(crate) fn report<T: Serialize>(&self, value: &T, human: impl FnOnce(&T) -> String) -> Result<(), Failure> {
        self.data(value, |value| with_lab(&human(value)))
    }

    /// Writes text to standard output, and a line feed unless it ends in one.
    ///
    /// # Errors
    /// When standard output cannot be written.
    pub(crate) fn text(&self, text: &str) -> Result<(), Failure> {
        let end = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
        let mut out = io::stdout().lock();
        write!(out, "{text}{end}").and_then(|()| out.flush()).map_err(unwritable)
    }

    /// Writes a text that programs want whole, such as a scenario or a manual page: as it is, or as `{"text": …}`.
    ///
    /// # Errors
    /// When standard output cannot be written.
    pub(crate) fn document(&self, text: &str) -> Result<(), Failure> {
        self.data(&serde_json::json!({ "text": text }), |_| text.to_owned())
    }

    /// Writes the notes of a report to standard error, but not beside its JSON, which has them.
    pub(crate) fn notes(&self, notes: &[Note]) {
        if !self.is_json() {
            notes.iter().for_each(|note| self.note(&advice::said(note)));
        }
    }

    /// Writes a note to standard error. A note that cannot be written is lost: nothing depends on it.
    pub(crate) fn note(&self, text: &str) {
        if !self.quiet {
            let _ = writeln!(io::stderr(), "{}", with_lab(text));
        }
    }
}

/// Shows what comes until it ends, or until the reader of standard output has gone: while there is nothing to write,
/// nothing else would tell.
///
/// # Errors
/// Those of `showing`.
pub(crate) async fn while_read(showing: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    tokio::select! {
        done = showing => done,
        () = reader_gone() => Err(Failure::new(Kind::BrokenPipe, "")),
    }
}

/// Returns when standard output has no reader any more; never where it is a file, which the system does not watch.
async fn reader_gone() {
    // Only watched, never written to: whether writes block stays as it was.
    let watched = io::stdout().as_fd().try_clone_to_owned().and_then(Sender::from_owned_fd_unchecked);
    let Ok(output) = watched else { return std::future::pending().await };
    if output.ready(Interest::ERROR).await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// From now on the commands that hints name have this lab.
pub(crate) fn name_lab(lab: &str) {
    // It is named once, when the command line is read.
    let _ = ELSEWHERE.set(lab.to_owned());
}

/// A text of ours in which the commands between backquotes name the lab that was named.
pub(crate) fn with_lab(text: &str) -> String {
    ELSEWHERE.get().map_or_else(|| text.to_owned(), |lab| naming(text, lab))
}

/// A text of ours in which the commands between backquotes name this lab.
pub(crate) fn naming(text: &str, lab: &str) -> String {
    let mut parts = text.split("`raftianctl ");
    let mut named = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        // Up to the closing backquote there may be several commands: `raftianctl heal && raftianctl wait converged`.
        let end = part.find('`').unwrap_or(part.len());
        let (line, rest) = part.split_at(end);
        named.push('`');
        for command in line.split("raftianctl ") {
            let names_none = command.contains("--lab") || LABLESS.iter().any(|verb| command.starts_with(verb));
            named.push_str("raftianctl ");
            if !names_none {
                named.push_str(&format!("--lab {lab} "));
            }
            named.push_str(command);
        }
        named.push_str(rest);
    }
    named
}

/// What it means that standard output cannot be written.
pub(crate) fn unwritable(error: io::Error) -> Failure {
    match error.kind() {
        io::ErrorKind::BrokenPipe => Failure::new(Kind::BrokenPipe, ""),
        _ => Failure::failed(format!("standard output cannot be written: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_to_type_names_the_lab_that_is_meant() {
        let text = "end it with `raftianctl stop --purge`, see `raftianctl doctor` or `kill 7`";
        let named = "end it with `raftianctl --lab two stop --purge`, see `raftianctl doctor` or `kill 7`";
        assert_eq!(naming(text, "two"), named);
        for text in ["`raftianctl --lab a start`", "`raftianctl start --app kv --lab NAME`", "no command", ""] {
            assert_eq!(naming(text, "two"), text);
        }
        for two in ["`raftianctl start` or `raftianctl wait leader`", "`raftianctl heal && raftianctl wait converged`"]
        {
            assert_eq!(naming(two, "b").matches("--lab b").count(), 2, "{two}");
        }
    }
}
