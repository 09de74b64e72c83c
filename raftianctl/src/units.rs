//! Quantities as people type them: `500ms`, `10s`, `500/s`, `20%`, `150-300`.
//!
//! Invariant: what is accepted has one meaning; a number without the unit it needs is refused, not guessed at, and
//! every refusal shows the form that is understood.

use std::time::Duration;

use raftian_bench::load::MAX_RATE_PER_S;
use raftian_rpc::faults::MAX_DELAY_MS;

/// The longest duration that makes sense here.
const MAX_DURATION: Duration = Duration::from_secs(24 * 60 * 60);

/// The largest size in bytes that makes sense here.
const MAX_SIZE_BYTES: f64 = 1e12;

/// A duration above 0 and up to a day: `500ms`, `10s`, `1.5m`, `1h`.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let refusal =
        || format!("`{text}` is not a duration; write a number and a unit: 500ms, 10s, 2m or 1h (at most 24h)");
    let ms = milliseconds(text).ok_or_else(refusal)?;
    if ms <= 0.0 {
        return Err(format!("`{text}` is no time at all; a duration must be longer than 0"));
    }
    if ms > MAX_DURATION.as_millis() as f64 {
        return Err(refusal());
    }
    Ok(Duration::from_secs_f64(ms / 1e3))
}

/// How long ago something was, at most ten years: `30m`, `12h`, `7d`.
pub(crate) fn age(text: &str) -> Result<Duration, String> {
    let refusal = || format!("`{text}` is not an age; write a number and a unit: 30m, 12h or 7d");
    let ms = match text.strip_suffix('d') {
        Some(days) => days.parse::<f64>().map_err(|_| refusal())? * 86_400_000.0,
        None => milliseconds(text).ok_or_else(refusal)?,
    };
    if !(0.0..=3650.0 * 86_400_000.0).contains(&ms) {
        return Err(refusal());
    }
    Ok(Duration::from_secs_f64(ms / 1e3))
}

/// A delay of messages in milliseconds, from 0 to a minute: `50ms`, `1.5ms`, `2s`.
pub(crate) fn delay_ms(text: &str) -> Result<f64, String> {
    milliseconds(text)
        .filter(|ms| (0.0..=MAX_DELAY_MS).contains(ms))
        .ok_or_else(|| format!("`{text}` is not a delay; write a number and a unit: 50ms, 1.5ms or 2s (at most 60s)"))
}

/// A rate per second: `500/s` or `500`.
pub(crate) fn rate_per_s(text: &str) -> Result<f64, String> {
    number(text.strip_suffix("/s").unwrap_or(text))
        .filter(|rate| *rate > 0.0 && *rate <= MAX_RATE_PER_S)
        .ok_or_else(|| format!("`{text}` is not a rate; write commands per second: 500/s (at most {MAX_RATE_PER_S}/s)"))
}

/// A probability above 0 and up to 1: `20%` or `0.2`.
pub(crate) fn probability(text: &str) -> Result<f64, String> {
    let parsed = match text.strip_suffix('%') {
        Some(percent) => number(percent).map(|percent| percent / 100.0),
        None => number(text),
    };
    parsed.filter(|share| *share > 0.0 && *share <= 1.0).ok_or_else(|| {
        format!("`{text}` is not a share of messages; write a percentage above 0: 20% (or 0.2), up to 100%")
    })
}

/// A range of whole milliseconds: `150-300`.
pub(crate) fn range_ms(text: &str) -> Result<(u64, u64), String> {
    let bare = text.strip_suffix("ms").unwrap_or(text);
    bare.split_once('-')
        .and_then(|(first, last)| Some((whole(first)?, whole(last)?)))
        .ok_or_else(|| format!("`{text}` is not a range of milliseconds; write both ends: 150-300"))
}

/// Whole milliseconds: `50` or `50ms`.
pub(crate) fn whole_ms(text: &str) -> Result<u64, String> {
    whole(text.strip_suffix("ms").unwrap_or(text))
        .ok_or_else(|| format!("`{text}` is not a number of milliseconds; write 50 or 50ms"))
}

