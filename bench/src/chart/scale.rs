//! Axes: from values to pixels, and where to put ticks.
//!
//! Invariant: a scale has a range of more than nothing and maps what is outside to its nearer end, so that no input
//! makes a coordinate that is not a number or off the page.

use crate::analysis::finding::Scale as Kind;

/// An axis.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scale {
    low: f64,
    high: f64,
    start_px: f64,
    end_px: f64,
    shape: Shape,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    Linear,
    Log,
    Percentile,
}

/// The least and the most of some values; `None` where there is no value that can be shown.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Range(Option<(f64, f64)>);

impl Range {
    /// The range of the values that this kind of axis can show.
    pub(crate) fn of(kind: Kind, values: impl IntoIterator<Item = f64>) -> Range {
        let shown = values.into_iter().filter(|value| shows(kind, *value));
        Range(shown.fold(None, |range, value| match range {
            None => Some((value, value)),
            Some((least, most)) => Some((least.min(value), most.max(value))),
        }))
    }

    /// Both ranges.
    #[must_use]
    pub(crate) fn and(self, other: Range) -> Range {
        match (self.0, other.0) {
            (Some((a, b)), Some((c, d))) => Range(Some((a.min(c), b.max(d)))),
            (one, other) => Range(one.or(other)),
        }
    }

    /// How much a linear axis of this kind reaches over; `None` where equal steps are not equally far.
    pub(crate) fn span(self, kind: Kind) -> Option<f64> {
        match (kind, self.0?) {
            (Kind::FromZero, (least, most)) => Some(most.max(0.0) - least.min(0.0)),
            (Kind::Linear, (least, most)) => Some(most - least),
            (Kind::Log | Kind::Percentile, _) => None,
        }
    }

    /// Whether there is nothing to show.
    pub(crate) fn is_empty(self) -> bool {
        self.0.is_none()
    }
}

/// Whether an axis of this kind has a place for a value.
fn shows(kind: Kind, value: f64) -> bool {
    value.is_finite()
        && match kind {
            Kind::FromZero | Kind::Linear => true,
            Kind::Log => value >= f64::MIN_POSITIVE,
            Kind::Percentile => (0.0..100.0).contains(&value),
        }
}

impl Scale {
    /// A vertical axis of a kind for a range, with a little air where the kind allows it.
    pub(crate) fn vertical(kind: Kind, range: Range, start_px: f64, end_px: f64) -> Scale {
        Scale::of(kind, range, 0.05, start_px, end_px)
    }

    /// A horizontal axis of a kind for a range: lines begin and end at its ends.
    pub(crate) fn horizontal(kind: Kind, range: Range, start_px: f64, end_px: f64) -> Scale {
        Scale::of(kind, range, 0.0, start_px, end_px)
    }

    fn of(kind: Kind, range: Range, air: f64, start_px: f64, end_px: f64) -> Scale {
        let (least, most) = range.0.unwrap_or(if kind == Kind::Log { (1.0, 10.0) } else { (0.0, 1.0) });
        let (shape, low, high) = match kind {
            Kind::FromZero => {
                let (least, most) = (least.min(0.0), most.max(0.0));
                (Shape::Linear, grown(least, air), grown(if most > least { most } else { 1.0 }, air))
            }
            Kind::Linear if most > least => {
                let pad = (most / 2.0 - least / 2.0) * (2.0 * air);
                (Shape::Linear, finite(least - pad), finite(most + pad))
            }
            Kind::Linear => {
                let pad = if least == 0.0 { 1.0 } else { least.abs() * 0.05 };
                (Shape::Linear, finite(least - pad), finite(most + pad))
            }
            Kind::Log if most > least => {
                let pad = (most.ln() - least.ln()) * air;
                (Shape::Log, (least.ln() - pad).exp().max(f64::MIN_POSITIVE), finite((most.ln() + pad).exp()))
            }
            Kind::Log => (Shape::Log, (least / 2.0).max(f64::MIN_POSITIVE), finite(most * 2.0)),
            Kind::Percentile => (Shape::Percentile, 0.0, most.max(50.0)),
        };
        // Numbers next to the smallest there is leave no range either.
        let none = shape == Shape::Linear && high / 4.0 - low / 4.0 < f64::MIN_POSITIVE;
        let (low, high) = if none { (low - 1.0, high + 1.0) } else { (low, high) };
        Scale { low, high, start_px, end_px, shape }
    }

