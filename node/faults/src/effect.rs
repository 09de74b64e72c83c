//! What a rule does to messages, and which values make sense.
//!
//! Invariant: an effect that was deserialised, or made by one of the functions here, is valid.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The longest delay, and the widest jitter, that an effect may ask for.
pub const MAX_DELAY_MS: f64 = 60_000.0;

/// What happens to the messages on a link.
///
/// In JSON: `{"kind":"drop","probability":0.1}`, `{"kind":"latency","delay_ms":50.0,"jitter_ms":10.0}` (no jitter if
/// left out), `{"kind":"duplicate","probability":0.1}`, `{"kind":"reorder","probability":0.1,"by_ms":20.0}`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", try_from = "Unchecked")]
pub enum Effect {
    /// Each message is lost with this probability, independently of the others.
    Drop {
        /// From 0 to 1; at 1 the link is cut.
        probability: f64,
    },
    /// Each message arrives later, by a time drawn uniformly from `delay_ms` ± `jitter_ms`, but never less than 0.
    Latency {
        /// The middle of the interval, from 0 to [`MAX_DELAY_MS`].
        delay_ms: f64,
        /// Half the width of the interval, from 0 to [`MAX_DELAY_MS`].
        jitter_ms: f64,
    },
    /// Each message arrives a second time with this probability, as late as the rules on latency then say.
    Duplicate {
        /// From 0 to 1.
        probability: f64,
    },
    /// Each message is held back with this probability, so that those after it overtake it.
    Reorder {
        /// From 0 to 1.
        probability: f64,
        /// For how long at most, from 0 to [`MAX_DELAY_MS`]; the time is drawn uniformly.
        by_ms: f64,
    },
}

/// A value that an effect cannot take.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct InvalidEffect {
    field: &'static str,
    value: f64,
    min: f64,
    max: f64,
}

impl Effect {
    /// The effect that cuts a link.
    pub const CUT: Effect = Effect::Drop { probability: 1.0 };

    /// Loses each message with this probability.
    ///
    /// # Errors
    /// When the probability is not a number from 0 to 1.
    pub fn drop(probability: f64) -> Result<Effect, InvalidEffect> {
        let effect = Effect::Drop { probability };
        effect.validate().map(|()| effect)
    }

    /// Delays each message by `delay_ms` ± `jitter_ms`.
    ///
    /// # Errors
    /// When one of them is not a number from 0 to [`MAX_DELAY_MS`].
    pub fn latency(delay_ms: f64, jitter_ms: f64) -> Result<Effect, InvalidEffect> {
        let effect = Effect::Latency { delay_ms, jitter_ms };
        effect.validate().map(|()| effect)
    }

    /// Delivers each message a second time with this probability.
    ///
    /// # Errors
    /// When the probability is not a number from 0 to 1.
    pub fn duplicate(probability: f64) -> Result<Effect, InvalidEffect> {
        let effect = Effect::Duplicate { probability };
        effect.validate().map(|()| effect)
    }

    /// Holds each message back with this probability, by at most `by_ms`.
    ///
    /// # Errors
    /// When the probability is not a number from 0 to 1, or the time none from 0 to [`MAX_DELAY_MS`].
    pub fn reorder(probability: f64, by_ms: f64) -> Result<Effect, InvalidEffect> {
        let effect = Effect::Reorder { probability, by_ms };
        effect.validate().map(|()| effect)
    }

    /// Checks every value against its range.
    ///
    /// # Errors
    /// The first value that is out of its range or no number at all.
    pub fn validate(&self) -> Result<(), InvalidEffect> {
        match *self {
            Effect::Drop { probability } | Effect::Duplicate { probability } => check("probability", probability, 1.0),
            Effect::Reorder { probability, by_ms } => {
                check("probability", probability, 1.0)?;
                check("by_ms", by_ms, MAX_DELAY_MS)
            }
            Effect::Latency { delay_ms, jitter_ms } => {
                check("delay_ms", delay_ms, MAX_DELAY_MS)?;
                check("jitter_ms", jitter_ms, MAX_DELAY_MS)
            }
        }
    }
}

/// Checks a value that is never negative.
pub(crate) fn check(field: &'static str, value: f64, max: f64) -> Result<(), InvalidEffect> {
    check_from(field, value, 0.0, max)
}

