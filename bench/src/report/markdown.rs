//! A report as Markdown, with its charts beside it.
//!
//! Invariant: no text of the data is taken for markup.

use std::fmt::Write as _;

use super::FIGURES_FOLDER;
use super::document::Document;
use crate::analysis::finding::{Figure, Finding, Table};

/// The report as Markdown.
pub(crate) fn write(document: &Document<'_>) -> String {
    let mut out = String::new();
    let _ = writeln!(out, "# {}\n\n{}\n", escaped(&document.answer), escaped(&document.lead));
    for finding in document.findings {
        write_finding(&mut out, finding);
    }
    let _ = writeln!(out, "## What could not be concluded\n");
    write_list(&mut out, &document.open);
    let _ = writeln!(out, "## Method\n");
    for paragraph in document.method {
        let _ = writeln!(out, "{}\n", escaped(paragraph));
    }
    write_table(&mut out, "##", &document.extent);
    write_table(&mut out, "##", &document.machine);
    out.truncate(out.trim_end().len());
    out.push('\n');
    out
}

fn write_finding(out: &mut String, finding: &Finding) {
    let (id, question) = (finding.experiment, escaped(&finding.question));
    let _ = writeln!(out, "## {id} · {question}\n\n**{}**\n", escaped(&finding.takeaway));
    finding.figures.iter().for_each(|figure| write_figure(out, figure));
    finding.tables.iter().for_each(|table| write_table(out, "###", table));
    if !finding.caveats.is_empty() {
        let _ = writeln!(out, "To bear in mind:\n");
        write_list(out, &finding.caveats);
    }
}

fn write_figure(out: &mut String, figure: &Figure) {
    let (title, name) = (escaped(&figure.title).replace(['[', ']'], ""), &figure.name);
    let _ = writeln!(out, "![{title}]({FIGURES_FOLDER}/{name}.svg)\n\nFigure {name}: {}\n", escaped(&figure.caption));
}

fn write_table(out: &mut String, level: &str, table: &Table) {
    let row =
        |cells: &[String]| format!("| {} |\n", cells.iter().map(|cell| escaped(cell)).collect::<Vec<_>>().join(" | "));
    let _ = writeln!(out, "{level} {}\n", escaped(&table.title));
    out.push_str(&row(&table.columns));
    let _ = writeln!(out, "|{}", " --- |".repeat(table.columns.len()));
    table.rows.iter().for_each(|cells| out.push_str(&row(cells)));
    out.push('\n');
}

fn write_list(out: &mut String, items: &[String]) {
    for item in items {
        let _ = writeln!(out, "- {}", escaped(item));
    }
    out.push('\n');
}

/// Code in backquotes stays code.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '\n' | '\r' => out.push(' '),
            '|' | '*' | '<' | '>' | '\\' => {
                out.push('\\');
                out.push(letter);
            }
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_are_no_markup() {
        assert_eq!(escaped("a|b <c> *d*\ne"), r"a\|b \<c\> \*d\* e");
    }
}
