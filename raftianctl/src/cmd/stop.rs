//! `raftianctl stop`: takes the whole lab down, or some of its nodes.

use std::time::Duration;

use raftian_rpc::connect::Http;
use raftian_rpc::lab::{Action, LabClient as _, StopReport};
use raftian_rpc::selector::{Selector, names};
use serde::Serialize;
use tokio::time::Instant;

use crate::cli::Context;
use crate::cmd::act;
use crate::connect::{Daemon, is_alive, is_held};
use crate::failure::{Failure, Kind};
use crate::{launch, progress, units, words};

const EXAMPLES: &str = "\
Examples:
  raftianctl stop              # the whole lab; its data stay
  raftianctl stop --purge      # and its data go
  raftianctl stop n3           # one node, in order (SIGTERM)

Stopping what is already down succeeds and says so.";

/// How often we look whether a daemon that is not our child has come or gone: nobody tells.
const LOOK: Duration = Duration::from_millis(2);

/// Stop the whole lab and its daemon, or some nodes in order
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Which nodes; all of the lab if left out
    #[arg(value_name = "SELECTOR")]
    selector: Option<Selector>,
    /// Remove the lab's folder as well: logs, traces, journal
    #[arg(long, conflicts_with = "selector")]
    purge: bool,
    /// With a SELECTOR: do not wait for the next leader
    #[arg(long, requires = "selector")]
    no_wait: bool,
    /// How long it may take
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = units::duration, allow_hyphen_values = true)]
    timeout: Duration,
}

/// The outcome where there was nothing to stop, and where there was.
#[derive(Serialize)]
struct Stopped<'a> {
    changed: bool,
    #[serde(flatten)]
    report: &'a StopReport,
}

/// Stops the lab, or nodes.
pub(crate) async fn run(context: &Context, args: Args) -> Result<(), Failure> {
    if let Some(selector) = args.selector {
        let request = act::request(Action::Stop, selector, args.no_wait, args.timeout);
        return act::perform(context, request, args.timeout).await;
    }
    let is_there = context.folder()?.path().exists();
    let report = all(context, args.purge, args.timeout).await?;
    let changed = report.is_some();
    let nothing = StopReport { stopped: vec![], killed: vec![], purged: None, notes: vec![] };
    let report = report.unwrap_or(nothing);
    if !context.output.is_json() && !report.killed.is_empty() {
        context.output.note(&format!("{} did not leave when asked and had to be killed", names(&report.killed)));
    }
    context.output.notes(&report.notes);
    let lab = &context.lab;
    context.output.report(&Stopped { changed, report: &report }, |_| match changed {
        true => format!("lab `{lab}`: {}", summary(&report)),
        false if is_there => format!("lab `{lab}` is already stopped"),
        false => format!("there is no lab `{lab}`"),
    })
}

/// Stops the lab by its daemon; where it has none, there is at most a folder to remove. `None` if nothing is left to do.
async fn all(context: &Context, purge: bool, timeout: Duration) -> Result<Option<StopReport>, Failure> {
    let folder = context.folder()?;
    let deadline = Instant::now() + timeout;
    loop {
        match context.daemon().await {
            Ok(daemon) => return whole(context, &daemon, purge, timeout).await.map(Some),
            Err(failure) if failure.kind() == Kind::NoDaemon => {}
            Err(failure) => return Err(failure),
        }
        if !(purge && folder.path().exists()) {
            return Ok(None);
        }
        if let Some(path) = launch::purge(&context.lab, &folder).await? {
            return Ok(Some(StopReport { stopped: vec![], killed: vec![], purged: Some(path), notes: vec![] }));
        }
        // A daemon that comes or goes.
        if Instant::now() >= deadline {
            return Err(launch::held(&context.lab, &folder));
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Stops a lab and its daemon, and waits until nothing of it runs any more.
pub(crate) async fn whole(
    context: &Context,
    daemon: &Daemon,
    purge: bool,
    timeout: Duration,
) -> Result<StopReport, Failure> {
    let call = daemon.wait(timeout, async |lab: Http| lab.stop(purge).await);
    let report = progress::watched(context.output, daemon, call).await?;
    released(daemon, timeout).await?;
    Ok(report)
}

/// Waits until the daemon has gone and its lock is free, so that a start right after this finds a free folder.
async fn released(daemon: &Daemon, timeout: Duration) -> Result<(), Failure> {
    let free = async {
        while is_held(&daemon.folder) || is_alive(daemon.pid) {
            tokio::time::sleep(LOOK).await;
        }
    };
    tokio::time::timeout(timeout, free).await.map_err(|_| {
        let (lab, pid) = (&daemon.lab, daemon.pid);
        Failure::new(
            Kind::TimedOut,
            format!(
                "the nodes of lab `{lab}` are down but its daemon (process {pid}) lingers; see `raftianctl doctor`"
            ),
        )
    })
}

fn summary(report: &StopReport) -> String {
    let count = report.stopped.len();
    let mut text = match count {
        0 => "stopped; no node was running".to_owned(),
        _ => format!("stopped, {} down", words::nodes(count)),
    };
    if let Some(folder) = &report.purged {
        text.push_str(&format!("; {} removed", folder.display()));
    }
    text
}
