//! What a seed draws: which faults there are, how hard they strike, and when (swarm testing: a fault that is always there
//! hides what only its absence would show).
//!
//! Invariants: a seed draws the same schedule each time, until [`DRAWS`] rises; each kind of action has a stream of random
//! numbers of its own ([`Draw`]), so that a new kind changes none of the others; what is drawn is legal.

mod edges;

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::time::Duration;

use fastrand::Rng;
use raftian_apps::{AppKind, Colour, DEFAULT_PLAYERS, Limits};
use raftian_faults::Effect;
use raftian_raft::{Change, Lease, NodeId};
use raftian_script::{Action, Crashes, LinkEffect, Op, Part, Plan, Schedule, Timed, Whom};

use crate::invariant::id_at;
use crate::random::{Draw, Stream, random};

/// The version of what is drawn. It rises when a seed draws something else than before: a seed of another version is
/// another run.
pub const DRAWS: u32 = 5;

/// By how much clocks drift where leases rest on them, in percent; the rates that are as far apart as that, in
/// thousandths; and by how much clocks are wrong at most where nothing rests on them.
const LEASE_DRIFT_PERCENT: u8 = 10;
const LEASED_PERMILLE: (u64, u64) = (953, 1048);
const FREE_SKEW_PERMILLE: u64 = 200;

/// The schedule of a seed.
pub fn draw(seed: u64) -> Schedule {
    let mut random = generator(seed, Draw::Length);
    let end_us = random.u64(4_000_000..12_000_000);
    let plan = draw_plan(seed);
    let drawing = Drawing { seed, end_us, plan: &plan, nodes: plan.nodes() };
    let (mut actions, forgetting) = (drawing.ops(), drawing.forgetting());
    let is_calm = |at_us| forgetting.iter().any(|calm| calm.during_us.contains(&at_us));
    actions.retain(|timed| !is_calm(timed.at_us));
    actions.extend(forgetting.iter().flat_map(|calm| calm.actions.iter().cloned()));
    for kind in [Drawing::crashes, Drawing::blackouts, Drawing::pauses, Drawing::partitions, Drawing::clogs] {
        actions.extend(kind(&drawing));
    }
    for kind in [Drawing::disks, Drawing::flips, Drawing::changes, Drawing::transfers, Drawing::compactions] {
        actions.extend(kind(&drawing));
    }
    for kind in [Drawing::leases, Drawing::returns, Drawing::reuses, Drawing::relapses, Drawing::rewrites] {
        actions.extend(kind(&drawing));
    }
    actions.retain(|timed| timed.at_us < end_us);
    actions.sort_by_key(|timed| timed.at_us);
    Schedule { seed, plan, actions, end_us }
}

fn generator(seed: u64, stream: Draw) -> Rng {
    Rng::with_seed(random([seed, Stream::Draw as u64, stream as u64]))
}

