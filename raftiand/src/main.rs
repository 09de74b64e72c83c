//! `raftiand`: the supervisor of one lab. It spawns the nodes, watches and reaps them, breaks them and their links on
//! request, keeps the journal, and serves `lab.*`.
//!
//! The way in: [`daemon`] takes charge of the folder and serves [`api`]; [`verbs`] are the commands that change
//! processes, made of the steps in [`lifecycle`], which uses [`node_process`]; [`change`] adds and removes members,
//! who are kept in [`members`]; [`gateway`] opens the canvas to painters; [`faults`] is the room of all about faults, and [`push`] tells the nodes; [`observe`] and [`wait`]
//! look.
//!
//! Deliberately absent: everything a node is made of. The daemon knows nodes by their processes, their pipes and
//! `control.*`, and never links their code.

mod agreement;
mod api;
mod change;
mod daemon;
mod face;
mod faults;
mod fit;
mod gateway;
mod journal;
mod lab;
mod lifecycle;
mod members;
mod metrics;
mod node;
mod node_process;
mod observe;
mod open_changes;
mod player;
mod poll;
mod purge;
mod push;
mod reason;
mod saved;
mod snapshot;
mod transfer;
mod verbs;
mod wait;

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use raftian_rpc::folder::LabFolder;

use crate::daemon::{AnotherDaemon, Charge};

/// The supervisor of a raftian lab. Usually started by `raftianctl start`, which finds or starts it.
#[derive(Parser)]
#[command(
    version,
    after_help = "Example:\n  raftiand --lab default --folder ~/.local/state/raftian/default\n\nExit codes: 0 \
                  stopped or removed in order, 1 failed, 2 wrong usage, 3 another daemon runs this lab."
)]
struct Args {
    /// The name of the lab
    #[arg(long, value_name = "NAME", value_parser = lab_name)]
    lab: String,

    /// The folder in which the lab lives; created if it does not exist
    #[arg(long, value_name = "PATH")]
    folder: PathBuf,

    /// Stop the lab and remove its folder at the end of standard input: for a lab that must not outlive who made it
    #[arg(long)]
    until_stdin_ends: bool,

    /// Remove the lab's folder and end what a crashed daemon left behind, without serving anybody; takes no disk space
    #[arg(long, conflicts_with_all = ["until_stdin_ends", "node"])]
    purge: bool,

    /// The node program; by default the `raftian-node` beside this program
    #[arg(long, value_name = "PATH")]
    node: Option<PathBuf>,
}

fn main() -> ExitCode {
    raftian_rpc::process::prepare();
    let args = Args::parse();
    // A session of its own: closing the terminal, or Ctrl-C in it, is not meant for the lab. It fails if this process
    // leads a group already, as one started from a shell does; then the terminal's signals stop the lab in order.
    let _ = rustix::process::setsid();
    // A log on a full disk must not end the daemon: lines that cannot be written are lost, without a word about it.
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .with_target(false)
        .log_internal_errors(false)
        .init();
    match serve(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "raftiand: {error:#}");
            ExitCode::from(if error.is::<AnotherDaemon>() { 3 } else { 1 })
        }
    }
}

fn serve(args: Args) -> anyhow::Result<()> {
    if args.purge {
        return daemon::purge(&args.folder);
    }
    let program = match args.node {
        Some(path) => std::path::absolute(path)?,
        None => std::env::current_exe()?.with_file_name("raftian-node"),
    };
    let Args { lab, folder, until_stdin_ends, .. } = args;
    let charge = Charge { lab, folder, program, until_stdin_ends };
    // One thread, the main one: nodes die with the *thread* that spawned them, so it must be one that stays.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(daemon::run(charge))
}

/// The rules for names are those of the folders they stand for.
fn lab_name(name: &str) -> Result<String, String> {
    LabFolder::of(name).map(|_| name.to_owned())
}
