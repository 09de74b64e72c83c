//! The main job in one command: a cluster under load loses its leader, a follower's attention, and its next leader,
//! gets everything back, and is judged.
//!
//! Invariants: every time in the story was measured; the verdict is the judges', and never better than theirs. The
//! history is on disk before it is judged.
//!
//! Deliberately absent: starting the daemon, and stopping the lab afterwards; both are the caller's.

mod files;
mod script;

use std::cell::RefCell;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, bail};
use raftian_check::{Report, Verdict};
use raftian_rpc::NodeId;
use raftian_rpc::clock::monotonic_ns;
use raftian_rpc::lab::{Action, LabClient as _, StartRequest};
use serde::{Deserialize, Serialize};

use self::script::Script;
use crate::cancel::Cancel;
use crate::collect::{Evidence, collect};
use crate::journal::Journal;
use crate::lab::{Lab, told};
use crate::load::{Load, LoadOptions, LoadOutcome, Progress};
use crate::machine::Machine;
use crate::run::HistoryFile;
use crate::summary::{Summary, thousands};
use crate::timeline::{Recorded, TimelineData};
use crate::whereabouts::Whereabouts;

/// The nodes of a demo.
pub const NODES: u16 = 5;

/// How long the whole load may last; the script ends it long before.
const LONGEST_LOAD: Duration = Duration::from_secs(300);

/// How long the nodes may take to agree at the end.
const CONVERGE_TIMEOUT: Duration = Duration::from_secs(15);

/// How a demo is run.
#[derive(Clone, Debug)]
pub struct DemoOptions {
    /// Where its files go; created if need be. Those of a former demo are removed.
    pub folder: PathBuf,
    /// The seed of the lab and of the load.
    pub seed: u64,
    /// Commands per second.
    pub rate_per_s: f64,
    /// Concurrent clients.
    pub clients: usize,
}

/// What came of a demo. Also in its folder, as `report.json`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DemoReport {
    /// The judges' verdict; unknown also when the nodes did not agree in time.
    pub verdict: Verdict,
    /// What the judges found.
    pub report: Report,
    /// How the load fared.
    pub summary: Summary,
    /// The leaders that were lost, and how long that took.
    pub failovers: Vec<Failover>,
    /// The story, step by step.
    pub steps: Vec<Step>,
    /// How long all of it took, from the start of the lab to the verdict.
    pub wall_s: f64,
    /// The seed of the lab and of the load.
    pub seed: u64,
    /// Where it ran.
    pub machine: Machine,
    /// Where its files are.
    pub folder: PathBuf,
    /// The chart.
    pub chart_svg: PathBuf,
    /// The chart as an image.
    pub chart_png: PathBuf,
}

/// The loss of a leader, measured from just before the daemon was asked for the fault.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Failover {
    /// What was done: `kill` or `partition`.
    pub fault: String,
    /// Who led.
    pub old: NodeId,
    /// Who leads now.
    pub new: NodeId,
    /// The new leader's term.
    pub term: u64,
    /// Until the new leader was elected.
    pub elected_ms: f64,
    /// Until the first acknowledgement of a command that was sent after the fault.
    pub first_commit_ms: f64,
}

/// One line of the story.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// Seconds since the start of the load.
    pub at_s: f64,
    /// What happened.
    pub text: String,
}

/// Tells the story line by line and keeps it.
pub(crate) struct Story<'a> {
    tell: &'a dyn Fn(&str),
    start_ns: u64,
    steps: RefCell<Vec<Step>>,
}

impl DemoOptions {
    /// 300 commands/s from 32 clients, seed 1.
    pub fn new(folder: impl Into<PathBuf>) -> DemoOptions {
        DemoOptions { folder: folder.into(), seed: 1, rate_per_s: 300.0, clients: 32 }
    }
}

/// Runs the demo on a lab that has no nodes yet. `story` is told one line per step, `progress` how the load fares.
///
/// # Errors
/// When the lab has nodes already, a step fails, or the folder cannot be written. When `cancel` asks to stop, all
/// faults are cleared and the error says so.
pub async fn run(
    lab: &Lab,
    options: &DemoOptions,
    story: &dyn Fn(&str),
    progress: &dyn Fn(Progress),
    cancel: &Cancel,
) -> anyhow::Result<DemoReport> {
    tokio::select! {
        report = play(lab, options, story, progress) => report,
        () = cancel.cancelled() => {
            mend(lab).await;
            bail!("the demo was interrupted; its faults are cleared")
        }
    }
}

