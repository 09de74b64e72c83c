//! Numbers as the sentences of a report say them.
//!
//! Invariants: three significant digits at most, a real minus sign, and a unit set off by a blank; what an interval does
//! not support is not said.

use crate::stats::{Estimated, Interval};

/// A number with up to three significant digits, its thousands set apart: `0.43`, `12.3`, `5,630`. Whole ones are
/// written as such.
pub(crate) fn number(value: f64) -> String {
    let magnitude = value.abs();
    let decimals = match magnitude {
        m if m >= 99.95 || m.fract() == 0.0 => 0,
        m if m >= 9.995 => 1,
        m if m >= 0.0995 => 2,
        // Two digits where there is nothing before them.
        m => (1 - m.log10().floor() as i32).clamp(2, 9) as usize,
    };
    let text = format!("{magnitude:.decimals$}");
    let (whole, rest) = text.split_at(text.find('.').unwrap_or(text.len()));
    let whole = whole.parse().map_or_else(|_| whole.to_owned(), crate::summary::thousands);
    format!("{}{whole}{rest}", sign(value, &text))
}

/// A share as a percentage, without the percent sign: `0.4` for 0.004. Tenths, but whole ones from 100 up.
pub(crate) fn percent(share: f64) -> String {
    let percent = share * 100.0;
    let decimals = if percent.abs() >= 99.95 { 0 } else { 1 };
    let text = format!("{:.decimals$}", percent.abs());
    format!("{}{text}", sign(percent, &text))
}

/// The sign of a number that is written as `text`: nothing is less than zero that reads as zero.
fn sign(value: f64, text: &str) -> &'static str {
    let is_zero = text.bytes().all(|byte| matches!(byte, b'0' | b'.'));
    if value < 0.0 && !is_zero { "−" } else { "" }
}

/// A duration given in microseconds, in the unit that reads best: `870 µs`, `1.52 ms`, `2.50 s`.
pub(crate) fn time_us(us: f64) -> String {
    match us.abs() {
        m if m < 999.5 => format!("{} µs", number(us)),
        m if m < 999_500.0 => format!("{} ms", number(us / 1e3)),
        _ => format!("{} s", number(us / 1e6)),
    }
}

/// The level of an interval: `96.9 %`.
pub(crate) fn level(level: f64) -> String {
    let text = format!("{:.1}", level * 100.0);
    format!("{} %", text.strip_suffix(".0").unwrap_or(&text))
}

/// An estimate with its interval in brackets, if it has one, through a function that writes a number: `498 (466…516)`.
pub(crate) fn with_interval(estimate: &Estimated, write: impl Fn(f64) -> String) -> String {
    match estimate.interval {
        Some(interval) => format!("{} ({})", write(estimate.value), range(&interval, write)),
        None => write(estimate.value),
    }
}

/// Both ends of an interval, and their unit once if they share it: `387…425 µs`.
pub(crate) fn range(interval: &Interval, write: impl Fn(f64) -> String) -> String {
    let (low, high) = (write(interval.low), write(interval.high));
    match (low.split_once(' '), high.split_once(' ')) {
        (Some((bare, unit)), Some((_, same))) if unit == same => format!("{bare}…{high}"),
        _ => format!("{low}…{high}"),
    }
}

/// A cost, as a share of something, with its interval, if it has one, and what that allows to be said:
/// `0.4 % of the frames (−0.3…1.1 %: no evidence of a cost)`.
pub(crate) fn cost_of(cost: &Estimated, of: &str) -> String {
    match cost.interval {
        Some(_) => claimed(cost, of, |interval| range(interval, share)),
        None => format!("{}{of}", share(cost.value)),
    }
}

/// The same where it is the first of its kind, with the level of its interval and the size of its sample.
pub(crate) fn cost_in_full(cost: &Estimated, of: &str) -> String {
    claimed(cost, of, |interval| {
        format!("{} interval {}, n = {}", level(interval.level), range(interval, share), cost.n)
    })
}

/// A cost of what has been said before.
pub(crate) fn cost(cost: &Estimated) -> String {
    cost_of(cost, "")
}

fn claimed(cost: &Estimated, of: &str, about: impl Fn(&Interval) -> String) -> String {
    let value = share(cost.value);
    let Some(interval) = &cost.interval else {
        return format!("{value}{of} (n = {}: too few blocks for an interval)", cost.n);
    };
    let claim = match interval {
        interval if interval.holds(0.0) => ": no evidence of a cost",
        interval if interval.high < 0.0 => ": a gain",
        _ => "",
    };
    format!("{value}{of} ({}{claim})", about(interval))
}

/// A ratio with its interval, and what that allows to be said: `1.02 (0.98…1.05: no evidence of a difference)`.
pub(crate) fn ratio(ratio: &Estimated) -> String {
    let claim = match ratio.interval {
        None => return format!("{} (no interval)", number(ratio.value)),
        Some(interval) if interval.holds(1.0) => ": no evidence of a difference",
        Some(_) => "",
    };
    let about = ratio.interval.map(|interval| range(&interval, number)).unwrap_or_default();
    format!("{} ({about}{claim})", number(ratio.value))
}

/// A share as a percentage: `0.4 %`.
pub(crate) fn share(share: f64) -> String {
    format!("{} %", percent(share))
}

