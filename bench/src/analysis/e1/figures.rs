//! The figures of E1: frames per second and what the server costs of them, over time, and the tails of the frame times.
//!
//! Invariant: the original's means are references beside what was measured, never mixed with it.

use super::{DOTS, FPS, ORIGINAL, cost, costs, original, scene_words, scenes};
use crate::analysis::draw::{
    axis, figure, group, groups, hosting_group, line, lines, panels, percentile_line, percentile_plot,
};
use crate::analysis::evidence::Evidence;
use crate::analysis::finding::{Column, Figure, Group, Hue, Line, Plot, Point, Scale};
use crate::analysis::hosting::{self, WITH_SERVER, hue, label, place};
use crate::analysis::words::{about_intervals, capitalised, either, list, number, percent, time_us};
use crate::experiments::{BASELINE, CONTROL, HOSTING};
use crate::stats::Estimated;
use crate::suite::trial::Arm;
pub(super) fn frames_figure(name: &str, evidence: &Evidence<'_>, cap: Option<&str>) -> Option<Figure> {
    let mut scenes = scenes(evidence);
    scenes.reverse();
    let found: Vec<Group> = scenes
        .iter()
        .filter_map(|scene| {
            let mut group = hosting_group(evidence, scene, &scene_words(scene), FPS)?;
            for column in &mut group.columns {
                column.reference = original(scene, &column.label);
            }
            Some(group)
        })
        .collect();
    let estimates: Vec<Estimated> = evidence.arms().iter().filter_map(|arm| evidence.estimate(arm, FPS)).collect();
    let (capped, suffix) = match cap {
        Some("none") | None => (String::new(), "no frame cap"),
        Some(cap) => (format!("Capped at {}, ", number(cap.parse().unwrap_or(0.0))), "frame cap"),
    };
    let title = format!("{capped}{}", frames_title(evidence, scenes.last()?)?);
    figure(
        name,
        groups(axis("frames per second", Scale::FromZero), found, Vec::new()),
        capitalised(&title),
        format!("frames / elapsed time, {}; {suffix}", about_intervals(&estimates)),
        "Frames per second by hosting. A dot is a trial; the reference marks are the means of the original paper (Python, \
         XML-RPC, another machine, one run each), which only the ratios between hostings can be compared with.",
    )
}

fn frames_title(evidence: &Evidence<'_>, scene: &Arm) -> Option<String> {
    let base = evidence.estimate(&scene.clone().with(HOSTING, BASELINE), FPS)?;
    let original = ORIGINAL.iter().find(|(dots, hosting, _)| scene.level(DOTS) == Some(dots) && *hosting == BASELINE);
    let then = original.map_or(String::new(), |(_, _, mean)| format!("; the original drew {}", number(*mean)));
    Some(format!(
        "without a server the game draws {} frames per second at {}{then}",
        number(base.value),
        scene_words(scene)
    ))
}

pub(super) fn cost_figure(evidence: &Evidence<'_>) -> Option<Figure> {
    let mut found = Vec::new();
    let mut estimates = Vec::new();
    let mut scenes = scenes(evidence);
    scenes.reverse();
    for scene in &scenes {
        let arm = |name: &str| scene.clone().with(HOSTING, name);
        let mut columns = Vec::new();
        for name in std::iter::once(CONTROL).chain(WITH_SERVER) {
            let Some(cost) = cost(evidence, scene, name) else { continue };
            let pairs = evidence.pairs(&arm(BASELINE), &arm(name), FPS);
            let dots = pairs.iter().map(|(base, other)| (1.0 - other / base) * 100.0).collect();
            let estimate = cost.map(|share| share * 100.0);
            estimates.push(cost);
            columns.push(Column {
                label: if name == CONTROL { "A/A".into() } else { label(name).into() },
                hue: hue(name),
                dots,
                estimate: estimate.into(),
                reference: None,
            });
        }
        found.extend(group(&scene_words(scene), columns));
    }
    let scene = scenes.last()?;
    let title = cost_title(evidence, scene)?;
    let none = vec![(0.0, "no cost".to_owned(), Hue::Reference)];
    figure(
        "e1-cost",
        groups(axis("frames lost to the server, %", Scale::Linear), found, none),
        title,
        format!("1 − ratio of frames per second to the baseline of the same block; {}", about_intervals(&estimates)),
        "What a server costs the game beside it, as a share of the frames. A dot is a block; A/A is the game without a \
         server compared with itself. The original lost 39 to 54 % (thread and process, 100 and 1000 dots).",
    )
}

