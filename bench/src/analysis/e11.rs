//! E11: why Python lost: a global lock between game and server, and XML-RPC framing, each switched on alone; and a
//! server that computes over each message as long as an interpreter might, without the lock and under it.
//!
//! Invariant: every step is a ratio within blocks; the last is measured with both, not added up.

use super::draw::{axis, cell, figure, table};
use super::evidence::{Evidence, leading_number};
use super::finding::{Figure, Plot, Scale, Waterfall};
use super::words::{about_intervals, number, percent, share, time_us};
use super::{Part, words};
use crate::experiments::{BASELINE, HOSTING};
use crate::stats::Estimated;
use crate::suite::trial::Arm;

const LOCK: &str = "global_lock";
const FRAMING: &str = "framing";
const XML: &str = "xml_rpc";
const WORK: &str = "server_work_us";
const FPS: &str = "fps";

/// The steps from the game alone to what the original was.
const STEPS: [Step; 7] =
    [Step::Alone, Step::Server, Step::Framing, Step::Lock, Step::Both, Step::Work, Step::WorkUnderLock];

/// What the original lost to its server's thread, as a share of the frames at 1000 dots.
const ORIGINAL_LOSS: f64 = 1.0 - 158.0 / 286.0;

/// What the arms without work mean, and what those with it are for.
const HELD: &str = "a lock costs the game the time that the server holds it, microseconds per message here: the lock alone \
                    does not explain what the original lost";
const ASSUMED: &str = "how long an interpreter computes over a message is assumed here, not measured: the arms with work \
                       show how the loss under the lock depends on it, not how large it was in the original";

/// A column of the waterfall.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Alone,
    Server,
    Framing,
    Lock,
    Both,
    Work,
    WorkUnderLock,
}

impl Step {
    fn is_of(self, arm: &Arm) -> bool {
        let alone = arm.level(HOSTING) == Some(BASELINE);
        let lock = arm.level(LOCK) == Some("on");
        let (xml, work) = (arm.level(FRAMING) == Some(XML), arm.level(WORK).is_some());
        match self {
            Step::Alone => alone,
            Step::Server => !alone && !lock && !xml && !work,
            Step::Framing => !alone && !lock && xml && !work,
            Step::Lock => !alone && lock && !xml && !work,
            Step::Both => !alone && lock && xml && !work,
            Step::Work => !alone && !lock && work,
            Step::WorkUnderLock => !alone && lock && work,
        }
    }

    /// Its column's heading.
    fn label(self, arm: &Arm) -> String {
        match self {
            Step::Alone => "no server".into(),
            Step::Server => "server in a thread".into(),
            Step::Framing => "with XML-RPC".into(),
            Step::Lock => "with a global lock".into(),
            Step::Both => "with XML-RPC and the lock".into(),
            Step::Work => format!("with {} of work per message", work(arm)),
            Step::WorkUnderLock => "with that work and the lock".into(),
        }
    }

    fn words(self, arm: &Arm) -> String {
        match self {
            Step::Server => "as it is,".into(),
            Step::Both => "with both, as in the original,".into(),
            other => other.label(arm),
        }
    }
}

/// How long the server of an arm computes over a message.
fn work(arm: &Arm) -> String {
    arm.level(WORK).and_then(leading_number).map_or_else(|| "no".into(), time_us)
}

/// What it finds.
pub(super) fn find(evidence: &Evidence<'_>) -> Part {
    let steps: Vec<(Step, Arm)> = STEPS
        .into_iter()
        .filter_map(|step| Some((step, evidence.arms().into_iter().find(|arm| step.is_of(arm))?.clone())))
        .collect();
    let mut part = Part { takeaway: takeaway(evidence, &steps), ..Part::default() };
    part.figures.extend(waterfall(evidence, &steps));
    let rows = steps.iter().map(|(step, arm)| {
        vec![
            step.label(arm),
            cell(evidence.estimate(arm, FPS), number),
            cell(cost(evidence, &steps, arm).filter(|_| *step != Step::Alone), share),
            cell(evidence.estimate(arm, "frame_us_p50"), time_us),
            cell(evidence.estimate(arm, "frame_us_p99"), time_us),
            cell(evidence.estimate(arm, "frame_us_max"), time_us),
        ]
    });
    let columns = ["arm", "frames/s", "cost", "frame p50", "frame p99", "longest"];
    part.tables.extend(table(
        "What makes a server in a thread expensive: medians over trials",
        &columns,
        rows.collect(),
    ));
    let lock = arm_of(&steps, Step::Lock).and_then(|arm| cost(evidence, &steps, arm)?.interval);
    part.caveats.extend(lock.filter(|cost| cost.high < ORIGINAL_LOSS).map(|_| HELD.to_owned()));
    part.caveats.extend(arm_of(&steps, Step::WorkUnderLock).map(|_| ASSUMED.to_owned()));
    part
}

