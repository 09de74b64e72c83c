//! `raftianctl load`: many clients at once, measured and then judged.

mod board;

use std::collections::BTreeMap;
use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use raftian_bench::cancel::cancel_pair;
use raftian_bench::collect::Following;
use raftian_bench::journal::Journal;
use raftian_bench::lab::Lab;
use raftian_bench::load::{Load, LoadOptions, LoadOutcome, Progress, Targeting};
use raftian_bench::run::{Began, Cluster, Engine, How, Judgement, Maker, Offered, RunWriter};
use raftian_bench::summary::{Summary, human_rate, thousands};
use raftian_bench::whereabouts::Whereabouts;
use raftian_check::{Report, Verdict};
use raftian_rpc::connect::Http;
use raftian_rpc::lab::{LabClient as _, LabStatus, NodeState};
use raftian_rpc::selector::Selector;
use raftian_rpc::{AppKind, NodeId};
use serde::Serialize;

use self::board::Board;
use crate::ask::{one, other_app};
use crate::cli::Context;
use crate::connect::{Daemon, QUICK};
use crate::failure::{Failure, Kind};
use crate::interrupt::Interrupt;
use crate::keep::{self, KeptAt, Recorded};
use crate::output::Output;
use crate::units;

const EXAMPLES: &str = "\
Examples:
  raftianctl load --rate 500/s --clients 8 --for 30s
  raftianctl load --closed --clients 1000 --for 10s
  raftianctl load --rate 100/s --to n3 --out my-run
  raftianctl --lab store load --keys 10 --rate 1000/s --for 10s
  raftianctl --lab art load --closed --clients 64 --pixels 64 --for 10s

Latency counts from the moment a command was due, so a stall shows; the percentiles are over all commands, and one that
failed or had no answer counts with the time until it was given up. A command without an answer is unknown: neither
acknowledged nor failed. After --for, answers are waited for, up to 6 s, and then the nodes to agree, up to 15 s.

A load on the game attacks, adds and deletes players, and leaves the board as it is then; one on the key-value store has
as many linearizable reads as writes of all kinds; one on a canvas paints strokes, and reads a pixel every fourth time.
All logs are read while the load runs and after it, and judged; the
exit code tells the verdict. History, logs, journal and verdict are kept as a run (`raftianctl runs`).";

/// How long the nodes may take to agree after the load.
const CONVERGE_TIMEOUT: Duration = Duration::from_secs(15);

