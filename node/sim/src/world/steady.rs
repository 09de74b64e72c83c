//! After the end of a run: a core that works is left alone for a while, but for a server that falls behind and catches up.
//!
//! Invariant: nothing is done here that disturbs a cluster which follows the rules; so all that moves is waste, or a bug.

use raftian_apps::{AppKind, Colour, Machine};
use raftian_raft::{Body, Message, Request, RoleKind, Server};
use raftian_script::{Action, Invariant, Op, Whom};

use super::World;
use super::live::PATIENCE;
use crate::coverage::Rare;
use crate::invariant::{Violation, id_at};
use crate::members::{Ids, Members};
use crate::node::{Input, Node};
use crate::random::{Stream, random};

/// For how many election time-outs at least nothing at all happens.
const QUIET: u64 = 3;

/// How many writes there are that a server lacks which is down meanwhile.
const MISSED: usize = 3;

/// So many heartbeats more than there are whole intervals may cross a link in a while: the first may come at once, and that
/// or the one before may be late by a turn.
const SLACK: u64 = 2;

impl World {
    /// What has come to life stays as it is, for ten election time-outs: the leader, its term, its followers. A server
    /// that was down meanwhile catches up, though snapshots go on being made; and then there are heartbeats and no more. Where
    /// a leader may be deposed, that server catches up all the same, and no read is left pending.
    ///
    /// # Errors
    /// The invariant that was broken: [`Invariant::Steady`] if something moves, [`Invariant::Liveness`] if something does
    /// not come to its end.
    pub(super) fn stay(&mut self, core: u64, probe: usize, timeout_us: u64) -> Result<(), Violation> {
        if !self.heartbeats_come_in_time() {
            return Ok(());
        }
        let end_us = self.now_us + u64::from(PATIENCE) * timeout_us;
        self.await_life(end_us, timeout_us / 40, probe, "a settled configuration with one leader", |world| {
            world.settled_leader(core).is_some()
        })?;
        let Some(leader) = self.settled_leader(core) else { return Ok(()) };
        let Some((members, up, term)) = self.settled_members(core, leader) else { return Ok(()) };
        // What a disk was given before may hold up a vote for long.
        while !self.is_calm(up) && self.now_us < end_us {
            self.run_until(self.now_us + timeout_us / 40)?;
        }
        let is_protected = self.nodes.iter().all(|node| node.options.check_quorum && node.options.pre_vote);
        let is_steady = self.is_calm(up) && (is_protected || !self.may_be_deposed(core, members));
        if is_steady {
            let (leader, up) = (self.nodes[leader].id(), self.servers(up));
            self.oracle.settles(leader, term, up, members.all(), self.plan.heartbeat_interval);
        }
        let end_us = self.now_us + u64::from(PATIENCE) * timeout_us;
        if let Some(straggler) = self.draw_straggler(leader, members, up) {
            self.fall_behind(straggler, leader, probe, timeout_us)?;
        }
        // What was sent before is answered.
        self.run_until(self.now_us + timeout_us / 2)?;
        self.oracle.count_anew();
        let began_us = self.now_us;
        self.run_until(end_us.max(began_us + QUIET * timeout_us))?;
        let most = self.most_beats(leader, self.now_us - began_us);
        let quiet = self.oracle.check_quiet(most);
        self.conclude(quiet)?;
        if is_steady {
            self.coverage.note_rare(Rare::QuietJudged);
        }
        self.check_nothing_pends(up)
    }

    /// Whether no message of these nodes waits for a disk, nor for the turn in which its node learns that it is done.
    fn is_calm(&self, up: u64) -> bool {
        let is_heard = |node: &Node| !node.inbox.iter().any(|input| matches!(input, Input::Persisted(_)));
        self.up(up).all(|(at, _)| self.nodes[at].storage.is_idle() && is_heard(&self.nodes[at]))
    }

