//! `cargo xtask`: work on the tree of raftian that is more than a call of cargo. `dist` makes what can be installed, `zoo` plants
//! bugs in real nodes and sees which are caught.
//!
//! Deliberately absent: what users of raftian need; that is `raftianctl`.

mod dist;
mod zoo;

use std::env;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, bail};
use clap::{Parser, Subcommand};

/// Work on the tree of raftian that is more than a call of cargo
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Dist(dist::Args),
    Zoo(zoo::Args),
}

fn main() -> anyhow::Result<()> {
    match Cli::parse().verb {
        Verb::Dist(args) => dist::make(args),
        Verb::Zoo(args) => zoo::hunt(args),
    }
}

/// The top of the tree.
fn tree() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("this package lies in a folder of the tree")
}

/// `cargo build --release --locked` in the tree.
fn cargo_build() -> Command {
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(tree()).args(["build", "--release", "--locked"]);
    cargo
}

/// Runs a program to its end, which must be a good one.
fn run(command: &mut Command) -> anyhow::Result<()> {
    let status = command.status().with_context(|| format!("{:?} cannot be run", command.get_program()))?;
    if !status.success() {
        bail!("{:?} failed: {status}", command.get_program());
    }
    Ok(())
}
