//! Whether a fault on a link is in effect, from what was measured: probes cross the link, and what came of them is compared
//! with what the rules in force let expect, and with what they would let expect otherwise.
//!
//! Invariant: pure, and never more certain than its numbers. What fits both is [`Outcome::Inconclusive`]; what a busy
//! machine may have caused is never a [`Outcome::Mismatch`].
//!
//! Deliberately absent: sending probes; that needs a network.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::Effect;

/// The quantile of the intervals for shares: 99.9 % of all looks at a link that is as it should be say so.
const Z: f64 = 3.29;

/// So much longer than it should may a probe take because the machine is busy, in milliseconds.
const BUSY_MS: f64 = 10.0;

/// What a link without faults takes at the most, in milliseconds, by its fastest probe.
const IDLE_MS: f64 = 2.0;

/// A probe that is later than the fastest by more than this share of the time for which messages are held back was held back:
/// a busy machine is late by itself, and rarely by so much.
const HELD_SHARE: f64 = 0.4;

/// The probes that tell of a share, in all: enough to tell 20 % from none, or from 40 %.
const FOR_A_SHARE: u32 = 200;

/// The probes that tell of a delay within an interval.
const FOR_AN_INTERVAL: u32 = 20;

/// The probes that tell of what is the same for every message.
const FOR_A_CONSTANT: u32 = 5;

/// How a look at a fault ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// What was measured is what was wanted, and would not be without it.
    Confirmed,
    /// It does not tell.
    Inconclusive,
    /// What was measured is not what was wanted.
    Mismatch,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Outcome::Confirmed => "confirmed",
            Outcome::Inconclusive => "inconclusive",
            Outcome::Mismatch => "mismatch",
        })
    }
}

/// What came of probes over a link, or over several with the same rules.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkMeasured {
    /// How many were lost on the link.
    pub lost: u32,
    /// How many arrived, and arrived once more.
    pub doubled: u32,
    /// How many brought no answer in time, so that it is not known what became of them.
    pub silent: u32,
    /// How long each took that arrived, in microseconds.
    pub delays_us: Vec<u32>,
}

impl LinkMeasured {
    /// Adds what came of others.
    pub fn add(&mut self, other: LinkMeasured) {
        self.lost += other.lost;
        self.doubled += other.doubled;
        self.silent += other.silent;
        self.delays_us.extend(other.delays_us);
    }

    /// Those of which it is known what became of them.
    fn known(&self) -> u32 {
        self.lost + self.arrived()
    }

    fn arrived(&self) -> u32 {
        u32::try_from(self.delays_us.len()).unwrap_or(u32::MAX)
    }

    fn fastest_ms(&self) -> Option<f64> {
        self.delays_us.iter().min().map(|us| f64::from(*us) / 1e3)
    }

    fn median_ms(&self) -> Option<f64> {
        let mut sorted = self.delays_us.clone();
        sorted.sort_unstable();
        sorted.get(sorted.len() / 2).map(|us| f64::from(*us) / 1e3)
    }

    /// How many were later than the fastest by more than this.
    fn held_back(&self, by_ms: f64) -> u32 {
        let fastest = self.fastest_ms().unwrap_or(0.0);
        let is_held = |us: &&u32| f64::from(**us) / 1e3 > fastest + by_ms;
        u32::try_from(self.delays_us.iter().filter(is_held).count()).unwrap_or(u32::MAX)
    }
}

/// What rules let expect of a message.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Expected {
    /// Lost with this probability.
    loss: f64,
    /// Delivered twice with this one.
    doubled: f64,
    /// By how much it is late at least and at most, in milliseconds, unless it is held back.
    late_ms: (f64, f64),
    /// In the middle of that.
    middle_ms: f64,
    /// Held back with this probability, long enough to be seen.
    held: f64,
    /// How long that is, in milliseconds.
    held_ms: f64,
}

impl Expected {
    fn of(effects: &[Effect]) -> Expected {
        let mut expected = Expected::default();
        let either = |one: f64, other: f64| 1.0 - (1.0 - one) * (1.0 - other);
        for effect in effects {
            match *effect {
                Effect::Drop { probability } => expected.loss = either(expected.loss, probability),
                Effect::Duplicate { probability } => expected.doubled = either(expected.doubled, probability),
                Effect::Latency { delay_ms, jitter_ms } => {
                    expected.late_ms.0 += (delay_ms - jitter_ms).max(0.0);
                    expected.late_ms.1 += delay_ms + jitter_ms;
                    expected.middle_ms += delay_ms;
                }
                Effect::Reorder { probability, by_ms } => {
                    expected.held = either(expected.held, probability * (1.0 - HELD_SHARE));
                    expected.held_ms = expected.held_ms.max(by_ms * HELD_SHARE);
                }
            }
        }
        expected
    }

