//! E2: how the frames go down with the number of dots, beside a server in each hosting and beside none.

use super::arms::{HOSTINGS, Times, cross, hosting, level};
use super::play::Play;
use super::{Bench, Experiment, HOSTING, Plan, PlannedArm, Profile, Running};
use crate::suite::trial::{Arm, ExperimentId};

const DOTS: &str = "dots";

/// The experiment.
#[derive(Debug)]
pub(super) struct E2;

impl Experiment for E2 {
    fn id(&self) -> ExperimentId {
        ExperimentId(2)
    }

    fn question(&self) -> &'static str {
        "How do frames go down with the number of dots, with and without a server?"
    }

    fn plan(&self, profile: Profile) -> Plan {
        let quick = [10, 1_000, 100_000];
        let paper = [10, 100, 1_000, 10_000, 100_000];
        let (blocks, dots, times) = match profile {
            Profile::Quick => (6, &quick[..], Times { warmup_ms: 20, measure_ms: 100, overhead_ms: 90 }),
            Profile::Paper => (12, &paper[..], Times { warmup_ms: 2_000, measure_ms: 20_000, overhead_ms: 300 }),
        };
        let games = cross(&[Arm::default()], HOSTING, HOSTINGS);
        Plan { blocks, arms: times.plan_games(cross(&games, DOTS, dots)) }
    }

    fn run<'a>(&'a self, arm: &'a PlannedArm, bench: &'a Bench) -> Running<'a> {
        Box::pin(async move { Play::original(level(&arm.arm, DOTS)?, hosting(&arm.arm)?).run(arm, bench).await })
    }
}
