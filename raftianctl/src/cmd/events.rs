//! `raftianctl events`: the lab's journal in readable lines.

use raftian_rpc::connect::Http;
use raftian_rpc::lab::{Event, Happening, LabClient as _};

use crate::cli::Context;
use crate::connect::Daemon;
use crate::failure::{Failure, Kind};
use crate::fold;
use crate::fold::Line;
use crate::output::while_read;
use crate::sieve::{Sieve, Wanted};
use raftian_view::story;

const EXAMPLES: &str = "\
Examples:
  raftianctl events -n 50
  raftianctl events -f
  raftianctl events --node @leader --since 30s
  raftianctl events -f -o json | jq 'select(.type==\"raft\")'

Times are UTC. Attempts to be elected that repeat themselves are one line, with what was done before the first; `-o json` \
and `-f` show each.";

/// As many of the last events are searched for those that are wanted.
const SEARCHED: u64 = 5_000;

/// Show what happened in the lab, and go on showing it
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Go on with new events as they happen
    #[arg(short, long)]
    follow: bool,
    /// How many past lines
    #[arg(short = 'n', long, value_name = "COUNT", default_value_t = 20)]
    lines: u64,
    #[command(flatten)]
    wanted: Wanted,
}

/// Shows events.
pub(crate) async fn run(context: &Context, args: Args) -> Result<(), Failure> {
    let daemon = context.daemon().await?;
    let lines = usize::try_from(args.lines).unwrap_or(usize::MAX);
    let sieve = args.wanted.resolve(&daemon).await?;
    // More than is shown: what is wanted is chosen here, and what began it may be long ago.
    let past = daemon.ask(async |lab: Http| lab.events(args.lines.max(SEARCHED)).await).await?;
    let last = past.last().map_or(0, |event| event.seq);
    let wanted: Vec<&Event> = past.iter().filter(|event| sieve.lets_through(event)).collect();
    if context.output.is_json() {
        for event in &wanted[wanted.len().saturating_sub(lines)..] {
            show(context, event)?;
        }
    } else {
        let told = fold::lines(&wanted, &past);
        if told.is_empty() && !args.follow {
            context.output.note("no such events; `raftianctl events -o json` names the types there are");
        }
        for Line { unix_ms, text } in &told[told.len().saturating_sub(lines)..] {
            context.output.text(&format!("{}  {text}", story::clock(*unix_ms)))?;
        }
    }
    if args.follow { while_read(follow(context, daemon, last + 1, &sieve)).await } else { Ok(()) }
}

/// Shows every event that is wanted from `next` on, over lost connections, until the lab is stopped.
async fn follow(context: &Context, mut daemon: Daemon, mut next: u64, sieve: &Sieve) -> Result<(), Failure> {
    loop {
        let client = daemon.websocket().await?;
        let mut events = client.follow(next).await.map_err(|error| daemon.explain(&error, crate::connect::QUICK))?;
        while let Some(event) = events.next().await {
            let event = event
                .map_err(|error| Failure::failed(format!("the daemon sent an event that makes no sense: {error}")))?;
            next = event.seq + 1;
            if sieve.lets_through(&event) {
                show(context, &event)?;
            }
            if matches!(event.what, Happening::DaemonStopped) {
                return Ok(());
            }
        }
        // Dropped because we lagged, or because the daemon is gone: then it cannot be found either.
        daemon = context.daemon().await.map_err(|failure| match failure.kind() {
            Kind::NoDaemon => Failure::new(
                Kind::NoDaemon,
                format!(
                    "the daemon of lab `{}` went away; its last words are in {}; bring the lab back with \
                     `raftianctl start`",
                    daemon.lab,
                    daemon.folder.daemon_log().display()
                ),
            ),
            _ => failure,
        })?;
    }
}

fn show(context: &Context, event: &Event) -> Result<(), Failure> {
    context.output.data(event, |event| format!("{}  {}", story::clock(event.unix_ms), story::happening(&event.what)))
}
