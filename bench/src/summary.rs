//! The statistics of a load.
//!
//! Invariants: percentiles are those of [`stats`](crate::stats), so none with fewer than ten samples beyond it; an
//! operation without an answer counts with the time it was waited for, which is a lower bound and never flatters.

use std::fmt;

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

use crate::load::{OutcomeKind, Sample};
use crate::stats::percentile;

/// What a load came to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// Operations.
    pub n: u64,
    /// Of these, acknowledged.
    pub ok: u64,
    /// Of these, certainly without effect.
    pub failed: u64,
    /// Of these, without a known outcome.
    pub unknown: u64,
    /// How long commands were sent.
    pub duration_s: f64,
    /// The rate that was asked for; `None` in a closed loop.
    pub offered_rate_per_s: Option<f64>,
    /// Acknowledged per second of `duration_s`.
    pub achieved_rate_per_s: f64,
    /// From the intended send to the outcome.
    pub latency_us: Percentiles,
    /// From the intended to the actual send.
    pub send_lag_us: Percentiles,
    /// The longest time without an acknowledgement, from the start of the load to the end of its schedule.
    pub longest_gap_ms: f64,
}

/// Percentiles, each `None` where too few samples lie beyond it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Percentiles {
    /// The median.
    pub p50: Option<u64>,
    /// The 90th.
    pub p90: Option<u64>,
    /// The 99th.
    pub p99: Option<u64>,
    /// The 99.9th.
    pub p99_9: Option<u64>,
    /// The largest; `None` only without samples.
    pub max: Option<u64>,
}

impl Summary {
    /// Summarises the operations of a load that ran from `start_ns` to `end_ns`.
    pub fn of(samples: &[Sample], start_ns: u64, end_ns: u64, offered_rate_per_s: Option<f64>) -> Summary {
        let count = |kind| samples.iter().filter(|sample| sample.kind == kind).count() as u64;
        let ok = count(OutcomeKind::Ok);
        let duration_s = end_ns.saturating_sub(start_ns) as f64 / 1e9;
        Summary {
            n: samples.len() as u64,
            ok,
            failed: count(OutcomeKind::Failed),
            unknown: count(OutcomeKind::Unknown),
            duration_s,
            offered_rate_per_s,
            achieved_rate_per_s: if duration_s > 0.0 { ok as f64 / duration_s } else { 0.0 },
            latency_us: Percentiles::of(&histogram(samples.iter().map(Sample::latency_us))),
            send_lag_us: Percentiles::of(&histogram(
                samples.iter().map(|sample| sample.sent_ns.saturating_sub(sample.intended_ns) / 1_000),
            )),
            longest_gap_ms: longest_gap_ns(samples, start_ns, end_ns) as f64 / 1e6,
        }
    }
}

impl Percentiles {
    /// Reads the percentiles off a histogram.
    pub fn of(histogram: &Histogram<u64>) -> Percentiles {
        Percentiles {
            p50: percentile(histogram, 0.5),
            p90: percentile(histogram, 0.9),
            p99: percentile(histogram, 0.99),
            p99_9: percentile(histogram, 0.999),
            max: (!histogram.is_empty()).then(|| histogram.max()),
        }
    }
}

/// A histogram of microseconds with three significant digits; what is over an hour counts as an hour.
pub fn histogram(values_us: impl IntoIterator<Item = u64>) -> Histogram<u64> {
    let mut histogram = Histogram::new_with_bounds(1, 3_600_000_000, 3).expect("the bounds are in order");
    for value in values_us {
        histogram.saturating_record(value);
    }
    histogram
}

/// The longest time without an acknowledgement between `start_ns` and `end_ns`.
pub fn longest_gap_ns(samples: &[Sample], start_ns: u64, end_ns: u64) -> u64 {
    let acknowledged = samples.iter().filter(|sample| sample.kind == OutcomeKind::Ok);
    let mut times: Vec<u64> = acknowledged.map(|sample| sample.completed_ns.clamp(start_ns, end_ns)).collect();
    times.extend([start_ns, end_ns]);
    times.sort_unstable();
    times.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap_or(0)
}

/// A time in microseconds as people read it: `870 µs`, `1.52 ms`, `312 ms`, `2.50 s`.
pub fn human_us(us: u64) -> String {
    match us {
        0..=999 => format!("{us} µs"),
        1_000..=9_999 => format!("{:.2} ms", us as f64 / 1e3),
        10_000..=99_999 => format!("{:.1} ms", us as f64 / 1e3),
        100_000..=999_999 => format!("{:.0} ms", us as f64 / 1e3),
        _ => format!("{:.2} s", us as f64 / 1e6),
    }
}

/// A rate as people read it: `498/s`, `9.5/s`, `0.01/s`.
pub fn human_rate(per_s: f64) -> String {
    match per_s {
        0.0 => "0/s".to_owned(),
        ..0.1 => {
            let decimals = (-per_s.log10()).ceil() as usize;
            format!("{per_s:.decimals$}/s")
        }
        ..10.0 => format!("{}/s", (per_s * 10.0).round() / 10.0),
        _ => format!("{per_s:.0}/s"),
    }
}

