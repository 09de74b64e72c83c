//! The rules in force, and the verdict on each message.
//!
//! Invariant: every message that is judged takes exactly one draw from the generator of its link, whatever the rules
//! say; that draw seeds a generator for this message alone, from which each rule on the link takes its luck in turn.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::Effect;

/// One direction between two nodes, by their numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Link {
    /// The node that sends.
    pub from: u16,
    /// The node that receives.
    pub to: u16,
}

/// An effect on one link.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Rule {
    /// The node that sends.
    pub from: u16,
    /// The node that receives.
    pub to: u16,
    /// What happens to the messages.
    pub effect: Effect,
}

impl Rule {
    /// The link that the rule is about.
    pub fn link(&self) -> Link {
        Link { from: self.from, to: self.to }
    }
}

/// What is to become of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a verdict that nobody carries out is no fault"]
pub enum Verdict {
    /// It goes through at once.
    Pass,
    /// It is lost.
    Drop,
    /// It goes through after this time, which is never zero.
    Delay(Duration),
    /// It goes through twice, after these times, of which either may be zero.
    Twice(Duration, Duration),
}

/// Judges messages by the rules in force.
#[derive(Clone, Debug)]
pub struct Filter {
    seed: u64,
    effects: BTreeMap<Link, Vec<Effect>>,
    generators: BTreeMap<Link, fastrand::Rng>,
}

impl Filter {
    /// A filter without rules. The same seed gives the same verdicts.
    pub fn new(seed: u64) -> Filter {
        Filter { seed, effects: BTreeMap::new(), generators: BTreeMap::new() }
    }

    /// Replaces all rules. The links keep their place in their sequences of draws.
    ///
    /// # Panics
    /// When an effect is not [valid](Effect::validate). Effects from outside have been checked by deserialising them.
    pub fn set_rules(&mut self, rules: Vec<Rule>) {
        self.effects.clear();
        for rule in rules {
            if let Err(invalid) = rule.effect.validate() {
                panic!("a rule on the link from {} to {} is invalid: {invalid}", rule.from, rule.to);
            }
            self.effects.entry(rule.link()).or_default().push(rule.effect);
        }
    }

    /// The verdict on the next message over a link. Several latency rules add up; if any rule drops the message, it is
    /// dropped.
    pub fn judge(&mut self, link: Link) -> Verdict {
        let generator = self.generators.entry(link).or_insert_with(|| generator_of(self.seed, link));
        let mut luck = fastrand::Rng::with_seed(generator.u64(..));
        let effects = self.effects.get(&link).map_or(&[][..], Vec::as_slice);
        let (mut dropped, mut doubled) = (false, false);
        let mut delay_ms = 0.0;
        for effect in effects {
            let draw = luck.f64();
            match *effect {
                Effect::Drop { probability } => dropped |= draw < probability,
                Effect::Duplicate { probability } => doubled |= draw < probability,
                Effect::Latency { .. } | Effect::Reorder { .. } => delay_ms += lateness_ms(effect, draw),
            }
        }
        // A copy has luck of its own.
        let mut again = || effects.iter().map(|effect| lateness_ms(effect, luck.f64())).sum::<f64>();
        let delay = after(delay_ms);
        match (dropped, doubled, delay.is_zero()) {
            (true, ..) => Verdict::Drop,
            (false, true, _) => Verdict::Twice(delay, after(again())),
            (false, false, true) => Verdict::Pass,
            (false, false, false) => Verdict::Delay(delay),
        }
    }

    /// Whether a rule drops everything on this link.
    pub fn is_cut(&self, link: Link) -> bool {
        self.effects.get(&link).is_some_and(|effects| effects.contains(&Effect::CUT))
    }
}

/// By how much an effect holds a message up that has drawn this, from 0 to 1.
fn lateness_ms(effect: &Effect, draw: f64) -> f64 {
    match *effect {
        Effect::Latency { delay_ms, jitter_ms } => (delay_ms + jitter_ms * (2.0 * draw - 1.0)).max(0.0),
        // One draw decides both whether and by how much.
        Effect::Reorder { probability, by_ms } if draw < probability => by_ms * (draw / probability),
        Effect::Drop { .. } | Effect::Duplicate { .. } | Effect::Reorder { .. } => 0.0,
    }
}

fn after(delay_ms: f64) -> Duration {
    Duration::from_secs_f64(delay_ms / 1000.0)
}

fn generator_of(seed: u64, link: Link) -> fastrand::Rng {
    let name = u64::from(link.from) << 16 | u64::from(link.to);
    fastrand::Rng::with_seed(mix(mix(seed) ^ name))
}

/// The finaliser of SplitMix64: seeds and links that differ in one bit give generators that have nothing in common.
fn mix(value: u64) -> u64 {
    let value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}
