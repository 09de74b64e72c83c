//! `raftianctl events`: the lab's journal in readable lines.

use raftian_rpc::connect::Http;
use raftian_rpc::lab::{Event, Happening, LabClient as _};

use crate::cli::Context;
use crate::connect::Daemon;
use crate::failure::{Failure, Kind};
use crate::output::while_read;
use crate::story;

const EXAMPLES: &str = "\
Examples:
  raftianctl events -n 50
  raftianctl events -f
  raftianctl events -f -o json | jq 'select(.type==\"raft\")'

Times are UTC.";

/// Show what happened in the lab, and go on showing it
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Go on with new events as they happen
    #[arg(short, long)]
    follow: bool,
    /// How many past events
    #[arg(short = 'n', long, value_name = "COUNT", default_value_t = 20)]
    lines: u64,
}

/// Shows events.
pub(crate) async fn run(context: &Context, args: Args) -> Result<(), Failure> {
    let daemon = context.daemon().await?;
    // At least one, to know where to go on from.
    let past = daemon.ask(async |lab: Http| lab.events(args.lines.max(1)).await).await?;
    let last = past.last().map_or(0, |event| event.seq);
    let shown = if args.lines == 0 { &[] } else { past.as_slice() };
    for event in shown {
        show(context, event)?;
    }
    if args.follow { while_read(follow(context, daemon, last + 1)).await } else { Ok(()) }
}

/// Shows every event from `next` on, over lost connections, until the lab is stopped.
async fn follow(context: &Context, mut daemon: Daemon, mut next: u64) -> Result<(), Failure> {
    loop {
        let client = daemon.websocket().await?;
        let mut events = client.follow(next).await.map_err(|error| daemon.explain(&error, crate::connect::QUICK))?;
        while let Some(event) = events.next().await {
            let event = event
                .map_err(|error| Failure::failed(format!("the daemon sent an event that makes no sense: {error}")))?;
            next = event.seq + 1;
            show(context, &event)?;
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
