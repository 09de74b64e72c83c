//! `raftianctl`, the command line of a raftian lab: thin commands over `lab.*`, `client.*` and the bench library.
//!
//! The way of a command: `cli` (what was typed) → `cmd/…` (one file each) → `connect` (the daemon) → `output` (what is
//! said), with `failure` (what is said when it fails) and its exit code at the end.
//!
//! Invariant: no question about the cluster is decided here; the daemon resolves, waits and judges the state, the
//! judges judge the evidence.

mod advice;
mod ask;
mod cli;
mod cmd;
mod complete;
mod connect;
mod failure;
mod fold;
mod interrupt;
mod keep;
mod launch;
mod output;
mod play;
mod progress;
mod sieve;
mod stage;
mod table;
mod units;
mod window;
mod words;

use std::ffi::OsString;
use std::io::Write as _;
use std::process::ExitCode;

use cli::{Cli, Context, Verb};
use failure::{Failure, Kind};
use interrupt::Interrupt;
use output::unwritable;

fn main() -> ExitCode {
    if complete::answer() {
        return ExitCode::SUCCESS;
    }
    let arguments: Vec<OsString> = std::env::args_os().collect();
    let (outcome, json) = match cli::parse(arguments.iter().cloned()) {
        Ok(cli) => {
            let context = cli.context();
            (run(cli, &context), context.output.is_json())
        }
        Err(error) => {
            let json = cli::asks_for_json(&arguments);
            (answer(&error, json), json)
        }
    };
    match outcome {
        Ok(code) => ExitCode::from(code),
        Err(failure) => {
            if let Some(line) = failure.line(json) {
                // Whoever has closed standard error does not want to know.
                let _ = writeln!(std::io::stderr(), "{line}");
            }
            ExitCode::from(failure.exit_code())
        }
    }
}

fn run(cli: Cli, context: &Context) -> Result<u8, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::failed(format!("the system gives us no event queue: {error}")))?;
    runtime.block_on(async {
        let listening = Interrupt::listen();
        let mut interrupt =
            listening.map_err(|error| Failure::failed(format!("the system lets us hear no signals: {error}")))?;
        match cli.into_verb() {
            // These have something to clean up, or to say, when they are interrupted.
            Verb::Load(args) => cmd::load::run(context, args, interrupt).await,
            Verb::Demo(args) => cmd::demo::run(context, args, interrupt).await,
            Verb::Bench(args) => cmd::bench::run(context, args, interrupt).await,
            Verb::Run(args) => cmd::run::run(context, args, interrupt).await,
            Verb::Nemesis(args) => cmd::nemesis::run(context, args, interrupt).await,
            Verb::Sim(args) => cmd::sim::run(context, args, interrupt).await,
            other => {
                let farewell = farewell(&other);
                tokio::select! {
                    done = dispatch(context, other) => done,
                    () = interrupt.received() => Err(Failure::new(Kind::Interrupted, farewell)),
                }
            }
        }
    })
}

async fn dispatch(context: &Context, verb: Verb) -> Result<u8, Failure> {
    let done = match verb {
        Verb::Start(args) => cmd::start::run(context, args).await,
        Verb::Stop(args) => cmd::stop::run(context, args).await,
        Verb::Labs(args) => cmd::labs::run(context, args).await,
        Verb::Status(args) => cmd::status::run(context, args).await,
        Verb::Open(args) => cmd::open::run(context, args).await,
        Verb::Top(args) => cmd::top::run(context, args).await,
        Verb::Why(args) => cmd::why::run(context, args).await,
        Verb::Wait(args) => cmd::wait::run(context, args).await,
        Verb::Log(args) => cmd::log::run(context, args).await,
        Verb::Logs(args) => cmd::logs::run(context, args).await,
        Verb::Events(args) => cmd::events::run(context, args).await,
        Verb::Act(verb) => cmd::act::run(context, verb).await,
        Verb::Partition(args) => cmd::partition::run(context, args).await,
        Verb::Fault(args) => cmd::fault::run(context, args).await,
        Verb::Disk(args) => cmd::disk::run(context, args).await,
        Verb::Heal(args) => cmd::heal::run(context, args).await,
        Verb::Member(args) => cmd::member::run(context, args).await,
        Verb::TransferLeader(args) => cmd::transfer::run(context, args).await,
        Verb::Snapshot(args) => cmd::snapshot::run(context, args).await,
        // Its exit code tells whether a swap found what it expected.
        Verb::Kv(args) => return cmd::kv::run(context, args).await,
        // Its exit code tells whether a pixel was painted.
        Verb::Canvas(args) => return cmd::canvas::run(context, args).await,
        Verb::Attack(args) => cmd::attack::run(context, args).await,
        Verb::Player(args) => cmd::player::run(context, args).await,
        Verb::Play(args) => cmd::play::run(context, args).await,
        Verb::Screenshot(args) => cmd::screenshot::run(context, args).await,
        Verb::Plot(args) => cmd::plot::run(context, &args),
        Verb::Runs(args) => cmd::runs::run(context, args),
        Verb::Timeline(args) => cmd::timeline::run(context, args).await,
        // Its exit code is the verdict's.
        Verb::Check(args) => return cmd::check::run(context, &args),
        Verb::Doctor(args) => cmd::doctor::run(context, args).await,
        Verb::Completions(args) => cmd::completions::run(context, args),
        Verb::Man(args) => cmd::man::run(context, args),
        Verb::Version(args) => cmd::version::run(context, args).await,
        Verb::Load(_) | Verb::Demo(_) | Verb::Bench(_) | Verb::Run(_) | Verb::Nemesis(_) | Verb::Sim(_) => {
            unreachable!("they are run where the signals are")
        }
    };
    done.map(|()| 0)
}

/// What to tell whoever interrupts a command: for one that only looks, nothing.
fn farewell(verb: &Verb) -> &'static str {
    match verb {
        Verb::Start(_)
        | Verb::Stop(_)
        | Verb::Act(_)
        | Verb::Partition(_)
        | Verb::Fault(_)
        | Verb::Disk(_)
        | Verb::Heal(_)
        | Verb::Member(_)
        | Verb::TransferLeader(_)
        | Verb::Snapshot(_) => "interrupted; what the daemon was asked to do goes on, see `raftianctl status`",
        Verb::Attack(_) | Verb::Player(_) | Verb::Kv(_) | Verb::Canvas(_) => {
            "interrupted; the command may still be applied"
        }
        _ => "",
    }
}

/// Passes on what clap has to say: help to standard output, mistakes to standard error.
fn answer(error: &clap::Error, json: bool) -> Result<u8, Failure> {
    if cli::is_help(error) {
        return error.print().map(|()| 0).map_err(unwritable);
    }
    if json {
        let text = error.to_string();
        return Err(Failure::new(Kind::Usage, text.trim().trim_start_matches("error: ")));
    }
    // Whether the complaint itself could be written changes nothing.
    let _ = error.print();
    Ok(2)
}
