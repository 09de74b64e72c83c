//! One random schedule: which faults strike in it, how hard, and in which order.
//!
//! Invariant: everything in it follows from its seed.

use std::collections::BTreeSet;
use std::time::Duration;

use fastrand::Rng;
use raftian_raft::{Body, Change, Configuration, Lease, NodeId, Options};

use super::seen::Seen;
use crate::cluster::{Cluster, Happening, is_quorum, n};

const STEPS: usize = 1500;
/// Ten of the longest election time-outs.
const PATIENCE: Duration = Duration::from_secs(3);

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
    /// In a thousand steps, like crashes and cuts.
    compactions: u16,
    changes: u16,
    transfers: u16,
    reads: u16,
    /// In a thousand steps: so often several are a batch, of which the effects are taken together.
    batches: u16,
    /// The most messages that arrive in a step; where it is low, they pile up and come late.
    pace: usize,
}

type Act = fn(&mut Schedule);

pub(crate) struct Schedule {
    cluster: Cluster,
    ids: Vec<NodeId>,
    random: Rng,
    faults: Faults,
    seen: Seen,
    commands: u64,
    tells: bool,
}

impl Schedule {
    /// What goes wrong with this seed, among servers with options as `adjust` leaves them.
    pub(crate) fn new(seed: u64, adjust: impl Fn(&mut Options)) -> Schedule {
        let mut random = Rng::with_seed(seed);
        let (pre_vote, check_quorum) = (random.u8(0..4) > 0, random.u8(0..4) > 0);
        let batch = if random.bool() { random.usize(1..4) } else { 4096 };
        let batch_bytes = if random.bool() { random.usize(1..10) } else { 1 << 20 };
        let chunk = random.usize(1..20);
        let mut limits = Rng::with_seed(!seed);
        let disk_patience = Duration::from_millis(limits.u64(50..1_000));
        let uncommitted = if limits.bool() { limits.usize(1..500) } else { 16 << 20 };
        let portion = if random.bool() { random.usize(1..4) } else { 4096 };
        let lease = random.bool().then_some(Lease { drift_percent: 10 });
        let count = if random.bool() { 3 } else { 5 };
        let mut cluster = Cluster::new(count, seed, |options| {
            (options.pre_vote, options.check_quorum, options.max_append_entries) = (pre_vote, check_quorum, batch);
            (options.max_append_bytes, options.max_committed_per_ready) = (batch_bytes, portion);
            (options.max_snapshot_chunk_bytes, options.lease) = (chunk, lease);
            options.max_uncommitted_bytes = uncommitted;
            options.disk_patience = disk_patience;
            adjust(options);
        });
        (count + 1..=count + random.u16(0..3)).for_each(|joiner| cluster.join(n(joiner)));
        let faults = Faults {
            drops: if random.bool() { random.u8(0..30) } else { 0 },
            duplicates: if random.bool() { random.u8(0..20) } else { 0 },
            crashes: if random.bool() { random.u16(0..30) } else { 0 },
            cuts: if random.bool() { random.u16(0..40) } else { 0 },
            slow_disks: random.bool(),
            reorders: random.bool(),
            compactions: if random.bool() { random.u16(0..100) } else { 0 },
            changes: if random.bool() { random.u16(0..80) } else { 0 },
            transfers: if random.bool() { random.u16(0..20) } else { 0 },
            reads: if random.bool() { random.u16(0..100) } else { 0 },
            batches: if random.bool() { random.u16(0..500) } else { 0 },
            pace: random.usize(1..12),
        };
        let ids = cluster.ids();
        Schedule { cluster, ids, random, faults, seen: Seen::default(), commands: 0, tells: false }
    }

    /// Prints what happens.
    pub(super) fn telling(self) -> Schedule {
        Schedule { tells: true, ..self }
    }

    /// Plays it to the end.
    ///
    /// # Panics
    /// When an invariant is broken, or the cluster does not come to life afterwards.
    pub(crate) fn play(mut self) -> Seen {
        for _ in 0..STEPS {
            if self.random.u16(0..1000) < self.faults.batches {
                self.cluster.begin_batch();
                (0..self.random.u8(2..6)).for_each(|_| self.step());
                self.cluster.end_batch();
            } else {
                self.step();
            }
            self.note();
        }
        self.come_to_life();
        self.note();
        let witness = &self.cluster.witness;
        self.seen.committed = witness.committed();
        self.seen.led_terms = witness.leaders();
        self.seen.changes_committed = witness.changes();
        self.seen.changes_rolled_back = witness.changes_rolled_back;
        self.seen.leaders_removed = witness.leaders_removed;
        #[cfg(feature = "rules")]
        {
            self.seen.rules = self.cluster.rules;
        }
        self.seen
    }

    fn step(&mut self) {
        let Faults { crashes, cuts, compactions, changes, transfers, reads, .. } = self.faults;
        // The moments in which a crash is worst.
        let is_installing = self.ids.iter().any(|id| self.cluster.waits_to_install(*id));
        let choices: [(u16, Act); 6] = [
            (if is_installing { 10 * crashes } else { crashes }, Schedule::crash),
            (cuts, Schedule::cut),
            (compactions, Schedule::compact),
            (changes, Schedule::change),
            (transfers, Schedule::transfer),
            (reads, Schedule::read),
        ];
        for (in_a_thousand, act) in choices {
            if self.random.u16(0..1000) < in_a_thousand {
                return act(self);
            }
        }
        self.go_on();
    }

