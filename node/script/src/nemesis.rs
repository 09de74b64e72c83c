//! A nemesis: what goes wrong in a cluster, drawn from a seed, as a scenario that anybody can read, cut down and play again.
//!
//! Invariants: one seed draws the same scenario. What it breaks it mends before the end, or `finish` does; and it names
//! nothing that real processes cannot do.
//!
//! Deliberately absent: playing it. It is a scenario like any other.

use std::collections::BTreeSet;
use std::time::Duration;

use fastrand::Rng;
use raftian_apps::AppKind;
use raftian_raft::{Change, NodeId};

use crate::load::Load;
use crate::scenario::{Statement, Step};
use crate::schedule::{Action, ClockGoes, Whom};
use crate::words::Micros;

/// How hard it strikes, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    /// One fault at a time, with a majority left that hears itself, and quiet in between.
    Gentle,
    /// Faults that meet: crashes of several and of all, pauses, partitions of any shape, links that are cut one way, disks
    /// and clocks.
    Hard,
    /// Disks that are slow or full, or fail, of one node and of several, while leaders are cut off.
    Disks,
    /// Clocks that run at other rates, stand still or jump, while nodes crash and are cut off.
    Clocks,
    /// Nodes leave and join, and the leader hands over, while others crash and are cut off.
    Membership,
}

/// What is drawn.
#[derive(Clone, Copy, Debug)]
pub struct Nemesis {
    /// How hard.
    pub profile: Profile,
    /// What decides all of it.
    pub seed: u64,
    /// How long it strikes.
    pub lasting: Duration,
    /// How many nodes there are, from 3 on.
    pub nodes: u16,
    /// The application that clients use meanwhile.
    pub app: AppKind,
    /// How many clients there are.
    pub clients: usize,
    /// What they ask for.
    pub load: Load,
}

impl Profile {
    /// All of them, by their names.
    pub const NAMES: [(&'static str, Profile); 5] = [
        ("gentle", Profile::Gentle),
        ("hard", Profile::Hard),
        ("disks", Profile::Disks),
        ("clocks", Profile::Clocks),
        ("membership", Profile::Membership),
    ];

    /// Its name.
    pub fn name(self) -> &'static str {
        Profile::NAMES.into_iter().find(|(_, profile)| *profile == self).map_or("", |(name, _)| name)
    }
}

impl Nemesis {
    /// Draws it, as the text of a scenario.
    pub fn draw(self) -> String {
        let Nemesis { profile, seed, lasting, nodes, app, clients, load } = self;
        let end_us = u64::try_from(lasting.as_micros()).unwrap_or(u64::MAX);
        let mut hand = Hand {
            random: Rng::with_seed(seed ^ 0x6e65_6d65_7369_7300),
            nodes: NodeId::first(nodes).collect(),
            members: NodeId::first(nodes).collect(),
            down: BTreeSet::new(),
            is_down: false,
            is_paused: false,
            is_cut: false,
            sick: BTreeSet::new(),
            end_us,
            lines: Vec::new(),
            at_us: 1_000_000,
        };
        while hand.at_us < end_us {
            match profile {
                Profile::Gentle => hand.strike_gently(),
                Profile::Hard => hand.strike_hard(),
                Profile::Disks => hand.strike_at_disks(),
                Profile::Clocks => hand.strike_at_clocks(),
                Profile::Membership => hand.strike_at_members(),
            }
        }
        // The last faults last until then, and no longer.
        hand.lines.push(format!("at {} heal\n", Micros(end_us)));
        let (profile, lasting_s) = (profile.name(), lasting.as_secs_f64());
        format!(
            "title Nemesis, {profile}, seed {seed}, for {lasting_s} s\nservers {nodes}\nseed {seed}\napp {app}\n\
             clients {clients}\nload {load}\n{}finish\n",
            hand.lines.concat()
        )
    }
}

