//! E3: how often may a server send heartbeats before the game beside it feels it, on one core and on two.
//!
//! Invariant: a cell is the median ratio to the baseline of the same block and the same number of cores.

use super::arms::cores;
use super::draw::{cell, figure, table};
use super::evidence::{Evidence, leading_number};
use super::finding::{Figure, Heat, Plot};
use super::hosting::{WITH_SERVER, label, place};
use super::words::{about_intervals, count, number, percent, share};
use super::{Part, words};
use crate::experiments::HOSTING;
use crate::stats::{Estimated, median};
use crate::suite::trial::{Arm, Trial};

const HEARTBEAT: &str = "heartbeat_ms";
const CORES: &str = "cores";
const FPS: &str = "fps";

/// The grain of a server's own times.
const GRAIN_MS: f64 = 1.0;
const GRAIN: &str = "no heartbeat is faster than one every millisecond, which is the grain of a server's times: 0.5 ms \
                     cannot be asked for";

/// A cell of the matrix.
struct Cell<'a> {
    hosting: &'a str,
    cores: Option<&'a str>,
    heartbeat: &'a str,
    ratio: Estimated,
}

/// What it finds.
pub(super) fn find(evidence: &Evidence<'_>) -> Part {
    let cells = cells(evidence);
    let mut part = Part { takeaway: takeaway(&cells), ..Part::default() };
    part.figures.extend(heat(evidence, &cells));
    let mut rows = Vec::new();
    for arm in evidence.arms() {
        let found = |cell: &&Cell<'_>| arm_of(cell.hosting, cell.cores, Some(cell.heartbeat)) == *arm;
        let trials: Vec<&Trial> = evidence.good.iter().copied().filter(|trial| trial.arm == *arm).collect();
        rows.push(vec![
            arm.level(HEARTBEAT).unwrap_or("–").to_owned(),
            arm.level(CORES).unwrap_or("–").to_owned(),
            arm.level(HOSTING).map_or("–", label).to_owned(),
            evidence.estimate(arm, FPS).map_or("–".into(), |fps| number(fps.value)),
            cell(cells.iter().find(found).map(Cell::cost), share),
            switches(&trials, |cost| cost.voluntary_switches),
            switches(&trials, |cost| cost.involuntary_switches),
        ]);
    }
    let columns = ["heartbeat, ms", "cores", "server", "frames/s", "cost", "waits/s", "pre-emptions/s"];
    part.tables.extend(table("Frames and context switches (of all processes of a node)", &columns, rows));
    let fastest_ms = evidence.levels(HEARTBEAT).first().and_then(|level| leading_number(level));
    if fastest_ms.is_some_and(|ms| ms >= GRAIN_MS) {
        part.caveats.push(GRAIN.to_owned());
    }
    part
}

impl Cell<'_> {
    fn cost(&self) -> Estimated {
        self.ratio.map(|ratio| 1.0 - ratio)
    }
}

fn arm_of(hosting: &str, cores: Option<&str>, heartbeat: Option<&str>) -> Arm {
    let arm = Arm::of([(HOSTING, hosting)]);
    let arm = cores.into_iter().fold(arm, |arm, cores| arm.with(CORES, cores));
    heartbeat.into_iter().fold(arm, |arm, heartbeat| arm.with(HEARTBEAT, heartbeat))
}

fn cells<'a>(evidence: &Evidence<'a>) -> Vec<Cell<'a>> {
    let mut cores: Vec<Option<&str>> = evidence.levels(CORES).into_iter().map(Some).collect();
    if cores.is_empty() {
        cores.push(None);
    }
    let mut cells = Vec::new();
    for cores in cores {
        for hosting in evidence.hostings().into_iter().filter(|name| WITH_SERVER.contains(name)) {
            for heartbeat in evidence.levels(HEARTBEAT) {
                let other = arm_of(hosting, cores, Some(heartbeat));
                let ratio = evidence.baseline(&other).and_then(|base| evidence.ratio(base, &other, FPS));
                cells.extend(ratio.map(|ratio| Cell { hosting, cores, heartbeat, ratio }));
            }
        }
    }
    cells
}

