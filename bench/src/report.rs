//! A run's report, as Markdown and as one HTML file that needs no other, and the charts in it.
//!
//! The way of a report: the run's folder → [`Source`] (run and findings) → `document` (what is said, in order) →
//! `markdown`, `html` and the charts → `files` (what of it is new on disk).
//!
//! Invariant: a pure function of the run's raw files; same files, same bytes. The first line answers the question that
//! the original paper asked, or says that this run cannot.

mod document;
mod files;
mod html;
mod markdown;
mod render;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use serde::Serialize;

pub use self::files::{Change, Changed};
use crate::analysis::analyse;
use crate::analysis::finding::{Figure, Finding};
use crate::chart::{Width, figure_svg};
use crate::suite::run::{DERIVED_FOLDER, Run};

/// What was written, and what it says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    /// The answer to the paper's question: the report's first line.
    pub answer: String,
    /// What a reader must know of the run as a whole.
    pub remarks: Vec<String>,
    /// The report for people, an HTML file.
    pub page: PathBuf,
    /// Every file of the report, and what became of it.
    pub files: Vec<Changed>,
}

/// What reports and charts are made from.
#[derive(Clone, Debug)]
pub struct Source {
    run: Run,
    findings: Vec<Finding>,
}

/// Writes the report of the run in a folder into its `derived/`.
///
/// # Errors
/// When there is no run, it is of a newer form or was edited, or the report cannot be written.
pub fn write(folder: &Path) -> anyhow::Result<Report> {
    let source = Source::open(folder)?;
    let derived = folder.join(DERIVED_FOLDER);
    let files = files::settle(&derived, &source.files()?)?;
    Ok(Report {
        answer: document::answer(&source.findings),
        remarks: source.run.remarks(),
        page: derived.join(PAGE_FILE),
        files,
    })
}

/// The report as a page.
const PAGE_FILE: &str = "report.html";

/// The folder of the charts within that of the report.
const FIGURES_FOLDER: &str = "figures";

impl Source {
    /// Reads and analyses the run in a folder.
    ///
    /// # Errors
    /// When there is none, it is of a newer form, or was edited.
    pub fn open(folder: &Path) -> anyhow::Result<Source> {
        Ok(Source::of(Run::open(folder)?))
    }

    /// Analyses a run.
    pub fn of(run: Run) -> Source {
        Source { findings: analyse(&run), run }
    }

    /// What the run found.
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// Every figure, the main one of every experiment before its others.
    pub fn figures(&self) -> impl Iterator<Item = &Figure> {
        self.findings.iter().flat_map(|finding| &finding.figures)
    }

    /// What stands below every chart: machine, revision, seed.
    pub fn provenance(&self) -> String {
        let manifest = self.run.manifest();
        let revision = document::revision(&manifest.provenance);
        format!("{} · {revision} · seed {}", manifest.provenance.machine, manifest.seed)
    }

    /// Draws a figure as SVG.
    pub fn draw(&self, figure: &Figure, width: Width) -> String {
        figure_svg(figure, &self.provenance(), width)
    }

    /// Every file of the report, by its path in `derived/`.
    fn files(&self) -> anyhow::Result<BTreeMap<String, Vec<u8>>> {
        let mut charts = BTreeMap::new();
        for figure in self.figures() {
            let name = &figure.name;
            ensure!(is_file_name(name), "`{name}` cannot be the name of a chart's file");
            let before = charts.insert(name.clone(), self.draw(figure, Width::Page));
            ensure!(before.is_none(), "two charts are called `{name}`");
        }
        let document = document::Document::of(&self.run, &self.findings);
        let mut findings =
            serde_json::to_vec_pretty(&self.findings).context("the findings cannot be written as JSON")?;
        findings.push(b'\n');
        let mut files = BTreeMap::from([
            ("findings.json".to_owned(), findings),
            ("report.md".to_owned(), markdown::write(&document).into_bytes()),
            (PAGE_FILE.to_owned(), html::write(&document, &charts).into_bytes()),
        ]);
        for (name, png) in render::pngs(&charts)? {
            files.insert(format!("{FIGURES_FOLDER}/{name}.png"), png);
        }
        files.extend(charts.into_iter().map(|(name, svg)| (format!("{FIGURES_FOLDER}/{name}.svg"), svg.into_bytes())));
        Ok(files)
    }
}

fn is_file_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
}
