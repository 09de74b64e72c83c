//! What is done to the cluster from outside.
//!
//! Invariant: what cannot be done when its time comes is not done, and nothing is drawn here: a script does the same
//! whatever was taken out of it.

use raftian_raft::{Change, NodeId, Server};
use raftian_script::{Action, ClockGoes, Whom};

use super::{Budget, World};
use crate::coverage::Rare;
use crate::invariant::{Check, id_at, place};
use crate::journal::What;
use crate::node::Armed;

impl World {
    /// Does the next action of the schedule.
    pub(super) fn next_action(&mut self) -> Check {
        let action = self.actions[self.done].action.clone();
        self.done += 1;
        self.budget.granted += Budget::PER_CAUSE * self.plan.nodes() as u64;
        self.perform_action(action)
    }

    /// Does an action, whoever wants it.
    pub(super) fn perform_action(&mut self, action: Action) -> Check {
        self.performed += 1;
        self.trace.note([40, self.performed, self.now_us]);
        // A clock is looked at when its time comes, not because something is done to a node.
        self.without_clocks(|world| world.act(action))
    }

    fn act(&mut self, action: Action) -> Check {
        match action {
            // What another application could do is nothing to this one.
            Action::Op { client, op } if op.app() == self.plan.app => self.wish(client, op),
            Action::Op { .. } => {}
            Action::Crash { node, keep } => return self.stop_from_outside(self.whom(node), keep),
            Action::CrashAtBoundary { node, boundaries, keep } => {
                self.arm(self.whom(node), Armed { boundaries, only_installs: false, keep });
            }
            Action::CrashAtInstall { node, keep } => {
                self.arm(place(node), Armed { boundaries: 1, only_installs: true, keep });
            }
            Action::CrashAll { keep } => {
                return (0..self.nodes.len()).try_for_each(|at| self.stop_from_outside(at, keep));
            }
            Action::Restart(id) => return self.restart_at(place(id)),
            Action::RestartWith { node, settings } => {
                let at = place(node);
                if !self.nodes[at].is_up() {
                    settings.apply(&mut self.nodes[at].options);
                    return self.start(at);
                }
            }
            Action::RestartAll => return (0..self.nodes.len()).try_for_each(|at| self.restart_at(at)),
            Action::Pause(whom) => self.pause_at(self.whom(whom)),
            Action::Resume(id) => self.resume_at(place(id)),
            Action::ResumeAll => (0..self.nodes.len()).for_each(|at| self.resume_at(at)),
            Action::Cut { from, to } => self.set_cut(place(from), place(to), true),
            Action::IsolateLeader => {
                if let Some(leader) = self.leader().map(place) {
                    self.isolate(1 << leader);
                }
            }
            Action::Heal => self.heal_links(),
            Action::Clog { from, to, for_us } => self.network.clog(place(from), place(to), self.now_us + for_us),
            Action::SyncTakes { node, us } => self.nodes[place(node)].storage.health.sync_us = Some(us),
            Action::ApplyTakes { node, us } => self.nodes[place(node)].apply_us = us,
            Action::SyncFails(whom) => {
                let at = self.whom(whom);
                self.nodes[at].storage.health.fails = self.nodes[at].is_up();
            }
            Action::DiskFull { node, is_full } => self.nodes[place(node)].storage.health.is_full = is_full,
            Action::Clock { node, goes } => self.set_clock(place(node), goes),
            Action::FlipBit { node, part } => self.flip_bit(place(node), part),
            Action::Wipe(node) => self.wipe(place(node)),
            Action::KeepDisk(node) => self.keep_disk(place(node)),
            Action::PutBackDisk(node) => self.put_back_disk(place(node)),
            Action::Change(change) => return self.change_members(change),
            Action::Transfer(to) => return self.transfer_to(to),
            Action::Compact { node, keep } => {
                let at = self.whom(node);
                if self.nodes[at].is_up() && self.nodes[at].paused.is_none() {
                    let (_, driver) = self.driver(at);
                    driver.snapshot(keep, ());
                    return self.settle(at, None);
                }
            }
        }
        Ok(())
    }

    fn set_clock(&mut self, at: usize, goes: ClockGoes) {
        let now_us = self.now_us;
        let node = &mut self.nodes[at];
        match goes {
            ClockGoes::AtRate(per_mille) => node.clock.set_rate(per_mille.into(), now_us),
            ClockGoes::Frozen => node.clock.set_rate(0, now_us),
            ClockGoes::True => node.clock.set_rate(1_000, now_us),
            ClockGoes::Ahead(us) => node.clock.ahead_us += us.cast_signed(),
        }
        node.wind();
    }

    /// Every clock goes at the rate of the plan.
    pub(super) fn mend_clocks(&mut self) {
        for at in 0..self.nodes.len() {
            let rate = self.plan.clock_permille.get(at).copied().unwrap_or(1_000);
            if self.nodes[at].clock.rate_permille != rate {
                self.nodes[at].clock.set_rate(rate, self.now_us);
                self.nodes[at].wind();
            }
        }
    }

