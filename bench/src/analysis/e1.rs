//! E1, the paper's Figure 3: what a server beside the game costs in frames.
//!
//! Invariant: the first sentence answers the question of the original paper, at its largest number of dots, without a
//! frame cap if that was measured.

mod figures;

use super::draw::{cell, table};
use super::evidence::Evidence;
use super::finding::Table;
use super::hosting::{WITH_SERVER, label, place};
use super::words::{list, number, percent, share, time_us};
use super::{Part, words};
use crate::experiments::{BASELINE, CONTROL, HOSTING};
use crate::stats::{Estimated, LEVEL, POWER, smallest_paired_effect};
use crate::suite::trial::Arm;

const FPS: &str = "fps";
const DOTS: &str = "dots";
const CAP: &str = "cap";
const OF_FRAMES: &str = " of the frames";

/// What the original measured: dots, hosting, mean of the frames per second (Python, XML-RPC, another machine).
const ORIGINAL: [(&str, &str, f64); 6] = [
    ("100", BASELINE, 498.0),
    ("100", "thread", 302.0),
    ("100", "process", 231.0),
    ("1000", BASELINE, 286.0),
    ("1000", "thread", 158.0),
    ("1000", "process", 154.0),
];

/// What it finds.
pub(super) fn find(all: &Evidence<'_>) -> Part {
    // What is asked first is what the machine can do; the cap of the original comes after it.
    let caps = all.levels(CAP);
    let main_cap = if caps.contains(&"none") { Some("none") } else { caps.first().copied() };
    let main = main_cap.map_or_else(|| all.clone(), |cap| all.at([(CAP, cap)]));
    let mut part = Part { takeaway: takeaway(&main), ..Part::default() };
    part.figures.extend(figures::frames_figure("e1-fps", &main, main_cap));
    part.figures.extend(figures::cost_figure(&main));
    part.figures.extend(figures::seconds_figure(&main));
    part.figures.extend(figures::tails_figure(&main));
    for cap in caps.iter().filter(|cap| Some(**cap) != main_cap) {
        part.figures.extend(figures::frames_figure(&format!("e1-fps-cap-{cap}"), &all.at([(CAP, cap)]), Some(cap)));
    }
    part.tables.extend([frames_table(all), tails_table(all)].into_iter().flatten());
    part.caveats.extend(unlike_itself(&main));
    part.caveats.extend(unseen(&main));
    part
}

/// The cost of a hosting as a share of the frames: one minus the ratio to the baseline in the same block.
fn cost(evidence: &Evidence<'_>, rest: &Arm, hosting: &str) -> Option<Estimated> {
    let arm = |name: &str| rest.clone().with(HOSTING, name);
    Some(evidence.ratio(&arm(BASELINE), &arm(hosting), FPS)?.map(|ratio| 1.0 - ratio))
}

/// The arms without their hosting, the one with the most dots first.
fn scenes(evidence: &Evidence<'_>) -> Vec<Arm> {
    let arms: std::collections::BTreeSet<Arm> =
        evidence.arms().into_iter().map(|arm| arm.clone().without(HOSTING)).collect();
    let mut scenes: Vec<Arm> = arms.into_iter().collect();
    scenes.sort_by_key(|arm| std::cmp::Reverse(dots(arm)));
    scenes
}

fn dots(arm: &Arm) -> u64 {
    arm.level(DOTS).and_then(|level| level.parse().ok()).unwrap_or(0)
}

fn scene_words(arm: &Arm) -> String {
    format!("{} dots", number(dots(arm) as f64))
}

fn takeaway(evidence: &Evidence<'_>) -> Option<String> {
    let scenes = scenes(evidence);
    let (first, rest) = scenes.split_first()?;
    let mut sentences = vec![answer(evidence, first)?];
    sentences.extend(rest.iter().filter_map(|scene| addition(evidence, scene)));
    Some(sentences.join(" "))
}

/// The hostings with a server and what each costs.
fn costs(evidence: &Evidence<'_>, scene: &Arm) -> Vec<(&'static str, Estimated)> {
    WITH_SERVER.into_iter().filter_map(|name| Some((name, cost(evidence, scene, name)?))).collect()
}

/// The answer to the paper's question.
fn answer(evidence: &Evidence<'_>, scene: &Arm) -> Option<String> {
    let costs = costs(evidence, scene);
    let ((name, first), others) = costs.split_first()?;
    let verb = if first.interval.is_some() { "costs" } else { "may cost" };
    let others: Vec<String> =
        others.iter().map(|(name, cost)| format!("{} {}", place(name), words::cost(cost))).collect();
    let others = if others.is_empty() { String::new() } else { format!(", {}", list(&others)) };
    Some(format!(
        "At {} a server {} {verb} {}{others}{}{}.",
        scene_words(scene),
        place(name),
        words::cost_in_full(first, OF_FRAMES),
        control(evidence, scene),
        then(scene)
    ))
}

/// What is said of the other scenes.
fn addition(evidence: &Evidence<'_>, scene: &Arm) -> Option<String> {
    let costs = costs(evidence, scene);
    let phrases: Vec<String> =
        costs.iter().map(|(name, cost)| format!("{} {}", words::cost(cost), place(name))).collect();
    (!phrases.is_empty())
        .then(|| format!("At {} it is {}{}.", scene_words(scene), list(&phrases), control(evidence, scene)))
}

