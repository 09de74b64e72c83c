//! `raftianctl completions`: the script that makes a shell complete our commands, and the names of what there is.

use clap_complete::env::Shells;

use crate::cli::Context;
use crate::complete::ASKED_BY;
use crate::failure::{Failure, Kind};
use crate::output::unwritable;

const EXAMPLES: &str = "\
Examples:
  source <(raftianctl completions bash)
  source <(raftianctl completions zsh)
  raftianctl completions fish > ~/.config/fish/completions/raftianctl.fish

Then <Tab> completes commands and options, and the names of what there is now: nodes, selectors, faults, labs, runs,
scenarios and experiments.";

/// Write the completion script for a shell to standard output
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Which shell: bash, zsh, fish, elvish or powershell
    #[arg(value_name = "SHELL", value_parser = ["bash", "zsh", "fish", "elvish", "powershell"], hide_possible_values = true)]
    shell: String,
}

/// Writes the script. It calls this program by the name under which it was called,
/// so one that was called by a path is found by that path.
pub(crate) fn run(context: &Context, args: Args) -> Result<(), Failure> {
    let called = std::env::args().next().unwrap_or_default();
    let program = match called.contains('/') {
        true => std::path::absolute(&called).map_or(called, |path| path.display().to_string()),
        false => "raftianctl".to_owned(),
    };
    let shells = Shells::builtins();
    let shell = shells.completer(&args.shell);
    let shell = shell.ok_or_else(|| Failure::new(Kind::Usage, format!("no completions for {}", args.shell)))?;
    let mut script = Vec::new();
    shell.write_registration(ASKED_BY, "raftianctl", "raftianctl", &program, &mut script).map_err(unwritable)?;
    context.output.document(&String::from_utf8_lossy(&script))
}