fn draw_plan(seed: u64) -> Plan {
    let mut random = generator(seed, Draw::Plan);
    let founders = [1, 2, 3, 3, 3, 3, 4, 5, 5, 5, 6, 7][random.usize(0..12)];
    let timeout_ms = [50, 150, 150, 300][random.usize(0..4)];
    let check_quorum = random.u8(0..4) > 0;
    let lease = (check_quorum && random.u8(0..3) == 0).then_some(Lease { drift_percent: LEASE_DRIFT_PERCENT });
    let joiners = if random.bool() { random.u16(0..3) } else { 0 };
    let clocks = draw_clocks(&mut random, founders + joiners, lease.is_some());
    // Where leases are in use, others should want to lead as soon as they may.
    let spread_ms = if lease.is_some() && timeout_ms > 50 && random.bool() { timeout_ms / 10 } else { timeout_ms };
    let app = if random.u8(0..4) == 0 { AppKind::Attack } else { AppKind::Kv };
    let mut hosts = generator(seed, Draw::Hosts);
    let is_limited = hosts.u8(0..3) == 0;
    let mut edges = generator(seed, Draw::Edges);
    let clients = random.usize(1..7);
    // Who tries only once waits long for the answer, and takes it at its word.
    let attempts = [1, 1, 2, 3, 5, 8, 12][edges.usize(0..7)];
    Plan {
        load: None,
        link_effects: draw_slow_links(&mut edges, founders + joiners, timeout_ms),
        stubborn_clients: edges.usize(0..=clients).saturating_sub(1),
        max_append_bytes: if is_limited { hosts.usize(1..400) } else { 1024 * 1024 },
        max_committed_per_ready: if is_limited { hosts.usize(1..8) } else { 4096 },
        disk_patience: Duration::from_millis([1_000, 100, 20][hosts.usize(0..3)]),
        max_uncommitted_bytes: if is_limited { hosts.usize(100..1_000) } else { 16 * 1024 * 1024 },
        limits: draw_limits(&mut hosts, app),
        segment_bytes: [512, 2 << 10, 16 << 10][hosts.usize(0..3)],
        crashes: [Crashes::Whole, Crashes::Torn, Crashes::Torn, Crashes::Scattered, Crashes::Killed][hosts.usize(0..5)],
        turn_us: [0, 0, 300, 3_000, 20_000][hosts.usize(0..5)],
        job_us: [0, 2_000, 50_000][hosts.usize(0..3)],
        news_us: [0, 0, 20_000][hosts.usize(0..3)],
        call_timeout: hosts.bool(),
        forwarding: hosts.bool(),
        clock_permille: clocks,
        app,
        founders,
        joiners,
        election_timeout: Duration::from_millis(timeout_ms)..Duration::from_millis(timeout_ms + spread_ms),
        heartbeat_interval: Duration::from_millis(timeout_ms / random.u64(3..6)),
        pre_vote: random.u8(0..4) > 0,
        check_quorum,
        lease,
        server_settings: BTreeMap::new(),
        max_append_entries: if random.bool() { random.usize(1..6) } else { 4096 },
        max_snapshot_chunk_bytes: if random.bool() { random.usize(100..600) } else { 512 * 1024 },
        snapshot_every: random.bool().then(|| random.u64(5..80)),
        keep: if random.bool() { random.u64(0..10) } else { 0 },
        effects: draw_effects(&mut random),
        sync_us: Some(draw_sync(&mut random)),
        clients,
        client_patience_us: random.u64(50_000..500_000) * if attempts == 1 { 5 } else { 1 },
        client_attempts: attempts,
        client_loss_percent: if random.bool() { random.u64(0..10) } else { 0 },
    }
}

/// Clocks that are true, or each wrong by something; with leases mostly as far apart as those allow.
fn draw_clocks(random: &mut Rng, nodes: u16, is_leased: bool) -> Vec<u64> {
    let (shape, odd) = (random.u8(0..8), random.u16(0..nodes));
    let (slow, fast) = LEASED_PERMILLE;
    let rate = |node| match (is_leased, shape) {
        (false, 0..4) | (true, 0) => 1000,
        (false, _) => random.u64(1000 - FREE_SKEW_PERMILLE..=1000 + FREE_SKEW_PERMILLE),
        (true, 1) => random.u64(slow..=fast),
        (true, 2 | 3) if node == odd => slow,
        (true, 2 | 3) => fast,
        (true, 4) if node == odd => fast,
        (true, 4) => slow,
        (true, _) => {
            if random.bool() {
                slow
            } else {
                fast
            }
        }
    };
    (0..nodes).map(rate).collect()
}

/// In some runs a few links take long, up to five election time-outs.
fn draw_slow_links(random: &mut Rng, nodes: u16, timeout_ms: u64) -> Vec<LinkEffect> {
    let count = if random.u8(0..5) == 0 { random.usize(1..4) } else { 0 };
    let links = (0..count).map(|_| {
        let (from, to) = (random.usize(0..usize::from(nodes)), random.usize(0..usize::from(nodes)));
        let delay_ms = (timeout_ms as f64 * 5.0 * random.f64()).round();
        let effect = Effect::latency(delay_ms, (delay_ms * random.f64()).round());
        (from != to).then_some(LinkEffect { from: id_at(from), to: id_at(to), effect: effect.ok()? })
    });
    links.flatten().collect()
}