    /// What happens without faults too, in its own order.
    fn go_on(&mut self) {
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
                let slow = self.random.u8(0..4) > 0;
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

    fn compact(&mut self) {
        let (id, keep) = (self.leader_or_any(), self.random.u64(0..6).saturating_sub(2));
        if self.cluster.server(id).is_some() {
            // Mostly there is nothing new to compact.
            let _ = self.cluster.compact(id, keep);
        }
    }

    /// A random membership is asked for. Most are refused: at the wrong server, at the wrong time, or at all.
    fn change(&mut self) {
        let (id, node) = (self.leader_or_any(), self.any());
        if self.cluster.server(id).is_none() {
            return;
        }
        let mut some = |odds: u8| -> BTreeSet<NodeId> {
            self.ids.iter().copied().filter(|_| self.random.u8(0..100) < odds).collect()
        };
        let change = match node.number() % 2 {
            0 => Change::Members { voters: some(60), learners: some(20) },
            _ => {
                let is_member = self.cluster.status(id).configuration.is_some_and(|members| members.contains(node));
                let leaves = self.random.u8(0..3) == 0;
                if !is_member || self.random.u8(0..20) == 0 {
                    Change::AddLearner(node)
                } else if leaves {
                    Change::Remove(node)
                } else {
                    Change::Promote(node)
                }
            }
        };
        let promotes = matches!(change, Change::Promote(_));
        if self.cluster.change(id, change).is_ok() {
            self.seen.learners_promoted += u64::from(promotes);
            if self.random.bool() {
                // Nobody hears of it until the links are healed, and then it may be too late.
                self.isolate(&[id]);
            }
        }
    }

    fn transfer(&mut self) {
        let (id, to) = (self.leader_or_any(), self.any());
        if self.cluster.server(id).is_some() {
            let _ = self.cluster.transfer(id, to);
            if self.random.bool() {
                // The server that gives way may be asked to read before it hears of the next leader.
                let _ = self.cluster.read(id);
            }
        }
    }

    fn read(&mut self) {
        let id = self.leader_or_any();
        if self.cluster.server(id).is_some() {
            let _ = self.cluster.read(id);
        }
    }

    /// A server starts again, or one crashes; some of what it had not synced may have reached its disk.
    fn crash(&mut self) {
        let down = self.ids.iter().copied().find(|id| self.cluster.server(*id).is_none());
        if let Some(id) = down.filter(|_| self.random.u8(0..4) > 0) {
            return self.cluster.restart(id);
        }
        let installing = self.ids.iter().copied().find(|id| self.cluster.waits_to_install(*id));
        let id = installing.unwrap_or_else(|| self.leader_or_any());
        if self.cluster.server(id).is_none() {
            return;
        }
        let kept = self.random.usize(0..4);
        self.seen.crashes += 1;
        self.seen.writes_lost += u64::from(self.cluster.waiting(id) > kept);
        self.seen.installs_interrupted += u64::from(self.cluster.waits_to_install(id));
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
                self.isolate(&here);
            }
            _ => self.cluster.heal(),
        }
    }

    /// Cuts all links between these servers and the others.
    fn isolate(&mut self, here: &[NodeId]) {
        for (a, b) in self.ids.iter().flat_map(|a| self.ids.iter().map(move |b| (*a, *b))) {
            if here.contains(&a) != here.contains(&b) {
                self.cluster.cut(a, b);
            }
        }
    }

    /// The faults end, but some servers may stay down, as long as a quorum of every configuration that anybody uses is
    /// up. Within ten election time-outs there is a leader, a new command is committed on every server that is up and
    /// a member, and a read is served.
    fn come_to_life(&mut self) {
        self.cluster.heal();
        for id in self.ids.clone() {
            self.cluster.set_slow(id, false);
            if self.cluster.server(id).is_none() {
                self.cluster.restart(id);
            }
        }
        let configurations: Vec<Configuration> =
            self.ids.iter().filter_map(|id| self.cluster.status(*id).configuration).collect();
        let mut order = self.ids.clone();
        self.random.shuffle(&mut order);
        let mut up = self.random.usize(1..=order.len());
        let suffices =
            |up: usize| configurations.iter().all(|voters| is_quorum(voters, |id| order[..up].contains(&id)));
        while !suffices(up) {
            up += 1;
        }
        order.split_off(up).into_iter().for_each(|id| self.cluster.crash(id, 0));

        let end = self.cluster.now + PATIENCE;
        let mut proposed = None;
        let (mut read, mut served, mut done) = (None, false, false);
        while !done {
            assert!(self.cluster.now < end, "no leader has committed and read within ten election time-outs");
            self.cluster.run(Duration::from_millis(10));
            served |= self.cluster.journal.iter().any(|happening| match happening {
                Happening::Read(_, outcome) => Some(outcome.ticket) == read && outcome.index.is_ok(),
                _ => false,
            });
            self.note();
            // A command may be lost with its leader; then its client tries again.
            let lost = |(id, term)| self.cluster.leader() != Some(id) || self.cluster.status(id).term != term;
            if proposed.is_none_or(|(id, term, _)| lost((id, term))) {
                proposed = self.cluster.leader().and_then(|leader| {
                    let proposed = self.cluster.propose(leader, &["fresh"]).ok()?;
                    read = self.cluster.read(leader).ok();
                    Some((leader, proposed.term, proposed.first))
                });
            }
            done = served
                && proposed.is_some_and(|(leader, _, index)| {
                    let members = self.cluster.status(leader).configuration.expect("a leader knows the members");
                    let mut up = order.iter().filter(|id| members.contains(**id));
                    up.all(|id| self.cluster.status(*id).commit_index >= index)
                });
        }
    }

    fn note(&mut self) {
        for happening in self.cluster.journal.drain(..) {
            if self.tells {
                println!("{:>9.3?}  {happening}", self.cluster.now.0);
            }
            self.seen.note(&happening);
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
