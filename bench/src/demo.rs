//! The main job in one command: a cluster under load loses its leader, a follower's attention, and its next leader,
//! gets everything back, and is judged.
//!
//! Invariants: every time in the story was measured; the verdict is the judges', and never better than theirs. All of it
//! is kept as a run, which is on disk before it is judged.
//!
//! Deliberately absent: starting the daemon, and stopping the lab afterwards; both are the caller's.

mod script;

use std::cell::RefCell;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, bail};
use raftian_check::{Report, Verdict};
use raftian_rpc::clock::monotonic_ns;
use raftian_rpc::lab::{Action, LabClient as _, StartRequest};
use raftian_rpc::{AppKind, NodeId};
use serde::{Deserialize, Serialize};

use self::script::Script;
use crate::cancel::Cancel;
use crate::chart::{timeline_svg, to_png};
use crate::collect::{Evidence, Following};
use crate::journal::Journal;
use crate::lab::{Lab, told};
use crate::load::{Load, LoadOptions, LoadOutcome, Progress};
use crate::machine::Machine;
use crate::run::{Cluster, How, Judgement, RunId, RunWriter};
use crate::summary::{Summary, thousands};
use crate::timeline::{Recorded, TimelineData};
use crate::whereabouts::Whereabouts;

/// The nodes of a demo.
pub const NODES: u16 = 5;

/// How long the whole load may last; the script ends it long before.
const LONGEST_LOAD: Duration = Duration::from_secs(300);

/// How long the nodes may take to agree at the end.
const CONVERGE_TIMEOUT: Duration = Duration::from_secs(15);

/// What a demo adds to its run: the chart, as SVG and as PNG, and the story.
const SVG: &str = "timeline.svg";
const PNG: &str = "timeline.png";
const STORY: &str = "story.json";

/// How a demo is run.
#[derive(Clone, Debug)]
pub struct DemoOptions {
    /// The seed of the lab and of the load.
    pub seed: u64,
    /// Commands per second.
    pub rate_per_s: f64,
    /// Concurrent clients.
    pub clients: usize,
}

/// What came of a demo. Also in its run, as `story.json`.
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
    /// The run as which it is kept.
    pub run: RunId,
    /// Where that is.
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

impl Default for DemoOptions {
    /// 300 commands/s from 32 clients, seed 1.
    fn default() -> DemoOptions {
        DemoOptions { seed: 1, rate_per_s: 300.0, clients: 32 }
    }
}

/// Runs the demo on a lab that has no nodes yet, and keeps it. `story` is told one line per step, `progress` how the load
/// fares.
///
/// # Errors
/// When the lab has nodes already, a step fails, or the run cannot be written. When `cancel` asks to stop, all
/// faults are cleared and the error says so.
pub async fn run(
    lab: &Lab,
    options: &DemoOptions,
    mut kept: RunWriter,
    story: &dyn Fn(&str),
    progress: &dyn Fn(Progress),
    cancel: &Cancel,
) -> anyhow::Result<DemoReport> {
    let (error, is_cancelled) = tokio::select! {
        report = play(lab, options, &mut kept, story, progress) => match report {
            Ok(report) => return Ok(report),
            Err(error) => (error, false),
        },
        () = cancel.cancelled() => (anyhow::anyhow!("the demo was interrupted; its faults are cleared"), true),
    };
    kept.end(How::Interrupted(format!("{error:#}")))?;
    if is_cancelled {
        mend(lab).await;
    }
    Err(error)
}

async fn play(
    lab: &Lab,
    options: &DemoOptions,
    kept: &mut RunWriter,
    tell: &dyn Fn(&str),
    progress: &dyn Fn(Progress),
) -> anyhow::Result<DemoReport> {
    let began_ns = monotonic_ns();
    let hello = told(lab.client.hello().await)?;
    if hello.started {
        bail!("the demo needs a lab without nodes, and `{}` has some; `raftianctl stop --purge` it first", hello.lab);
    }
    let machine = Machine::this(&hello.folder);
    let nodes = NodeId::first(NODES).collect();
    kept.on(Cluster { app: AppKind::Attack, app_options: NODES.into(), nodes, ..Cluster::default() })?;
    let journal = Journal::follow(lab, Some(kept.events()?)).await?;
    let story = Story { tell, start_ns: monotonic_ns(), steps: RefCell::default() };
    start(lab, options, &story).await?;

    let whereabouts = Whereabouts::of(lab).await?;
    let logs = Following::begin(&whereabouts, Some(kept.logs())).await?;
    let load = Load::prepare(&whereabouts, load_options(options), Some(kept.history()?))?;
    let live = load.live();
    let story = Story { start_ns: live.start_ns(), ..story };
    // The load needs no cancelling of its own: dropping it ends it.
    let (_canceller, never) = crate::cancel::cancel_pair();
    let script = Script { lab, journal: &journal, live: &live, story: &story };
    let (outcome, failovers) = tokio::try_join!(load.run(progress, &never), script.run())?;
    if let Some(reason) = outcome.interrupted {
        bail!("the load ended early: {reason}");
    }
    tell_load(&story, &outcome.summary);
    let evidence = logs.collect(lab, true, CONVERGE_TIMEOUT).await?;
    journal.catch_up(lab).await;
    kept.read(&evidence);
    kept.end(How::Completed)?;
    let judgement = Judgement::of(&evidence, evidence.judge(&outcome.history), Vec::new());
    let judgement = Judgement { summary: Some(outcome.summary.clone()), ..judgement };
    kept.verdict(&judgement)?;
    let Judgement { verdict: Some(verdict), report: Some(report), .. } = judgement else { bail!("it was not judged") };
    tell_verdict(&story, verdict, &evidence, &report);

    let events = journal.events();
    let LoadOutcome { samples, start_ns, end_ns, summary, .. } = outcome;
    let run = Recorded { events: &events, samples: &samples, start_ns, end_ns };
    let provenance = format!("{machine} · seed {}", options.seed);
    let svg = timeline_svg(&TimelineData::of(&run, summary.clone(), Some(verdict), provenance));
    let report = DemoReport {
        verdict,
        report,
        summary,
        failovers,
        steps: story.steps.take(),
        wall_s: monotonic_ns().saturating_sub(began_ns) as f64 / 1e9,
        seed: options.seed,
        machine,
        run: kept.id().clone(),
        folder: kept.folder().to_owned(),
        chart_svg: kept.derived(SVG, svg.as_bytes())?,
        chart_png: kept.derived(PNG, &to_png(&svg)?)?,
    };
    kept.derived(STORY, &serde_json::to_vec(&report)?)?;
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
        app_options: NODES.into(),
        // The longest election time-out: by then a lost leader should have a successor, and asking again makes sense.
        attempt_timeout: Duration::from_millis(300),
        give_up_after: Duration::from_secs(10),
        ..LoadOptions::default()
    }
}

fn tell_load(story: &Story<'_>, summary: &Summary) {
    let Summary { n, ok, failed, unknown, .. } = *summary;
    let [n, ok, failed, unknown] = [n, ok, failed, unknown].map(thousands);
    story.tell(format!("end of the load: {n} commands, {ok} acknowledged, {failed} failed, {unknown} unknown"));
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