fn draw_effects(random: &mut Rng) -> Vec<Effect> {
    let delay_ms = [0.1, 1.0, 5.0, 15.0][random.usize(0..4)];
    let latency = Effect::latency(delay_ms, delay_ms * random.f64());
    let drop = Effect::drop(random.f64() * 0.2).ok().filter(|_| random.u8(0..3) == 0);
    let duplicate = Effect::duplicate(random.f64() * 0.15).ok().filter(|_| random.u8(0..3) == 0);
    let reorder = Effect::reorder(random.f64() * 0.2, random.f64() * 100.0).ok().filter(|_| random.u8(0..3) == 0);
    latency.ok().into_iter().chain(drop).chain(duplicate).chain(reorder).collect()
}

fn draw_limits(random: &mut Rng, app: AppKind) -> Limits {
    let quiet = Limits::default();
    Limits {
        max_sessions: if random.u8(0..4) == 0 && app == AppKind::Kv { random.usize(1..4) } else { quiet.max_sessions },
        compact_above_bytes: if random.bool() { random.usize(0..400) } else { quiet.compact_above_bytes },
        ..quiet
    }
}

fn draw_sync(random: &mut Rng) -> std::ops::Range<u64> {
    let least_us = [0, 100, 1_000, 10_000][random.usize(0..4)];
    least_us..least_us + 1 + random.u64(0..=least_us)
}

/// The times and actions of one kind after another.
struct Drawing<'a> {
    seed: u64,
    end_us: u64,
    plan: &'a Plan,
    nodes: usize,
}

