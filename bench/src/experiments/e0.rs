//! E0, the instrument: what the machine and the recording add to every other number.
//!
//! Three things are timed directly: how late a timer is, how long an empty call to a node takes over loopback, and how
//! long a sync of 4 KiB takes on the file system of the results (not on one in memory, where it means nothing). What
//! recording costs is asked of the game itself, whose reports do not need the recording. The noise between equal arms
//! (A/A) is in E1, as its control.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use raftian_rpc::assignment::{HostedGame, Hosting};
use raftian_rpc::clock::monotonic_ns;
use raftian_rpc::game::{GameConfig, GameReport, Scene};

use super::arms::{Times, is_on};
use super::disk::is_in_memory;
use super::metrics::put_times;
use super::play::{ORIGINAL, game};
use super::{Bench, Experiment, Measured, Plan, PlannedArm, Profile, Running};
use crate::cluster::{Cluster, Design, first};

use crate::suite::trial::{Arm, ExperimentId};

const RECORD: &str = "record";

/// The factor of the arm without a game, which times the three things.
const INSTRUMENT: &str = "instrument";

/// What a timer is set to.
const TIMER: Duration = Duration::from_millis(1);

/// Timers, calls and syncs per trial.
const TIMERS: usize = 25;
const CALLS: usize = 50;
const SYNCS: usize = 25;

/// How often a game is asked whether it has a new report; it has one per second.
const POLL: Duration = Duration::from_millis(10);

/// The experiment.
#[derive(Debug)]
pub(super) struct E0;

impl Experiment for E0 {
    fn id(&self) -> ExperimentId {
        ExperimentId(0)
    }

    fn question(&self) -> &'static str {
        "How good is the instrument: timers, loopback, syncs, and what recording costs?"
    }

    fn plan(&self, profile: Profile) -> Plan {
        let (blocks, reports) = match profile {
            Profile::Quick => (6, 1),
            Profile::Paper => (12, 30),
        };
        // The first second is the warm-up where there is time for one.
        let warmup_ms = if reports > 1 { 1_000 } else { 0 };
        let game = Times { warmup_ms, measure_ms: reports * 1_000, overhead_ms: 60 };
        let instrument = Times { warmup_ms: 0, measure_ms: 90, overhead_ms: 40 };
        let mut arms = game.plan_all([Arm::of([(RECORD, "on")]), Arm::of([(RECORD, "off")])]);
        arms.push(instrument.plan(Arm::of([(INSTRUMENT, "direct")])));
        Plan { blocks, arms }
    }

    fn run<'a>(&'a self, arm: &'a PlannedArm, bench: &'a Bench) -> Running<'a> {
        Box::pin(async move {
            match arm.arm.level(INSTRUMENT) {
                Some(_) => instrument(bench).await,
                None => recording(is_on(&arm.arm, RECORD)?, arm, bench).await,
            }
        })
    }
}

/// Times the three things.
async fn instrument(bench: &Bench) -> anyhow::Result<Measured> {
    let mut measured = Measured::default();
    let mut overshoots = Vec::with_capacity(TIMERS);
    for _ in 0..TIMERS {
        let slept_ns = timed(|| std::thread::sleep(TIMER));
        overshoots.push(slept_ns.saturating_sub(u64::try_from(TIMER.as_nanos())?));
    }
    put_times(&mut measured, "timer_overshoot", overshoots)?;
    let cluster = Cluster::start(bench, Design { nodes: 1, ..Design::default() }).await?;
    let mut calls = Vec::with_capacity(CALLS);
    for _ in 0..CALLS {
        let begun_ns = monotonic_ns();
        cluster.ping(first()).await?;
        calls.push(monotonic_ns() - begun_ns);
    }
    put_times(&mut measured, "loopback", calls)?;
    if !is_in_memory(&bench.folder)? {
        put_times(&mut measured, "fsync", syncs(&bench.folder)?)?;
    }
    Ok(measured)
}

/// How long syncs of 4 KiB take that only overwrite.
fn syncs(folder: &Path) -> anyhow::Result<Vec<u64>> {
    let path = folder.join("sync");
    let mut file = File::create(&path).with_context(|| format!("cannot write {}", path.display()))?;
    let page = [1; 4096];
    for _ in 0..SYNCS {
        file.write_all(&page)?;
    }
    file.sync_all()?;
    let mut times = Vec::with_capacity(SYNCS);
    for place in 0..SYNCS {
        std::os::unix::fs::FileExt::write_all_at(&file, &page, (place * page.len()) as u64)?;
        let mut synced = Ok(());
        times.push(timed(|| synced = file.sync_data()));
        synced.with_context(|| format!("cannot sync {}", path.display()))?;
    }
    Ok(times)
}

fn timed(body: impl FnOnce()) -> u64 {
    let begun_ns = monotonic_ns();
    body();
    monotonic_ns() - begun_ns
}

/// How many frames per second a game has with or without its recording, by its own reports.
async fn recording(is_on: bool, arm: &PlannedArm, bench: &Bench) -> anyhow::Result<Measured> {
    let recorded = game(Scene::Dots(1_000), None, None, bench);
    let game = GameConfig { record: recorded.record.clone().filter(|_| is_on), ..recorded };
    let game = HostedGame { hosting: Hosting::Thread, game };
    let mut cluster =
        Cluster::start(bench, Design { nodes: 1, timing: ORIGINAL, game: Some(game), ..Design::default() }).await?;
    cluster.playing_ns().await?;
    let mut frames = 0;
    for _ in 0..arm.warmup_ms / 1_000 {
        frames = next_report(&cluster, frames).await?.frames;
    }
    let mut rates = Vec::new();
    for _ in 0..arm.measure_ms / 1_000 {
        let report = next_report(&cluster, frames).await?;
        frames = report.frames;
        rates.push(report.fps);
    }
    // Each is over the same time, a second, so their mean is frames over elapsed time.
    let fps = rates.iter().sum::<f64>() / rates.len() as f64;
    Ok(Measured { metrics: [("fps".to_owned(), fps)].into(), ..Measured::default() })
}

/// The first report after the one at which the game had drawn so many frames.
async fn next_report(cluster: &Cluster, frames: u64) -> anyhow::Result<GameReport> {
    // One comes every second; the trial's own limit ends a wait in vain.
    tokio::time::sleep(Duration::from_millis(900)).await;
    loop {
        if let Some(report) = cluster.status(first()).await?.game.filter(|report| report.frames > frames) {
            return Ok(report);
        }
        tokio::time::sleep(POLL).await;
    }
}
