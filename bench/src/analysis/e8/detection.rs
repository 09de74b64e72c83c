//! When the loss of a leader is noticed, against when it should be.
//!
//! The followers' election time-outs are uniform draws, and the first to run out decides. A time-out counts from the
//! leader's last message, which came at most a heartbeat before the fault, and under load later than that: so the time
//! from fault to detection lies, as a distribution, between the first of n − 1 draws and the same less a uniform part of
//! a heartbeat.
//!
//! Invariant: what is expected is computed from the parameters that the trials themselves wrote down.

use super::{DETECT, TIMEOUT};
use crate::analysis::draw::{axis, figure, lines, panels, steps};
use crate::analysis::evidence::Evidence;
use crate::analysis::finding::{Figure, Hue, Line, Scale};
use crate::analysis::words::percent;
use crate::stats::{ecdf, first_of_uniform, kolmogorov_critical_distance, kolmogorov_distance};
use crate::suite::trial::Trial;

/// The fewest faults that are compared with a distribution.
const FEWEST: usize = 5;

/// Points of an analytic curve.
const CURVE_POINTS: u32 = 60;

/// What decides when the loss of a leader is noticed.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Detection {
    low_ms: f64,
    high_ms: f64,
    heartbeat_ms: f64,
    followers: u32,
}

/// The detection times against the analytic bounds, and what is to be said about the fit.
pub(super) fn figure_and_remarks(evidence: &Evidence<'_>) -> (Option<Figure>, Vec<String>) {
    let (mut found, mut remarks, mut fits) = (Vec::new(), Vec::new(), Vec::new());
    for timeout in evidence.levels(TIMEOUT) {
        let here = evidence.at([(TIMEOUT, timeout)]);
        let Some(detection) = here.good.iter().find_map(|trial| Detection::of(trial)) else { continue };
        let like_it = here.good.iter().filter(|trial| Detection::of(trial) == Some(detection));
        let sample: Vec<f64> = like_it.filter_map(|trial| trial.metrics.get(DETECT).copied()).collect();
        let Some(distance) = kolmogorov_distance(&sample, |at| detection.bounds(at)) else { continue };
        let limit = kolmogorov_critical_distance(sample.len());
        if sample.len() >= FEWEST {
            fits.push(distance <= limit);
            remarks.push(format!(
                "detection with time-outs of {timeout} ms {} the analytic bounds: outside them by {} % of the faults, where chance allows {} % at n = {}",
                if distance <= limit { "agrees with" } else { "differs from" },
                percent(distance),
                percent(limit),
                sample.len()
            ));
        }
        let curve = |label: &str, silence_ms: f64| {
            steps(label, Hue::Reference, detection.curve(silence_ms)).map(|line| Line { steps: false, ..line })
        };
        let mut drawn: Vec<Line> = steps("measured", Hue::Other(0), ecdf(&sample)).into_iter().collect();
        drawn.extend(curve("latest", 0.0));
        drawn.extend(curve("earliest", detection.heartbeat_ms));
        let x = axis("from the fault to the first candidate, ms", Scale::FromZero);
        let plot = lines(x, axis("share of faults", Scale::FromZero), drawn);
        found.extend(plot.map(|plot| (format!("election time-out {timeout} ms"), plot)));
    }
    let title = match (fits.is_empty(), fits.iter().all(|fit| *fit)) {
        (true, _) => "When the loss of the leader is noticed: too few faults to judge the fit",
        (false, true) => "The loss of the leader is noticed when the first of the followers' time-outs should run out",
        (false, false) => "The loss of the leader is not always noticed when the first time-out should run out",
    };
    let figure = figure(
        "e8-detection",
        panels(found),
        title,
        "a step is a fault; latest: the first of n − 1 uniform time-outs; earliest: less a uniform part of a heartbeat",
        "The time from the fault to the first candidate as an empirical distribution, between the bounds that uniform \
         election time-outs give: they count from the leader's last message, up to a heartbeat before the fault.",
    );
    (figure, remarks)
}

impl Detection {
    /// The parameters a trial wrote down.
    fn of(trial: &Trial) -> Option<Detection> {
        let metric = |name: &str| trial.metrics.get(name).copied().filter(|value| *value >= 0.0);
        let (low_ms, high_ms) = (metric("timeout_ms_min")?, metric("timeout_ms_max")?);
        let (heartbeat_ms, followers) = (metric("heartbeat_ms")?, metric("followers")? as u32);
        (high_ms >= low_ms && followers >= 1).then_some(Detection { low_ms, high_ms, heartbeat_ms, followers })
    }

    /// The least and the largest chance that the loss is noticed within `at` milliseconds after the fault.
    fn bounds(&self, at: f64) -> (f64, f64) {
        (self.noticed_by(at, 0.0), self.noticed_by(at, self.heartbeat_ms))
    }

    /// The chance that it is, where the leader was silent for up to `silence_ms` before the fault.
    fn noticed_by(&self, at: f64, silence_ms: f64) -> f64 {
        // The mean over moments within the silence.
        const MOMENTS: u32 = 32;
        let moments = (0..MOMENTS).map(|moment| (f64::from(moment) + 0.5) / f64::from(MOMENTS) * silence_ms);
        let chances = moments.map(|since| first_of_uniform(at + since, self.low_ms, self.high_ms, self.followers));
        chances.sum::<f64>() / f64::from(MOMENTS)
    }

    fn curve(&self, silence_ms: f64) -> impl Iterator<Item = (f64, f64)> {
        let start = (self.low_ms - silence_ms).max(0.0);
        let step = (self.high_ms - start) / f64::from(CURVE_POINTS);
        (0..=CURVE_POINTS).map(move |place| {
            let at = start + step * f64::from(place);
            (at, self.noticed_by(at, silence_ms))
        })
    }
}