impl Drawing<'_> {
    /// Times from the beginning to the end, so far apart on average.
    fn times(&self, random: &mut Rng, mean_us: u64) -> Vec<u64> {
        let mut times = Vec::new();
        let mut at_us = random.u64(0..2 * mean_us);
        while at_us < self.end_us {
            times.push(at_us);
            at_us += random.u64(1..2 * mean_us);
        }
        times
    }

    /// The times of a fault of which there is none with these odds to one.
    fn strikes(&self, random: &mut Rng, odds: u8, means_us: std::ops::Range<u64>) -> Vec<u64> {
        let (is_off, mean_us) = (random.u8(0..=odds) > 0, random.u64(means_us));
        let times = self.times(random, mean_us);
        if is_off { Vec::new() } else { times }
    }

    fn any(&self, random: &mut Rng) -> NodeId {
        id_at(random.usize(0..self.nodes))
    }

    fn founder(&self, random: &mut Rng) -> NodeId {
        id_at(random.usize(0..usize::from(self.plan.founders)))
    }

    /// Faults are worst where the leader is.
    fn whom(&self, random: &mut Rng) -> Whom {
        let or = self.any(random);
        if random.bool() { Whom::Leader { or } } else { Whom::Node(or) }
    }

    fn ops(&self) -> Vec<Timed> {
        let plan = self.plan;
        let mut random = generator(self.seed, Draw::Ops);
        // Where all is idle now and then, a server that hears nobody does not fall behind at once.
        let is_idle = plan.lease.is_some() && random.bool();
        let count = if is_idle { random.u64(50..400) } else { random.u64(500..3_000) };
        let (keys, values) = (random.u8(1..6), if random.bool() { 5 } else { u32::MAX });
        let reads = random.u8(0..60);
        let op = |random: &mut Rng| {
            let (key, value) = (random.u8(0..keys), random.u32(0..values));
            match random.u8(0..100) {
                dice if dice < reads => Op::Read(key),
                dice => match dice % 8 {
                    0 => Op::Get(key),
                    1 => Op::Incr(key, random.i8(-3..4)),
                    2 => Op::Cas(key, random.bool().then(|| random.u32(0..values)), value),
                    3 => Op::Del(key),
                    _ => Op::Set(key, value),
                },
            }
        };
        let game = |random: &mut Rng| {
            let player = random.u8(1..=DEFAULT_PLAYERS as u8 + 2);
            [Op::Attack(player), Op::Attack(player), Op::Attack(player), Op::Add(player), Op::Leave(player)]
                [random.usize(0..5)]
        };
        // What is drawn has no canvas; a plan that a person made may.
        let paint = |random: &mut Rng| match random.bool() {
            true => Op::Pixel(random.u16(0..2), 0),
            false => Op::Paint(random.u16(0..2), 0, Colour::from_rgb([random.u8(..), random.u8(..), 0])),
        };
        (0..count)
            .map(|_| {
                let (at_us, client) = (random.u64(0..self.end_us), random.usize(0..plan.clients));
                let op = match plan.app {
                    AppKind::Kv => op(&mut random),
                    AppKind::Attack => game(&mut random),
                    AppKind::Canvas => paint(&mut random),
                };
                Timed { at_us, action: Action::Op { client, op } }
            })
            .collect()
    }

    fn crashes(&self) -> Vec<Timed> {
        let mut random = generator(self.seed, Draw::Crashes);
        let mut actions = Vec::new();
        for at_us in self.strikes(&mut random, 1, 100_000..1_500_000) {
            let (whom, keep) = (self.whom(&mut random), random.usize(0..5));
            let action = match random.u8(0..4) {
                0 => Action::Crash { node: whom, keep },
                1 => Action::CrashAtInstall { node: self.any(&mut random), keep: keep.min(3) },
                _ => Action::CrashAtBoundary { node: whom, boundaries: random.u32(1..8), keep },
            };
            actions.push(Timed { at_us, action });
            let until_us = at_us + random.u64(1_000..1_000_000);
            actions.push(Timed { at_us: until_us, action: Action::RestartAll });
            if random.bool() {
                // Once more, before much is written after what the first crash left.
                let again_us = until_us + random.u64(1_000..50_000);
                actions.push(Timed { at_us: again_us, action: Action::Crash { node: whom, keep: random.usize(0..3) } });
                let until_us = again_us + random.u64(1_000..100_000);
                actions.push(Timed { at_us: until_us, action: Action::RestartAll });
            }
        }
        actions
    }

    /// All servers stop at once.
    fn blackouts(&self) -> Vec<Timed> {
        let mut random = generator(self.seed, Draw::Blackouts);
        let mut actions = Vec::new();
        for at_us in self.strikes(&mut random, 3, 2_000_000..5_000_000) {
            actions.push(Timed { at_us, action: Action::CrashAll { keep: random.usize(0..3) } });
            let up = at_us + random.u64(1_000..500_000);
            for id in (0..self.nodes).map(id_at) {
                actions.push(Timed { at_us: up + random.u64(0..200_000), action: Action::Restart(id) });
            }
        }
        actions
    }

    fn pauses(&self) -> Vec<Timed> {
        let mut random = generator(self.seed, Draw::Pauses);
        let mut actions = Vec::new();
        for at_us in self.strikes(&mut random, 2, 300_000..2_000_000) {
            actions.push(Timed { at_us, action: Action::Pause(self.whom(&mut random)) });
            let until_us = at_us + random.u64(1_000..800_000);
            actions.push(Timed { at_us: until_us, action: Action::ResumeAll });
        }
        actions
    }

    fn partitions(&self) -> Vec<Timed> {
        let mut random = generator(self.seed, Draw::Partitions);
        let mut actions = Vec::new();
        for at_us in self.strikes(&mut random, 1, 300_000..2_000_000) {
            let links = self.shape(&mut random);
            match links.is_empty() {
                true => actions.push(Timed { at_us, action: Action::IsolateLeader }),
                false => actions
                    .extend(links.into_iter().map(|(from, to)| Timed { at_us, action: Action::Cut { from, to } })),
            }
            let until_us = at_us + random.u64(50_000..1_500_000);
            actions.push(Timed { at_us: until_us, action: Action::Heal });
        }
        actions
    }

    /// The links that a partition cuts; none if it is the leader of the moment that is cut off.
    fn shape(&self, random: &mut Rng) -> Vec<(NodeId, NodeId)> {
        let (side, hub) = (random.u64(..), random.usize(0..self.nodes));
        let here = |at: usize| side >> at & 1 == 1;
        let shape = random.u8(0..7);
        let is_cut = |from: usize, to: usize| match shape {
            // Two sides; one way; two sides with a bridge; a ring; one node that hears nobody; single links.
            0 => here(from) != here(to),
            1 => here(from) && !here(to),
            2 => here(from) != here(to) && from != hub && to != hub,
            3 => (from + 1) % self.nodes != to && (to + 1) % self.nodes != from,
            4 => to == hub,
            5 => side >> ((from * self.nodes + to) % 64) & 3 == 0,
            _ => false,
        };
        let links = (0..self.nodes).flat_map(|from| (0..self.nodes).map(move |to| (from, to)));
        let cut = links.filter(|(from, to)| from != to && is_cut(*from, *to));
        cut.map(|(from, to)| (id_at(from), id_at(to))).collect()
    }

    fn clogs(&self) -> Vec<Timed> {
        let mut random = generator(self.seed, Draw::Clogs);
        let times = self.strikes(&mut random, 2, 100_000..1_000_000);
        let clog = |at_us| {
            let (from, to, for_us) = (self.any(&mut random), self.any(&mut random), random.u64(10_000..1_000_000));
            Timed { at_us, action: Action::Clog { from, to, for_us } }
        };
        times.into_iter().map(clog).collect()
    }

    fn disks(&self) -> Vec<Timed> {
        let mut random = generator(self.seed, Draw::Disks);
        let mut actions = Vec::new();
        for at_us in self.strikes(&mut random, 1, 500_000..3_000_000) {
            let node = self.any(&mut random);
            let after_us = at_us + random.u64(50_000..1_000_000);
            let (strike, relief) = match random.u8(0..4) {
                0 => (Action::SyncFails(self.whom(&mut random)), Action::RestartAll),
                1 => (Action::DiskFull { node, is_full: true }, Action::DiskFull { node, is_full: false }),
                _ => {
                    let us = random.u64(20_000..400_000);
                    (Action::SyncTakes { node, us }, Action::SyncTakes { node, us: 100 })
                }
            };
            actions.push(Timed { at_us, action: strike });
            actions.push(Timed { at_us: after_us, action: relief });
            actions.push(Timed { at_us: after_us, action: Action::RestartAll });
        }
        actions
    }

    /// Bits flip. Mostly the node stops soon after and finds out, before the record is discarded.
    fn flips(&self) -> Vec<Timed> {
        let mut random = generator(self.seed, Draw::Flips);
        let mut actions = Vec::new();
        for at_us in self.strikes(&mut random, 2, 1_000_000..4_000_000) {
            let node = self.any(&mut random);
            let part = match random.u8(0..4) {
                0 => Part::HardState,
                1 => Part::Snapshot,
                _ => Part::Entry(random.u64(1..400)),
            };
            actions.push(Timed { at_us, action: Action::FlipBit { node, part } });
            if random.u8(0..4) > 0 {
                let stops_us = at_us + random.u64(0..300_000);
                let action = Action::Crash { node: Whom::Node(node), keep: random.usize(0..3) };
                actions.push(Timed { at_us: stops_us, action });
                let action = Action::Restart(node);
                actions.push(Timed { at_us: stops_us + random.u64(1_000..200_000), action });
            }
        }
        actions
    }

    fn changes(&self) -> Vec<Timed> {
        let mut random = generator(self.seed, Draw::Changes);
        let times = self.strikes(&mut random, 1, 50_000..800_000);
        let change = |at_us| {
            let node = self.any(&mut random);
            let change = match random.u8(0..5) {
                0 => Change::AddLearner(node),
                1 | 2 => Change::Promote(node),
                3 => Change::Remove(node),
                _ => {
                    let mut some = |percent: u8| -> BTreeSet<NodeId> {
                        (0..self.nodes).map(crate::invariant::id_at).filter(|_| random.u8(0..100) < percent).collect()
                    };
                    let (mut voters, learners) = (some(60), some(30));
                    voters.retain(|id| !learners.contains(id));
                    Change::Members { voters, learners }
                }
            };
            Timed { at_us, action: Action::Change(change) }
        };
        times.into_iter().map(change).collect()
    }

    fn transfers(&self) -> Vec<Timed> {
        let mut random = generator(self.seed, Draw::Transfers);
        let times = self.strikes(&mut random, 2, 200_000..2_000_000);
        let transfer = |at_us| Timed { at_us, action: Action::Transfer(self.any(&mut random)) };
        times.into_iter().map(transfer).collect()
    }

    fn compactions(&self) -> Vec<Timed> {
        let mut random = generator(self.seed, Draw::Compactions);
        let times = self.strikes(&mut random, 1, 50_000..1_000_000);
        let compact = |at_us| {
            let (node, keep) = (self.whom(&mut random), random.u64(0..6).saturating_sub(2));
            Timed { at_us, action: Action::Compact { node, keep } }
        };
        times.into_iter().map(compact).collect()
    }
}