/// A size in bytes: `4096`, `64KiB`, `1.5MB`, or `never` for 0.
pub(crate) fn size(text: &str) -> Result<u64, String> {
    let refusal =
        || format!("`{text}` is not a size; write bytes with or without a unit: 4096, 64KiB, 16MB or `never`");
    if text == "never" {
        return Ok(0);
    }
    let (count, unit) = text.split_at(text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len()));
    let factor = match unit {
        "" | "B" => 1.0,
        "kB" | "KB" => 1e3,
        "MB" => 1e6,
        "GB" => 1e9,
        "KiB" => 1024.0,
        "MiB" => 1024.0 * 1024.0,
        "GiB" => 1024.0 * 1024.0 * 1024.0,
        _ => return Err(refusal()),
    };
    let bytes = number(count).ok_or_else(refusal)? * factor;
    match (1.0..=MAX_SIZE_BYTES).contains(&bytes) {
        true => Ok(bytes as u64),
        false => Err(format!("`{text}` is out of range; a size is 1 byte to 1000 GB, or `never`")),
    }
}

/// A number of nodes of a lab.
pub(crate) fn node_count(text: &str) -> Result<u16, String> {
    up_to(text, raftian_rpc::MAX_NODES).ok_or_else(|| format!("a lab has 1 to {} nodes", raftian_rpc::MAX_NODES))
}

/// A seed: any whole number that 64 bits hold.
pub(crate) fn seed(text: &str) -> Result<u64, String> {
    whole(text).ok_or_else(|| format!("`{text}` is not a seed; write a whole number: 7 (at most {})", u64::MAX))
}

/// A player's number.
pub(crate) fn player(text: &str) -> Result<u16, String> {
    let max = raftian_rpc::MAX_PLAYERS;
    up_to(text, max).ok_or_else(|| format!("`{text}` is not a player; write a number from 1 to {max}: 3"))
}

/// A number of players.
pub(crate) fn player_count(text: &str) -> Result<u16, String> {
    let max = raftian_rpc::MAX_PLAYERS;
    up_to(text, max).ok_or_else(|| format!("`{text}` is not a number of players; write one from 1 to {max}: 5"))
}

/// How many pixels one command paints.
pub(crate) fn batch(text: &str) -> Result<usize, String> {
    let most = raftian_check::apps::MAX_BATCH_PX;
    whole(text)
        .and_then(|count| usize::try_from(count).ok())
        .filter(|count| (1..=most).contains(count))
        .ok_or_else(|| format!("`{text}` is not a number of pixels for one command; write one from 1 to {most}: 64"))
}

/// The size of a canvas.
pub(crate) fn canvas_size(text: &str) -> Result<raftian_rpc::Size, String> {
    text.parse().map_err(|error: raftian_check::apps::ParseSizeError| error.to_string())
}

/// An integer of 64 bits, which may be less than 0.
pub(crate) fn integer(text: &str) -> Result<i64, String> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let is_plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    is_plain
        .then(|| text.parse().ok())
        .flatten()
        .ok_or_else(|| format!("`{text}` is not an integer of 64 bits; write a whole number: 3 or -3"))
}

/// The most frames per second of a game; `None` for as many as the machine draws.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FpsCap(pub(crate) Option<u32>);

/// A cap on frames per second: `60`, or `none`.
pub(crate) fn fps_cap(text: &str) -> Result<FpsCap, String> {
    match (text, whole(text).and_then(|cap| u32::try_from(cap).ok())) {
        ("none", _) => Ok(FpsCap(None)),
        (_, Some(cap @ 1..)) => Ok(FpsCap(Some(cap))),
        _ => Err(format!("`{text}` is not a cap; write frames per second, at least 1, or `none`")),
    }
}

fn up_to(text: &str, max: u16) -> Option<u16> {
    whole(text).and_then(|count| u16::try_from(count).ok()).filter(|count| (1..=max).contains(count))
}

fn milliseconds(text: &str) -> Option<f64> {
    let unit_at = text.find(|c: char| c.is_ascii_alphabetic())?;
    let (count, unit) = text.split_at(unit_at);
    let factor = match unit {
        "ms" => 1.0,
        "s" => 1e3,
        "m" | "min" => 60e3,
        "h" => 3600e3,
        _ => return None,
    };
    Some(number(count)? * factor)
}

/// Digits with at most one point among them; not everything that `f64` reads (`-1`, `1e9`, `inf`).
fn number(text: &str) -> Option<f64> {
    let plain = text.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    let framed = text.starts_with(|c: char| c.is_ascii_digit()) && text.ends_with(|c: char| c.is_ascii_digit());
    (plain && framed).then(|| text.parse().ok()).flatten()
}