/// Checks a value against both ends of its range.
pub(crate) fn check_from(field: &'static str, value: f64, min: f64, max: f64) -> Result<(), InvalidEffect> {
    // A NaN is in no range, and infinities are outside every range here.
    if (min..=max).contains(&value) { Ok(()) } else { Err(InvalidEffect { field, value, min, max }) }
}

impl fmt::Display for InvalidEffect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` is {}, but must be a number from {} to {}", self.field, self.value, self.min, self.max)
    }
}

impl std::error::Error for InvalidEffect {}

/// The shape of an effect on the wire, before its values are checked.
#[derive(Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
enum Unchecked {
    Drop {
        probability: f64,
    },
    Latency {
        delay_ms: f64,
        #[serde(default)]
        jitter_ms: f64,
    },
    Duplicate {
        probability: f64,
    },
    Reorder {
        probability: f64,
        by_ms: f64,
    },
}

impl TryFrom<Unchecked> for Effect {
    type Error = InvalidEffect;

    fn try_from(unchecked: Unchecked) -> Result<Effect, InvalidEffect> {
        match unchecked {
            Unchecked::Drop { probability } => Effect::drop(probability),
            Unchecked::Latency { delay_ms, jitter_ms } => Effect::latency(delay_ms, jitter_ms),
            Unchecked::Duplicate { probability } => Effect::duplicate(probability),
            Unchecked::Reorder { probability, by_ms } => Effect::reorder(probability, by_ms),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ends_of_every_range_are_allowed() {
        assert_eq!(Effect::drop(0.0), Ok(Effect::Drop { probability: 0.0 }));
        assert_eq!(Effect::drop(1.0), Ok(Effect::CUT));
        assert!(Effect::latency(0.0, 0.0).is_ok());
        assert!(Effect::latency(MAX_DELAY_MS, MAX_DELAY_MS).is_ok());
    }

    #[test]
    fn values_out_of_range_are_refused_by_name() {
        let refused = |effect: Result<Effect, InvalidEffect>| effect.unwrap_err().to_string();
        assert_eq!(refused(Effect::drop(1.5)), "`probability` is 1.5, but must be a number from 0 to 1");
        assert_eq!(refused(Effect::drop(f64::NAN)), "`probability` is NaN, but must be a number from 0 to 1");
        assert_eq!(refused(Effect::latency(-1.0, 0.0)), "`delay_ms` is -1, but must be a number from 0 to 60000");
        assert_eq!(
            refused(Effect::latency(60_001.0, 0.0)),
            "`delay_ms` is 60001, but must be a number from 0 to 60000"
        );
        assert_eq!(
            refused(Effect::latency(1.0, f64::INFINITY)),
            "`jitter_ms` is inf, but must be a number from 0 to 60000"
        );
    }

    #[test]
    fn an_effect_reads_back_as_written() {
        for effect in [Effect::CUT, Effect::drop(0.25).unwrap(), Effect::latency(50.0, 10.5).unwrap()]
            .into_iter()
            .chain([Effect::duplicate(0.5).unwrap(), Effect::reorder(0.5, 20.0).unwrap()])
        {
            let json = serde_json::to_string(&effect).unwrap();
            assert_eq!(serde_json::from_str::<Effect>(&json).unwrap(), effect, "{json}");
        }
    }

    #[test]
    fn jitter_may_be_left_out() {
        let effect: Effect = serde_json::from_str(r#"{"kind":"latency","delay_ms":50}"#).unwrap();
        assert_eq!(effect, Effect::Latency { delay_ms: 50.0, jitter_ms: 0.0 });
    }

    #[test]
    fn what_arrives_from_outside_is_checked() {
        let refusal = |json| serde_json::from_str::<Effect>(json).unwrap_err().to_string();
        let message = refusal(r#"{"kind":"drop","probability":2}"#);
        assert!(message.contains("`probability` is 2, but must be a number from 0 to 1"), "{message}");
        assert!(refusal(r#"{"kind":"latency","delay_ms":5,"jiter_ms":1}"#).contains("jiter_ms"));
        assert!(refusal(r#"{"kind":"teleport"}"#).contains("teleport"));
    }
}