/// What draws one fault after another, and knows what is broken.
struct Hand {
    random: Rng,
    nodes: Vec<NodeId>,
    members: BTreeSet<NodeId>,
    /// Those that were crashed by name, and not restarted yet.
    down: BTreeSet<NodeId>,
    /// Whether anything may be down, paused, or cut off.
    is_down: bool,
    is_paused: bool,
    is_cut: bool,
    /// The disks and clocks that are not as they should be.
    sick: BTreeSet<(NodeId, Organ)>,
    /// When all of it ends.
    end_us: u64,
    lines: Vec<String>,
    /// The time of the next fault.
    at_us: u64,
}

/// What is not as it should be in a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Organ {
    Speed,
    Room,
    Clock,
}

/// A disk that is fast again.
const FAST_US: u64 = 100;

impl Hand {
    fn act(&mut self, action: Action) {
        if self.at_us >= self.end_us {
            return;
        }
        let step = Step { line: 0, at_us: Some(self.at_us), statement: Statement::Do(action) };
        self.lines.push(format!("{step}\n"));
    }

    /// So much time passes, in milliseconds.
    fn wait(&mut self, ms: std::ops::Range<u64>) {
        self.at_us += self.random.u64(ms) * 1_000;
    }

    fn any(&mut self, of: &[NodeId]) -> Option<NodeId> {
        (!of.is_empty()).then(|| of[self.random.usize(..of.len())])
    }

    fn node(&mut self) -> NodeId {
        self.nodes[self.random.usize(..self.nodes.len())]
    }

    /// The leader half of the time.
    fn whom(&mut self) -> Whom {
        let or = self.node();
        if self.random.bool() { Whom::Leader { or } } else { Whom::Node(or) }
    }

    /// A fault, its end, and quiet.
    fn strike_gently(&mut self) {
        let node = self.node();
        match self.random.u8(0..6) {
            0 | 1 => {
                self.act(Action::Crash { node: Whom::Node(node), keep: 0 });
                self.wait(500..2_500);
                self.act(Action::Restart(node));
            }
            2 => {
                self.act(Action::Pause(Whom::Node(node)));
                self.wait(500..2_500);
                self.act(Action::Resume(node));
            }
            3 => {
                self.act(Action::IsolateLeader);
                self.wait(500..2_500);
                self.act(Action::Heal);
            }
            4 => self.act(Action::Transfer(node)),
            _ => self.act(Action::Compact { node: Whom::Node(node), keep: 100 }),
        }
        self.wait(1_500..3_000);
    }

    /// The next fault, or the end of one, whatever else is broken.
    fn strike_hard(&mut self) {
        while !self.strikes_hard() {}
        self.wait(300..2_300);
        self.recover();
    }

    /// Draws one. Says whether it can do something: what mends nothing is not done.
    fn strikes_hard(&mut self) -> bool {
        match self.random.u8(0..25) {
            0..4 => {
                let node = self.whom();
                self.act(Action::Crash { node, keep: 0 });
                self.is_down = true;
                if let Whom::Node(node) = node {
                    self.down.insert(node);
                }
            }
            4 => {
                self.act(Action::CrashAll { keep: 0 });
                self.is_down = true;
            }
            5..8 => match self.any(&self.down.iter().copied().collect::<Vec<_>>()) {
                Some(node) => {
                    self.down.remove(&node);
                    self.act(Action::Restart(node));
                }
                // Which one it was is not known when it was the leader; this finds it.
                None => return self.restart_all(),
            },
            8 => return self.restart_all(),
            9 | 10 => {
                let node = self.whom();
                self.act(Action::Pause(node));
                self.is_paused = true;
            }
            11 => return self.resume_all(),
            12 => {
                self.act(Action::IsolateLeader);
                self.is_cut = true;
            }
            13 | 14 => self.partition(),
            15 => self.cut_one_way(),
            16 | 17 => return self.heal(),
            18 => {
                let node = self.node();
                self.act(Action::Transfer(node));
            }
            19 => {
                let node = self.whom();
                self.act(Action::Compact { node, keep: 100 });
            }
            20..22 => self.harm_disk(),
            22 | 23 => self.harm_clock(),
            _ => return self.cure(),
        }
        true
    }