async fn play(
    lab: &Lab,
    options: &DemoOptions,
    tell: &dyn Fn(&str),
    progress: &dyn Fn(Progress),
) -> anyhow::Result<DemoReport> {
    let began_ns = monotonic_ns();
    let hello = told(lab.client.hello().await)?;
    if hello.started {
        bail!("the demo needs a lab without nodes, and `{}` has some; `raftianctl stop --purge` it first", hello.lab);
    }
    files::prepare(&options.folder, NODES)?;
    let machine = Machine::this(&hello.folder);
    let journal = Journal::follow(lab, None).await?;
    let story = Story { tell, start_ns: monotonic_ns(), steps: RefCell::default() };
    start(lab, options, &story).await?;

    let history = HistoryFile::new(std::fs::File::create(options.folder.join(files::HISTORY))?);
    let load = Load::prepare(&Whereabouts::of(lab).await?, load_options(options), Some(history))?;
    let live = load.live();
    let story = Story { start_ns: live.start_ns(), ..story };
    // The load needs no cancelling of its own: dropping it ends it.
    let (_canceller, never) = crate::cancel::cancel_pair();
    let script = Script { lab, journal: &journal, live: &live, story: &story };
    let (outcome, failovers) = tokio::try_join!(load.run(progress, &never), script.run())?;
    if let Some(reason) = outcome.interrupted {
        bail!("the load ended early: {reason}");
    }
    let (evidence, report) = judge(lab, options, &outcome, &story).await?;
    let verdict = evidence.verdict(&report);
    tell_verdict(&story, verdict, &evidence, &report);

    let events = journal.events();
    let LoadOutcome { samples, start_ns, end_ns, summary, .. } = outcome;
    let run = Recorded { events: &events, samples: &samples, start_ns, end_ns };
    let provenance = format!("{machine} · seed {}", options.seed);
    let timeline = TimelineData::of(&run, summary.clone(), Some(verdict), provenance);
    let (chart_svg, chart_png) = files::draw(&options.folder, &events, &timeline)?;
    let report = DemoReport {
        verdict,
        report,
        summary,
        failovers,
        steps: story.steps.take(),
        wall_s: monotonic_ns().saturating_sub(began_ns) as f64 / 1e9,
        seed: options.seed,
        machine,
        folder: options.folder.clone(),
        chart_svg,
        chart_png,
    };
    files::write_report(&options.folder, &report)?;
    Ok(report)
}

async fn start(lab: &Lab, options: &DemoOptions, story: &Story<'_>) -> anyhow::Result<()> {
    let request = StartRequest {
        nodes: Some(NODES),
        players: Some(NODES),
        seed: Some(options.seed),
        timeout_ms: 15_000,
        ..StartRequest::default()
    };
    let report = lab.start(request).await?;
    let leader = report.leader.context("the lab started without a leader")?;
    let (leader, term, after_ms) = (leader.leader, leader.term, leader.after_ms);
    story.tell_at(0.0, format!("start {NODES} nodes: {leader} leads term {term} after {after_ms} ms"));
    Ok(())
}

fn load_options(options: &DemoOptions) -> LoadOptions {
    LoadOptions {
        rate_per_s: Some(options.rate_per_s),
        clients: options.clients,
        duration: LONGEST_LOAD,
        seed: options.seed,
        players: NODES,
        // The longest election time-out: by then a lost leader should have a successor, and asking again makes sense.
        attempt_timeout: Duration::from_millis(300),
        give_up_after: Duration::from_secs(10),
        ..LoadOptions::default()
    }
}

async fn judge(
    lab: &Lab,
    options: &DemoOptions,
    outcome: &LoadOutcome,
    story: &Story<'_>,
) -> anyhow::Result<(Evidence, Report)> {
    let Summary { n, ok, failed, unknown, .. } = outcome.summary;
    let [n, ok, failed, unknown] = [n, ok, failed, unknown].map(thousands);
    story.tell(format!("end of the load: {n} commands, {ok} acknowledged, {failed} failed, {unknown} unknown"));
    let evidence = collect(lab, true, CONVERGE_TIMEOUT).await?;
    files::write_replicas(&options.folder, &evidence)?;
    let report = evidence.judge(&outcome.history);
    Ok((evidence, report))
}

fn tell_verdict(story: &Story<'_>, verdict: Verdict, evidence: &Evidence, report: &Report) {
    match &evidence.converged {
        Ok(0) => story.tell("all nodes have the same log and state at once".into()),
        Ok(after_ms) => story.tell(format!("all nodes have the same log and state after another {after_ms} ms")),
        Err(missing) => story.tell(format!("the nodes do not agree: {missing}")),
    }
    let counts = report.counts;
    story.tell(match verdict {
        Verdict::Valid => format!(
            "verdict valid: {} acknowledged commands, each applied exactly once, on {} equal logs of {} entries",
            thousands(counts.acknowledged),
            counts.replicas,
            thousands(counts.committed)
        ),
        other => format!("verdict {other}"),
    });
    for finding in &report.findings {
        story.tell(finding.to_string());
    }
}

/// Leaves no fault behind, as far as the daemon can still be reached: that is all that can be done here.
async fn mend(lab: &Lab) {
    let _ = lab.heal().await;
    let _ = lab.act(Action::Resume, "@all".parse().expect("a selector"), false).await;
}

impl Story<'_> {
    fn tell(&self, text: String) {
        let at_s = monotonic_ns().saturating_sub(self.start_ns) as f64 / 1e9;
        self.tell_at(at_s, text);
    }

    fn tell_at(&self, at_s: f64, text: String) {
        (self.tell)(&format!("{at_s:>5.1} s  {text}"));
        self.steps.borrow_mut().push(Step { at_s, text });
    }
}
