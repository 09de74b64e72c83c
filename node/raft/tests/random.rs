//! Random schedules of faults, each from one seed: first what may go wrong goes wrong and the invariants must hold after
//! every step; then the faults end, and the cluster must come to life.
//!
//! `RAFT_SEED=17 cargo test -p raftian-raft random` plays one seed and prints what happens in it.

use std::ops::AddAssign;
use std::time::Duration;

use fastrand::Rng;
use raftian_raft::{AppendReply, Body, Event, Message, NodeId, Reply};

use crate::cluster::{Cluster, Happening};

const SEEDS: u64 = 400;
const STEPS: usize = 1500;
/// Ten of the longest election time-outs.
const PATIENCE: Duration = Duration::from_secs(3);

#[test]
fn random_schedules() {
    if let Some(seed) = std::env::var_os("RAFT_SEED") {
        let seed = seed.to_str().and_then(|text| text.parse().ok()).expect("RAFT_SEED is a number");
        println!("{:#?}", Schedule::new(seed, true).play());
        return;
    }
    let mut seen = Seen::default();
    for seed in 0..SEEDS {
        let guard = OnPanic(seed);
        seen += Schedule::new(seed, false).play();
        std::mem::forget(guard);
    }
    println!("{seen:#?}");
    seen.check();
}

/// Says how to see a failure again.
struct OnPanic(u64);

impl Drop for OnPanic {
    fn drop(&mut self) {
        println!("seed {0} failed; RAFT_SEED={0} cargo test -p raftian-raft random -- --nocapture shows how", self.0);
    }
}

/// What has really happened. A fault that never strikes proves nothing.
#[derive(Debug, Default)]
struct Seen {
    committed: u64,
    led_terms: u64,
    crashes: u64,
    writes_lost: u64,
    truncations: u64,
    quorums_lost: u64,
    conflicts: u64,
}

impl AddAssign for Seen {
    fn add_assign(&mut self, other: Seen) {
        self.committed += other.committed;
        self.led_terms += other.led_terms;
        self.crashes += other.crashes;
        self.writes_lost += other.writes_lost;
        self.truncations += other.truncations;
        self.quorums_lost += other.quorums_lost;
        self.conflicts += other.conflicts;
    }
}

impl Seen {
    fn check(&self) {
        let Seen { committed, led_terms, crashes, writes_lost, truncations, quorums_lost, conflicts } = *self;
        assert!(committed > 20 * SEEDS && led_terms > 3 * SEEDS && crashes > 3 * SEEDS, "{self:#?}");
        assert!(writes_lost.min(truncations).min(quorums_lost).min(conflicts) > SEEDS / 10, "{self:#?}");
    }
}

/// How hard each fault strikes in one run: swarm testing, so that no fault hides behind the others.
struct Faults {
    /// In a hundred messages.
    drops: u8,
    duplicates: u8,
    /// In a thousand steps.
    crashes: u16,
    cuts: u16,
    slow_disks: bool,
    reorders: bool,
    /// The most messages that arrive in a step; where it is low, they pile up and come late.
    pace: usize,
}

struct Schedule {
    cluster: Cluster,
    ids: Vec<NodeId>,
    random: Rng,
    faults: Faults,
    seen: Seen,
    commands: u64,
    tells: bool,
}

impl Schedule {
    fn new(seed: u64, tells: bool) -> Schedule {
        let mut random = Rng::with_seed(seed);
        let (pre_vote, check_quorum) = (random.u8(0..4) > 0, random.u8(0..4) > 0);
        let batch = if random.bool() { random.usize(1..4) } else { 4096 };
        let cluster = Cluster::new(if random.bool() { 3 } else { 5 }, seed, |options| {
            (options.pre_vote, options.check_quorum, options.max_append_entries) = (pre_vote, check_quorum, batch);
        });
        let faults = Faults {
            drops: if random.bool() { random.u8(0..30) } else { 0 },
            duplicates: if random.bool() { random.u8(0..20) } else { 0 },
            crashes: if random.bool() { random.u16(0..30) } else { 0 },
            cuts: if random.bool() { random.u16(0..40) } else { 0 },
            slow_disks: random.bool(),
            reorders: random.bool(),
            pace: random.usize(1..12),
        };
        let ids = cluster.ids();
        Schedule { cluster, ids, random, faults, seen: Seen::default(), commands: 0, tells }
    }

    fn play(mut self) -> Seen {
        for _ in 0..STEPS {
            self.step();
            self.note();
        }
        self.come_to_life();
        self.note();
        self.seen.committed = self.cluster.witness.committed();
        self.seen.led_terms = self.cluster.witness.leaders();
        self.seen
    }

    fn step(&mut self) {
        if self.random.u16(0..1000) < self.faults.crashes {
            return self.crash();
        }
        if self.random.u16(0..1000) < self.faults.cuts {
            return self.cut();
        }
        let id = self.any();
        match self.random.u8(0..100) {
            0..60 => (0..self.random.usize(0..=self.faults.pace)).for_each(|_| self.deliver()),
            60..80 => {
                // The clock goes on; whoever looks at it, looks late.
                self.cluster.now = self.cluster.now + Duration::from_millis(self.random.u64(0..60));
                let late = self.random.u8(0..50);
                let awake: Vec<NodeId> = self.ids.iter().copied().filter(|_| self.random.u8(0..100) >= late).collect();
                awake.into_iter().for_each(|id| self.cluster.tick(id));
            }
            80..90 => {
                let target = self.leader_or_any();
                self.propose(target);
            }
            90..93 if self.faults.slow_disks => {
                let slow = self.random.bool();
                self.cluster.set_slow(id, slow);
            }
            _ => {
                let count = self.random.usize(0..=self.cluster.waiting(id));
                self.cluster.sync(id, count);
            }
        }
    }

