//! The links between the nodes: what is lost, what comes late, and what comes twice.
//!
//! Invariant: the fate of the k-th message over a link depends on the seed, the link, k and the faults on that link at
//! that moment, and on nothing else; a fault that is taken out of a run leaves the luck of all other links alone.

use std::time::Duration;

use raftian_faults::{Effect, Filter, Link, Rule, Verdict};

/// What becomes of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Lost,
    /// It arrives at this time.
    Arrives(u64),
    /// It arrives at both times.
    Twice(u64, u64),
}

/// All links.
#[derive(Debug)]
pub(crate) struct Network {
    filter: Filter,
    nodes: usize,
    effects: Vec<Effect>,
    /// By sender: the receivers, as bits, that nothing reaches.
    cut: Vec<u64>,
    /// By sender and receiver: nothing arrives before.
    clogged_until_us: Vec<u64>,
}

impl Network {
    /// A network of which every link has these effects.
    pub(crate) fn new(seed: u64, nodes: usize, effects: Vec<Effect>) -> Network {
        let mut network = Network {
            filter: Filter::new(seed),
            nodes,
            effects: Vec::new(),
            cut: vec![0; nodes],
            clogged_until_us: vec![0; nodes * nodes],
        };
        network.set_effects(effects);
        network
    }

    /// Every link has these effects from now on.
    pub(crate) fn set_effects(&mut self, effects: Vec<Effect>) {
        self.effects = effects;
        let links = (0..self.nodes).flat_map(|from| (0..self.nodes).map(move |to| link(from, to)));
        let effects = &self.effects;
        let rules =
            links.flat_map(|Link { from, to }| effects.iter().map(move |effect| Rule { from, to, effect: *effect }));
        self.filter.set_rules(rules.collect());
    }

    /// The link loses everything from now on, or works again.
    pub(crate) fn set_cut(&mut self, from: usize, to: usize, cut: bool) {
        match cut {
            true => self.cut[from] |= 1 << to,
            false => self.cut[from] &= !(1 << to),
        }
    }

    pub(crate) fn is_cut(&self, from: usize, to: usize) -> bool {
        self.cut[from] & (1 << to) != 0
    }

    /// What is sent over the link arrives no earlier than this.
    pub(crate) fn clog(&mut self, from: usize, to: usize, until_us: u64) {
        self.clogged_until_us[from * self.nodes + to] = until_us;
    }

    /// All links work, and nothing is held up.
    pub(crate) fn heal(&mut self) {
        self.cut.fill(0);
        self.clogged_until_us.fill(0);
    }

    /// The fate of the next message over a link.
    pub(crate) fn judge(&mut self, from: usize, to: usize, now_us: u64) -> Fate {
        // A cut comes last, so that it shifts nobody's luck.
        let verdict = self.filter.judge(link(from, to));
        if self.is_cut(from, to) {
            return Fate::Lost;
        }
        let held_us = self.clogged_until_us[from * self.nodes + to];
        let arrives = |delay: Duration| (now_us + delay.as_micros() as u64).max(held_us);
        match verdict {
            Verdict::Drop => Fate::Lost,
            Verdict::Pass => Fate::Arrives(arrives(Duration::ZERO)),
            Verdict::Delay(delay) => Fate::Arrives(arrives(delay)),
            Verdict::Twice(first, second) => Fate::Twice(arrives(first), arrives(second)),
        }
    }
}

fn link(from: usize, to: usize) -> Link {
    Link { from: from as u16 + 1, to: to as u16 + 1 }
}
