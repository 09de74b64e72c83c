//! `raftianctl kill|pause|resume|restart`, and the part of `stop` that is about nodes.

use std::collections::BTreeSet;
use std::time::Duration;

use clap::Subcommand;
use raftian_rpc::NodeId;
use raftian_rpc::connect::Http;
use raftian_rpc::lab::{ActReport, ActRequest, Action, LabClient as _};
use raftian_rpc::selector::{Selector, names};

use crate::cli::Context;
use crate::failure::Failure;
use crate::{progress, units, words};

/// The verbs for nodes.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Crash nodes (SIGKILL), and wait until there is a leader again
    #[command(
        after_help = "Examples:\n  raftianctl kill @leader\n  raftianctl kill @minority\n  raftianctl kill n2 --power-loss"
    )]
    #[command(visible_alias = "crash")]
    Kill(KillArgs),
    /// Freeze nodes (SIGSTOP): they stay connected and fall silent
    #[command(after_help = "Examples:\n  raftianctl pause @leader\n  raftianctl pause @any:2")]
    Pause(Args),
    /// Let paused nodes go on (SIGCONT), all or some
    #[command(visible_alias = "unpause", after_help = "Examples:\n  raftianctl resume\n  raftianctl resume n3")]
    Resume(ResumeArgs),
    /// Start nodes again from their disks, those that run as well
    #[command(after_help = "Examples:\n  raftianctl restart n2\n  raftianctl restart @all --rolling")]
    Restart(RestartArgs),
}

/// What every verb takes.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Which nodes: n3, n1-3, n1,n4, @leader, @followers, @any, @any:2, @minority, @majority, @all, !n2
    #[arg(value_name = "SELECTOR")]
    selector: Selector,
    /// Return at once, without waiting for the next leader
    #[arg(long)]
    no_wait: bool,
    /// How long it may take
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = units::duration, allow_hyphen_values = true)]
    timeout: Duration,
}

/// What `kill` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct KillArgs {
    #[command(flatten)]
    args: Args,
    /// What is known not to be synced is lost, too; known of the process that runs, while a fault is on its disk, such as
    /// `disk n2 lies`
    #[arg(long)]
    power_loss: bool,
}

/// What `restart` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct RestartArgs {
    #[command(flatten)]
    args: Args,
    /// One after another, the leader last, each when there is a leader again
    #[arg(long)]
    rolling: bool,
}

/// What `resume` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct ResumeArgs {
    /// Which nodes [default: all that are paused]
    #[arg(value_name = "SELECTOR", default_value = "@all", hide_default_value = true)]
    selector: Selector,
    /// Return at once, without waiting for a leader
    #[arg(long)]
    no_wait: bool,
    /// How long it may take
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = units::duration, allow_hyphen_values = true)]
    timeout: Duration,
}

/// Carries out a verb.
pub(crate) async fn run(context: &Context, verb: Verb) -> Result<(), Failure> {
    let (action, args) = match verb {
        Verb::Kill(KillArgs { args, power_loss: true }) => (Action::PowerLoss, args),
        Verb::Kill(KillArgs { args, .. }) => (Action::Kill, args),
        Verb::Pause(args) => (Action::Pause, args),
        Verb::Resume(ResumeArgs { selector, no_wait, timeout }) => {
            (Action::Resume, Args { selector, no_wait, timeout })
        }
        Verb::Restart(RestartArgs { args, rolling: true }) => (Action::RollingRestart, args),
        Verb::Restart(RestartArgs { args, .. }) => (Action::Restart, args),
    };
    perform(context, request(action, args.selector, args.no_wait, args.timeout), args.timeout).await
}

/// The request to do this to those.
pub(crate) fn request(action: Action, selector: Selector, no_wait: bool, timeout: Duration) -> ActRequest {
    ActRequest { action, selector, no_wait, timeout_ms: words::millis(timeout) }
}

/// Has the daemon do it, and says what came of it.
pub(crate) async fn perform(context: &Context, request: ActRequest, timeout: Duration) -> Result<(), Failure> {
    let daemon = context.daemon().await?;
    let call = daemon.wait(timeout, async |lab: Http| lab.act(request).await);
    let report = progress::watched(context.output, &daemon, call).await?;
    context.output.notes(&report.notes);
    context.output.report(&report, summary)
}

fn summary(report: &ActReport) -> String {
    let (done, already) = match report.action {
        Action::Kill => ("killed", "already dead"),
        Action::Pause => ("paused", "already paused"),
        Action::Resume => ("resumed", "already running"),
        Action::Start => ("started", "already running"),
        Action::Restart => ("restarted", "already running"),
        Action::RollingRestart => ("restarted one by one", "already running"),
        Action::PowerLoss => ("killed, power lost", "already dead"),
        Action::Stop => ("stopped", "already stopped"),
    };
    let told: BTreeSet<NodeId> = report.changed.union(&report.unfit).copied().collect();
    let others: Vec<_> = report.resolved.nodes.difference(&told).collect();
    let what = match (report.changed.is_empty(), others.is_empty()) {
        (true, _) => already.to_owned(),
        (false, true) if report.unfit.is_empty() => done.to_owned(),
        (false, true) => format!("{} {done}", names(&report.changed)),
        (false, false) => format!("{} {done}, {} {already}", names(&report.changed), names(others)),
    };
    let leader = report.leader.as_ref().map(|leadership| format!("; {}", words::leads(leadership)));
    format!("{}: {what}{}", words::resolved(&report.resolved), leader.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use raftian_rpc::Term;
    use raftian_rpc::lab::{Leadership, Resolution};

    use super::*;

    fn report(selector: &str, nodes: &[&str], changed: &[&str], leader: Option<(&str, Term)>) -> ActReport {
        let set = |names: &[&str]| names.iter().map(|name| name.parse().unwrap()).collect::<BTreeSet<NodeId>>();
        ActReport {
            action: Action::Kill,
            resolved: Resolution {
                selector: selector.parse().unwrap(),
                nodes: set(nodes),
                leader: leader.map(|(node, term)| (node.parse().unwrap(), term)),
            },
            changed: set(changed),
            unfit: set(&[]),
            leader: None,
            notes: vec![],
        }
    }

    #[test]
    fn what_was_done_is_told_in_a_line() {
        let mut killed = report("@leader", &["n2"], &["n2"], Some(("n2", 1)));
        killed.leader = Some(Leadership { leader: "n5".parse().unwrap(), term: 2, after_ms: 243 });
        assert_eq!(summary(&killed), "@leader → n2 (term 1): killed; n5 leads term 2 after 243 ms");
        assert_eq!(summary(&report("n3", &["n3"], &[], None)), "n3: already dead");
        let mut mixed = report("n1-2", &["n1", "n2"], &["n1"], None);
        (mixed.action, mixed.unfit) = (Action::Pause, ["n2".parse().unwrap()].into());
        assert_eq!(summary(&mixed), "n1-2 → n1,n2: n1 paused");
        let some = report("n1-3", &["n1", "n2", "n3"], &["n1", "n3"], None);
        assert_eq!(summary(&some), "n1-3 → n1,n2,n3: n1,n3 killed, n2 already dead");
    }
}
