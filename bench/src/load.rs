//! Load on running nodes: many clients, each with one command outstanding, sending when it is time (open loop) or as
//! soon as the last command is answered (closed loop).
//!
//! Invariants: latency counts from the *intended* send; every operation ends up in the history exactly once, and no
//! run hangs: each operation ends after `give_up_after` plus at most one attempt.
//!
//! Deliberately absent: starting the nodes, and reads that may be stale: they promise nothing that could be judged.

pub(crate) mod attempt;
mod pace;
mod recorder;
mod session;
mod source;
mod workload;

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use raftian_check::Operation;
use raftian_check::apps::MAX_BATCH_PX;
use raftian_rpc::clock::monotonic_ns;
use raftian_rpc::{AppKind, AppOptions, NodeId};
use tokio::task::JoinSet;

pub use self::recorder::{OutcomeKind, Sample, Tally};
pub use self::source::Source;

use self::pace::Pace;
use self::recorder::Recorder;
use self::session::{Session, Shared, Targets};
use self::workload::Workload;
use crate::cancel::{Cancel, cancel_pair};
use crate::run::HistoryFile;
use crate::summary::Summary;

/// How often progress is told and the history is flushed.
const TICK: Duration = Duration::from_millis(200);

/// The most clients of one load: each has a connection of its own.
pub const MAX_CLIENTS: usize = 10_000;

/// The highest rate that may be asked for.
pub const MAX_RATE_PER_S: f64 = 1_000_000.0;

/// The longest op that may be asked for, in bytes.
pub const MAX_OP_BYTES: usize = 1024 * 1024;

/// What kind of load is wanted.
#[derive(Clone, Debug)]
pub struct LoadOptions {
    /// Commands per second; `None` makes the loop a closed one.
    pub rate_per_s: Option<f64>,
    /// Concurrent sessions: 1 to [`MAX_CLIENTS`].
    pub clients: usize,
    /// How long commands are sent.
    pub duration: Duration,
    /// Decides which commands are sent, and the waits between attempts.
    pub seed: u64,
    /// The application whose commands are sent.
    pub app: AppKind,
    /// What the lab's application was started with: commands of the game name its players, those of a canvas are on it.
    pub app_options: AppOptions,
    /// How many keys of the store are read and written, from `k0` on: at least one.
    pub keys: u32,
    /// How many pixels a command paints on a canvas: 1 to [`MAX_BATCH_PX`].
    pub stroke_px: usize,
    /// How long the op of a command is at least, in bytes, at most [`MAX_OP_BYTES`]: shorter ones are filled up with
    /// JSON white space, which means nothing to the application.
    pub op_bytes: usize,
    /// How long one node may take over one attempt.
    pub attempt_timeout: Duration,
    /// How long after its intended send an operation is given up.
    pub give_up_after: Duration,
    /// Which nodes are asked.
    pub targets: Targeting,
}

/// Which nodes are asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Targeting {
    /// All: each client stays with the node that answered it last, and turns to another when that one fails it.
    #[default]
    All,
    /// This one only.
    One(NodeId),
}

/// How far a load has come.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    /// Since the start.
    pub elapsed: Duration,
    /// How long commands are sent in all.
    pub planned: Duration,
    /// How operations ended so far.
    pub tally: Tally,
    /// Acknowledged per second since the last report.
    pub rate_per_s: f64,
}

/// What a load leaves behind.
#[derive(Debug)]
pub struct LoadOutcome {
    /// What the clients did and saw, in order of completion.
    pub history: Vec<Operation>,
    /// The times of each operation, in the same order.
    pub samples: Vec<Sample>,
    /// The beginning of the schedule, on the monotonic clock.
    pub start_ns: u64,
    /// The end of the schedule, or the moment of the interruption.
    pub end_ns: u64,
    /// The statistics.
    pub summary: Summary,
    /// Why the load ended early, if it did: cancelled, or the lab is gone.
    pub interrupted: Option<String>,
}

/// A load about to run.
#[derive(Debug)]
pub struct Load {
    shared: Arc<Shared>,
    source: Source,
    options: LoadOptions,
}

/// A view of a load while it runs. Cheap to clone.
#[derive(Clone, Debug)]
pub struct LiveLoad(Arc<Shared>);

