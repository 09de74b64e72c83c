//! From samples to the numbers of a trial.
//!
//! Invariant: no percentile with fewer than ten samples beyond it; one that is not there is absent.

use anyhow::Context as _;
use hdrhistogram::Histogram;

use super::Measured;
use crate::stats::percentile;

/// The percentiles that are told, and what they are called.
const PERCENTILES: [(&str, f64); 3] = [("p50", 0.5), ("p99", 0.99), ("p999", 0.999)];

/// Adds the histogram `name` of these times, and its percentiles and largest value as `name_us_…`. Without times,
/// nothing.
///
/// # Errors
/// When a time is too long for a histogram.
pub(super) fn put_times(
    measured: &mut Measured,
    name: &str,
    times_ns: impl IntoIterator<Item = u64>,
) -> anyhow::Result<()> {
    let mut histogram: Histogram<u64> = Histogram::new(3).context("three digits are within range")?;
    for time_ns in times_ns {
        histogram.record(time_ns).with_context(|| format!("{name} took {time_ns} ns"))?;
    }
    if histogram.is_empty() {
        return Ok(());
    }
    for (word, quantile) in PERCENTILES {
        if let Some(value_ns) = percentile(&histogram, quantile) {
            measured.metrics.insert(format!("{name}_us_{word}"), value_ns as f64 / 1e3);
        }
    }
    measured.metrics.insert(format!("{name}_us_max"), histogram.max() as f64 / 1e3);
    measured.histograms.insert(name.to_owned(), histogram);
    Ok(())
}
