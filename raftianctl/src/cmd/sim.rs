//! `raftianctl sim …`: whole clusters in one thread and one seed, with every invariant checked after every step.
//!
//! Deliberately absent: what a run is, what is checked, and how it is drawn, which the simulator knows.

pub(crate) mod chart;
mod peers;
mod replay;
mod run;
mod zoo;

use std::panic;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use clap::Subcommand;
use raftian_sim::Settings;

use crate::cli::Context;
use crate::failure::{Failure, Kind};
use crate::interrupt::Interrupt;

/// Simulate clusters, and judge every step
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  raftianctl sim run --seeds 1..1000
  raftianctl sim replay 7 --chart text --steps 1..200
  raftianctl sim peers

A cluster, and what happens to it, is text: `raftianctl run FILE` plays it, and `raftianctl run --grammar` \
(docs/scenarios.md) tells all that it can say.")]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

/// What can be simulated.
#[derive(Debug, Subcommand)]
enum Verb {
    Run(run::Args),
    Replay(replay::Args),
    Peers(peers::Args),
    Zoo(zoo::Args),
}

/// Does it.
pub(crate) async fn run(context: &Context, args: Args, interrupt: Interrupt) -> Result<u8, Failure> {
    let context = context.clone();
    match args.verb {
        Verb::Run(args) => aside(interrupt, true, move |stop| run::run(&context, &args, stop)).await,
        Verb::Replay(args) => aside(interrupt, false, move |_| replay::run(&context, &args)).await,
        Verb::Peers(args) => aside(interrupt, false, move |_| peers::run(&context, &args)).await,
        Verb::Zoo(args) => zoo::run(&context, args, interrupt).await,
    }
}

/// Does what keeps a core busy on a thread of its own. If it `can_stop`, a Ctrl-C asks it to, and a second one does not
/// wait; if not, the first one ends all.
pub(crate) async fn aside(
    mut interrupt: Interrupt,
    can_stop: bool,
    work: impl FnOnce(&AtomicBool) -> Result<u8, Failure> + Send + 'static,
) -> Result<u8, Failure> {
    let stop = Arc::new(AtomicBool::new(false));
    let (sender, receiver) = tokio::sync::oneshot::channel();
    let asked = Arc::clone(&stop);
    std::thread::spawn(move || sender.send(work(&asked)));
    let broke_off = || Err(Failure::failed("the work broke off; what it said is above"));
    tokio::pin!(receiver);
    tokio::select! {
        done = &mut receiver => return done.unwrap_or_else(|_| broke_off()),
        () = interrupt.received() => stop.store(true, Ordering::Relaxed),
    }
    if !can_stop {
        return Err(Failure::new(Kind::Interrupted, ""));
    }
    tokio::select! {
        done = &mut receiver => done.unwrap_or_else(|_| broke_off()),
        () = interrupt.received() => Err(Failure::new(Kind::Interrupted, "")),
    }
}

/// The settings with the bug of this name, if one is named.
pub(crate) fn settings(mutant: Option<&str>) -> Result<Settings, Failure> {
    let settings = mutant.map_or(Ok(Settings::default()), Settings::planted);
    settings.map_err(|why| Failure::new(Kind::Usage, why.to_string()))
}

/// Some planted bugs make a server panic. That is told as a violation, and need not be printed as well.
pub(crate) fn hush(settings: &Settings) {
    if settings.mutant_name().is_some() {
        panic::set_hook(Box::new(|_| {}));
    }
}

/// A range of numbers, both ends included: `1..10000`, or one alone: `7`.
pub(crate) fn range(text: &str) -> Result<(u64, u64), String> {
    let number = |text: &str| text.parse::<u64>().ok().filter(|_| text.bytes().all(|byte| byte.is_ascii_digit()));
    let (first, last) = text.split_once("..").unwrap_or((text, text));
    match (number(first), number(last)) {
        (Some(first), Some(last)) if first <= last => Ok((first, last)),
        (Some(first), Some(last)) => {
            Err(format!("the range {first}..{last} is reversed and holds nothing; did you mean {last}..{first}?"))
        }
        _ => Err(format!("`{text}` is not a range; write its first and its last number: 1..10000")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_have_both_ends_in_order() {
        assert_eq!((range("1..10000"), range("7"), range("3..3")), (Ok((1, 10_000)), Ok((7, 7)), Ok((3, 3))));
        assert!(range("10..1").unwrap_err().contains("did you mean 1..10?"));
        for text in ["", "..", "1..", "..5", "a..b", "-1..5", "1-5", "1..5..9", "1...5", "+1..2"] {
            assert!(range(text).unwrap_err().contains("1..10000"), "{text:?}");
        }
    }
}
