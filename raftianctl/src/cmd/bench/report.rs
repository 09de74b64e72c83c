//! `raftianctl bench report`: the report of a run, computed again from its raw data.
//!
//! Deliberately absent: anything to choose. A report is a function of the run.

use std::fmt::Write as _;
use std::path::PathBuf;

use raftian_bench::report::{self, Change, Report};

use crate::cli::Context;
use crate::failure::Failure;

/// Write the report of a run again, from its raw data
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  raftianctl bench report results/mine
  raftianctl bench report results/mine -o json

The report goes into the folder derived/ of the run: report.html (needs no other file), report.md, findings.json and \
the charts as SVG and PNG. The same raw data give the same bytes; files that differ from what was there are named. Of a \
run that is not finished it reports the finished blocks.")]
pub(crate) struct Args {
    /// The folder of the run, made by `raftianctl bench run`
    #[arg(value_name = "RUN")]
    run: PathBuf,
}

/// Writes the report.
pub(crate) fn run(context: &Context, args: &Args) -> Result<(), Failure> {
    let report = report::write(&args.run)?;
    if !context.output.is_json() {
        for remark in &report.remarks {
            context.output.note(&format!("note: {remark}"));
        }
    }
    context.output.data(&report, words)
}

/// The answer, what changed, and where to read on.
fn words(report: &Report) -> String {
    let mut text = format!("{}\n", report.answer);
    let changed = report.files.iter().filter(|file| file.change != Change::Unchanged);
    for file in changed.clone() {
        let word = match file.change {
            Change::New => "new",
            Change::Changed => "changed",
            Change::Removed => "removed",
            Change::Unchanged => "unchanged",
        };
        let _ = writeln!(text, "{word:<8} {}", file.file);
    }
    if changed.count() == 0 {
        let _ = writeln!(text, "unchanged: all {} files", report.files.len());
    }
    let _ = writeln!(text, "report   {}", report.page.display());
    text
}

#[cfg(test)]
mod tests {
    use raftian_bench::report::Changed;

    use super::*;

    fn report(changes: &[(&str, Change)]) -> Report {
        Report {
            answer: "It costs nothing.".into(),
            remarks: vec![],
            page: "run/derived/report.html".into(),
            files: changes.iter().map(|(file, change)| Changed { file: (*file).into(), change: *change }).collect(),
        }
    }

    #[test]
    fn what_changed_is_named_and_only_that() {
        let text =
            words(&report(&[("a.svg", Change::Changed), ("b.svg", Change::Unchanged), ("c.svg", Change::Removed)]));
        assert_eq!(text, "It costs nothing.\nchanged  a.svg\nremoved  c.svg\nreport   run/derived/report.html\n");
        let text = words(&report(&[("a.svg", Change::Unchanged), ("b.svg", Change::Unchanged)]));
        assert_eq!(text, "It costs nothing.\nunchanged: all 2 files\nreport   run/derived/report.html\n");
    }
}