    /// Whether a heartbeat of the slowest clock comes twice before the shortest election time-out on the fastest: with clocks
    /// that differ by more, elections never end.
    fn heartbeats_come_in_time(&self) -> bool {
        let rates = || self.nodes.iter().map(|node| node.clock.rate_permille);
        let (slowest, fastest) = (rates().min().unwrap_or(1000), rates().max().unwrap_or(1000));
        let interval_us = self.plan.heartbeat_interval.as_micros() as u64 * 1000 / slowest.max(1);
        2 * interval_us <= self.plan.election_timeout.start.as_micros() as u64 * 1000 / fastest.max(1)
    }

    /// Whether, without CheckQuorum or PreVote, a server may stand against a leader that is heard: one that was removed
    /// (thesis §4.2.3), whom one that has just started may believe, or one whose request has been on its way for long.
    fn may_be_deposed(&self, core: u64, members: Members) -> bool {
        let asks = |message: &Message| {
            matches!(message.body, Body::Request(Request::PreVote(_) | Request::RequestVote { .. }))
        };
        self.up(core).any(|(_, server)| !members.contains(server.id()))
            || self.messages().into_iter().any(|(_, message)| asks(message))
    }

    /// A server is down while the others go on, and is sent a snapshot while newer ones are made.
    fn fall_behind(&mut self, at: usize, leader: usize, probe: usize, timeout_us: u64) -> Result<(), Violation> {
        let crashed = self.crash_at(at, 0);
        self.conclude(crashed)?;
        let write = match self.plan.app {
            AppKind::Kv => Op::Set(0, 2),
            AppKind::Attack => Op::Attack(1),
            AppKind::Canvas => Op::Paint(0, 0, Colour::default()),
        };
        let (every_us, patience_us) = (timeout_us / 40, u64::from(PATIENCE) * timeout_us);
        self.clients[probe].wishes.extend([write; MISSED]);
        let what = "writes while one server was down";
        self.await_life(self.now_us + patience_us, every_us, probe, what, |world| world.is_idle(probe))?;
        self.ask_for_snapshot(leader)?;
        self.run_until(self.now_us + self.plan.job_us + timeout_us / 10)?;
        let started = self.restart_at(at);
        self.conclude(started)?;
        let goal = self.committed();
        let end_us = self.now_us + patience_us + self.catch_up_us();
        while self.applied(at).is_some_and(|applied| applied < goal) {
            if self.now_us >= end_us {
                return self.is_late("that a server catches up while snapshots are made");
            }
            if self.is_idle(probe) {
                self.clients[probe].wishes.push_back(write);
                self.begin_next(probe);
            }
            self.ask_for_snapshot(leader)?;
            self.run_until(self.now_us + every_us)?;
        }
        let what = "the last write";
        self.await_life(self.now_us + patience_us, every_us, probe, what, |world| world.is_idle(probe))
    }

    pub(crate) fn is_idle(&self, client: usize) -> bool {
        self.clients[client].current.is_none() && self.clients[client].wishes.is_empty()
    }

    fn applied(&self, at: usize) -> Option<u64> {
        self.machine(id_at(at)).map(Machine::last_applied)
    }

    fn ask_for_snapshot(&mut self, leader: usize) -> Result<(), Violation> {
        self.perform(Action::Compact { node: Whom::Node(id_at(leader)), keep: 0 })
    }

    /// Those in the core that run.
    fn up(&self, core: u64) -> impl Iterator<Item = (usize, &Server)> {
        let nodes = self.nodes.iter().enumerate().filter(move |(at, _)| core >> at & 1 == 1);
        nodes.filter_map(|(at, node)| Some((at, node.server()?)))
    }

    /// Those at these places that run.
    fn servers(&self, places: u64) -> Ids {
        self.up(places).map(|(_, server)| server.id()).collect()
    }