    /// A disk becomes slow or full, or fails.
    fn harm_disk(&mut self) {
        let node = self.node();
        match self.random.u8(0..4) {
            0 => {
                let or = node;
                let whom = if self.random.bool() { Whom::Leader { or } } else { Whom::Node(or) };
                self.act(Action::SyncFails(whom));
                self.is_down = true;
            }
            1 => {
                self.act(Action::DiskFull { node, is_full: true });
                self.sick.insert((node, Organ::Room));
                // It ends where it has no room for its log.
                self.is_down = true;
            }
            _ => {
                let us = self.random.u64(20..1_500) * 1_000;
                self.act(Action::SyncTakes { node, us });
                self.sick.insert((node, Organ::Speed));
            }
        }
    }

    /// A clock runs at another rate, stands still, or jumps.
    fn harm_clock(&mut self) {
        let node = self.node();
        let goes = match self.random.u8(0..5) {
            0 => ClockGoes::Frozen,
            1 => ClockGoes::Ahead(self.random.u64(50..5_000) * 1_000),
            _ => ClockGoes::AtRate(self.random.u32(10..40) * 50),
        };
        self.act(Action::Clock { node, goes });
        if !matches!(goes, ClockGoes::Ahead(_)) {
            self.sick.insert((node, Organ::Clock));
        }
    }

    /// All disks and clocks are as they should be.
    fn cure(&mut self) -> bool {
        let sick = std::mem::take(&mut self.sick);
        for (node, organ) in &sick {
            let node = *node;
            self.act(match organ {
                Organ::Speed => Action::SyncTakes { node, us: FAST_US },
                Organ::Room => Action::DiskFull { node, is_full: false },
                Organ::Clock => Action::Clock { node, goes: ClockGoes::True },
            });
        }
        !sick.is_empty()
    }

    /// One disk after another, or several at once, is not as it should be, and now and then a leader is cut off amid that.
    fn strike_at_disks(&mut self) {
        for _ in 0..self.random.u8(1..3) {
            self.harm_disk();
            self.wait(200..900);
        }
        self.isolate_now_and_then();
        self.wait(500..2_500);
        self.cure();
        self.restart_all();
        self.wait(1_000..2_500);
    }

    /// The same of clocks; and nodes crash meanwhile.
    fn strike_at_clocks(&mut self) {
        for _ in 0..self.random.u8(1..4) {
            self.harm_clock();
            self.wait(200..900);
        }
        if self.random.u8(0..3) == 0 {
            let node = self.whom();
            self.act(Action::Crash { node, keep: 0 });
            self.is_down = true;
            self.wait(300..1_500);
        }
        self.isolate_now_and_then();
        self.restart_all();
        self.wait(500..2_500);
        if self.random.bool() {
            self.cure();
        }
        self.wait(500..1_500);
    }

    fn isolate_now_and_then(&mut self) {
        if self.random.u8(0..3) == 0 {
            self.act(Action::IsolateLeader);
            self.wait(500..1_500);
            self.act(Action::Heal);
        }
    }

    fn restart_all(&mut self) -> bool {
        self.down.clear();
        let is_wanted = std::mem::take(&mut self.is_down);
        if is_wanted {
            self.act(Action::RestartAll);
        }
        is_wanted
    }

    fn resume_all(&mut self) -> bool {
        let is_wanted = std::mem::take(&mut self.is_paused);
        if is_wanted {
            self.act(Action::ResumeAll);
        }
        is_wanted
    }