/// What to do when a verdict is open because nodes could not be read.
const UNREACHED: &str =
    "  judging needs the log of every node: bring back what is down (`raftianctl start`, `raftianctl resume
  @all`), mend the links (`raftianctl heal`), and run the load again
";

/// What to do when it is open though all nodes were.
const DISCARDED: &str =
    "  judging needs every entry: run the load again, at a lower --rate if nodes take snapshots by themselves meanwhile,
  and with `raftianctl snapshot --keep 1000` if they are asked to
";

/// Put load on the lab: many clients, latencies, and a verdict
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The application whose commands are sent, which must be the lab's [default: the lab's]
    #[arg(long, value_name = "NAME")]
    app: Option<AppKind>,
    /// How many keys of a key-value store are read and written: the fewer, the more clients meet at each
    #[arg(long, value_name = "COUNT", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    keys: u32,
    /// How many pixels a command paints on a canvas
    #[arg(long, value_name = "COUNT", default_value_t = 1, value_parser = units::batch)]
    pixels: usize,
    /// Commands per second, in all
    #[arg(long, value_name = "RATE", default_value = "500/s", value_parser = units::rate_per_s, allow_hyphen_values = true)]
    rate: f64,
    /// Send the next command when the last is answered, instead of at a rate
    #[arg(long, conflicts_with = "rate")]
    closed: bool,
    /// Concurrent clients, each with one command outstanding
    #[arg(long, value_name = "COUNT", default_value_t = 8)]
    clients: usize,
    /// How long commands are sent
    #[arg(long = "for", value_name = "TIME", default_value = "30s", value_parser = units::duration, allow_hyphen_values = true)]
    lasting: Duration,
    /// Send to this node only [default: to all, each client staying with the one that answers]
    #[arg(long, value_name = "NODE")]
    to: Option<Selector>,
    /// Decides which commands are sent
    #[arg(long, value_name = "NUMBER", default_value_t = 1, value_parser = units::seed)]
    seed: u64,
    /// Keep the run in this folder, which must be empty if it is there [default: with the other runs]
    #[arg(long, value_name = "FOLDER")]
    out: Option<PathBuf>,
    /// Keep nothing of it
    #[arg(long, conflicts_with = "out")]
    no_keep: bool,
    /// Keep this, too: messages, which `timeline --to trace.json` shows
    #[arg(long, value_name = "WHAT", value_enum, conflicts_with_all = ["no_keep", "no_check"], hide_possible_values = true)]
    record: Option<Recorded>,
    /// Do not read and judge the logs afterwards
    #[arg(long)]
    no_check: bool,
}

/// What a load came to.
#[derive(Debug, Serialize)]
struct LoadReport {
    /// Where all of it is kept, if it is.
    run: Option<KeptAt>,
    summary: Summary,
    /// Why it ended early, or its logs could not be read, if that is so.
    interrupted: Option<String>,
    /// The judges' verdict; unknown also when the nodes did not agree in time, and when the daemon went away. `None` if
    /// they were not asked.
    verdict: Option<Verdict>,
    /// How long the nodes took to agree, in milliseconds.
    converged_after_ms: Option<u64>,
    /// What was missing for the nodes to agree.
    not_converged: Option<String>,
    /// The nodes whose logs could not be read, and why.
    silent: BTreeMap<NodeId, String>,
    /// What the judges found.
    report: Option<Report>,
    /// What is left of the game. `None` where none is played, and when the daemon has gone.
    board: Option<Board>,
}

/// Runs the load. The exit code is the verdict's.
pub(crate) async fn run(context: &Context, args: Args, mut interrupt: Interrupt) -> Result<u8, Failure> {
    let daemon = context.daemon().await?;
    let lab = Lab::at(daemon.address, daemon.secret.clone())?;
    let (options, cluster) = options(context, &daemon, &args).await?;
    let mut kept = begin(context, &args, &options, cluster)?;
    let journal = match &kept {
        Some(run) => Some(Journal::follow(&lab, Some(run.events()?)).await?),
        None => None,
    };
    let whereabouts = Whereabouts::of(&lab).await?;
    let logs = match args.no_check {
        true => None,
        false => Some(Following::begin(&whereabouts, kept.as_ref().map(RunWriter::logs)).await?),
    };
    let history = kept.as_ref().map(RunWriter::history).transpose()?;
    let load = Load::prepare(&whereabouts, options, history)?;
    let (canceller, cancel) = cancel_pair();
    let bar = bar(context.output, args.lasting);
    let show = |progress| show(&bar, &progress);
    let outcome = interrupt.heed(&canceller, load.run(&show, &cancel)).await;
    bar.finish_and_clear();
    let outcome = outcome?;
    let report = match (logs, &outcome.interrupted) {
        (Some(_), Some(_)) if !cancel.is_cancelled() => {
            LoadReport { verdict: Some(Verdict::Unknown), ..unjudged(outcome) }
        }
        (None, _) | (_, Some(_)) => unjudged(outcome),
        (Some(logs), None) => tokio::select! {
            judged = judged(context.output, &lab, logs, outcome, kept.as_mut(), journal.as_ref()) => judged?,
            () = interrupt.received() => {
                if let Some(run) = &mut kept {
                    run.end(How::Interrupted("interrupted before the verdict".to_owned()))?;
                }
                return Err(Failure::new(Kind::Interrupted, "interrupted before the verdict"));
            }
        },
    };
    if let (Some(run), None) = (&mut kept, &report.report) {
        // Its logs were not read to their end.
        run.end(report.interrupted.clone().map_or(How::Completed, How::Interrupted))?;
        run.verdict(&Judgement { summary: Some(report.summary.clone()), ..Judgement::default() })?;
    }
    let status = tokio::time::timeout(QUICK, lab.status()).await.ok().and_then(Result::ok);
    if let Some(status) = status.as_ref().filter(|status| status.leader.is_none()) {
        // The reason line: commands that had no outcome waited for a leader.
        context.output.notes(&status.reasons[..status.reasons.len().min(1)]);
    }
    let board = status.as_ref().and_then(Board::of);
    let report = LoadReport { board, run: kept.as_ref().map(KeptAt::of), ..report };
    context.output.report(&report, summary)?;
    finish(context, &report, cancel.is_cancelled())
}

/// Begins to keep it, if that is wanted.
fn begin(
    context: &Context,
    args: &Args,
    options: &LoadOptions,
    cluster: Cluster,
) -> Result<Option<RunWriter>, Failure> {
    if args.no_keep {
        return Ok(None);
    }
    let began = Began {
        maker: Maker::Load,
        command: std::env::args().collect(),
        engine: Engine::Processes,
        lab: Some(context.lab.clone()),
        scenario: None,
        seed: args.seed,
        load: Some(Offered { rate_per_s: options.rate_per_s, clients: options.clients }),
        records_messages: args.record.is_some(),
    };
    let mut run = keep::begin(args.out.as_deref(), began)?;
    run.on(cluster)?;
    Ok(Some(run))
}

async fn options(context: &Context, daemon: &Daemon, args: &Args) -> Result<(LoadOptions, Cluster), Failure> {
    let status = daemon.ask(async |lab: Http| lab.status().await).await?;
    let (Some(app), Some(app_options)) = (status.app, status.app_options) else {
        let why = format!("lab `{}` has no nodes; start some with `raftianctl start`", daemon.lab);
        return Err(Failure::new(Kind::Conflict, why));
    };
    if let Some(other) = args.app.filter(|wanted| *wanted != app) {
        return Err(other_app(app, other));
    }
    let targets = match &args.to {
        Some(selector) => Targeting::One(one(daemon, selector.clone(), "a load is sent to all nodes or").await?),
        None => Targeting::All,
    };
    let options = LoadOptions {
        rate_per_s: (!args.closed).then_some(args.rate),
        clients: args.clients,
        duration: args.lasting,
        seed: args.seed,
        app,
        app_options,
        keys: args.keys,
        stroke_px: args.pixels,
        targets,
        ..LoadOptions::default()
    };
    options.validate().map_err(|why| Failure::new(Kind::Usage, why))?;
    // A client may have a connection to each node; some files are open anyway.
    let (wanted, limit) = ((options.clients * status.nodes.len() + 64) as u64, raftian_rpc::files::raise_limit());
    if wanted > limit {
        let why = format!(
            "{} clients may need {wanted} open files, and the limit is {limit}; raise it with `ulimit -n`, \
                           or use fewer",
            options.clients
        );
        return Err(Failure::failed(why));
    }
    if let Some(warning) = silent_nodes(&status) {
        context.output.note(&warning);
    }
    let nodes = status.nodes.iter().map(|report| report.node).collect();
    Ok((options, Cluster { app, app_options, nodes, ..Cluster::default() }))
}

/// A warning where nodes cannot answer: commands sent to them take long, and without their logs there is no verdict.
fn silent_nodes(status: &LabStatus) -> Option<String> {
    let in_state = |is_so: fn(NodeState) -> bool| {
        let found = status.nodes.iter().filter(|report| is_so(report.state)).map(|report| report.node);
        Some(found.collect::<Vec<NodeId>>()).filter(|found| !found.is_empty())
    };
    let paused = in_state(|state| state == NodeState::Paused).map(|nodes| {
        let nodes = raftian_rpc::selector::names(&nodes);
        format!("{nodes} paused (`raftianctl resume {nodes}`)")
    });
    let down = in_state(|state| !matches!(state, NodeState::Paused | NodeState::Running)).map(|nodes| {
        let nodes = raftian_rpc::selector::names(&nodes);
        format!("{nodes} down (`raftianctl start`)")
    });
    let silent: Vec<String> = paused.into_iter().chain(down).collect();
    (!silent.is_empty()).then(|| {
        let silent = silent.join(", ");
        format!("warning: {silent}: commands sent there wait until they are given up, and the verdict needs every log")
    })
}

fn unjudged(outcome: LoadOutcome) -> LoadReport {
    let LoadOutcome { summary, interrupted, .. } = outcome;
    LoadReport {
        run: None,
        summary,
        interrupted,
        verdict: None,
        converged_after_ms: None,
        not_converged: None,
        silent: BTreeMap::new(),
        report: None,
        board: None,
    }
}

async fn judged(
    output: Output,
    lab: &Lab,
    logs: Following,
    outcome: LoadOutcome,
    kept: Option<&mut RunWriter>,
    journal: Option<&Journal>,
) -> Result<LoadReport, Failure> {
    let waiting = crate::progress::spinner(output);
    waiting.set_message("reading the logs of all nodes, and judging");
    let evidence = logs.collect(lab, true, CONVERGE_TIMEOUT).await;
    waiting.finish_and_clear();
    let evidence = match evidence {
        Ok(evidence) => evidence,
        Err(error) => {
            let interrupted = Some(format!("the logs could not be read: {error:#}"));
            return Ok(LoadReport { interrupted, verdict: Some(Verdict::Unknown), ..unjudged(outcome) });
        }
    };
    if let Some(journal) = journal {
        journal.catch_up(lab).await;
    }
    let kept = match kept {
        Some(run) => {
            // Sealed before it is judged, so that a judge that fails loses nothing.
            run.read(&evidence);
            run.end(How::Completed)?;
            Some(run)
        }
        None => None,
    };
    let report = evidence.judge(&outcome.history);
    let judgement = Judgement::of(&evidence, report, Vec::new());
    let judgement = Judgement { summary: Some(outcome.summary.clone()), ..judgement };
    if let Some(run) = kept {
        run.verdict(&judgement)?;
    }
    Ok(LoadReport {
        verdict: judgement.verdict,
        converged_after_ms: judgement.converged_after_ms,
        not_converged: evidence.converged.err(),
        silent: judgement.silent,
        report: judgement.report,
        ..unjudged(outcome)
    })
}

fn finish(context: &Context, report: &LoadReport, cancelled: bool) -> Result<u8, Failure> {
    match (&report.interrupted, report.verdict) {
        (Some(_), _) if cancelled => {
            let check = |run: &KeptAt| format!("; `raftianctl check {}` judges it as far as it goes", run.name());
            let check = report.run.as_ref().map(check).unwrap_or_default();
            Err(Failure::new(Kind::Interrupted, format!("interrupted; the load was not judged{check}")))
        }
        (Some(reason), None) => Err(Failure::new(Kind::NoDaemon, format!("the load ended early: {reason}"))),
        (_, Some(verdict)) => Ok(verdict.exit_code()),
        (None, None) => {
            context.output.note("not judged, as asked");
            Ok(0)
        }
    }
}

fn summary(load: &LoadReport) -> String {
    let LoadReport { not_converged, silent, .. } = load;
    let mut text = format!("{}\n", load.summary);
    if let Some(missing) = not_converged {
        text.push_str(&format!("agreement    none yet: {missing}\n"));
    }
    if let (Some(Verdict::Unknown), Some(reason)) = (load.verdict, &load.interrupted) {
        text.push_str(&format!("verdict      unknown: {reason}\n"));
    }
    if let (Some(verdict), Some(report)) = (load.verdict, &load.report) {
        let counts = &report.counts;
        let [acknowledged, committed] = [counts.acknowledged, counts.committed].map(thousands);
        text.push_str(&match verdict {
            Verdict::Valid => format!(
                "verdict      valid: {acknowledged} acknowledged, each applied exactly once; {}, on {committed} entries \
                 read\n",
                if counts.replicas == 1 { "1 log agrees".to_owned() } else { format!("{} logs agree", counts.replicas) }
            ),
            other => format!("verdict      {other}\n"),
        });
        if verdict == Verdict::Unknown {
            text.push_str(match silent.is_empty() && not_converged.is_none() {
                true => DISCARDED,
                false => UNREACHED,
            });
        }
        report.findings.iter().for_each(|finding| text.push_str(&format!("  {finding}\n")));
    }
    text.extend(load.board.as_ref().and_then(Board::line));
    text.extend(load.run.as_ref().map(|run| format!("run          {}\n", run.words())));
    text
}

fn bar(output: Output, lasting: Duration) -> ProgressBar {
    if output.is_quiet() || !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(crate::words::millis(lasting));
    let style = ProgressStyle::with_template("{wide_bar} {percent:>3} %  {msg}").expect("a valid template");
    bar.set_style(style);
    bar
}

fn show(bar: &ProgressBar, progress: &Progress) {
    bar.set_position(crate::words::millis(progress.elapsed.min(progress.planned)));
    bar.set_message(standing(progress));
}

/// `12,345 acknowledged, 2 unknown, 498/s`.
pub(crate) fn standing(progress: &Progress) -> String {
    let tally = &progress.tally;
    let mut text = format!("{} acknowledged", thousands(tally.ok));
    for (count, word) in [(tally.failed, "failed"), (tally.unknown, "unknown")] {
        if count > 0 {
            text.push_str(&format!(", {} {word}", thousands(count)));
        }
    }
    format!("{text}, {}", human_rate(progress.rate_per_s))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_help_says_how_long_it_may_take_after_the_last_command() {
        let LoadOptions { give_up_after, attempt_timeout, .. } = LoadOptions::default();
        for waited in [give_up_after + attempt_timeout, CONVERGE_TIMEOUT] {
            assert!(EXAMPLES.contains(&format!("up to {} s", waited.as_secs())), "{waited:?}");
        }
    }
}
