//! From samples to the numbers of a trial.
//!
//! Invariant: no percentile with fewer than ten samples beyond it; one that is not there is absent.

use anyhow::Context as _;
use hdrhistogram::Histogram;

use super::Measured;
use crate::stats::percentile;

/// The percentiles that are told, and what they are called.
const PERCENTILES: [(&str, f64); 3] = [("p50", 0.5), ("p99", 0.99), ("p999", 0.999)];

/// Adds the percentiles and the largest of these times as `name_us_…`, and their histogram as `name`. Without times,
/// nothing.
///
/// # Errors
/// When a time is too long for a histogram.
pub(super) fn put_times(
    measured: &mut Measured,
    name: &str,
    times_ns: impl IntoIterator<Item = u64>,
) -> anyhow::Result<()> {
    if let Some(histogram) = put_percentiles(measured, name, times_ns)? {
        measured.histograms.insert(name.to_owned(), histogram);
    }
    Ok(())
}

/// Adds the percentiles and the largest of these times only, and returns their histogram, if there are any times.
///
/// # Errors
/// When a time is too long for a histogram.
pub(super) fn put_percentiles(
    measured: &mut Measured,
    name: &str,
    times_ns: impl IntoIterator<Item = u64>,
) -> anyhow::Result<Option<Histogram<u64>>> {
    let mut histogram: Histogram<u64> = Histogram::new(3).context("three digits are within range")?;
    // The histogram knows it to three digits only.
    let mut longest_ns = 0;
    for time_ns in times_ns {
        longest_ns = time_ns.max(longest_ns);
        histogram.record(time_ns).with_context(|| format!("{name} took {time_ns} ns"))?;
    }
    if histogram.is_empty() {
        return Ok(None);
    }
    for (word, quantile) in PERCENTILES {
        if let Some(value_ns) = percentile(&histogram, quantile) {
            measured.metrics.insert(format!("{name}_us_{word}"), value_ns as f64 / 1e3);
        }
    }
    measured.metrics.insert(format!("{name}_us_max"), longest_ns as f64 / 1e3);
    Ok(Some(histogram))
}