fn arm_of(steps: &[(Step, Arm)], wanted: Step) -> Option<&Arm> {
    steps.iter().find(|(step, _)| *step == wanted).map(|(_, arm)| arm)
}

fn cost(evidence: &Evidence<'_>, steps: &[(Step, Arm)], arm: &Arm) -> Option<Estimated> {
    Some(evidence.ratio(arm_of(steps, Step::Alone)?, arm, FPS)?.map(|ratio| 1.0 - ratio))
}

fn takeaway(evidence: &Evidence<'_>, steps: &[(Step, Arm)]) -> Option<String> {
    let found = steps.iter().filter(|(step, _)| *step != Step::Alone).filter_map(|(step, arm)| {
        let cost = cost(evidence, steps, arm)?;
        let cost = match step {
            Step::Server => words::cost_in_full(&cost, " of the frames"),
            _ => words::cost(&cost),
        };
        Some(format!("{} {cost}", step.words(arm)))
    });
    let phrases: Vec<String> = found.collect();
    (!phrases.is_empty()).then(|| format!("A server in a thread costs, {}.", phrases.join("; ")))
}

fn waterfall(evidence: &Evidence<'_>, steps: &[(Step, Arm)]) -> Option<Figure> {
    let levels: Vec<(String, Estimated)> =
        steps.iter().filter_map(|(step, arm)| Some((step.label(arm), evidence.estimate(arm, FPS)?))).collect();
    let plot = Plot::Waterfall(Waterfall {
        y: axis("frames per second", Scale::FromZero),
        levels: levels.iter().map(|(label, estimate)| (label.clone(), (*estimate).into())).collect(),
    });
    let caption = "Frames per second of the game alone, and beside a server that is more and more like an interpreter: XML-RPC \
                   instead of JSON-RPC, and one global lock between game and server, switched every 5 ms.";
    let works = arm_of(steps, Step::Work).map_or(
        "",
        |_| " With work, the server computes over each message, which under the lock is time that the game loses.",
    );
    let title = work_title(evidence, steps).unwrap_or_else(|| lock_title(evidence, steps));
    let intervals = about_intervals(levels.iter().map(|(_, estimate)| estimate));
    figure("e11-why", Some(plot).filter(|_| levels.len() > 1), title, intervals, format!("{caption}{works}"))
}

/// What holding the lock for longer costs, if that can be said.
fn work_title(evidence: &Evidence<'_>, steps: &[(Step, Arm)]) -> Option<String> {
    let arm = arm_of(steps, Step::WorkUnderLock)?;
    let held = cost(evidence, steps, arm)?;
    let free = cost(evidence, steps, arm_of(steps, Step::Work)?)?;
    let is_claimed = |cost: &Estimated| cost.interval.is_some_and(|interval| interval.low > 0.0);
    let free = if is_claimed(&free) {
        format!("{} % without it", percent(free.value))
    } else {
        "no evidence of a cost without it".to_owned()
    };
    is_claimed(&held).then(|| {
        format!(
            "Under a global lock {} of work per message takes {} % of the frames; {free}",
            work(arm),
            percent(held.value)
        )
    })
}

/// What the lock and the framing cost.
fn lock_title(evidence: &Evidence<'_>, steps: &[(Step, Arm)]) -> String {
    let loss = |step: Step| cost(evidence, steps, arm_of(steps, step)?);
    match (loss(Step::Lock), loss(Step::Framing)) {
        (Some(lock), _) if lock.interval.is_none() => {
            "Too few blocks to say what a global lock or XML-RPC costs".to_owned()
        }
        (Some(lock), Some(framing)) => match [lock, framing]
            .map(|cost| cost.interval.is_some_and(|interval| interval.low > 0.0))
        {
            [true, true] => format!(
                "A global lock takes {} % of the frames, XML-RPC {} %",
                percent(lock.value),
                percent(framing.value)
            ),
            [true, false] => {
                format!("A global lock takes {} % of the frames; no evidence that XML-RPC does", percent(lock.value))
            }
            [false, true] => {
                format!("XML-RPC takes {} % of the frames; no evidence that a global lock does", percent(framing.value))
            }
            [false, false] => "No evidence that a global lock or XML-RPC costs frames".to_owned(),
        },
        _ => "What makes a server in a thread expensive".to_owned(),
    }
}