/// A sentence's first letter, large.
pub(crate) fn capitalised(text: &str) -> String {
    let mut characters = text.chars();
    characters.next().map_or_else(String::new, |first| first.to_uppercase().chain(characters).collect())
}

/// What the interval is, for subtitles: `bars: exact 96.9 % interval of the median, n = 6`.
pub(crate) fn about_intervals<'a>(estimates: impl IntoIterator<Item = &'a Estimated>) -> String {
    let (mut sizes, mut levels): (Vec<usize>, Vec<String>) = (Vec::new(), Vec::new());
    for estimate in estimates {
        sizes.push(estimate.n);
        levels.extend(estimate.interval.map(|interval| level(interval.level)));
    }
    let (Some(fewest), Some(most)) = (sizes.iter().min(), sizes.iter().max()) else { return "nothing measured".into() };
    let n = if fewest == most { format!("n = {fewest}") } else { format!("n = {fewest} to {most}") };
    levels.sort();
    levels.dedup();
    match levels.as_slice() {
        [] => format!("median, {n}: too few for an interval"),
        [one] => format!("median with exact {one} interval, {n}"),
        _ => format!("median with exact interval of at least 95 %, {n}"),
    }
}

/// A list in words: `a`, `a and b`, `a, b and c`.
pub(crate) fn list(items: &[String]) -> String {
    match items {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

/// A choice in words: `a`, `a or b`, `a, b or c`.
pub(crate) fn either(items: &[String]) -> String {
    match items {
        [first @ .., last] if !first.is_empty() => format!("{} or {last}", first.join(", ")),
        _ => items.concat(),
    }
}

/// A count with its noun: `1 trial`, `2 trials`.
pub(crate) fn count(n: usize, noun: &str) -> String {
    format!("{n} {noun}{}", if n == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_three_digits() {
        let shown: Vec<String> =
            [0.0, 0.001_23, 0.043, 0.5, 1.234, 12.34, 99.96, 498.4, 5_630.0, 1_234_567.0, -3.2, -0.0001]
                .map(number)
                .into();
        assert_eq!(
            shown,
            ["0", "0.0012", "0.043", "0.50", "1.23", "12.3", "100", "498", "5,630", "1,234,567", "−3.20", "−0.00010"]
        );
    }

    #[test]
    fn shares_times_and_levels_read_well() {
        assert_eq!([0.004, -0.0031, 0.251, 0.000_2, -0.000_2].map(percent), ["0.4", "−0.3", "25.1", "0.0", "0.0"]);
        assert_eq!([7.0, 870.4, 1_520.0, 2_500_000.0].map(time_us), ["7 µs", "870 µs", "1.52 ms", "2.50 s"]);
        assert_eq!([0.95, 0.968_75, 0.961_4].map(level), ["95 %", "96.9 %", "96.1 %"]);
    }

    #[test]
    fn lists_read_as_sentences() {
        let words = |items: &[&str]| list(&items.iter().map(ToString::to_string).collect::<Vec<_>>());
        assert_eq!((words(&[]), words(&["a"]), words(&["a", "b", "c"])), ("".into(), "a".into(), "a, b and c".into()));
        assert_eq!((count(1, "trial"), count(2, "trial")), ("1 trial".into(), "2 trials".into()));
    }

    #[test]
    fn an_estimate_without_an_interval_says_how_few_it_is_from() {
        let few = Estimated { value: 0.02, interval: None, n: 3 };
        assert_eq!(with_interval(&few, number), "0.020");
        assert!(cost_in_full(&few, "").contains("too few") && ratio(&few).contains("no interval"));
        assert_eq!(cost(&few), "2.0 %");
        assert_eq!(about_intervals([&few]), "median, n = 3: too few for an interval");
        assert_eq!(about_intervals([]), "nothing measured");
        let six = Estimated::median_of(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]).unwrap();
        assert_eq!(about_intervals([&six]), "median with exact 96.9 % interval, n = 6");
        assert_eq!(with_interval(&six, number), "3.50 (1…6)");
        assert_eq!(with_interval(&six, time_us), "3.50 µs (1…6 µs)");
    }

    #[test]
    fn what_an_interval_does_not_support_is_not_claimed() {
        let of = |low: f64, high: f64| Estimated {
            value: f64::midpoint(low, high),
            interval: Some(Interval { low, high, level: 0.95 }),
            n: 6,
        };
        assert_eq!(cost(&of(-0.003, 0.011)), "0.4 % (−0.3…1.1 %: no evidence of a cost)");
        assert_eq!(cost_of(&of(0.01, 0.03), " of all"), "2.0 % of all (1.0…3.0 %)");
        assert_eq!(cost_in_full(&of(0.01, 0.03), " of all"), "2.0 % of all (95 % interval 1.0…3.0 %, n = 6)");
        assert_eq!(cost(&of(-0.03, -0.01)), "−2.0 % (−3.0…−1.0 %: a gain)");
        assert_eq!(ratio(&of(0.5, 1.25)), "0.88 (0.50…1.25: no evidence of a difference)");
        assert_eq!(ratio(&of(2.0, 3.0)), "2.50 (2…3)");
        assert_eq!(capitalised("ähnlich"), "Ähnlich");
    }
}
