//! What a fault did to a message, where that cannot be told from the message alone: what made it late, and whether an end of
//! its link had yet to hear of a cut.
//!
//! Invariant: in doubt nothing is counted. A latency is within known bounds, so what is later than that was held back by
//! something else; what a clog held up tells nothing.

use raftian_faults::Effect;
use raftian_raft::Message;
use raftian_script::Plan;

use super::World;
use crate::coverage::{Coverage, Rare};
use crate::invariant::place;
use crate::network::Fate;

/// What makes messages late, on every link; by sender and receiver.
#[derive(Debug)]
pub(super) struct Delays {
    nodes: usize,
    links: Vec<Delay>,
}

/// What makes messages late on one link, in microseconds.
#[derive(Clone, Copy, Debug, Default)]
struct Delay {
    /// The longest latency that all links have.
    common_us: u64,
    /// How much more this link may have of its own.
    own_us: u64,
    /// For how long a message is held back at most, for others to overtake it.
    back_us: u64,
    /// When the last message arrives that was held back.
    held_until_us: u64,
}

impl Delays {
    pub(super) fn of(plan: &Plan) -> Delays {
        let nodes = plan.nodes();
        let mut common = Delay::default();
        plan.effects.iter().for_each(|effect| common.add(effect, false));
        let mut links = vec![common; nodes * nodes];
        for on in &plan.link_effects {
            if let Some(delay) = links.get_mut(place(on.from) * nodes + place(on.to)) {
                delay.add(&on.effect, true);
            }
        }
        Delays { nodes, links }
    }

    /// A message is on its way, and arrives at this time.
    fn note(&mut self, from: usize, to: usize, now_us: u64, at_us: u64, coverage: &mut Coverage) {
        let Delay { common_us, own_us, back_us, held_until_us } = &mut self.links[from * self.nodes + to];
        let late_us = at_us - now_us;
        if late_us > *common_us + *back_us {
            coverage.note_rare(Rare::SlowedByLink);
        }
        if at_us < *held_until_us {
            coverage.note_rare(Rare::OvertookHeldBack);
        }
        if late_us > *common_us + *own_us {
            *held_until_us = at_us.max(*held_until_us);
        }
    }
}

impl Delay {
    fn add(&mut self, effect: &Effect, is_own: bool) {
        // What is lost of a microsecond when sums are rounded tells nothing.
        let micros = |ms: f64| (ms * 1_000.0).ceil() as u64 + 1;
        match *effect {
            Effect::Latency { delay_ms, jitter_ms } if is_own => self.own_us += micros(delay_ms + jitter_ms),
            Effect::Latency { delay_ms, jitter_ms } => self.common_us += micros(delay_ms + jitter_ms),
            Effect::Reorder { by_ms, .. } => self.back_us += micros(by_ms),
            Effect::Drop { .. } | Effect::Duplicate { .. } => {}
        }
    }
}

impl World {
    /// What becomes of a message that leaves.
    pub(super) fn judge(&mut self, message: &Message) -> Fate {
        let (from, to) = (place(message.from), place(message.to));
        let held = self.coverage.rare(Rare::HeldByClog);
        let fate = self.network.judge(message, self.now_us, &mut self.coverage);
        let is_clogged = self.coverage.rare(Rare::HeldByClog) > held;
        let is_cut = self.network.is_cut(from, to);
        let is_known = self.network.knows_cut(from, from, to) || self.network.knows_cut(to, from, to);
        let (first_us, second_us) = match fate {
            Fate::Lost => (None, None),
            Fate::Arrives(at_us) => (Some(at_us), None),
            Fate::Twice(first_us, second_us) => (Some(first_us), Some(second_us)),
        };
        // It passes a link that is cut, or is lost on one that works again.
        if is_cut && fate != Fate::Lost || !is_cut && is_known && fate == Fate::Lost {
            self.coverage.note_rare(Rare::NewsWasLate);
        }
        for at_us in first_us.into_iter().chain(second_us).filter(|_| !is_clogged) {
            self.delays.note(from, to, self.now_us, at_us, &mut self.coverage);
        }
        fate
    }
}

#[cfg(test)]
mod tests {

    use raftian_script::LinkEffect;

    use super::*;
    use crate::invariant::id_at;

    #[test]
    fn jitter_is_no_reordering_and_what_is_later_than_any_latency_is() {
        let effects = vec![Effect::latency(5.0, 5.0).unwrap(), Effect::reorder(0.5, 20.0).unwrap()];
        let slow = LinkEffect { from: id_at(0), to: id_at(1), effect: Effect::latency(50.0, 0.0).unwrap() };
        let mut delays = Delays::of(&Plan { effects, link_effects: vec![slow], ..Plan::quiet(3) });
        let mut coverage = Coverage::default();
        let mut counts = |from, now_us, at_us| {
            delays.note(from, 1, now_us, at_us, &mut coverage);
            (coverage.rare(Rare::OvertookHeldBack), coverage.rare(Rare::SlowedByLink))
        };
        assert_eq!((counts(2, 0, 10_000), counts(2, 1, 2)), ((0, 0), (0, 0)), "two latencies");
        assert_eq!((counts(2, 10, 15_000), counts(2, 20, 30)), ((0, 0), (1, 0)));
        assert_eq!(counts(0, 0, 40_000), (1, 1), "later than a common link could be");
        assert_eq!(counts(0, 10, 50), (1, 1), "that may have been its latency");
        assert_eq!((counts(0, 0, 70_000), counts(0, 10, 50)), ((1, 2), (2, 2)));
    }
}