    fn has_jitter(&self) -> bool {
        self.late_ms.0 < self.late_ms.1
    }
}

/// How many probes each of so many links needs, to tell of these effects. The cost is bounded: a share is told by all of
/// them together.
pub fn probes_per_link(effects: &[Effect], links: usize) -> u32 {
    let is_share = |probability: f64| probability > 0.0 && probability < 1.0;
    let each = |effect: &Effect| match *effect {
        Effect::Drop { probability } | Effect::Duplicate { probability } | Effect::Reorder { probability, .. } => {
            if is_share(probability) {
                FOR_A_SHARE
            } else {
                FOR_A_CONSTANT
            }
        }
        Effect::Latency { jitter_ms, .. } => {
            if jitter_ms > 0.0 {
                FOR_AN_INTERVAL
            } else {
                FOR_A_CONSTANT
            }
        }
    };
    let all = effects.iter().map(each).max().unwrap_or(FOR_A_CONSTANT);
    all.div_ceil(u32::try_from(links.max(1)).unwrap_or(u32::MAX)).max(FOR_A_CONSTANT)
}

/// By how much a message may be late at the most, in milliseconds.
pub fn longest_delay_ms(effects: &[Effect]) -> f64 {
    let held = |effect: &Effect| if let Effect::Reorder { by_ms, .. } = effect { *by_ms } else { 0.0 };
    Expected::of(effects).late_ms.1 + effects.iter().map(held).sum::<f64>()
}

/// Compares what was measured on a link with what its rules let expect, and with what `others` would: those without the
/// fault that is looked at, or with it where it should be gone. Says in words what was seen.
pub fn judge(measured: &LinkMeasured, rules: &[Effect], others: &[Effect]) -> (Outcome, String) {
    let (wanted, other) = (Expected::of(rules), Expected::of(others));
    if measured.known() == 0 {
        return (Outcome::Inconclusive, format!("none of {} probes was answered", measured.silent));
    }
    let fits = [
        share(measured.lost, measured.known(), wanted.loss, other.loss),
        share(measured.doubled, measured.arrived(), wanted.doubled, other.doubled),
        delay(measured, &wanted, &other),
        held_back(measured, &wanted, &other),
    ];
    let outcome = match (fits.contains(&Fit::No), fits.contains(&Fit::Unsure), fits.contains(&Fit::ThisOnly)) {
        (true, ..) => Outcome::Mismatch,
        (false, false, true) => Outcome::Confirmed,
        (false, ..) => Outcome::Inconclusive,
    };
    (outcome, in_words(measured, &wanted, &other))
}

/// How a number fits what was wanted, and what would be otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fit {
    /// It is as wanted, and would not be otherwise.
    ThisOnly,
    /// It would be the same otherwise.
    Both,
    /// It is neither, but a busy machine may be the cause.
    Unsure,
    /// It is not as wanted.
    No,
}

/// Whether so many of so many fit a probability.
fn share(count: u32, of: u32, wanted: f64, other: f64) -> Fit {
    let (low, high) = interval(count, of);
    let fits = |probability: f64| (low..=high).contains(&probability);
    match (fits(wanted), fits(other)) {
        (false, _) => Fit::No,
        (true, false) => Fit::ThisOnly,
        (true, true) => Fit::Both,
    }
}

/// The interval of Wilson for the probability of what came so often.
fn interval(count: u32, of: u32) -> (f64, f64) {
    if of == 0 {
        return (0.0, 1.0);
    }
    let (count, of) = (f64::from(count), f64::from(of));
    let (rate, z2) = (count / of, Z * Z);
    let middle = (rate + z2 / (2.0 * of)) / (1.0 + z2 / of);
    let half = Z / (1.0 + z2 / of) * (rate * (1.0 - rate) / of + z2 / (4.0 * of * of)).sqrt();
    // Where all or none did, the interval ends exactly there.
    let low = if count == 0.0 { 0.0 } else { middle - half };
    let high = if count == of { 1.0 } else { middle + half };
    (low, high)
}

