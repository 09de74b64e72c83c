//! `raftianctl man`: the manual pages.

use std::fs;
use std::path::{Path, PathBuf};

use clap_mangen::Man;
use serde::Serialize;

use crate::cli::{self, Context};
use crate::failure::{Failure, Kind};

const EXAMPLES: &str = "\
Examples:
  raftianctl man kill | man -l -
  raftianctl man --to ~/.local/share/man/man1

A page for each command: raftianctl-kill(1), raftianctl-fault-add(1).";

/// Write the manual page of a command, or all pages into a folder
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The command, in one or more words [default: raftianctl itself]
    #[arg(value_name = "COMMAND", conflicts_with = "to")]
    command: Vec<String>,
    /// Write all pages into this folder
    #[arg(long, value_name = "FOLDER")]
    to: Option<PathBuf>,
}

/// What was written.
#[derive(Debug, Serialize)]
struct Written {
    /// The folder.
    folder: PathBuf,
    /// How many pages.
    pages: usize,
}

/// Writes them.
pub(crate) fn run(context: &Context, args: Args) -> Result<(), Failure> {
    let all = pages();
    if let Some(folder) = args.to {
        write(&folder, &all)?;
        let written = Written { folder, pages: all.len() };
        return context
            .output
            .data(&written, |written| format!("{} manual pages in {}", written.pages, written.folder.display()));
    }
    let name = std::iter::once("raftianctl").chain(args.command.iter().map(String::as_str)).collect::<Vec<_>>();
    let name = name.join("-");
    let Some((_, page)) = all.into_iter().find(|(of, _)| *of == name) else {
        let why = format!("there is no command `{}`; see `raftianctl --help`", name.replace('-', " "));
        return Err(Failure::new(Kind::Usage, why));
    };
    context.output.document(&page)
}

/// All pages, by their names.
fn pages() -> Vec<(String, String)> {
    let mut command = cli::command().disable_help_subcommand(true);
    // From here on each command knows its full name.
    command.build();
    let mut all = Vec::new();
    add(&command, &mut all);
    all
}

/// Adds the page of a command and those of all below it.
fn add(command: &clap::Command, pages: &mut Vec<(String, String)>) {
    let mut page = Vec::new();
    Man::new(command.clone()).render(&mut page).expect("memory takes all that is written");
    let name = command.get_display_name().unwrap_or(command.get_name());
    pages.push((name.to_owned(), String::from_utf8_lossy(&page).into_owned()));
    command.get_subcommands().for_each(|sub| add(sub, pages));
}

fn write(folder: &Path, pages: &[(String, String)]) -> Result<(), Failure> {
    let failed = |path: &Path, error| Failure::failed(format!("{} cannot be written: {error}", path.display()));
    fs::create_dir_all(folder).map_err(|error| failed(folder, error))?;
    for (name, page) in pages {
        let path = folder.join(format!("{name}.1"));
        fs::write(&path, page).map_err(|error| failed(&path, error))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_has_a_page_with_its_examples() {
        let all = pages();
        assert!(all.len() > 60, "{}", all.len());
        let page = |name: &str| &all.iter().find(|(of, _)| of == name).unwrap_or_else(|| panic!("{name}")).1;
        assert!(page("raftianctl-kill").contains("@leader"));
        assert!(page("raftianctl-fault-add-latency").contains("jitter"));
        assert!(all.iter().all(|(_, page)| page.starts_with(".ie") || page.contains(".TH")));
    }
}