    /// From `low` to `high`, on pixels `start_px` to `end_px`.
    pub(crate) fn linear(low: f64, high: f64, start_px: f64, end_px: f64) -> Scale {
        let high = if high > low { high } else { low + 1.0 };
        Scale { low, high, start_px, end_px, shape: Shape::Linear }
    }

    /// Whole decades around `least` and `most`, which must be more than 0 to count.
    pub(crate) fn decades(least: f64, most: f64, start_px: f64, end_px: f64) -> Scale {
        let sound = |value: f64, otherwise: f64| if value.is_finite() && value > 0.0 { value } else { otherwise };
        let low = 10_f64.powf(sound(least, 1.0).log10().floor());
        let high = 10_f64.powf(sound(most, 1.0).log10().ceil()).max(low * 10.0);
        Scale { low, high, start_px, end_px, shape: Shape::Log }
    }

    /// The pixel of a value.
    pub(crate) fn px(&self, value: f64) -> f64 {
        let value = if value.is_nan() { self.low } else { value.clamp(self.low, self.high) };
        let [low, value, high] = [self.low, value, self.high].map(|value| match self.shape {
            // Halved, because the range of two finite numbers need not be finite.
            Shape::Linear => value / 2.0,
            Shape::Log => value.ln(),
            Shape::Percentile => -(1.0 - value / 100.0).log10(),
        });
        self.start_px + (value - low) / (high - low) * (self.end_px - self.start_px)
    }

    /// The pixel of a value, unless the axis has no place for it.
    pub(crate) fn place(&self, value: f64) -> Option<f64> {
        let kind = match self.shape {
            Shape::Linear => Kind::Linear,
            Shape::Log => Kind::Log,
            Shape::Percentile => Kind::Percentile,
        };
        shows(kind, value).then(|| self.px(value))
    }

    /// Where the axis begins and ends, in pixels.
    pub(crate) fn ends_px(&self) -> (f64, f64) {
        (self.start_px, self.end_px)
    }

    /// Round values to label, about `wanted` at most.
    pub(crate) fn ticks(&self, wanted: usize) -> Vec<f64> {
        match self.shape {
            Shape::Linear => linear_ticks(self.low, self.high, wanted),
            Shape::Log => log_ticks(self.low, self.high, wanted),
            Shape::Percentile => {
                let nines = (0..12).map(|nines| 100.0 - 10_f64.powi(2 - nines));
                let mut ticks: Vec<f64> = nines.chain([50.0]).filter(|value| *value <= self.high).collect();
                ticks.sort_by(f64::total_cmp);
                ticks
            }
        }
    }
}

/// Away from zero by a share.
fn grown(value: f64, share: f64) -> f64 {
    finite(value * (1.0 + share))
}

fn finite(value: f64) -> f64 {
    value.clamp(f64::MIN, f64::MAX)
}

fn linear_ticks(low: f64, high: f64, wanted: usize) -> Vec<f64> {
    let wanted = wanted.max(1) as f64;
    let rough = high / wanted - low / wanted;
    let magnitude = 10_f64.powf(rough.log10().floor());
    let step =
        [1.0, 2.0, 5.0, 10.0].map(|factor| factor * magnitude).into_iter().find(|step| *step >= rough * (1.0 - 1e-9));
    let step = step.unwrap_or(10.0 * magnitude);
    let first = (low / step - 1e-9).ceil() as i64;
    let last = (high / step + 1e-9).floor() as i64;
    (first..=last).map(|number| number as f64 * step).collect()
}

/// Within a decade or two 1, 2, 5; over more of them every decade, or every second, third …; and round numbers where
/// not even two of 1, 2, 5 lie inside.
fn log_ticks(low: f64, high: f64, wanted: usize) -> Vec<f64> {
    let wanted = wanted.max(2);
    let (first, last) = (low.log10().floor() as i32, high.log10().ceil() as i32);
    let inside = |value: &f64| value.is_finite() && (low * (1.0 - 1e-9)..=high * (1.0 + 1e-9)).contains(value);
    let every = |decades: i32, factors: &[f64]| -> Vec<f64> {
        let powers = (first..=last).filter(|power| power.rem_euclid(decades) == 0);
        powers.flat_map(|power| factors.iter().map(move |factor| factor * 10_f64.powi(power))).filter(inside).collect()
    };
    let finest = every(1, &[1.0, 2.0, 5.0]);
    if finest.len() < 2 {
        return linear_ticks(low, high, wanted).into_iter().filter(inside).collect();
    }
    let coarser = (1..=last - first).map(|decades| every(decades, &[1.0]));
    let fitting = std::iter::once(finest.clone()).chain(coarser).find(|ticks| ticks.len() <= wanted);
    fitting.filter(|ticks| ticks.len() >= 2).unwrap_or_else(|| vec![finest[0], finest[finest.len() - 1]])
}

