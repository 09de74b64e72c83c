//! E8: how long a cluster is without a leader after its leader is killed, paused or cut off.
//!
//! Invariant: every fault counts once, in each of its stages that was reached.

mod detection;

use super::Part;
use super::draw::{axis, cell, column, figure, group, groups, lines, panels, steps, table};
use super::evidence::Evidence;
use super::finding::{Figure, Hue, Line, Scale};
use super::words::{about_intervals, level, list, number, percent, time_us, with_interval};
use crate::stats::{Estimated, ecdf};

const FAULT: &str = "fault";
const TIMEOUT: &str = "election_timeout_ms";

/// The stages, from the fault on: name in tables, metric.
const STAGES: [(&str, &str); 4] =
    [("detected", "detect_ms"), ("elected", "elect_ms"), ("first commit", "first_commit_ms"), ("client gap", GAP)];
const DETECT: &str = "detect_ms";
const GAP: &str = "gap_ms";

/// What it finds.
pub(super) fn find(evidence: &Evidence<'_>) -> Part {
    let mut part = Part { takeaway: takeaway(evidence), ..Part::default() };
    part.figures.extend(gap_figure(evidence));
    let (figure, remarks) = detection::figure_and_remarks(evidence);
    part.figures.extend(figure);
    part.figures.extend(stages_figure(evidence));
    let rows = combinations(evidence).into_iter().map(|(timeout, fault, some)| {
        let mut row = vec![timeout.to_owned(), fault.to_owned()];
        let of = |metric: &str| cell(Estimated::median_of(&some.all_values(metric)), number);
        row.extend(STAGES.iter().map(|(_, metric)| of(metric)));
        row.push(some.good.len().to_string());
        row
    });
    let columns = ["time-out, ms", "fault", "detected", "elected", "first commit", "client gap", "n"];
    part.tables.extend(table("From the fault on, in ms: medians over trials", &columns, rows.collect()));
    part.caveats.extend(remarks);
    part
}

fn combinations<'a>(evidence: &Evidence<'a>) -> Vec<(&'a str, &'a str, Evidence<'a>)> {
    let mut found = Vec::new();
    for timeout in evidence.levels(TIMEOUT) {
        for fault in evidence.levels(FAULT) {
            let some = evidence.at([(TIMEOUT, timeout), (FAULT, fault)]);
            if !some.good.is_empty() {
                found.push((timeout, fault, some));
            }
        }
    }
    found
}

/// What was done to the leader, in a sentence.
fn deed(fault: &str) -> String {
    match fault {
        "kill" => "killed".into(),
        "pause" => "paused".into(),
        "partition" => "cut off".into(),
        other => format!("met with {other}"),
    }
}

fn takeaway(evidence: &Evidence<'_>) -> Option<String> {
    let mut sentences = Vec::new();
    for timeout in evidence.levels(TIMEOUT) {
        let gaps = evidence.levels(FAULT).into_iter().filter_map(|fault| {
            let some = evidence.at([(TIMEOUT, timeout), (FAULT, fault)]);
            Some((fault, Estimated::median_of(&some.all_values(GAP))?))
        });
        let gaps: Vec<(&str, Estimated)> = gaps.collect();
        let Some((_, first)) = gaps.first() else { continue };
        let sure = first.interval.map_or(String::new(), |interval| format!(", {} intervals", level(interval.level)));
        let phrases = gaps
            .iter()
            .map(|(fault, gap)| format!("{} when the leader is {}", with_interval(gap, milliseconds), deed(fault)));
        let phrases: Vec<String> = phrases.collect();
        sentences.push(format!(
            "With election time-outs of {} ms a client waits for the next leader {} (median, n = {}{sure}).",
            timeout.replace('-', " to "),
            list(&phrases),
            first.n
        ));
    }
    (!sentences.is_empty()).then(|| sentences.join(" "))
}

fn milliseconds(ms: f64) -> String {
    time_us(ms * 1e3)
}

fn gap_figure(evidence: &Evidence<'_>) -> Option<Figure> {
    let mut found = Vec::new();
    let mut gaps = Vec::new();
    for timeout in evidence.levels(TIMEOUT) {
        let lines_here: Vec<Line> = evidence
            .levels(FAULT)
            .into_iter()
            .enumerate()
            .filter_map(|(place, fault)| {
                let sample = evidence.at([(TIMEOUT, timeout), (FAULT, fault)]).all_values(GAP);
                gaps.extend_from_slice(&sample);
                steps(fault, other(place), ecdf(&sample))
            })
            .collect();
        let plot = lines(
            axis("longest wait of a client, ms", Scale::FromZero),
            axis("share of faults", Scale::FromZero),
            lines_here,
        );
        found.extend(plot.map(|plot| (format!("election time-out {timeout} ms"), plot)));
    }
    let all = Estimated::median_of(&gaps)?;
    let longest = gaps.iter().copied().max_by(f64::total_cmp)?;
    figure(
        "e8-gap",
        panels(found),
        format!(
            "Half of the clients wait at most {} for the next leader, the longest {}",
            milliseconds(all.value),
            milliseconds(longest)
        ),
        format!("distribution of the longest time without an acknowledgement, n = {} faults", all.n),
        "How long a client waits when the leader is lost, as an empirical distribution: a step is a fault.",
    )
}

fn other(place: usize) -> Hue {
    Hue::Other(u8::try_from(place).unwrap_or(u8::MAX))
}

fn stages_figure(evidence: &Evidence<'_>) -> Option<Figure> {
    let mut found = Vec::new();
    let mut estimates = Vec::new();
    for (timeout, fault, some) in combinations(evidence) {
        let columns = STAGES.iter().enumerate().filter_map(|(place, (name, metric))| {
            let values = some.all_values(metric);
            estimates.extend(Estimated::median_of(&values));
            column(name, other(place), values)
        });
        found.extend(group(&format!("{fault}, {timeout} ms"), columns.collect()));
    }
    let of = |metric: &str| Some(Estimated::median_of(&evidence.all_values(metric))?.value);
    let title = match (of(DETECT), of("elect_ms")) {
        (Some(detect), Some(elect)) if elect > 0.0 => {
            format!("{} % of the time to a new leader is waiting for a time-out", percent((detect / elect).min(1.0)))
        }
        _ => "From the fault to the next commit".to_owned(),
    };
    figure(
        "e8-stages",
        groups(axis("ms after the fault", Scale::FromZero), found, Vec::new()),
        title,
        about_intervals(&estimates),
        "When, after the fault, the first candidate stood, a leader was elected and a command committed, and how long a client waited.",
    )
}