impl Default for LoadOptions {
    /// 500 commands/s from 8 clients for 30 s on a lab of the game with five players, of the store with 100 keys, or of a
    /// canvas of 64×64 with strokes of one pixel.
    fn default() -> LoadOptions {
        LoadOptions {
            rate_per_s: Some(500.0),
            clients: 8,
            duration: Duration::from_secs(30),
            seed: 1,
            app: AppKind::Attack,
            app_options: AppOptions::default(),
            keys: 100,
            stroke_px: 1,
            op_bytes: 0,
            attempt_timeout: Duration::from_secs(1),
            give_up_after: Duration::from_secs(5),
            targets: Targeting::All,
        }
    }
}

impl LoadOptions {
    /// Checks what was typed.
    ///
    /// # Errors
    /// A sentence that says which bound does not hold.
    pub fn validate(&self) -> Result<(), String> {
        if let Some(rate) = self.rate_per_s
            && !(rate > 0.0 && rate <= MAX_RATE_PER_S)
        {
            return Err(format!("a rate of {rate}/s is out of range; use more than 0 and at most {MAX_RATE_PER_S}/s"));
        }
        if !(1..=MAX_CLIENTS).contains(&self.clients) {
            return Err(format!("{} clients are out of range; use 1 to {MAX_CLIENTS}", self.clients));
        }
        if self.app_options.players == 0 {
            return Err("a load needs at least one player to attack".into());
        }
        if self.keys == 0 {
            return Err("a load needs at least one key to read and write".into());
        }
        if !(1..=MAX_BATCH_PX).contains(&self.stroke_px) {
            return Err(format!("strokes of {} pixels are out of range; use 1 to {MAX_BATCH_PX}", self.stroke_px));
        }
        if self.op_bytes > MAX_OP_BYTES {
            return Err(format!("ops of {} bytes are too long; use at most {MAX_OP_BYTES}", self.op_bytes));
        }
        for (name, time) in [
            ("duration", self.duration),
            ("attempt time-out", self.attempt_timeout),
            ("time after which an operation is given up", self.give_up_after),
        ] {
            if time.is_zero() || time > Duration::from_secs(7 * 24 * 3600) {
                return Err(format!("the {name} must be more than 0 and at most a week"));
            }
        }
        Ok(())
    }
}

impl Load {
    /// Finds the nodes and starts the schedule: call [`Load::run`] next.
    ///
    /// # Errors
    /// When the options are out of range, or the node asked for does not exist.
    pub fn prepare(
        source: impl Into<Source>,
        options: LoadOptions,
        history: Option<HistoryFile>,
    ) -> anyhow::Result<Load> {
        options.validate().map_err(anyhow::Error::msg)?;
        let source = source.into();
        let nodes = source.connect(options.targets, options.attempt_timeout, &[])?;
        let shared = Shared {
            pace: Pace::new(options.rate_per_s, options.duration),
            recorder: Recorder::new(history),
            targets: Targets::new(nodes),
            attempt_timeout_ms: millis(options.attempt_timeout),
            give_up_after: options.give_up_after,
        };
        Ok(Load { shared: Arc::new(shared), source, options })
    }

    /// A view of the load for whoever watches it.
    pub fn live(&self) -> LiveLoad {
        LiveLoad(Arc::clone(&self.shared))
    }

    /// Runs until the schedule is over and every operation has ended, or `cancel` asks to stop at once; then the
    /// operations under way end as unknown. Tells `progress` how far it is five times a second.
    ///
    /// # Errors
    /// When the history cannot be written. That the lab is gone is no error but an outcome: see
    /// [`LoadOutcome::interrupted`].
    pub async fn run(self, progress: &dyn Fn(Progress), cancel: &Cancel) -> anyhow::Result<LoadOutcome> {
        let shared = &self.shared;
        let (halter, halt) = cancel_pair();
        let mut sessions = self.spawn_sessions(&halt);
        let keeper = Arc::clone(shared);
        let keeper = std::thread::Builder::new().name("load-pace".into()).spawn(move || keeper.pace.keep())?;
        // A caller that drops this future must not leave the thread behind.
        let _stop = StopOnDrop(&shared.pace);

        let mut interrupted = None;
        let mut reporter = Reporter::default();
        let mut tick = tokio::time::interval(TICK);
        {
            let daemon_gone = self.watch_daemon();
            tokio::pin!(daemon_gone);
            loop {
                tokio::select! {
                    joined = sessions.join_next() => match joined {
                        Some(ended) => ended.context("a client of the load broke down; this is a defect")?,
                        None => break,
                    },
                    _ = tick.tick() => {
                        shared.recorder.flush().context("the history cannot be written")?;
                        progress(reporter.report(shared, self.options.duration));
                    }
                    () = cancel.cancelled(), if interrupted.is_none() => interrupted = Some("interrupted".to_owned()),
                    reason = &mut daemon_gone, if interrupted.is_none() => interrupted = Some(reason),
                }
                if interrupted.is_some() {
                    shared.pace.stop();
                    halter.cancel();
                }
            }
        }
        shared.recorder.flush().context("the history cannot be written")?;
        progress(reporter.report(shared, self.options.duration));
        // The schedule is over, so the thread is at its end as well.
        let _ = keeper.join();

        let (history, samples) = shared.recorder.take();
        let (start_ns, end_ns) = (shared.pace.start_ns(), shared.pace.end_ns());
        let summary = Summary::of(&samples, start_ns, end_ns, self.options.rate_per_s);
        Ok(LoadOutcome { history, samples, start_ns, end_ns, summary, interrupted })
    }