    /// The only leader of a core, if all members follow it and no change or transfer is under way.
    fn settled_leader(&self, core: u64) -> Option<usize> {
        let mut leaders = self.up(core).filter(|(_, server)| server.role() == RoleKind::Leader);
        let (Some((at, leader)), None) = (leaders.next(), leaders.next()) else { return None };
        let members = leader.configuration().map(Members::of)?;
        let is_settled = leader.configuration_is_settled() && members.outgoing.is_empty();
        let may_stay = members.voters.contains(leader.id()) && leader.status().transfer.is_none();
        let follows = |server: &Server| {
            server.leader() == Some(leader.id())
                && server.hard_state().term == leader.hard_state().term
                && server.configuration().map(Members::of) == Some(members)
        };
        let mut followers = self.up(core).filter(|(_, server)| members.contains(server.id()));
        (is_settled && may_stay && followers.all(|(_, server)| follows(server))).then_some(at)
    }

    /// The members in a core that run and count for a quorum, by their places, and the term of their leader.
    fn settled_members(&self, core: u64, leader: usize) -> Option<(Members, u64, u64)> {
        let server = self.nodes[leader].server()?;
        let members = server.configuration().map(Members::of)?;
        let denies = |id| server.status().peers.iter().any(|peer| peer.id == id && peer.denies);
        let counts = |server: &Server| members.contains(server.id()) && !denies(server.id());
        let up = self.up(core).filter(|(_, server)| counts(server));
        Some((members, up.fold(0, |places, (at, _)| places | 1 << at), server.hard_state().term))
    }

    /// A follower that the others can do without, if there is one.
    fn draw_straggler(&self, leader: usize, members: Members, up: u64) -> Option<usize> {
        let followers = (0..self.nodes.len()).filter(|at| *at != leader && up >> at & 1 == 1);
        let spare = followers.filter(|at| members.is_quorum(self.servers(up & !(1 << at))));
        let whole = spare.filter(|at| !self.nodes[*at].storage.is_damaged());
        whole.min_by_key(|at| random([self.seed, Stream::Straggler as u64, *at as u64]))
    }

    /// How many messages at most each way heartbeats need on a link in so long.
    pub(super) fn most_beats(&self, leader: usize, for_us: u64) -> u64 {
        let local_us = for_us * self.nodes[leader].clock.rate_permille / 1000;
        local_us / (self.plan.heartbeat_interval.as_micros() as u64).max(1) + SLACK
    }

    /// No read is pending at a member.
    fn check_nothing_pends(&mut self, up: u64) -> Result<(), Violation> {
        let members = (0..self.nodes.len()).filter(|at| up >> at & 1 == 1);
        let pending = |at: usize| self.nodes[at].server().map_or(0, Server::pending_reads);
        let waits = members.into_iter().find(|at| pending(*at) > 0).map(id_at);
        let checked = self.oracle.findings.require(waits.is_none(), Invariant::Liveness, || {
            format!("{} has not decided a read, though a quorum was healed", waits.expect("it waits"))
        });
        self.conclude(checked)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use raftian_raft::Change;
    use raftian_script::Plan;

    use super::*;
    use crate::settings::Settings;

    #[test]
    fn messages_of_a_slow_disk_wait_for_their_nodes_turn_too() {
        let mut world = World::manual(Plan::quiet(3), 1, Settings::default());
        assert!(world.is_calm(0b111));
        world.nodes[1].inbox.push_back(Input::Persisted(Vec::new()));
        assert!(!world.is_calm(0b111) && world.is_calm(0b101));
    }

    /// A server that was removed may depose the leader; so nothing has to stay as it is, and the rest is judged all the same.
    #[test]
    fn a_server_falls_behind_and_catches_up_though_a_leader_may_be_deposed() {
        let plan = Plan { check_quorum: false, pre_vote: false, ..Plan::quiet(4) };
        let has_caught_up = |seed| {
            let mut world = World::manual(plan.clone(), seed, Settings::default());
            world.tick(id_at(0)).unwrap();
            world.step_all().unwrap();
            world.change(id_at(0), Change::Remove(id_at(3))).unwrap().unwrap().unwrap();
            world.run_until(Duration::from_millis(400).as_micros() as u64).unwrap();
            world.come_to_life().unwrap();
            world.coverage().rare(Rare::QuietJudged) == 0 && world.counts().1 >= 2 + MISSED as u64
        };
        assert!((0..20).any(has_caught_up));
    }
}