/// A count with its thousands set apart: `12,345`.
pub fn thousands(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

impl fmt::Display for Percentiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = [("p50", self.p50), ("p90", self.p90), ("p99", self.p99), ("p99.9", self.p99_9), ("max", self.max)];
        for (place, (name, value)) in parts.into_iter().enumerate() {
            let gap = if place == 0 { "" } else { " · " };
            write!(f, "{gap}{name} {}", value.map_or("–".to_owned(), human_us))?;
        }
        if self.p99_9.is_none() {
            f.write_str(" (–: fewer than ten samples beyond it)")?;
        }
        Ok(())
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts = [self.n, self.ok, self.failed, self.unknown].map(thousands);
        let [n, ok, failed, unknown] = counts;
        writeln!(
            f,
            "operations   {n} in {:.1} s: {ok} acknowledged, {failed} failed, {unknown} unknown",
            self.duration_s
        )?;
        let offered = self.offered_rate_per_s.map_or("closed loop".to_owned(), |rate| format!("{rate}/s offered"));
        writeln!(f, "rate         {:.1}/s acknowledged ({offered})", self.achieved_rate_per_s)?;
        writeln!(f, "latency      {}", self.latency_us)?;
        if self.failed + self.unknown > 0 {
            writeln!(
                f,
                "             of all {n}: those not acknowledged count with the time until they were given up"
            )?;
        }
        writeln!(f, "send lag     {}", self.send_lag_us)?;
        write!(f, "longest gap  {}", human_us((self.longest_gap_ms * 1e3) as u64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    #[test]
    fn a_rate_that_is_not_zero_does_not_read_as_zero() {
        let texts = [0.0, 0.002, 0.01, 0.034, 0.5, 9.46, 12.0, 498.4].map(human_rate);
        assert_eq!(texts, ["0/s", "0.002/s", "0.01/s", "0.03/s", "0.5/s", "9.5/s", "12/s", "498/s"]);
    }

    fn sample(intended_ms: u64, completed_ms: u64, kind: OutcomeKind) -> Sample {
        Sample { intended_ns: intended_ms * MS, sent_ns: intended_ms * MS, completed_ns: completed_ms * MS, kind }
    }

    fn percentiles(n: u64) -> Percentiles {
        Percentiles::of(&histogram(1..=n))
    }

    #[test]
    fn each_percentile_stands_in_its_place_once_there_are_samples_for_it() {
        assert_eq!(percentiles(0), Percentiles::default());
        assert_eq!(percentiles(1), Percentiles { max: Some(1), ..Percentiles::default() });
        let all = percentiles(10_000);
        let shown = [all.p50, all.p90, all.p99, all.p99_9, all.max].map(|value| value.unwrap() / 10);
        assert_eq!(shown, [500, 900, 990, 999, 1_000]);
    }

    #[test]
    fn what_is_missing_prints_as_a_dash() {
        assert_eq!(
            percentiles(25).to_string(),
            "p50 13 µs · p90 – · p99 – · p99.9 – · max 25 µs (–: fewer than ten samples beyond it)"
        );
    }

    #[test]
    fn the_longest_gap_counts_the_edges_and_only_acknowledgements_end_it() {
        let ok = OutcomeKind::Ok;
        let samples = [sample(0, 20, ok), sample(10, 30, ok), sample(20, 60, OutcomeKind::Unknown), sample(30, 70, ok)];
        assert_eq!(longest_gap_ns(&samples, 0, 80 * MS), 40 * MS);
        assert_eq!(longest_gap_ns(&samples, 0, 200 * MS), 130 * MS);
        assert_eq!(longest_gap_ns(&[], 0, 5 * MS), 5 * MS);
    }

    #[test]
    fn an_unanswered_operation_counts_with_the_time_it_was_waited_for() {
        let samples = [sample(0, 5_000, OutcomeKind::Unknown)];
        let summary = Summary::of(&samples, 0, 1_000 * MS, Some(1.0));
        assert_eq!((summary.n, summary.ok, summary.unknown), (1, 0, 1));
        assert!(summary.latency_us.max.unwrap() >= 4_999_000);
        assert_eq!(summary.achieved_rate_per_s, 0.0);
        assert!(summary.to_string().contains("of all 1: those not acknowledged count with"), "{summary}");
        let answered = Summary::of(&[sample(0, 5, OutcomeKind::Ok)], 0, 1_000 * MS, Some(1.0));
        assert!(!answered.to_string().contains("of all"), "{answered}");
    }

    #[test]
    fn numbers_read_well() {
        let texts: Vec<String> = [7, 1_520, 12_340, 312_400, 2_500_000].map(human_us).into();
        assert_eq!(texts, ["7 µs", "1.52 ms", "12.3 ms", "312 ms", "2.50 s"]);
        assert_eq!([0, 999, 1_000, 1_234_567].map(thousands), ["0", "999", "1,000", "1,234,567"]);
    }
}
