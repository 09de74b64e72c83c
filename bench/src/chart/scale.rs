//! Axes: from values to pixels, and where to put ticks.
//!
//! Invariant: a scale has a range of more than nothing and maps what is outside to its nearer end, so that no input
//! makes a coordinate that is not a number or off the page.

/// A linear or logarithmic axis.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scale {
    low: f64,
    high: f64,
    start_px: f64,
    end_px: f64,
    log: bool,
}

impl Scale {
    /// From `low` to `high`, on pixels `start_px` to `end_px`.
    pub(crate) fn linear(low: f64, high: f64, start_px: f64, end_px: f64) -> Scale {
        let high = if high > low { high } else { low + 1.0 };
        Scale { low, high, start_px, end_px, log: false }
    }

    /// Whole decades around `least` and `most`, which must be more than 0 to count.
    pub(crate) fn decades(least: f64, most: f64, start_px: f64, end_px: f64) -> Scale {
        let sound = |value: f64, otherwise: f64| if value.is_finite() && value > 0.0 { value } else { otherwise };
        let low = 10_f64.powf(sound(least, 1.0).log10().floor());
        let high = 10_f64.powf(sound(most, 1.0).log10().ceil()).max(low * 10.0);
        Scale { low, high, start_px, end_px, log: true }
    }

    /// The pixel of a value.
    pub(crate) fn px(&self, value: f64) -> f64 {
        let value = if value.is_nan() { self.low } else { value.clamp(self.low, self.high) };
        let share = match self.log {
            true => (value / self.low).ln() / (self.high / self.low).ln(),
            false => (value - self.low) / (self.high - self.low),
        };
        self.start_px + share * (self.end_px - self.start_px)
    }

    /// Round values to label: at most about `wanted` on a linear axis, every decade on a logarithmic one.
    pub(crate) fn ticks(&self, wanted: usize) -> Vec<f64> {
        if self.log {
            let decades = (self.high / self.low).log10().round() as i32;
            return (0..=decades).map(|decade| self.low * 10_f64.powi(decade)).collect();
        }
        let rough = (self.high - self.low) / wanted.max(1) as f64;
        let magnitude = 10_f64.powf(rough.log10().floor());
        let step = [1.0, 2.0, 5.0, 10.0].map(|factor| factor * magnitude).into_iter().find(|step| *step >= rough);
        let step = step.unwrap_or(10.0 * magnitude);
        let first = (self.low / step).ceil() as i64;
        let last = (self.high / step + 1e-9).floor() as i64;
        (first..=last).map(|number| number as f64 * step).collect()
    }
}

/// The end of a linear axis from 0 that holds `most` with a little air.
pub(crate) fn roof(most: f64) -> f64 {
    if most.is_finite() && most > 0.0 { most * 1.05 } else { 1.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_inside() {
        assert_eq!(
            Scale::linear(0.0, 24.0, 0.0, 1.0).ticks(12),
            (0..=12).map(|k| 2.0 * f64::from(k)).collect::<Vec<_>>()
        );
        assert_eq!(Scale::linear(0.0, 330.0, 0.0, 1.0).ticks(4), [0.0, 100.0, 200.0, 300.0]);
        assert_eq!(Scale::decades(0.4, 350.0, 0.0, 1.0).ticks(0).len(), 5);
    }

    #[test]
    fn no_input_leaves_the_page() {
        for scale in [Scale::linear(0.0, 0.0, 10.0, 20.0), Scale::decades(0.0, f64::NAN, 10.0, 20.0)] {
            for value in [0.0, -5.0, 1e300, f64::NAN, f64::INFINITY, 0.5] {
                assert!((10.0..=20.0).contains(&scale.px(value)), "{scale:?} {value}");
            }
            assert!(!scale.ticks(4).is_empty());
        }
    }
}