fn whole(text: &str) -> Option<u64> {
    let plain = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    plain.then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_a_number_and_a_unit() {
        for (text, ms) in [("500ms", 500), ("10s", 10_000), ("1.5s", 1_500), ("2m", 120_000), ("2min", 120_000)] {
            assert_eq!(duration(text), Ok(Duration::from_millis(ms)), "{text}");
        }
        assert_eq!(duration("24h"), Ok(MAX_DURATION));
        for text in
            ["", "10", "s", "-5s", "0s", "NaNs", "infs", "1e3s", "25h", "10 s", "1..5s", ".5s", "5.s", "10d", "+1s"]
        {
            assert!(duration(text).is_err(), "{text:?}");
        }
        assert!(duration("-5s").unwrap_err().contains("500ms, 10s"));
    }

    #[test]
    fn delays_may_be_nothing_but_not_more_than_a_minute() {
        assert_eq!(delay_ms("0ms"), Ok(0.0));
        assert_eq!(delay_ms("1.5ms"), Ok(1.5));
        assert_eq!(delay_ms("60s"), Ok(60_000.0));
        for text in ["50", "-1ms", "61s", "2m"] {
            assert!(delay_ms(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn rates_and_shares_are_positive_and_bounded() {
        assert_eq!(rate_per_s("500/s"), Ok(500.0));
        assert_eq!(rate_per_s("0.5"), Ok(0.5));
        for text in ["0", "-1/s", "500/m", "", "/s", "1000001", "NaN"] {
            assert!(rate_per_s(text).is_err(), "{text:?}");
        }
        assert_eq!(probability("20%"), Ok(0.2));
        assert_eq!(probability("0.2"), Ok(0.2));
        assert_eq!(probability("100%"), Ok(1.0));
        for text in ["20", "0%", "101%", "-5%", "%", "NaN%"] {
            assert!(probability(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn an_age_may_be_in_days() {
        assert_eq!(age("7d"), Ok(Duration::from_secs(7 * 86_400)));
        assert_eq!(age("0.5h"), Ok(Duration::from_secs(1_800)));
        for text in ["", "d", "7", "-1d", "NaNd", "99999d", "1w"] {
            assert!(age(text).unwrap_err().contains("is not an age"), "{text:?}");
        }
    }

    #[test]
    fn sizes_have_a_unit_or_none() {
        for (text, bytes) in [("4096", 4096), ("64KiB", 65_536), ("1.5MB", 1_500_000), ("2GiB", 2 << 30), ("never", 0)]
        {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
        for text in ["", "0", "-1", "1 MB", "1mb", "MB", "1e6", "2000GB", "NaN"] {
            assert!(size(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_cap_is_a_number_or_none() {
        assert_eq!(fps_cap("60"), Ok(FpsCap(Some(60))));
        assert_eq!(fps_cap("none"), Ok(FpsCap(None)));
        for text in ["0", "-60", "60fps", "", "None", "4294967296"] {
            assert!(fps_cap(text).unwrap_err().contains("`none`"), "{text:?}");
        }
    }

    #[test]
    fn counts_and_ranges_say_their_limits() {
        assert_eq!(node_count("64"), Ok(64));
        for text in ["0", "65", "1000", "-1", "five", "99999999999999999999"] {
            assert_eq!(node_count(text), Err("a lab has 1 to 64 nodes".to_owned()), "{text:?}");
        }
        assert_eq!((seed("0"), seed("18446744073709551615")), (Ok(0), Ok(u64::MAX)));
        for text in ["foo", "", "-1", "1.5", "18446744073709551616"] {
            assert!(seed(text).unwrap_err().contains("is not a seed; write a whole number"), "{text:?}");
        }
        assert_eq!(player("3"), Ok(3));
        assert!(player("n3").unwrap_err().contains("1 to 64"));
        assert!(player_count("65").unwrap_err().contains("is not a number of players; write one from 1 to 64"));
        assert_eq!((integer("3"), integer("-3")), (Ok(3), Ok(-3)));
        for text in ["abc", "", "-", "+3", "1.5", "9223372036854775808"] {
            assert!(
                integer(text).unwrap_err().contains("is not an integer of 64 bits; write a whole number"),
                "{text:?}"
            );
        }
        assert_eq!(range_ms("150-300"), Ok((150, 300)));
        assert_eq!(range_ms("150-300ms"), Ok((150, 300)));
        for text in ["150", "150-", "-300", "a-b", "1-2-3"] {
            assert!(range_ms(text).is_err(), "{text:?}");
        }
        assert_eq!(whole_ms("50"), Ok(50));
        assert!(whole_ms("-50").is_err());
    }
}
