//! One trial of a game: the game alone, or with a server beside it that leads another one, as in the original.
//!
//! Invariant: the game is the same in every arm; what differs is who is beside it.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use raftian_rpc::assignment::{HostedGame, Hosting};
use raftian_rpc::control::Timing;
use raftian_rpc::game::{Display, GameConfig, INPUTS_FILE, InputRecord, Scene};

use super::frames::Frames;
use super::metrics::put_times;
use super::span::Span;
use super::{Bench, Measured, PlannedArm};
use crate::cluster::{Cluster, Design, Solo};

/// The original's: a server calls its one follower every 3 ms.
pub(super) const ORIGINAL: Timing = Timing { election_min_ms: 150, election_max_ms: 300, heartbeat_ms: 3 };

/// Trials at least this long have a frame rate for every second, shorter ones for every tenth of one.
const LONG_MS: u64 = 10_000;

/// A game, and who is beside it.
#[derive(Clone, Debug)]
pub(super) struct Play {
    /// What is drawn.
    pub(super) scene: Scene,
    /// The most frames per second.
    pub(super) fps_cap: Option<u32>,
    /// Where frames go.
    pub(super) screen: Display,
    /// Where the server runs; `None` for a game alone.
    pub(super) hosting: Option<Hosting>,
    /// The servers: the first one is beside the game.
    pub(super) design: Design,
}

impl Play {
    /// A game of dots beside a leader with one follower, as in the original.
    pub(super) fn original(dots: u32, hosting: Option<Hosting>) -> Play {
        let design = Design { nodes: 2, timing: ORIGINAL, ..Design::default() };
        Play { scene: Scene::Dots(dots), fps_cap: None, screen: Display::Headless, hosting, design }
    }

    /// Plays for the time of an arm, and says what the frames came to and what it cost.
    ///
    /// # Errors
    /// When something does not start, fails, or cannot be read back.
    pub(super) async fn run(self, arm: &PlannedArm, bench: &Bench) -> anyhow::Result<Measured> {
        let record = recording(bench);
        let game = GameConfig { display: self.screen, ..game(self.scene, self.fps_cap, None, bench) };
        let (span, elections) = match self.hosting {
            None => {
                let mut solo = Solo::start(bench, game, self.design.cores)?;
                solo.playing_ns().await?;
                let span = Span::of(arm, || solo.snapshot()).await;
                solo.dismiss().await?;
                (span, None)
            }
            Some(hosting) => {
                let design = Design { game: Some(HostedGame { hosting, game }), ..self.design };
                let mut cluster = Cluster::start(bench, design).await?;
                cluster.playing_ns().await?;
                let span = Span::of(arm, || cluster.snapshot()).await;
                let elections = cluster.told()?.elections(span.from_ns, span.to_ns);
                cluster.dismiss(crate::cluster::first()).await?;
                (span, Some(elections))
            }
        };
        let mut measured = Measured { costs: span.costs.clone(), ..Measured::default() };
        measured.metrics.extend(elections.map(|count| ("elections".to_owned(), count as f64)));
        let bin_ns = if arm.measure_ms >= LONG_MS { 1_000_000_000 } else { 100_000_000 };
        Frames::read(&record)?.report(span.from_ns, span.to_ns, bin_ns, &mut measured)?;
        Ok(measured)
    }
}

/// The game of a trial, which draws into memory and records what it does.
pub(super) fn game(scene: Scene, fps_cap: Option<u32>, clicks_per_s: Option<f64>, bench: &Bench) -> GameConfig {
    let record = Some(recording(bench));
    GameConfig { scene, fps_cap, display: Display::Headless, seed: bench.seed, clicks_per_s, record }
}

/// Where it records.
pub(super) fn recording(bench: &Bench) -> PathBuf {
    bench.folder.join("recording")
}

/// Adds how long the clicks that were due in a span took: to come back as an order, and to be seen. A click without
/// an answer has no time, and is counted.
///
/// # Errors
/// When the recording cannot be read.
pub(super) fn put_clicks(measured: &mut Measured, folder: &Path, span: &Span) -> anyhow::Result<()> {
    let path = folder.join(INPUTS_FILE);
    let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let clicks: Vec<InputRecord> = text
        .lines()
        .map(|line| serde_json::from_str(line).with_context(|| format!("`{line}` in {} is no input", path.display())))
        .collect::<anyhow::Result<_>>()?;
    let due: Vec<&InputRecord> = clicks.iter().filter(|click| span.holds(click.due_ns)).collect();
    let since_due = |at: fn(&InputRecord) -> Option<u64>| {
        due.iter().filter_map(move |click| Some(at(click)?.saturating_sub(click.due_ns))).collect::<Vec<u64>>()
    };
    let (ordered, shown) = (since_due(|click| click.taken_ns), since_due(|click| click.shown_ns));
    measured.metrics.insert("clicks".into(), due.len() as f64);
    measured.metrics.insert("clicks_unanswered".into(), (due.len() - ordered.len()) as f64);
    put_times(measured, "order", ordered)?;
    put_times(measured, "shown", shown)
}