/// The end of a linear axis from 0 that holds `most` with a little air.
pub(crate) fn roof(most: f64) -> f64 {
    if most.is_finite() && most > 0.0 { most * 1.05 } else { 1.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KINDS: [Kind; 4] = [Kind::FromZero, Kind::Linear, Kind::Log, Kind::Percentile];

    fn log(low: f64, high: f64) -> Scale {
        Scale::horizontal(Kind::Log, Range::of(Kind::Log, [low, high]), 0.0, 1.0)
    }

    #[test]
    fn ticks_are_round_and_inside() {
        assert_eq!(
            Scale::linear(0.0, 24.0, 0.0, 1.0).ticks(12),
            (0..=12).map(|k| 2.0 * f64::from(k)).collect::<Vec<_>>()
        );
        assert_eq!(Scale::linear(0.0, 330.0, 0.0, 1.0).ticks(4), [0.0, 100.0, 200.0, 300.0]);
        assert_eq!(Scale::decades(0.4, 350.0, 0.0, 1.0).ticks(5).len(), 5);
    }

    #[test]
    fn logarithmic_ticks_suit_the_range() {
        assert_eq!(log(10.0, 1e5).ticks(6), [10.0, 100.0, 1e3, 1e4, 1e5]);
        assert_eq!(log(0.5, 100.0).ticks(10), [0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0]);
        assert_eq!(log(21.0, 29.0).ticks(4), [22.0, 24.0, 26.0, 28.0]);
        let ticks = log(1e-300, 1e300).ticks(6);
        assert!((2..=6).contains(&ticks.len()), "{ticks:?}");
    }

    #[test]
    fn percentiles_are_equally_far_apart_by_nines() {
        let scale = Scale::horizontal(Kind::Percentile, Range::of(Kind::Percentile, [99.9]), 0.0, 300.0);
        assert_eq!(scale.ticks(9), [0.0, 50.0, 90.0, 99.0, 99.9]);
        assert!((scale.px(99.0) - 200.0).abs() < 1e-6 && (scale.px(90.0) - 100.0).abs() < 1e-6);
        assert_eq!((scale.place(100.0), scale.place(f64::NAN)), (None, None));
    }

    #[test]
    fn what_stands_on_zero_shows_zero_and_what_is_below() {
        let scale = Scale::vertical(Kind::FromZero, Range::of(Kind::FromZero, [500.0]), 100.0, 0.0);
        assert_eq!(scale.px(0.0), 100.0);
        let below = Scale::vertical(Kind::FromZero, Range::of(Kind::FromZero, [-10.0, 5.0]), 100.0, 0.0);
        assert!(below.px(0.0) < below.px(-10.0) && below.px(-10.0) < 100.0);
    }

    #[test]
    fn no_input_leaves_the_page() {
        let values = [0.0, -5.0, 1e300, f64::MAX, f64::MIN, 5e-324, f64::NAN, f64::INFINITY, 0.5, 99.99999999, 100.0];
        let pairs = values.iter().flat_map(|low| values.iter().map(move |high| [*low, *high]));
        let mut scales = vec![Scale::linear(0.0, 0.0, 10.0, 20.0), Scale::decades(0.0, f64::NAN, 10.0, 20.0)];
        for pair in pairs {
            scales.extend(KINDS.map(|kind| Scale::vertical(kind, Range::of(kind, pair), 10.0, 20.0)));
            scales.extend(KINDS.map(|kind| Scale::horizontal(kind, Range::of(kind, pair), 10.0, 20.0)));
        }
        for scale in scales {
            for value in values {
                assert!((9.999..=20.001).contains(&scale.px(value)), "{scale:?} {value}");
            }
            let ticks = scale.ticks(4);
            assert!(!ticks.is_empty() && ticks.len() <= 14, "{scale:?} {ticks:?}");
            assert!(ticks.iter().all(|tick| tick.is_finite()), "{scale:?} {ticks:?}");
        }
    }
}
