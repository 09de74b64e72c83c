//! Sequences that single faults seldom make up by chance: the end of a lease, a member that comes back without its past or
//! with an old one, and a crash amid what is written over the remains of another.
//!
//! Invariant: what comes of a sequence depends on the run, so it may fail half-way; then its actions do nothing, or are
//! faults like others.

use std::ops::Range;

use fastrand::Rng;
use raftian_apps::{AppKind, Colour, DEFAULT_PLAYERS};
use raftian_faults::Effect;
use raftian_raft::{Change, NodeId};
use raftian_script::{Action, Op, Timed, Whom};

use super::{Drawing, generator};
use crate::invariant::id_at;
use crate::random::Draw;

/// A time in which clients want nothing, and what is done meanwhile.
pub(super) struct Calm {
    pub(super) during_us: Range<u64>,
    pub(super) actions: Vec<Timed>,
}

impl Drawing<'_> {
    /// A leader is cut off, hands over, stands still, or loses the memory of its followers; meanwhile others may want to
    /// lead, and clients read wherever they can.
    pub(super) fn leases(&self) -> Vec<Timed> {
        let mut random = generator(self.seed, Draw::Leases);
        let Some(span) = self.plan.lease_span() else { return Vec::new() };
        let span_us = span.as_micros() as u64;
        let mut actions = Vec::new();
        let mean_us = random.u64(400_000..1_500_000);
        for at_us in self.times(&mut random, mean_us) {
            let mut then = |after_us, action| actions.push(Timed { at_us: at_us + after_us, action });
            let ends_us = span_us * random.u64(50..200) / 100;
            match random.u8(0..4) {
                0 => {
                    // The order to campaign is on its way, or has arrived, and the votes are still to come.
                    then(0, Action::Transfer(self.founder(&mut random)));
                    then(random.u64(0..self.way_us() * 4), Action::IsolateLeader);
                }
                1 => {
                    then(0, Action::Pause(Whom::Leader { or: self.any(&mut random) }));
                    then(ends_us, Action::ResumeAll);
                }
                2 => {
                    // Followers forget whom they heard from.
                    let spared = random.u64(..) & random.u64(..);
                    for node in (0..self.nodes).filter(|at| spared >> at & 1 == 0).map(id_at) {
                        let down_us = random.u64(0..5_000);
                        then(down_us, Action::Crash { node: Whom::Node(node), keep: 0 });
                        then(down_us + random.u64(1..5_000), Action::Restart(node));
                    }
                    then(random.u64(0..10_000), Action::IsolateLeader);
                }
                _ => then(0, Action::IsolateLeader),
            }
            then(ends_us, Action::Heal);
            for _ in 0..random.u64(10..60) {
                let op = self.looks(&mut random);
                then(random.u64(0..2 * span_us), Action::Op { client: random.usize(0..self.plan.clients), op });
            }
        }
        actions
    }

    /// While nothing is written, one node hears nobody. Then it hears all again but the leader, who is cut off; and others
    /// forget, by a crash, that they heard from that leader just now.
    pub(super) fn forgetting(&self) -> Vec<Calm> {
        let mut random = generator(self.seed, Draw::Forgetting);
        let Some(span) = self.plan.lease_span() else { return Vec::new() };
        let span_us = span.as_micros() as u64;
        let mean_us = random.u64(1_500_000..6_000_000);
        let times = self.times(&mut random, mean_us);
        times.into_iter().map(|at_us| self.calm(&mut random, at_us, span_us)).collect()
    }

    fn calm(&self, random: &mut Rng, begin_us: u64, span_us: u64) -> Calm {
        let mut actions = Vec::new();
        let mut then = |at_us, action| actions.push(Timed { at_us, action });
        let deaf = self.any(random);
        let deaf_us = begin_us + 100_000;
        for from in (0..self.nodes).map(id_at).filter(|from| *from != deaf) {
            then(deaf_us, Action::Cut { from, to: deaf });
        }
        let at_us = deaf_us + span_us * random.u64(80..250) / 100;
        then(at_us, Action::Heal);
        then(at_us, Action::IsolateLeader);
        let spared = random.usize(0..self.nodes);
        for node in (0..self.nodes).filter(|at| *at != spared).map(id_at).filter(|node| *node != deaf) {
            then(at_us, Action::Crash { node: Whom::Node(node), keep: 0 });
            then(at_us + random.u64(1..2_000), Action::Restart(node));
        }
        let end_us = at_us + span_us * random.u64(50..150) / 100;
        then(end_us, Action::Heal);
        Calm { during_us: begin_us..end_us, actions }
    }

    /// A member is removed and stops. It comes back with an old disk, or with an empty one as another server of its name,
    /// which may also be before it is removed; and it is to take part again.
    pub(super) fn returns(&self) -> Vec<Timed> {
        let mut random = generator(self.seed, Draw::Returns);
        let mut actions = Vec::new();
        for at_us in self.strikes(&mut random, 2, 800_000..3_000_000) {
            let node = self.any(&mut random);
            let is_old = random.bool();
            let is_removed = random.u8(0..3) > 0 || is_old;
            let mut at_us = at_us;
            let mut after = |wait_us, action| {
                at_us += wait_us;
                actions.push(Timed { at_us, action });
            };
            if is_old {
                after(0, Action::KeepDisk(node));
            }
            let twice = |change: Change| [change.clone(), change].into_iter().map(Action::Change);
            if is_removed {
                twice(Change::Remove(node)).for_each(|remove| after(random.u64(1_000..400_000), remove));
            }
            after(random.u64(1_000..400_000), Action::Crash { node: Whom::Node(node), keep: random.usize(0..3) });
            for _ in 0..3 {
                after(random.u64(0..60_000), if is_old { Action::PutBackDisk(node) } else { Action::Wipe(node) });
            }
            after(random.u64(0..30_000), Action::Restart(node));
            if !is_removed {
                twice(Change::Remove(node)).for_each(|remove| after(random.u64(1_000..400_000), remove));
            }
            for change in twice(Change::AddLearner(node)).chain(twice(Change::Promote(node))) {
                after(random.u64(1_000..200_000), change);
            }
        }
        actions
    }

    /// A member comes back with the disk that it had shortly before.
    pub(super) fn relapses(&self) -> Vec<Timed> {
        let mut random = generator(self.seed, Draw::Relapses);
        let mut actions = Vec::new();
        // Without CheckQuorum, a leader would wait for ever for one that does not count any more.
        for at_us in self.strikes(&mut random, 3, 300_000..2_000_000).into_iter().filter(|_| self.plan.check_quorum) {
            let node = self.any(&mut random);
            let stops_us = at_us + random.u64(10_000..600_000);
            actions.push(Timed { at_us, action: Action::KeepDisk(node) });
            for action in [
                Action::Crash { node: Whom::Node(node), keep: random.usize(0..3) },
                Action::PutBackDisk(node),
                Action::Restart(node),
            ] {
                actions.push(Timed { at_us: stops_us, action });
            }
        }
        actions
    }

    /// A server is cut off and keeps its configuration. Meanwhile half of the others are removed, begin anew with empty
    /// disks, and are added: it hears them alone, and knows their names.
    pub(super) fn reuses(&self) -> Vec<Timed> {
        let mut random = generator(self.seed, Draw::Reuses);
        let mut actions = Vec::new();
        let founders = usize::from(self.plan.founders);
        for at_us in self.strikes(&mut random, 2, 1_500_000..4_000_000).into_iter().filter(|_| founders > 2) {
            let mut names: Vec<NodeId> = (0..founders).map(id_at).collect();
            random.shuffle(&mut names);
            let (stale, others) = names.split_first().expect("there are founders");
            let (reused, rest) = others.split_at(founders / 2);
            let mut at_us = at_us;
            let mut after = |wait_us, action| {
                at_us += wait_us;
                actions.push(Timed { at_us, action });
            };
            for node in rest {
                after(0, Action::Cut { from: *stale, to: *node });
                after(0, Action::Cut { from: *node, to: *stale });
            }
            for node in reused {
                for _ in 0..2 {
                    after(random.u64(10_000..200_000), Action::Change(Change::Remove(*node)));
                }
                after(random.u64(10_000..200_000), Action::Crash { node: Whom::Node(*node), keep: 0 });
                after(0, Action::Wipe(*node));
                after(random.u64(0..30_000), Action::Restart(*node));
            }
            for node in reused {
                after(random.u64(1_000..300_000), Action::Change(Change::AddLearner(*node)));
            }
            after(random.u64(100_000..1_000_000), Action::Heal);
            for node in reused {
                after(random.u64(1_000..200_000), Action::Change(Change::Promote(*node)));
            }
        }
        actions
    }

    /// Writes of one size wait for a slow disk when its node crashes; and soon after it has started, it crashes again.
    pub(super) fn rewrites(&self) -> Vec<Timed> {
        let mut random = generator(self.seed, Draw::Rewrites);
        let mut actions = Vec::new();
        for at_us in self.strikes(&mut random, 1, 400_000..2_000_000) {
            let node = self.any(&mut random);
            let mut then = |at_us, action| actions.push(Timed { at_us, action });
            then(at_us, Action::SyncTakes { node, us: random.u64(20_000..200_000) });
            let client = random.usize(0..self.plan.clients);
            for number in 0..random.u64(5..40) {
                let client = (client + number as usize) % self.plan.clients;
                then(at_us + number * 1_000, Action::Op { client, op: self.writes(&mut random) });
            }
            let mut at_us = at_us + random.u64(10_000..150_000);
            then(at_us, Action::Crash { node: Whom::Node(node), keep: random.usize(0..4) });
            then(at_us, Action::SyncTakes { node, us: 100 });
            for _ in 0..random.u64(1..5) {
                at_us += random.u64(1_000..10_000);
                then(at_us, Action::Restart(node));
                let (keep, boundaries) = (random.usize(0..3), random.u32(1..8));
                if random.bool() {
                    then(at_us, Action::CrashAtBoundary { node: Whom::Node(node), boundaries, keep });
                }
                at_us += random.u64(1_000..50_000);
                then(at_us, Action::Crash { node: Whom::Node(node), keep });
            }
            then(at_us + random.u64(1_000..50_000), Action::Restart(node));
        }
        actions
    }

    /// How long a message takes at most, about, in microseconds.
    fn way_us(&self) -> u64 {
        let latency = self.plan.effects.iter().find_map(|effect| match effect {
            Effect::Latency { delay_ms, jitter_ms } => Some(((delay_ms + jitter_ms) * 1_000.0) as u64),
            _ => None,
        });
        latency.unwrap_or(0) + 1_000
    }

    /// Mostly a read, or else something that a read would show.
    fn looks(&self, random: &mut Rng) -> Op {
        match (self.plan.app, random.u8(0..3)) {
            (AppKind::Kv, 0) => Op::Set(0, random.u32(..)),
            (AppKind::Kv, _) => Op::Read(0),
            (AppKind::Canvas, 0) | (AppKind::Attack, _) => self.writes(random),
            (AppKind::Canvas, _) => Op::Pixel(0, 0),
        }
    }

    /// An entry, of the same size as others.
    fn writes(&self, random: &mut Rng) -> Op {
        match self.plan.app {
            AppKind::Kv => Op::Set(0, random.u32(1_000_000..10_000_000)),
            AppKind::Attack => Op::Attack(random.u8(1..=DEFAULT_PLAYERS as u8)),
            AppKind::Canvas => Op::Paint(0, 0, Colour::from_rgb([200, random.u8(100..), random.u8(100..)])),
        }
    }
}
