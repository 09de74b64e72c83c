//! E11: why Python lost: a global lock between game and server, and XML-RPC framing, each switched on alone.
//!
//! Invariant: every step is a ratio within blocks; the last is measured with both, not added up.

use super::draw::{axis, cell, figure, table};
use super::evidence::Evidence;
use super::finding::{Figure, Plot, Scale, Waterfall};
use super::words::{about_intervals, number, percent, share, time_us};
use super::{Part, words};
use crate::experiments::{BASELINE, HOSTING};
use crate::stats::Estimated;
use crate::suite::trial::Arm;

const LOCK: &str = "global_lock";
const FRAMING: &str = "framing";
const XML: &str = "xml_rpc";
const FPS: &str = "fps";

/// The steps from the game alone to what the original was.
const STEPS: [Step; 5] = [Step::Alone, Step::Server, Step::Framing, Step::Lock, Step::Both];

/// A column of the waterfall.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Alone,
    Server,
    Framing,
    Lock,
    Both,
}

impl Step {
    fn is_of(self, arm: &Arm) -> bool {
        let alone = arm.level(HOSTING) == Some(BASELINE);
        let (lock, xml) = (arm.level(LOCK) == Some("on"), arm.level(FRAMING) == Some(XML));
        match self {
            Step::Alone => alone,
            Step::Server => !alone && !lock && !xml,
            Step::Framing => !alone && !lock && xml,
            Step::Lock => !alone && lock && !xml,
            Step::Both => !alone && lock && xml,
        }
    }

    fn label(self) -> &'static str {
        match self {
            Step::Alone => "no server",
            Step::Server => "server in a thread",
            Step::Framing => "with XML-RPC",
            Step::Lock => "with a global lock",
            Step::Both => "with both",
        }
    }

    fn words(self) -> &'static str {
        match self {
            Step::Server => "as it is,",
            Step::Both => "with both, as in the original,",
            other => other.label(),
        }
    }
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
            step.label().to_owned(),
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
        Some(format!("{} {cost}", step.words()))
    });
    let phrases: Vec<String> = found.collect();
    (!phrases.is_empty()).then(|| format!("A server in a thread costs, {}.", phrases.join("; ")))
}

fn waterfall(evidence: &Evidence<'_>, steps: &[(Step, Arm)]) -> Option<Figure> {
    let levels: Vec<(Step, Estimated)> =
        steps.iter().filter_map(|(step, arm)| Some((*step, evidence.estimate(arm, FPS)?))).collect();
    let plot = Plot::Waterfall(Waterfall {
        y: axis("frames per second", Scale::FromZero),
        levels: levels.iter().map(|(step, estimate)| (step.label().to_owned(), (*estimate).into())).collect(),
    });
    let loss = |step: Step| cost(evidence, steps, arm_of(steps, step)?);
    let title = match (loss(Step::Lock), loss(Step::Framing)) {
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
    };
    figure(
        "e11-why",
        Some(plot).filter(|_| levels.len() > 1),
        title,
        about_intervals(levels.iter().map(|(_, estimate)| estimate)),
        "Frames per second from the game alone to a server as in the original: one global lock between game and server \
         (switched every 5 ms), and XML-RPC instead of JSON-RPC.",
    )
}
