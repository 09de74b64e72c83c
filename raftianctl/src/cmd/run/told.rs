//! What is told of a scenario while it is played: each line with its time and what came of it.
//!
//! Invariant: a line is told when it is done, in the words of its file; what it waits for is told after a second.

use indicatif::ProgressBar;
use raftian_script::{Moment, News};
use serde::Serialize;

use super::Piece;
use crate::cmd::sim::script::wrapped;
use crate::output::Output;

/// Until this, in microseconds, nobody is told what a line waits for.
const SILENCE_US: u64 = 1_000_000;

/// A line that was done, or at which it stopped.
#[derive(Debug, Serialize)]
pub(super) struct Line {
    /// Where it stands; 0 if it was not written.
    line: usize,
    /// What it says.
    text: String,
    /// When its time came, in milliseconds since the beginning.
    at_ms: f64,
    /// How long it took; none if it was not done.
    #[serde(skip_serializing_if = "Option::is_none")]
    took_ms: Option<f64>,
    /// What there is to say about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<String>,
}

/// Tells it, and keeps it.
pub(super) struct Story<'a> {
    output: Output,
    spinner: &'a ProgressBar,
    piece: &'a Piece,
    lines: Vec<Line>,
    has_waited: bool,
}

impl<'a> Story<'a> {
    /// Tells what is about to be played, and where.
    pub(super) fn begin(output: Output, spinner: &'a ProgressBar, piece: &'a Piece, place: &str) -> Story<'a> {
        let story = Story { output, spinner, piece, lines: Vec::new(), has_waited: false };
        let scenario = &piece.scenario;
        let title = if scenario.title.is_empty() { &piece.name } else { &scenario.title };
        story.say(&wrapped(title, 80));
        story.say(&format!("{place}, seed {}\n", scenario.seed));
        story
    }

    /// Tells what is new.
    pub(super) fn tell(&mut self, moment: &Moment<'_>) {
        let at_ms = moment.at_us as f64 / 1e3;
        let first = &moment.line[0];
        match moment.news {
            News::Begins => {
                let text = written(&self.piece.text, first.line).unwrap_or_else(|| first.to_string());
                self.spinner.set_message(format!("at {}: {text}", seconds(at_ms)));
                self.lines.push(Line { line: first.line, text, at_ms, took_ms: None, note: None });
                self.has_waited = false;
            }
            News::Waits(why) => {
                let Some(line) = self.lines.last() else { return };
                let waits = format!("at {}: `{}`: {why} …", seconds(line.at_ms), line.text);
                let is_long = at_ms - line.at_ms > SILENCE_US as f64 / 1e3;
                self.spinner.set_message(waits.clone());
                if is_long && !self.has_waited && self.spinner.is_hidden() {
                    self.output.note(&waits);
                    self.has_waited = true;
                }
            }
            News::Done(note) => {
                let Some(line) = self.lines.last_mut() else { return };
                line.took_ms = Some(at_ms - line.at_ms);
                line.note = note.map(str::to_owned);
                let told = line.to_string();
                self.say(&told);
            }
        }
    }

    /// What was told.
    pub(super) fn end(self) -> Vec<Line> {
        if let Some(line) = self.lines.last().filter(|line| line.took_ms.is_none()) {
            self.say(&line.to_string());
        }
        self.say("");
        self.lines
    }

    /// To people only; a reader that has gone changes nothing of what is played.
    fn say(&self, text: &str) {
        if !self.output.is_json() {
            self.spinner.suspend(|| drop(self.output.text(&format!("{text}\n"))));
        }
    }
}

impl std::fmt::Display for Line {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Line { text, at_ms, took_ms, note, .. } = self;
        write!(f, "{:>9}  {text}", seconds(*at_ms))?;
        match took_ms {
            None => f.write_str("  (not so)")?,
            Some(took_ms) if *took_ms >= 1.0 => write!(f, "  ({took_ms:.0} ms)")?,
            Some(_) => {}
        }
        note.as_ref().map_or(Ok(()), |note| write!(f, "\n{:>11}{note}", ""))
    }
}

fn seconds(ms: f64) -> String {
    format!("{:.3} s", ms / 1e3)
}

/// The statement that begins at a line of a text, with the lines that belong to it.
fn written(text: &str, line: usize) -> Option<String> {
    let mut rest = text.lines().skip(line.checked_sub(1)?);
    let first = rest.next()?;
    let more = rest.take_while(|line| line.starts_with(char::is_whitespace) && !line.trim().is_empty());
    let said = std::iter::once(first).chain(more).map(|line| line.split('#').next().unwrap_or_default().trim());
    Some(said.collect::<Vec<_>>().join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_is_told_as_it_was_written() {
        let text = "servers 3\npartition n1   # alone\n  n2,n3\nheal\n";
        assert_eq!(written(text, 2).as_deref(), Some("partition n1 n2,n3"));
        assert_eq!(written(text, 4).as_deref(), Some("heal"));
        assert_eq!((written(text, 0), written(text, 9)), (None, None));
    }
}