/// Whether the fastest probe was as late as wanted: no later one says as much, since a machine only ever adds to delays.
fn delay(measured: &LinkMeasured, wanted: &Expected, other: &Expected) -> Fit {
    let Some(fastest) = measured.fastest_ms() else { return Fit::Both };
    let (low, high) = wanted.late_ms;
    if fastest < low {
        return Fit::No;
    }
    if fastest > high + BUSY_MS {
        return Fit::Unsure;
    }
    let would_be = other.late_ms.0 <= fastest && fastest <= other.late_ms.1 + IDLE_MS;
    if would_be { Fit::Both } else { Fit::ThisOnly }
}

/// Whether as many were held back as wanted. Where delays vary by themselves, that cannot be seen.
fn held_back(measured: &LinkMeasured, wanted: &Expected, other: &Expected) -> Fit {
    if wanted.held == other.held || wanted.has_jitter() {
        return Fit::Both;
    }
    let count = measured.held_back(wanted.held_ms.max(other.held_ms));
    match share(count, measured.arrived(), wanted.held, other.held) {
        Fit::No if f64::from(count) > wanted.held * f64::from(measured.arrived()) => Fit::Unsure,
        fit => fit,
    }
}

/// `52 ms, wanted 50`, `5 of 5 probes lost`.
fn in_words(measured: &LinkMeasured, wanted: &Expected, other: &Expected) -> String {
    let mut words = Vec::new();
    let percent = |share: f64| format!("{} %", (share * 1e6).round() / 1e4);
    let known = measured.known();
    if wanted.loss > 0.0 || other.loss > 0.0 || measured.lost > 0 {
        let goal = if wanted.loss == 1.0 { String::new() } else { format!(", wanted {}", percent(wanted.loss)) };
        words.push(format!("{} of {known} probes lost{goal}", measured.lost));
    }
    let arrived = measured.arrived();
    if wanted.doubled > 0.0 || other.doubled > 0.0 {
        words.push(format!("{} of {arrived} came twice, wanted {}", measured.doubled, percent(wanted.doubled)));
    }
    if wanted.held > 0.0 || other.held > 0.0 {
        let held = measured.held_back(wanted.held_ms.max(other.held_ms));
        words.push(format!("{held} of {arrived} came out of order, wanted {}", percent(wanted.held)));
    }
    if let Some(median) = measured.median_ms().filter(|_| words.is_empty() || wanted.late_ms != other.late_ms) {
        let goal = match (wanted.late_ms.1 > 0.0, wanted.has_jitter()) {
            (true, false) => format!(", wanted {}", wanted.middle_ms),
            (true, true) => format!(", wanted {} to {}", wanted.late_ms.0, wanted.late_ms.1),
            (false, _) => String::new(),
        };
        words.push(format!("{} ms{goal}", rounded(median)));
    }
    if measured.silent > 0 {
        words.push(format!("{} without an answer", measured.silent));
    }
    words.join(", ")
}

