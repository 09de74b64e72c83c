//! Numbers as charts write them: as short as they can be without hiding a difference.
//!
//! Invariant: the minus is a minus sign, thousands are set apart, and numbers too long to read are powers of ten.

/// Below this a number is written with a power of ten.
const SMALL: f64 = 1e-4;

/// From this on a number is written with a power of ten.
const LARGE: f64 = 1e7;

/// A round number, in full: a tick.
pub(crate) fn plain(value: f64) -> String {
    written(value, 10)
}

/// A measured number, to three digits or to the unit.
pub(crate) fn short(value: f64) -> String {
    if (99.95..LARGE).contains(&value.abs()) { written(value.round(), 10) } else { written(value, 3) }
}

/// As many decimals as an axis can show, for the numbers written on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Precision {
    /// Three digits each, for axes on which numbers of all sizes meet.
    Digits,
    /// So many decimals.
    Decimals(usize),
}

impl Precision {
    /// For an axis that reaches over so much; `None` for one on which small numbers count like large ones.
    pub(crate) fn of(span: Option<f64>) -> Precision {
        match span {
            // A step of a two-hundredth is about a pixel.
            Some(span) if (1e-2..LARGE).contains(&span) => {
                Precision::Decimals((-(span / 200.0).log10().floor()).max(0.0) as usize)
            }
            _ => Precision::Digits,
        }
    }

    /// A measured number.
    pub(crate) fn write(self, value: f64) -> String {
        match self {
            Precision::Decimals(decimals) if value.abs() < LARGE => {
                let text = format!("{:.decimals$}", value.abs());
                let (whole, fraction) = text.split_at(text.find('.').unwrap_or(text.len()));
                let is_zero = text.bytes().all(|byte| matches!(byte, b'0' | b'.'));
                format!("{}{}{fraction}", if value < 0.0 && !is_zero { "−" } else { "" }, grouped(whole))
            }
            _ => short(value),
        }
    }

    /// A measured change, with its sign.
    pub(crate) fn signed(self, value: f64) -> String {
        let text = self.write(value);
        let changed = value > 0.0 && text.bytes().any(|byte| (b'1'..=b'9').contains(&byte));
        if changed { format!("+{text}") } else { text }
    }
}

/// Measured numbers of one matrix: with the same decimals, so that they can be compared by eye.
pub(crate) fn alike(values: &[f64]) -> Vec<String> {
    let sizes = || values.iter().map(|value| value.abs()).filter(|size| *size > 0.0);
    let least = sizes().fold(f64::INFINITY, f64::min);
    if least < 0.01 || sizes().any(|size| size >= 1e4) {
        return values.iter().copied().map(short).collect();
    }
    // Three digits of the least.
    let decimals = if least.is_finite() { (2.0 - least.log10().floor()).clamp(0.0, 3.0) as usize } else { 0 };
    let text = |value: &f64| format!("{value:.decimals$}").replace('-', "−");
    values.iter().map(text).collect()
}

fn written(value: f64, digits: i32) -> String {
    if value == 0.0 || !value.is_finite() {
        // Callers draw finite numbers only.
        return if value == 0.0 { "0".into() } else { "–".into() };
    }
    let sign = if value < 0.0 { "−" } else { "" };
    let size = value.abs();
    // Printed in exponent form, the number is rounded before its exponent is decided.
    let scientific = format!("{size:.*e}", usize::try_from(digits - 1).unwrap_or(0));
    let (mantissa, exponent) = scientific.split_once('e').expect("exponent form has an e");
    let exponent: i32 = exponent.parse().expect("the exponent is a number");
    if !(SMALL..LARGE).contains(&size) {
        let mantissa = trimmed(mantissa);
        let times = if mantissa == "1" { String::new() } else { format!("{mantissa}×") };
        return format!("{sign}{times}10{}", superscript(exponent));
    }
    let decimals = usize::try_from(digits - 1 - exponent).unwrap_or(0);
    let text = format!("{size:.decimals$}");
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    let fraction = fraction.trim_end_matches('0');
    let point = if fraction.is_empty() { "" } else { "." };
    format!("{sign}{}{point}{fraction}", grouped(whole))
}

fn trimmed(decimal: &str) -> &str {
    if decimal.contains('.') { decimal.trim_end_matches('0').trim_end_matches('.') } else { decimal }
}

fn grouped(digits: &str) -> String {
    digits.parse().map_or_else(|_| digits.to_owned(), crate::summary::thousands)
}

fn superscript(exponent: i32) -> String {
    let raised = |letter| match letter {
        '-' => '⁻',
        digit => ['⁰', '¹', '²', '³', '⁴', '⁵', '⁶', '⁷', '⁸', '⁹'][digit as usize - '0' as usize],
    };
    exponent.to_string().chars().map(raised).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_written_in_full() {
        let texts = [0.0, 0.1 + 0.2, 1_000.0, 250_000.0, -2.5, 1e7, 2e-7, 0.0005, 99.999, 1e300].map(plain);
        assert_eq!(texts, ["0", "0.3", "1,000", "250,000", "−2.5", "10⁷", "2×10⁻⁷", "0.0005", "99.999", "10³⁰⁰"]);
    }

    #[test]
    fn measured_numbers_keep_three_digits_or_the_unit() {
        let texts = [2914.4, 286.0, 99.97, 16.666, 0.9968, 0.012345, 1.23456e9].map(short);
        assert_eq!(texts, ["2,914", "286", "100", "16.7", "0.997", "0.0123", "1.23×10⁹"]);
    }

    #[test]
    fn numbers_on_an_axis_have_the_decimals_it_can_show() {
        let frames = Precision::of(Some(5_135.0));
        assert_eq!([2914.4, 14.2, -0.3].map(|value| frames.write(value)), ["2,914", "14", "0"]);
        let percent = Precision::of(Some(57.0));
        assert_eq!([-0.225, 20.0, 10.44].map(|value| percent.write(value)), ["−0.2", "20.0", "10.4"]);
        assert_eq!([3.0, -3.0, 0.01].map(|value| frames.signed(value)), ["+3", "−3", "0"]);
        assert_eq!([None, Some(1e300), Some(0.0)].map(Precision::of), [Precision::Digits; 3]);
        assert_eq!(percent.write(f64::NAN), "–");
    }

    #[test]
    fn numbers_of_a_matrix_have_the_same_decimals() {
        assert_eq!(alike(&[0.96, 1.0, -0.9935]), ["0.960", "1.000", "−0.994"]);
        assert_eq!(alike(&[12.0, 99.96, 0.0]), ["12.0", "100.0", "0.0"]);
        assert_eq!(alike(&[0.001, 1.0]), ["0.001", "1"]);
        assert_eq!((alike(&[0.0]), alike(&[])), (vec!["0".to_owned()], vec![]));
    }
}