    fn stop_from_outside(&mut self, at: usize, keep: usize) -> Check {
        if self.nodes[at].is_up() {
            self.coverage.note_rare(Rare::Crashed);
        }
        self.crash_at(at, keep)
    }

    fn arm(&mut self, at: usize, armed: Armed) {
        self.nodes[at].armed = self.nodes[at].is_up().then_some(armed);
    }

    /// Where the node is that is meant.
    pub(super) fn whom(&self, whom: Whom) -> usize {
        match whom {
            Whom::Node(id) => place(id),
            Whom::Leader { or } => place(self.leader().unwrap_or(or)),
        }
    }

    pub(super) fn restart_at(&mut self, at: usize) -> Check {
        if self.nodes[at].is_up() { Ok(()) } else { self.start(at) }
    }

    fn pause_at(&mut self, at: usize) {
        let id = self.nodes[at].id();
        let node = &mut self.nodes[at];
        if node.is_up() && node.paused.is_none() {
            node.paused = Some(Vec::new());
            node.wind();
            self.journal.note(self.now_us, self.steps, || What::Paused(id));
        }
    }

    pub(super) fn resume_at(&mut self, at: usize) {
        let id = self.nodes[at].id();
        let node = &mut self.nodes[at];
        let Some(backlog) = node.paused.take() else { return };
        // What has arrived meanwhile comes before the clock.
        node.busy_until_us = node.busy_until_us.max(self.now_us);
        node.wind();
        if !backlog.is_empty() {
            self.coverage.note_rare(Rare::Resumed);
        }
        self.journal.note(self.now_us, self.steps, || What::Resumed(id));
        for event in backlog {
            self.queue.plan(self.now_us, event);
        }
    }

    pub(super) fn set_cut(&mut self, from: usize, to: usize, is_cut: bool) {
        if self.network.is_cut(from, to) != is_cut {
            self.network.set_cut(from, to, is_cut);
            self.journal.note(self.now_us, self.steps, || What::Link { from: id_at(from), to: id_at(to), is_cut });
        }
    }

    /// Cuts all links between these nodes, as bits, and the others.
    pub(super) fn isolate(&mut self, here: u64) {
        let count = self.nodes.len();
        for (from, to) in (0..count).flat_map(|from| (0..count).map(move |to| (from, to))) {
            if (here >> from & 1) != (here >> to & 1) {
                self.set_cut(from, to, true);
            }
        }
    }

    pub(super) fn heal_links(&mut self) {
        let count = self.nodes.len();
        for (from, to) in (0..count).flat_map(|from| (0..count).map(move |to| (from, to))) {
            self.set_cut(from, to, false);
        }
        self.network.heal();
    }

    fn change_members(&mut self, change: Change) -> Check {
        let Some(at) = self.leader().map(place).filter(|at| self.nodes[*at].paused.is_none()) else { return Ok(()) };
        let change = self.meant(at, change);
        if self.needs_damaged(at, &change) {
            return Ok(());
        }
        // Most changes are refused, at the wrong time or at all: that they do no harm is part of what is tested.
        let (now, driver) = self.driver(at);
        if driver.change(now, change).is_ok() {
            self.coverage.note_rare(Rare::ChangeBegun);
        }
        self.settle(at, None)
    }

    /// A change that names nodes, of the servers that are meant: the one there is of a name; but a member that has another
    /// incarnation stays, or leaves.
    pub(super) fn meant(&self, leader: usize, change: Change) -> Change {
        let known = self.nodes[leader].server().and_then(Server::configuration);
        let present = |id: NodeId| self.nodes[place(id)].id();
        let member = |id: NodeId| {
            let named = |member: &NodeId| member.name() == id.name();
            let has_present = known.is_some_and(|members| members.contains(present(id)));
            known.filter(|_| !has_present).and_then(|members| members.members().find(named)).unwrap_or(present(id))
        };
        match change {
            Change::AddLearner(id) => Change::AddLearner(present(id)),
            Change::Promote(id) => Change::Promote(present(id)),
            Change::Remove(id) => Change::Remove(member(id)),
            Change::Members { voters, learners } => Change::Members {
                voters: voters.into_iter().map(member).collect(),
                learners: learners.into_iter().map(member).collect(),
            },
        }
    }

    fn transfer_to(&mut self, to: NodeId) -> Check {
        let Some(at) = self.leader().map(place).filter(|at| self.nodes[*at].paused.is_none()) else { return Ok(()) };
        let to = self.nodes[place(to)].id();
        let (now, driver) = self.driver(at);
        // Refused if it is to no voter, or while another one is under way.
        let _ = driver.transfer(now, to);
        self.settle(at, None)
    }
}