/// To a tenth below ten, else to the whole.
fn rounded(ms: f64) -> f64 {
    if ms < 10.0 { (ms * 10.0).round() / 10.0 } else { ms.round() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arrived(delays_us: &[u32]) -> LinkMeasured {
        LinkMeasured { delays_us: delays_us.to_vec(), ..LinkMeasured::default() }
    }

    fn latency(delay_ms: f64, jitter_ms: f64) -> Effect {
        Effect::latency(delay_ms, jitter_ms).unwrap()
    }

    fn seen(measured: &LinkMeasured, rules: &[Effect], others: &[Effect]) -> String {
        let (outcome, words) = judge(measured, rules, others);
        format!("{outcome}: {words}")
    }

    #[test]
    fn a_cut_is_seen_by_lost_probes_and_its_end_by_probes_that_arrive() {
        let lost = LinkMeasured { lost: 5, ..LinkMeasured::default() };
        assert_eq!(seen(&lost, &[Effect::CUT], &[]), "confirmed: 5 of 5 probes lost");
        let through = arrived(&[400, 300, 500, 400, 400]);
        assert_eq!(seen(&through, &[Effect::CUT], &[]), "mismatch: 0 of 5 probes lost");
        assert_eq!(seen(&through, &[], &[Effect::CUT]), "confirmed: 0 of 5 probes lost, wanted 0 %");
        assert_eq!(seen(&lost, &[], &[Effect::CUT]), "mismatch: 5 of 5 probes lost, wanted 0 %");
        let one_lost = LinkMeasured { lost: 1, ..arrived(&[400; 4]) };
        assert_eq!(judge(&one_lost, &[Effect::CUT], &[]).0, Outcome::Mismatch);
    }

    #[test]
    fn a_latency_is_seen_by_its_fastest_probe() {
        let late = arrived(&[51_900, 50_400, 52_100, 52_000, 90_000]);
        assert_eq!(seen(&late, &[latency(50.0, 0.0)], &[]), "confirmed: 52 ms, wanted 50");
        assert_eq!(seen(&late, &[latency(60.0, 0.0)], &[]), "mismatch: 52 ms, wanted 60");
        assert_eq!(seen(&late, &[latency(20.0, 0.0)], &[]), "inconclusive: 52 ms, wanted 20", "a busy machine?");
        assert_eq!(seen(&late, &[latency(50.0, 10.0)], &[]), "confirmed: 52 ms, wanted 40 to 60");
        assert_eq!(seen(&arrived(&[300; 5]), &[], &[latency(50.0, 0.0)]), "confirmed: 0.3 ms");
        assert_eq!(seen(&arrived(&[1_500; 5]), &[latency(1.0, 0.0)], &[]), "inconclusive: 1.5 ms, wanted 1");
    }

    #[test]
    fn delays_of_several_faults_add_up_and_what_is_cut_hides_the_rest() {
        let both = [latency(50.0, 0.0), latency(20.0, 0.0)];
        assert_eq!(seen(&arrived(&[71_000; 5]), &both, &both[..1]), "confirmed: 71 ms, wanted 70");
        let lost = LinkMeasured { lost: 5, ..LinkMeasured::default() };
        let hidden = judge(&lost, &[Effect::CUT, latency(50.0, 0.0)], &[Effect::CUT]);
        assert_eq!(hidden, (Outcome::Inconclusive, "5 of 5 probes lost".to_owned()));
    }

    #[test]
    fn a_share_is_told_from_none_and_from_another_or_not_at_all() {
        let lost = |lost, of| LinkMeasured { lost, ..arrived(&vec![400; of - lost as usize]) };
        let fifth = [Effect::drop(0.2).unwrap()];
        assert_eq!(seen(&lost(43, 200), &fifth, &[]), "confirmed: 43 of 200 probes lost, wanted 20 %");
        assert_eq!(seen(&lost(90, 200), &fifth, &[]), "mismatch: 90 of 200 probes lost, wanted 20 %");
        assert_eq!(judge(&lost(1, 5), &fifth, &[]).0, Outcome::Confirmed, "without it none would be lost");
        assert_eq!(judge(&lost(0, 5), &fifth, &[]).0, Outcome::Inconclusive);
        let twice = LinkMeasured { doubled: 60, ..arrived(&[400; 200]) };
        let third = [Effect::duplicate(0.3).unwrap()];
        assert_eq!(seen(&twice, &third, &[]), "confirmed: 60 of 200 came twice, wanted 30 %");
    }

    #[test]
    fn what_comes_out_of_order_is_seen_where_delays_are_steady() {
        let reorder = Effect::reorder(0.5, 20.0).unwrap();
        let mut delays = vec![400; 140];
        delays.extend((0..60).map(|step| 8_600 + step * 190));
        assert_eq!(seen(&arrived(&delays), &[reorder], &[]), "confirmed: 60 of 200 came out of order, wanted 30 %");
        assert_eq!(judge(&arrived(&[400; 200]), &[reorder], &[]).0, Outcome::Mismatch);
        assert_eq!(
            judge(&arrived(&delays), &[reorder, latency(9.0, 9.0)], &[latency(9.0, 9.0)]).0,
            Outcome::Inconclusive
        );
    }

    #[test]
    fn silence_tells_nothing() {
        let silent = LinkMeasured { silent: 5, ..LinkMeasured::default() };
        assert_eq!(seen(&silent, &[Effect::CUT], &[]), "inconclusive: none of 5 probes was answered");
        let most = LinkMeasured { silent: 4, ..arrived(&[52_000]) };
        assert_eq!(seen(&most, &[latency(50.0, 0.0)], &[]), "confirmed: 52 ms, wanted 50, 4 without an answer");
    }

    #[test]
    fn the_number_of_probes_is_bounded_and_shared() {
        assert_eq!(probes_per_link(&[Effect::CUT], 20), 5);
        assert_eq!(probes_per_link(&[latency(5.0, 2.0)], 1), 20);
        assert_eq!(probes_per_link(&[Effect::drop(0.1).unwrap()], 1), 200);
        assert_eq!(probes_per_link(&[Effect::drop(0.1).unwrap()], 20), 10);
        assert_eq!(longest_delay_ms(&[latency(50.0, 10.0), Effect::reorder(0.1, 30.0).unwrap()]), 90.0);
    }
}