    fn heal(&mut self) -> bool {
        let is_wanted = std::mem::take(&mut self.is_cut);
        if is_wanted {
            self.act(Action::Heal);
        }
        is_wanted
    }

    /// Now and then everything works for a while, or nothing would ever be committed.
    fn recover(&mut self) {
        if self.random.u8(0..8) > 0 {
            return;
        }
        let mended = [self.cure(), self.heal(), self.resume_all(), self.restart_all()];
        if mended.contains(&true) {
            self.wait(1_500..4_000);
        }
    }

    /// Two groups that do not hear each other.
    fn partition(&mut self) {
        let mut nodes = self.nodes.clone();
        self.random.shuffle(&mut nodes);
        let (one, other) = nodes.split_at(self.random.usize(1..nodes.len()));
        let names = |nodes: &[NodeId]| {
            let names: BTreeSet<NodeId> = nodes.iter().copied().collect();
            names.iter().map(NodeId::to_string).collect::<Vec<_>>().join(",")
        };
        self.is_cut = true;
        if self.at_us >= self.end_us {
            return;
        }
        self.lines.push(format!("at {} partition {} {}\n", Micros(self.at_us), names(one), names(other)));
    }

    /// Some links in one direction: what no partition is.
    fn cut_one_way(&mut self) {
        for _ in 0..self.random.usize(1..4) {
            let (from, to) = (self.node(), self.node());
            if from != to {
                self.act(Action::Cut { from, to });
            }
        }
        self.is_cut = true;
    }

    /// A member leaves or joins; and sometimes a node crashes amid that.
    fn strike_at_members(&mut self) {
        let majority = self.nodes.len() / 2 + 1;
        let outside: Vec<NodeId> = self.nodes.iter().copied().filter(|node| !self.members.contains(node)).collect();
        let inside: Vec<NodeId> = self.members.iter().copied().collect();
        if self.random.u8(0..3) == 0 {
            let node = self.whom();
            self.act(Action::Crash { node, keep: 0 });
            self.wait(300..1_500);
            self.act(Action::RestartAll);
            self.wait(200..800);
        }
        match (self.any(&outside), self.any(&inside)) {
            (Some(node), _) if inside.len() <= majority || self.random.bool() => {
                self.act(Action::Change(Change::AddLearner(node)));
                self.wait(500..1_500);
                self.act(Action::Change(Change::Promote(node)));
                self.members.insert(node);
            }
            (_, Some(node)) => {
                self.act(Action::Change(Change::Remove(node)));
                self.members.remove(&node);
            }
            _ => {}
        }
        self.wait(500..2_500);
        if self.random.u8(0..4) == 0 {
            self.act(Action::IsolateLeader);
            self.wait(500..1_500);
            self.act(Action::Heal);
            self.wait(500..1_500);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Scenario;

    fn nemesis(profile: Profile, seed: u64) -> Scenario {
        let (lasting, load) = (Duration::from_secs(600), Load { per_s: 200 });
        let text = Nemesis { profile, seed, lasting, nodes: 5, app: AppKind::Kv, clients: 8, load }.draw();
        text.parse().unwrap_or_else(|error| panic!("{error}\n{text}"))
    }

    #[test]
    fn a_seed_draws_the_same_faults_and_they_can_be_read() {
        for (_, profile) in Profile::NAMES {
            let drawn = nemesis(profile, 7);
            assert_eq!(drawn, nemesis(profile, 7));
            assert_ne!(drawn.steps, nemesis(profile, 8).steps);
            assert_eq!((drawn.plan.load, drawn.plan.clients), (Some(Load { per_s: 200 }), 8));
        }
    }

    #[test]
    fn ten_hard_minutes_have_hundreds_of_faults() {
        let mut lines: Vec<usize> = nemesis(Profile::Hard, 1).steps.iter().map(|step| step.line).collect();
        lines.dedup();
        let faults = lines.len();
        assert!(faults >= 300, "{faults}");
    }
}
