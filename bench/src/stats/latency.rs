//! What histograms and samples of times say: percentiles, curves, distributions.
//!
//! Invariant: no percentile with fewer than ten samples beyond it.

use hdrhistogram::Histogram;

/// Samples that must lie beyond a percentile for it to be told.
const EXCEEDANCES: f64 = 10.0;

/// The value at a quantile (0 to 1); `None` with fewer than ten samples beyond it.
pub fn percentile(histogram: &Histogram<u64>, quantile: f64) -> Option<u64> {
    // Rounded: 1000 × (1 − 0.99) is a hair below ten in floating point.
    let beyond = (histogram.len() as f64 * (1.0 - quantile) * 1e6).round() / 1e6;
    (beyond >= EXCEEDANCES).then(|| histogram.value_at_quantile(quantile))
}

/// All samples of several histograms in one; `None` without any.
pub fn merged<'a>(histograms: impl IntoIterator<Item = &'a Histogram<u64>>) -> Option<Histogram<u64>> {
    let mut all = Histogram::new(3).ok()?;
    for histogram in histograms {
        all.add(histogram).ok()?;
    }
    (!all.is_empty()).then_some(all)
}

/// Points of the percentile plot (percent, value), from the tenth percentile, nine to each further nine, as far as ten
/// samples lie beyond.
pub fn percentile_curve(histogram: &Histogram<u64>) -> Vec<(f64, u64)> {
    let tens = (1..9).map(|tenth| f64::from(tenth) / 10.0);
    let nines =
        (1..7).flat_map(|nines| (0..9).map(move |step| 1.0 - (10.0 - f64::from(step)) * 10f64.powi(-nines - 1)));
    let quantiles = tens.chain(nines);
    quantiles.map_while(|quantile| Some((quantile * 100.0, percentile(histogram, quantile)?))).collect()
}

/// The steps of a sample's distribution: each value and the share of the sample at or below it, beginning with the
/// smallest at 0. Empty if a number is not finite.
pub fn ecdf(sample: &[f64]) -> Vec<(f64, f64)> {
    if !sample.iter().all(|value| value.is_finite()) {
        return Vec::new();
    }
    let mut sorted = sample.to_vec();
    sorted.sort_by(f64::total_cmp);
    let n = sorted.len() as f64;
    let first = sorted.first().map(|smallest| (*smallest, 0.0));
    first.into_iter().chain(sorted.iter().enumerate().map(|(place, value)| (*value, (place + 1) as f64 / n))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn histogram(values: impl IntoIterator<Item = u64>) -> Histogram<u64> {
        let mut histogram = Histogram::new(3).unwrap();
        for value in values {
            histogram.record(value).unwrap();
        }
        histogram
    }

    #[test]
    fn a_percentile_needs_ten_samples_beyond_it() {
        assert_eq!(percentile(&histogram(1..=19), 0.5), None);
        assert_eq!(percentile(&histogram(1..=20), 0.5), Some(10));
        assert_eq!(percentile(&histogram(1..=999), 0.99), None);
        assert_eq!(percentile(&histogram(1..=1000), 0.99), Some(990));
        assert_eq!(percentile(&histogram([]), 0.5), None);
    }

    #[test]
    fn merging_keeps_every_sample() {
        let (low, high) = (histogram(1..=100), histogram([1_000_000_000]));
        let all = merged([&low, &high]).unwrap();
        assert_eq!((all.len(), percentile(&all, 0.5)), (101, Some(51)));
        assert!(all.max() >= 1_000_000_000);
        assert_eq!(merged([]), None);
        assert_eq!(merged([&histogram([])]), None);
    }

    #[test]
    fn a_curve_ends_where_ten_samples_are_left() {
        let curve = percentile_curve(&histogram(1..=1000));
        let last = curve.last().unwrap();
        assert!((last.0 - 99.0).abs() < 1e-9 && last.1 == 990, "{last:?}");
        assert!(curve.windows(2).all(|pair| pair[0].0 < pair[1].0 && pair[0].1 <= pair[1].1), "{curve:?}");
        assert!(percentile_curve(&histogram(1..=5)).is_empty());
    }

    #[test]
    fn a_distribution_climbs_from_nothing_to_all() {
        assert_eq!(ecdf(&[3.0, 1.0]), [(1.0, 0.0), (1.0, 0.5), (3.0, 1.0)]);
        assert!(ecdf(&[]).is_empty() && ecdf(&[f64::NAN]).is_empty());
    }
}
