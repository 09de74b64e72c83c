//! What is drawn of a run that was replayed or scripted, and where to.

use std::io::{self, IsTerminal as _};
use std::path::PathBuf;

use clap::ValueEnum;
use raftian_sim::Happening;
use raftian_sim::chart::{self, View};
use serde_json::Value;

use crate::cli::Context;
use crate::failure::Failure;

/// How a chart is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Form {
    /// For a terminal.
    Text,
    /// For a page.
    Svg,
}

/// The message-sequence chart that is wanted.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct Drawing {
    /// Draw a message-sequence chart: text or svg
    #[arg(long, value_name = "FORM", value_enum, hide_possible_values = true)]
    chart: Option<Form>,
    /// The file for the chart, instead of standard output
    #[arg(long, value_name = "FILE", requires = "chart")]
    to: Option<PathBuf>,
    /// The steps to draw [default: all]
    #[arg(long, value_name = "FROM..TO", requires = "chart", value_parser = super::range)]
    steps: Option<(u64, u64)>,
    /// Draw idle heartbeats and their replies, too
    #[arg(long, requires = "chart")]
    heartbeats: bool,
}

impl Drawing {
    /// Draws what is wanted of this: to its file, or else for [`tell`].
    ///
    /// # Errors
    /// When the file cannot be written.
    pub(crate) fn draw(&self, context: &Context, journal: &[Happening]) -> Result<Option<String>, Failure> {
        let Some(form) = self.chart else { return Ok(None) };
        let (from, to) = self.steps.unwrap_or((0, u64::MAX));
        let view = View { from, to, idle: self.heartbeats };
        let drawn = match form {
            Form::Text => chart::text(journal, &view),
            Form::Svg => chart::svg(journal, &view),
        };
        let Some(path) = &self.to else { return Ok(Some(drawn)) };
        let written = std::fs::write(path, drawn);
        written.map_err(|error| Failure::failed(format!("cannot write {}: {error}", path.display())))?;
        context.output.note(&format!("the chart is in {}", path.display()));
        Ok(None)
    }

    /// Whether there is one.
    pub(crate) fn is_wanted(&self) -> bool {
        self.chart.is_some()
    }

    /// Whether it takes the place of what is otherwise on standard output.
    pub(crate) fn is_all(&self) -> bool {
        self.chart.is_some() && self.to.is_none()
    }
}

/// Says what came of a run. Beside a chart people get words as a note, and programs get the chart as a field.
///
/// # Errors
/// When standard output cannot be written.
pub(crate) fn tell(context: &Context, chart: Option<String>, came: Value, words: &str) -> Result<(), Failure> {
    let output = context.output;
    match chart {
        Some(chart) if !output.is_json() => {
            output.text(&chart)?;
            let on_one_screen = io::stdout().is_terminal() && io::stderr().is_terminal();
            output.note(&format!("{}{}", if on_one_screen { "\n" } else { "" }, words.trim_end()));
            Ok(())
        }
        Some(chart) => {
            let mut came = came;
            came["chart"] = chart.into();
            output.data(&came, |_| String::new())
        }
        None => output.data(&came, |_| words.to_owned()),
    }
}
