//! Figures on disk: raw as JSON, and a table for people.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::Context as _;
use serde::Serialize;

use super::{Figure, Target};
use crate::machine::Machine;

/// Writes `figures.json` (every sample, and the machine) and `figures.md` (a table) into `folder`.
///
/// # Errors
/// When the folder cannot be created or written.
pub fn write(folder: &Path, machine: &Machine, figures: &[Figure]) -> anyhow::Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
    let mut raw = serde_json::to_string_pretty(&Raw { machine, figures })?;
    raw.push('\n');
    for (name, text) in [("figures.json", raw), ("figures.md", table(machine, figures))] {
        let path = folder.join(name);
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

#[derive(Serialize)]
struct Raw<'a> {
    machine: &'a Machine,
    figures: &'a [Figure],
}

fn table(machine: &Machine, figures: &[Figure]) -> String {
    let mut text =
        String::from("| what | unit | median | least–most | n | target | met |\n|---|---|---|---|---|---|---|\n");
    for figure in figures {
        let least = figure.samples.iter().copied().reduce(f64::min);
        let most = figure.samples.iter().copied().reduce(f64::max);
        let number = |value: Option<f64>| value.map_or("–".to_owned(), digits);
        let target = match figure.target {
            Some(Target::AtMost(bound)) => format!("≤ {}", digits(bound)),
            Some(Target::AtLeast(bound)) => format!("≥ {}", digits(bound)),
            None => "–".to_owned(),
        };
        let met = figure.is_met().map_or("–", |met| if met { "yes" } else { "**no**" });
        let (title, unit, median, n) = (&figure.title, &figure.unit, number(figure.median), figure.samples.len());
        let (least, most) = (number(least), number(most));
        writeln!(text, "| {title} | {unit} | {median} | {least}–{most} | {n} | {target} | {met} |")
            .expect("writing to a string does not fail");
    }
    let load = machine.load_average.map_or("unknown".to_owned(), |[one, ..]| format!("{one:.2}"));
    writeln!(text, "\n{machine}; load average at the start {load}. Every sample is in figures.json.")
        .expect("writing to a string does not fail");
    text
}

/// Three significant digits are what such samples are worth.
fn digits(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_says_unit_n_target_and_machine() {
        let figures = [
            Figure::new("a", "start", "ms", vec![300.0, 500.0, 400.0], Some(Target::AtMost(1000.0))),
            Figure::new("b", "rate", "1/s", vec![9000.0], Some(Target::AtLeast(15_000.0))),
        ];
        let text = table(&Machine::this(Path::new("/")), &figures);
        assert!(text.contains("| start | ms | 400 | 300–500 | 3 | ≤ 1000 | yes |"), "{text}");
        assert!(text.contains("| rate | 1/s | 9000 | 9000–9000 | 1 | ≥ 15000 | **no** |"), "{text}");
        assert!(text.contains("raftian"), "{text}");
    }
}