    /// One message arrives, or twice, or never; the first in the queue or any.
    fn deliver(&mut self) {
        if self.cluster.pool.is_empty() {
            return;
        }
        let at = if self.faults.reorders { self.random.usize(0..self.cluster.pool.len()) } else { 0 };
        let message = self.cluster.pool.remove(at);
        if self.random.u8(0..100) < self.faults.duplicates {
            self.cluster.pool.push(message.clone());
        }
        if self.random.u8(0..100) >= self.faults.drops {
            self.cluster.receive(message);
        } else if matches!(message.body, Body::Request(_)) && self.random.bool() {
            self.cluster.report_lost(&message);
        }
    }

    fn propose(&mut self, id: NodeId) {
        if self.cluster.server(id).is_some() {
            let commands: Vec<String> = (0..self.random.u64(1..4)).map(|at| (self.commands + at).to_string()).collect();
            self.commands += commands.len() as u64;
            let commands: Vec<&str> = commands.iter().map(String::as_str).collect();
            // Most servers do not lead, and say so.
            let _ = self.cluster.propose(id, &commands);
        }
    }

    /// A server starts again, or one crashes; some of what it had not synced may have reached its disk.
    fn crash(&mut self) {
        let down = self.ids.iter().copied().find(|id| self.cluster.server(*id).is_none());
        if let Some(id) = down.filter(|_| self.random.u8(0..4) > 0) {
            return self.cluster.restart(id);
        }
        let id = self.leader_or_any();
        if self.cluster.server(id).is_none() {
            return;
        }
        let kept = self.random.usize(0..4);
        self.seen.crashes += 1;
        self.seen.writes_lost += u64::from(self.cluster.waiting(id) > kept);
        self.cluster.crash(id, kept);
    }

    /// Cuts a link, or all between two halves, or heals everything.
    fn cut(&mut self) {
        match self.random.u8(0..6) {
            0 => {
                let (from, to) = (self.any(), self.any());
                self.cluster.cut(from, to);
            }
            1 | 2 => {
                let mut here = vec![self.leader_or_any()];
                here.extend(self.ids.iter().filter(|_| self.random.u8(0..4) == 0));
                for (a, b) in self.ids.iter().flat_map(|a| self.ids.iter().map(move |b| (*a, *b))) {
                    if here.contains(&a) != here.contains(&b) {
                        self.cluster.cut(a, b);
                    }
                }
            }
            _ => self.cluster.heal(),
        }
    }

    /// The faults end, but a minority may stay down. Within ten election time-outs there is a leader, and a new command
    /// is committed on every server that is up.
    fn come_to_life(&mut self) {
        self.cluster.heal();
        let mut up = self.ids.clone();
        self.random.shuffle(&mut up);
        up.truncate(self.random.usize(self.ids.len() / 2 + 1..=self.ids.len()));
        for id in self.ids.clone() {
            self.cluster.set_slow(id, false);
            match (up.contains(&id), self.cluster.server(id).is_some()) {
                (true, false) => self.cluster.restart(id),
                (false, true) => self.cluster.crash(id, 0),
                _ => {}
            }
        }
        let end = self.cluster.now + PATIENCE;
        let mut proposed = None;
        let mut done = false;
        while !done {
            assert!(self.cluster.now < end, "no leader has committed a new command within ten election time-outs");
            self.cluster.run(Duration::from_millis(10));
            // A command may be lost with its leader; then its client tries again.
            let lost = |(id, term)| self.cluster.leader() != Some(id) || self.cluster.status(id).term != term;
            if proposed.is_none_or(|(id, term, _)| lost((id, term))) {
                proposed = self.cluster.leader().and_then(|leader| {
                    let proposed = self.cluster.propose(leader, &["fresh"]).ok()?;
                    Some((leader, proposed.term, proposed.first))
                });
            }
            done = proposed
                .is_some_and(|(_, _, index)| up.iter().all(|id| self.cluster.status(*id).commit_index >= index));
        }
    }

    fn note(&mut self) {
        for happening in self.cluster.journal.drain(..) {
            if self.tells {
                println!("{:>9.3?}  {happening}", self.cluster.now.0);
            }
            match happening {
                Happening::Event(_, Event::Truncated { .. }) => self.seen.truncations += 1,
                Happening::Event(_, Event::QuorumLost { .. }) => self.seen.quorums_lost += 1,
                Happening::Sent { message, .. } => self.seen.conflicts += u64::from(is_conflict(&message)),
                _ => {}
            }
        }
    }

    /// Faults are worst where the leader is.
    fn leader_or_any(&mut self) -> NodeId {
        let id = self.any();
        self.cluster.leader().filter(|_| self.random.bool()).unwrap_or(id)
    }

    fn any(&mut self) -> NodeId {
        self.ids[self.random.usize(0..self.ids.len())]
    }
}

fn is_conflict(message: &Message) -> bool {
    matches!(message.body, Body::Reply(Reply::AppendEntries(AppendReply::Conflict(_))))
}
