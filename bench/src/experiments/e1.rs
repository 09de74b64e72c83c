//! E1, the paper's Figure 3: frames per second at 100 and 1000 dots, beside a server in each hosting and beside none.
//!
//! As there: the server beside the game leads and calls one follower every 3 ms, and frames are capped at 1000. But
//! what the cap hides is asked as well, and first: without a cap every frame lost shows. Capped trials are shorter, for
//! a game that reaches its cap varies little; the quick profile has them at 1000 dots only.
//!
//! In the paper profile the uncapped trials take 300 s as there. A block, both caps in it, takes 57 minutes: one sitting
//! finishes one.

use super::arms::{Times, cross, hosting, level};
use super::play::Play;
use super::{BASELINE, Bench, CONTROL, Experiment, HOSTING, Plan, PlannedArm, Profile, Running};
use crate::suite::trial::{Arm, ExperimentId};

const DOTS: &str = "dots";
const CAP: &str = "cap";

/// No cap.
const NONE: &str = "none";

/// The original's numbers of dots.
const ORIGINAL_DOTS: [u32; 2] = [100, 1_000];

/// The experiment.
#[derive(Debug)]
pub(super) struct E1;

impl Experiment for E1 {
    fn id(&self) -> ExperimentId {
        ExperimentId(1)
    }

    fn question(&self) -> &'static str {
        "What does a consensus server cost the game beside it (the original's Figure 3)?"
    }

    fn plan(&self, profile: Profile) -> Plan {
        let (blocks, capped_dots, uncapped, capped) = match profile {
            Profile::Quick => (
                6,
                &ORIGINAL_DOTS[1..],
                Times { warmup_ms: 80, measure_ms: 520, overhead_ms: 60 },
                Times { warmup_ms: 40, measure_ms: 150, overhead_ms: 60 },
            ),
            Profile::Paper => (
                12,
                &ORIGINAL_DOTS[..],
                Times { warmup_ms: 5_000, measure_ms: 300_000, overhead_ms: 300 },
                Times { warmup_ms: 2_000, measure_ms: 30_000, overhead_ms: 300 },
            ),
        };
        let games = cross(&[Arm::default()], HOSTING, [BASELINE, CONTROL, "thread", "process", "async"]);
        let mut arms = uncapped.plan_games(cross(&cross(&games, DOTS, ORIGINAL_DOTS), CAP, [NONE]));
        arms.extend(capped.plan_games(cross(&cross(&games, DOTS, capped_dots), CAP, ["1000"])));
        Plan { blocks, arms }
    }

    fn run<'a>(&'a self, arm: &'a PlannedArm, bench: &'a Bench) -> Running<'a> {
        Box::pin(async move {
            let play = Play::original(level(&arm.arm, DOTS)?, hosting(&arm.arm)?);
            let fps_cap = match arm.arm.level(CAP) {
                Some(NONE) => None,
                _ => Some(level(&arm.arm, CAP)?),
            };
            Play { fps_cap, ..play }.run(arm, bench).await
        })
    }
}