    fn spawn_sessions(&self, halt: &Cancel) -> JoinSet<()> {
        // Different for every run, whatever the seed: two loads on one lab must not share a session.
        let run = fastrand::Rng::new().u32(..);
        let mut sessions = JoinSet::new();
        for number in 0..self.options.clients {
            let client = format!("load-{run:08x}-{number}");
            let session = Session {
                name: client.clone(),
                client,
                workload: Workload::new(&self.options, number),
                random: fastrand::Rng::with_seed(self.options.seed.wrapping_add(number as u64)),
                favourite: number,
            };
            sessions.spawn(session.run(Arc::clone(&self.shared), halt.clone()));
        }
        sessions
    }

    /// Follows nodes that move to other ports; ends when the daemon is gone, with the reason. Without a daemon nothing
    /// moves, and there is nobody to miss.
    async fn watch_daemon(&self) -> String {
        let Source::Lab(whereabouts) = &self.source else { return std::future::pending().await };
        let mut news = whereabouts.news();
        while news.changed().await.is_ok() && !news.borrow_and_update().is_daemon_gone {
            let LoadOptions { targets, attempt_timeout, .. } = self.options;
            // Where none is left of those that are meant, the last that were known are asked on, in vain.
            if let Ok(nodes) = self.source.connect(targets, attempt_timeout, &self.shared.targets.current()) {
                self.shared.targets.replace(nodes);
            }
        }
        "the lab's daemon no longer answers; see `raftianctl doctor`".into()
    }
}

impl LiveLoad {
    /// The beginning of the schedule, on the monotonic clock.
    pub fn start_ns(&self) -> u64 {
        self.0.pace.start_ns()
    }

    /// The first acknowledged operation that was sent at or after `since_ns`; waits for it.
    pub async fn acknowledged_since(&self, since_ns: u64) -> Sample {
        self.0.recorder.acknowledged_since(since_ns).await
    }

    /// When the operations acknowledged since `from_ns` were, in order.
    pub fn completions_since(&self, from_ns: u64) -> Vec<u64> {
        self.0.recorder.completions_since(from_ns)
    }

    /// Ends the schedule: what is due is still sent and waited for, and then the load is over.
    pub fn stop(&self) {
        self.0.pace.stop();
    }
}

struct StopOnDrop<'a>(&'a Pace);

impl Drop for StopOnDrop<'_> {
    fn drop(&mut self) {
        self.0.stop();
    }
}

/// Computes the rate between two reports.
#[derive(Default)]
struct Reporter {
    last: Option<(u64, u64)>,
}

impl Reporter {
    fn report(&mut self, shared: &Shared, planned: Duration) -> Progress {
        let now_ns = monotonic_ns();
        let tally = shared.recorder.tally();
        let start_ns = shared.pace.start_ns();
        let (last_ns, last_ok) = self.last.replace((now_ns, tally.ok)).unwrap_or((start_ns, 0));
        let seconds = now_ns.saturating_sub(last_ns) as f64 / 1e9;
        let rate_per_s = if seconds > 0.0 { (tally.ok - last_ok) as f64 / seconds } else { 0.0 };
        Progress { elapsed: Duration::from_nanos(now_ns.saturating_sub(start_ns)), planned, tally, rate_per_s }
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX).clamp(1, raftian_rpc::client::MAX_SUBMIT_TIMEOUT_MS)
}