fn setting(cell: &Cell<'_>) -> String {
    let cores = cell.cores.map_or(String::new(), |level| format!(" on {}", cores(level)));
    format!("{} with a heartbeat every {} ms{cores}", place(cell.hosting), cell.heartbeat)
}

fn takeaway(cells: &[Cell<'_>]) -> Option<String> {
    let worst = cells.iter().min_by(|a, b| a.ratio.value.total_cmp(&b.ratio.value))?;
    let claimed = |cell: &&Cell<'_>| cell.ratio.interval.is_some_and(|interval| interval.high < 1.0);
    let costly = cells.iter().filter(claimed).count();
    let cost = words::cost_of(&worst.cost(), " of the frames");
    let all = count(cells.len(), "combination");
    Some(match costly {
        _ if cells.iter().all(|cell| cell.ratio.interval.is_none()) => format!(
            "There are too few blocks (n = {}) to say what heartbeats cost; the largest difference is {}: {cost}.",
            worst.ratio.n,
            setting(worst)
        ),
        0 => format!(
            "In none of {all} is there evidence that heartbeats cost frames; the largest difference is {}: {cost}.",
            setting(worst)
        ),
        _ => format!(
            "A server costs most {}: {cost}; in {costly} of {all} the interval excludes that it costs none (by chance: in {}).",
            setting(worst),
            number(
                cells.iter().filter_map(|cell| cell.ratio.interval).map(|interval| (1.0 - interval.level) / 2.0).sum()
            )
        ),
    })
}

fn heat(evidence: &Evidence<'_>, cells: &[Cell<'_>]) -> Option<Figure> {
    let heartbeats = evidence.levels(HEARTBEAT);
    let mut kinds: Vec<(&str, Option<&str>)> = cells.iter().map(|cell| (cell.hosting, cell.cores)).collect();
    kinds.dedup();
    let row = |(hosting, cores): &(&str, Option<&str>)| -> Vec<Option<f64>> {
        let at = |heartbeat: &&str| {
            let here = |cell: &&Cell<'_>| (cell.hosting, cell.cores, cell.heartbeat) == (*hosting, *cores, *heartbeat);
            cells.iter().find(here).map(|cell| cell.ratio.value)
        };
        heartbeats.iter().map(at).collect()
    };
    let name = |(hosting, level): &(&str, Option<&str>)| match level {
        Some(level) => format!("{}, {}", label(hosting), cores(level)),
        None => label(hosting).to_owned(),
    };
    let worst = cells.iter().min_by(|a, b| a.ratio.value.total_cmp(&b.ratio.value))?;
    let plot = Plot::Heat(Heat {
        row_label: "server".into(),
        column_label: "heartbeat interval, ms".into(),
        rows: kinds.iter().map(name).collect(),
        columns: heartbeats.iter().map(|level| leading_number(level).map_or((*level).to_owned(), number)).collect(),
        cells: kinds.iter().map(row).collect(),
        neutral: 1.0,
        value_label: "frames per second, relative to no server".into(),
    });
    figure(
        "e3-heartbeat",
        Some(plot),
        match worst.ratio.interval {
            Some(interval) if interval.high < 1.0 => {
                format!(
                    "At worst the game keeps {} % of its frames: beside a server {}",
                    percent(worst.ratio.value),
                    setting(worst)
                )
            }
            Some(_) => "No evidence that heartbeats cost frames, at any interval".to_owned(),
            None => "Too few blocks to say what heartbeats cost".to_owned(),
        },
        about_intervals(cells.iter().map(|cell| &cell.ratio)),
        "Frames per second relative to the baseline of the same block, by heartbeat interval, hosting and cores.",
    )
}

/// Context switches per second of measured time, summed over the processes: the median over the trials.
fn switches(trials: &[&Trial], of: impl Fn(&crate::suite::trial::Cost) -> u64) -> String {
    let per_s = |trial: &&Trial| {
        let seconds = trial.measured_ms as f64 / 1e3;
        let sum: u64 = trial.costs.iter().map(&of).sum();
        (seconds > 0.0 && !trial.costs.is_empty()).then(|| sum as f64 / seconds)
    };
    let rates: Vec<f64> = trials.iter().filter_map(per_s).collect();
    median(&rates).map_or("–".into(), number)
}