fn control(evidence: &Evidence<'_>, scene: &Arm) -> String {
    let Some(control) = cost(evidence, scene, CONTROL) else { return String::new() };
    let range = control.interval.map_or(String::new(), |interval| format!(" ({})", words::range(&interval, share)));
    format!("; two games without a server differ by {} %{range}", percent(control.value))
}

/// What the original lost.
fn then(scene: &Arm) -> String {
    let lost = WITH_SERVER.into_iter().filter_map(|name| Some((name, original_cost(scene, name)?)));
    let lost: Vec<String> = lost.map(|(name, cost)| format!("{:.0} % {}", cost * 100.0, place(name))).collect();
    if lost.is_empty() { String::new() } else { format!("; the original lost {}", list(&lost)) }
}

/// The original's mean for a column with this heading.
fn original(scene: &Arm, heading: &str) -> Option<f64> {
    let found = ORIGINAL.iter().find(|(dots, name, _)| scene.level(DOTS) == Some(dots) && label(name) == heading);
    found.map(|(_, _, mean)| *mean)
}

/// What the original lost: one minus the ratio of its means.
fn original_cost(scene: &Arm, hosting: &str) -> Option<f64> {
    if hosting == CONTROL {
        return None;
    }
    let (base, other) = (original(scene, label(BASELINE))?, original(scene, label(hosting))?);
    Some(1.0 - other / base)
}

fn frames_table(evidence: &Evidence<'_>) -> Option<Table> {
    let mut rows = Vec::new();
    for scene in scenes(evidence) {
        for name in evidence.hostings() {
            let arm = scene.clone().with(HOSTING, name);
            let Some(fps) = evidence.estimate(&arm, FPS) else { continue };
            let cost = if name == BASELINE { None } else { cost(evidence, &scene, name) };
            rows.push(vec![
                scene.level(DOTS).unwrap_or("–").to_owned(),
                scene.level(CAP).unwrap_or("–").to_owned(),
                label(name).to_owned(),
                cell(Some(fps), number),
                cell(cost, share),
                original(&scene, label(name)).map_or("–".into(), number),
                original_cost(&scene, name).filter(|_| name != BASELINE).map_or("–".into(), share),
                fps.n.to_string(),
            ]);
        }
    }
    let columns = ["dots", "cap", "server", "frames/s", "cost", "original frames/s", "original cost", "n"];
    table("Frames per second and what the server costs of them", &columns, rows)
}

fn tails_table(evidence: &Evidence<'_>) -> Option<Table> {
    let mut rows = Vec::new();
    for scene in scenes(evidence) {
        for name in evidence.hostings() {
            let arm = scene.clone().with(HOSTING, name);
            let of = |metric: &str, write: fn(f64) -> String| cell(evidence.estimate(&arm, metric), write);
            let row = vec![
                scene.level(DOTS).unwrap_or("–").to_owned(),
                scene.level(CAP).unwrap_or("–").to_owned(),
                label(name).to_owned(),
                of("frame_us_p50", time_us),
                of("frame_us_p99", time_us),
                of("frame_us_p999", time_us),
                of("frame_us_max", time_us),
                of("one_percent_low_fps", number),
                of("share_over_16_7_ms", share),
            ];
            if row[3..].iter().any(|cell| cell != "–") {
                rows.push(row);
            }
        }
    }
    let columns = ["dots", "cap", "server", "p50", "p99", "p99.9", "longest", "1 % low, frames/s", "over 16.7 ms"];
    table("Frame times: medians over trials", &columns, rows)
}

/// Where two games without a server differ, which no server can have caused.
fn unlike_itself(evidence: &Evidence<'_>) -> Vec<String> {
    let scenes = scenes(evidence).into_iter();
    let differing = scenes.filter_map(|scene| {
        let control = cost(evidence, &scene, CONTROL)?;
        let interval = control.interval.filter(|interval| !interval.holds(0.0))?;
        Some(format!(
            "at {} the game without a server differs from itself ({}): a cost of that size means nothing here",
            scene_words(&scene),
            words::range(&interval, share)
        ))
    });
    differing.collect()
}

/// What a cost would have had to be to be seen, where none was.
fn unseen(evidence: &Evidence<'_>) -> Vec<String> {
    let mut said = Vec::new();
    for scene in scenes(evidence) {
        for name in WITH_SERVER {
            let arm = |name: &str| scene.clone().with(HOSTING, name);
            let Some(cost) = cost(evidence, &scene, name) else { continue };
            if !cost.interval.is_some_and(|interval| interval.holds(0.0)) {
                continue;
            }
            let pairs = evidence.pairs(&arm(BASELINE), &arm(name), FPS);
            if let Some(effect) = smallest_paired_effect(&pairs, LEVEL, POWER) {
                said.push(format!(
                    "at {} no evidence of a cost {}: one of {} % would have been seen four times in five",
                    scene_words(&scene),
                    place(name),
                    percent(1.0 - 1.0 / effect)
                ));
            }
        }
    }
    said
}
