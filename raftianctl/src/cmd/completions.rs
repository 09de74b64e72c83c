//! `raftianctl completions`: the script that makes a shell complete our commands.

use clap_complete::Shell;

use crate::cli::{self, Context};
use crate::failure::Failure;

const EXAMPLES: &str = "\
Examples:
  source <(raftianctl completions bash)
  raftianctl completions fish > ~/.config/fish/completions/raftianctl.fish";

/// Write the completion script for a shell to standard output
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Which shell
    #[arg(value_name = "SHELL", value_enum)]
    shell: Shell,
}

/// Writes the script; it is the same in every output format.
pub(crate) fn run(context: &Context, args: Args) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut cli::command(), "raftianctl", &mut script);
    context.output.text(&String::from_utf8_lossy(&script))
}
