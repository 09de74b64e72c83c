//! E2: how the frames go down with the number of dots, beside a server in each hosting and beside none; and how many are
//! left in a window.
//!
//! The window is the game's own. Where there is no desktop it opens on a virtual display of the trial (Xvfb), and where
//! there is none of that either its trials are left out: arms without [`DISPLAY`] draw into memory.

use raftian_rpc::game::Display as Screen;

use super::arms::{HOSTINGS, Times, cross, hosting, level};
use super::play::Play;
use super::{BASELINE, Bench, DISPLAY, Experiment, HOSTING, Measured, Plan, PlannedArm, Profile, Running, WINDOW};
use crate::cluster::Display;
use crate::suite::trial::{Arm, ExperimentId};

const DOTS: &str = "dots";

/// The original's number of dots, for the window.
const WINDOW_DOTS: u32 = 1_000;

/// 1 if the window was on a virtual display.
const IS_VIRTUAL: &str = "virtual_display";

/// The experiment.
#[derive(Debug)]
pub(super) struct E2;

impl Experiment for E2 {
    fn id(&self) -> ExperimentId {
        ExperimentId(2)
    }

    fn question(&self) -> &'static str {
        "How do frames go down with the number of dots, with and without a server, and what is left in a window?"
    }

    fn plan(&self, profile: Profile) -> Plan {
        let quick = [10, 1_000, 100_000];
        let paper = [10, 100, 1_000, 10_000, 100_000];
        let (blocks, dots, times, in_window) = match profile {
            Profile::Quick => (
                6,
                &quick[..],
                // A thousand frames at the original's number of dots, for a percentile of them.
                Times { warmup_ms: 20, measure_ms: 130, overhead_ms: 60 },
                Times { warmup_ms: 40, measure_ms: 200, overhead_ms: 200 },
            ),
            Profile::Paper => (
                12,
                &paper[..],
                Times { warmup_ms: 2_000, measure_ms: 20_000, overhead_ms: 300 },
                Times { warmup_ms: 2_000, measure_ms: 20_000, overhead_ms: 500 },
            ),
        };
        let games = cross(&[Arm::default()], HOSTING, HOSTINGS);
        let mut arms = times.plan_games(cross(&games, DOTS, dots));
        let windows = cross(&[Arm::of([(DISPLAY, WINDOW)])], HOSTING, [BASELINE, "thread"]);
        arms.extend(in_window.plan_all(cross(&windows, DOTS, [WINDOW_DOTS])));
        Plan { blocks, arms }
    }

    fn run<'a>(&'a self, arm: &'a PlannedArm, bench: &'a Bench) -> Running<'a> {
        Box::pin(async move {
            let play = Play::original(level(&arm.arm, DOTS)?, hosting(&arm.arm)?);
            match arm.arm.level(DISPLAY) {
                None => play.run(arm, bench).await,
                Some(WINDOW) => in_window(play, arm, bench).await,
                Some(other) => anyhow::bail!("`{other}` makes no sense as {DISPLAY}"),
            }
        })
    }
}

/// Plays in a window. The display outlives the game.
async fn in_window(play: Play, arm: &PlannedArm, bench: &Bench) -> anyhow::Result<Measured> {
    let display = Display::open()?;
    let bench = Bench { display: display.name().map(str::to_owned), ..bench.clone() };
    let mut measured = Play { screen: Screen::Window, ..play }.run(arm, &bench).await?;
    measured.metrics.insert(IS_VIRTUAL.to_owned(), f64::from(u8::from(display.name().is_some())));
    Ok(measured)
}