fn cost_title(evidence: &Evidence<'_>, scene: &Arm) -> Option<String> {
    let costs = costs(evidence, scene);
    let at = scene_words(scene);
    if costs.iter().all(|(_, cost)| cost.interval.is_none()) {
        return (!costs.is_empty()).then(|| format!("At {at}: too few blocks to say what a server costs"));
    }
    let claimed = |cost: &Estimated| cost.interval.is_some_and(|interval| interval.low > 0.0);
    let costly: Vec<String> = costs
        .iter()
        .filter(|(_, cost)| claimed(cost))
        .map(|(name, cost)| format!("{} % {}", percent(cost.value), place(name)))
        .collect();
    let free: Vec<String> =
        costs.iter().filter(|(_, cost)| !claimed(cost)).map(|(name, _)| place(name).to_owned()).collect();
    Some(match (costly.is_empty(), free.is_empty()) {
        (true, true) => return None,
        (true, false) => format!("At {at} there is no evidence that a server {} costs frames", either(&free)),
        (false, true) => format!("At {at} the frames that a server costs are {}", list(&costly)),
        (false, false) => format!(
            "At {at} the frames that a server costs are {}; no evidence of a cost {}",
            list(&costly),
            either(&free)
        ),
    })
}

/// The frames per second over time: the first block that counts, one trial per hosting.
pub(super) fn seconds_figure(evidence: &Evidence<'_>) -> Option<Figure> {
    let mut found = Vec::new();
    let mut spans = Vec::new();
    let mut scenes = scenes(evidence);
    scenes.reverse();
    for scene in &scenes {
        spans.clear();
        let mut drawn = Vec::new();
        let mut warmup_s = 0.0;
        for name in hosting::ORDER.iter().filter(|name| **name != CONTROL) {
            let arm = scene.clone().with(HOSTING, name);
            let Some(trial) = evidence.good.iter().find(|trial| trial.arm == arm) else { continue };
            let Some(series) = evidence.series(trial, FPS) else { continue };
            let points = series.rows.iter().filter(|row| row.len() >= 2);
            let points: Vec<Point> = points.map(|row| Point { x: row[0], y: row[1], interval: None }).collect();
            warmup_s = trial.warmup_ms as f64 / 1e3;
            spans.extend(
                extent(&points, warmup_s).map(|(least, most)| {
                    format!("{} to {} {}", number(least.round()), number(most.round()), place(name))
                }),
            );
            drawn.extend(line(label(name), hue(name), points).map(|line| Line { marks: false, ..line }));
        }
        let Some(Plot::Lines(mut plot)) =
            lines(axis("seconds", Scale::FromZero), axis("frames per second", Scale::FromZero), drawn)
        else {
            continue;
        };
        plot.spans.push((0.0, warmup_s, "warm-up".into()));
        plot.references = ORIGINAL
            .iter()
            .filter(|(dots, _, _)| scene.level(DOTS) == Some(dots))
            .map(|(_, name, mean)| (*mean, format!("original, {}", label(name)), hue(name)))
            .collect();
        found.push((scene_words(scene), Plot::Lines(plot)));
    }
    let last = found.last().map(|(scene, _)| scene.clone())?;
    figure(
        "e1-seconds",
        panels(found),
        format!("Over time at {last}, frames per second: {}", list(&spans)),
        "one trial per hosting, the first block; the warm-up is shown and not counted",
        "Frames per second over time, as in Figure 3 of the original paper, whose means are the reference lines.",
    )
}

/// The smallest and the largest value after the warm-up.
fn extent(points: &[Point], warmup_s: f64) -> Option<(f64, f64)> {
    let counted = points.iter().filter(|point| point.x >= warmup_s).map(|point| point.y);
    Some((counted.clone().min_by(f64::total_cmp)?, counted.max_by(f64::total_cmp)?))
}

pub(super) fn tails_figure(evidence: &Evidence<'_>) -> Option<Figure> {
    let scene = scenes(evidence).into_iter().next()?;
    let found = hosting::ORDER.iter().filter(|name| **name != CONTROL).filter_map(|name| {
        percentile_line(evidence, &scene.clone().with(HOSTING, name), "frame", label(name), hue(name))
    });
    let plot = percentile_plot("frame time", found.collect());
    let p99 = |name: &str| evidence.estimate(&scene.clone().with(HOSTING, name), "frame_us_p99");
    let slowest =
        hosting::ORDER.iter().filter_map(|name| Some((*name, p99(name)?.value))).max_by(|a, b| a.1.total_cmp(&b.1));
    let title = match (p99(BASELINE), slowest) {
        (Some(base), Some((name, worst))) if name != BASELINE && name != CONTROL => format!(
            "At {} one frame in a hundred takes longer than {} without a server, {} {}",
            scene_words(&scene),
            time_us(base.value),
            time_us(worst),
            place(name)
        ),
        _ => format!("Frame times at {}", scene_words(&scene)),
    };
    figure(
        "e1-frames",
        plot,
        title,
        "all frames of all trials together; no percentile with fewer than ten frames beyond it",
        "Percentiles of the frame time by hosting.",
    )
}
