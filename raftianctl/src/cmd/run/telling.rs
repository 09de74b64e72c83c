//! What is told of a scenario while it is played: each line with its time and what came of it, and the logs where they
//! change.
//!
//! Invariant: a line is told when it is done, in the words of its file; what it waits for is told after a second. With
//! steps, no line begins before somebody has asked for it; but the nodes' clocks, where they are real, go on.

use indicatif::ProgressBar;
use raftian_bench::run::spelt;
use raftian_script::{Moment, News, NodeView, Statement, Watch};
use raftian_view::View;
use serde::Serialize;

use super::face;
use super::grid::{LEGEND, grid};
use super::steps::Steps;
use super::{Piece, Showing};
use crate::output::{Output, Paint};
use crate::words::wrapped;

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
    /// The comment above it, which says what it is for; that of a step that matters begins with `! `.
    #[serde(skip_serializing_if = "Option::is_none")]
    comment: Option<String>,
    /// What the cluster is like after it, where logs are shown and it is another than before.
    #[serde(skip_serializing_if = "Option::is_none")]
    view: Option<View>,
}

/// Tells it, and keeps it.
pub(super) struct Story<'a> {
    output: Output,
    spinner: &'a ProgressBar,
    piece: &'a Piece,
    lines: Vec<Line>,
    has_waited: bool,
    /// The logs as they were last shown; none where they are not shown.
    shown: Option<Vec<NodeView>>,
    /// What asks before each line, if something does.
    steps: Option<Steps>,
    /// Whether nothing is said while it is played.
    is_silent: bool,
}

impl<'a> Story<'a> {
    /// Tells what is about to be played, and where; `steps` is asked before each line.
    pub(super) fn begin(
        output: Output,
        spinner: &'a ProgressBar,
        piece: &'a Piece,
        place: &str,
        showing: Showing,
        steps: Option<Steps>,
    ) -> Story<'a> {
        let is_silent = showing.silent || output.is_json();
        let is_shown = if output.is_json() { showing.logs } else { showing.shows_logs(&piece.scenario) && !is_silent };
        let shown = is_shown.then(Vec::new);
        let story = Story { output, spinner, piece, lines: Vec::new(), has_waited: false, shown, steps, is_silent };
        let scenario = &piece.scenario;
        let title = if scenario.title.is_empty() { &piece.name } else { &scenario.title };
        story.say(&wrapped(title, 80));
        if !scenario.see.is_empty() {
            story.say(&story.dimmed(&wrapped(&scenario.see, 80)));
        }
        for (label, part) in [("Source", &scenario.source), ("Differs", &scenario.differs)] {
            if !part.is_empty() {
                story.say(&story.dimmed(&wrapped(&format!("{label}: {part}"), 80)));
            }
        }
        story.say(&format!("{place}, seed {}\n", scenario.seed));
        if story.shown.is_some() {
            story.say(&story.dimmed(&format!("{}\n", wrapped(LEGEND, 80))));
        }
        story
    }

    /// Tells what is new.
    async fn tell(&mut self, moment: &Moment<'_>) {
        let at_ms = moment.at_us as f64 / 1e3;
        let first = &moment.line[0];
        match moment.news {
            News::Begins => {
                let text = written(&self.piece.text, first.line).unwrap_or_else(|| first.to_string());
                self.spinner.set_message(format!("at {}: {text}", seconds(at_ms)));
                let is_preset = matches!(first.statement, Statement::Disk { .. });
                if !is_preset {
                    self.show(moment.nodes);
                }
                let comment = comment(&self.piece.text, first.line);
                if let Some(comment) = &comment {
                    self.say(&format!("\n{}", self.sentence(comment)));
                }
                if let Some(steps) = self.steps.as_mut().filter(|_| !is_preset) {
                    self.spinner.suspend(|| steps.ask(&text));
                    steps.wait().await;
                }
                let (line, comment) = (first.line, comment.map(|comment| spelt(&comment)));
                self.lines.push(Line { line, text, at_ms, took_ms: None, note: None, comment, view: None });
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
                // What `finish` does to bring a cluster to life is not what a scenario shows.
                if !matches!(first.statement, Statement::Disk { .. } | Statement::Finish) {
                    self.show(moment.nodes);
                }
            }
            News::Stopped => self.show(moment.nodes),
        }
    }

    /// Shows the logs, if they are others than those that were shown last.
    fn show(&mut self, nodes: &[NodeView]) {
        let Some(shown) = &mut self.shown else { return };
        if *shown != nodes {
            nodes.clone_into(shown);
            if let Some(line) = self.lines.last_mut().filter(|_| self.output.is_json()) {
                line.view = Some(face::view(&self.piece.name, nodes));
                return;
            }
            let grid = grid(nodes, self.output.colour());
            self.say(&format!("\n{grid}"));
        }
    }

    /// What a comment says; that of a step that matters has a mark.
    fn sentence(&self, comment: &str) -> String {
        match comment.strip_prefix("! ") {
            Some(key) => Paint::Good.apply(&wrapped(&format!("▶ {}", spelt(key)), 80), self.output.colour()),
            None => self.dimmed(&wrapped(&spelt(comment), 80)),
        }
    }

    fn dimmed(&self, text: &str) -> String {
        text.lines().map(|line| format!("{}\n", Paint::Dim.apply(line, self.output.colour()))).collect()
    }

    /// What was told.
    pub(super) fn end(self) -> Vec<Line> {
        if let Some(line) = self.lines.last().filter(|line| line.took_ms.is_none()) {
            self.say(&line.to_string());
        }
        self.say("");
        self.lines
    }

    /// To people only, as lines of their own; a reader that has gone changes nothing of what is played.
    fn say(&self, text: &str) {
        if !self.is_silent {
            let end = if text.ends_with('\n') && !text.is_empty() { "" } else { "\n" };
            self.spinner.suspend(|| drop(self.output.text(&format!("{text}{end}"))));
        }
    }
}

impl Watch for Story<'_> {
    fn wants_nodes(&self) -> bool {
        self.shown.is_some()
    }

    async fn hear(&mut self, moment: Moment<'_>) {
        self.tell(&moment).await;
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

/// The comment right above a statement.
fn comment(text: &str, line: usize) -> Option<String> {
    let above: Vec<&str> = text.lines().take(line.checked_sub(1)?).collect();
    let words: Vec<&str> = above.into_iter().rev().map_while(|line| line.strip_prefix('#')).map(str::trim).collect();
    (!words.is_empty()).then(|| words.into_iter().rev().collect::<Vec<_>>().join(" "))
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

    #[test]
    fn the_comment_above_a_statement_is_its_sentence() {
        let text = "servers 3\n\n# (c) n1 is elected,\n# by n2.\ntimeout n1\nheal # now\n";
        assert_eq!(comment(text, 5).as_deref(), Some("(c) n1 is elected, by n2."));
        assert_eq!((comment(text, 6), comment(text, 1), comment(text, 0)), (None, None, None));
    }
}
