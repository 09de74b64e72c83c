//! What is played: the scenario that is wanted, found by its name, by that of its family, or in a file.
//!
//! Invariant: the text of a piece reads as its scenario, but for another seed.

use std::path::Path;

use raftian_bench::run::spelt;
use raftian_script::{FIGURES, Figure, Scenario, nearest};

use super::file;
use crate::cli::Context;
use crate::failure::{Failure, Kind};

/// What is played: its name, what it says, and as what it was read.
#[derive(Clone, Debug)]
pub(crate) struct Piece {
    pub(crate) name: String,
    pub(crate) text: String,
    pub(crate) scenario: Scenario,
}

impl Piece {
    /// Makes all its times so many times as long, in its text too.
    pub(super) fn slow_down(&mut self, times: u32) -> Result<(), Failure> {
        self.scenario.slow_down(times);
        self.text = self.scenario.to_string();
        let read = self.text.parse();
        self.scenario = read.map_err(|why| Failure::new(Kind::Usage, format!("{times} times as slow, {why}")))?;
        Ok(())
    }

    /// What it says, as it is played: as it was written, but for another seed.
    pub(super) fn played(&self) -> String {
        let is_as_written = self.text.parse().is_ok_and(|written: Scenario| written.seed == self.scenario.seed);
        if is_as_written { self.text.clone() } else { self.scenario.to_string() }
    }
}

/// The scenarios that are wanted: one that comes with raftian, a family of them, or that of a file.
pub(super) fn pieces(context: &Context, wanted: &Path) -> Result<Vec<Piece>, Failure> {
    let name = spelt(&wanted.display().to_string());
    let piece =
        |figure: &Figure| Piece { name: figure.name.into(), text: figure.text.into(), scenario: figure.scenario() };
    if let Some(figure) = Figure::named(&name) {
        return Ok(vec![piece(&figure)]);
    }
    let is_of_family = |figure: &&Figure| figure.name.strip_prefix(&name).is_some_and(|rest| rest.starts_with('_'));
    let family: Vec<Piece> = FIGURES.iter().filter(is_of_family).map(piece).collect();
    if !family.is_empty() && !wanted.exists() {
        return Ok(family);
    }
    let may_be_name = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if may_be_name && !wanted.exists() {
        let near = nearest(&name, FIGURES.iter().map(|figure| figure.name));
        let hint = near.map_or("see `raftianctl run --list`".to_owned(), |near| format!("did you mean `{near}`?"));
        return Err(Failure::new(Kind::Usage, format!("there is no scenario and no file `{name}`; {hint}")));
    }
    let (text, scenario) = file::scenario(context, wanted)?;
    let name = if name == "-" { "standard input".to_owned() } else { name };
    Ok(vec![Piece { name, text, scenario }])
}
